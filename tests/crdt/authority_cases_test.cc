// Authority and moderation at work on real replicas: the rules P1 to P9, 6.6, the
// worked cases of part 10, and the attacks on permissions.

#include <gmock/gmock.h>

#include "tests/crdt/world.h"

namespace weft {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

VerdictOp Verdict(AuthOpType type, const CoreKey& log, std::uint64_t from,
                  std::uint64_t to) {
  VerdictOp verdict;
  verdict.type = type;
  verdict.log = log;
  verdict.from = from;
  verdict.to = to;
  return verdict;
}

TEST(AuthorityCases, P1_Case4_OfTwoAdminsWhoRevokeEachOtherTheSeniorStays) {
  World world;
  const OpId ada = world[kFay].Auth(GrantTo(world.id(kAda), GrantRole::kAdmin));
  const OpId bob = world[kFay].Auth(GrantTo(world.id(kBob), GrantRole::kAdmin));
  world.Meet();
  world[kAda].Auth(Revoke(bob));
  EXPECT_THAT(std::string(world[kBob].TryAuth(Revoke(ada)).status().message()),
              HasSubstr("more senior"));
  const OpId carol = world[kBob].Auth(GrantTo(world.id(kEve), GrantRole::kWriter));
  world.ExpectAllEqual();
  EXPECT_TRUE(world[kFay].indexer().authority().IsMember(world.id(kAda)));
  EXPECT_FALSE(world[kFay].indexer().authority().IsMember(world.id(kBob)));
  EXPECT_EQ(world[kFay].indexer().authority().Find(carol), nullptr);
}

TEST(AuthorityCases, P5_Case5_GrantsBeforeTheCutStayAndThoseAfterItAreVoid) {
  World world;
  const OpId ada = world[kFay].Auth(GrantTo(world.id(kAda), GrantRole::kAdmin));
  world.Meet();
  world[kAda].Auth(GrantTo(world.id(kBob), GrantRole::kWriter));
  world[kFay].FetchAll(world[kAda]);
  // Fay has not seen what Ada grants now.
  world[kAda].Auth(GrantTo(world.id(kEve), GrantRole::kWriter));
  world[kBob].FetchAll(world[kAda]);
  world[kEve].FetchAll(world[kAda]);
  world[kBob].Do(Put("b", "bob"));
  const OpId eve = world[kEve].Do(Put("e", "eve"));
  world[kFay].Auth(Revoke(ada, {{world.id(kAda), 1}}));
  world.ExpectAllEqual();
  EXPECT_EQ(world[kFay].Text("b"), "bob");
  EXPECT_EQ(world[kFay].Text("e"), "-");
  EXPECT_EQ(world[kFay].Fate(eve).kind, OpFateKind::kUnknown)
      << "she never was a member there, and nobody fetched her log";
  const OpFate fate = world[kEve].Fate(eve);
  EXPECT_EQ(fate.kind, OpFateKind::kQuarantined);
  EXPECT_THAT(fate.reason, HasSubstr("its grant came after a cut"));
}

TEST(AuthorityCases, P3_P4_Case6_TheSmallestCutHoldsAndAnAdmitBringsBackWholeBatches) {
  World world;
  world[kFay].Auth(GrantTo(world.id(kAda), GrantRole::kAdmin));
  world[kFay].Auth(GrantTo(world.id(kBob), GrantRole::kAdmin));
  const OpId mia = world[kFay].Auth(GrantTo(world.id(kMia), GrantRole::kWriter));
  world.Meet();
  for (int i = 0; i < 10; ++i) {
    world[kMia].Do(Put("k" + std::to_string(i), "v"));
  }
  world.Meet();
  world[kAda].Auth(Revoke(mia, {{world.id(kMia), 8}}));
  world[kBob].Auth(Revoke(mia, {{world.id(kMia), 6}}));
  world.ExpectAllEqual();
  EXPECT_EQ(world[kFay].Text("k5"), "v");
  EXPECT_EQ(world[kFay].Text("k6"), "-");
  EXPECT_EQ(world[kFay].indexer().Settled().length(world.id(kMia)), 10U)
      << "Ada and Bob had seen them all";
  const std::vector<HeldBack> held = world[kFay].indexer().ListHeldBack(100);
  ASSERT_EQ(held.size(), 2U) << "two revocations are to blame";
  EXPECT_EQ(held[0].from, 6U);
  EXPECT_EQ(held[1].to, 10U);
  // Ada's grant is not senior to Fay's verdicts, but her own revocation she can undo.
  world[kAda].Auth(Verdict(AuthOpType::kAdmit, world.id(kMia), 6, 8));
  world.ExpectAllEqual();
  EXPECT_EQ(world[kFay].Text("k6"), "v") << "Ada is senior to Bob";
  EXPECT_EQ(world[kFay].Text("k8"), "-");
  world[kFay].Auth(Verdict(AuthOpType::kAdmit, world.id(kMia), 8, 9));
  world.ExpectAllEqual();
  EXPECT_EQ(world[kBob].Text("k8"), "v");
  EXPECT_EQ(world[kBob].Text("k9"), "-");
}

TEST(AuthorityCases, P4_AnAdmitByAJuniorOfTheRevokerCountsForNothing) {
  World world;
  world[kFay].Auth(GrantTo(world.id(kAda), GrantRole::kAdmin));
  const OpId mia = world[kFay].Auth(GrantTo(world.id(kMia), GrantRole::kWriter));
  world.Meet();
  world[kMia].Do(Put("kept", "v"));
  const OpId cut = world[kMia].Do(Put("k", "v"));
  world[kFay].FetchAll(world[kMia]);
  world[kFay].Auth(Revoke(mia, {{world.id(kMia), 1}}));
  world.Meet();
  // Ada is senior to Mia, and not to the founder who revoked her.
  world[kAda].Auth(Verdict(AuthOpType::kAdmit, world.id(kMia), 1, 2));
  world.ExpectAllEqual();
  EXPECT_EQ(world[kFay].Text("kept"), "v");
  EXPECT_EQ(world[kFay].Text("k"), "-");
  EXPECT_EQ(world[kAda].Fate(cut).kind, OpFateKind::kQuarantined);
  world[kFay].Auth(Verdict(AuthOpType::kAdmit, world.id(kMia), 1, 2));
  world.ExpectAllEqual();
  EXPECT_EQ(world[kFay].Text("k"), "v");
}

TEST(AuthorityCases, P3_D8_ABatchThatACutSplitsGrantsNothing) {
  World world;
  const OpId ada = world[kFay].Auth(GrantTo(world.id(kAda), GrantRole::kAdmin));
  world.Meet();
  const std::vector<GrantOp> many(3'000, GrantTo(world.id(kMia), GrantRole::kWriter));
  auto commit = world[kAda].indexer().PrepareGrants(world.id(kAda), many, 1'000'000);
  ASSERT_TRUE(commit.ok());
  ASSERT_GT(commit->blocks.size(), 1U);
  ASSERT_TRUE(world[kAda].Append(*commit).ok());
  world[kFay].FetchAll(world[kAda]);
  EXPECT_TRUE(world[kFay].indexer().authority().IsMember(world.id(kMia)));
  world[kFay].Auth(Revoke(ada, {{world.id(kAda), 1}}));
  world.ExpectAllEqual();
  const Authority& authority = world[kFay].indexer().authority();
  EXPECT_EQ(authority.Find(commit->ops.front()), nullptr)
      << "it stands below the cut, its batch does not";
  EXPECT_EQ(authority.Find(commit->ops.back()), nullptr);
  EXPECT_FALSE(authority.IsMember(world.id(kMia)));
}

TEST(AuthorityCases, Case6b_WhenAVandalIsRevokedHisVictimsOpsComeBack) {
  World world;
  const OpId jim = world[kFay].Auth(GrantTo(world.id(kAda), GrantRole::kAdmin));
  const OpId mia = world[kFay].Auth(GrantTo(world.id(kMia), GrantRole::kWriter));
  world.Meet();
  world[kMia].Do(Put("k", "v"));
  world.Meet();
  world[kAda].Auth(Revoke(mia));
  world[kBob].FetchAll(world[kAda]);
  EXPECT_EQ(world[kBob].Text("k"), "-");
  const OpId revoke = world[kFay].Auth(Revoke(jim));  // has not seen the vandalism
  const IndexResult result = world[kBob].Fetch(world[kFay], world.id(kFay));
  EXPECT_EQ(world[kBob].Text("k"), "v");
  ASSERT_FALSE(result.events.empty());
  bool restored = false;
  for (const AuthEvent& event : result.events) {
    restored |= event.kind == AuthEvent::Kind::kRestored && event.log == world.id(kMia);
  }
  EXPECT_TRUE(restored);
  world.ExpectAllEqual();
  EXPECT_NE(revoke, mia);
}

TEST(AuthorityCases, Attack58_ARevokedWriterWritesOnAndIsQuarantinedEverywhere) {
  World world;
  const OpId eve = world[kFay].Auth(GrantTo(world.id(kEve), GrantRole::kWriter));
  world.Meet();
  world[kEve].Do(Put("k", "before"));
  world[kFay].FetchAll(world[kEve]);
  world[kFay].Auth(Revoke(eve, {{world.id(kEve), 1}}));
  const OpId late = world[kEve].Do(Put("k", "concurrent"));
  world[kEve].Do(Del("k"));
  world.ExpectAllEqual();
  EXPECT_EQ(world[kBob].Text("k"), "before");
  EXPECT_EQ(world[kBob].Fate(late).kind, OpFateKind::kQuarantined);
  EXPECT_EQ(world[kBob].indexer().Settled().length(world.id(kEve)), 1U);
}

TEST(AuthorityCases, Attack59_ACycleOfAdminsEndsWithTheMostSeniorOfThem) {
  World world;
  std::vector<OpId> grants;
  for (std::size_t i = 1; i < 5; ++i) {
    grants.push_back(world[kFay].Auth(GrantTo(world.id(i), GrantRole::kAdmin)));
  }
  world.Meet();
  for (std::size_t i = 1; i < 5; ++i) {
    const auto done = world[i].TryAuth(Revoke(grants[i % 4]));
    EXPECT_EQ(done.ok(), i != 4) << "only the last would revoke his senior";
  }
  world.ExpectAllEqual();
  EXPECT_TRUE(world[kFay].indexer().authority().IsMember(world.id(1)));
  EXPECT_FALSE(world[kFay].indexer().authority().IsMember(world.id(2)));
  EXPECT_TRUE(world[kFay].indexer().authority().IsMember(world.id(3)))
      << "he who revoked him had lost his own grant";
  EXPECT_FALSE(world[kFay].indexer().authority().IsMember(world.id(4)));
}

TEST(AuthorityCases, Attack60_Attack61_OneSubtreeRevokeRemovesAllThatAnAdminBrought) {
  World world;
  const OpId ada = world[kFay].Auth(GrantTo(world.id(kAda), GrantRole::kAdmin, true));
  world.Meet();
  world[kAda].Auth(GrantTo(world.id(kBob), GrantRole::kAdmin));
  world[kBob].FetchAll(world[kAda]);
  world[kBob].Auth(GrantTo(world.id(kEve), GrantRole::kWriter));
  world[kEve].FetchAll(world[kBob]);
  world[kEve].Do(Put("k", "v"));
  world.Meet();
  EXPECT_EQ(world[kFay].Text("k"), "v");
  world[kFay].Auth(Revoke(ada, {}, true));
  world.ExpectAllEqual();
  EXPECT_EQ(world[kFay].Text("k"), "-");
  for (const std::size_t who : {kAda, kBob, kEve}) {
    EXPECT_FALSE(world[kFay].indexer().authority().IsMember(world.id(who)));
  }
}

TEST(AuthorityCases, P2_WhoResignsKeepsWhatHeWroteAndNobodyRevokesTheFirstFounder) {
  World world;
  const OpId eve = world[kFay].Auth(GrantTo(world.id(kEve), GrantRole::kWriter));
  world.Meet();
  world[kEve].Do(Put("k", "v"));
  world[kEve].Auth(Revoke(eve));
  EXPECT_EQ(world[kEve].Commit(std::vector<Mutation>{Put("k", "w")}).status().code(),
            absl::StatusCode::kPermissionDenied);
  world.ExpectAllEqual();
  EXPECT_EQ(world[kFay].Text("k"), "v");
  EXPECT_FALSE(world[kFay].indexer().authority().IsMember(world.id(kEve)));
  world[kFay].Auth(Revoke(GenesisGrantId(0)));
  EXPECT_TRUE(world[kFay].indexer().authority().IsMember(world.id(kFay)));
  world.ExpectAllEqual();
}

TEST(AuthorityCases, P6_ANewGrantMakesAMemberAgainAndTheOldOpsStayCutOff) {
  World world;
  const OpId eve = world[kFay].Auth(GrantTo(world.id(kEve), GrantRole::kWriter));
  world.Meet();
  world[kEve].Do(Put("old", "v"));
  world[kFay].Auth(Revoke(eve));
  world[kFay].Auth(GrantTo(world.id(kEve), GrantRole::kWriter));
  world[kEve].FetchAll(world[kFay]);
  world[kEve].Do(Put("new", "v"));
  world.ExpectAllEqual();
  EXPECT_EQ(world[kFay].Text("old"), "-");
  EXPECT_EQ(world[kFay].Text("new"), "v");
}

TEST(AuthorityCases, Case8_AcceptedBatchesShowAndTheSeniorModeratorsUnhideStands) {
  World world;
  world[kFay].Auth(GrantTo(world.id(kAda), GrantRole::kModerator));
  world[kFay].Auth(GrantTo(world.id(kBob), GrantRole::kModerator));
  world[kFay].Auth(GrantTo(world.id(kMia), GrantRole::kModerated));
  world.Meet();
  std::vector<OpId> posts;
  for (int i = 0; i < 10; ++i) {
    posts.push_back(world[kMia].Do(Put("p" + std::to_string(i), "v")));
  }
  EXPECT_EQ(world[kMia].Fate(posts[0]).kind, OpFateKind::kPending);
  world.Meet();
  EXPECT_TRUE(world[kFay].Keys().empty());
  world[kAda].Auth(Verdict(AuthOpType::kAccept, world.id(kMia), 0, 6));
  world[kBob].FetchAll(world[kAda]);
  EXPECT_EQ(world[kBob].Text("p3"), "v");
  world[kBob].Auth(Hide(posts[3]));
  EXPECT_EQ(world[kBob].Text("p3"), "-");
  const OpFate hidden = world[kBob].Fate(posts[3]);
  EXPECT_EQ(hidden.kind, OpFateKind::kHidden);
  EXPECT_EQ(hidden.by.size(), 1U);
  world[kAda].Auth(Hide(posts[3], false));
  world.ExpectAllEqual();
  EXPECT_THAT(world[kFay].Keys(), ElementsAre("p0", "p1", "p2", "p3", "p4", "p5"));
  world[kBob].Auth(Verdict(AuthOpType::kReject, world.id(kMia), 0, 10));
  world.ExpectAllEqual();
  EXPECT_EQ(world[kFay].Keys().size(), 6U) << "the senior has accepted those";
  EXPECT_EQ(world[kFay].Fate(posts[7]).kind, OpFateKind::kRejected);
}

TEST(AuthorityCases, D8_Case12_OneHiddenRowLeavesTheOthersOfItsBatch) {
  World world;
  world[kFay].Auth(GrantTo(world.id(kMia), GrantRole::kWriter));
  world.Meet();
  std::vector<std::string> keys;
  for (int i = 0; i < 3376; ++i) keys.push_back(absl::StrFormat("t/%04d", i));
  std::vector<Mutation> rows;
  for (const std::string& key : keys) rows.push_back(Set(key, {{"c", "v"}}));
  const auto commit = world[kMia].Commit(rows);
  ASSERT_TRUE(commit.ok());
  world.Meet();
  world[kFay].Auth(Hide(commit->ops[1000]));
  world.ExpectAllEqual();
  EXPECT_EQ(world[kBob].Keys().size(), 3375U);
  EXPECT_EQ(world[kBob].Row("t/1000"), std::vector<std::string>{"-"});
}

TEST(AuthorityCases, D8_AnAcceptOfPartOfABatchShowsNothingOfIt) {
  World world;
  world[kFay].Auth(GrantTo(world.id(kMia), GrantRole::kModerated));
  world.Meet();
  world[kMia].Do(Put("before", "v"));
  const std::string large(100'000, 'v');  // so that the commit has several blocks
  std::vector<std::string> keys;
  for (int i = 0; i < 20; ++i) keys.push_back(absl::StrFormat("t/%02d", i));
  std::vector<Mutation> rows;
  for (const std::string& key : keys) rows.push_back(Set(key, {{"c", large}}));
  const auto commit = world[kMia].Commit(rows);
  ASSERT_TRUE(commit.ok());
  const std::uint64_t blocks = commit->blocks.size();
  ASSERT_GT(blocks, 2U);
  world.Meet();
  world[kFay].Auth(Verdict(AuthOpType::kAccept, world.id(kMia), 0, blocks));
  world.ExpectAllEqual();
  EXPECT_THAT(world[kBob].Keys(), ElementsAre("before"));
  EXPECT_EQ(world[kBob].Fate(commit->ops[0]).kind, OpFateKind::kPending);
  world[kFay].Auth(Verdict(AuthOpType::kAccept, world.id(kMia), 1, 1 + blocks));
  world.ExpectAllEqual();
  EXPECT_EQ(world[kBob].Keys().size(), 21U);
}

TEST(AuthorityCases, D11_WhenADeleteIsCutNoStaleCellComesBackAlone) {
  World world;
  const OpId eve = world[kFay].Auth(GrantTo(world.id(kEve), GrantRole::kWriter));
  world[kFay].Do(Set("t/1", {{"a", "1"}, {"b", "2"}}));
  world.Meet();
  world[kEve].Do(Erase("t/1"));
  world.Meet();
  EXPECT_EQ(world[kFay].Row("t/1"), std::vector<std::string>{"-"});
  world[kFay].Auth(Revoke(eve));
  world.ExpectAllEqual();
  EXPECT_THAT(world[kFay].Row("t/1"), ElementsAre("a=1", "b=2"));
}

TEST(AuthorityCases, Attack66_ARangeWithAnotherTreeHashIsOfNoEffect) {
  World world;
  world[kFay].Auth(GrantTo(world.id(kMia), GrantRole::kModerated));
  world.Meet();
  world[kMia].Do(Put("k", "v"));
  world[kFay].FetchAll(world[kMia]);
  VerdictOp verdict = Verdict(AuthOpType::kAccept, world.id(kMia), 0, 1);
  const AuthOperation operation = verdict;
  auto commit = world[kFay].indexer().PrepareAuth(world.id(kFay),
                                                  std::span(&operation, 1), 1'000'000);
  ASSERT_TRUE(commit.ok());
  // The hash stands once in the payload, as the engine filled it in, and once in a dep.
  const Version version = world[kFay].indexer().CurrentVersion();
  const ByteView hash = version.writers.at(world.id(kMia)).tree_hash.view();
  Bytes& block = commit->blocks[0];
  const auto at = std::find_end(block.begin(), block.end(), hash.begin(), hash.end());
  ASSERT_NE(at, block.end());
  *at ^= 1;
  ASSERT_TRUE(world[kFay].Append(*commit).ok());
  EXPECT_EQ(world[kFay].Text("k"), "-");
  world.ExpectAllEqual();
}

struct InviteKeys {
  explicit InviteKeys(std::uint64_t seed) {
    sim::SimRandom random(seed);
    pair = KeyPairFromSeed(RandomSeed(random));
  }
  InviteOp Op(std::uint64_t uses) const {
    InviteOp invite;
    invite.key = pair.public_key;
    invite.uses = uses;
    return invite;
  }
  RedeemOp For(const World& world, const OpId& invite, const CoreKey& identity) const {
    RedeemOp redeem;
    redeem.invite = invite;
    redeem.identity = identity;
    const BaseId base = BaseIdOf(EncodeGenesis(world.people.genesis));
    redeem.signature = Sign(pair.secret_key, RedeemSignable(base.view(), identity));
    return redeem;
  }
  KeyPair pair;
};

TEST(AuthorityCases, P8_AnyMemberCarriesARedemptionAndTheNewcomerWrites) {
  World world;
  const InviteKeys keys(4);
  world[kFay].Auth(GrantTo(world.id(kAda), GrantRole::kReader));
  const OpId invite = world[kFay].Auth(keys.Op(1));
  world.Meet();
  world[kAda].Auth(keys.For(world, invite, world.id(kEve)));
  world[kEve].FetchAll(world[kAda]);
  world[kEve].Do(Put("k", "v"));
  world.ExpectAllEqual();
  EXPECT_EQ(world[kFay].Text("k"), "v");
  EXPECT_EQ(world[kFay].indexer().authority().UsesOf(
                *world[kFay].indexer().authority().Find(invite)),
            1U);
  // Used up: the next one, who has seen that, gets nothing.
  const OpId second = world[kAda].Auth(keys.For(world, invite, world.id(kBob)));
  world.ExpectAllEqual();
  EXPECT_FALSE(world[kFay].indexer().authority().IsMember(world.id(kBob)));
  EXPECT_EQ(world[kFay].Fate(second).kind, OpFateKind::kNotAllowed);
}

TEST(AuthorityCases, P8_ConcurrentOveruseCountsBothIsToldAndFallsWithTheInvite) {
  World world;
  const InviteKeys keys(4);
  world[kFay].Auth(GrantTo(world.id(kAda), GrantRole::kReader));
  world[kFay].Auth(GrantTo(world.id(kBob), GrantRole::kReader));
  const OpId invite = world[kFay].Auth(keys.Op(1));
  world.Meet();
  world[kAda].Auth(keys.For(world, invite, world.id(kMia)));
  world[kBob].Auth(keys.For(world, invite, world.id(kEve)));
  world[kFay].FetchAll(world[kAda]);
  const IndexResult result = world[kFay].Fetch(world[kBob], world.id(kBob));
  bool told = false;
  for (const AuthEvent& event : result.events) {
    told |= event.kind == AuthEvent::Kind::kOverused && event.op == invite;
  }
  EXPECT_TRUE(told);
  world.Meet();
  world[kMia].Do(Put("m", "v"));
  world[kEve].Do(Put("e", "v"));
  world.ExpectAllEqual();
  EXPECT_EQ(world[kFay].Keys().size(), 2U);
  world[kFay].Auth(Revoke(invite, {}, true));
  world.ExpectAllEqual();
  EXPECT_TRUE(world[kFay].Keys().empty());
}

TEST(AuthorityCases, P8_AnInviteIsClosedWithoutThrowingOutWhoCameThroughIt) {
  World world;
  const InviteKeys keys(4);
  world[kFay].Auth(GrantTo(world.id(kAda), GrantRole::kReader));
  const OpId invite = world[kFay].Auth(keys.Op(9));
  world.Meet();
  world[kAda].Auth(keys.For(world, invite, world.id(kEve)));
  world.Meet();
  const Grant& grant = *world[kFay].indexer().authority().Find(invite);
  world[kFay].Auth(Revoke(invite, world[kFay].indexer().KnownLengths(grant, false)));
  world[kAda].Auth(keys.For(world, invite, world.id(kBob)));
  world.ExpectAllEqual();
  EXPECT_TRUE(world[kFay].indexer().authority().IsMember(world.id(kEve)));
  EXPECT_FALSE(world[kFay].indexer().authority().IsMember(world.id(kBob)));
}

TEST(AuthorityCases, P8_WhenTheCarrierIsCutAnotherCarriesItAndOldBlocksAreBack) {
  World world;
  const InviteKeys keys(4);
  const OpId ada = world[kFay].Auth(GrantTo(world.id(kAda), GrantRole::kReader));
  const OpId invite = world[kFay].Auth(keys.Op(1));
  world.Meet();
  world[kAda].Auth(keys.For(world, invite, world.id(kEve)));
  world[kEve].FetchAll(world[kAda]);
  world[kEve].Do(Put("k", "v"));
  world.Meet();
  world[kFay].Auth(Revoke(ada));
  world.ExpectAllEqual();
  EXPECT_EQ(world[kFay].Text("k"), "-");
  world[kFay].Auth(keys.For(world, invite, world.id(kEve)));
  world.ExpectAllEqual();
  EXPECT_EQ(world[kFay].Text("k"), "v");
}

TEST(AuthorityCases, P8_ARedemptionSignedByAnotherKeyHasNoEffect) {
  World world;
  const InviteKeys keys(4);
  const InviteKeys forger(5);
  const OpId invite = world[kFay].Auth(keys.Op(1));
  world[kFay].Auth(forger.For(world, invite, world.id(kEve)));
  world.ExpectAllEqual();
  EXPECT_FALSE(world[kFay].indexer().authority().IsMember(world.id(kEve)));
}

TEST(AuthorityCases, D8_AnOpThatIsNotHereCannotBeHidden) {
  World world;
  world[kFay].Auth(GrantTo(world.id(kMia), GrantRole::kWriter));
  world.Meet();
  world[kMia].Do(Put("k", "v"));
  world.Meet();
  for (const CoreKey& log : {world.id(kFay), world.id(kMia), world.id(kEve)}) {
    for (const std::uint64_t position : {std::uint64_t{1}, std::uint64_t{UINT64_MAX}}) {
      EXPECT_TRUE(
          absl::IsNotFound(world[kFay].TryAuth(Hide({log, position, 0})).status()));
    }
  }
}

TEST(AuthorityCases, D8_ManyRangesOverOneLogAreLookedAtAsOne) {
  World world;
  world[kFay].Auth(GrantTo(world.id(kMia), GrantRole::kWriter));
  world.Meet();
  std::vector<std::string> keys;
  for (int i = 0; i < 10'000; ++i) keys.push_back(absl::StrFormat("%05d", i));
  std::vector<Mutation> puts;
  for (const std::string& key : keys) puts.push_back(Put(key, "v"));
  ASSERT_TRUE(world[kMia].Commit(puts).ok());
  world[kFay].FetchAll(world[kMia]);
  HideOp hide;
  hide.log = world.id(kMia);
  hide.to = world[kMia].logs().logs[world.id(kMia)].size();
  const std::vector<AuthOperation> hides(1'000, hide);
  auto commit = world[kFay].indexer().PrepareAuth(world.id(kFay), hides, 1'000'000);
  ASSERT_TRUE(commit.ok()) << commit.status();
  ASSERT_TRUE(world[kFay].Append(*commit).ok());
  EXPECT_TRUE(world[kFay].Keys().empty());
  world[kAda].FetchAll(world[kFay]);
  EXPECT_EQ(world[kAda].Root(), world[kFay].Root());
}

TEST(AuthorityCases, P2_AReasonIsShort) {
  World world;
  const OpId mia = world[kFay].Auth(GrantTo(world.id(kMia), GrantRole::kWriter));
  const std::string words(kReasonBytesMax + 1, 'w');
  RevokeOp revoke = Revoke(mia);
  revoke.reason = AsBytes(words);
  EXPECT_TRUE(absl::IsInvalidArgument(world[kFay].TryAuth(revoke).status()));
  revoke.reason = revoke.reason.first(kReasonBytesMax);
  EXPECT_TRUE(world[kFay].TryAuth(revoke).ok());
}

TEST(AuthorityCases, P8_ThousandsOfRedemptionsAreDecidedOneByOne) {
  World world;
  const InviteKeys keys(4);
  const OpId invite = world[kFay].Auth(keys.Op(1'500));
  for (std::uint64_t i = 0; i < 2'000; ++i) {
    CoreKey newcomer;
    newcomer.bytes[0] = 1;
    newcomer.bytes[1] = static_cast<std::uint8_t>(i);
    newcomer.bytes[2] = static_cast<std::uint8_t>(i >> 8U);
    world[kFay].Auth(keys.For(world, invite, newcomer));
  }
  const Authority& authority = world[kFay].indexer().authority();
  EXPECT_EQ(authority.UsesOf(*authority.Find(invite)), 1'500U);
  world[kAda].FetchAll(world[kFay]);
  EXPECT_EQ(world[kAda].Digest(), world[kFay].Digest());
  EXPECT_EQ(world[kAda].indexer().authority().grants().size(), 1'501U);
}

TEST(AuthorityCases, D8_AnEngineDoesNotSignMoreAuthOpsThanAWriterMayHave) {
  World world;
  Genesis small = world.people.genesis;
  small.limits.auth_ops_per_writer = 2;
  Replica fay(small, world.id(kFay));
  fay.Auth(GrantTo(world.id(kAda), GrantRole::kWriter));
  fay.Auth(GrantTo(world.id(kBob), GrantRole::kWriter));
  const auto more = fay.TryAuth(GrantTo(world.id(kEve), GrantRole::kWriter));
  EXPECT_THAT(std::string(more.status().message()), HasSubstr("the limit is 2"));
}

}  // namespace
}  // namespace weft
