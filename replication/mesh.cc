#include "replication/mesh.h"

#include <algorithm>

namespace weft {
namespace {

// The next number of a series that begins with `dice`, below `bound`.
std::size_t Roll(std::uint64_t& dice, std::size_t bound) {
  dice = dice * 6364136223846793005U + 1442695040888963407U;
  return static_cast<std::size_t>((dice >> 33) % bound);
}

template <class T>
T TakeAny(std::vector<T>& from, std::uint64_t& dice) {
  const std::size_t at = Roll(dice, from.size());
  T taken = std::move(from[at]);
  from[at] = std::move(from.back());
  from.pop_back();
  return taken;
}

}  // namespace

MeshPlan PlanMesh(const MeshState& state, const MeshLimits& limits,
                  std::uint64_t dice) {
  MeshPlan plan;
  const std::size_t degree = state.peers.size() + state.dialling;
  if (degree < limits.low) {
    std::vector<std::string> candidates = state.candidates;
    std::size_t room = limits.target - degree;
    room =
        std::min(room, limits.dials_max - std::min(limits.dials_max, state.dialling));
    for (; room > 0 && !candidates.empty(); --room) {
      plan.dial.push_back(TakeAny(candidates, dice));
    }
  }
  if (state.peers.size() <= limits.high) return plan;
  std::vector<PublicKey> droppable;
  for (const MeshPeer& peer : state.peers) {
    if (!peer.keep && peer.age >= limits.settle) droppable.push_back(peer.key);
  }
  for (std::size_t over = state.peers.size() - limits.high;
       over > 0 && !droppable.empty(); --over) {
    plan.drop.push_back(TakeAny(droppable, dice));
  }
  return plan;
}

}  // namespace weft
