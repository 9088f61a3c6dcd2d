// Forked logs at work on replicas: rules F2 to F5 and C1, attacks 31, 32, 87 and 88.

#include <gmock/gmock.h>

#include "tests/crdt/replica.h"

namespace weft {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// Fay founds, Ada is an admin, Bob and Mia may write. Mia forks after one block: the
// branch of Mia's laptop has "a" and "a2", that of her restored backup "b".
class ForkedLog : public testing::Test {
 protected:
  ForkedLog() {
    ada_grant_ = fay_.Grant(people_.ids[1], GrantRole::kAdmin);
    bob_grant_ = fay_.Grant(people_.ids[2], GrantRole::kWriter);
    mia_grant_ = fay_.Grant(mia(), GrantRole::kWriter);
    for (Replica* replica : {&ada_, &bob_, &laptop_}) replica->FetchAll(fay_);
    laptop_.Do(Put("shared", "v"));
    backup_.FetchAll(laptop_);
    a_ = laptop_.Do(Put("a", "v"));
    laptop_.Do(Put("a2", "v"));
    b_ = backup_.Do(Put("b", "v"));
  }
  const CoreKey& mia() const { return people_.ids[3]; }
  ForkProof Proof() {
    return people_.Proof(3, laptop_.logs().logs[mia()], backup_.logs().logs[mia()]);
  }
  void ExpectEqual(Replica& one, Replica& other) {
    EXPECT_EQ(one.Digest(), other.Digest());
    EXPECT_EQ(one.Root(), other.Root());
    for (Replica* replica : {&one, &other}) {
      const absl::Status verified = Verify(&replica->indexer());
      EXPECT_TRUE(verified.ok()) << verified;
    }
  }

  People people_{4, 3};
  Replica fay_{people_.genesis, people_.ids[0]};
  Replica ada_{people_.genesis, people_.ids[1]};
  Replica bob_{people_.genesis, people_.ids[2]};
  Replica laptop_{people_.genesis, people_.ids[3]};
  Replica backup_{people_.genesis, people_.ids[3]};
  OpId ada_grant_, bob_grant_, mia_grant_, a_, b_;
};

TEST_F(ForkedLog, F2_Attack31_WithoutNamesBothHalvesKeepTheCommonPrefixAlone) {
  ada_.FetchAll(laptop_);
  bob_.FetchAll(backup_);
  EXPECT_EQ(ada_.Text("a"), "v");
  EXPECT_EQ(bob_.Text("b"), "v");
  ada_.TakeProof(Proof());
  bob_.TakeProof(Proof());
  ExpectEqual(ada_, bob_);
  EXPECT_THAT(ada_.Keys(), ElementsAre("shared"));
  EXPECT_EQ(ada_.Fate(a_).kind, OpFateKind::kAfterFork);
  EXPECT_EQ(bob_.Fate(b_).kind, OpFateKind::kAfterFork);
  EXPECT_EQ(ada_.indexer().CurrentVersion().forked.at(mia()), 1U);
}

TEST_F(ForkedLog, F1_AProofIsKeptOverARestartAndItsEffectWithIt) {
  ada_.FetchAll(laptop_);
  ada_.TakeProof(Proof());
  const Hash32 digest = ada_.Digest();
  ada_.Reopen();
  EXPECT_EQ(ada_.Digest(), digest);
  ASSERT_TRUE(ada_.indexer().Flush().ok());
  ada_.Reopen();
  EXPECT_EQ(ada_.Digest(), digest);
  EXPECT_THAT(ada_.Keys(), ElementsAre("shared"));
  ASSERT_EQ(ada_.indexer().ForkProofs()->size(), 1U);
  bob_.FetchAll(ada_);
  ASSERT_TRUE(bob_.indexer().TakeForkProofs(*ada_.indexer().ForkProofs()).ok());
  ExpectEqual(ada_, bob_);
}

TEST_F(ForkedLog, F1_AProofThatComesBeforeTheLogIsKnownWaitsForIt) {
  Replica late(people_.genesis, people_.ids[2]);
  late.TakeProof(Proof());
  EXPECT_THAT(*late.indexer().ForkProofs(), IsEmpty());
  late.FetchAll(laptop_);
  EXPECT_EQ(late.indexer().ForkProofs()->size(), 1U);
  EXPECT_THAT(late.Keys(), ElementsAre("shared"));
}

TEST_F(ForkedLog, F1_TheSmallestForkPointCountsInEveryOrder) {
  const std::vector<Bytes>& log = laptop_.logs().logs[mia()];
  std::vector<Bytes> late = log;
  late[2] = {1, 2, 3};
  const ForkProof at_two = people_.Proof(3, log, late);
  ASSERT_EQ(at_two.fork_point, 2U);
  ada_.FetchAll(laptop_);
  bob_.FetchAll(laptop_);
  ada_.TakeProof(at_two);
  EXPECT_THAT(ada_.Keys(), ElementsAre("a", "shared"));
  ada_.TakeProof(Proof());
  bob_.TakeProof(Proof());
  bob_.TakeProof(at_two);
  ExpectEqual(ada_, bob_);
  EXPECT_THAT(bob_.Keys(), ElementsAre("shared"));
}

TEST_F(ForkedLog, F1_AProofBeyondWhatWasReadOfTheLogComputesNothingAnew) {
  bob_.FetchAll(backup_);
  bob_.Do(Put("by bob", "v"));  // has seen "b"
  ada_.Fetch(laptop_, mia(), 1);
  ada_.Fetch(bob_, people_.ids[2]);
  EXPECT_EQ(ada_.Text("by bob"), "-") << "waits for the backup's branch";
  ada_.logs().blocks_read = 0;
  const IndexResult result = ada_.TakeProof(Proof());
  EXPECT_EQ(ada_.logs().blocks_read, 0U);
  EXPECT_EQ(result.blocks, 1U);
  EXPECT_EQ(ada_.Text("by bob"), "v") << "waits no longer (F3)";
  bob_.TakeProof(Proof());
  ExpectEqual(ada_, bob_);
  ada_.FetchAll(laptop_);
  ExpectEqual(ada_, bob_);
  ASSERT_TRUE(ada_.indexer().Flush().ok());
  ada_.Reopen();
  ExpectEqual(ada_, bob_);
}

TEST_F(ForkedLog, F1_ProofsThatComeTogetherComputeEverythingAnewOnce) {
  // Bob forked too, where Mia did; and of Mia there is a proof of a later point
  // besides.
  Replica other_bob(people_.genesis, people_.ids[2]);
  other_bob.FetchAll(bob_);
  bob_.Do(Put("x", "one"));
  other_bob.Do(Put("x", "two"));
  std::vector<Bytes> longer = laptop_.logs().logs[mia()];
  longer[2] = {1, 2, 3};
  const auto bob = people_.ids[2];
  const std::vector<Bytes> proofs = {
      EncodeForkProof(people_.Proof(3, laptop_.logs().logs[mia()], longer)),
      EncodeForkProof(Proof()), Bytes{1, 2, 3},
      EncodeForkProof(
          people_.Proof(2, bob_.logs().logs[bob], other_bob.logs().logs[bob]))};
  ada_.FetchAll(laptop_);
  ada_.FetchAll(bob_);
  ada_.logs().blocks_read = 0;
  ASSERT_TRUE(ada_.indexer().TakeForkProofs(proofs).ok());
  EXPECT_EQ(ada_.logs().blocks_read, 4U) << "three of the founder's and one of Mia's";
  EXPECT_THAT(ada_.Keys(), ElementsAre("shared"));
  fay_.FetchAll(backup_);
  fay_.FetchAll(other_bob);
  for (const Bytes& proof : proofs) {
    ASSERT_TRUE(fay_.indexer().TakeForkProofs(std::span(&proof, 1)).ok());
  }
  ExpectEqual(ada_, fay_);
}

TEST_F(ForkedLog, F2_Attack32_WhatASeniorHadBuiltUponSurvivesOnEveryReplica) {
  ada_.FetchAll(laptop_);
  ada_.Do(Put("by ada", "v"));  // names all three blocks of the laptop's branch
  bob_.FetchAll(ada_);
  bob_.FetchAll(backup_);
  ada_.TakeProof(Proof());
  bob_.TakeProof(Proof());
  // Fay got the backup's branch first, and the other beside it.
  fay_.FetchAll(backup_);
  fay_.TakeProof(Proof());
  EXPECT_EQ(fay_.Text("a"), "-");
  fay_.FetchAll(ada_);
  ExpectEqual(ada_, bob_);
  ExpectEqual(ada_, fay_);
  EXPECT_THAT(fay_.Keys(), ElementsAre("a", "a2", "by ada", "shared"));
  EXPECT_TRUE(fay_.indexer().ForkOf(mia())->other_branch);
  EXPECT_EQ(fay_.indexer().ForkOf(mia())->cut, 3U);
  ASSERT_TRUE(fay_.indexer().Flush().ok());
  fay_.Reopen();
  ExpectEqual(ada_, fay_);
}

TEST_F(ForkedLog, F2_WhatASeniorNamedAndNobodyHoldsIsWantedAndCountsForNothing) {
  ada_.FetchAll(laptop_);
  ada_.Do(Put("by ada", "v"));
  bob_.FetchAll(backup_);
  bob_.TakeProof(Proof());
  bob_.Fetch(ada_, people_.ids[1]);
  EXPECT_EQ(bob_.Text("by ada"), "v");
  EXPECT_EQ(bob_.Text("a"), "-");
  ASSERT_EQ(bob_.indexer().WantedBranches().size(), 1U);
  EXPECT_EQ(bob_.indexer().WantedBranches()[0].length, 3U);
}

TEST_F(ForkedLog, F2_WhatAPeerOfTheForkerNamedDoesNotSurvive) {
  bob_.FetchAll(laptop_);
  bob_.Do(Put("by bob", "v"));  // no admin
  ada_.FetchAll(bob_);
  ada_.TakeProof(Proof());
  EXPECT_THAT(ada_.Keys(), ElementsAre("by bob", "shared"));
}

// Mia's dead half names Fay's new log, which alone keeps that half alive.
TEST_F(ForkedLog, F2_S2_ALogNamedOnlyByABranchThatItKeepsAliveIsFoundByItsCertificate) {
  sim::SimRandom random(91);
  const CoreKey later = MakeIdentity(people_.genesis.salt, random).id();
  const Incarnation certificate =
      people_.Certificate(0, later, fay_.logs().logs[people_.ids[0]]);
  Replica again(people_.genesis, later);
  again.FetchAll(fay_);
  again.indexer().Follow(later);
  const auto first = again.indexer().PrepareIncarnation(later, certificate, 1'000'000);
  ASSERT_TRUE(first.ok()) << first.status();
  ASSERT_TRUE(again.Append(*first).ok());
  laptop_.indexer().Follow(later);
  laptop_.FetchAll(again);
  laptop_.Do(Put("a3", "v"));
  again.FetchAll(laptop_);
  again.Do(Put("by fay", "v"));

  bob_.TakeProof(Proof());
  bob_.FetchAll(again);
  EXPECT_THAT(bob_.Keys(), ElementsAre("shared"));
  EXPECT_THAT(bob_.indexer().WantedLogs(), testing::Not(testing::Contains(later)));
  ada_.FetchAll(again);
  ada_.TakeProof(Proof());
  EXPECT_THAT(ada_.Keys(), ElementsAre("a", "a2", "a3", "by fay", "shared"));
  EXPECT_NE(bob_.Digest(), ada_.Digest());
  bob_.indexer().Follow(later);
  ASSERT_TRUE(bob_.indexer().IndexAll().ok());
  ExpectEqual(ada_, bob_);
}

TEST_F(ForkedLog, F3_Attack87_WhoHadSeenADeadBranchStaysEffective) {
  bob_.FetchAll(backup_);
  const OpId by_bob = bob_.Do(Put("b", "seen"));
  EXPECT_THAT(bob_.Conflicts("b"), IsEmpty());
  ada_.FetchAll(laptop_);
  ada_.Fetch(bob_, people_.ids[2]);
  EXPECT_EQ(ada_.Fate(by_bob).kind, OpFateKind::kWaiting) << "another branch";
  ASSERT_FALSE(ada_.indexer().Missing().empty());
  EXPECT_TRUE(ada_.indexer().Missing()[0].other_branch);
  ada_.TakeProof(Proof());
  bob_.TakeProof(Proof());
  EXPECT_EQ(ada_.Text("b"), "seen");
  ExpectEqual(ada_, bob_);
}

TEST_F(ForkedLog, F3b_WhatWasSeenOnlyThroughTheDeadPartIsConcurrentAgain) {
  // Mia's backup overwrites Bob's "k"; Ada, who saw only that, overwrites it again.
  bob_.Do(Put("k", "bob"));
  backup_.FetchAll(bob_);
  backup_.Do(Put("k", "mia"));
  ada_.FetchAll(backup_);
  EXPECT_EQ(ada_.Text("k"), "mia");
  ada_.TakeProof(Proof());
  bob_.FetchAll(laptop_);
  bob_.TakeProof(Proof());
  EXPECT_EQ(ada_.Text("k"), "bob") << "what a dead branch had superseded is back";
  ExpectEqual(ada_, bob_);
}

// Somebody's logs fork.
class ManyForks : public ForkedLog {
 protected:
  Authority authority_{people_.genesis,
                       [](const CoreKey&, std::uint64_t, const CoreKey&) { return 0; }};

  void Fork(const CoreKey& identity, std::uint64_t times) {
    for (std::uint64_t n = 1; n <= times; ++n) {
      Incarnation later;
      later.identity = identity;
      later.number = n;
      authority_.AddIncarnation(people_.ids[n], later);
      authority_.SetFork(people_.ids[n], 5, 5);
    }
    Evaluate();
  }
  void Add(const CoreKey& log, std::uint64_t position, GrantNumber cited,
           const AuthOperation& operation) {
    DecodedBlock block;
    block.header.position = position;
    block.header.envelope.emplace();
    block.payload.auth_operations = {operation};
    authority_.Add(log, std::span(&block, 1), cited);
    Evaluate();
  }
  void Evaluate() {
    AuthorityChange change;
    authority_.Evaluate(&change);
  }
};

TEST_F(ManyForks, F5_WhoForkedThreeTimesMoreThanHisGranterKnewIsModeratedByOthers) {
  const CoreKey& founder = people_.ids[0];
  CoreKey holder;
  holder.bytes.fill(7);
  GrantOp grant;
  grant.identity = holder;
  grant.role = GrantRole::kAdmin;
  Add(founder, 0, 0, grant);
  const OpId id{founder, 0, 0};
  const auto standing = [&](bool writes) {
    return authority_.StandingOf(authority_.Find(id)->number, holder, 0, 1, writes);
  };
  Fork(holder, 2);
  EXPECT_EQ(standing(true), Standing::kEffective);
  Fork(holder, 3);
  EXPECT_EQ(standing(true), Standing::kPending);
  EXPECT_EQ(standing(false), Standing::kEffective) << "auth ops wait for nobody";
  EXPECT_EQ(authority_.ForkedLogsOf(holder), 3U);
  // Nor does he accept his own: a verdict counts below its cite (6.6).
  VerdictOp accept;
  accept.log = holder;
  accept.to = accept.named = 1;
  Add(holder, 1, authority_.Find(id)->number, accept);
  EXPECT_EQ(standing(true), Standing::kPending);
  // Who grants to him anew says how many he knows.
  grant.forks = 3;
  Add(founder, 1, 0, grant);
  const GrantNumber second = authority_.Find({founder, 1, 0})->number;
  EXPECT_EQ(authority_.StandingOf(second, holder, 0, 1, true), Standing::kEffective);
}

TEST_F(ManyForks, F5_NobodyCouldAcceptWhatAFounderWrites) {
  Fork(people_.ids[0], 3);
  EXPECT_EQ(authority_.StandingOf(0, people_.ids[0], 0, 1, true), Standing::kEffective);
}

TEST_F(ForkedLog, F4_AForkedAuthorCannotGoOnWithThatLog) {
  laptop_.TakeProof(Proof());
  const Mutation put = Put("more", "v");
  EXPECT_EQ(laptop_.Commit(std::span(&put, 1)).status().code(),
            absl::StatusCode::kFailedPrecondition);
  const auto members = laptop_.indexer().Members();
  ASSERT_EQ(members.size(), 4U);
  EXPECT_EQ(members[3].forked_logs, 1U);
  EXPECT_EQ(members[0].forked_logs, 0U);
}

TEST_F(ForkedLog, Attack88_WhoKnowsOfTheForkHasAnotherDigest) {
  const std::vector<Bytes>& log = laptop_.logs().logs[mia()];
  std::vector<Bytes> longer = log;
  longer.push_back({1});
  std::vector<Bytes> other = log;
  other.push_back({2});
  ada_.FetchAll(laptop_);
  bob_.FetchAll(laptop_);
  ASSERT_EQ(ada_.Digest(), bob_.Digest());
  ada_.TakeProof(people_.Proof(3, longer, other));
  EXPECT_EQ(bob_.Root(), ada_.Root()) << "nothing lies beyond the fork";
  EXPECT_NE(bob_.Digest(), ada_.Digest());
}

TEST_F(ForkedLog, F2_Attack32_AForkAtPositionZeroLeavesNothingThatNobodyNamed) {
  std::vector<Bytes> other = laptop_.logs().logs[mia()];
  other[0] = {9};
  ada_.FetchAll(laptop_);
  const IndexResult result =
      ada_.TakeProof(people_.Proof(3, laptop_.logs().logs[mia()], other));
  EXPECT_THAT(ada_.Keys(), IsEmpty());
  ASSERT_FALSE(result.events.empty());
  EXPECT_EQ(result.events[0].kind, AuthEvent::Kind::kForked);
  EXPECT_EQ(result.events[1].kind, AuthEvent::Kind::kWithdrawn);
  EXPECT_EQ(result.events[1].to, 3U);
}

TEST_F(ForkedLog, F2_Attack32_AForkOfALogThatWasRevokedBeforeCutsItWhereItForks) {
  ada_.FetchAll(laptop_);
  RevokeOp revoke;
  revoke.grant = mia_grant_;
  revoke.keep = {{mia(), 3}};
  ada_.Auth(revoke);
  bob_.FetchAll(backup_);
  bob_.TakeProof(Proof());
  bob_.FetchAll(ada_);
  ada_.TakeProof(Proof());
  ExpectEqual(ada_, bob_);
}

TEST_F(ForkedLog, C5_WatchersHearWhatAForkTakesAway) {
  ada_.FetchAll(laptop_);
  ada_.indexer().SetChangeFilter([](std::string_view) { return true; });
  const IndexResult result = ada_.TakeProof(Proof());
  std::vector<std::string> keys;
  for (const ViewChange& change : result.changes) keys.push_back(change.key);
  EXPECT_THAT(keys, ElementsAre("a", "a2"));
}

// Ada's log forks. Fay had built upon her grant to Bob, and on nothing after it; Bob
// had seen more of that branch when he first wrote.
TEST(ForkedAdmin, F2_ABlockIsJudgedByWhatItNamesOfTheBranchThatSurvives) {
  const People people(5, 3);
  Replica fay(people.genesis, people.ids[0]);
  Replica bob(people.genesis, people.ids[1]);
  Replica laptop(people.genesis, people.ids[2]);
  Replica backup(people.genesis, people.ids[2]);
  Replica mia(people.genesis, people.ids[3]);
  const CoreKey ada = people.ids[2];
  fay.Grant(bob.self(), GrantRole::kReader);
  fay.Grant(ada, GrantRole::kAdmin);
  fay.Grant(mia.self(), GrantRole::kWriter);
  for (Replica* replica : {&mia, &laptop}) replica->FetchAll(fay);
  laptop.Do(Put("shared", "v"));
  backup.FetchAll(laptop);
  mia.Do(Put("by mia", "v"));
  laptop.FetchAll(mia);
  laptop.Grant(bob.self(), GrantRole::kWriter);
  fay.FetchAll(laptop);
  fay.Do(Put("by fay", "v"));
  laptop.Do(Put("dead", "v"));
  bob.FetchAll(laptop);
  bob.Do(Put("by bob", "v"));
  backup.Do(Put("other", "v"));
  const ForkProof proof =
      people.Proof(2, laptop.logs().logs[ada], backup.logs().logs[ada]);

  Replica first(people.genesis, people.ids[4]);
  first.FetchAll(fay);
  first.FetchAll(bob);
  EXPECT_EQ(first.Text("by bob"), "v");
  first.TakeProof(proof);
  EXPECT_EQ(first.indexer().ForkOf(ada)->cut, 2U);
  EXPECT_THAT(first.Keys(), ElementsAre("by bob", "by fay", "by mia", "shared"));
  Replica second(people.genesis, people.ids[4]);
  second.TakeProof(proof);
  second.FetchAll(bob);
  second.FetchAll(fay);
  EXPECT_EQ(second.Digest(), first.Digest());
  EXPECT_EQ(second.Root(), first.Root());
  EXPECT_TRUE(Verify(&first.indexer()).ok()) << Verify(&first.indexer());
}

}  // namespace
}  // namespace weft
