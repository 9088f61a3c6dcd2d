// Attacks on meaning and permission by their number (threats, D4 and D5), with blocks
// that an honest engine would not have signed.

#include "tests/crdt/attacks.h"

namespace weft {
namespace {

using testing::ElementsAre;

TEST_F(Attacks, Attack42_ADepOnWhatDoesNotExistWaitsAndNobodyElseDoes) {
  mia().Do(Put("sound", "v"));
  TreeHash nothing;
  nothing.bytes.fill(7);
  const OpId waits = Forge<Operation>(
      mia(), mia_grant_, {{people_.ids[1], 1'000'000'000, nothing}}, {PutOf("late")});
  fay().FetchAll(mia());
  ada().Do(Put("other", "v"));
  fay().FetchAll(ada());
  EXPECT_THAT(fay().Keys(), ElementsAre("other", "sound"));
  EXPECT_EQ(fay().Fate(waits).kind, OpFateKind::kWaiting);
  ASSERT_EQ(fay().indexer().Missing().size(), 1U);
  EXPECT_EQ(fay().indexer().Missing()[0].length, 1'000'000'000U);
  EXPECT_FALSE(fay().indexer().Missing()[0].other_branch);
}

TEST_F(Attacks, Attack43_ADepWithAnotherTreeHashWaitsForAProof) {
  ada().Do(Put("other", "v"));
  Meet();
  TreeHash wrong;
  wrong.bytes.fill(7);
  const OpId waits =
      Forge<Operation>(mia(), mia_grant_, {{people_.ids[1], 1, wrong}}, {PutOf("k")});
  fay().FetchAll(mia());
  EXPECT_EQ(fay().Fate(waits).kind, OpFateKind::kWaiting);
  ASSERT_EQ(fay().indexer().Missing().size(), 1U);
  EXPECT_TRUE(fay().indexer().Missing()[0].other_branch);
}

TEST_F(Attacks, Attack45_WhoHidesWhatHeHasSeenLosesTiesAndEscapesNoCut) {
  ada().Do(Put("k", "ada"));
  Meet();
  const OpId hides = Forge<Operation>(mia(), mia_grant_, {Grants()}, {PutOf("k")});
  Meet();
  EXPECT_EQ(fay().Conflicts("k").size(), 1U);
  RevokeOp revoke;
  revoke.grant = mia_grant_;
  ada().Auth(revoke);  // keeps nothing
  const OpId again = Forge<Operation>(mia(), mia_grant_, {}, {PutOf("k2")});
  ExpectAllEqual();
  EXPECT_EQ(fay().Fate(hides).kind, OpFateKind::kQuarantined);
  EXPECT_EQ(mia().Fate(again).kind, OpFateKind::kQuarantined);
  EXPECT_EQ(mia().Text("k"), "ada");
}

TEST_F(Attacks, Attack86_GrantsAppendedToAForgottenLogRankBehindAllOthers) {
  // Ada goes on under a new log that names her old one up to its first block.
  const OpId early = ada().Grant(mia_id(), GrantRole::kReader);
  sim::SimRandom random(91);
  const IdentityKeys keys = MakeIdentity(people_.genesis.salt, random);
  const CoreKey later = keys.id();
  const Incarnation certificate = people_.Certificate(
      1, later, std::span(ada().logs().logs[people_.ids[1]]).first(1));
  Replica laptop(people_.genesis, later);
  laptop.FetchAll(ada());
  laptop.indexer().Follow(later);
  auto block = laptop.indexer().PrepareIncarnation(later, certificate, 1'000'000);
  ASSERT_TRUE(block.ok()) << block.status();
  ASSERT_TRUE(laptop.Append(*block).ok());
  const OpId sound = laptop.Grant(mia_id(), GrantRole::kWriter);
  fay().indexer().Follow(later);
  fay().FetchAll(laptop);
  // And then she writes on in the old one, as if before.
  const OpId backdated = ada().Grant(mia_id(), GrantRole::kModerated);
  fay().FetchAll(ada());
  const Authority& authority = fay().indexer().authority();
  ASSERT_NE(authority.Find(backdated), nullptr) << "late, and still of effect";
  EXPECT_LT(authority.Find(early)->path, authority.Find(sound)->path);
  EXPECT_LT(authority.Find(sound)->path, authority.Find(backdated)->path);
  EXPECT_TRUE(Verify(&fay().indexer()).ok()) << Verify(&fay().indexer());
}

TEST_F(Attacks, P2_WhatFollowsAResignationIsBlamedOnIt) {
  mia().Do(Put("before", "v"));
  RevokeOp resignation;
  resignation.grant = mia_grant_;
  const OpId resigned = mia().Auth(resignation);
  const OpId after = Forge<Operation>(mia(), mia_grant_, {}, {PutOf("after")});
  ExpectAllEqual();
  EXPECT_THAT(fay().Keys(), ElementsAre("before"));
  const OpFate fate = fay().Fate(after);
  EXPECT_EQ(fate.kind, OpFateKind::kQuarantined);
  EXPECT_THAT(fate.by, ElementsAre(resigned));
  EXPECT_EQ(fate.reason, "its author had resigned");
}

// Ada resigns in her new log and goes on there. What she says in the old one, which the
// resignation leaves alone, is by her own grant and so not senior to it.
TEST_F(Attacks, P4_AnAdmitUnderTheGrantOfTheBlocksDoesNotOverrideAResignation) {
  ada().Do(Put("old", "v"));
  sim::SimRandom random(91);
  const CoreKey later = MakeIdentity(people_.genesis.salt, random).id();
  Replica laptop(people_.genesis, later);
  laptop.FetchAll(ada());
  for (Replica* replica : {&laptop, &fay(), &ada()}) replica->indexer().Follow(later);
  const auto block = laptop.indexer().PrepareIncarnation(
      later, people_.Certificate(1, later, ada().logs().logs[people_.ids[1]]),
      1'000'000);
  ASSERT_TRUE(block.ok()) << block.status();
  ASSERT_TRUE(laptop.Append(*block).ok());
  RevokeOp resignation;
  resignation.grant = ada_grant_;
  laptop.Auth(resignation);
  const OpId after = Forge<Operation>(laptop, ada_grant_, {}, {PutOf("after")});
  ada().FetchAll(laptop);

  MerkleTree tree;
  for (const Bytes& written : laptop.logs().logs[later]) {
    tree.AppendBlock(written, [](const TreeNode&) {});
  }
  VerdictOp admit;
  admit.type = AuthOpType::kAdmit;
  admit.log = later;
  admit.from = 2;
  admit.to = 3;
  admit.tree_hash = tree.hash();
  const OpId admitted =
      Forge<AuthOperation>(ada(), ada_grant_, {{later, 3, tree.hash()}}, {admit});
  fay().FetchAll(ada());
  EXPECT_EQ(fay().Fate(admitted).kind, OpFateKind::kWinner);
  EXPECT_EQ(fay().Fate(after).kind, OpFateKind::kQuarantined);
  EXPECT_EQ(fay().Text("after"), "-");
  fay().Auth(admit);
  ExpectAllEqual();
  EXPECT_EQ(fay().Text("after"), "forged") << "the founder is senior to her grant";
}

class Flood : public Attacks {
 protected:
  Flood() : Attacks(/*auth_ops=*/5) {}
};

TEST_F(Flood, S7_ABlockOutOfNumberUsesUpNoneOfItsWritersAuthOps) {
  std::vector<AuthOperation> many;
  for (std::uint8_t i = 0; i < 4; ++i) {
    GrantOp grant;
    grant.identity.bytes.fill(static_cast<std::uint8_t>(i + 1));
    grant.role = GrantRole::kReader;
    many.emplace_back(grant);
  }
  auto astray = ada().indexer().PrepareAuth(ada().self(), many, 1'000'000);
  ASSERT_TRUE(astray.ok() && astray->blocks.size() == 1);
  astray->blocks[0][4] = 1;  // batch_index; batch_count
  astray->blocks[0][5] = 3;
  ASSERT_TRUE(ada().Append(*astray).ok());
  auto sound = ada().indexer().PrepareAuth(ada().self(), many, 1'000'000);
  ASSERT_TRUE(sound.ok()) << sound.status();
  ASSERT_TRUE(ada().Append(*sound).ok());
  ExpectAllEqual();
  EXPECT_EQ(fay().Fate(astray->ops[0]).kind, OpFateKind::kInvalid);
  EXPECT_EQ(fay().Fate(sound->ops[3]).kind, OpFateKind::kWinner);
}

TEST_F(Flood, Attack63_AuthOpsBeyondAWritersLimitAreInvalidAndASeniorMayCut) {
  std::vector<AuthOperation> many;
  for (std::uint8_t i = 0; i < 6; ++i) {
    GrantOp grant;
    grant.identity.bytes.fill(static_cast<std::uint8_t>(i + 1));
    grant.role = GrantRole::kReader;
    many.emplace_back(grant);
  }
  const std::vector<Dep> none;
  Forge<AuthOperation>(ada(), ada_grant_, {Grants()}, {many.begin(), many.begin() + 5});
  fay().FetchAll(ada());
  const std::size_t members = fay().indexer().Members().size();
  const OpId over = Forge<AuthOperation>(ada(), ada_grant_, none, {many.back()});
  ExpectAllEqual();
  EXPECT_EQ(fay().indexer().Members().size(), members);
  EXPECT_EQ(fay().Fate(over).kind, OpFateKind::kInvalid);
  RevokeOp revoke;
  revoke.grant = ada_grant_;
  revoke.subtree = true;
  fay().Auth(revoke);
  ExpectAllEqual();
  EXPECT_EQ(fay().indexer().authority().GrantsOf(people_.ids[1]).size(), 0U);
}

}  // namespace
}  // namespace weft
