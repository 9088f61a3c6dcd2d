// Storage in memory, on one sorted map a family: for tests, examples and simulations.
//
// Every value carries the number of the commit that wrote it, and a key keeps its
// older values only as long as a snapshot or a cursor may still ask for them.
// Nothing survives the object, so all three durabilities mean the same here.

#pragma once

#include <memory>

#include "engine/storage.h"

namespace weft {

// Thread-safe. Snapshots and cursors may outlive it.
class MemoryStorage final : public Storage {
 public:
  MemoryStorage();
  ~MemoryStorage() override;

  absl::StatusOr<std::optional<Bytes>> Get(Family family, ByteView key,
                                           const StorageSnapshot* snapshot) override;
  absl::StatusOr<std::vector<std::optional<Bytes>>> MultiGet(
      Family family, std::span<const Bytes> keys,
      const StorageSnapshot* snapshot) override;
  std::unique_ptr<StorageCursor> Scan(Family family, const ScanRange& range,
                                      const StorageSnapshot* snapshot) override;
  std::shared_ptr<const StorageSnapshot> TakeSnapshot() override;
  // Never fails.
  absl::Status Commit(const StorageBatch& batch, Durability durability) override;
  absl::Status Sync() override { return absl::OkStatus(); }
  absl::Status Flush() override { return absl::OkStatus(); }

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace weft
