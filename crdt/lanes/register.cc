#include "crdt/lanes/register.h"

#include <algorithm>

namespace weft {

void RegisterLane::Apply(LaneWrite write, const CausalOrder& order) {
  const LocalOp op = write.stamp.op;
  const auto seen = [&](const LaneWrite& other) {
    return order.Before(other.stamp.op, op);
  };
  writes_.erase(std::remove_if(writes_.begin(), writes_.end(), seen), writes_.end());
  writes_.push_back(std::move(write));
}

bool RegisterLane::readable() const {
  return std::any_of(writes_.begin(), writes_.end(),
                     [](const LaneWrite& write) { return write.is_set; });
}

std::vector<const LaneWrite*> RegisterLane::Live(const WriterTable& writers) const {
  std::vector<const LaneWrite*> live;
  for (const LaneWrite& write : writes_) {
    if (write.is_set) live.push_back(&write);
  }
  std::sort(live.begin(), live.end(), [&](const LaneWrite* a, const LaneWrite* b) {
    return writers.TieLess(b->stamp, a->stamp);
  });
  return live;
}

const LaneWrite* RegisterLane::Winner(const WriterTable& writers) const {
  const LaneWrite* winner = nullptr;
  for (const LaneWrite& write : writes_) {
    if (!write.is_set) continue;
    if (!winner || writers.TieLess(winner->stamp, write.stamp)) winner = &write;
  }
  return winner;
}

bool RegisterLane::deleted_concurrently() const {
  return readable() &&
         std::any_of(writes_.begin(), writes_.end(),
                     [](const LaneWrite& write) { return !write.is_set; });
}

bool RegisterLane::has_conflict() const {
  return std::count_if(writes_.begin(), writes_.end(),
                       [](const LaneWrite& write) { return write.is_set; }) > 1;
}

void RegisterLane::WriteState(const WriterTable& writers, Writer& out) const {
  std::vector<const LaneWrite*> live = Live(writers);
  std::sort(live.begin(), live.end(), [&](const LaneWrite* a, const LaneWrite* b) {
    return writers.IdLess(a->stamp.op, b->stamp.op);
  });
  out.Uint(live.size());
  for (const LaneWrite* write : live) WriteLive(*write, writers, out);
}

void RegisterLane::Store(Writer& out) const {
  out.Uint(writes_.size());
  for (const LaneWrite& write : writes_) StoreWrite(write, out);
}

RegisterLane RegisterLane::Read(std::size_t writers, Reader& in) {
  constexpr std::size_t kWriteBytesMin = 12;
  RegisterLane lane;
  const std::size_t count = in.Count(kWriteBytesMin);
  for (std::size_t i = 0; i < count && in.ok(); ++i) {
    lane.writes_.push_back(ReadWrite(writers, in));
  }
  return lane;
}

}  // namespace weft
