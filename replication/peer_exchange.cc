#include "replication/peer_exchange.h"

#include <algorithm>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>

namespace weft {
namespace {

constexpr Nanos kBeat = std::chrono::seconds(1);
// Told of others when it comes, and then as the book changes.
constexpr Nanos kTellAgain = std::chrono::minutes(2);
constexpr std::size_t kPeersPerMessage = 32;
constexpr Nanos kRetryFirst = std::chrono::seconds(10);
constexpr int kFailuresMax = 6;
constexpr std::size_t kAddressBytesMax = 256;

// "host:port" as it may be dialled: no control characters, no paths.
bool IsPlainAddress(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  if (address.size() > kAddressBytesMax || colon == std::string::npos || colon == 0 ||
      colon + 1 == address.size() || address.compare(0, 5, "unix:") == 0) {
    return false;
  }
  for (const char c : address.substr(colon + 1)) {
    if (c < '0' || c > '9') return false;
  }
  return std::none_of(address.begin(), address.end(),
                      [](char c) { return c <= ' ' || c > '~' || c == '/'; });
}

// The host of a connection's other end, with the port it listens at.
std::string AtTheirHost(const std::string& seen, const std::string& port) {
  const std::size_t colon = seen.rfind(':');
  return (colon == std::string::npos ? seen : seen.substr(0, colon)) + port;
}

}  // namespace

// --- the book ---

void PeerBook::Erase(std::map<PublicKey, Entry>::iterator entry) {
  const auto share = from_.find(entry->second.source);
  if (share != from_.end() && --share->second == 0) from_.erase(share);
  entries_.erase(entry);
}

void PeerBook::Hear(const PublicKey& key, const std::string& address,
                    const PublicKey& source) {
  if (!IsPlainAddress(address)) return;
  const auto known = entries_.find(key);
  if (known != entries_.end()) {
    const Entry& entry = known->second;
    if (entry.address == address && (entry.source == key || key != source)) return;
    // Nobody but the peer itself may say that it has moved, and what it says is its own
    // word from then on. Where others say it is counts as long as it was not in vain:
    // the first to speak might know nothing.
    const bool in_vain = entry.failures > 0 && entry.source != key;
    if (key != source && (!in_vain || entry.source == source)) return;
  }
  const bool takes_own_place =
      known != entries_.end() && known->second.source == source;
  const auto share = from_.find(source);
  const bool share_full = share != from_.end() && share->second >= kFromOnePeerMax;
  const bool full = known == entries_.end() && entries_.size() >= kAddressesMax;
  if (full || (share_full && !takes_own_place)) return;
  if (known != entries_.end()) Erase(known);
  entries_.emplace(key, Entry{.address = address, .source = source});
  ++from_[source];
}

void PeerBook::Failed(const std::string& address, Nanos now) {
  for (auto at = entries_.begin(); at != entries_.end();) {
    const auto entry = at++;
    if (entry->second.address == address) Fail(entry, now);
  }
}

void PeerBook::Fail(std::map<PublicKey, Entry>::iterator entry, Nanos now) {
  entry->second.confirmed = false;
  if (++entry->second.failures > kFailuresMax) {
    Erase(entry);
    return;
  }
  entry->second.retry_at = now + kRetryFirst * (1 << entry->second.failures);
}

void PeerBook::Confirm(Entry& entry) {
  entry.confirmed = true;
  entry.failures = 0;
  entry.retry_at = Nanos(0);
}

void PeerBook::Connected(const PublicKey& key) {
  const auto known = entries_.find(key);
  if (known != entries_.end() && known->second.source == key) Confirm(known->second);
}

void PeerBook::Reached(const std::string& address, const PublicKey& key, Nanos now) {
  for (auto at = entries_.begin(); at != entries_.end();) {
    const auto entry = at++;
    if (entry->second.address != address) continue;
    if (entry->first == key) {
      Confirm(entry->second);
    } else {
      Fail(entry, now);  // somebody else is there
    }
  }
}

std::vector<std::string> PeerBook::Candidates(const std::set<PublicKey>& connected,
                                              Nanos now) const {
  std::vector<std::string> candidates;
  for (const auto& [key, entry] : entries_) {
    if (!connected.contains(key) && now >= entry.retry_at) {
      candidates.push_back(entry.address);
    }
  }
  return candidates;
}

std::vector<FeedPeer> PeerBook::Sample(std::size_t count, std::uint64_t dice) const {
  std::vector<FeedPeer> confirmed;
  for (const auto& [key, entry] : entries_) {
    if (entry.confirmed) confirmed.push_back({key, entry.address});
  }
  if (confirmed.size() <= count) return confirmed;
  const auto first = static_cast<std::ptrdiff_t>(dice % confirmed.size());
  std::rotate(confirmed.begin(), confirmed.begin() + first, confirmed.end());
  confirmed.resize(count);
  return confirmed;
}

// --- the exchange ---

PeerExchange::PeerExchange(Host host, const MeshLimits& limits)
    : host_(std::move(host)), limits_(limits) {}

std::shared_ptr<PeerExchange> PeerExchange::Start(Host host, const MeshLimits& limits) {
  std::shared_ptr<PeerExchange> self(new PeerExchange(std::move(host), limits));
  asio::co_spawn(self->host_.executor, Run(self), asio::detached);
  return self;
}

Task<void> PeerExchange::Run(std::shared_ptr<PeerExchange> self) {
  for (;;) {
    // Not all at the same moment.
    const Nanos jitter(static_cast<std::int64_t>(
        self->host_.random->U64() % static_cast<std::uint64_t>(kBeat.count() / 4)));
    co_await self->host_.clock->Sleep(kBeat + jitter);
    if (self->stopped_) co_return;
    self->Beat();
  }
}

void PeerExchange::Beat() {
  const Nanos now = host_.clock->Steady();
  MeshState state;
  state.dialling = dialling_;
  std::set<PublicKey> connected = {host_.self};
  std::map<PublicKey, std::shared_ptr<FeedExchange>> by_key;
  for (const auto& exchange : host_.exchanges()) {
    if (!exchange->open()) continue;
    const PublicKey& key = exchange->session().remote_static_key();
    if (!connected.insert(key).second) continue;
    // It has had the time to hear why.
    if (leaving_.erase(key) > 0) {
      host_.drop(*exchange);
      continue;
    }
    by_key.emplace(key, exchange);
    book_.Connected(key);
    const Nanos since = since_.try_emplace(key, now).first->second;
    // Who takes no part in this came for something else, and leaves by itself.
    const bool keep = host_.keep(*exchange) || !partners_.contains(key);
    state.peers.push_back({key, now - since, keep});
  }
  std::erase_if(since_,
                [&](const auto& entry) { return !by_key.contains(entry.first); });
  std::erase_if(told_,
                [&](const auto& entry) { return !by_key.contains(entry.first); });
  leaving_.clear();
  std::erase_if(partners_, [&](const auto& key) { return !by_key.contains(key); });
  degree_ = by_key.size();
  for (const auto& [key, exchange] : by_key) {
    const auto told = told_.find(key);
    if (told == told_.end() || now - told->second >= kTellAgain) {
      Tell(*exchange, /*enough=*/false);
      told_[key] = now;
    }
  }
  state.candidates = book_.Candidates(connected, now);
  const MeshPlan plan = PlanMesh(state, limits_, host_.random->U64());
  for (const std::string& address : plan.dial) {
    ++dialling_;
    asio::co_spawn(host_.executor, Dial(shared_from_this(), address), asio::detached);
  }
  for (const PublicKey& key : plan.drop) {
    Tell(*by_key.at(key), /*enough=*/true);
    leaving_.insert(key);
  }
}

Task<void> PeerExchange::Dial(std::shared_ptr<PeerExchange> self, std::string address) {
  const std::optional<PublicKey> there = co_await self->host_.dial(address);
  --self->dialling_;
  if (self->stopped_) co_return;
  const Nanos now = self->host_.clock->Steady();
  if (there) {
    self->book_.Reached(address, *there, now);
  } else {
    self->book_.Failed(address, now);
  }
}

void PeerExchange::Tell(FeedExchange& exchange, bool enough) {
  FeedPeers message;
  message.enough = enough;
  for (const std::string& address : host_.addresses()) {
    message.peers.push_back({host_.self, address});
  }
  const PublicKey& to = exchange.session().remote_static_key();
  for (FeedPeer& peer : book_.Sample(kPeersPerMessage, host_.random->U64())) {
    if (peer.key != to) message.peers.push_back(std::move(peer));
  }
  exchange.TellPeers(message);
}

void PeerExchange::OnPeers(const FeedExchange& from, const FeedPeers& peers) {
  const PublicKey& source = from.session().remote_static_key();
  partners_.insert(source);
  if (peers.enough) {
    busy_.insert(source);
  } else {
    busy_.erase(source);
  }
  const std::size_t count = std::min(peers.peers.size(), 2 * kPeersPerMessage);
  for (std::size_t i = 0; i < count; ++i) {
    const FeedPeer& peer = peers.peers[i];
    if (peer.key == host_.self) continue;
    const bool itself = peer.key == source;
    const bool bare = !peer.address.empty() && peer.address.front() == ':';
    if (bare && !itself) continue;
    book_.Hear(peer.key,
               bare ? AtTheirHost(from.session().peer(), peer.address) : peer.address,
               source);
  }
  if (busy_.size() > PeerBook::kAddressesMax) busy_.clear();
}

bool PeerExchange::IsWanted(const PublicKey& peer) const {
  return degree_ < limits_.low || !busy_.contains(peer);
}

}  // namespace weft
