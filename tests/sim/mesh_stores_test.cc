// The mesh with whole stores: three hundred that were all given the address of one end
// with a dozen connections each, and what one of them writes is soon in every view.

#include <gtest/gtest.h>

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <deque>
#include <map>

#include "absl/strings/str_format.h"
#include "tests/sim/member.h"

namespace weft::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t kStores = 300;
constexpr const char* kBaseName = "notes";

class MeshOfStores : public testing::Test {
 protected:
  ~MeshOfStores() override {
    for (const auto& member : all) member->node.reset();
    clock.Clear();
    io.restart();
    io.poll();
  }

  void RunFor(Nanos duration) {
    const Nanos until = clock.Steady() + duration;
    do {
      io.restart();
      io.poll();
    } while (clock.next() <= until && clock.Step());
    clock.AdvanceTo(until);
  }
  void Add() {
    const std::size_t number = all.size();
    all.push_back(std::make_unique<Member>(
        io, &clock, network, absl::StrFormat("store%d", number), 1000 + number));
    Node& node = *all.back()->node;
    if (all.size() == 1) {
      link = (*node.CreateBase(kBaseName))->MakeLink();
    } else {
      bool joined = false;
      asio::co_spawn(io, node.Join(link, kBaseName, ""),
                     [&joined](std::exception_ptr, absl::StatusOr<BaseNode*> base) {
                       joined = base.ok();
                     });
      io.restart();
      io.poll();
      ASSERT_TRUE(joined);
      node.swarm().Keep(all.front()->address);
    }
    node.StartMesh();
  }
  // Stores whose view is that of the first.
  std::size_t Level() const {
    const Hash32 digest = all.front()->base().indexer()->CurrentDigest();
    std::size_t count = 0;
    for (const auto& member : all) {
      const bool knows = member->base().genesis_known();
      count += knows && member->base().indexer()->CurrentDigest() == digest ? 1 : 0;
    }
    return count;
  }
  // The greatest number of connections between this one and any other.
  std::optional<std::size_t> HopsFrom(std::size_t from) const {
    std::map<PublicKey, std::size_t> number;
    for (std::size_t i = 0; i < all.size(); ++i) {
      number[all[i]->node->swarm().key()] = i;
    }
    std::vector<std::size_t> hops(all.size(), all.size());
    std::deque<std::size_t> next = {from};
    hops[from] = 0;
    std::size_t reached = 0;
    std::size_t most = 0;
    for (; !next.empty(); next.pop_front(), ++reached) {
      most = std::max(most, hops[next.front()]);
      for (const PublicKey& key : all[next.front()]->Neighbours()) {
        std::size_t& to = hops[number.at(key)];
        if (to != all.size()) continue;
        to = hops[next.front()] + 1;
        next.push_back(number.at(key));
      }
    }
    if (reached != all.size()) return std::nullopt;
    return most;
  }

  asio::io_context io{1};
  SimClock clock{Nanos(std::chrono::hours(1))};
  SimNetwork network{&clock, 5,
                     NetworkFaults{.delay_mean = milliseconds(20),
                                   .loss = 0,
                                   .piece_bytes_max = 65536,
                                   .window_bytes = 256 * 1024,
                                   .silent_crash = 0}};
  Link link;
  std::vector<std::unique_ptr<Member>> all;
};

TEST_F(MeshOfStores,
       ThreeHundredHoldADozenConnectionsEachAndAChangeReachesAllInFewHops) {
  for (std::size_t i = 0; i < kStores; ++i) {
    Add();
    RunFor(milliseconds(200));
  }
  RunFor(seconds(120));
  std::size_t connections = 0;
  for (const auto& member : all) {
    connections += member->Neighbours().size();
    EXPECT_GE(member->Neighbours().size(), 4U) << member->address;
  }
  EXPECT_LE(connections, 13 * kStores);
  // The one that everybody was told of has visitors, who look for a place.
  EXPECT_LE(all.front()->Neighbours().size(), 30U);
  ASSERT_EQ(Level(), kStores);

  // From the middle, and from the one that came last, who is no neighbour of most.
  Member& last = *all.back();
  ASSERT_TRUE(all.front()
                  ->base()
                  .GrantLogged(last.base().record().identity, GrantRole::kWriter, "")
                  .ok());
  ASSERT_TRUE(all.front()->Put("title", "draft").ok());
  RunFor(seconds(10));
  ASSERT_EQ(Level(), kStores);
  const auto hops = HopsFrom(kStores - 1);
  ASSERT_TRUE(hops.has_value());
  EXPECT_LE(*hops, 5U);
  ASSERT_TRUE(last.Put("title", "final").ok());
  EXPECT_EQ(Level(), kStores - 1);
  RunFor(seconds(10));
  EXPECT_EQ(Level(), kStores);
  EXPECT_EQ(last.base().indexer()->CurrentDigest(),
            all.front()->base().indexer()->CurrentDigest());
}

}  // namespace
}  // namespace weft::sim
