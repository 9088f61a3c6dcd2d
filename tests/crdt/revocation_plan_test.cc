// What the command line says before a removal (6.4) is what then happens: to the
// removed, and to everybody whose writes rest on what they did.

#include <gmock/gmock.h>

#include <set>

#include "tests/crdt/auth_history.h"
#include "tests/crdt/world.h"

namespace weft {
namespace {

// The writes that have effect on a replica.
std::set<OpId> Effective(Replica& replica) {
  std::set<OpId> found;
  for (const CoreKey& log : replica.indexer().WantedLogs()) {
    const auto take = [&](const Indexer::LoggedOp& op) -> absl::Status {
      if (op.operation == nullptr) return absl::OkStatus();
      const OpFateKind kind = replica.Fate(op.id).kind;
      if (kind == OpFateKind::kWinner || kind == OpFateKind::kConflict ||
          kind == OpFateKind::kSuperseded || kind == OpFateKind::kRemoved) {
        found.insert(op.id);
      }
      return absl::OkStatus();
    };
    WEFT_CHECK(replica.indexer().ReadOps(log, 0, UINT64_MAX, take).ok());
  }
  return found;
}

std::set<GrantNumber> Standing(Replica& replica) {
  const Authority& authority = replica.indexer().authority();
  std::set<GrantNumber> found;
  for (GrantNumber n = 0; n < authority.grant_count(); ++n) {
    if (authority.Stands(n)) found.insert(n);
  }
  return found;
}

template <class T>
std::uint64_t CountLost(const std::set<T>& before, const std::set<T>& after) {
  return static_cast<std::uint64_t>(
      std::count_if(before.begin(), before.end(),
                    [&](const T& one) { return !after.contains(one); }));
}

// Plans, revokes, and compares. Returns grants and writes.
std::pair<std::uint64_t, std::uint64_t> PlanAndDo(Replica& replica,
                                                  const AuthOperation& revocation) {
  const auto cost = replica.indexer().CostOf(replica.self(), std::span(&revocation, 1));
  EXPECT_TRUE(cost.ok()) << cost.status();
  if (!cost.ok()) return {};
  const std::set<OpId> writes = Effective(replica);
  const std::set<GrantNumber> grants = Standing(replica);
  replica.Auth(revocation);
  EXPECT_EQ(cost->writes, CountLost(writes, Effective(replica)));
  EXPECT_EQ(cost->grants, CountLost(grants, Standing(replica)));
  return {cost->grants, cost->writes};
}

class RevocationPlan : public testing::Test, public World {
 protected:
  // An invite of Fay's, redeemed for a person in the log of another.
  OpId LetIn(std::size_t who, std::size_t carrier) {
    Seed seed;
    seed.bytes.fill(9);
    const KeyPair pair = KeyPairFromSeed(seed);
    InviteOp invite;
    invite.key = pair.public_key;
    RedeemOp redeem;
    redeem.invite = replicas[kFay]->Auth(invite);
    Meet();
    redeem.identity = id(who);
    redeem.signature =
        Sign(pair.secret_key,
             RedeemSignable(BaseIdOf(EncodeGenesis(people.genesis)).view(), id(who)));
    replicas[carrier]->Auth(redeem);
    Meet();
    return redeem.invite;
  }
};

using Cost = std::pair<std::uint64_t, std::uint64_t>;

TEST_F(RevocationPlan, P8_ACarrierTakesAlongWhomHeLetIn) {
  auto& world = *this;
  const OpId ada = world[kFay].Auth(GrantTo(id(kAda), GrantRole::kReader));
  Meet();
  LetIn(kEve, kAda);
  world[kEve].Do(Put("u1", "v"));
  world[kEve].Do(Put("u2", "v"));
  Meet();
  EXPECT_EQ(PlanAndDo(world[kFay], Revoke(ada)), Cost(2, 2));
  EXPECT_EQ(world[kFay].Text("u1"), "-");
}

TEST_F(RevocationPlan, P8_ACarrierWhoseLogIsKeptTakesNobodyAlong) {
  auto& world = *this;
  const OpId ada = world[kFay].Auth(GrantTo(id(kAda), GrantRole::kReader));
  Meet();
  LetIn(kEve, kAda);
  world[kEve].Do(Put("u1", "v"));
  Meet();
  const Indexer& indexer = world[kFay].indexer();
  const Grant& grant = *indexer.authority().Find(ada);
  EXPECT_EQ(PlanAndDo(world[kFay], Revoke(ada, indexer.KnownLengths(grant, false))),
            Cost(1, 0));
  EXPECT_EQ(world[kFay].Text("u1"), "v");
}

TEST_F(RevocationPlan, P3_ASecondRevocationTakesWhatTheFirstHadKept) {
  auto& world = *this;
  world[kFay].Auth(GrantTo(id(kAda), GrantRole::kAdmin));
  Meet();
  const OpId bob = world[kAda].Auth(GrantTo(id(kBob), GrantRole::kWriter));
  Meet();
  world[kBob].Do(Put("n1", "v"));
  Meet();
  EXPECT_EQ(PlanAndDo(world[kAda], Revoke(bob, {{id(kBob), 1}})), Cost(1, 0));
  Meet();
  EXPECT_EQ(world[kFay].Text("n1"), "v");
  EXPECT_EQ(PlanAndDo(world[kFay], Revoke(bob)), Cost(0, 1));
  EXPECT_EQ(world[kFay].Text("n1"), "-");
}

TEST_F(RevocationPlan, P5_ASubtreeTakesWhatItsAdminHadKeptOfOthers) {
  auto& world = *this;
  const OpId ada = world[kFay].Auth(GrantTo(id(kAda), GrantRole::kAdmin));
  Meet();
  const OpId bob = world[kAda].Auth(GrantTo(id(kBob), GrantRole::kWriter));
  Meet();
  world[kBob].Do(Put("n1", "v"));
  Meet();
  world[kAda].Auth(Revoke(bob, {{id(kBob), 1}}));
  Meet();
  EXPECT_EQ(PlanAndDo(world[kFay], Revoke(ada, {}, true)), Cost(1, 1));
}

TEST_F(RevocationPlan, P4_66_VerdictsFallWithTheModeratorWhoGaveThem) {
  auto& world = *this;
  const OpId bob = world[kFay].Auth(GrantTo(id(kBob), GrantRole::kModerator));
  world[kFay].Auth(GrantTo(id(kEve), GrantRole::kModerated));
  Meet();
  world[kEve].Do(Put("a", "v"));
  world[kEve].Do(Put("b", "v"));
  Meet();
  VerdictOp accept;
  accept.type = AuthOpType::kAccept;
  accept.log = id(kEve);
  accept.to = 2;
  world[kBob].Auth(accept);
  Meet();
  EXPECT_EQ(world[kFay].Text("a"), "v");
  EXPECT_EQ(PlanAndDo(world[kFay], Revoke(bob)), Cost(1, 2));
}

TEST_F(RevocationPlan, P4_66_WhatASeniorShowedIsHiddenAgainWithoutHim) {
  auto& world = *this;
  const OpId ada = world[kFay].Auth(GrantTo(id(kAda), GrantRole::kModerator));
  world[kFay].Auth(GrantTo(id(kBob), GrantRole::kModerator));
  world[kFay].Auth(GrantTo(id(kEve), GrantRole::kWriter));
  Meet();
  const OpId op = world[kEve].Do(Put("a", "v"));
  world[kEve].Do(Put("b", "v"));
  Meet();
  world[kBob].Auth(Hide(op));
  Meet();
  world[kAda].Auth(Hide(op, false));
  Meet();
  ASSERT_EQ(world[kFay].Text("a"), "v");
  EXPECT_EQ(PlanAndDo(world[kFay], Revoke(ada)), Cost(1, 1));
  EXPECT_EQ(world[kFay].Text("a"), "-");
  EXPECT_EQ(world[kFay].Text("b"), "v");
}

TEST_F(RevocationPlan, P5_WhatIsHiddenAlreadyIsNoLoss) {
  auto& world = *this;
  const OpId eve = world[kFay].Auth(GrantTo(id(kEve), GrantRole::kWriter));
  Meet();
  const OpId op = world[kEve].Do(Put("a", "v"));
  world[kEve].Do(Put("b", "v"));
  Meet();
  world[kFay].Auth(Hide(op));
  EXPECT_EQ(PlanAndDo(world[kFay], Revoke(eve)), Cost(1, 1));
}

TEST_F(RevocationPlan, P2_WhoCannotRevokeGetsNoPlan) {
  auto& world = *this;
  const OpId ada = world[kFay].Auth(GrantTo(id(kAda), GrantRole::kWriter));
  world[kFay].Auth(GrantTo(id(kEve), GrantRole::kWriter));
  Meet();
  const AuthOperation revoke = Revoke(ada);
  EXPECT_EQ(
      world[kEve].indexer().CostOf(id(kEve), std::span(&revoke, 1)).status().code(),
      absl::StatusCode::kPermissionDenied);
}

TEST_F(RevocationPlan, F4_WhoseLogForkedPlansAsIfHisNextLogHadBegun) {
  auto& world = *this;
  world[kFay].Auth(GrantTo(id(kAda), GrantRole::kAdmin));
  Meet();
  const OpId bob = world[kAda].Auth(GrantTo(id(kBob), GrantRole::kWriter));
  Meet();
  world[kBob].Do(Put("n1", "v"));
  Meet();
  Replica copy(people.genesis, id(kAda));
  copy.FetchAll(world[kAda]);
  copy.Do(Put("k", "one"));
  world[kAda].Do(Put("k", "other"));
  const std::vector<Bytes> one = copy.logs().logs[id(kAda)];
  const std::vector<Bytes> other = world[kAda].logs().logs[id(kAda)];
  world[kAda].TakeProof(people.Proof(kAda, one, other));
  const AuthOperation revoke = Revoke(bob);
  const auto cost = world[kAda].indexer().CostOf(id(kAda), std::span(&revoke, 1));
  ASSERT_TRUE(cost.ok()) << cost.status();
  EXPECT_EQ(cost->grants, 1U);
  EXPECT_EQ(cost->writes, 1U);
}

TEST(RevocationPlanProperty, I1_I2_ThePlanIsWhatHappensAndChangesNothing) {
  std::uint64_t done = 0;
  std::uint64_t writes = 0;
  std::uint64_t grants = 0;
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    History history(seed + 5'000);
    const std::vector<CoreKey>& logs = history.people().ids;
    for (int step = 0; step < 160; ++step) {
      history.Step();
      if (step < 40 || history.Below(8) != 0) continue;
      Replica& replica = *history.replicas()[history.Below(4)];
      AuthOperation revoke = history.RandomRevoke();
      if (history.Below(2) == 0) std::get<RevokeOp>(revoke).keep.clear();
      const std::string before = Answers(replica, logs);
      const auto plan = replica.indexer().CostOf(replica.self(), std::span(&revoke, 1));
      ASSERT_EQ(Answers(replica, logs), before);
      ASSERT_TRUE(Verify(&replica.indexer()).ok()) << Verify(&replica.indexer());
      if (!plan.ok()) {
        EXPECT_EQ(plan.status().code(), absl::StatusCode::kPermissionDenied);
        continue;
      }
      const auto [lost_grants, lost_writes] = PlanAndDo(replica, revoke);
      ASSERT_FALSE(testing::Test::HasFailure());
      ++done;
      grants += lost_grants;
      writes += lost_writes;
    }
  }
  EXPECT_GT(done, 1'000U);
  EXPECT_GT(grants, 1'000U);
  EXPECT_GT(writes, 100U);
}

}  // namespace
}  // namespace weft
