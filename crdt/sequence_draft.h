// A text or list in the middle of a commit: the view as the author sees it, and what he
// has changed since.
//
// Positions count live elements, of the state after his earlier changes. What is typed
// on after the end of his newest insert becomes part of it, and deletions in a row
// become one cut.

#pragma once

#include <deque>
#include <string>

#include "crdt/lanes/sequence.h"
#include "crdt/operation.h"

namespace weft {

// One op of the commit. `edit` and `content` may still grow while changes are made.
struct SequenceDraftOp {
  OpType type = OpType::kInsert;
  std::uint32_t number = 0;  // of the op in its commit
  SequenceEdit edit;
  std::string content;  // of an insert into a text
  std::uint64_t count = 0;
};

// Not thread-safe: made and used up within one call of an author.
class SequenceDraft {
 public:
  // `lane` may be null: nothing is there yet. Both must outlive it; `self` is the
  // author.
  SequenceDraft(const SequenceLane* lane, const WriterTable* writers,
                WriterNumber self);

  std::uint64_t length() const { return length_; }
  // Inserts before the live element `index`, index <= length(). `number`: of the op if
  // it becomes a new one. Returns the op that it is part of.
  SequenceDraftOp* Insert(std::uint64_t index, std::string_view content,
                          std::uint64_t count, std::uint32_t number,
                          std::size_t content_max);
  // Deletes live elements, index + count <= length(), count >= 1.
  SequenceDraftOp* Cut(std::uint64_t index, std::uint64_t count, std::uint32_t number);
  // A del of the key removes all.
  void Clear();

 private:
  // A stretch that is live or dead as a whole: of the view, in live elements of it, or
  // of an op of this commit.
  struct Segment {
    bool is_new = false;
    bool dead = false;
    std::uint64_t first = 0;  // live element of the view; or offset in the op
    std::uint64_t count = 0;
    std::uint32_t op = 0;  // number in the commit, if new
    Element anchor =
        kSequenceStart;  // if new: the element of the view that it stands after
  };

  // Splits so that a segment begins after the live element index - 1; its place.
  std::size_t SplitAt(std::uint64_t index);
  ElementRef RefOf(Element element) const;
  static ElementRef RefOf(const Segment& segment, std::uint64_t offset);
  void AddRanges(const Segment& segment, std::vector<ElementRange>* ranges) const;

  const SequenceLane* lane_;
  const WriterTable* writers_;
  WriterNumber self_;
  std::vector<Segment> segments_;
  std::uint64_t length_ = 0;
  std::deque<SequenceDraftOp> ops_;
};

}  // namespace weft
