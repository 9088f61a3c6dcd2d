// The text and list lanes: FugueMax (Weidner and Kleppmann, arXiv 2305.00583), in runs
// (rule D6).
//
// The elements form a tree. An insert names the elements its author saw to the left and
// to the right of it. Its first element hangs on the right of the left one or, where
// that had something on its right already in the author's eyes, on the left of the one
// that followed; each further element hangs on the right of the one before it. The
// sequence is the tree read from left to right: what hangs on the left of an element,
// the element, what hangs on its right. Of several on one side:
//   on the left    by rising tie
//   on the right   those whose right origin stands later come first; then by rising tie
// (The right origin of the further elements of an op that hangs on the left of an
// element is that element.) What an author saw to the right of a left origin that
// counts is not taken from the op but found: the first element after it that lies in
// the op's past. So a lie about it changes nothing. A left origin that does not count
// (not in the op's past, or not effective) is dead: the insert hangs on the left of its
// right origin, or of the end if that does not count either.
//
// A deleted element keeps its place and loses its content. A cut deletes what it names
// and has seen, a del all that it has seen. A sequence with no live element is not
// readable.
//
//   state := pages:uint (writer:32 page:u64 item:buffer)*
//            canonical: by writer, then page, which is position / 64, big-endian;
//            as key of a nested item: writer page
//   item  := ops:uint op*                     the ops in 64 blocks of one writer
//   op    := position:uint op_index:uint hlc_ms:uint hlc_counter:uint
//            (00 parent right | 01 parent) elements:uint
//            deleted:uint (skip:uint count:uint)* content
//   parent, right := 00 | 01 | 02 op_id offset:uint              start, end, element
//   content := size:uint bytes, H(bytes) if size > 32            of the live elements
//
//   stored := live:uint                       and a row for each page (sequence_log.h)

#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>

#include "absl/container/inlined_vector.h"
#include "crdt/element_ref.h"
#include "crdt/lanes/sequence_rope.h"

namespace weft {

// An element of which its op's name is wanted.
struct NamedElement {
  LocalOp op;
  std::uint64_t offset = 0;
};

class SequenceLane {
 public:
  explicit SequenceLane(bool is_text) : is_text_(is_text) {}

  // --- ops; none may lie in the past of one that was applied before ---
  // `content`: UTF-8 of at least one code point, or one value of a list.
  void Insert(const Stamp& stamp, const SequenceEdit& edit, std::string_view content,
              const CausalOrder& order, const WriterTable& writers);
  void Cut(const Stamp& stamp, std::span<const ElementRange> ranges,
           const CausalOrder& order, const WriterTable& writers);
  void Clear(const LocalOp& op, const CausalOrder& order);

  // --- reading ---
  bool is_text() const { return is_text_; }
  bool readable() const { return rope_.live() > 0; }
  std::uint64_t length() const { return rope_.live(); }  // live elements
  std::string Text(std::uint64_t from, std::uint64_t count) const;
  std::vector<std::string> Values() const;
  // The insert with the largest tie of those that have a live element.
  std::optional<Stamp> Newest(const WriterTable& writers) const;
  // Whether the op inserted something here, and how much of that is live.
  std::optional<std::uint64_t> LiveOf(const LocalOp& op) const;

  // --- places ---
  Element At(std::uint64_t n) const { return rope_.AtLive(n); }
  Element Next(Element element) const { return rope_.Next(element); }
  NamedElement NameOf(Element element) const;
  // So many live elements from this one on, at most `max`, follow one another and are
  // of one op.
  std::uint64_t LiveRun(Element element, std::uint64_t max) const;
  std::optional<Element> FindElement(const LocalOp& op, std::uint64_t offset) const;
  // Live elements before it, whether it is live or not.
  std::uint64_t LiveBefore(Element element) const { return rope_.LiveBefore(element); }
  bool is_dead(Element element) const {
    return logs_.at(element.writer).dead(element.clock);
  }

  // --- the view root; not for two threads at once ---
  std::uint64_t StateSize(const WriterTable& writers) const;
  void WriteState(const WriterTable& writers, Writer& out) const;
  Hash32 NestedRoot(const WriterTable& writers) const;

  // --- rows ---
  using PageSink =
      std::function<void(WriterNumber writer, std::uint64_t page, Bytes row)>;
  void Store(Writer& out) const;
  // Pages that changed since they were stored; they count as stored then.
  void StorePages(const PageSink& sink);
  // An empty one in the place of one that may be stored, whose rows are to go first.
  static std::unique_ptr<SequenceLane> Replacing(bool is_text);
  bool replaces() const { return replaces_; }  // until its pages are stored
  static SequenceLane Read(bool is_text, Reader& in);
  // By writer and page, after Read. False if it is malformed.
  bool ReadPage(WriterNumber writer, std::uint64_t page, ByteView row);
  // After all pages. False if they are not one tree.
  bool FinishRead(const WriterTable& writers);

 private:
  struct ChildKey {
    Element parent;
    bool left = false;
    auto operator<=>(const ChildKey&) const = default;
  };
  using Children = absl::InlinedVector<Element, 2>;  // first elements of ops
  struct Rebuild;

  SequenceLog& LogOf(WriterNumber writer);
  const SequenceOp& OpOf(Element element) const;
  std::optional<Element> Resolve(const ElementRef& ref, const LocalOp& self,
                                 const CausalOrder& order,
                                 const WriterTable& writers) const;
  bool InPast(Element element, const LocalOp& of, const CausalOrder& order) const;
  Element NextInPast(Element element, const LocalOp& of,
                     const CausalOrder& order) const;
  // Which of two that hang on one side of an element stands first.
  bool Before(Element a, Element b, bool left, const WriterTable& writers) const;
  // The writer's next element, if it hangs on the right of this one.
  std::optional<Element> OwnChild(Element element) const;
  // The others that hang on that side of it, in order. Until one is added.
  std::span<const Element> Hanging(Element element, bool left) const;
  // The last of both, of which there must be one.
  Element LastRightChild(Element element, const WriterTable& writers) const;
  Element First(Element element) const;  // of what hangs on it, itself included
  Element Last(Element element, const WriterTable& writers) const;
  void Attach(SequenceOp op, WriterNumber writer, std::uint32_t count,
              const WriterTable& writers);
  void HashPages(const WriterTable& writers) const;
  Bytes ItemState(const SequenceLog& log, std::size_t page,
                  const WriterTable& writers) const;
  void WriteName(Element element, const WriterTable& writers, Writer& out) const;

  bool is_text_;
  bool replaces_ = false;
  mutable std::map<WriterNumber, SequenceLog> logs_;  // hashes are filled in late
  SequenceRope rope_;
  // Ops that hang on an element, in order; without those that hang on the right of
  // their writer's previous element, of which there are most.
  absl::btree_map<ChildKey, Children> children_;
  std::uint64_t live_stored_ = 0;  // between Read and FinishRead
};

}  // namespace weft
