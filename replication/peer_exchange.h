// Peer exchange: the peers of one base tell each other where others are, and each
// keeps its share of the mesh (replication/mesh.h) with what it heard.
//
// Addresses travel in `peers` messages on the base's weft/feeds channel, so that only
// who knows the base hears who else does. What a peer says is a hint: an address is
// dialled at most now and then, must answer as a peer of the base to be kept, and is
// told on only if that very peer says so itself and is there, or we found it at that
// address; each peer may fill its own small share of the book.

#pragma once

#include <asio/any_io_executor.hpp>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "engine/async_host.h"
#include "replication/feed_exchange.h"
#include "replication/mesh.h"

namespace weft {

// What is known of where the peers of a base are. A pure data structure.
class PeerBook {
 public:
  static constexpr std::size_t kAddressesMax = 1024;
  static constexpr std::size_t kFromOnePeerMax = 64;

  // `source` says that `key` is at `address`; the peer itself is believed before
  // others, and of these the first, until a dial to where he says was in vain. Ignored
  // if it is no address, or the book or the source's share is full.
  void Hear(const PublicKey& key, const std::string& address, const PublicKey& source);
  // A dial to the address failed, or the peer there had enough connections.
  void Failed(const std::string& address, Nanos now);
  // The key is connected, by whatever way: it is where it says itself that it is, as
  // far as anybody knows. What others say of it this does not confirm.
  void Connected(const PublicKey& key);
  // A dial to the address ended at this key.
  void Reached(const std::string& address, const PublicKey& key, Nanos now);

  // Addresses to dial, of peers not in `connected`, leaving out those that failed a
  // short time ago.
  std::vector<std::string> Candidates(const std::set<PublicKey>& connected,
                                      Nanos now) const;
  // Up to `count` of the peers that were confirmed, begun at random.
  std::vector<FeedPeer> Sample(std::size_t count, std::uint64_t dice) const;
  std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    std::string address;
    PublicKey source;
    bool confirmed = false;
    int failures = 0;
    Nanos retry_at{0};
  };
  void Erase(std::map<PublicKey, Entry>::iterator entry);
  // Rests for a while, or is forgotten: `entry` is invalid then.
  void Fail(std::map<PublicKey, Entry>::iterator entry, Nanos now);
  static void Confirm(Entry& entry);

  std::map<PublicKey, Entry> entries_;
  std::map<PublicKey, std::size_t> from_;  // entries by source
};

// One base on one swarm. Lives on its strand.
class PeerExchange : public std::enable_shared_from_this<PeerExchange> {
 public:
  // What it needs of the store, which must call Stop before any of it goes.
  struct Host {
    asio::any_io_executor executor;
    AsyncClock* clock = nullptr;  // not owned
    Random* random = nullptr;     // not owned
    PublicKey self;
    // Where others can reach us; empty if nowhere.
    std::function<std::vector<std::string>()> addresses;
    // The base's exchanges, the oldest connection first.
    std::function<std::vector<std::shared_ptr<FeedExchange>>()> exchanges;
    // True if the connection must stay whatever the mesh says.
    std::function<bool(const FeedExchange&)> keep;
    // Connects, keeps the connection as long as it lasts, and returns who is there;
    // nullopt if that failed.
    std::function<Task<std::optional<PublicKey>>(std::string address)> dial;
    std::function<void(const FeedExchange&)> drop;
  };

  static std::shared_ptr<PeerExchange> Start(Host host, const MeshLimits& limits);
  void Stop() { stopped_ = true; }

  // A peer told of others.
  void OnPeers(const FeedExchange& from, const FeedPeers& peers);
  // False if the base has enough connections and the peer said that it has too: no use
  // to dial it again now.
  bool IsWanted(const PublicKey& peer) const;
  const PeerBook& book() const { return book_; }

 private:
  PeerExchange(Host host, const MeshLimits& limits);
  static Task<void> Run(std::shared_ptr<PeerExchange> self);
  static Task<void> Dial(std::shared_ptr<PeerExchange> self, std::string address);
  void Beat();
  void Tell(FeedExchange& exchange, bool enough);

  Host host_;
  MeshLimits limits_;
  PeerBook book_;
  std::size_t dialling_ = 0;
  std::size_t degree_ = 0;
  std::map<PublicKey, Nanos> since_;  // by connected peer
  std::map<PublicKey, Nanos> told_;   // when we last told it of others
  std::set<PublicKey> busy_;          // said that they have enough connections
  std::set<PublicKey> partners_;      // connected, and take part in this
  std::set<PublicKey> leaving_;       // told so; closed at the next beat
  bool stopped_ = false;
};

}  // namespace weft
