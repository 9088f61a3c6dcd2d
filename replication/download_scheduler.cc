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

// No peer has fewer requests waiting than this while there is anything to ask for.
constexpr std::uint64_t kShareMin = 16;
// A core of fewer blocks is fetched from its first one on, whoever else has it.
constexpr std::uint64_t kSpreadBlocksMin = 1024;
constexpr std::uint64_t kSpreadUnit = 64;
// A peer that is done sooner is left alone.
constexpr Nanos kWorthRelieving = std::chrono::milliseconds(50);

// When a peer will have answered everything, as things look.
Nanos Finish(const PeerLoad& load) {
  const auto waiting = static_cast<Nanos::rep>(load.waiting);
  return std::max(load.per_answer * waiting, load.quiet);
}

// How many of a peer's requests another one takes over so that both are done at about
// the same time.
std::size_t Excess(const PeerLoad& slow, const PeerLoad& ours) {
  const Nanos theirs = Finish(slow);
  const Nanos pace = ours.per_answer > Nanos(0) ? ours.per_answer : slow.per_answer;
  if (theirs < std::max(kWorthRelieving, 2 * pace)) return 0;
  const auto waiting = static_cast<double>(slow.waiting);
  const auto us = static_cast<double>(pace.count()) * waiting;
  const auto them = static_cast<double>(theirs.count());
  return std::max<std::size_t>(1,
                               static_cast<std::size_t>(waiting * them / (them + us)));
}

}  // namespace

// Where the search begins: at the front, unless many may be reading the same.
std::uint64_t DownloadScheduler::Begin(BlockRange within) const {
  const std::uint64_t size = within.to - within.from;
  if (peers_.size() < 2 || size < kSpreadBlocksMin) return within.from;
  return within.from + seed_ % (size / kSpreadUnit) * kSpreadUnit;
}

std::optional<BlockRange> DownloadScheduler::Next(const Bitfield& held,
                                                  const Bitfield& remote,
                                                  BlockRange within,
                                                  std::uint64_t blocks_max) const {
  if (within.from >= within.to || blocks_max == 0) return std::nullopt;
  const std::uint64_t begin = Begin(within);
  std::uint64_t end = within.to;
  auto first = FirstMissing(held, remote, &taken_, {begin, end});
  if (!first && begin > within.from) {
    end = begin;
    first = FirstMissing(held, remote, &taken_, {within.from, end});
  }
  if (!first) return std::nullopt;
  std::uint64_t to = std::min(end, *first + blocks_max);
  to = held.FirstSet(*first, to).value_or(to);
  to = taken_.FirstSet(*first, to).value_or(to);
  to = remote.FirstUnset(*first, to).value_or(to);
  return BlockRange{*first, to};
}

std::size_t DownloadScheduler::Share(std::uint64_t missing) const {
  if (holders_ < 2) return SIZE_MAX;
  return static_cast<std::size_t>(std::max(kShareMin, missing / (2 * holders_)));
}

bool DownloadScheduler::Relieve(std::uint64_t peer, const Bitfield& offered,
                                Nanos now) {
  const auto self = peers_.find(peer);
  if (self == peers_.end() || peers_.size() < 2) return false;
  const PeerLoad ours = self->second.peer->Load(now);
  // The slowest first; one may have nothing that we could take.
  std::vector<std::pair<Nanos, DownloadPeer*>> slow;
  for (const auto& [id, entry] : peers_) {
    if (id == peer) continue;
    const PeerLoad load = entry.peer->Load(now);
    if (load.waiting > 0) slow.emplace_back(Finish(load), entry.peer);
  }
  std::ranges::stable_sort(
      slow, [](const auto& a, const auto& b) { return a.first > b.first; });
  for (const auto& [finish, other] : slow) {
    const std::size_t excess = Excess(other->Load(now), ours);
    if (excess == 0) return false;
    if (other->GiveUp(excess, offered) > 0) return true;
  }
  return false;
}

bool DownloadScheduler::TakeUpgrade() {
  if (upgrade_taken_) return false;
  upgrade_taken_ = true;
  return true;
}

std::uint64_t DownloadScheduler::AddPeer(DownloadPeer* peer, std::uint64_t seed) {
  if (peers_.empty()) seed_ = seed;
  peers_.emplace(next_peer_, Entry{peer, false});
  return next_peer_++;
}

void DownloadScheduler::RemovePeer(std::uint64_t id) {
  const auto found = peers_.find(id);
  if (found == peers_.end()) return;
  if (found->second.holder) --holders_;
  peers_.erase(found);
}

void DownloadScheduler::MarkHolder(std::uint64_t id) {
  const auto found = peers_.find(id);
  if (found == peers_.end() || found->second.holder) return;
  found->second.holder = true;
  ++holders_;
}

void DownloadScheduler::Wake(std::uint64_t but) {
  const auto peers = peers_;  // a peer may leave while it is told
  for (const auto& [id, entry] : peers) {
    if (id != but && peers_.contains(id)) entry.peer->Wake();
  }
}

bool AnyMissing(const Bitfield& held, const Bitfield& remote, BlockRange within) {
  return within.from < within.to &&
         FirstMissing(held, remote, nullptr, within).has_value();
}

std::shared_ptr<DownloadScheduler> DownloadBook::Of(const CoreKey& key) {
  if (schedulers_.size() >= sweep_at_) {
    std::erase_if(schedulers_,
                  [](const auto& entry) { return entry.second.expired(); });
    sweep_at_ = 2 * schedulers_.size() + 64;
  }
  std::weak_ptr<DownloadScheduler>& entry = schedulers_[key];
  std::shared_ptr<DownloadScheduler> scheduler = entry.lock();
  if (scheduler == nullptr) {
    scheduler = std::make_shared<DownloadScheduler>();
    entry = scheduler;
  }
  return scheduler;
}

}  // namespace weft
