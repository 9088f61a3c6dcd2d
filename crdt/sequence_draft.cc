#include "crdt/sequence_draft.h"

#include <algorithm>

namespace weft {
namespace {

bool Same(const ElementRef& a, const ElementRef& b) {
  return a.place == b.place && a.op_index == b.op_index && a.position == b.position &&
         a.offset == b.offset && Equal(a.writer, b.writer);
}

// Whether `b` begins right after the end of `a`, in one op.
bool Follows(const ElementRange& a, const ElementRange& b) {
  ElementRef end = a.first;
  end.offset += a.count;
  return Same(end, b.first);
}

void AddRange(const ElementRange& range, std::vector<ElementRange>* ranges) {
  if (!ranges->empty() && Follows(ranges->back(), range)) {
    ranges->back().count += range.count;
  } else {
    ranges->push_back(range);
  }
}

}  // namespace

SequenceDraft::SequenceDraft(const SequenceLane* lane, const WriterTable* writers,
                             WriterNumber self)
    : lane_(lane), writers_(writers), self_(self) {
  if (lane == nullptr || lane->length() == 0) return;
  length_ = lane->length();
  Segment all;
  all.count = length_;
  segments_.push_back(all);
}

ElementRef SequenceDraft::RefOf(Element element) const {
  ElementRef ref;
  if (element == kSequenceStart || element == kSequenceEnd) return ref;
  const NamedElement name = lane_->NameOf(element);
  ref.place =
      name.op.writer == self_ ? ElementRef::Place::kThisLog : ElementRef::Place::kLog;
  if (name.op.writer != self_) ref.writer = writers_->key(name.op.writer).view();
  ref.position = name.op.position;
  ref.op_index = name.op.op_index;
  ref.offset = name.offset;
  return ref;
}

ElementRef SequenceDraft::RefOf(const Segment& segment, std::uint64_t offset) {
  ElementRef ref;
  ref.place = ElementRef::Place::kThisCommit;
  ref.op_index = segment.op;
  ref.offset = segment.first + offset;
  return ref;
}

std::size_t SequenceDraft::SplitAt(std::uint64_t index) {
  if (index == 0) return 0;
  std::uint64_t before = 0;
  std::size_t at = 0;
  for (; before < index; ++at) {
    Segment& segment = segments_[at];
    if (segment.dead) continue;
    if (before + segment.count > index) {
      const std::uint64_t kept = index - before;
      Segment rest = segment;
      rest.first += kept;
      rest.count -= kept;
      segment.count = kept;
      segments_.insert(segments_.begin() + static_cast<std::ptrdiff_t>(at) + 1, rest);
      return at + 1;
    }
    before += segment.count;
  }
  return at;
}

SequenceDraftOp* SequenceDraft::Insert(std::uint64_t index, std::string_view content,
                                       std::uint64_t count, std::uint32_t number,
                                       std::size_t content_max) {
  const std::size_t at = SplitAt(index);
  Segment added;
  added.is_new = true;
  added.count = count;
  added.op = number;
  ElementRef left;
  Segment* before = at == 0 ? nullptr : &segments_[at - 1];
  if (before != nullptr && before->is_new) {
    left = RefOf(*before, before->count - 1);
    added.anchor = before->anchor;
  } else if (before != nullptr) {
    added.anchor = lane_->At(before->first + before->count - 1);
    left = RefOf(added.anchor);
  }
  ElementRef right;
  if (at < segments_.size() && segments_[at].is_new) {
    right = RefOf(segments_[at], 0);
  } else if (lane_ != nullptr) {
    right = RefOf(lane_->Next(added.anchor));
  }
  length_ += count;
  SequenceDraftOp* last = ops_.empty() ? nullptr : &ops_.back();
  if (before != nullptr && before->is_new && !before->dead && last != nullptr &&
      last->type == OpType::kInsert && last->number == before->op &&
      before->first + before->count == last->count && Same(last->edit.right, right) &&
      last->content.size() + content.size() <= content_max && !last->content.empty()) {
    last->content.append(content);
    last->count += count;
    before->count += count;
    return last;
  }
  segments_.insert(segments_.begin() + static_cast<std::ptrdiff_t>(at), added);
  SequenceDraftOp& op = ops_.emplace_back();
  op.number = number;
  op.edit.left = left;
  op.edit.right = right;
  op.content = content;
  op.count = count;
  return &op;
}

void SequenceDraft::AddRanges(const Segment& segment,
                              std::vector<ElementRange>* ranges) const {
  if (segment.is_new) {
    AddRange({RefOf(segment, 0), segment.count}, ranges);
    return;
  }
  for (std::uint64_t done = 0; done < segment.count;) {
    const Element first = lane_->At(segment.first + done);
    const std::uint64_t run = lane_->LiveRun(first, segment.count - done);
    AddRange({RefOf(first), run}, ranges);
    done += run;
  }
}

SequenceDraftOp* SequenceDraft::Cut(std::uint64_t index, std::uint64_t count,
                                    std::uint32_t number) {
  SequenceDraftOp* op = ops_.empty() ? nullptr : &ops_.back();
  if (op == nullptr || op->type != OpType::kCut) {
    op = &ops_.emplace_back();
    op->type = OpType::kCut;
    op->number = number;
  }
  const std::size_t first = SplitAt(index);
  const std::size_t end = SplitAt(index + count);
  for (std::size_t at = first; at < end; ++at) {
    if (segments_[at].dead) continue;
    AddRanges(segments_[at], &op->edit.ranges);
    segments_[at].dead = true;
  }
  length_ -= count;
  return op;
}

void SequenceDraft::Clear() {
  for (Segment& segment : segments_) segment.dead = true;
  length_ = 0;
}

}  // namespace weft
