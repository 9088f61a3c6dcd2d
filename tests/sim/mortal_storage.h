// The disk as one life of a process sees it: everything passes until the process dies,
// and nothing does afterwards, so that what a dead process left behind on the executor
// cannot write any more. It can die inside a commit, which no crash from outside could.

#pragma once

#include <functional>
#include <string>
#include <utility>

#include "engine/storage.h"

namespace weft::sim {

class MortalStorage final : public Storage {
 public:
  explicit MortalStorage(Storage* disk) : disk_(disk) {}  // not owned

  void Kill() { dead_ = true; }
  // Dies in the n-th commit or sync from now, before or after the disk has taken it,
  // and then calls `dying`.
  void KillAt(std::uint64_t n, bool taken, std::function<void()> dying) {
    countdown_ = n;
    taken_ = taken;
    dying_ = std::move(dying);
  }
  void KillNever() { countdown_ = 0; }
  // A write has failed: from then on none gets to the disk.
  bool has_failed() const { return failed_; }
  // A planted bug: says that it has synced and has not.
  void set_lies(bool lies) { lies_ = lies; }
  // Another: keeps no row of kMeta whose key begins with this.
  void set_loses(std::string prefix) { loses_ = std::move(prefix); }

  absl::StatusOr<std::optional<Bytes>> Get(Family family, ByteView key,
                                           const StorageSnapshot* snapshot) override {
    if (dead_) return Dead();
    return disk_->Get(family, key, snapshot);
  }
  absl::StatusOr<std::vector<std::optional<Bytes>>> MultiGet(
      Family family, std::span<const Bytes> keys,
      const StorageSnapshot* snapshot) override {
    if (dead_) return Dead();
    return disk_->MultiGet(family, keys, snapshot);
  }
  // What a dead process reads nobody sees, so that these need no guard.
  std::unique_ptr<StorageCursor> Scan(Family family, const ScanRange& range,
                                      const StorageSnapshot* snapshot) override {
    return disk_->Scan(family, range, snapshot);
  }
  std::shared_ptr<const StorageSnapshot> TakeSnapshot() override {
    return disk_->TakeSnapshot();
  }
  absl::Status Commit(const StorageBatch& batch, Durability durability) override {
    if (lies_ && durability == Durability::kSynced) durability = Durability::kLogged;
    if (loses_.empty()) return Write([&] { return disk_->Commit(batch, durability); });
    StorageBatch kept;
    for (const StorageBatch::Change& change : batch.changes()) {
      using Kind = StorageBatch::Change::Kind;
      if (change.kind == Kind::kDelete) kept.Delete(change.family, change.key);
      if (change.kind == Kind::kDeleteRange) {
        kept.DeleteRange(change.family, change.key, change.value);
      }
      const bool is_lost =
          change.family == Family::kMeta && AsText(change.key).starts_with(loses_);
      if (change.kind == Kind::kPut && !is_lost) {
        kept.Put(change.family, change.key, change.value);
      }
    }
    return Write([&] { return disk_->Commit(kept, durability); });
  }
  absl::Status Sync() override {
    if (lies_) return dead_ ? Dead() : absl::OkStatus();
    return Write([&] { return disk_->Sync(); });
  }
  absl::Status Flush() override {
    return Write([&] { return disk_->Flush(); });
  }

 private:
  static absl::Status Dead() { return absl::UnavailableError("the process is dead"); }

  template <class Call>
  absl::Status Write(Call call) {
    if (dead_) return Dead();
    if (countdown_ == 0 || --countdown_ > 0) {
      absl::Status status = call();
      failed_ = failed_ || !status.ok();
      return status;
    }
    if (taken_) call().IgnoreError();
    dead_ = true;
    dying_();
    return Dead();
  }

  Storage* disk_;
  bool dead_ = false;
  bool failed_ = false;
  bool lies_ = false;
  std::string loses_;
  std::uint64_t countdown_ = 0;  // 0: never
  bool taken_ = false;
  std::function<void()> dying_;
};

}  // namespace weft::sim
