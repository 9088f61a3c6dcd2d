// The feeds that a person has blocked: neither fetched nor served, on any connection,
// over restarts. A feed can be blocked before the store has it.

#pragma once

#include <memory>
#include <set>

#include "engine/crypto.h"
#include "engine/storage.h"

namespace weft {

// Not thread-safe: lives on the strand of the store.
class BlockedFeeds {
 public:
  // `storage` must outlive it.  Errors of the disk
  static absl::StatusOr<BlockedFeeds> Load(Storage* storage);

  bool contains(const CoreKey& key) const { return keys_.contains(key); }
  const std::set<CoreKey>& keys() const { return keys_; }
  // Durable when it returns; nothing happens to one that is blocked.
  absl::Status Add(const CoreKey& key);
  // NOT_FOUND  it is not blocked
  absl::Status Remove(const CoreKey& key);

 private:
  explicit BlockedFeeds(Storage* storage) : storage_(storage) {}

  Storage* storage_;  // not owned
  std::set<CoreKey> keys_;
};

}  // namespace weft
