// Storage: ordered bytes on a disk, with atomic batches and a plain word on what is
// durable when. Everything of one core that must change together is one batch.
//
// There are four families (engine/key_layout.h has every key). A batch commits whole
// or not at all, across families. Three levels:
//   kSynced    on the disk when Commit returns
//   kLogged    in the write-ahead log: survives a crash of the process, and a crash
//              of the machine once a later kSynced commit or Sync returns
//   kVolatile  survives neither before Flush; whole batches are lost, newest first.
//              A volatile batch may touch kView only, so that this order holds.
//              One that does survive brings every kLogged commit before it along.
// Thread-safe. Every error of the disk is final for the object: after one failed
// write all further writes fail with the same status, nothing is retried, and reads
// go on answering from what was committed before.
//   RESOURCE_EXHAUSTED  the disk is full; nothing of the batch was written
//   DATA_LOSS           a checksum failed
//   UNAVAILABLE         any other error of the disk; the batch is not visible, but
//                       may turn up when the storage is next opened

#pragma once

#include <algorithm>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/bytes.h"
#include "engine/status.h"

namespace weft {

enum class Family : std::uint8_t { kMeta = 0, kCores = 1, kBlocks = 2, kView = 3 };
inline constexpr std::size_t kFamilyCount = 4;

enum class Durability { kSynced, kLogged, kVolatile };

// The changes of one commit, applied in order.
class StorageBatch {
 public:
  struct Change {
    enum class Kind : std::uint8_t { kPut, kDelete, kDeleteRange };
    Kind kind;
    Family family;
    Bytes key;    // for kDeleteRange the first key deleted
    Bytes value;  // for kDeleteRange the first key not deleted
  };

  void Put(Family family, Bytes key, Bytes value) {
    bytes_ += key.size() + value.size();
    changes_.push_back({Change::Kind::kPut, family, std::move(key), std::move(value)});
  }
  void Delete(Family family, Bytes key) {
    changes_.push_back({Change::Kind::kDelete, family, std::move(key), {}});
  }
  // Deletes from <= key < to.
  void DeleteRange(Family family, Bytes from, Bytes to) {
    changes_.push_back(
        {Change::Kind::kDeleteRange, family, std::move(from), std::move(to)});
  }
  // Moves the changes of `other` behind these.
  void Append(StorageBatch other) {
    bytes_ += other.bytes_;
    if (changes_.empty()) {
      changes_ = std::move(other.changes_);
    } else {
      std::ranges::move(other.changes_, std::back_inserter(changes_));
    }
  }
  void Clear() {
    changes_.clear();
    bytes_ = 0;
  }
  bool empty() const { return changes_.empty(); }
  // True if no other family is touched.
  bool TouchesOnly(Family family) const;
  std::size_t bytes() const { return bytes_; }
  const std::vector<Change>& changes() const { return changes_; }

 private:
  std::vector<Change> changes_;
  std::size_t bytes_ = 0;
};

// What the storage held at one moment. Immutable; any thread may hold and use it.
class StorageSnapshot {
 public:
  virtual ~StorageSnapshot() = default;
};

// Walks one family within [from, to) in byte order or, reversed, from the last.
// Views are valid until the next call of Next. Not thread-safe.
class StorageCursor {
 public:
  virtual ~StorageCursor() = default;
  virtual bool valid() const = 0;
  virtual ByteView key() const = 0;
  virtual ByteView value() const = 0;
  virtual void Next() = 0;
  // Why valid() turned false: OK at the end of the range.
  virtual absl::Status status() const = 0;
};

struct ScanRange {
  Bytes from = {};               // empty: from the first key
  std::optional<Bytes> to = {};  // absent: to the last key
  bool reverse = false;
};

class Storage {
 public:
  virtual ~Storage() = default;

  // The value, or nullopt if there is none. `snapshot` null reads the newest state.
  virtual absl::StatusOr<std::optional<Bytes>> Get(
      Family family, ByteView key, const StorageSnapshot* snapshot = nullptr) = 0;
  // As Get for each key, in the order of `keys`.
  virtual absl::StatusOr<std::vector<std::optional<Bytes>>> MultiGet(
      Family family, std::span<const Bytes> keys,
      const StorageSnapshot* snapshot = nullptr) = 0;
  // The storage and the snapshot must outlive the cursor. Without a snapshot the
  // cursor sees the state of the moment of this call.
  virtual std::unique_ptr<StorageCursor> Scan(
      Family family, const ScanRange& range,
      const StorageSnapshot* snapshot = nullptr) = 0;
  virtual std::shared_ptr<const StorageSnapshot> TakeSnapshot() = 0;

  // OK, or why nothing that is to last can be written any more.
  virtual absl::Status Writable() const { return absl::OkStatus(); }
  virtual absl::Status Commit(const StorageBatch& batch, Durability durability) = 0;
  // Makes every kLogged commit so far durable.
  virtual absl::Status Sync() = 0;
  // Makes every commit so far durable, the volatile ones too.
  virtual absl::Status Flush() = 0;
  // Gives back to the disk what the ranges took that were deleted since the last call.
  // Takes as long as it takes to write their neighbours anew. Backends that free at
  // once have nothing to do.
  virtual absl::Status Reclaim() { return absl::OkStatus(); }
};

// The first key after all keys that start with `prefix`; nullopt if there is none.
std::optional<Bytes> PrefixEnd(ByteView prefix);

}  // namespace weft
