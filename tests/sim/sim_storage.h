// The simulated disk: Storage that knows what was synced, and loses the rest.
//
// A crash keeps every durable commit, then a prefix of the logged ones that were not
// synced, and a prefix of the volatile ones; a volatile one that stays brings all
// logged ones before it along. Which prefixes is drawn from the seed, and so is, once
// volatile commits pile up, the moment at which they are written out by themselves.
// A failed commit is not visible; of one that failed with kBroken nobody knows, until
// the next crash, whether it got to the disk.

#pragma once

#include <deque>
#include <optional>

#include "engine/memory_storage.h"
#include "tests/sim/sim_random.h"

namespace weft::sim {

enum class DiskFault { kFull, kBroken };  // ENOSPC, EIO

// For one thread, as a simulation is.
class SimStorage final : public Storage {
 public:
  enum class Loss { kNothing, kEverything, kSome };  // of what is not durable

  explicit SimStorage(std::uint64_t seed);

  // The process dies and the disk is opened again, healed of its faults. Snapshots and
  // cursors from before must not be used any more. `loss` absent: drawn from the seed.
  void Crash(std::optional<Loss> loss = std::nullopt);

  // Another disk with all that this one shows now, durable there.
  std::unique_ptr<SimStorage> Copy(std::uint64_t seed);

  // The `nth` write from now (1 is the next; commits, syncs and flushes count) fails,
  // and every one after it until Crash.
  void FailWrite(std::uint64_t nth, DiskFault fault);
  // Commits, syncs and flushes so far: where a sweep can make one fail.
  std::uint64_t writes() const { return writes_; }
  // Commits that a crash could lose.
  std::size_t undurable() const { return pending_.size(); }

  absl::StatusOr<std::optional<Bytes>> Get(Family family, ByteView key,
                                           const StorageSnapshot* snapshot) override;
  absl::StatusOr<std::vector<std::optional<Bytes>>> MultiGet(
      Family family, std::span<const Bytes> keys,
      const StorageSnapshot* snapshot) override;
  std::unique_ptr<StorageCursor> Scan(Family family, const ScanRange& range,
                                      const StorageSnapshot* snapshot) override;
  std::shared_ptr<const StorageSnapshot> TakeSnapshot() override;
  absl::Status Commit(const StorageBatch& batch, Durability durability) override;
  absl::Status Sync() override;
  absl::Status Flush() override;

 private:
  struct Pending {
    StorageBatch batch;
    bool is_volatile = false;
    bool synced = false;  // on the disk, but something volatile came before it
  };

  // Counts a write and says whether it fails.
  absl::Status Write();
  // Makes the first `count` pending commits durable.
  void Settle(std::size_t count);
  // Which pending commits a crash leaves, in order.
  std::vector<bool> DrawSurvivors(Loss loss);

  SimRandom random_;
  std::unique_ptr<MemoryStorage> durable_;
  std::unique_ptr<MemoryStorage> live_;   // durable_ and all that is pending
  std::deque<Pending> pending_;           // in the order of the commits
  std::optional<StorageBatch> doubtful_;  // failed, and may be on the disk
  std::uint64_t writes_ = 0;
  std::uint64_t failing_write_ = 0;  // 0: none
  DiskFault fault_ = DiskFault::kFull;
  absl::Status failed_;
};

}  // namespace weft::sim
