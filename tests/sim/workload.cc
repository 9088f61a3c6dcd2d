#include "tests/sim/workload.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "weft/convert.h"

namespace weft::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr const char* kColumns[] = {"name", "town", "size", "note"};

}  // namespace

Nanos Upto(SimRandom& random, Nanos most) {
  return Nanos(static_cast<std::int64_t>(
      random.Below(static_cast<std::uint64_t>(most.count()))));
}

// --- steps ---

std::optional<SimRandom> Steps::Next(std::size_t tried) {
  const bool is_over =
      options_.steps ? done_ == options_.steps->size() : tried >= options_.writes;
  if (is_over) return std::nullopt;
  const std::uint64_t step = options_.steps ? (*options_.steps)[done_] : done_;
  ++done_;
  return SimRandom((seed_ << 20) + step);
}

void Workload::Run() {
  while (world_->problems().empty()) {
    std::optional<SimRandom> random = steps_.Next(tried_);
    if (!random) return;
    random_ = *random;
    Step();
  }
}

void Workload::Step() {
  Recover();
  if (!world_->problems().empty())
    return;  // somebody may have come back without a base
  // The founder grants one after the other while all goes on.
  if (granted_ + 1 < world_->size() && world_->IsUp(0) && random_.Chance(0.3)) {
    // A refusal that has no reason is a problem of the world by now.
    if (world_->Grant(granted_ + 1).ok()) ++granted_;
  }
  if (const auto peer = SomePeerUp()) Write(*peer);
  Misfortune();
  if (random_.Chance(0.02)) {
    world_->RunFor(seconds(5) + Upto(random_, seconds(60)));
  } else {
    world_->RunFor(Upto(random_, milliseconds(300)));
  }
  if (const auto peer = SomePeerUp(); peer && random_.Chance(0.4)) {
    checker_->Sample(*peer);
  }
}

void Workload::Misfortune() {
  const std::uint64_t kind = random_.Below(100);
  const std::size_t victim = SomePeer();
  if (!world_->IsUp(victim)) return;
  const bool may_fall = CountUp() > world_->size() / 2;
  if (kind < 3 && options_.crashes && may_fall) {
    world_->Crash(victim);
  } else if (kind < 5 && options_.crashes && may_fall && !options_.fat_batches) {
    const std::uint64_t n = 1 + random_.Below(6);
    world_->CrashInWrite(victim, n, random_.Chance(0.5));
  } else if (kind < 8 && options_.partitions) {
    CutSome();
  } else if (kind < 10 && options_.partitions) {
    const std::size_t other = SomePeer();
    if (other != victim) world_->Stall(victim, other);
    cut_ = true;
  } else if (kind < 11 && options_.disk_faults && may_fall) {
    const std::uint64_t n = 1 + random_.Below(10);
    const bool breaks = !options_.fat_batches && random_.Chance(0.5);
    world_->FailDisk(victim, n, breaks ? DiskFault::kBroken : DiskFault::kFull);
  } else if (kind < 17 && kind >= 13) {
    world_->FlushView(victim, /*settled=*/kind == 13);
  } else if (kind == 17 && may_fall) {
    world_->Stop(victim);
  } else if (kind < 13 && options_.clock_steps) {
    world_->StepClock(victim, Upto(random_, minutes(20)) - minutes(10));
  }
}

void Workload::CutSome() {
  cut_ = true;
  // Two sides, one of which may be a single peer.
  const std::size_t size = 1 + random_.Below(world_->size() / 2);
  const std::size_t first = SomePeer();
  const auto is_inside = [&](std::size_t peer) {
    return (peer + world_->size() - first) % world_->size() < size;
  };
  for (std::size_t a = 0; a < world_->size(); ++a) {
    for (std::size_t b = 0; b < a; ++b) {
      if (is_inside(a) != is_inside(b)) world_->Partition(a, b);
    }
  }
}

void Workload::Recover() {
  for (std::size_t peer = 0; peer < world_->size(); ++peer) {
    if (!random_.Chance(0.1)) continue;
    if (world_->DiskFaultOf(peer)) world_->Crash(peer);
    if (!world_->IsUp(peer)) world_->Restart(peer);
  }
  if (cut_ && random_.Chance(0.1)) {
    world_->network().HealAll();
    world_->Note("the lines are mended");
    cut_ = false;
  }
}

std::optional<std::size_t> Workload::SomePeerUp() {
  for (int tries = 0; tries < 20; ++tries) {
    const std::size_t peer = SomePeer();
    if (world_->IsUp(peer)) return peer;
  }
  return std::nullopt;
}

std::size_t Workload::CountUp() const {
  std::size_t count = 0;
  for (std::size_t peer = 0; peer < world_->size(); ++peer) count += world_->IsUp(peer);
  return count;
}

// --- writes ---

void Workload::Write(std::size_t peer) {
  const Batch batch = NextBatch(peer);
  if (batch.empty()) return;
  ++tried_;
  DeathPoint death = DeathPoint::kNever;
  if (options_.crashes && random_.Chance(0.03) && CountUp() > world_->size() / 2) {
    constexpr DeathPoint kPoints[] = {
        DeathPoint::kBeforeSync, DeathPoint::kBeforeTelling, DeathPoint::kBeforeAnswer};
    death = kPoints[random_.Below(std::size(kPoints))];
  }
  const absl::Status written = world_->Commit(peer, batch, death);
  // An author reads what it wrote at once.
  if (written.ok() && random_.Chance(0.2)) checker_->Sample(peer);
}

Batch Workload::NextBatch(std::size_t peer) {
  Batch batch;
  used_.clear();
  const std::uint64_t kind = random_.Below(100);
  if (kind < 40) {
    AddPut(peer, batch);
  } else if (kind < 50) {
    AddDelete(peer, batch);
  } else if (kind < 72) {
    AddRecordOp(peer, batch);
  } else if (kind < 88) {
    AddGroup(peer, batch);
  } else {
    const std::uint64_t parts = 2 + random_.Below(5);
    for (std::uint64_t i = 0; i < parts; ++i) {
      const std::uint64_t part = random_.Below(4);
      if (part < 2) AddPut(peer, batch);
      if (part == 2) AddDelete(peer, batch);
      if (part == 3) AddRecordOp(peer, batch);
    }
  }
  return batch;
}

std::string Workload::NextKey() {
  // Now and then a row of the table also has a plain value.
  if (random_.Chance(0.1)) return absl::StrFormat("rows/%d", random_.Below(5));
  return absl::StrFormat("key/%d", random_.Below(8));
}

Datum Workload::NextValue(std::size_t peer) {
  const std::uint64_t token = ++tokens_;
  switch (random_.Below(8)) {
    case 0:
      return Datum::Integer(static_cast<std::int64_t>(token));
    case 1:
      return Datum::Bytes(absl::StrFormat("\xff%d", token));
    case 2:
      return Datum::Of(absl::StrFormat("%s %d %s", world_->NameOf(peer), token,
                                       std::string(random_.Below(100), 'x')));
    default:
      return Datum::Of(absl::StrFormat("%s %d", world_->NameOf(peer), token));
  }
}

std::optional<Entry> Workload::Read(std::size_t peer, const std::string& key) const {
  BaseNode& base = *world_->base(peer);
  if (!base.genesis_known()) return std::nullopt;
  const absl::StatusOr<ViewEntry> entry = base.indexer()->Get(key);
  if (!entry.ok() || !entry->readable()) return std::nullopt;
  return ToEntry(*entry);
}

void Workload::AddPut(std::size_t peer, Batch& batch) {
  const std::string key = NextKey();
  const Datum value = NextValue(peer);
  if (used_.insert(key).second) batch.Put(key, value);
}

void Workload::AddDelete(std::size_t peer, Batch& batch) {
  const std::string key = NextKey();
  if (Read(peer, key) && used_.insert(key).second) batch.Delete(key);
}

void Workload::AddRecordOp(std::size_t peer, Batch& batch) {
  const std::string row = absl::StrFormat("rows/%d", random_.Below(5));
  const std::uint64_t kind = random_.Below(10);
  const std::uint64_t first = random_.Below(std::size(kColumns));
  const std::uint64_t count = 1 + random_.Below(2);
  if (!used_.insert(row).second) return;
  if (kind < 3) {
    const std::optional<Entry> entry = Read(peer, row);
    if (!entry || !entry->is_record) return;
    if (kind == 0) batch.Erase(row);
    if (kind > 0) batch.Unset(row, {kColumns[first]});
  } else {
    std::vector<std::pair<std::string, Datum>> cells;
    for (std::uint64_t i = 0; i < count; ++i) {
      const Datum value = NextValue(peer);
      cells.emplace_back(kColumns[(first + i) % std::size(kColumns)], value);
    }
    batch.Set(row, std::move(cells));
  }
}

void Workload::AddGroup(std::size_t peer, Batch& batch) {
  const std::uint64_t group = random_.Below(3);
  const bool deletes = random_.Chance(0.15) && Read(peer, GroupKey(group, 0));
  std::string token = absl::StrFormat("%s %d", world_->NameOf(peer), ++tokens_);
  if (options_.fat_batches && random_.Chance(0.1)) {
    // Five values of this size do not fit in one block.
    token += std::string(250'000, '.');
    batch.Put(absl::StrFormat("fat/%d", group), token);
  }
  for (std::size_t i = 0; i < kGroupKeys; ++i) {
    if (deletes) {
      batch.Delete(GroupKey(group, i));
    } else {
      batch.Put(GroupKey(group, i), token);
    }
  }
}

}  // namespace weft::sim
