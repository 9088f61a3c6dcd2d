#include "weft/waiting_forks.h"

#include <algorithm>
#include <utility>

namespace weft {

std::size_t WaitingForks::BytesOf(const ProvenFork& fork) {
  return std::max(kBytesEach, fork.proof.size());
}

bool WaitingForks::Keep(const PublicKey& peer, ProvenFork fork) {
  const auto own = shares_.try_emplace(peer).first;
  std::vector<ProvenFork>& forks = own->second.forks;
  const bool is_here = std::ranges::any_of(forks, [&fork](const ProvenFork& known) {
    return known.log == fork.log && known.proof == fork.proof;
  });
  if (is_here) return false;
  own->second.bytes += BytesOf(fork);
  bytes_ += BytesOf(fork);
  forks.push_back(std::move(fork));
  while (bytes_ > kBytesMax) {
    auto most = own;
    for (auto share = shares_.begin(); share != shares_.end(); ++share) {
      if (share->second.bytes > most->second.bytes) most = share;
    }
    const bool is_own = most == own;
    DropLast(most);
    if (is_own) return false;
  }
  return true;
}

void WaitingForks::DropLast(Shares::iterator share) {
  const std::size_t bytes = BytesOf(share->second.forks.back());
  share->second.bytes -= bytes;
  bytes_ -= bytes;
  share->second.forks.pop_back();
  if (share->second.forks.empty()) shares_.erase(share);
}

std::vector<ProvenFork> WaitingForks::TakeIf(
    const std::function<bool(const ProvenFork&)>& is_due) {
  std::vector<ProvenFork> taken;
  for (auto share = shares_.begin(); share != shares_.end();) {
    std::vector<ProvenFork> kept;
    for (ProvenFork& fork : share->second.forks) {
      const bool due = is_due(fork);
      if (due) {
        share->second.bytes -= BytesOf(fork);
        bytes_ -= BytesOf(fork);
      }
      (due ? taken : kept).push_back(std::move(fork));
    }
    share->second.forks = std::move(kept);
    share = share->second.forks.empty() ? shares_.erase(share) : std::next(share);
  }
  return taken;
}

}  // namespace weft
