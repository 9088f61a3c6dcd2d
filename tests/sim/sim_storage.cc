#include "tests/sim/sim_storage.h"

#include "engine/check.h"

namespace weft::sim {
namespace {

// A real store writes volatile commits out by itself when they take too much memory.
constexpr std::size_t kPendingMax = 4096;

absl::Status StatusOf(DiskFault fault) {
  return fault == DiskFault::kFull
             ? absl::ResourceExhaustedError("simulated disk: full")
             : absl::UnavailableError("simulated disk: broken");
}

}  // namespace

SimStorage::SimStorage(std::uint64_t seed)
    : random_(seed),
      durable_(std::make_unique<MemoryStorage>()),
      live_(std::make_unique<MemoryStorage>()) {}

absl::StatusOr<std::optional<Bytes>> SimStorage::Get(Family family, ByteView key,
                                                     const StorageSnapshot* snapshot) {
  return live_->Get(family, key, snapshot);
}

absl::StatusOr<std::vector<std::optional<Bytes>>> SimStorage::MultiGet(
    Family family, std::span<const Bytes> keys, const StorageSnapshot* snapshot) {
  return live_->MultiGet(family, keys, snapshot);
}

std::unique_ptr<StorageCursor> SimStorage::Scan(Family family, const ScanRange& range,
                                                const StorageSnapshot* snapshot) {
  return live_->Scan(family, range, snapshot);
}

std::shared_ptr<const StorageSnapshot> SimStorage::TakeSnapshot() {
  return live_->TakeSnapshot();
}

std::unique_ptr<SimStorage> SimStorage::Copy(std::uint64_t seed) {
  auto copy = std::make_unique<SimStorage>(seed);
  for (const Family family :
       {Family::kMeta, Family::kCores, Family::kBlocks, Family::kView}) {
    StorageBatch batch;
    auto rows = live_->Scan(family, ScanRange{}, nullptr);
    for (; rows->valid(); rows->Next()) {
      batch.Put(family, ToBytes(rows->key()), ToBytes(rows->value()));
    }
    WEFT_CHECK(copy->Commit(batch, Durability::kSynced).ok());
  }
  return copy;
}

void SimStorage::FailWrite(std::uint64_t nth, DiskFault fault) {
  WEFT_CHECK(nth > 0);
  failing_write_ = writes_ + nth;
  fault_ = fault;
}

absl::Status SimStorage::Write() {
  ++writes_;
  if (failed_.ok() && writes_ == failing_write_) failed_ = StatusOf(fault_);
  return failed_;
}

absl::Status SimStorage::Commit(const StorageBatch& batch, Durability durability) {
  const bool is_volatile = durability == Durability::kVolatile;
  WEFT_CHECK(!is_volatile || batch.TouchesOnly(Family::kView));
  const bool was_sound = failed_.ok();
  if (const absl::Status status = Write(); !status.ok()) {
    if (was_sound && fault_ == DiskFault::kBroken && !is_volatile) doubtful_ = batch;
    return status;
  }
  WEFT_RETURN_IF_ERROR(live_->Commit(batch, durability));
  pending_.push_back({batch, is_volatile, false});
  if (durability == Durability::kSynced) {
    for (Pending& pending : pending_) pending.synced = !pending.is_volatile;
  }
  std::size_t settled = 0;
  while (settled < pending_.size() && pending_[settled].synced) ++settled;
  if (pending_.size() - settled > kPendingMax) settled = 1 + random_.Below(kPendingMax);
  Settle(settled);
  return absl::OkStatus();
}

absl::Status SimStorage::Sync() {
  WEFT_RETURN_IF_ERROR(Write());
  for (Pending& pending : pending_) pending.synced = !pending.is_volatile;
  std::size_t settled = 0;
  while (settled < pending_.size() && pending_[settled].synced) ++settled;
  Settle(settled);
  return absl::OkStatus();
}

absl::Status SimStorage::Flush() {
  WEFT_RETURN_IF_ERROR(Write());
  Settle(pending_.size());
  return absl::OkStatus();
}

void SimStorage::Settle(std::size_t count) {
  for (; count > 0; --count) {
    const absl::Status status =
        durable_->Commit(pending_.front().batch, Durability::kSynced);
    WEFT_CHECK(status.ok());
    pending_.pop_front();
  }
}

std::vector<bool> SimStorage::DrawSurvivors(Loss loss) {
  std::vector<bool> survives(pending_.size(), loss == Loss::kNothing);
  if (loss == Loss::kNothing) return survives;
  // Each of the two kinds keeps what lies before its end.
  std::size_t logged_end = 0;
  std::size_t volatile_end = 0;
  if (loss == Loss::kSome) {
    logged_end = random_.Below(pending_.size() + 1);
    volatile_end = random_.Below(pending_.size() + 1);
  }
  for (std::size_t i = 0; i < pending_.size(); ++i) {
    const bool brings_the_log = pending_[i].is_volatile && i < volatile_end;
    if (pending_[i].synced || brings_the_log) logged_end = std::max(logged_end, i + 1);
  }
  for (std::size_t i = 0; i < pending_.size(); ++i) {
    survives[i] = i < (pending_[i].is_volatile ? volatile_end : logged_end);
  }
  return survives;
}

void SimStorage::Crash(std::optional<Loss> loss) {
  const auto drawn = static_cast<Loss>(random_.Below(3));
  const std::vector<bool> survives = DrawSurvivors(loss.value_or(drawn));
  bool whole_log = true;
  std::deque<Pending> left;
  for (std::size_t i = 0; i < pending_.size(); ++i) {
    if (survives[i]) {
      left.push_back(std::move(pending_[i]));
    } else if (!pending_[i].is_volatile) {
      whole_log = false;
    }
  }
  const bool doubt_resolved = random_.Chance(0.5);
  if (doubtful_ && whole_log && doubt_resolved)
    left.push_back({*doubtful_, false, true});
  pending_ = std::move(left);
  Settle(pending_.size());
  doubtful_.reset();
  failed_ = absl::OkStatus();
  failing_write_ = 0;
  live_ = std::make_unique<MemoryStorage>();
  StorageBatch all;
  for (std::size_t i = 0; i < kFamilyCount; ++i) {
    const auto family = static_cast<Family>(i);
    for (auto cursor = durable_->Scan(family, {}, nullptr); cursor->valid();
         cursor->Next()) {
      all.Put(family, ToBytes(cursor->key()), ToBytes(cursor->value()));
    }
  }
  WEFT_CHECK(live_->Commit(all, Durability::kSynced).ok());
}

}  // namespace weft::sim
