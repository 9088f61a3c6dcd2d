#include "replication/download_scheduler.h"

#include <algorithm>
#include <vector>

namespace weft {
namespace {

// The first bit of [from, to) that is not held, is remote's, and is not taken.
std::optional<std::uint64_t> FirstMissing(const Bitfield& held, const Bitfield& remote,
                                          const Bitfield* taken, BlockRange within) {
  std::uint64_t at = within.from;
  for (;;) {
    const auto unheld = held.FirstUnset(at, within.to);
    if (!unheld) return std::nullopt;
    const auto offered = remote.FirstSet(*unheld, within.to);
    if (!offered) return std::nullopt;
    const auto untaken =
        taken == nullptr ? offered : taken->FirstUnset(*offered, within.to);
    if (!untaken) return std::nullopt;
    if (*untaken == *unheld) return untaken;
    at = *untaken;
  }
}

}  // namespace

std::optional<BlockRange> DownloadScheduler::Next(const Bitfield& held,
                                                  const Bitfield& remote,
                                                  BlockRange within,
                                                  std::uint64_t blocks_max) const {
  if (within.from >= within.to || blocks_max == 0) return std::nullopt;
  const auto first = FirstMissing(held, remote, &taken_, within);
  if (!first) return std::nullopt;
  std::uint64_t to = std::min(within.to, *first + blocks_max);
  to = held.FirstSet(*first, to).value_or(to);
  to = taken_.FirstSet(*first, to).value_or(to);
  to = remote.FirstUnset(*first, to).value_or(to);
  return BlockRange{*first, to};
}

bool DownloadScheduler::TakeUpgrade() {
  if (upgrade_taken_) return false;
  upgrade_taken_ = true;
  return true;
}

std::uint64_t DownloadScheduler::AddPeer(std::function<void()> wake) {
  peers_.emplace(next_peer_, std::move(wake));
  return next_peer_++;
}

void DownloadScheduler::Wake() {
  const auto peers = peers_;  // a peer may leave while it is told
  for (const auto& [id, wake] : peers) {
    if (peers_.contains(id)) wake();
  }
}

bool AnyMissing(const Bitfield& held, const Bitfield& remote, BlockRange within) {
  return within.from < within.to &&
         FirstMissing(held, remote, nullptr, within).has_value();
}

std::shared_ptr<DownloadScheduler> DownloadBook::Of(const CoreKey& key) {
  std::weak_ptr<DownloadScheduler>& entry = schedulers_[key];
  std::shared_ptr<DownloadScheduler> scheduler = entry.lock();
  if (scheduler == nullptr) {
    scheduler = std::make_shared<DownloadScheduler>();
    entry = scheduler;
  }
  return scheduler;
}

}  // namespace weft
