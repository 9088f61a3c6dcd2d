// The causal indexer, rule by rule, as stories.

#include "crdt/indexer.h"

#include <gmock/gmock.h>

#include <atomic>
#include <thread>

#include "crdt/indexer_rows.h"
#include "engine/key_layout.h"
#include "tests/crdt/random_history.h"

namespace weft {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::uint64_t HeldBy(Replica& replica, const CoreKey& log) {
  return replica.logs().logs[log].size();
}

Dep DepOn(Replica& replica, const CoreKey& log, std::uint64_t length) {
  MerkleTree tree;
  for (std::uint64_t i = 0; i < length; ++i) {
    tree.AppendBlock(replica.logs().logs[log][i], [](const TreeNode&) {});
  }
  return {log, length, tree.hash()};
}

LogState StateOf(Replica& replica, const CoreKey& log) {
  LogState state(log);
  for (const Bytes& block : replica.logs().logs[log]) state.Read(block, Limits());
  return state;
}

// A commit of puts that goes around the author's own checks.
std::vector<Bytes> RawPuts(Replica& replica, const CoreKey& self, const OpId& cite,
                           std::vector<Dep> deps,
                           const std::vector<std::string>& keys) {
  const LogState state = StateOf(replica, self);
  const CommitHeader header{{state.last_hlc().ms + 1, 0}, cite, std::move(deps)};
  const std::string text(200 * 1024, 'x');  // so that every op has a block of its own
  std::vector<Operation> operations;
  for (const std::string& key : keys) {
    operations.push_back(PutOp(AsBytes(key), {ValueType::kText, AsBytes(text)}));
  }
  auto batch =
      EncodeBatch(state, header, std::span<const Operation>(operations), Limits());
  WEFT_CHECK(batch.ok() && batch->blocks.size() == keys.size());
  return batch->blocks;
}

TEST(Indexer, C2_ABlockWaitsForWhatItHadSeenAndNamesIt) {
  auto all = People(4).Meet();
  Replica& a = *all[1];
  Replica& b = *all[2];
  Replica& c = *all[3];
  const OpId by_a = a.Do(Put("k", "A"));
  b.FetchAll(a);
  const OpId by_b = b.Do(Put("k", "B"));

  c.Fetch(b, b.self());
  EXPECT_EQ(c.Text("k"), "-");
  const auto missing = c.indexer().Missing();
  ASSERT_EQ(missing.size(), 1U);
  EXPECT_EQ(missing[0].waiting, b.self());
  EXPECT_EQ(missing[0].log, a.self());
  EXPECT_EQ(missing[0].length, 1U);
  EXPECT_FALSE(missing[0].other_branch);
  const OpFate fate = c.Fate(by_b);
  EXPECT_EQ(fate.kind, OpFateKind::kWaiting);
  EXPECT_EQ(fate.waiting_for, a.self());
  EXPECT_EQ(fate.waiting_length, 1U);
  EXPECT_EQ(c.Fate(by_a).kind, OpFateKind::kUnknown);

  c.Fetch(a, a.self());
  EXPECT_EQ(c.Text("k"), "B");
  EXPECT_THAT(c.indexer().Missing(), IsEmpty());
  EXPECT_EQ(c.Fate(by_a).kind, OpFateKind::kSuperseded);
}

TEST(Indexer, C2_ABlockThatHadSeenAnotherBranchWaitsForEver) {
  auto all = People(3).Meet();
  Replica& a = *all[1];
  Replica& b = *all[2];
  a.Do(Put("k", "A"));
  b.FetchAll(a);
  const OpId cite = b.indexer().authority().GrantsOf(b.self())[0]->id;
  Dep wrong = DepOn(b, a.self(), 1);
  wrong.tree_hash.bytes[5] ^= 1;
  const auto blocks =
      RawPuts(b, b.self(), cite, {DepOn(b, all[0]->self(), 2), wrong}, {"k"});
  a.Hold(b.self(), blocks);
  EXPECT_EQ(a.Text("k"), "A");
  ASSERT_EQ(a.indexer().Missing().size(), 1U);
  EXPECT_TRUE(a.indexer().Missing()[0].other_branch);
  EXPECT_THAT(a.Fate({b.self(), 0, 0}).reason, HasSubstr("another branch"));
  EXPECT_EQ(a.indexer().Settled().length(b.self()), 0U);
}

TEST(Indexer, C1_AnOutsidersLogCountsAsFarAsAMemberHadSeenIt) {
  const People people(3);
  Replica founder(people.genesis, people.ids[0]);
  founder.Grant(people.ids[1], GrantRole::kWriter);
  Replica member(people.genesis, people.ids[1]);
  member.FetchAll(founder);
  const CoreKey outsider = people.ids[2];
  const OpId cite{people.ids[0], 0, 0};
  const auto blocks = RawPuts(founder, outsider, cite,
                              {DepOn(founder, people.ids[0], 1)}, {"x", "y", "z"});
  member.logs().logs[outsider] = blocks;
  auto state_before = member.Digest();
  EXPECT_TRUE(member.indexer().Index(outsider).ok());
  EXPECT_EQ(member.Digest(), state_before) << "nobody has named it";

  const OpId own = member.indexer().authority().GrantsOf(member.self())[0]->id;
  const auto naming =
      RawPuts(member, member.self(), own,
              {DepOn(member, people.ids[0], 1), DepOn(member, outsider, 2)}, {"k"});
  member.Hold(member.self(), naming);
  EXPECT_EQ(member.indexer().Settled().length(outsider), 2U);
  EXPECT_EQ(member.Keys(), std::vector<std::string>{"k"}) << "I5: and has no effect";
  EXPECT_EQ(member.Fate({outsider, 0, 0}).kind, OpFateKind::kWaiting)
      << "I1: two of three blocks of his batch count";
  EXPECT_NE(member.Digest(), state_before);
}

TEST(Indexer, C5_ACommitIsReadBackAndFollowsWhatItsAuthorHadSeen) {
  auto all = People(3).Meet();
  Replica& a = *all[1];
  Replica& b = *all[2];
  a.Do(Put("k", "A"));
  EXPECT_EQ(a.Text("k"), "A");
  b.FetchAll(a);
  b.clock().now_ms -= 500'000;  // writes follow reads whatever the clock says
  b.Do(Put("k", "B"));
  EXPECT_EQ(b.Text("k"), "B");
  EXPECT_THAT(b.Conflicts("k"), IsEmpty());
}

TEST(Indexer, C5_OpsOfOneCommitHappenInItsOrder) {
  auto all = People(2).Meet();
  Replica& a = *all[1];
  const Mutation batch[] = {Put("k", "1"),
                            Put("k", "2"),
                            Del("k"),
                            Put("k", "3"),
                            Set("t/r", {{"a", "1"}}),
                            Erase("t/r"),
                            Set("t/r", {{"b", "2"}})};
  const auto commit = a.Commit(batch);
  ASSERT_TRUE(commit.ok());
  EXPECT_EQ(a.Text("k"), "3");
  EXPECT_THAT(a.Row("t/r"), ElementsAre("b=2"));
  EXPECT_EQ(a.Fate(commit->ops[0]).kind, OpFateKind::kSuperseded);
  EXPECT_EQ(a.Fate(commit->ops[1]).kind, OpFateKind::kRemoved);
  EXPECT_THAT(a.Fate(commit->ops[1]).by, ElementsAre(commit->ops[2]));
  EXPECT_EQ(a.Fate(commit->ops[4]).kind, OpFateKind::kRemoved);
}

TEST(Indexer, D8_ABatchIsInvisibleUntilItsLastBlockIsThere) {
  auto all = People(3).Meet();
  Replica& a = *all[1];
  Replica& b = *all[2];
  const OpId cite = a.indexer().authority().GrantsOf(a.self())[0]->id;
  const auto blocks = RawPuts(a, a.self(), cite, {DepOn(a, all[0]->self(), 2)},
                              {"one", "two", "three"});
  const Hash32 empty = b.Root();
  b.Hold(a.self(), blocks, 2);
  EXPECT_THAT(b.Keys(), IsEmpty());
  EXPECT_EQ(b.Root(), empty);
  EXPECT_EQ(b.Fate({a.self(), 0, 0}).kind, OpFateKind::kWaiting);
  b.Hold(a.self(), blocks);
  EXPECT_THAT(b.Keys(), ElementsAre("one", "three", "two"));
  EXPECT_THAT(b.Keys(false, /*reverse=*/true), ElementsAre("two", "three", "one"));
}

TEST(Indexer, D8_ABatchThatIsBrokenOffIsInvalidAsAWhole) {
  auto all = People(3).Meet();
  Replica& a = *all[1];
  Replica& b = *all[2];
  const OpId cite = a.indexer().authority().GrantsOf(a.self())[0]->id;
  auto blocks =
      RawPuts(a, a.self(), cite, {DepOn(a, all[0]->self(), 2)}, {"one", "two"});
  blocks.pop_back();
  b.logs().logs[a.self()] = blocks;
  LogState state = StateOf(b, a.self());
  state.Read(Bytes{1}, Limits());  // as if another block had followed
  b.logs().logs[a.self()].push_back({1});
  const Operation put = PutOp(AsBytes("after"), {ValueType::kText, AsBytes("x")});
  const auto next = EncodeBatch(state, {{state.last_hlc().ms + 1, 0}, cite, {}},
                                std::span<const Operation>(&put, 1), Limits());
  ASSERT_TRUE(next.ok());
  b.logs().logs[a.self()].push_back(next->blocks[0]);
  ASSERT_TRUE(b.indexer().Index(a.self()).ok());
  EXPECT_THAT(b.Keys(), ElementsAre("after"));
  EXPECT_EQ(b.Fate({a.self(), 0, 0}).kind, OpFateKind::kInvalid);
  EXPECT_EQ(b.Fate({a.self(), 1, 0}).kind, OpFateKind::kInvalid);
  EXPECT_EQ(b.Fate({a.self(), 2, 0}).kind, OpFateKind::kWinner);
}

// Whoever has seen a part of a batch has, by the letter, seen its ops: when the rest
// comes later, they take their place in the past.
TEST(Indexer, D8_OpsThatTakeEffectAfterOneThatHadSeenThemAreSuperseded) {
  auto all = People(4).Meet();
  Replica& a = *all[1];
  Replica& b = *all[2];
  Replica& c = *all[3];
  const OpId cite_a = a.indexer().authority().GrantsOf(a.self())[0]->id;
  const OpId cite_b = b.indexer().authority().GrantsOf(b.self())[0]->id;
  const Dep grants = DepOn(a, all[0]->self(), 3);
  const auto whole = RawPuts(a, a.self(), cite_a, {grants}, {"k", "other"});
  b.Hold(a.self(), whole, 1);
  const auto cheat =
      RawPuts(b, b.self(), cite_b, {grants, DepOn(b, a.self(), 1)}, {"k"});

  c.Hold(a.self(), whole, 1);
  c.Hold(b.self(), cheat);
  EXPECT_EQ(c.Read("k").value->live[0].op, (OpId{b.self(), 0, 0}));
  c.Hold(a.self(), whole);
  EXPECT_EQ(c.Read("k").value->live_count, 1U);
  EXPECT_EQ(c.Fate({a.self(), 0, 0}).kind, OpFateKind::kSuperseded);
  a.Hold(a.self(), whole);
  a.Hold(b.self(), cheat);
  EXPECT_EQ(a.Root(), c.Root());
  EXPECT_EQ(a.Digest(), c.Digest());
}

// The same over a restart, where the one who had seen half of it is read first.
TEST(Indexer, D8_OpsSeenInPartAreSupersededAfterARestartToo) {
  auto all = People(4).Meet();
  Replica& a = *all[1];
  Replica& b = *all[2];
  Replica& c = *all[3];
  const OpId cite_a = a.indexer().authority().GrantsOf(a.self())[0]->id;
  const OpId cite_b = b.indexer().authority().GrantsOf(b.self())[0]->id;
  const Dep grants = DepOn(a, all[0]->self(), 3);
  const auto whole = RawPuts(b, b.self(), cite_b, {grants}, {"k", "other"});
  a.Hold(b.self(), whole, 1);
  const auto cheat =
      RawPuts(a, a.self(), cite_a, {grants, DepOn(a, b.self(), 1)}, {"k"});

  c.Hold(b.self(), whole, 1);
  ASSERT_TRUE(c.indexer().Flush().ok());
  c.logs().logs[a.self()] = cheat;
  c.Reopen();
  EXPECT_EQ(c.Read("k").value->live[0].op, (OpId{a.self(), 0, 0}));
  c.Hold(b.self(), whole);
  EXPECT_EQ(c.Read("k").value->live_count, 1U);
  EXPECT_EQ(c.Fate({b.self(), 0, 0}).kind, OpFateKind::kSuperseded);
  b.Hold(b.self(), whole);
  b.Hold(a.self(), cheat);
  EXPECT_EQ(b.Root(), c.Root());
  EXPECT_EQ(b.Digest(), c.Digest());
}

// An honest author who holds half a batch has not read it, and so must not remove it.
TEST(Indexer, D8_AnAuthorDoesNotBuildOnHalfABatch) {
  auto all = People(3).Meet();
  Replica& a = *all[1];
  Replica& b = *all[2];
  const OpId cite = a.indexer().authority().GrantsOf(a.self())[0]->id;
  const auto whole =
      RawPuts(a, a.self(), cite, {DepOn(a, all[0]->self(), 2)}, {"k", "other"});
  b.Hold(a.self(), whole, 1);
  b.Do(Put("k", "B"));
  b.Hold(a.self(), whole);
  EXPECT_EQ(b.Read("k").value->live_count, 2U) << "both are listed";
}

// 10. Old software meets a block of sem_version+1: that writer is parked from there,
// others continue.
TEST(Indexer, S8_Case10_ALogWithABlockOfTheFutureParksAndTheOthersGoOn) {
  auto all = People(3).Meet();
  Replica& a = *all[1];
  Replica& b = *all[2];
  a.Do(Put("k", "before"));
  const OpId future = a.Do(Put("k", "future"));
  const OpId after = a.Do(Put("k", "after"));
  auto log = a.logs().logs[a.self()];
  log[1][2] = 2;  // format:u8 kind:u8 sem_version
  b.Hold(a.self(), log);
  EXPECT_EQ(b.Text("k"), "before");
  EXPECT_EQ(b.Fate(future).kind, OpFateKind::kParked);
  EXPECT_EQ(b.Fate(after).kind, OpFateKind::kParked);
  const Version version = b.indexer().CurrentVersion();
  EXPECT_THAT(version.parked, ElementsAre(Dot{a.self(), 1}));
  EXPECT_EQ(version.writers.at(a.self()).length, 3U);
  ASSERT_EQ(b.indexer().Status().parked.size(), 1U);
  EXPECT_THAT(b.indexer().Status().parked[0].reason, HasSubstr("sem_version 2"));

  b.Do(Put("k", "B"));
  EXPECT_EQ(b.Text("k"), "B") << "and what he could not read, he did not remove";
  const Hash32 root = b.Root();
  ASSERT_TRUE(b.indexer().Flush().ok());
  b.Reopen();
  EXPECT_EQ(b.Root(), root);
  EXPECT_EQ(b.Fate(after).kind, OpFateKind::kParked);
}

TEST(Indexer, S3_ALogWithAForkIsRefused) {
  auto all = People(3).Meet();
  Replica& a = *all[1];
  Replica& b = *all[2];
  a.Do(Put("k", "A"));
  b.logs().forks[a.self()] = 1;
  b.FetchAll(a);
  EXPECT_EQ(b.Text("k"), "-");
  EXPECT_THAT(b.indexer().Status().refused, ElementsAre(a.self()));
}

TEST(Indexer, I3_WhatWasNotFlushedComesBackFromTheLogs) {
  auto all = People(3).Meet();
  Replica& a = *all[1];
  a.Do(Put("one", "1"));
  ASSERT_TRUE(a.indexer().Flush().ok());
  const OpId two = a.Do(Put("two", "2"));
  const Hash32 root = a.Root();
  const Hash32 digest = a.Digest();
  a.Reopen();
  EXPECT_EQ(a.Text("two"), "2");
  EXPECT_EQ(a.Fate(two).kind, OpFateKind::kWinner);
  EXPECT_EQ(a.Root(), root);
  EXPECT_EQ(a.Digest(), digest);
  EXPECT_TRUE(Verify(&a.indexer()).ok());
}

TEST(Indexer, I3_AViewThatShowsMoreThanTheLogsHoldIsBuiltAnew) {
  auto all = People(3).Meet();
  Replica& a = *all[1];
  Replica& b = *all[2];
  a.Do(Put("k", "1"));
  a.Do(Put("k", "2"));
  b.FetchAll(a);
  ASSERT_TRUE(b.indexer().Flush().ok());
  b.logs().logs[a.self()].pop_back();
  b.Reopen();
  EXPECT_EQ(b.Text("k"), "1");
  EXPECT_TRUE(Verify(&b.indexer()).ok());
}

TEST(Indexer, S8_AViewOfAnotherEvaluatorIsBuiltAnew) {
  auto all = People(2).Meet();
  Replica& a = *all[1];
  a.Do(Put("k", "A"));
  ASSERT_TRUE(a.indexer().Flush().ok());
  const Bytes key = keys::ViewState(IndexerOptions().base_number);
  const auto saved = a.storage().Get(Family::kView, key, nullptr);
  ASSERT_TRUE(saved.ok() && saved->has_value());
  ViewStateRow row = *DecodeViewState(**saved);
  EXPECT_EQ(row.evaluator, kEvaluator);
  row.clock_suspect = 7;  // told by a view that is loaded
  for (const std::uint64_t evaluator : {kEvaluator, kEvaluator + 1}) {
    row.evaluator = evaluator;
    StorageBatch batch;
    batch.Put(Family::kView, key, EncodeViewState(row));
    ASSERT_TRUE(a.storage().Commit(batch, Durability::kVolatile).ok());
    a.Reopen();
    EXPECT_EQ(a.indexer().Status().clock_suspect, evaluator == kEvaluator ? 7U : 0U);
    EXPECT_EQ(a.Text("k"), "A");
  }
}

TEST(Indexer, I5_I6_WritesWithoutAGrantAndInvalidBlocksLeaveTheRootAlone) {
  auto all = People(3).Meet();
  Replica& a = *all[1];
  Replica& b = *all[2];
  a.Do(Put("k", "A"));
  b.FetchAll(a);
  const Hash32 root = b.Root();
  const Dep grants = DepOn(a, all[0]->self(), 2);
  const OpId others = b.indexer().authority().GrantsOf(b.self())[0]->id;
  auto blocks = RawPuts(a, a.self(), others, {grants}, {"k", "stolen"});
  blocks.push_back({0xff});
  blocks.push_back({});
  auto log = a.logs().logs[a.self()];
  log.insert(log.end(), blocks.begin(), blocks.end());
  b.Hold(a.self(), log);
  EXPECT_EQ(b.Root(), root);
  EXPECT_EQ(b.Fate({a.self(), 1, 0}).kind, OpFateKind::kNotAllowed);
  EXPECT_THAT(b.Fate({a.self(), 1, 0}).reason, HasSubstr("somebody else's"));
  EXPECT_NE(b.Fate({a.self(), 3, 0}).kind, OpFateKind::kWinner);
}

TEST(Indexer, I9_StampsOfALogRiseEvenIfTheClockSteppedBack) {
  auto all = People(2).Meet();
  Replica& a = *all[1];
  a.Do(Put("k", "1"));
  const Hlc first = a.Read("k").value->live[0].hlc;
  a.clock().now_ms -= 900'000;
  a.Do(Put("k", "2"));
  EXPECT_GT(a.Read("k").value->live[0].hlc, first);
  EXPECT_EQ(a.Text("k"), "2");
}

TEST(Indexer, I10_WhoHasSeenAValueBeatsItWhateverTheClocksSay) {
  auto all = People(3).Meet();
  Replica& a = *all[1];
  Replica& b = *all[2];
  a.clock().now_ms += 10'000'000'000;
  a.Do(Set("t/r", {{"c", "A"}}));
  b.FetchAll(a);
  b.Do(Set("t/r", {{"c", "B"}}));
  EXPECT_THAT(b.Row("t/r"), ElementsAre("c=B"));
}

TEST(Indexer, I11_ReadersOnOtherThreadsSeeWholeBatchesOnly) {
  auto all = People(2).Meet({.flush_ops = 40, .cache_keys_max = 1});
  Replica& a = *all[1];
  const Mutation start[] = {Put("x", "0"), Put("y", "0")};
  ASSERT_TRUE(a.Commit(start).ok());
  std::atomic<bool> stop{false};
  std::atomic<int> scans{0};
  std::atomic<int> torn{0};
  std::thread reader([&] {
    while (!stop) {
      auto scan = a.indexer().ScanView("x", std::nullopt, false);
      const auto x = scan->Next();
      const auto y = scan->Next();
      torn += !x || !y || x->value->live[0].value != y->value->live[0].value ? 1 : 0;
      a.Read("x");
      ++scans;
    }
  });
  for (int n = 1; n <= 300 || scans < 20; ++n) {
    const std::string text = std::to_string(n);
    const Mutation both[] = {Put("x", text), Put("y", text)};
    ASSERT_TRUE(a.Commit(both).ok());
  }
  stop = true;
  reader.join();
  EXPECT_EQ(torn, 0);
}

TEST(Indexer, S4_MoreHeadsThanABlockMayNameAreMergedFirst) {
  People people(8);
  people.genesis.limits.deps = 2;
  auto all = people.Meet();
  Replica& reader = *all[1];
  for (std::size_t i = 2; i < 8; ++i) {
    all[i]->Do(Put("k", std::to_string(i)));
    reader.FetchAll(*all[i]);
  }
  EXPECT_EQ(reader.Read("k").value->live_count, 6U);
  const Mutation merge = Put("k", "merged");
  const auto commit = reader.Commit(std::span(&merge, 1));
  ASSERT_TRUE(commit.ok()) << commit.status();
  EXPECT_GT(commit->blocks.size(), 2U);
  EXPECT_EQ(reader.Text("k"), "merged");
  EXPECT_THAT(reader.Conflicts("k"), IsEmpty());
  all[7]->FetchAll(reader);
  EXPECT_EQ(all[7]->Text("k"), "merged");
}

TEST(Indexer, D8_WhatTheAuthorCanSeeToBeWrongIsNotPrepared) {
  People people(3);
  Replica founder(people.genesis, people.ids[0]);
  founder.Grant(people.ids[1], GrantRole::kWriter, "mine/");
  Replica scoped(people.genesis, people.ids[1]);
  Replica stranger(people.genesis, people.ids[2]);
  scoped.FetchAll(founder);
  stranger.FetchAll(founder);
  const auto status = [](Replica& who, const Mutation& mutation) {
    return who.Commit(std::span(&mutation, 1)).status();
  };
  EXPECT_TRUE(absl::IsPermissionDenied(status(scoped, Put("yours/1", "x"))));
  EXPECT_TRUE(absl::IsPermissionDenied(status(stranger, Put("mine/1", "x"))));
  EXPECT_TRUE(absl::IsNotFound(status(scoped, Del("mine/1"))));
  const std::string long_key = "mine/" + std::string(2000, 'k');
  EXPECT_TRUE(absl::IsInvalidArgument(status(scoped, Put(long_key, "x"))));
  EXPECT_TRUE(
      absl::IsInvalidArgument(status(scoped, Set("mine/1", {{"c", "1"}, {"c", "2"}}))));
  EXPECT_TRUE(absl::IsInvalidArgument(founder.Commit({}).status()));
  EXPECT_EQ(HeldBy(scoped, scoped.self()), 0U) << "nothing was written";
  EXPECT_TRUE(status(scoped, Put("mine/1", "x")).ok());
}

TEST(Indexer, D7_AKeyMayHoldAValueAndARecordAndADeleteRemovesWhatItSees) {
  auto all = People(3).Meet();
  Replica& a = *all[1];
  Replica& b = *all[2];
  a.Do(Put("t/r", "value"));
  a.Do(Set("t/r", {{"c", "1"}}));
  const ViewEntry entry = a.Read("t/r");
  EXPECT_TRUE(entry.value && entry.record);
  EXPECT_EQ(entry.shown, Lane::kRecord) << "the newer";
  b.FetchAll(a);
  a.Do(Erase("t/r"));
  EXPECT_TRUE(a.Read("t/r").value);
  EXPECT_FALSE(a.Read("t/r").record);
  b.Do(Del("t/r"));
  EXPECT_FALSE(b.Read("t/r").readable());
}

TEST(Indexer, ChangesTellWhatWasReadBeforeAndWhatIsReadNow) {
  auto all = People(3).Meet();
  Replica& a = *all[1];
  Replica& b = *all[2];
  a.Do(Put("watched", "1"));
  b.FetchAll(a);
  b.indexer().SetChangeFilter([](std::string_view key) { return key == "watched"; });
  a.Do(Put("watched", "2"));
  a.Do(Put("other", "x"));
  a.Do(Put("watched", "3"));
  const IndexResult result = b.Fetch(a, a.self());
  ASSERT_EQ(result.changes.size(), 1U);
  EXPECT_EQ(AsText(result.changes[0].before.value->live[0].view().bytes), "1");
  EXPECT_EQ(AsText(result.changes[0].after.value->live[0].view().bytes), "3");
  EXPECT_EQ(result.effective_ops, 3U);
}

TEST(Indexer, AGrantAdmitsAWriterOnceAndItsLogBecomesWanted) {
  const People people(3);
  Replica founder(people.genesis, people.ids[0]);
  founder.Grant(people.ids[1], GrantRole::kWriter, "a");
  founder.Grant(people.ids[1], GrantRole::kWriter, "b");
  Replica reader(people.genesis, CoreKey{});
  const IndexResult result =
      reader.Hold(people.ids[0], founder.logs().logs[people.ids[0]]);
  EXPECT_THAT(result.admitted, ElementsAre(people.ids[1]));
  EXPECT_THAT(reader.indexer().WantedLogs(), ElementsAre(people.ids[0], people.ids[1]));
  EXPECT_EQ(reader.indexer().Members().size(), 3U) << "grants, the founder's included";
}

TEST(Indexer, ScansMergeWhatIsStoredWithWhatIsNot) {
  auto all = People(2).Meet({.cache_keys_max = 0});
  Replica& a = *all[1];
  for (const char* key : {"b", "d", "f"}) a.Do(Put(key, key));
  ASSERT_TRUE(a.indexer().Flush().ok());
  a.Do(Del("d"));
  a.Do(Put("e", "new"));
  a.Do(Put("f", "changed"));
  EXPECT_THAT(a.Keys(), ElementsAre("b", "e", "f"));
  EXPECT_THAT(a.Keys(false, true), ElementsAre("f", "e", "b"));
  EXPECT_EQ(a.Text("f"), "changed");
  auto scan = a.indexer().ScanView("c", "f", false);
  a.Do(Put("cc", "too late"));
  EXPECT_EQ(scan->Next()->key, "e");
  EXPECT_FALSE(scan->Next());
  EXPECT_TRUE(scan->status().ok());
}

}  // namespace
}  // namespace weft
