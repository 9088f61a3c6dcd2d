// The stored bytes of blocks: small neighbours written together share a row.
//
// row := count:uint length:uint{count} byte*      the blocks one behind the other
//
// A row's key is its first block, so the row of a block is the last one at or before
// it. Rows never overlap and hold no block that is not held. What a row says is not
// trusted: every reader hashes a block against its leaf.
// Not thread-safe: rows live on the strand of their store.

#pragma once

#include <list>
#include <memory>
#include <span>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "engine/storage.h"

namespace weft {

inline constexpr std::size_t kRowBlocksMax = 64;
inline constexpr std::size_t kRowBytesMax = 16 * 1024;  // unless it is a single block

// Neighbouring blocks in memory: one row, or several read ahead.
class BlockRow {
 public:
  explicit BlockRow(std::uint64_t first) : first_(first) {}

  std::uint64_t first() const { return first_; }
  std::uint64_t end() const { return first_ + ends_.size(); }
  bool Contains(std::uint64_t block_index) const {
    return first_ <= block_index && block_index < end();
  }
  // The view is valid as long as the row.
  ByteView Block(std::uint64_t block_index) const;
  std::size_t bytes() const { return bytes_.size(); }

  // Adds what a stored row holds behind what is here.
  // DATA_LOSS  not a row
  absl::Status Extend(ByteView stored);

 private:
  std::uint64_t first_;
  std::vector<std::size_t> ends_;  // of each block in bytes_
  Bytes bytes_;
};

// The rows read last, one a core.
class BlockRowCache {
 public:
  explicit BlockRowCache(std::size_t capacity) : capacity_(capacity) {}
  // Null if none of the core is here.
  std::shared_ptr<const BlockRow> Get(std::uint64_t core);
  void Put(std::uint64_t core, std::shared_ptr<const BlockRow> row);
  void EraseCore(std::uint64_t core);

 private:
  using Entry = std::pair<std::uint64_t, std::shared_ptr<const BlockRow>>;
  std::size_t capacity_;
  std::list<Entry> entries_;  // the last used in front
  absl::flat_hash_map<std::uint64_t, std::list<Entry>::iterator> places_;
};

// The blocks of one core. `storage` and `cache` must outlive it.
class BlockRows {
 public:
  BlockRows(Storage* storage, BlockRowCache* cache, std::uint64_t core)
      : storage_(storage), cache_(cache), core_(core) {}

  // A row that contains the block, which must be held; a call for the block behind the
  // last one reads ahead.
  // DATA_LOSS  there is none
  absl::StatusOr<std::shared_ptr<const BlockRow>> Find(std::uint64_t block_index) const;

  // Adds the rows of `blocks`, the first of which is block `first`, to the batch.
  void Stage(std::uint64_t first, std::span<const ByteView> blocks,
             StorageBatch* batch) const;
  // Deletes blocks [from, to), rewriting the rows that the ends cut through. Applies
  // to what is stored, not to what the batch adds.
  absl::Status StageClear(std::uint64_t from, std::uint64_t to,
                          StorageBatch* batch) const;
  // After a batch with StageClear was committed.
  void Forget() const { cache_->EraseCore(core_); }

 private:
  absl::StatusOr<std::shared_ptr<BlockRow>> Read(std::uint64_t block_index) const;
  absl::StatusOr<std::shared_ptr<BlockRow>> ReadFirst() const;
  absl::StatusOr<std::shared_ptr<BlockRow>> ReadAhead(std::uint64_t first) const;

  Storage* storage_;
  BlockRowCache* cache_;
  std::uint64_t core_;
};

}  // namespace weft
