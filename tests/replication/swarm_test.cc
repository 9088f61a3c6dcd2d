// Who uses the connections of a swarm, and when they end.

#include "replication/swarm.h"

#include <gtest/gtest.h>

#include "tests/replication/swarm_world.h"

namespace weft {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct SwarmTest : testing::Test {
  SwarmTest() { ada.Listen(); }

  struct Dialled {
    std::optional<absl::StatusOr<std::shared_ptr<Session>>> result;
    std::shared_ptr<Session> session() const { return **result; }
  };
  // Ends some time later.
  std::shared_ptr<Dialled> Begin(SwarmPeer& from, const std::string& address) {
    auto dialled = std::make_shared<Dialled>();
    asio::co_spawn(
        world.io, from.swarm->Dial(address, seconds(10)),
        [dialled](std::exception_ptr, absl::StatusOr<std::shared_ptr<Session>> result) {
          dialled->result = std::move(result);
        });
    return dialled;
  }
  std::shared_ptr<Session> Dial(SwarmPeer& from, const std::string& address) {
    const auto dialled = Begin(from, address);
    world.RunFor(seconds(2));
    return dialled->session();
  }

  SwarmWorld world;
  SwarmPeer& ada = world.Add("10.0.0.1");
  SwarmPeer& bob = world.Add("10.0.0.2");
};

TEST_F(SwarmTest, ADialledConnectionEndsWithTheLastOfItsUsers) {
  const auto first = Dial(bob, ada.address);
  const auto second = Dial(bob, ada.address);
  EXPECT_EQ(first, second);
  EXPECT_FALSE(bob.swarm->Release(first));
  world.RunFor(seconds(1));
  EXPECT_FALSE(second->closed());
  EXPECT_TRUE(bob.swarm->Release(second));
  world.RunFor(seconds(1));
  EXPECT_TRUE(second->closed());
  EXPECT_FALSE(bob.swarm->Release(second)) << "it has ended";
}

TEST_F(SwarmTest, AUseOfAConnectionThatStaysDoesNotEndIt) {
  bob.swarm->Keep(ada.address);
  world.RunFor(seconds(2));
  const auto kept = bob.swarm->Ready()[0];
  EXPECT_EQ(Dial(bob, ada.address), kept);
  EXPECT_EQ(bob.swarm->Use(ada.swarm->key()), kept);
  EXPECT_FALSE(bob.swarm->Release(kept));
  EXPECT_FALSE(bob.swarm->Release(kept));
  world.RunFor(seconds(1));
  EXPECT_FALSE(kept->closed());
}

TEST_F(SwarmTest, ThoseWhoDialAnAddressAtOnceShareOneConnection) {
  std::vector<std::shared_ptr<Dialled>> all;
  for (int i = 0; i < 8; ++i) all.push_back(Begin(bob, ada.address));
  world.RunFor(seconds(2));
  for (const auto& each : all) EXPECT_EQ(each->session(), all[0]->session());
  EXPECT_EQ(world.network.streams_opened(), 1U);
  for (std::size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(bob.swarm->Release(all[i]->session()), i + 1 == all.size());
  }
}

TEST_F(SwarmTest, WhoDialsWhileAConnectionIsBeingEndedGetsAnother) {
  for (int i = 0; i < 20; ++i) {
    const auto last = Dial(bob, ada.address);
    const auto next = Begin(bob, ada.address);
    world.RunFor(milliseconds(i));
    bob.swarm->Release(last);
    world.RunFor(seconds(2));
    ASSERT_TRUE(next->result && next->result->ok()) << i;
    EXPECT_FALSE(next->session()->closed()) << i;
    EXPECT_TRUE(bob.swarm->Release(next->session())) << i;
    world.RunFor(seconds(1));
  }
}

TEST_F(SwarmTest, DialsFromBothSidesGetTheConnectionThatStays) {
  bob.Listen();
  for (int i = 0; i < 20; ++i) {
    const auto bobs = Begin(bob, ada.address);
    world.RunFor(milliseconds(i));
    const auto adas = Begin(ada, bob.address);
    world.RunFor(seconds(2));
    ASSERT_TRUE(bobs->result && bobs->result->ok()) << i;
    ASSERT_TRUE(adas->result && adas->result->ok()) << i;
    for (SwarmPeer* const peer : {&ada, &bob}) {
      for (const auto& session : peer->swarm->Ready()) session->Close();
    }
    world.RunFor(seconds(1));
  }
}

TEST_F(SwarmTest, WhatOneDialFoundOutWithTimeToSpareIsTheAnswerForAll) {
  std::vector<std::shared_ptr<Dialled>> all;
  for (int i = 0; i < 8; ++i) all.push_back(Begin(bob, "10.0.0.3:1"));
  world.RunFor(seconds(20));
  for (const auto& each : all) {
    ASSERT_TRUE(each->result);
    EXPECT_TRUE(absl::IsUnavailable(each->result->status()));
  }
}

TEST_F(SwarmTest, OurOwnAddressIsUnavailable) {
  const auto dialled = Begin(ada, ada.address);
  world.RunFor(seconds(2));
  ASSERT_TRUE(dialled->result);
  EXPECT_EQ(dialled->result->status(),
            absl::UnavailableError(ada.address + ": the address is our own"));
}

TEST_F(SwarmTest, OfManyConnectionsFromOnePeerTheOldestIsLeftAlone) {
  const auto cyd = world.network.HostView("10.0.0.3");
  const KeyPair identity = KeyPairFromSeed(RandomSeed(world.random));
  Peer store{3};
  std::vector<std::shared_ptr<Session>> sessions;
  for (int i = 0; i < 5; ++i) {
    world.DialSession(*cyd, ada.address, &store, identity, &sessions);
    world.RunFor(seconds(1));
  }
  ASSERT_EQ(sessions.size(), 5U);
  EXPECT_FALSE(sessions.front()->closed());
  EXPECT_FALSE(sessions.back()->closed());
  for (const auto& session : sessions) session->Close();
  world.RunFor(seconds(1));
}

}  // namespace
}  // namespace weft
