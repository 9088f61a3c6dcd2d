// What one writer inserted into one text or list, in the order of his log: his ops,
// their place in the tree, their content, and which elements are deleted.
//
// The elements of a writer are numbered through: the clock of an element counts those
// that he inserted before it. So an element is (writer, clock) inside a store, and an
// op is a stretch of clocks. Content of deleted elements is kept while it is in memory
// and is not stored.
//
// Stored in pages, one for the ops of 64 consecutive blocks; small numbers are LEB128,
// signed ones zigzag:
//   page    := size:leb hash:32 ops:leb op* gaps:leb (alive:leb dead:leb)* content
//   op      := flags:u8 [position:leb op_index:leb hlc:zigzag | op_index:leb]
//              [count:leb] [parent] [right]
//   flags   := 1 same block as the op before it | 2 its index follows | 4 one element
//              | 8 left child | 16 parent is the writer's own previous element
//              | 32 right origin as of the op before it
//   parent, right := 0 start | 1 end | 2 own zigzag(clock - own clock)
//              | 3 writer:leb clock:leb                      (tag as leb)
//   content := of a text the live bytes; of a list (size:leb byte*)* of live elements
// `size` and `hash` are those of the page's item in the view root (sequence.h); size 0:
// they are not known.

#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "crdt/lane.h"

namespace weft {

struct Element {
  WriterNumber writer = 0;
  std::uint32_t clock = 0;

  bool operator==(const Element&) const = default;
  auto operator<=>(const Element&) const = default;
};
// The edges of the sequence: no writer has these numbers.
inline constexpr Element kSequenceStart{UINT32_MAX, 0};
inline constexpr Element kSequenceEnd{UINT32_MAX, 1};

struct SequenceOp {
  std::uint64_t position = 0;
  std::uint64_t hlc = 0;
  std::uint32_t op_index = 0;
  std::uint32_t start = 0;  // clock of its first element
  // Its first element hangs on `parent`, on the left or on the right; each further
  // element hangs on the right of the one before it.
  Element parent = kSequenceStart;
  Element right = kSequenceEnd;  // right origin, of a right child
  bool is_left = false;

  // What stood to the right of each of its elements when they were inserted.
  Element right_origin() const { return is_left ? parent : right; }
};

inline constexpr std::uint64_t kSequencePageBlocks = 64;

class SequenceLog {
 public:
  struct PageInfo {
    std::uint64_t number = 0;  // position / 64
    std::size_t first_op = 0;  // index into ops()
    bool dirty = true;         // since it was last stored
    bool hashed = false;       // `size` and `hash` are right
    std::uint64_t size = 0;
    Hash32 hash;
  };

  // `is_text`: an element is a code point of UTF-8; else it is any string of bytes.
  explicit SequenceLog(bool is_text) : is_text_(is_text) {}

  // Appends an op with `count` elements; content of a list is one element.
  void Append(const SequenceOp& op, std::string_view content, std::uint32_t count);
  std::uint32_t next() const { return next_; }  // clock of the next element
  const std::vector<SequenceOp>& ops() const { return ops_; }
  // The op that an element belongs to, and by its id.
  std::size_t OpAt(std::uint32_t clock) const;
  std::optional<std::size_t> Find(std::uint64_t position, std::uint32_t op_index) const;
  std::uint32_t EndOf(std::size_t op) const {
    return op + 1 < ops_.size() ? ops_[op + 1].start : next_;
  }

  bool dead(std::uint32_t clock) const { return dead_[clock]; }
  // The first clock from `clock` on, before `end`, whose liveness is another; or end.
  std::uint32_t RunEnd(std::uint32_t clock, std::uint32_t end) const;
  void Kill(std::uint32_t clock, std::uint32_t count);
  // All before this were cleared; `end` is more.
  std::uint32_t cleared() const { return cleared_; }
  void Clear(std::uint32_t end);
  // The bytes of elements, which are not deleted.
  std::string_view Content(std::uint32_t clock, std::uint32_t count) const;

  std::vector<PageInfo>& pages() { return pages_; }
  const std::vector<PageInfo>& pages() const { return pages_; }
  std::size_t PageEnd(std::size_t page) const {
    return page + 1 < pages_.size() ? pages_[page + 1].first_op : ops_.size();
  }
  // `self`: this writer's number.
  Bytes EncodePage(std::size_t page, WriterNumber self) const;
  // Pages in their order. False if it is malformed; parents and right origins are
  // checked by whoever has all logs.
  bool DecodePage(std::uint64_t number, WriterNumber self, ByteView row);

 private:
  std::uint64_t DecodeOps(std::uint64_t number, WriterNumber self, Reader& in);
  std::size_t OffsetOf(std::uint32_t clock) const;
  void AppendContent(std::string_view content, std::uint32_t count);

  bool is_text_;
  std::vector<SequenceOp> ops_;
  std::vector<PageInfo> pages_;
  std::string content_;
  std::vector<std::uint32_t> marks_;  // offset of every 64th element; of a list each
  std::vector<bool> dead_;
  std::uint32_t cleared_ = 0;  // since it was read
  std::uint32_t next_ = 0;
};

// How many code points.
std::uint32_t CodePoints(std::string_view utf8);

// LEB128, for rows of the store.
void WriteLeb(std::uint64_t value, Writer& out);
std::uint64_t ReadLeb(Reader& in);
inline std::uint64_t ZigZag(std::int64_t value) {
  return static_cast<std::uint64_t>(value) << 1 ^
         static_cast<std::uint64_t>(value >> 63);
}
inline std::int64_t UnZigZag(std::uint64_t value) {
  return static_cast<std::int64_t>(value >> 1) ^ -static_cast<std::int64_t>(value & 1);
}

}  // namespace weft
