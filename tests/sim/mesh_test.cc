// The mesh: a hundred peers that all know one address end with a dozen connections
// each, and whatever one of them says reaches all in a few hops.

#include <gtest/gtest.h>

#include <asio/io_context.hpp>
#include <deque>
#include <set>

#include "absl/strings/str_format.h"
#include "engine/memory_storage.h"
#include "replication/peer_exchange.h"
#include "replication/swarm.h"
#include "tests/sim/sim_network.h"

namespace weft::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

PublicKey Key(std::uint8_t number) {
  PublicKey key;
  key.bytes[0] = number;
  return key;
}

TEST(MeshPlan, DialsWhenThereAreFewAndDropsWhenThereAreMany) {
  const MeshLimits limits;
  MeshState state;
  state.candidates = {"a:1", "b:1", "c:1"};
  EXPECT_EQ(PlanMesh(state, limits, 1).dial.size(), limits.dials_max);
  state.dialling = limits.dials_max;
  EXPECT_TRUE(PlanMesh(state, limits, 1).dial.empty());
  state.dialling = 0;
  for (std::uint8_t i = 0; i < 12; ++i) state.peers.push_back({Key(i), seconds(60)});
  EXPECT_TRUE(PlanMesh(state, limits, 1).dial.empty());
  EXPECT_TRUE(PlanMesh(state, limits, 1).drop.empty());
  for (std::uint8_t i = 12; i < 20; ++i) state.peers.push_back({Key(i), seconds(60)});
  EXPECT_EQ(PlanMesh(state, limits, 1).drop.size(), 8U);
}

TEST(MeshPlan, KeepsWhatMustStayAndWhatIsTooYoungToKnowOthers) {
  MeshState state;
  for (std::uint8_t i = 0; i < 20; ++i) {
    state.peers.push_back({Key(i), i < 10 ? seconds(60) : seconds(0), i < 9});
  }
  const MeshPlan plan = PlanMesh(state, MeshLimits(), 7);
  EXPECT_EQ(plan.drop, std::vector<PublicKey>{Key(9)});
}

TEST(PeerBook, Attack16_APeerFillsNoMoreThanItsShare) {
  PeerBook book;
  for (int i = 0; i < 1000; ++i) {
    PublicKey key = Key(1);
    key.bytes[1] = static_cast<std::uint8_t>(i);
    key.bytes[2] = static_cast<std::uint8_t>(i >> 8);
    book.Hear(key, absl::StrFormat("10.0.0.1:%d", 1000 + i), Key(9));
  }
  EXPECT_EQ(book.size(), PeerBook::kFromOnePeerMax);
}

TEST(PeerBook, Attack17_OnlyThePeerItselfMovesItsAddressAndOnlyProvenOnesAreToldOn) {
  PeerBook book;
  book.Hear(Key(1), "10.0.0.1:1", Key(1));
  book.Hear(Key(1), "10.6.6.6:1", Key(2));
  EXPECT_EQ(book.Candidates({}, Nanos(0)), std::vector<std::string>{"10.0.0.1:1"});
  EXPECT_TRUE(book.Sample(10, 1).empty());
  book.Connected(Key(1));
  ASSERT_EQ(book.Sample(10, 1).size(), 1U);
  EXPECT_EQ(book.Sample(10, 1)[0].address, "10.0.0.1:1");
  for (const char* bad : {"", ":1", "unix:/etc/x:1", "a b:1", "host:port", "host:"}) {
    book.Hear(Key(3), bad, Key(3));
  }
  EXPECT_EQ(book.size(), 1U);
}

TEST(PeerBook, Attack17_WhereOthersSayAPeerIsIsNotToldOnBecauseItIsConnected) {
  PeerBook book;
  book.Hear(Key(1), "10.6.6.6:80", Key(2));
  book.Connected(Key(1));
  EXPECT_TRUE(book.Sample(10, 1).empty()) << "it never said so";
  book.Reached("10.6.6.6:80", Key(3), seconds(0));
  EXPECT_TRUE(book.Sample(10, 1).empty()) << "somebody else is there";
  EXPECT_TRUE(book.Candidates({}, seconds(1)).empty());
  book.Reached("10.6.6.6:80", Key(1), seconds(1));
  EXPECT_EQ(book.Sample(10, 1).size(), 1U) << "there it was found";
  // Its own word replaces another's, of the same address too.
  book.Hear(Key(4), "10.0.0.4:1", Key(2));
  book.Hear(Key(4), "10.0.0.4:1", Key(4));
  book.Connected(Key(4));
  EXPECT_EQ(book.Sample(10, 1).size(), 2U);
}

TEST(PeerBook, Attack17_WhoSpeaksFirstDoesNotKeepAPeersTrueAddressOut) {
  PeerBook book;
  book.Hear(Key(1), "10.6.6.6:1", Key(2));
  book.Hear(Key(1), "10.0.0.1:1", Key(3));
  EXPECT_EQ(book.Candidates({}, Nanos(0)), std::vector<std::string>{"10.6.6.6:1"});
  book.Failed("10.6.6.6:1", Nanos(0));
  book.Hear(Key(1), "10.6.6.7:1", Key(2));
  EXPECT_TRUE(book.Candidates({}, Nanos(0)).empty()) << "he has had his say";
  book.Hear(Key(1), "10.0.0.1:1", Key(3));
  EXPECT_EQ(book.Candidates({}, Nanos(0)), std::vector<std::string>{"10.0.0.1:1"});
  // Where the peer itself says that it is others do not know better.
  book.Hear(Key(1), "10.0.0.9:1", Key(1));
  book.Failed("10.0.0.9:1", Nanos(0));
  book.Hear(Key(1), "10.6.6.6:1", Key(2));
  EXPECT_EQ(book.Candidates({}, seconds(60)), std::vector<std::string>{"10.0.0.9:1"});
}

TEST(PeerBook, AnAddressThatFailsRestsAndIsForgottenInTheEnd) {
  PeerBook book;
  book.Hear(Key(1), "10.0.0.1:1", Key(2));
  book.Failed("10.0.0.1:1", seconds(0));
  EXPECT_TRUE(book.Candidates({}, seconds(1)).empty());
  EXPECT_EQ(book.Candidates({}, seconds(60)).size(), 1U);
  for (int i = 0; i < 10; ++i) book.Failed("10.0.0.1:1", seconds(0));
  EXPECT_EQ(book.size(), 0U);
}

// A peer that has no feeds, only a place in the mesh.
class Member final : public FeedSource, public SessionObserver, public CoreProvider {
 public:
  Member(asio::io_context& io, SimClock* clock, SimNetwork& world, std::string name,
         std::uint64_t seed)
      : random_(seed), network_(world.HostView(name)), address_(name + ":1") {
    id_.bytes[0] = 1;
    SwarmOptions options;
    options.executor = io.get_executor();
    options.clock = clock;
    options.random = &random_;
    options.network = network_.get();
    options.cores = this;
    options.observer = this;
    options.wanted = [this](const PublicKey& peer) {
      return mesh_ == nullptr || mesh_->IsWanted(peer);
    };
    swarm = std::make_unique<Swarm>(options);
    EXPECT_TRUE(swarm->Listen(address_).ok());
    PeerExchange::Host host;
    host.executor = io.get_executor();
    host.clock = clock;
    host.random = &random_;
    host.self = swarm->key();
    host.addresses = [this] { return std::vector<std::string>{address_}; };
    host.exchanges = [this] { return Exchanges(); };
    host.keep = [](const FeedExchange&) { return false; };
    host.dial = [this](std::string address) -> Task<std::optional<PublicKey>> {
      const auto session = co_await swarm->Dial(address, seconds(5));
      if (!session.ok()) co_return std::nullopt;
      co_return (*session)->remote_static_key();
    };
    host.drop = [](const FeedExchange& exchange) { exchange.session().Close(); };
    mesh_ = PeerExchange::Start(std::move(host), MeshLimits());
  }
  ~Member() override {
    mesh_->Stop();
    for (auto& [session, exchange] : exchanges_) exchange->Stop();
    for (const auto& connection : swarm->connections()) connection.session->Abandon();
  }

  const std::string& address() const { return address_; }
  std::set<PublicKey> Neighbours() const {
    std::set<PublicKey> keys;
    for (const auto& session : swarm->Ready())
      keys.insert(session->remote_static_key());
    return keys;
  }

  absl::StatusOr<std::shared_ptr<Hypercore>> Find(const DiscoveryKey&) override {
    return absl::NotFoundError("no cores here");
  }
  void OnReady(Session& session) override {
    exchanges_[&session] = FeedExchange::Start(&session, this, [](FeedExchange&) {});
  }
  void OnClosed(Session& session, const absl::Status&) override {
    exchanges_.erase(&session);
  }

  const BaseId& base_id() const override { return id_; }
  std::optional<Bytes> Genesis() const override { return Bytes{1}; }
  absl::Status TakeGenesis(ByteView) override { return absl::OkStatus(); }
  std::optional<FeedDigest> Digest() override { return FeedDigest{}; }
  FeedMap& Feeds() override { return map_; }
  std::shared_ptr<Hypercore> Wanted(const CoreKey&, std::uint64_t) override {
    return nullptr;
  }
  int RankOf(const CoreKey&) override { return 0; }
  void OnDurable(const PublicKey&, std::span<const FeedAck>) override {}
  void OnLevel(const PublicKey&) override {}
  std::vector<Bytes> Evidence() override { return {}; }
  std::vector<Bytes> RequestsTo(const PublicKey&) override { return {}; }
  absl::StatusOr<std::vector<Bytes>> TakeEvidence(const PublicKey&, ByteView) override {
    return std::vector<Bytes>();
  }
  void OnPeers(const FeedExchange& from, const FeedPeers& peers) override {
    mesh_->OnPeers(from, peers);
  }

 private:
  std::vector<std::shared_ptr<FeedExchange>> Exchanges() const {
    std::vector<std::shared_ptr<FeedExchange>> found;
    for (const auto& connection : swarm->connections()) {
      const auto exchange = exchanges_.find(connection.session.get());
      if (exchange != exchanges_.end()) found.push_back(exchange->second);
    }
    return found;
  }

  SimRandom random_;
  std::unique_ptr<Network> network_;
  std::string address_;
  BaseId id_;
  FeedMap map_;
  std::map<Session*, std::shared_ptr<FeedExchange>> exchanges_;
  std::shared_ptr<PeerExchange> mesh_;

 public:
  std::unique_ptr<Swarm> swarm;
};

// The greatest number of hops from the first peer, or nullopt if some are out of reach.
std::optional<std::size_t> HopsToAll(const std::vector<std::unique_ptr<Member>>& all) {
  std::map<PublicKey, std::size_t> number;
  for (std::size_t i = 0; i < all.size(); ++i) number[all[i]->swarm->key()] = i;
  std::vector<std::size_t> hops(all.size(), all.size());
  std::deque<std::size_t> next = {0};
  hops[0] = 0;
  std::size_t most = 0;
  std::size_t reached = 1;
  while (!next.empty()) {
    const std::size_t at = next.front();
    next.pop_front();
    for (const PublicKey& key : all[at]->Neighbours()) {
      std::size_t& to = hops[number.at(key)];
      if (to != all.size()) continue;
      to = hops[at] + 1;
      most = std::max(most, to);
      ++reached;
      next.push_back(number.at(key));
    }
  }
  if (reached != all.size()) return std::nullopt;
  return most;
}

TEST(Mesh, AHundredPeersThatKnowOneAddressEndWithADozenConnectionsEachAndFewHops) {
  asio::io_context io(1);
  SimClock clock{Nanos(std::chrono::hours(1))};
  SimNetwork network(&clock, 5,
                     NetworkFaults{.delay_mean = milliseconds(20),
                                   .loss = 0,
                                   .piece_bytes_max = 65536,
                                   .window_bytes = 256 * 1024,
                                   .silent_crash = 0});
  std::vector<std::unique_ptr<Member>> all;
  const auto run_for = [&](Nanos duration) {
    const Nanos until = clock.Now() + duration;
    do {
      io.restart();
      io.poll();
    } while (clock.next() <= until && clock.Step());
  };
  for (std::uint64_t i = 0; i < 100; ++i) {
    all.push_back(std::make_unique<Member>(io, &clock, network,
                                           absl::StrFormat("peer%d", i), 100 + i));
    if (i > 0) all.back()->swarm->Keep(all[0]->address());
    run_for(milliseconds(100));
  }
  run_for(seconds(120));
  std::size_t connections = 0;
  for (const auto& member : all) {
    // The one that everybody knows has visitors on top, who look for a place.
    const std::size_t most = member == all.front() ? 24 : 13;
    EXPECT_LE(member->Neighbours().size(), most) << member->address();
    EXPECT_GE(member->Neighbours().size(), 4U) << member->address();
    connections += member->Neighbours().size();
  }
  EXPECT_LE(connections, 12U * all.size());
  const std::optional<std::size_t> hops = HopsToAll(all);
  ASSERT_TRUE(hops.has_value());
  EXPECT_LE(*hops, 5U);
  clock.Clear();
  all.clear();
  io.restart();
  io.poll();
}

}  // namespace
}  // namespace weft::sim
