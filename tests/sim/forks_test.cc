// Stores that are restored or copied and written on, on the simulated network:
// everybody else ends with one view, the proof, and all of the prefix (part 7; attacks
// 30, 31, 73 and 88; worked case 7). Clocks that jump by ten years besides (attack 41).

#include <gtest/gtest.h>

#include "absl/strings/str_format.h"
#include "tests/sim/world.h"

namespace weft::sim {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

std::string Value(World& world, std::size_t peer, const std::string& key) {
  const auto entry = world.base(peer)->indexer()->Get(key);
  if (!entry.ok() || !entry->value) return "-";
  return std::string(AsText(entry->value->live[0].view().bytes));
}

class ForkedWorld : public testing::TestWithParam<std::uint64_t> {
 protected:
  static WorldOptions Options() {
    WorldOptions options;
    options.peers = 4;
    options.dials = 4;
    options.honest = false;
    return options;
  }
  void SetUp() override {
    ASSERT_TRUE(world_.StartGranted().ok());
    ASSERT_TRUE(world_.RunUntilLevel(minutes(1))) << world_.Journal();
  }
  void Say(std::size_t peer, const std::string& key, const std::string& value) {
    const auto said = world_.Say(peer, key, value);
    ASSERT_TRUE(said.ok()) << said.status() << "\n" << world_.Journal();
  }
  void Settle() { ASSERT_TRUE(world_.RunUntilLevel(minutes(5))) << world_.Journal(); }
  // What the last peer says after its backup all have; then it says something else in
  // that place, cut off, so that it cannot hear of its own tail.
  void ForkAfterRestore() {
    world_.BackUp(3);
    Say(3, "after", "lost");
    Settle();
    for (std::size_t peer = 0; peer < 3; ++peer) world_.Partition(3, peer);
    world_.RestoreBackup(3);
    world_.RunFor(seconds(5));
    Say(3, "other", "lost too");
  }
  // Everybody agrees and can say why.
  void ExpectAllEqual(std::uint64_t survives) {
    world_.Heal();
    Settle();
    for (std::size_t peer = 0; peer < world_.size(); ++peer) {
      BaseNode& base = *world_.base(peer);
      EXPECT_EQ(base.Root()->root, world_.base(0)->Root()->root) << peer;
      EXPECT_TRUE(Verify(base).ok()) << Verify(base);
      const auto fork = base.indexer()->ForkOf(world_.WriterOf(3));
      ASSERT_TRUE(fork.has_value()) << world_.NameOf(peer) << "\n" << world_.Journal();
      EXPECT_EQ(fork->cut, survives) << world_.NameOf(peer);
      EXPECT_EQ(base.indexer()->ForkProofs()->size(), 1U);
    }
  }

  World world_{GetParam(), Options()};
};

TEST_P(ForkedWorld, F1_Attack31_ARestoredBackupIsFoundByItsPeers) {
  Say(3, "before", "kept");
  Settle();
  ForkAfterRestore();
  ExpectAllEqual(1);
  EXPECT_EQ(Value(world_, 0, "before"), "kept");
  EXPECT_EQ(Value(world_, 0, "after"), "-");
  EXPECT_EQ(Value(world_, 1, "other"), "-");
}

TEST_P(ForkedWorld, F6_NoStrangerIsServedMoreOfAForkedLogThanSurvives) {
  Say(3, "before", "kept");
  Settle();
  const std::uint64_t whole = world_.base(0)->LogOf(world_.WriterOf(3))->length();
  ForkAfterRestore();
  EXPECT_TRUE(world_.base(0)->MayServeStrangers(world_.WriterOf(3)));
  ExpectAllEqual(whole);
  for (std::size_t peer = 0; peer < world_.size(); ++peer) {
    BaseNode& base = *world_.base(peer);
    ASSERT_GT(base.LogOf(world_.WriterOf(3))->length(), whole) << "of either branch";
    EXPECT_FALSE(base.MayServeStrangers(world_.WriterOf(3)));
    EXPECT_TRUE(base.MayServeStrangers(world_.WriterOf(0)));
  }
  // Who came later got no more than survives, with a signature of that.
  const auto late = world_.AddReader();
  ASSERT_TRUE(late.ok()) << late.status();
  Settle();
  BaseNode& base = *world_.base(*late);
  EXPECT_EQ(base.MayServeStrangers(world_.WriterOf(3)),
            base.LogOf(world_.WriterOf(3))->length() <= whole);
}

TEST_P(ForkedWorld, F2_WhatTheFounderHadBuiltUponSurvivesWhereTheOtherBranchIsHeld) {
  Say(3, "before", "kept");
  Settle();
  world_.BackUp(3);
  // Bob and Cyd are cut off from the founder and get the other branch.
  for (std::size_t peer = 1; peer < 3; ++peer) {
    world_.Partition(0, peer);
    world_.Partition(3, peer);
  }
  Say(3, "after", "kept too");
  ASSERT_TRUE(world_.node(3) != nullptr);
  world_.RunFor(seconds(20));
  EXPECT_EQ(Value(world_, 0, "after"), "kept too") << world_.Journal();
  EXPECT_EQ(Value(world_, 1, "after"), "-");
  // A writer below the founder: his block names what he has seen.
  Say(0, "by the founder", "v");
  const auto clone = [&] {
    world_.network().HealAll();
    for (std::size_t peer = 1; peer < 3; ++peer) world_.Partition(0, peer);
    world_.Partition(0, 3);
    world_.RestoreBackup(3);
    world_.RunFor(seconds(5));
    Say(3, "other", "lost");
    world_.RunFor(seconds(30));
  };
  clone();
  ExpectAllEqual(2);
  EXPECT_EQ(Value(world_, 1, "after"), "kept too");
  EXPECT_EQ(Value(world_, 1, "other"), "-");
  // The author holds what was lost, at the place of what survives (F4).
  const auto lost = world_.base(3)->Recoverable();
  ASSERT_TRUE(lost.ok()) << lost.status();
  ASSERT_EQ(lost->size(), 1U);
  EXPECT_EQ(lost->front().from, 1U);
  EXPECT_EQ(lost->front().writes, 1U);
}

TEST_P(ForkedWorld, Attack73_ACopyThatRunsBesideItsOriginalIsFoundToo) {
  Say(3, "before", "kept");
  Settle();
  world_.BackUp(3);
  const auto copy = world_.CloneHost(3);
  ASSERT_TRUE(copy.ok()) << copy.status();
  for (std::size_t peer = 0; peer < *copy; ++peer) world_.Partition(*copy, peer);
  Say(3, "one", "lost");
  Say(*copy, "two", "lost");
  Say(*copy, "three", "lost");
  world_.RunFor(seconds(5));
  ExpectAllEqual(1);
  EXPECT_EQ(Value(world_, 0, "one"), "-");
  EXPECT_EQ(Value(world_, 2, "three"), "-");
}

TEST_P(ForkedWorld, F1_BranchesOfOneLengthAreTheSameInNameOnlyAndAreFound) {
  Say(3, "before", "kept");
  Settle();
  const auto copy = world_.CloneHost(3);
  ASSERT_TRUE(copy.ok()) << copy.status();
  for (std::size_t peer = 0; peer < 2; ++peer) {
    world_.Partition(2, peer);
    world_.Partition(*copy, peer);
  }
  world_.Partition(3, 2);
  world_.Partition(3, *copy);
  Say(3, "one", "lost");
  Say(*copy, "two", "lost");
  world_.RunFor(seconds(20));
  ExpectAllEqual(1);
}

TEST_P(ForkedWorld, Attack41_AClockThatJumpsTenYearsCostsNobodyAWrite) {
  constexpr Nanos kTenYears = hours(24 * 3652);
  for (int round = 0; round < 6; ++round) {
    world_.StepClock(1, round % 2 == 0 ? kTenYears : -kTenYears);
    Say(1, absl::StrFormat("key/%d", round), "by bob");
    Say(2, absl::StrFormat("other/%d", round), "by cyd");
    world_.RunFor(seconds(3));
  }
  Settle();
  for (int round = 0; round < 6; ++round) {
    EXPECT_EQ(Value(world_, 0, absl::StrFormat("key/%d", round)), "by bob");
    EXPECT_EQ(Value(world_, 3, absl::StrFormat("other/%d", round)), "by cyd");
  }
  // Who has seen a stamp of the far future wins over it all the same (T3).
  Say(2, "key/0", "later");
  Settle();
  EXPECT_EQ(Value(world_, 1, "key/0"), "later");
}

// Only these two reach each other.
void LetMeet(World& world, std::size_t a, std::size_t b) {
  world.network().HealAll();
  for (std::size_t i = 0; i < world.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      const bool meet = (i == a && j == b) || (i == b && j == a);
      if (!meet) world.Partition(j, i);
    }
  }
}

// Blocks of a branch that is dead already, or dies while they come, are taken in by
// nobody: still both say in the end that no more is on its way.
TEST(ForkedAndBusy, F1_WhoHearsOfAForkWhileABranchOfItComesIsLevelInTheEnd) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(absl::StrFormat("seed %d", seed));
    WorldOptions options;
    options.peers = 2;
    options.honest = false;
    options.late_max = milliseconds(4);
    options.network.delay_mean = milliseconds(1);
    World world(seed, options);
    ASSERT_TRUE(world.StartGranted().ok());
    ASSERT_TRUE(world.RunUntilLevel(minutes(1))) << world.Journal();
    const auto say = [&](std::size_t peer, const std::string& key) {
      const auto said = world.Say(peer, key, "v");
      ASSERT_TRUE(said.ok()) << said.status() << world.Journal();
    };
    // What the founder says now his backup lacks, and Bob has it.
    world.BackUp(0);
    for (const char* key : {"a/1", "a/2", "a/3"}) say(0, key);
    ASSERT_TRUE(world.RunUntilLevel(minutes(1))) << world.Journal();
    world.Partition(0, 1);
    say(1, "b/1");
    say(1, "b/2");
    world.RestoreBackup(0);
    const auto writes = world.CloneHost(0);
    ASSERT_TRUE(writes.ok()) << writes.status();
    const auto hears = world.CloneHost(0);
    ASSERT_TRUE(hears.ok()) << hears.status();
    LetMeet(world, 0, 0);
    world.node(*hears)->swarm().Keep(world.NameOf(*writes) + ":1");
    say(0, "c");
    say(*writes, "d/1");
    say(*writes, "d/2");
    LetMeet(world, 0, *writes);
    world.RunFor(minutes(1));
    LetMeet(world, *hears, *writes);
    world.RunFor(minutes(1));
    LetMeet(world, *hears, 1);
    world.RunFor(minutes(2));
    for (const std::size_t peer : {std::size_t{1}, *hears}) {
      const auto sessions = world.node(peer)->swarm().Ready();
      ASSERT_EQ(sessions.size(), 1U) << world.Journal();
      EXPECT_TRUE(world.node(peer)->IsLevel(*sessions[0])) << world.Journal();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, ForkedWorld, testing::Range<std::uint64_t>(1, 5));

}  // namespace
}  // namespace weft::sim
