// Authority under random histories: what was kept up to date step by step is what a
// fresh pass over the same blocks gives, in any order of delivery (rules P1 to P9, I1,
// I2, I8).

#include <gmock/gmock.h>

#include "tests/crdt/auth_history.h"

namespace weft {
namespace {

TEST(AuthProperty, I1_P9_EveryOrderOfDeliveryGivesTheSameVerdicts) {
  int revokes = 0;
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    History history(seed);
    for (int step = 0; step < 120; ++step) history.Step();
    history.Meet();
    history.Meet();
    revokes += history.revokes();
    auto& replicas = history.replicas();
    const std::string expected = Answers(*replicas[0], history.people().ids);
    for (std::size_t i = 1; i < replicas.size(); ++i) {
      ASSERT_EQ(Answers(*replicas[i], history.people().ids), expected)
          << "replica " << i;
    }
    ASSERT_TRUE(Verify(&replicas[0]->indexer()).ok())
        << Verify(&replicas[0]->indexer());
    // One block at a time, in a random order of logs.
    Replica late(history.people().genesis, history.people().ids[0]);
    for (int turn = 0; turn < 3'000; ++turn) {
      const CoreKey& log = history.people().ids[history.Below(6)];
      late.Fetch(*replicas[0], log, late.logs().logs[log].size() + 1);
    }
    late.FetchAll(*replicas[0]);
    ASSERT_EQ(Answers(late, history.people().ids), expected);
    WEFT_CHECK(late.indexer().Flush().ok());
    late.Reopen();
    ASSERT_EQ(Answers(late, history.people().ids), expected) << "after a restart";
  }
  EXPECT_GT(revokes, 100);
}

}  // namespace
}  // namespace weft
