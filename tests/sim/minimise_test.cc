// The minimiser: what fails stays, and little else.

#include "tests/sim/minimise.h"

#include <gtest/gtest.h>

namespace weft::sim {
namespace {

TEST(Minimiser, APlantedBugIsLeftWithFewPeersAndFewSteps) {
  RunOrder order;
  order.kind = RunKind::kHonest;
  order.bug = PlantedBug::kLastOpOfBatchLost;
  const RunResult whole = Simulate(order);
  ASSERT_FALSE(whole.problems.empty());
  const Minimised small = Minimise(order, 200);
  ASSERT_FALSE(small.result.problems.empty());
  EXPECT_EQ(ProblemKind(small.result.problems.front()),
            ProblemKind(whole.problems.front()));
  EXPECT_EQ(OptionsOf(small.order).world.peers, 2U);
  ASSERT_TRUE(small.order.steps.has_value());
  EXPECT_LE(small.order.steps->size(), 4U) << CommandOf(small.order);
  EXPECT_FALSE(small.order.without.empty());
  EXPECT_LE(small.runs, 200U);
  // What it says is what happens.
  const RunResult again = Simulate(small.order);
  EXPECT_EQ(again.trace_hash, small.result.trace_hash);
  EXPECT_EQ(again.problems, small.result.problems);
}

TEST(Minimiser, ARunWithoutAProblemStaysWhatItIs) {
  RunOrder order;
  order.size = RunSize::kShort;
  order.kind = RunKind::kHonest;
  const Minimised same = Minimise(order);
  EXPECT_TRUE(same.result.problems.empty());
  EXPECT_EQ(same.runs, 1U);
  EXPECT_EQ(CommandOf(same.order), "./dev sim --seed 1 --short --kind honest");
}

TEST(Minimiser, AProblemIsKnownAgainByItsRuleOrItsWords) {
  EXPECT_EQ(ProblemKind("I12: not equal in the end: ada 01234567"), "I12:");
  EXPECT_EQ(ProblemKind("dan: I11: group/0 is shown in part"), "I11:");
  EXPECT_EQ(ProblemKind("dan: the view is wrong: key/3 shows [ada]"),
            ProblemKind("eve: the view is wrong: key/1 shows [bob]"));
  EXPECT_NE(ProblemKind("dan refused a write: UNAVAILABLE"),
            ProblemKind("dan cannot flush: UNAVAILABLE"));
}

TEST(Minimiser, StepsAreWrittenAsRangesAndReadBack) {
  const std::vector<std::uint64_t> steps = {0, 1, 2, 5, 7, 8};
  EXPECT_EQ(StepsText(steps), "0-2,5,7-8");
  EXPECT_EQ(ParseSteps("0-2,5,7-8"), steps);
  EXPECT_EQ(ParseSteps(StepsText({})), std::vector<std::uint64_t>());
  for (const char* wrong : {"", "1,", "3-2", "x", "5,4", "1-", "9999999999999999999"}) {
    EXPECT_EQ(ParseSteps(wrong), std::nullopt) << wrong;
  }
}

}  // namespace
}  // namespace weft::sim
