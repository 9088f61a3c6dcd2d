// The counter, set, max, min and flag lanes, on keys and in cells: the rules by their
// number, as stories of Ada and Bob.

#include <gmock/gmock.h>

#include "crdt/lanes/counter.h"
#include "tests/crdt/replica.h"

namespace weft {
namespace {

using Kind = Mutation::Kind;
using testing::ElementsAre;

Mutation Change(Kind kind, std::string_view key, std::int64_t number = 0) {
  Mutation mutation;
  mutation.kind = kind;
  mutation.key = key;
  mutation.number = number;
  return mutation;
}
Mutation Inc(std::string_view key, std::int64_t delta) {
  return Change(Kind::kIncrement, key, delta);
}
Mutation Element(Kind kind, std::string_view key, std::string_view text) {
  Mutation mutation = Change(kind, key);
  mutation.value = {ValueType::kText, AsBytes(text)};
  return mutation;
}
Mutation InCell(Mutation mutation, std::string_view column) {
  mutation.column = column;
  return mutation;
}

// "-" if there is no counter.
std::string Count(const Replica& replica, std::string_view key) {
  const ViewEntry entry = replica.Read(key);
  return entry.typed.counter ? entry.typed.counter->sum : "-";
}
std::vector<std::string> Elements(const Replica& replica, std::string_view key) {
  std::vector<std::string> texts;
  const ViewEntry entry = replica.Read(key);
  if (!entry.typed.set) return {"-"};
  for (const std::string& element : *entry.typed.set)
    texts.push_back(element.substr(1));
  return texts;
}
std::string Flag(const Replica& replica, std::string_view key) {
  const ViewEntry entry = replica.Read(key);
  if (!entry.typed.flag) return "-";
  return entry.typed.flag->enabled ? "on" : "off";
}

struct Pair {
  Pair() : people(2), replicas(people.Meet()), ada(*replicas[0]), bob(*replicas[1]) {}
  void Meet() {
    ada.FetchAll(bob);
    bob.FetchAll(ada);
    ASSERT_EQ(ada.Root(), bob.Root());
    ASSERT_EQ(ada.Digest(), bob.Digest());
  }
  People people;
  std::vector<std::unique_ptr<Replica>> replicas;
  Replica& ada;
  Replica& bob;
};

TEST(CounterLane, D3_ConcurrentIncrementsAddUp) {
  Pair two;
  two.ada.Do(Inc("likes", 3));
  two.bob.Do(Inc("likes", 4));
  two.bob.Do(Inc("likes", -1));
  two.Meet();
  EXPECT_EQ(Count(two.ada, "likes"), "6");
  EXPECT_EQ(Count(two.bob, "likes"), "6");
}

TEST(CounterLane, D3_AResetCancelsExactlyTheIncrementsItHasSeen) {
  Pair two;
  two.ada.Do(Inc("likes", 3));
  two.bob.Do(Inc("likes", 10));
  two.Meet();
  const OpId kept = two.bob.Do(Inc("likes", 100));
  const OpId reset = two.ada.Do(Change(Kind::kReset, "likes"));
  EXPECT_EQ(Count(two.ada, "likes"), "-");
  two.Meet();
  EXPECT_EQ(Count(two.ada, "likes"), "100");
  EXPECT_EQ(two.ada.Fate(kept).kind, OpFateKind::kWinner);
  EXPECT_EQ(two.ada.Fate(reset).kind, OpFateKind::kWinner);
  two.ada.Do(Inc("likes", 1));
  EXPECT_EQ(Count(two.ada, "likes"), "101");
}

TEST(CounterLane, D3_AnIncrementThatWasResetSaysByWhom) {
  Pair two;
  const OpId inc = two.ada.Do(Inc("likes", 3));
  two.Meet();
  const OpId reset = two.bob.Do(Change(Kind::kReset, "likes"));
  two.Meet();
  const OpFate fate = two.ada.Fate(inc);
  EXPECT_EQ(fate.kind, OpFateKind::kRemoved);
  EXPECT_THAT(fate.by, ElementsAre(reset));
}

TEST(CounterLane, D3_AResetInTheMiddleOfManyFoldedIncrementsIsExact) {
  Pair two;
  for (int i = 0; i < 100; ++i) two.ada.Do(Inc("likes", 1));
  two.bob.FetchAll(two.ada);
  for (int i = 0; i < 900; ++i) two.ada.Do(Inc("likes", 1));
  two.bob.Do(Change(Kind::kReset, "likes"));
  two.ada.Do(Inc("likes", 1000));
  two.Meet();
  EXPECT_EQ(Count(two.ada, "likes"), "1900");
  two.ada.Do(Inc("likes", 1));
  two.Meet();
  EXPECT_EQ(Count(two.bob, "likes"), "1901");
  EXPECT_TRUE(Verify(&two.ada.indexer()).ok());
}

TEST(CounterLane, D3_AThousandIncrementsAreKeptInFewBytes) {
  CounterLane lane;
  for (std::uint32_t i = 0; i < 100'000; ++i) {
    lane.Add({{0, 0, i}, i}, 1);
    lane.Fold();
  }
  EXPECT_EQ(Decimal(lane.Sum(1)), "100000");
  EXPECT_LT(lane.parts().size(), 260U);
}

TEST(CounterLane, D3_TheSumIsExactBeyond64BitsAndTheReadOutSaturates) {
  Pair two;
  two.ada.Do(Inc("big", INT64_MAX));
  two.ada.Do(Inc("big", INT64_MAX));
  EXPECT_EQ(two.ada.Read("big").typed.counter->value, INT64_MAX);
  EXPECT_EQ(Count(two.ada, "big"), "18446744073709551614");
  for (int i = 0; i < 4; ++i) two.bob.Do(Inc("big", INT64_MIN));
  two.Meet();
  EXPECT_EQ(two.ada.Read("big").typed.counter->value, INT64_MIN);
  EXPECT_EQ(Count(two.ada, "big"), "-18446744073709551618");
}

TEST(SetLane, D4_AnAddBesideARemoveSurvivesIt) {
  Pair two;
  const OpId first = two.ada.Do(Element(Kind::kAdd, "tags", "red"));
  two.Meet();
  const OpId again = two.bob.Do(Element(Kind::kAdd, "tags", "red"));
  two.bob.Do(Element(Kind::kAdd, "tags", "blue"));
  two.ada.Do(Element(Kind::kRemove, "tags", "red"));
  EXPECT_THAT(Elements(two.ada, "tags"), ElementsAre("-"));
  two.Meet();
  EXPECT_THAT(Elements(two.ada, "tags"), ElementsAre("blue", "red"));
  EXPECT_EQ(two.ada.Fate(again).kind, OpFateKind::kWinner);
  EXPECT_EQ(two.ada.Fate(first).kind, OpFateKind::kSuperseded);
}

TEST(SetLane, D4_ARemoveTakesOnlyItsElement) {
  Pair two;
  two.ada.Do(Element(Kind::kAdd, "tags", "red"));
  two.ada.Do(Element(Kind::kAdd, "tags", "blue"));
  two.ada.Do(Element(Kind::kRemove, "tags", "red"));
  EXPECT_THAT(Elements(two.ada, "tags"), ElementsAre("blue"));
}

TEST(SetLane, V1_ASetTooLongForALeafHasTheSameRootHoweverItCameAbout) {
  Pair two;
  std::vector<std::string> names;
  for (int i = 0; i < 200; ++i) names.push_back(absl::StrFormat("element %d", i));
  for (int i = 0; i < 100; ++i) two.ada.Do(Element(Kind::kAdd, "tags", names[i]));
  for (int i = 100; i < 200; ++i) two.bob.Do(Element(Kind::kAdd, "tags", names[i]));
  two.Meet();
  EXPECT_EQ(Elements(two.ada, "tags").size(), 200U);
  EXPECT_EQ((*two.ada.indexer().LeafLanes("tags"))[1], 1) << "nested";
}

TEST(ExtremeLane, D5_TheGreatestAndTheLeastOfAllThatWasRaisedShow) {
  Pair two;
  two.ada.Do(Change(Kind::kRaiseMax, "high", 7));
  two.bob.Do(Change(Kind::kRaiseMax, "high", 5));
  two.ada.Do(Change(Kind::kRaiseMin, "low", 7));
  two.bob.Do(Change(Kind::kRaiseMin, "low", -5));
  two.Meet();
  EXPECT_EQ(two.ada.Read("high").typed.max, 7);
  EXPECT_EQ(two.ada.Read("low").typed.min, -5);
}

TEST(ExtremeLane, D5_ADeleteTakesOnlyWhatItHasSeen) {
  Pair two;
  two.ada.Do(Change(Kind::kRaiseMax, "high", 9));
  two.Meet();
  two.bob.Do(Change(Kind::kRaiseMax, "high", 3));
  two.ada.Do(Del("high"));
  two.Meet();
  EXPECT_EQ(two.ada.Read("high").typed.max, 3);
}

TEST(FlagLane, D5_OnWinsUnlessTheDisableSaysThatItWins) {
  Pair two;
  two.ada.Do(Change(Kind::kEnable, "on"));
  two.bob.Do(Change(Kind::kDisable, "on"));
  two.Meet();
  EXPECT_EQ(Flag(two.ada, "on"), "on");
  EXPECT_TRUE(two.ada.Read("on").typed.flag->in_conflict);
  Mutation off = Change(Kind::kDisable, "off");
  off.disable_wins = true;
  two.ada.Do(Change(Kind::kEnable, "off"));
  two.bob.Do(off);
  two.Meet();
  EXPECT_EQ(Flag(two.bob, "off"), "off");
  two.bob.Do(Change(Kind::kEnable, "off"));
  EXPECT_EQ(Flag(two.bob, "off"), "on") << "it has seen the disable";
  EXPECT_THAT(two.bob.Keys(true), ElementsAre("on"));
}

TEST(Lanes, D7_LanesOfOneKeyStandBesideEachOtherAndTheNewestShows) {
  Pair two;
  two.ada.Do(Put("k", "text"));
  two.ada.Do(Inc("k", 2));
  EXPECT_EQ(two.ada.Read("k").shown, Lane::kCounter);
  EXPECT_EQ(two.ada.Text("k"), "text");
  two.ada.Do(Element(Kind::kAdd, "k", "x"));
  EXPECT_EQ(two.ada.Read("k").shown, Lane::kSet);
  two.ada.Do(Put("k", "newer"));
  EXPECT_EQ(two.ada.Read("k").shown, Lane::kRegister);
  two.ada.Do(Del("k"));
  EXPECT_FALSE(two.ada.Read("k").readable())
      << "a del names every lane its author sees";
}

TEST(Lanes, D1_ADeleteRemovesWhatItHasSeenOnEveryLane) {
  Pair two;
  two.ada.Do(Inc("k", 2));
  two.ada.Do(Element(Kind::kAdd, "k", "x"));
  two.Meet();
  two.bob.Do(Inc("k", 5));
  const OpId del = two.ada.Do(Del("k"));
  two.Meet();
  EXPECT_EQ(Count(two.ada, "k"), "5");
  EXPECT_THAT(Elements(two.ada, "k"), ElementsAre("-"));
  EXPECT_EQ(two.ada.Fate(del).kind, OpFateKind::kWinner)
      << "of the set nothing is left";
  two.ada.Do(Element(Kind::kAdd, "k", "y"));
  EXPECT_EQ(two.ada.Fate(del).kind, OpFateKind::kConflict)
      << "it stands in the counter alone, beside five";
}

TEST(SetLane, D10_ARemoveBesideAnAddIsInConflictUntilSomebodyHasSeenBoth) {
  Pair two;
  const OpId add = two.ada.Do(Element(Kind::kAdd, "tags", "red"));
  two.Meet();
  const OpId again = two.bob.Do(Element(Kind::kAdd, "tags", "red"));
  const OpId remove = two.ada.Do(Element(Kind::kRemove, "tags", "red"));
  EXPECT_EQ(two.ada.Fate(remove).kind, OpFateKind::kWinner);
  EXPECT_EQ(two.ada.Fate(add).kind, OpFateKind::kRemoved);
  EXPECT_THAT(two.ada.Fate(add).by, ElementsAre(remove));
  two.Meet();
  EXPECT_EQ(two.ada.Fate(remove).kind, OpFateKind::kConflict);
  const OpId last = two.ada.Do(Element(Kind::kRemove, "tags", "red"));
  EXPECT_EQ(two.ada.Fate(remove).kind, OpFateKind::kRemoved);
  EXPECT_EQ(two.ada.Fate(again).kind, OpFateKind::kRemoved);
  EXPECT_EQ(two.ada.Fate(last).kind, OpFateKind::kWinner);
}

TEST(Lanes, D10_ADelOfSeveralLanesIsRemovedOnlyWhenAllOfThemWereWrittenAgain) {
  Pair two;
  two.ada.Do(Put("k", "text"));
  two.ada.Do(Inc("k", 2));
  const OpId del = two.ada.Do(Del("k"));
  const OpId again = two.ada.Do(Put("k", "again"));
  EXPECT_EQ(two.ada.Fate(del).kind, OpFateKind::kWinner) << "of the counter";
  two.ada.Do(Inc("k", 1));
  EXPECT_EQ(two.ada.Fate(del).kind, OpFateKind::kSuperseded);
  EXPECT_THAT(two.ada.Fate(del).by, ElementsAre(again));
}

TEST(RecordLane, D11_ACellHoldsAnyLane) {
  Pair two;
  two.ada.Do(Set("songs/1", {{"title", "Lille"}}));
  two.Meet();
  two.ada.Do(InCell(Inc("songs/1", 2), "plays"));
  two.bob.Do(InCell(Inc("songs/1", 3), "plays"));
  two.bob.Do(InCell(Element(Kind::kAdd, "songs/1", "folk"), "tags"));
  two.Meet();
  const ViewEntry entry = two.ada.Read("songs/1");
  EXPECT_EQ(entry.record->typed_cells.at("plays").counter->sum, "5");
  EXPECT_EQ(entry.record->typed_cells.at("tags").set->size(), 1U);
  EXPECT_THAT(two.ada.Row("songs/1"), ElementsAre("title=Lille"));
}

TEST(RecordLane, D11_ACounterInARowThatWasMadeAnewStartsFromNothing) {
  Pair two;
  two.ada.Do(InCell(Inc("songs/1", 2), "plays"));
  two.Meet();
  two.ada.Do(Erase("songs/1"));
  two.ada.Do(InCell(Inc("songs/1", 1), "plays"));
  EXPECT_EQ(two.ada.Read("songs/1").record->typed_cells.at("plays").counter->sum, "1");
  two.bob.Do(InCell(Inc("songs/1", 10), "plays"));
  two.Meet();
  // Bob's row is what he saw, beside the new one: all of it counts again.
  EXPECT_EQ(two.ada.Read("songs/1").record->typed_cells.at("plays").counter->sum, "13");
}

TEST(Lanes, I2_EveryLaneIsTheSameAfterARestart) {
  Pair two;
  two.ada.Do(Inc("k", 2));
  two.ada.Do(Element(Kind::kAdd, "k", "x"));
  two.ada.Do(Change(Kind::kRaiseMax, "k", 7));
  two.ada.Do(Change(Kind::kRaiseMin, "k", 7));
  two.ada.Do(Change(Kind::kEnable, "k"));
  two.ada.Do(InCell(Inc("k", 2), "plays"));
  two.ada.Do(InCell(Element(Kind::kAdd, "k", "y"), "plays"));
  const ViewEntry before = two.ada.Read("k");
  const Hash32 root = two.ada.Root();
  ASSERT_TRUE(two.ada.indexer().Flush().ok());
  two.ada.Reopen();
  EXPECT_EQ(two.ada.Read("k"), before);
  two.ada.Do(Put("other", "x"));
  two.ada.Do(Del("other"));
  EXPECT_EQ(two.ada.Root(), root);
}

}  // namespace
}  // namespace weft
