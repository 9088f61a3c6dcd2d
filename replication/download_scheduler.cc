#include "replication/download_scheduler.h"

#include <algorithm>
#include <bit>
#include <vector>

namespace weft {
namespace {

// Which bits: set in `in`, if there is one, and in none of the others.
struct Wanted {
  const Bitfield* in = nullptr;
  const Bitfield* out = nullptr;
  const Bitfield* also_out = nullptr;  // may be null
};

// The first bit of `within`, no earlier than `at`, that can be one of them.
std::optional<std::uint64_t> Hop(const Wanted& wanted, std::uint64_t at,
                                 BlockRange within) {
  std::optional<std::uint64_t> bit = wanted.out->FirstUnset(at, within.to);
  if (bit && wanted.in != nullptr) bit = wanted.in->FirstSet(*bit, within.to);
  if (bit && wanted.also_out != nullptr) {
    bit = wanted.also_out->FirstUnset(*bit, within.to);
  }
  return bit;
}

// The first of them from `at` to the end of its page.
std::optional<std::uint64_t> FirstOfPage(const Wanted& wanted, std::uint64_t at) {
  const std::uint64_t page = at / Bitfield::kPageBits;
  const Bitfield::Page out = wanted.out->PageAt(page);
  const Bitfield::Page in =
      wanted.in != nullptr ? wanted.in->PageAt(page) : Bitfield::Page{};
  const Bitfield::Page also_out =
      wanted.also_out != nullptr ? wanted.also_out->PageAt(page) : Bitfield::Page{};
  const std::uint64_t within_page = at % Bitfield::kPageBits;
  for (std::size_t word = within_page / 64; word < Bitfield::kPageWords; ++word) {
    std::uint64_t bits = ~(out[word] | also_out[word]);
    if (wanted.in != nullptr) bits &= in[word];
    if (word == within_page / 64) bits &= ~std::uint64_t{0} << (within_page % 64);
    if (bits == 0) continue;
    return page * Bitfield::kPageBits + word * 64 +
           static_cast<std::uint64_t>(std::countr_zero(bits));
  }
  return std::nullopt;
}

// Whole runs are passed over at once; where bits alternate, whole words are: a peer
// chooses what it offers.
std::optional<std::uint64_t> First(const Wanted& wanted, BlockRange within) {
  for (std::uint64_t at = within.from; at < within.to;) {
    const auto hopped = Hop(wanted, at, within);
    if (!hopped || *hopped == at) return hopped;
    if (const auto found = FirstOfPage(wanted, *hopped)) {
      return *found < within.to ? found : std::nullopt;
    }
    at = (*hopped / Bitfield::kPageBits + 1) * Bitfield::kPageBits;
  }
  return std::nullopt;
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
                                                  std::uint64_t blocks_max,
                                                  SearchPlace* place) const {
  if (within.from >= within.to || blocks_max == 0) return std::nullopt;
  SearchPlace anew;
  if (place == nullptr) place = &anew;
  const std::uint64_t begin = Begin(within);
  if (!place->begun) *place = {true, false, begin};
  const Wanted wanted{&remote, &held, &taken_};
  std::uint64_t end = place->wrapped ? begin : within.to;
  auto first = First(wanted, {place->at, end});
  if (!first && !place->wrapped) {
    *place = {true, true, within.from};
    end = begin;
    first = First(wanted, {place->at, end});
  }
  if (!first) {
    place->at = end;
    return std::nullopt;
  }
  std::uint64_t to = std::min(end, *first + blocks_max);
  to = held.FirstSet(*first, to).value_or(to);
  to = taken_.FirstSet(*first, to).value_or(to);
  to = remote.FirstUnset(*first, to).value_or(to);
  place->at = to;
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
  peers_.emplace(next_peer_, Entry{peer});
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

void DownloadScheduler::Offer(std::uint64_t id, std::uint64_t length) {
  const auto found = peers_.find(id);
  if (found != peers_.end()) found->second.offered = length;
}

bool DownloadScheduler::OthersOffer(std::uint64_t id, std::uint64_t length) const {
  return std::ranges::any_of(peers_, [&](const auto& peer) {
    return peer.first != id && peer.second.offered > length;
  });
}

void DownloadScheduler::Wake(std::uint64_t but) {
  const auto peers = peers_;  // a peer may leave while it is told
  for (const auto& [id, entry] : peers) {
    if (id != but && peers_.contains(id)) entry.peer->Wake();
  }
}

bool AnyMissing(const Bitfield& held, const Bitfield& remote, BlockRange within) {
  return First({&remote, &held, nullptr}, within).has_value();
}

std::optional<std::uint64_t> FirstUnknown(const Bitfield& held, const Bitfield& remote,
                                          BlockRange within) {
  return First({nullptr, &held, &remote}, within);
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
