// Storage on RocksDB: one database for a whole store, four column families.
//
// kSynced commits share one disk sync among the threads that wait for one (group
// commit); kVolatile ones bypass the write-ahead log. RocksDB syncs the log before it
// writes out what came after it, which is what keeps a volatile batch from surviving
// a logged one that it follows. A clean close writes everything out, so that the next
// open has no log to replay; after a crash there are 32 MiB of it at most.
// The directory is engine/store_directory.h's; docs/formats.md has what is in it.
//
// A store on a full disk, or one that may not be written to, is opened for reading: no
// byte of its directory changes, every kLogged and kSynced commit fails with the
// reason, and volatile ones, which are of the view, are kept in memory until it is
// closed.

#pragma once

#include <memory>
#include <string_view>

#include "engine/storage.h"

namespace weft {

struct RocksOptions {
  bool create = false;  // make the store if there is none
  // For the block cache and the write buffers together.
  std::size_t memory_bytes = 64 << 20;
  // Where there is less room than this on the disk the store is opened for reading.
  std::uint64_t room_bytes_min = 1024 * 1024;
};

// Thread-safe. Snapshots and cursors keep the database open, and the store locked.
class RocksStorage final : public Storage {
 public:
  // Statuses as StoreDirectory::Open, and
  // RESOURCE_EXHAUSTED  the disk is full, and there is no store yet
  // DATA_LOSS           the database is damaged
  static absl::StatusOr<std::unique_ptr<RocksStorage>> Open(
      std::string_view path, const RocksOptions& options);
  // Writes everything out, unless a write failed before.
  ~RocksStorage() override;

  absl::StatusOr<std::optional<Bytes>> Get(Family family, ByteView key,
                                           const StorageSnapshot* snapshot) override;
  absl::StatusOr<std::vector<std::optional<Bytes>>> MultiGet(
      Family family, std::span<const Bytes> keys,
      const StorageSnapshot* snapshot) override;
  std::unique_ptr<StorageCursor> Scan(Family family, const ScanRange& range,
                                      const StorageSnapshot* snapshot) override;
  std::shared_ptr<const StorageSnapshot> TakeSnapshot() override;
  // The first failed write; of a store opened for reading, why it was:
  // RESOURCE_EXHAUSTED, or UNAVAILABLE where it may not be written to.
  absl::Status Writable() const override;
  absl::Status Commit(const StorageBatch& batch, Durability durability) override;
  absl::Status Sync() override;
  absl::Status Flush() override;
  absl::Status Reclaim() override;

 private:
  class Database;
  class Snapshot;
  class Cursor;
  explicit RocksStorage(std::shared_ptr<Database> database);

  std::shared_ptr<Database> database_;
};

}  // namespace weft
