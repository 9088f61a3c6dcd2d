// The worked cases of the semantics, part 10, word for word: those of this part of the
// rules (1, 2, 3, 10, 11).

#include <gmock/gmock.h>

#include "tests/crdt/replica.h"

namespace weft {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// 1. A,B write k concurrently, hlc(A)<hlc(B): value=B, conflicts=[A]. C sees both,
// writes k with an older wall clock: value=C, no conflicts.
TEST(WorkedCases, D1_Case1_ConcurrentWritesConflictUntilSomebodyHasSeenBoth) {
  auto all = People(4).Meet();
  Replica& a = *all[1];
  Replica& b = *all[2];
  Replica& c = *all[3];
  a.clock().now_ms = 2'000'000;
  b.clock().now_ms = 2'000'100;
  const OpId by_a = a.Do(Put("k", "A"));
  const OpId by_b = b.Do(Put("k", "B"));
  c.FetchAll(a);
  c.FetchAll(b);
  EXPECT_EQ(c.Text("k"), "B");
  EXPECT_THAT(c.Conflicts("k"), ElementsAre("A"));
  EXPECT_THAT(c.Keys(/*conflicts_only=*/true), ElementsAre("k"));
  EXPECT_EQ(c.Fate(by_b).kind, OpFateKind::kWinner);
  EXPECT_EQ(c.Fate(by_a).kind, OpFateKind::kConflict);

  c.clock().now_ms = 1'000'000;
  const OpId by_c = c.Do(Put("k", "C"));
  EXPECT_EQ(c.Text("k"), "C");
  EXPECT_THAT(c.Conflicts("k"), IsEmpty());
  EXPECT_THAT(c.Keys(/*conflicts_only=*/true), IsEmpty());
  EXPECT_EQ(c.Fate(by_a).kind, OpFateKind::kSuperseded);
  EXPECT_THAT(c.Fate(by_a).by, ElementsAre(by_c));
}

// 2. A deletes k, B concurrently puts k: value=B, deleted_concurrently=true.
TEST(WorkedCases, D1_Case2_APutBesideADeleteSurvives) {
  auto all = People(3).Meet();
  Replica& a = *all[1];
  Replica& b = *all[2];
  const OpId old = a.Do(Put("k", "old"));
  b.FetchAll(a);
  const OpId del = a.Do(Del("k"));
  const OpId put = b.Do(Put("k", "B"));
  EXPECT_EQ(a.Text("k"), "-");
  EXPECT_EQ(a.Fate(old).kind, OpFateKind::kRemoved);
  EXPECT_THAT(a.Fate(old).by, ElementsAre(del));
  EXPECT_EQ(a.Fate(del).kind, OpFateKind::kWinner);
  a.FetchAll(b);
  EXPECT_EQ(a.Text("k"), "B");
  EXPECT_TRUE(a.Read("k").value->deleted_concurrently);
  EXPECT_EQ(a.Fate(put).kind, OpFateKind::kWinner);
  EXPECT_EQ(a.Fate(del).kind, OpFateKind::kConflict);
}

// 3. Writer M writes k with year 2250; B sees it and writes k: B wins. A never saw M:
// between A's value and M's it is M's until B's write covers both.
TEST(WorkedCases, T3_Case3_AFarFutureStampLosesToWhoeverHasSeenIt) {
  constexpr std::int64_t kYear2250 = 8'836'000'000'000;
  auto all = People(4).Meet();
  Replica& a = *all[1];
  Replica& b = *all[2];
  Replica& m = *all[3];
  m.clock().now_ms = kYear2250;
  m.Do(Put("k", "M"));
  a.Do(Put("k", "A"));
  Replica watcher(a.indexer().genesis(), CoreKey{});
  watcher.FetchAll(a);
  watcher.FetchAll(m);
  EXPECT_EQ(watcher.Text("k"), "M");
  EXPECT_EQ(watcher.indexer().Status().clock_suspect, 1U)
      << "T2: delivered, and counted";

  b.FetchAll(m);
  b.Do(Put("k", "B"));
  EXPECT_EQ(b.Text("k"), "B");
  EXPECT_LE(b.Read("k").value->live[0].hlc.ms,
            static_cast<std::uint64_t>(b.clock().now_ms) + kClockPullMs)
      << "T1: a remote clock pulls ours by five minutes at most";
  watcher.FetchAll(b);
  EXPECT_EQ(watcher.Text("k"), "B");
  EXPECT_THAT(watcher.Conflicts("k"), ElementsAre("A"));

  b.FetchAll(a);
  b.Do(Put("k", "B again"));
  watcher.FetchAll(b);
  EXPECT_EQ(watcher.Text("k"), "B again");
  EXPECT_THAT(watcher.Conflicts("k"), IsEmpty());
}

// 11. A row is deleted, then made anew with one column: the others are empty (D11). A
// row is deleted while somebody else edits one cell: the whole row is back.
TEST(WorkedCases, D11_Case11_ARowMadeAnewIsEmptyAndAnEditBesideADeleteRevivesIt) {
  auto all = People(3).Meet();
  Replica& a = *all[1];
  Replica& b = *all[2];
  a.Do(Set("airports/KEF", {{"city", "Keflavik"}, {"iata", "KEF"}}));
  a.Do(Set("airports/RKV", {{"city", "Reykjavik"}, {"iata", "RKV"}}));
  b.FetchAll(a);

  a.Do(Erase("airports/KEF"));
  EXPECT_FALSE(a.Read("airports/KEF").readable());
  a.Do(Set("airports/KEF", {{"iata", "KEF"}}));
  EXPECT_THAT(a.Row("airports/KEF"), ElementsAre("iata=KEF"));

  const OpId del = a.Do(Erase("airports/RKV"));
  b.Do(Set("airports/RKV", {{"city", "Reykjavik domestic"}}));
  a.FetchAll(b);
  b.FetchAll(a);
  for (Replica* reader : {&a, &b}) {
    EXPECT_THAT(reader->Row("airports/RKV"),
                ElementsAre("city=Reykjavik domestic", "iata=RKV"));
    EXPECT_TRUE(reader->Read("airports/RKV").record->deleted_concurrently);
    EXPECT_EQ(reader->Fate(del).kind, OpFateKind::kConflict);
  }
  EXPECT_EQ(a.Root(), b.Root());
  EXPECT_EQ(a.Digest(), b.Digest());
}

}  // namespace
}  // namespace weft
