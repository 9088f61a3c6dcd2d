#include "crdt/lanes/extreme.h"

#include <algorithm>

namespace weft {

void ExtremeLane::Apply(const Stamp& stamp, std::int64_t value,
                        const CausalOrder& order) {
  const auto outdone = [&](const Raise& other) {
    return AsFar(value, other.value) && order.Before(other.stamp.op, stamp.op);
  };
  raises_.erase(std::remove_if(raises_.begin(), raises_.end(), outdone), raises_.end());
  raises_.push_back({stamp, value, {}});
}

void ExtremeLane::Clear(const LocalOp& op, const CausalOrder& order) {
  const auto seen = [&](const Raise& raise) {
    return order.Before(raise.stamp.op, op);
  };
  raises_.erase(std::remove_if(raises_.begin(), raises_.end(), seen), raises_.end());
}

const ExtremeLane::Raise* ExtremeLane::Winner(std::size_t presence,
                                              const WriterTable& writers) const {
  const Raise* winner = nullptr;
  for (const Raise& raise : raises_) {
    if (!Shows(raise, presence)) continue;
    if (winner != nullptr && (!AsFar(raise.value, winner->value) ||
                              (raise.value == winner->value &&
                               writers.TieLess(raise.stamp, winner->stamp)))) {
      continue;
    }
    winner = &raise;
  }
  return winner;
}

std::optional<std::int64_t> ExtremeLane::Value(std::size_t presence) const {
  std::optional<std::int64_t> value;
  for (const Raise& raise : raises_) {
    if (!Shows(raise, presence)) continue;
    if (!value || AsFar(raise.value, *value)) value = raise.value;
  }
  return value;
}

const Stamp* ExtremeLane::Newest(std::size_t presence,
                                 const WriterTable& writers) const {
  const Stamp* newest = nullptr;
  TakeNewest(raises_, &Raise::stamp, presence, writers, &newest);
  return newest;
}

void ExtremeLane::WriteState(std::size_t presence, Writer& out) const {
  out.U64(static_cast<std::uint64_t>(Value(presence).value_or(0)));
}

void ExtremeLane::Store(Writer& out) const {
  out.Uint(raises_.size());
  for (const Raise& raise : raises_) {
    StoreStamp(raise.stamp, out);
    out.U64(static_cast<std::uint64_t>(raise.value));
    StoreOps(raise.buried_for, out);
  }
}

ExtremeLane ExtremeLane::Read(bool greatest, std::size_t writers, Reader& in) {
  constexpr std::size_t kRaiseBytesMin = 20;
  ExtremeLane lane(greatest);
  for (std::size_t n = in.Count(kRaiseBytesMin); n > 0 && in.ok(); --n) {
    Raise raise;
    raise.stamp = ReadStamp(writers, in);
    raise.value = static_cast<std::int64_t>(in.U64());
    raise.buried_for = ReadOps(writers, in);
    lane.raises_.push_back(std::move(raise));
  }
  return lane;
}

}  // namespace weft
