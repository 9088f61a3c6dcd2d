// Many small runs, a third of them Byzantine: 20 000 seeds in every run of the tests.
// `./dev sim --short --seeds N` runs as many more as one likes.

#include <gtest/gtest.h>

#include "tests/sim/run.h"

namespace weft::sim {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::uint64_t kSeeds = 400;
#else
constexpr std::uint64_t kSeeds = 20'000;
#endif
// Of one length, for as many processors as there are.
constexpr std::uint64_t kShards = 8;

class ShortSeeds : public testing::TestWithParam<std::uint64_t> {};

TEST_P(ShortSeeds, NothingGoesWrongInASmallWorld) {
  std::uint64_t writes = 0;
  std::uint64_t forks = 0;
  for (std::uint64_t seed = 1 + GetParam(); seed <= kSeeds; seed += kShards) {
    RunOrder order;
    order.seed = seed;
    order.size = RunSize::kShort;
    const RunResult result = Simulate(order);
    ASSERT_TRUE(result.problems.empty())
        << "rerun with " << CommandOf(order) << " --minimise\n"
        << result.problems.front();
    writes += result.writes;
    forks += result.forks;
  }
  EXPECT_GT(writes, 3 * kSeeds / kShards);
  EXPECT_GT(forks, kSeeds / kShards / 20);
}

INSTANTIATE_TEST_SUITE_P(Simulation, ShortSeeds,
                         testing::Range<std::uint64_t>(0, kShards),
                         [](const auto& shard) {
                           return "Shard" + std::to_string(shard.param);
                         });

}  // namespace
}  // namespace weft::sim
