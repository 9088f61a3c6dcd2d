// Byzantine runs, from seeds: everybody honest agrees in the end, and nothing honest is
// lost, whatever branches of whose logs were told to whom (attacks 30, 31, 41, 58, 73
// and 88; invariants I1 to I4, I12 and I13).

#include <gtest/gtest.h>

#include "tests/sim/run.h"

namespace weft::sim {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::uint64_t kSeeds = 12;
#else
constexpr std::uint64_t kSeeds = 80;
#endif
constexpr std::uint64_t kShards = 4;

RunOrder ByzantineRun(std::uint64_t seed) {
  RunOrder order;
  order.seed = seed;
  order.kind = RunKind::kByzantine;
  return order;
}

std::string Told(const RunOrder& order, const RunResult& result) {
  std::string text = "rerun with " + CommandOf(order) + "\n";
  for (const std::string& problem : result.problems) text += problem + "\n";
  return text;
}

class ByzantineSeeds : public testing::TestWithParam<std::uint64_t> {};

TEST_P(ByzantineSeeds, HonestPeersAgreeAndLoseNothingWhoeverForks) {
  std::uint64_t forks = 0;
  std::uint64_t runs = 0;
  for (std::uint64_t seed = 1 + GetParam(); seed <= kSeeds; seed += kShards) {
    const RunOrder order = ByzantineRun(seed);
    const RunResult result = Simulate(order);
    ASSERT_TRUE(result.problems.empty()) << Told(order, result);
    ASSERT_GT(result.writes, 10U) << Told(order, result);
    forks += result.forks;
    ++runs;
  }
  EXPECT_GE(2 * forks, runs) << "a run without forks tests little";
}

INSTANTIATE_TEST_SUITE_P(Simulation, ByzantineSeeds,
                         testing::Range<std::uint64_t>(0, kShards),
                         [](const auto& shard) {
                           return "Shard" + std::to_string(shard.param);
                         });

// Founder and admin had each built upon a branch of their own, and a third was held as
// the log: what was fetched of the one took the place of the other, for ever.
TEST(Byzantine, F2_BranchesThatDifferentSeniorsNamedAreFetchedOnceEach) {
  const RunResult result = Simulate(ByzantineRun(78));
  EXPECT_TRUE(result.problems.empty()) << Told(ByzantineRun(78), result);
  EXPECT_LT(result.events, 100'000U);
  RunOrder order;
  order.seed = 3693;
  order.size = RunSize::kShort;
  EXPECT_TRUE(Simulate(order).problems.empty());
}

RunResult ShortByzantine(std::uint64_t seed) {
  RunOrder order = ByzantineRun(seed);
  order.size = RunSize::kShort;
  return Simulate(order);
}

// What counts of one log hung on which branch of another was held: the feeds were never
// equal, and so nobody compared what they hold.
TEST(Byzantine, F1_AForkIsFoundWhereItMakesOtherLogsDifferToo) {
  EXPECT_TRUE(ShortByzantine(4585).problems.empty());
}

// A third branch parts before the two that were proven do.
TEST(Byzantine, F1_WhoHoldsABranchThatPartedEarlierIsHeard) {
  EXPECT_TRUE(ShortByzantine(4667).problems.empty());
  const RunResult result = Simulate(ByzantineRun(319));
  EXPECT_TRUE(result.problems.empty()) << Told(ByzantineRun(319), result);
}

// The log came into doubt while the last block under its head was still on the way.
TEST(Byzantine, F1_ALogInDoubtIsToldOfOnceItIsHeldWhole) {
  EXPECT_TRUE(ShortByzantine(3279).problems.empty());
}

TEST(Byzantine, TheSameSeedGivesTheSameTrace) {
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    const RunResult first = Simulate(ByzantineRun(seed));
    EXPECT_EQ(first.trace_hash, Simulate(ByzantineRun(seed)).trace_hash) << seed;
  }
}

// A run in which nobody finds a planted bug is red.
TEST(SimulationCanary, ForkProofsThatAreNotPassedOnAreFoundWithinEightSeeds) {
  std::uint64_t seed = 1;
  for (; seed <= 8; ++seed) {
    RunOrder order = ByzantineRun(seed);
    order.bug = PlantedBug::kForkProofsLost;
    if (!Simulate(order).problems.empty()) break;
  }
  EXPECT_LE(seed, 8U);
}

}  // namespace
}  // namespace weft::sim
