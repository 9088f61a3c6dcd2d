#include "crdt/lanes/flag.h"

#include <algorithm>

namespace weft {
namespace {

bool Enables(const FlagLane::Turn& turn) {
  return (turn.flags & kFlagOn) != 0;
}

}  // namespace

void FlagLane::Apply(const Stamp& stamp, std::uint8_t flags, const CausalOrder& order) {
  Clear(stamp.op, order);
  turns_.push_back({stamp, flags, {}});
}

void FlagLane::Clear(const LocalOp& op, const CausalOrder& order) {
  const auto seen = [&](const Turn& turn) { return order.Before(turn.stamp.op, op); };
  turns_.erase(std::remove_if(turns_.begin(), turns_.end(), seen), turns_.end());
}

bool FlagLane::readable(std::size_t presence) const {
  return std::any_of(turns_.begin(), turns_.end(),
                     [&](const Turn& turn) { return Shows(turn, presence); });
}

bool FlagLane::enabled(std::size_t presence) const {
  bool on = false;
  for (const Turn& turn : turns_) {
    if (!Shows(turn, presence)) continue;
    if ((turn.flags & kFlagOffWins) != 0) return false;
    on = on || Enables(turn);
  }
  return on;
}

bool FlagLane::has_conflict(std::size_t presence) const {
  bool on = false;
  bool off = false;
  for (const Turn& turn : turns_) {
    if (Shows(turn, presence)) (Enables(turn) ? on : off) = true;
  }
  return on && off;
}

const Stamp* FlagLane::Newest(std::size_t presence, const WriterTable& writers) const {
  const Stamp* newest = nullptr;
  TakeNewest(turns_, &Turn::stamp, presence, writers, &newest);
  return newest;
}

void FlagLane::WriteState(std::size_t presence, const WriterTable& writers,
                          Writer& out) const {
  std::vector<const Turn*> shown;
  for (const Turn& turn : turns_) {
    if (Shows(turn, presence)) shown.push_back(&turn);
  }
  std::sort(shown.begin(), shown.end(), [&](const Turn* a, const Turn* b) {
    return writers.IdLess(a->stamp.op, b->stamp.op);
  });
  out.Uint(shown.size());
  for (const Turn* turn : shown) {
    WriteOpId(turn->stamp.op, writers, out);
    out.U8(turn->flags);
  }
}

void FlagLane::Store(Writer& out) const {
  out.Uint(turns_.size());
  for (const Turn& turn : turns_) {
    StoreStamp(turn.stamp, out);
    out.U8(turn.flags);
    StoreOps(turn.buried_for, out);
  }
}

FlagLane FlagLane::Read(std::size_t writers, Reader& in) {
  constexpr std::size_t kTurnBytesMin = 13;
  FlagLane lane;
  for (std::size_t n = in.Count(kTurnBytesMin); n > 0 && in.ok(); --n) {
    Turn turn;
    turn.stamp = ReadStamp(writers, in);
    turn.flags = in.U8();
    turn.buried_for = ReadOps(writers, in);
    lane.turns_.push_back(std::move(turn));
  }
  return lane;
}

}  // namespace weft
