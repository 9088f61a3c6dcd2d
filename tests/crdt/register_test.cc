// The register lane against rule D1, told and recomputed.

#include "crdt/lanes/register.h"

#include <gmock/gmock.h>

#include "tests/crdt/random_dag.h"

namespace weft {
namespace {

std::string Text(int n) {
  return std::string(1, '\x04') + "value " + std::to_string(n);
}

Bytes StateOf(const RegisterLane& lane, const WriterTable& writers) {
  Bytes bytes;
  Writer out(&bytes);
  lane.WriteState(writers, out);
  return bytes;
}

// Rule D1 word for word: the ops that no other op has seen.
RegisterLane FromDefinition(const RandomDag& dag,
                            const std::vector<LaneWrite>& writes) {
  class Unordered final : public CausalOrder {
    bool Before(const LocalOp&, const LocalOp&) const override { return false; }
  } unordered;
  RegisterLane lane;
  for (std::size_t n = 0; n < dag.size(); ++n) {
    bool seen = false;
    for (std::size_t later = 0; later < dag.size(); ++later) {
      seen = seen || dag.Saw(later, n);
    }
    if (!seen) lane.Apply(writes[n], unordered);
  }
  return lane;
}

TEST(RegisterLane, D1_EveryDeliveryOrderGivesTheOpsThatNobodyHasSeen) {
  int conflicts = 0;
  int deleted_beside = 0;
  for (std::uint64_t seed = 1; seed <= 2000; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937_64 random(seed);
    const RandomDag dag(random, 1 + random() % 4, 1 + random() % 10);
    std::vector<LaneWrite> writes;
    for (std::size_t n = 0; n < dag.size(); ++n) {
      const bool put = random() % 4 != 0;
      writes.push_back({dag.stamp(n), put, put ? Text(static_cast<int>(n)) : ""});
    }
    const RegisterLane expected = FromDefinition(dag, writes);
    conflicts += expected.has_conflict() ? 1 : 0;
    deleted_beside += expected.deleted_concurrently() ? 1 : 0;
    for (int round = 0; round < 4; ++round) {
      RegisterLane lane;
      for (const std::size_t n : dag.RandomOrder(random)) lane.Apply(writes[n], dag);
      ASSERT_EQ(StateOf(lane, dag.writers()), StateOf(expected, dag.writers()));
      ASSERT_EQ(lane.writes().size(), expected.writes().size());
      ASSERT_EQ(lane.deleted_concurrently(), expected.deleted_concurrently());
    }
  }
  EXPECT_GT(conflicts, 400);
  EXPECT_GT(deleted_beside, 100);
}

TEST(RegisterLane, D1_TheLargestTieWinsAndTheOthersAreListedByFallingTie) {
  std::mt19937_64 random(7);
  const RandomDag dag(random, 3, 3);  // for its writer keys only
  class Unordered final : public CausalOrder {
    bool Before(const LocalOp&, const LocalOp&) const override { return false; }
  } unordered;
  RegisterLane lane;
  lane.Apply({{{0, 0, 0}, 5}, true, Text(1)}, unordered);
  lane.Apply({{{1, 0, 0}, 9}, true, Text(2)}, unordered);
  lane.Apply({{{2, 0, 0}, 5}, true, Text(3)}, unordered);
  const auto live = lane.Live(dag.writers());
  ASSERT_EQ(live.size(), 3U);
  EXPECT_EQ(live[0]->value, Text(2));
  EXPECT_EQ(live[1]->value, Text(1)) << "equal clocks: the larger key wins";
  EXPECT_EQ(live[2]->value, Text(3));
  EXPECT_EQ(lane.Winner(dag.writers())->value, Text(2));
}

TEST(RegisterLane, AStoredStateIsReadBackWithItsDels) {
  std::mt19937_64 random(3);
  const RandomDag dag(random, 2, 2);
  class Unordered final : public CausalOrder {
    bool Before(const LocalOp&, const LocalOp&) const override { return false; }
  } unordered;
  RegisterLane lane;
  lane.Apply({{{0, 4, 70000}, 5}, true, Text(1)}, unordered);
  lane.Apply({{{1, 0, 3}, 6}, false, ""}, unordered);
  Bytes row;
  Writer out(&row);
  lane.Store(out);
  Reader in(row);
  const RegisterLane read = RegisterLane::Read(2, in);
  ASSERT_TRUE(in.ok() && in.done());
  EXPECT_EQ(StateOf(read, dag.writers()), StateOf(lane, dag.writers()));
  EXPECT_TRUE(read.deleted_concurrently());

  Reader foreign(row);
  RegisterLane::Read(1, foreign);
  EXPECT_FALSE(foreign.ok()) << "writer 1 of a table of one";
}

}  // namespace
}  // namespace weft
