#include "engine/memory_storage.h"

#include <map>
#include <mutex>
#include <set>

#include "engine/check.h"

namespace weft {
namespace {

constexpr std::uint64_t kNewest = ~std::uint64_t{0};
// A cursor copies this many entries at a time, so that it need not hold the lock.
constexpr std::size_t kCursorEntries = 64;

struct BytesLess {
  using is_transparent = void;
  bool operator()(ByteView a, ByteView b) const { return Compare(a, b) < 0; }
};

struct Version {
  std::uint64_t commit = 0;
  std::optional<Bytes> value;  // absent: deleted
};

// Oldest first; never empty.
using Versions = std::vector<Version>;
using Table = std::map<Bytes, Versions, BytesLess>;

const std::optional<Bytes>* VisibleAt(const Versions& versions, std::uint64_t commit) {
  for (std::size_t i = versions.size(); i-- > 0;) {
    if (versions[i].commit > commit) continue;
    return versions[i].value ? &versions[i].value : nullptr;
  }
  return nullptr;
}

}  // namespace

struct MemoryStorage::State {
  std::mutex mutex;  // held by whoever reads or writes what follows
  std::array<Table, kFamilyCount> tables;
  std::uint64_t newest = 0;
  // The commit numbers that snapshots and cursors read at.
  std::multiset<std::uint64_t> held;
  // Keys with more than one plain value; trimmed when nothing is held any more.
  std::vector<std::pair<Family, Bytes>> stale;

  Table& table(Family family) { return tables[static_cast<std::size_t>(family)]; }

  void Apply(const StorageBatch::Change& change) {
    using Kind = StorageBatch::Change::Kind;
    Table& rows = table(change.family);
    if (change.kind == Kind::kPut) {
      Set(change.family, rows.try_emplace(change.key).first, change.value);
    } else if (change.kind == Kind::kDelete) {
      if (auto row = rows.find(change.key); row != rows.end()) {
        Set(change.family, row, std::nullopt);
      }
    } else if (Compare(change.key, change.value) < 0) {
      const auto end = rows.lower_bound(change.value);
      for (auto row = rows.lower_bound(change.key); row != end;) {
        Set(change.family, row++, std::nullopt);
      }
    }
  }

  // May erase the row.
  void Set(Family family, Table::iterator row, std::optional<Bytes> value) {
    Versions& versions = row->second;
    if (held.empty() || (!versions.empty() && versions.back().commit == newest)) {
      if (held.empty()) versions.clear();
      if (!versions.empty()) versions.pop_back();
    }
    versions.push_back({newest, std::move(value)});
    if (versions.size() == 1 && versions.front().value) return;
    if (versions.size() == 1 && held.empty()) {
      table(family).erase(row);
    } else {
      stale.emplace_back(family, row->first);
    }
  }

  void Release(std::uint64_t commit) {
    const std::lock_guard<std::mutex> lock(mutex);
    held.erase(held.find(commit));
    if (!held.empty()) return;
    for (const auto& [family, key] : stale) {
      const auto row = table(family).find(key);
      if (row == table(family).end()) continue;
      row->second.erase(row->second.begin(), row->second.end() - 1);
      if (!row->second.front().value) table(family).erase(row);
    }
    stale.clear();
  }

  class Snapshot;
  class Cursor;
};

class MemoryStorage::State::Snapshot final : public StorageSnapshot {
 public:
  explicit Snapshot(std::shared_ptr<State> state) : state_(std::move(state)) {
    const std::lock_guard<std::mutex> lock(state_->mutex);
    commit_ = state_->newest;
    state_->held.insert(commit_);
  }
  ~Snapshot() override { state_->Release(commit_); }

  static std::uint64_t CommitOf(const StorageSnapshot* snapshot) {
    return snapshot == nullptr ? kNewest
                               : static_cast<const Snapshot*>(snapshot)->commit_;
  }

 private:
  const std::shared_ptr<State> state_;
  std::uint64_t commit_ = 0;
};

class MemoryStorage::State::Cursor final : public StorageCursor {
 public:
  // `own` is set if the caller named no snapshot.
  Cursor(std::shared_ptr<State> state, Family family, ScanRange range,
         std::shared_ptr<const StorageSnapshot> own, std::uint64_t commit)
      : state_(std::move(state)),
        own_(std::move(own)),
        family_(family),
        range_(std::move(range)),
        commit_(commit) {
    Fetch();
  }

  bool valid() const override { return position_ < entries_.size(); }
  ByteView key() const override { return entries_[position_].first; }
  ByteView value() const override { return entries_[position_].second; }
  absl::Status status() const override { return absl::OkStatus(); }

  void Next() override {
    if (++position_ < entries_.size() || entries_.size() < kCursorEntries) return;
    Bytes last = std::move(entries_.back().first);
    if (range_.reverse) {
      range_.to = std::move(last);
    } else {
      last.push_back(0);  // the next key in byte order
      range_.from = std::move(last);
    }
    Fetch();
  }

 private:
  void Fetch() {
    entries_.clear();
    position_ = 0;
    if (range_.to && Compare(range_.from, *range_.to) >= 0) return;
    const std::lock_guard<std::mutex> lock(state_->mutex);
    const Table& rows = state_->table(family_);
    auto row = rows.lower_bound(range_.from);
    auto end = range_.to ? rows.lower_bound(*range_.to) : rows.end();
    while (row != end && entries_.size() < kCursorEntries) {
      const auto here = range_.reverse ? --end : row++;
      if (const auto* value = VisibleAt(here->second, commit_)) {
        entries_.emplace_back(here->first, **value);
      }
    }
  }

  const std::shared_ptr<State> state_;
  const std::shared_ptr<const StorageSnapshot> own_;
  const Family family_;
  ScanRange range_;
  const std::uint64_t commit_;
  std::vector<std::pair<Bytes, Bytes>> entries_;
  std::size_t position_ = 0;
};

MemoryStorage::MemoryStorage() : state_(std::make_shared<State>()) {}
MemoryStorage::~MemoryStorage() = default;

absl::StatusOr<std::optional<Bytes>> MemoryStorage::Get(
    Family family, ByteView key, const StorageSnapshot* snapshot) {
  const std::lock_guard<std::mutex> lock(state_->mutex);
  const Table& rows = state_->table(family);
  const auto row = rows.find(key);
  if (row == rows.end()) return std::nullopt;
  const auto* value = VisibleAt(row->second, State::Snapshot::CommitOf(snapshot));
  return value == nullptr ? std::nullopt : *value;
}

absl::StatusOr<std::vector<std::optional<Bytes>>> MemoryStorage::MultiGet(
    Family family, std::span<const Bytes> keys, const StorageSnapshot* snapshot) {
  std::vector<std::optional<Bytes>> values;
  values.reserve(keys.size());
  for (const Bytes& key : keys) {
    WEFT_ASSIGN_OR_RETURN(values.emplace_back(), Get(family, key, snapshot));
  }
  return values;
}

std::unique_ptr<StorageCursor> MemoryStorage::Scan(Family family,
                                                   const ScanRange& range,
                                                   const StorageSnapshot* snapshot) {
  std::shared_ptr<const StorageSnapshot> own;
  if (snapshot == nullptr) {
    own = TakeSnapshot();
    snapshot = own.get();
  }
  const std::uint64_t commit = State::Snapshot::CommitOf(snapshot);
  return std::make_unique<State::Cursor>(state_, family, range, std::move(own), commit);
}

std::shared_ptr<const StorageSnapshot> MemoryStorage::TakeSnapshot() {
  return std::make_shared<State::Snapshot>(state_);
}

absl::Status MemoryStorage::Commit(const StorageBatch& batch, Durability durability) {
  WEFT_CHECK(durability != Durability::kVolatile || batch.TouchesOnly(Family::kView));
  const std::lock_guard<std::mutex> lock(state_->mutex);
  ++state_->newest;
  for (const StorageBatch::Change& change : batch.changes()) state_->Apply(change);
  return absl::OkStatus();
}

}  // namespace weft
