// Crowds small enough for every run; `./dev sim --giant` is the large one.

#include "tests/sim/crowd.h"

#include <gtest/gtest.h>

namespace weft::sim {
namespace {

std::string Join(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

TEST(Crowd, HonestNodesConvergeAmongHostileOnesAndNoneOfThemIsBanned) {
  CrowdOptions options;
  options.nodes = 40;
  options.hostile = 8;
  options.feeds = 200;
  const CrowdResult result = RunCrowd(1, options);
  EXPECT_TRUE(result.level);
  EXPECT_TRUE(result.problems.empty()) << Join(result.problems);
  EXPECT_LE(result.received_bytes_most, 32U << 20);
  EXPECT_LE(result.upload_bytes_most, 64U << 20);
  EXPECT_LE(result.connections_most, 100U);
  EXPECT_GT(result.hostile_bans, 0U) << "the attacks were noticed";
  EXPECT_GT(result.hostile_dials, 100U);
  EXPECT_LT(result.points_most, 20U);
}

TEST(Crowd, TheSameSeedGivesTheSameTraceAndAnotherGivesAnother) {
  CrowdOptions options;
  options.nodes = 12;
  options.hostile = 8;
  options.feeds = 24;
  options.busy = std::chrono::seconds(20);
  const CrowdResult first = RunCrowd(7, options);
  EXPECT_EQ(first.trace_hash, RunCrowd(7, options).trace_hash);
  EXPECT_NE(first.trace_hash, RunCrowd(8, options).trace_hash);
}

TEST(Crowd, Attack35_HalfTheNodesComeBackEveryTenSecondsAndNothingIsLeftBehind) {
  CrowdOptions options;
  options.nodes = 16;
  options.hostile = 0;
  options.feeds = 32;
  options.busy = std::chrono::minutes(3);
  const CrowdResult result = RunCrowd(3, options);
  EXPECT_TRUE(result.problems.empty()) << Join(result.problems);
  EXPECT_LE(result.connections_most, 40U);
  EXPECT_LT(result.level_after, std::chrono::minutes(2));
  EXPECT_EQ(result.points_most, 0U);
}

TEST(Crowd, Attack37_ManyWhoWantOneFeedAtOnceGetItOnceEach) {
  CrowdOptions options;
  options.nodes = 30;
  options.hostile = 0;
  options.feeds = 30;
  options.follows = 20;
  options.busy = std::chrono::seconds(10);
  const CrowdResult result = RunCrowd(5, options);
  EXPECT_TRUE(result.level);
  EXPECT_TRUE(result.problems.empty()) << Join(result.problems);
}

}  // namespace
}  // namespace weft::sim
