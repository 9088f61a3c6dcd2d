// The stored nodes of Merkle trees: pages of a subtree each, never a record per node.
//
// A page of level 0 holds the subtree of 32 blocks, depths 0 to 5; a page of level k
// the subtree above 32 pages of the level below, depths 5k+1 to 5k+5. Nodes are
// numbered within their page as a flat tree of its own: slots 0 to 62, or 0 to 30.
//
// tree page := stored:u64-LE node*     one node for each bit of `stored`, lowest first
// node      := size:uint hash:32
//
// A node whose two children are in the page is derived from them on reading instead of
// being stored: a full page of level 0 is 32 leaves, 1.1 KiB.
// Not thread-safe: pages live on the strand of their store.

#pragma once

#include <list>
#include <memory>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_map.h"
#include "engine/merkle_tree.h"
#include "engine/storage.h"

namespace weft {

struct TreePageId {
  std::uint64_t core = 0;
  std::uint64_t level = 0;
  std::uint64_t page = 0;
  bool operator==(const TreePageId&) const = default;
  template <class H>
  friend H AbslHashValue(H state, const TreePageId& id) {
    return H::combine(std::move(state), id.core, id.level, id.page);
  }
};

// Where a node lies.
struct TreeSlot {
  std::uint64_t level = 0;
  std::uint64_t page = 0;
  std::size_t slot = 0;
};
TreeSlot SlotOf(std::uint64_t tree_index);
// The inverse.
std::uint64_t TreeIndexOf(std::uint64_t level, std::uint64_t page, std::size_t slot);

class TreePage {
 public:
  static constexpr std::size_t kSlots = 63;

  bool empty() const { return present_ == 0; }
  bool Has(std::size_t slot) const { return (present_ >> slot) & 1; }
  TreeNode At(std::size_t slot, std::uint64_t tree_index) const {
    return {tree_index, sizes_[slot], hashes_[slot]};
  }
  void Put(std::size_t slot, const TreeNode& node) {
    present_ |= std::uint64_t{1} << slot;
    sizes_[slot] = node.size;
    hashes_[slot] = node.hash;
  }
  // Forgets every node not wholly within the first `length` blocks.
  void Truncate(std::uint64_t level, std::uint64_t page, std::uint64_t length);

  Bytes Encode(std::uint64_t level) const;
  // DATA_LOSS  not a page of that level
  static absl::StatusOr<TreePage> Decode(std::uint64_t level, ByteView bytes);

 private:
  std::uint64_t present_ = 0;
  std::array<std::uint64_t, kSlots> sizes_{};
  std::array<TreeHash, kSlots> hashes_{};
};

// The pages last used, of all cores of a store: idle cores keep none.
class TreePageCache {
 public:
  explicit TreePageCache(std::size_t capacity) : capacity_(capacity) {}
  // Null if it is not here.
  std::shared_ptr<const TreePage> Get(const TreePageId& id);
  void Put(const TreePageId& id, std::shared_ptr<const TreePage> page);
  void EraseCore(std::uint64_t core);

 private:
  using Entry = std::pair<TreePageId, std::shared_ptr<const TreePage>>;
  std::size_t capacity_;
  std::list<Entry> entries_;  // the last used in front
  absl::flat_hash_map<TreePageId, std::list<Entry>::iterator> places_;
};

// The nodes of one core as they are stored. `storage` and `cache` must outlive it.
class StoredNodes final : public NodeSource {
 public:
  StoredNodes(Storage* storage, TreePageCache* cache, std::uint64_t core)
      : storage_(storage), cache_(cache), core_(core) {}

  absl::StatusOr<std::optional<TreeNode>> Find(std::uint64_t tree_index) const override;
  // An empty page where nothing is stored. DATA_LOSS or an error of the disk
  absl::StatusOr<std::shared_ptr<const TreePage>> Page(std::uint64_t level,
                                                       std::uint64_t page) const;
  std::uint64_t core() const { return core_; }
  TreePageCache* cache() const { return cache_; }

 private:
  Storage* storage_;
  TreePageCache* cache_;
  std::uint64_t core_;
};

// Changes to the nodes of one core that are not stored yet. `base` must outlive it.
class NodeEditor final : public NodeSource {
 public:
  explicit NodeEditor(const StoredNodes* base) : base_(base) {}

  absl::StatusOr<std::optional<TreeNode>> Find(std::uint64_t tree_index) const override;
  // Nothing changes if the node is there already.
  absl::Status Put(const TreeNode& node);
  bool changed() const { return truncated_ || !pages_.empty(); }
  // Forgets every node not wholly within the first `length` blocks.
  absl::Status Truncate(std::uint64_t length);

  // Adds the changed pages to the batch.
  void Stage(StorageBatch* batch) const;
  // After the batch was committed: what was changed is what is cached.
  void Publish();

 private:
  struct PageNumber {
    std::uint64_t level = 0;
    std::uint64_t page = 0;
    auto operator<=>(const PageNumber&) const = default;
  };

  const TreePage* Edited(const PageNumber& number) const;
  // The page to change, copied from what is stored.
  absl::StatusOr<TreePage*> Open(const PageNumber& number);
  bool IsDropped(const PageNumber& number) const;

  const StoredNodes* base_;
  absl::btree_map<PageNumber, std::shared_ptr<TreePage>> pages_;
  // Neighbours come one after the other: the page of the last call.
  mutable PageNumber last_number_;
  mutable TreePage* last_ = nullptr;
  // The shortest length truncated to: pages wholly beyond it are no longer stored.
  std::optional<std::uint64_t> truncated_;
};

}  // namespace weft
