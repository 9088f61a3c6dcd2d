#include "crdt/element_ref.h"

#include <algorithm>

namespace weft {
namespace {

constexpr std::uint64_t kEdgeTag = 0;
constexpr std::uint64_t kThisBlockTag = 1;
constexpr std::uint64_t kThisLogTag = 2;
constexpr std::uint64_t kNewLogTag = 3;
constexpr std::uint64_t kKnownLogTag = 4;

// An op of this commit, by the block it came to stand in.
ElementRef Placed(const ElementRef& ref, const CommitLayout& layout) {
  const auto after =
      std::upper_bound(layout.first_ops.begin(), layout.first_ops.end(), ref.op_index);
  const auto block = static_cast<std::size_t>(after - layout.first_ops.begin()) - 1;
  ElementRef placed = ref;
  placed.op_index = ref.op_index - layout.first_ops[block];
  placed.place = ElementRef::Place::kThisBlock;
  if (block + 1 < layout.first_ops.size()) {
    placed.place = ElementRef::Place::kThisLog;
    placed.position = layout.first_position + block;
  }
  return placed;
}

}  // namespace

void ElementRefWriter::Write(const ElementRef& ref, const CommitLayout& layout,
                             Writer& out) {
  using Place = ElementRef::Place;
  if (ref.place == Place::kThisCommit) return Write(Placed(ref, layout), layout, out);
  if (ref.place == Place::kEdge) return out.Uint(kEdgeTag);
  if (ref.place == Place::kThisBlock) out.Uint(kThisBlockTag);
  if (ref.place == Place::kThisLog) out.Uint(kThisLogTag);
  if (ref.place == Place::kLog) {
    const auto [known, is_new] = writers_.emplace(AsText(ref.writer), writers_.size());
    if (is_new) {
      out.Uint(kNewLogTag);
      out.Raw(ref.writer);
    } else {
      out.Uint(kKnownLogTag + known->second);
    }
  }
  if (ref.place != Place::kThisBlock) out.Uint(ref.position);
  out.Uint(ref.op_index);
  out.Uint(ref.offset);
}

ElementRef ElementRefReader::Read(Reader& in) {
  using Place = ElementRef::Place;
  ElementRef ref;
  const std::uint64_t tag = in.CanonicalUint();
  if (tag == kEdgeTag) return ref;
  ref.place = tag == kThisBlockTag ? Place::kThisBlock
              : tag == kThisLogTag ? Place::kThisLog
                                   : Place::kLog;
  if (tag == kNewLogTag) {
    ref.writer = in.Raw(CoreKey::kSize);
    if (!named_.insert(AsText(ref.writer)).second) in.Fail();
    writers_.push_back(ref.writer);
  } else if (tag >= kKnownLogTag) {
    const std::uint64_t number = tag - kKnownLogTag;
    if (number >= writers_.size()) {
      in.Fail();
      return {};
    }
    ref.writer = writers_[static_cast<std::size_t>(number)];
  }
  if (ref.place != Place::kThisBlock) ref.position = in.CanonicalUint();
  const std::uint64_t op_index = in.CanonicalUint();
  if (op_index > UINT32_MAX) in.Fail();
  ref.op_index = static_cast<std::uint32_t>(op_index);
  ref.offset = in.CanonicalUint();
  return in.ok() ? ref : ElementRef{};
}

}  // namespace weft
