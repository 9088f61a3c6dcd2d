#include "engine/tree_pages.h"

#include <algorithm>
#include <bit>

#include "absl/strings/str_format.h"
#include "engine/codec.h"
#include "engine/key_layout.h"

namespace weft {
namespace {

using flat_tree::Depth;
using flat_tree::LeftChild;
using flat_tree::RightChild;

constexpr std::uint64_t kLevels = 11;  // depth 52 is of level 11, and no node is there

std::size_t SlotsOf(std::uint64_t level) {
  return level == 0 ? 63 : 31;
}

// The blocks below one page of a level, as a power of two.
std::uint64_t BlocksShift(std::uint64_t level) {
  return 5 + 5 * level;
}

}  // namespace

TreeSlot SlotOf(std::uint64_t tree_index) {
  const auto depth = static_cast<std::uint64_t>(Depth(tree_index));
  if (depth <= 5) {
    return {0, tree_index >> 6, static_cast<std::size_t>(tree_index & 63)};
  }
  const std::uint64_t level = (depth - 1) / 5;
  const std::uint64_t local = flat_tree::Index(static_cast<int>(depth - 5 * level - 1),
                                               flat_tree::Offset(tree_index));
  return {level, local >> 5, static_cast<std::size_t>(local & 31)};
}

std::uint64_t TreeIndexOf(std::uint64_t level, std::uint64_t page, std::size_t slot) {
  if (level == 0) return (page << 6) + slot;
  const std::uint64_t local = (page << 5) + slot;
  return flat_tree::Index(Depth(local) + static_cast<int>(5 * level + 1),
                          flat_tree::Offset(local));
}

void TreePage::Truncate(std::uint64_t level, std::uint64_t page, std::uint64_t length) {
  for (std::size_t slot = 0; slot < SlotsOf(level); ++slot) {
    if (!flat_tree::IsComplete(TreeIndexOf(level, page, slot), length)) {
      present_ &= ~(std::uint64_t{1} << slot);
    }
  }
}

Bytes TreePage::Encode(std::uint64_t level) const {
  std::uint64_t stored = present_;
  for (std::size_t slot = 1; slot < SlotsOf(level); slot += 2) {
    if (Has(slot) && Has(LeftChild(slot)) && Has(RightChild(slot))) {
      stored &= ~(std::uint64_t{1} << slot);
    }
  }
  Bytes out;
  out.reserve(8 + 41 * static_cast<std::size_t>(std::popcount(stored)));
  Writer writer(&out);
  writer.U64(stored);
  for (std::uint64_t rest = stored; rest != 0; rest &= rest - 1) {
    const auto slot = static_cast<std::size_t>(std::countr_zero(rest));
    writer.Uint(sizes_[slot]);
    writer.Raw(hashes_[slot].view());
  }
  return out;
}

absl::StatusOr<TreePage> TreePage::Decode(std::uint64_t level, ByteView bytes) {
  Reader reader(bytes);
  TreePage page;
  page.present_ = reader.U64();
  const std::size_t slots = SlotsOf(level);
  if (page.present_ >> slots != 0) reader.Fail();
  for (std::uint64_t rest = page.present_; rest != 0 && reader.ok(); rest &= rest - 1) {
    const auto slot = static_cast<std::size_t>(std::countr_zero(rest));
    page.sizes_[slot] = reader.CanonicalUint();
    page.hashes_[slot] = reader.Fixed<TreeHash>();
  }
  if (!reader.ok() || !reader.done()) {
    return absl::DataLossError(
        absl::StrFormat("tree page of %d bytes is damaged", bytes.size()));
  }
  for (int depth = 1; depth <= (level == 0 ? 5 : 4); ++depth) {
    const std::size_t step = std::size_t{2} << depth;
    for (std::size_t slot = (step / 2) - 1; slot < slots; slot += step) {
      const std::size_t left = LeftChild(slot);
      const std::size_t right = RightChild(slot);
      if (page.Has(slot) || !page.Has(left) || !page.Has(right)) continue;
      page.Put(slot, MerkleTree::Join(page.At(left, left), page.At(right, right)));
    }
  }
  return page;
}

std::shared_ptr<const TreePage> TreePageCache::Get(const TreePageId& id) {
  // Neighbours are looked up one after the other.
  if (!entries_.empty() && entries_.front().first == id) return entries_.front().second;
  const auto place = places_.find(id);
  if (place == places_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, place->second);
  return place->second->second;
}

void TreePageCache::Put(const TreePageId& id, std::shared_ptr<const TreePage> page) {
  if (const auto place = places_.find(id); place != places_.end()) {
    place->second->second = std::move(page);
    entries_.splice(entries_.begin(), entries_, place->second);
    return;
  }
  entries_.emplace_front(id, std::move(page));
  places_.emplace(id, entries_.begin());
  if (entries_.size() > capacity_) {
    places_.erase(entries_.back().first);
    entries_.pop_back();
  }
}

void TreePageCache::EraseCore(std::uint64_t core) {
  for (auto entry = entries_.begin(); entry != entries_.end();) {
    if (entry->first.core == core) {
      places_.erase(entry->first);
      entry = entries_.erase(entry);
    } else {
      ++entry;
    }
  }
}

absl::StatusOr<std::shared_ptr<const TreePage>> StoredNodes::Page(
    std::uint64_t level, std::uint64_t page) const {
  const TreePageId id{core_, level, page};
  if (auto cached = cache_->Get(id)) return cached;
  WEFT_ASSIGN_OR_RETURN(
      const std::optional<Bytes> bytes,
      storage_->Get(Family::kCores,
                    keys::TreePage(core_, static_cast<std::uint8_t>(level), page)));
  auto loaded = std::make_shared<TreePage>();
  if (bytes) {
    WEFT_ASSIGN_OR_RETURN(*loaded, TreePage::Decode(level, *bytes));
  }
  cache_->Put(id, loaded);
  return std::shared_ptr<const TreePage>(std::move(loaded));
}

absl::StatusOr<std::optional<TreeNode>> StoredNodes::Find(
    std::uint64_t tree_index) const {
  if (tree_index > flat_tree::kTreeIndexMax) return std::optional<TreeNode>();
  const TreeSlot at = SlotOf(tree_index);
  WEFT_ASSIGN_OR_RETURN(const auto page, Page(at.level, at.page));
  if (!page->Has(at.slot)) return std::optional<TreeNode>();
  return std::optional(page->At(at.slot, tree_index));
}

const TreePage* NodeEditor::Edited(const PageNumber& number) const {
  if (last_ != nullptr && last_number_ == number) return last_;
  const auto found = pages_.find(number);
  if (found == pages_.end()) return nullptr;
  last_number_ = number;
  last_ = found->second.get();
  return last_;
}

bool NodeEditor::IsDropped(const PageNumber& number) const {
  return truncated_ && number.page << BlocksShift(number.level) >= *truncated_;
}

absl::StatusOr<TreePage*> NodeEditor::Open(const PageNumber& number) {
  if (Edited(number) != nullptr) return last_;
  auto page = std::make_shared<TreePage>();
  if (!IsDropped(number)) {
    WEFT_ASSIGN_OR_RETURN(const auto stored, base_->Page(number.level, number.page));
    *page = *stored;
    if (truncated_) page->Truncate(number.level, number.page, *truncated_);
  }
  last_ = page.get();
  last_number_ = number;
  pages_.emplace(number, std::move(page));
  return last_;
}

absl::StatusOr<std::optional<TreeNode>> NodeEditor::Find(
    std::uint64_t tree_index) const {
  if (tree_index > flat_tree::kTreeIndexMax) return std::optional<TreeNode>();
  const TreeSlot at = SlotOf(tree_index);
  const PageNumber number{at.level, at.page};
  if (const TreePage* page = Edited(number)) {
    if (!page->Has(at.slot)) return std::optional<TreeNode>();
    return std::optional(page->At(at.slot, tree_index));
  }
  if (truncated_ && !flat_tree::IsComplete(tree_index, *truncated_)) {
    return std::optional<TreeNode>();
  }
  return base_->Find(tree_index);
}

absl::Status NodeEditor::Put(const TreeNode& node) {
  const TreeSlot at = SlotOf(node.tree_index);
  const PageNumber number{at.level, at.page};
  if (Edited(number) == nullptr && !IsDropped(number)) {
    WEFT_ASSIGN_OR_RETURN(const auto stored, base_->Page(number.level, number.page));
    const bool cut = truncated_ && !flat_tree::IsComplete(node.tree_index, *truncated_);
    if (!cut && stored->Has(at.slot) && stored->At(at.slot, node.tree_index) == node) {
      return absl::OkStatus();
    }
  }
  WEFT_ASSIGN_OR_RETURN(TreePage* const page, Open(number));
  page->Put(at.slot, node);
  return absl::OkStatus();
}

absl::Status NodeEditor::Truncate(std::uint64_t length) {
  truncated_ = std::min(truncated_.value_or(length), length);
  last_ = nullptr;
  for (auto page = pages_.begin(); page != pages_.end();) {
    if (IsDropped(page->first)) {
      page = pages_.erase(page);
    } else {
      page->second->Truncate(page->first.level, page->first.page, length);
      ++page;
    }
  }
  // The pages the cut goes through lose some of their nodes; Open does that.
  for (std::uint64_t level = 0; level < kLevels; ++level) {
    const PageNumber number{level, length >> BlocksShift(level)};
    if (!IsDropped(number)) WEFT_RETURN_IF_ERROR(Open(number).status());
  }
  return absl::OkStatus();
}

void NodeEditor::Stage(StorageBatch* batch) const {
  const std::uint64_t core = base_->core();
  if (truncated_) {
    for (std::uint64_t level = 0; level < kLevels; ++level) {
      const std::uint64_t unit = std::uint64_t{1} << BlocksShift(level);
      const std::uint64_t first = (*truncated_ + unit - 1) / unit;
      const auto number = static_cast<std::uint8_t>(level);
      batch->DeleteRange(Family::kCores, keys::TreePage(core, number, first),
                         keys::TreePage(core, static_cast<std::uint8_t>(level + 1), 0));
    }
  }
  for (const auto& [number, page] : pages_) {
    Bytes key =
        keys::TreePage(core, static_cast<std::uint8_t>(number.level), number.page);
    if (page->empty()) {
      batch->Delete(Family::kCores, std::move(key));
    } else {
      batch->Put(Family::kCores, std::move(key), page->Encode(number.level));
    }
  }
}

void NodeEditor::Publish() {
  if (truncated_) base_->cache()->EraseCore(base_->core());
  for (auto& [number, page] : pages_) {
    base_->cache()->Put({base_->core(), number.level, number.page}, std::move(page));
  }
  pages_.clear();
  last_ = nullptr;
  truncated_.reset();
}

}  // namespace weft
