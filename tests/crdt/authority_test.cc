// Authority: section 6.4 for genesis grants and grants, rules P1, P2, P9 and S7.

#include "crdt/authority.h"

#include <gmock/gmock.h>

#include "tests/crdt/authors.h"

namespace weft {
namespace {

using testing::HasSubstr;

enum class Kind { kEffective, kPending, kNotAllowed, kInvalid };

// What became of a batch when it was judged.
struct Judged {
  Kind kind = Kind::kEffective;
  std::string reason;
  std::vector<OpId> granted;
};

class AuthorityTest : public testing::Test {
 protected:
  AuthorityTest() {
    genesis_.salt = salt_;
    genesis_.founders = {ada_.manifest(), fay_.manifest()};
    Start();
  }

  void Start() {
    authority_ = std::make_unique<Authority>(
        genesis_, [](const CoreKey&, std::uint64_t, const CoreKey&) {
          return std::uint64_t{UINT64_MAX};  // everybody has seen everything
        });
  }

  Judged Judge(const Author& writer, const std::vector<DecodedBlock>& batch) {
    const Envelope& envelope = *batch.front().header.envelope;
    const auto cited = authority_->Cited(envelope.cite, envelope.cite_named);
    const Verdict verdict = authority_->Check(writer.id(), batch, cited);
    if (verdict.kind == Verdict::Kind::kInvalid) {
      return {Kind::kInvalid, verdict.reason, {}};
    }
    if (verdict.kind == Verdict::Kind::kNotAllowed) {
      return {Kind::kNotAllowed, verdict.reason, {}};
    }
    const std::uint64_t first = batch.front().header.position;
    const std::uint64_t end = batch.back().header.position + 1;
    bool writes = false;
    std::vector<OpId> made;
    for (const DecodedBlock& block : batch) {
      writes = writes || !block.payload.operations.empty();
      for (std::size_t i = 0; i < block.payload.auth_operations.size(); ++i) {
        made.push_back(
            {writer.id(), block.header.position, static_cast<std::uint32_t>(i)});
      }
    }
    if (!made.empty()) {
      authority_->Add(writer.id(), batch, verdict.cited);
      AuthorityChange change;
      authority_->Evaluate(&change);
    }
    Judged judged;
    for (const OpId& id : made) {
      if (authority_->Find(id) != nullptr) judged.granted.push_back(id);
    }
    const auto standing =
        authority_->StandingOf(verdict.cited, writer.id(), first, end, writes);
    if (standing == Standing::kPending) judged.kind = Kind::kPending;
    if (standing == Standing::kQuarantined || standing == Standing::kNotAllowed) {
      judged.kind = Kind::kNotAllowed;
    }
    return judged;
  }
  Judged Grant(Author& by, const OpId& cite, std::vector<Dep> deps, GrantOp grant) {
    return Judge(by, by.Commit<AuthOperation>(cite, std::move(deps), {grant}));
  }
  // Ada, the first founder, grants; the id of the grant.
  OpId FounderGrants(GrantOp grant) {
    const Judged verdict = Grant(ada_, GenesisGrantId(0), {}, grant);
    EXPECT_EQ(verdict.kind, Kind::kEffective) << verdict.reason;
    return verdict.granted.at(0);
  }
  Judged Write(Author& writer, const OpId& cite, std::vector<Dep> deps,
               std::string_view key) {
    return Judge(writer,
                 writer.Commit<Operation>(cite, std::move(deps), {Put(key, "v")}));
  }

  SeededRandom random_{5};
  Salt salt_ = RandomSalt(random_);
  Author ada_{salt_, random_};
  Author fay_{salt_, random_};
  Author bob_{salt_, random_};
  Author eve_{salt_, random_};
  Genesis genesis_;
  std::unique_ptr<Authority> authority_;
};

TEST_F(AuthorityTest, P1_FoundersHoldGenesisGrantsInTheirOrder) {
  ASSERT_EQ(authority_->grants().size(), 2U);
  EXPECT_EQ(authority_->grants().begin()->second->identity, ada_.id());
  EXPECT_EQ(authority_->Find(GenesisGrantId(1))->identity, fay_.id());
  EXPECT_EQ(authority_->Find(GenesisGrantId(2)), nullptr);
  EXPECT_EQ(Write(ada_, GenesisGrantId(0), {}, "k").kind, Kind::kEffective);
  EXPECT_EQ(Write(fay_, GenesisGrantId(1), {}, "k").kind, Kind::kEffective);
}

TEST_F(AuthorityTest, P2_NobodyUsesAGrantThatIsNotHis) {
  const Judged verdict = Write(bob_, GenesisGrantId(0), {}, "k");
  EXPECT_EQ(verdict.kind, Kind::kNotAllowed);
  EXPECT_THAT(verdict.reason, HasSubstr("somebody else's"));
  EXPECT_EQ(Write(bob_, GenesisGrantId(7), {}, "k").kind, Kind::kNotAllowed);
  EXPECT_EQ(Write(bob_, {ada_.id(), 0, 0}, {}, "k").kind, Kind::kNotAllowed);
}

TEST_F(AuthorityTest, P2_AGrantedWriterWritesInsideHisScope) {
  const OpId grant = FounderGrants(GrantTo(bob_, GrantRole::kWriter, "notes/"));
  EXPECT_EQ(Write(bob_, grant, {ada_.Head()}, "notes/1").kind, Kind::kEffective);
  EXPECT_EQ(Write(bob_, grant, {}, "notes/").kind, Kind::kEffective);
}

TEST_F(AuthorityTest, Attack57_AWriterOutsideHisScopeHasNoEffect) {
  const OpId grant = FounderGrants(GrantTo(bob_, GrantRole::kWriter, "notes/"));
  const Judged verdict = Write(bob_, grant, {ada_.Head()}, "note");
  EXPECT_EQ(verdict.kind, Kind::kNotAllowed);
  EXPECT_EQ(verdict.reason, "op 0: key \"note\" is outside the scope \"notes/\"");
  const Judged mixed = Judge(
      bob_, bob_.Commit<Operation>(grant, {}, {Put("notes/1", "v"), Put("x", "v")}));
  EXPECT_EQ(mixed.kind, Kind::kNotAllowed) << "the batch is judged as one";
}

TEST_F(AuthorityTest, P1_ABlockHasNoAuthorityUnderAGrantThatItDoesNotName) {
  const OpId grant = FounderGrants(GrantTo(bob_, GrantRole::kWriter));
  const Judged verdict = Write(bob_, grant, {}, "k");
  EXPECT_EQ(verdict.kind, Kind::kNotAllowed);
  EXPECT_THAT(verdict.reason, HasSubstr("does not name"));
  EXPECT_EQ(Write(bob_, grant, {ada_.Head()}, "k").kind, Kind::kEffective);
  EXPECT_EQ(Write(bob_, grant, {}, "k").kind, Kind::kEffective)
      << "named by an earlier block of the log";
}

// Whether a grant that is not named has arrived is nothing a reason may tell.
TEST_F(AuthorityTest, I1_TheReasonIsTheSameWhetherOrNotAnUnnamedGrantIsHere) {
  const OpId held = FounderGrants(GrantTo(eve_, GrantRole::kReader));
  const OpId missing = {ada_.id(), held.position + 1, 0};
  const Judged here = Write(bob_, held, {}, "k");
  const Judged not_yet = Write(bob_, missing, {}, "k");
  EXPECT_EQ(here.kind, Kind::kNotAllowed);
  EXPECT_EQ(not_yet.kind, Kind::kNotAllowed);
  EXPECT_EQ(here.reason, not_yet.reason);
}

TEST_F(AuthorityTest, D8_NamingAGrantMeansItsWholeBatch) {
  const std::vector<AuthOperation> many(3'000, GrantTo(bob_, GrantRole::kWriter));
  const auto batch = ada_.Commit(GenesisGrantId(0), {}, many);
  ASSERT_GT(batch.size(), 1U);
  const Judged granted = Judge(ada_, batch);
  ASSERT_EQ(granted.kind, Kind::kEffective);
  const OpId first = granted.granted.front();
  EXPECT_EQ(Write(bob_, first, {ada_.HeadAt(1)}, "k").kind, Kind::kNotAllowed);
  EXPECT_EQ(Write(bob_, first, {ada_.Head()}, "k").kind, Kind::kEffective);
}

TEST_F(AuthorityTest, P2_RolesBelowAdminDoNotGrant) {
  for (const GrantRole role : {GrantRole::kReader, GrantRole::kModerated,
                               GrantRole::kWriter, GrantRole::kModerator}) {
    const OpId grant = FounderGrants(GrantTo(bob_, role, "", true));
    const Judged verdict =
        Grant(bob_, grant, {ada_.Head()}, GrantTo(eve_, GrantRole::kReader));
    EXPECT_EQ(verdict.kind, Kind::kNotAllowed) << RoleText(role);
    EXPECT_THAT(verdict.reason, HasSubstr("cannot grant"));
  }
  EXPECT_FALSE(authority_->IsMember(eve_.id()));
}

TEST_F(AuthorityTest, P2_AnAdminGrantsWithinRoleScopeAndDelegation) {
  const OpId plain = FounderGrants(GrantTo(bob_, GrantRole::kAdmin, "notes/"));
  const Dep head = ada_.Head();
  EXPECT_EQ(
      Grant(bob_, plain, {head}, GrantTo(eve_, GrantRole::kWriter, "notes/e")).kind,
      Kind::kEffective);
  EXPECT_EQ(Grant(bob_, plain, {head}, GrantTo(eve_, GrantRole::kWriter, "note")).kind,
            Kind::kNotAllowed);
  EXPECT_EQ(Grant(bob_, plain, {head}, GrantTo(eve_, GrantRole::kWriter)).kind,
            Kind::kNotAllowed);
  for (const GrantRole role : {GrantRole::kModerator, GrantRole::kAdmin}) {
    const Judged verdict = Grant(bob_, plain, {head}, GrantTo(eve_, role, "notes/"));
    EXPECT_THAT(verdict.reason, HasSubstr("may not delegate"));
  }
  const OpId delegating = FounderGrants(GrantTo(bob_, GrantRole::kAdmin, "", true));
  EXPECT_EQ(
      Grant(bob_, delegating, {ada_.Head()}, GrantTo(eve_, GrantRole::kAdmin)).kind,
      Kind::kEffective);
}

TEST_F(AuthorityTest, P2_AGrantByAnIneffectiveGrantHasNoEffect) {
  // Bob grants Eve before anybody granted him.
  const Judged early =
      Grant(bob_, GenesisGrantId(0), {}, GrantTo(eve_, GrantRole::kWriter));
  EXPECT_EQ(early.kind, Kind::kNotAllowed);
  EXPECT_TRUE(early.granted.empty());
  EXPECT_EQ(Write(eve_, {bob_.id(), 0, 0}, {bob_.Head()}, "k").kind, Kind::kNotAllowed);
}

TEST_F(AuthorityTest, P2_NobodyCitesAGrantThatHisOwnBatchMakes) {
  const OpId own{ada_.id(), ada_.length(), 0};
  EXPECT_EQ(Grant(ada_, own, {}, GrantTo(ada_, GrantRole::kAdmin)).kind,
            Kind::kNotAllowed);
}

TEST_F(AuthorityTest, P1_SeniorityIsThePathInTheTreeOfGrants) {
  const OpId bob = FounderGrants(GrantTo(bob_, GrantRole::kAdmin, "", true));
  const OpId later = FounderGrants(GrantTo(eve_, GrantRole::kAdmin, "", true));
  const Judged below =
      Grant(bob_, bob, {ada_.Head()}, GrantTo(eve_, GrantRole::kWriter));
  ASSERT_EQ(below.kind, Kind::kEffective) << below.reason;
  const Judged second =
      Grant(fay_, GenesisGrantId(1), {}, GrantTo(eve_, GrantRole::kWriter));
  std::vector<OpId> order;
  for (const auto& [path, grant] : authority_->grants()) order.push_back(grant->id);
  EXPECT_THAT(order, testing::ElementsAre(GenesisGrantId(0), bob, below.granted[0],
                                          later, GenesisGrantId(1), second.granted[0]));
  const auto* grant = authority_->Find(below.granted[0]);
  ASSERT_EQ(grant->path.steps.size(), 2U);
  EXPECT_EQ(grant->path.steps[0], (PathStep{0, 0, ada_.id(), 0, 0}));
  EXPECT_EQ(grant->path.steps[1], (PathStep{0, 0, bob_.id(), 0, 0}));
  EXPECT_EQ(grant->issued_under, bob);
  EXPECT_EQ(authority_->GrantsOf(eve_.id()).size(), 3U);
  EXPECT_EQ(authority_->GrantsOf(eve_.id())[0]->id, below.granted[0]);
}

TEST_F(AuthorityTest, Attack89_DelegationIsSixteenDeepAndNoDeeper) {
  OpId cite = GenesisGrantId(0);
  for (int depth = 1; depth <= 16; ++depth) {
    const Judged verdict =
        Grant(ada_, cite, {}, GrantTo(ada_, GrantRole::kAdmin, "", true));
    ASSERT_EQ(verdict.kind, Kind::kEffective) << depth << ": " << verdict.reason;
    cite = verdict.granted[0];
  }
  const Judged deeper = Grant(ada_, cite, {}, GrantTo(ada_, GrantRole::kAdmin));
  EXPECT_EQ(deeper.kind, Kind::kNotAllowed);
  EXPECT_EQ(Write(ada_, cite, {}, "k").kind, Kind::kEffective);
}

TEST_F(AuthorityTest, P2_ModeratedWaitsReaderIsRefusedAndBothMayAck) {
  const OpId moderated = FounderGrants(GrantTo(bob_, GrantRole::kModerated));
  EXPECT_EQ(Write(bob_, moderated, {ada_.Head()}, "k").kind, Kind::kPending);
  EXPECT_EQ(Judge(bob_, bob_.Ack(moderated, {})).kind, Kind::kEffective);
  const OpId reader = FounderGrants(GrantTo(eve_, GrantRole::kReader));
  EXPECT_EQ(Write(eve_, reader, {ada_.Head()}, "k").kind, Kind::kNotAllowed);
  EXPECT_EQ(Judge(eve_, eve_.Ack(reader, {})).kind, Kind::kEffective);
}

TEST_F(AuthorityTest, D8_AnInvalidBatchIsInvalidBeforeItIsNotAllowed) {
  std::vector<DecodedBlock> batch =
      bob_.Commit<Operation>(GenesisGrantId(0), {}, {Put("k", "v")});
  batch[0].header.state = BlockState::kInvalid;
  batch[0].header.reason = "spoiled";
  const Judged verdict = Judge(bob_, batch);
  EXPECT_EQ(verdict.kind, Kind::kInvalid);
  EXPECT_EQ(verdict.reason, "block 0: spoiled");
}

TEST_F(AuthorityTest, S7_TheMostSeniorGrantsAreThoseWithinTheLimit) {
  genesis_.limits.members = 4;
  Start();
  FounderGrants(GrantTo(bob_, GrantRole::kAdmin, "", true));
  const OpId eve = FounderGrants(GrantTo(eve_, GrantRole::kWriter));
  const Author dan(salt_, random_);
  // Fay's would come after all others.
  const Judged full =
      Grant(fay_, GenesisGrantId(1), {}, GrantTo(dan, GrantRole::kWriter));
  EXPECT_EQ(full.kind, Kind::kEffective) << "the batch stands, what it makes does not";
  EXPECT_TRUE(full.granted.empty());
  // A more senior one takes the place of the last.
  const OpId dans = FounderGrants(GrantTo(dan, GrantRole::kWriter));
  EXPECT_NE(authority_->Find(dans), nullptr);
  EXPECT_NE(authority_->Find(eve), nullptr);
  EXPECT_EQ(authority_->Find(GenesisGrantId(1)), nullptr) << "the last of the five";
  const std::vector<AuthOperation> more = {GrantTo(eve_, GrantRole::kWriter)};
  EXPECT_THAT(
      std::string(
          authority_->ChooseGrant(ada_.id(), std::span(more)).status().message()),
      HasSubstr("the limit is 4"));
}

TEST_F(AuthorityTest, P9_TheAuthorChoosesTheMostSeniorGrantThatSuffices) {
  const OpId notes = FounderGrants(GrantTo(bob_, GrantRole::kWriter, "notes/"));
  const OpId moderated = FounderGrants(GrantTo(bob_, GrantRole::kModerated));
  const OpId all = FounderGrants(GrantTo(bob_, GrantRole::kWriter));
  const OpId admin = FounderGrants(GrantTo(bob_, GrantRole::kAdmin));
  const auto choice = [this](std::initializer_list<const char*> keys) {
    std::vector<Operation> ops;
    for (const char* key : keys) ops.push_back(Put(key, "v"));
    return authority_->ChooseGrant(bob_.id(), std::span<const Operation>(ops));
  };
  EXPECT_EQ((*choice({"notes/1"}))->id, notes);
  EXPECT_EQ((*choice({"notes/1", "x"}))->id, all);
  const std::vector<AuthOperation> grant = {GrantTo(eve_, GrantRole::kWriter)};
  EXPECT_EQ((*authority_->ChooseGrant(bob_.id(), std::span(grant)))->id, admin);
  const std::vector<AuthOperation> more = {GrantTo(eve_, GrantRole::kModerator)};
  EXPECT_EQ(authority_->ChooseGrant(bob_.id(), std::span(more)).status().code(),
            absl::StatusCode::kPermissionDenied);
  EXPECT_EQ((*authority_->ChooseGrant(bob_.id()))->id, notes);
  const std::vector<Operation> put = {Put("k", "v")};
  const auto refused =
      authority_->ChooseGrant(eve_.id(), std::span<const Operation>(put));
  EXPECT_THAT(std::string(refused.status().message()),
              HasSubstr("holds no grant here"));
  const OpId only = FounderGrants(GrantTo(eve_, GrantRole::kModerated));
  EXPECT_EQ((*authority_->ChooseGrant(eve_.id(), std::span<const Operation>(put)))->id,
            only)
      << "pending is better than refused";
  EXPECT_NE(moderated, only);
}

TEST_F(AuthorityTest, S2_ALogThatDoesNotCountForAGrantIsOfferedNone) {
  const auto log_of = [](std::uint64_t number) {
    CoreKey log;
    log.bytes.fill(static_cast<std::uint8_t>(number));
    return log;
  };
  const auto begin = [&](std::uint64_t number) {
    Incarnation later;
    later.identity = fay_.id();
    later.number = number;
    later.prev_core = fay_.id();
    authority_->AddIncarnation(log_of(number), later);
    AuthorityChange change;
    authority_->Evaluate(&change);
  };
  EXPECT_EQ(authority_->IncarnationsLeft(fay_.id()), 63U);
  EXPECT_EQ(authority_->IncarnationsLeft(eve_.id()), 0U) << "she holds no grant";
  for (std::uint64_t number = 64; number >= 2; --number) begin(number);
  EXPECT_EQ(authority_->IncarnationsLeft(fay_.id()), 0U);
  const std::vector<AuthOperation> grant = {GrantTo(bob_, GrantRole::kWriter)};
  RevokeOp resignation;
  resignation.grant = GenesisGrantId(1);
  const std::vector<AuthOperation> resign = {resignation};
  const std::vector<Operation> put = {Put("k", "v")};
  for (const auto& operations : {grant, resign}) {
    EXPECT_TRUE(authority_->ChooseGrant(log_of(64), std::span(operations)).ok());
  }
  // One more that is smaller, and the last of them counts no longer.
  begin(1);
  for (const auto& operations : {grant, resign}) {
    EXPECT_TRUE(authority_->ChooseGrant(log_of(63), std::span(operations)).ok());
    const auto refused =
        authority_->ChooseGrant(log_of(64), std::span(operations)).status();
    EXPECT_EQ(refused.code(), absl::StatusCode::kPermissionDenied);
    EXPECT_THAT(std::string(refused.message()), HasSubstr("does not count"));
  }
  EXPECT_FALSE(
      authority_->ChooseGrant(log_of(64), std::span<const Operation>(put)).ok());
}

TEST_F(AuthorityTest, F5_AGrantForgivesTheForksThatItsAuthorKnewAndTwoMore) {
  GrantOp op = GrantTo(bob_, GrantRole::kWriter);
  op.forks = 1;
  const GrantNumber grant = authority_->Find(FounderGrants(op))->number;
  const auto standing = [&](bool writes) {
    return authority_->StandingOf(grant, bob_.id(), 0, 1, writes);
  };
  for (std::uint64_t number = 1; number <= 4; ++number) {
    EXPECT_EQ(standing(true), Standing::kEffective) << number - 1 << " forks";
    Incarnation later;
    later.identity = bob_.id();
    later.number = number;
    later.prev_core = bob_.id();
    CoreKey log;
    log.bytes.fill(static_cast<std::uint8_t>(number));
    authority_->AddIncarnation(log, later);
    authority_->SetFork(log, 5, 5);
    AuthorityChange change;
    authority_->Evaluate(&change);
  }
  EXPECT_EQ(standing(true), Standing::kPending);
  EXPECT_EQ(standing(false), Standing::kEffective) << "auth ops wait for nobody";
  // A new grant by who knows of all four.
  op.forks = 4;
  const GrantNumber renewed = authority_->Find(FounderGrants(op))->number;
  EXPECT_EQ(authority_->StandingOf(renewed, bob_.id(), 0, 1, true),
            Standing::kEffective);
}

TEST_F(AuthorityTest, P9_TheAuthorKnowsWhichDepTheFirstUseOfAGrantNeeds) {
  const OpId id = FounderGrants(GrantTo(bob_, GrantRole::kAdmin));
  const weft::Grant& grant = *authority_->Find(id);
  EXPECT_EQ(Authority::DepNeeded(grant, bob_.log(), false), 1U);
  Write(bob_, id, {ada_.Head()}, "k");
  EXPECT_EQ(Authority::DepNeeded(grant, bob_.log(), false), 0U);
  EXPECT_EQ(Authority::DepNeeded(grant, bob_.log(), true), 1U) << "auth blocks always";
  const weft::Grant& genesis = *authority_->Find(GenesisGrantId(0));
  EXPECT_EQ(Authority::DepNeeded(genesis, ada_.log(), true), 0U);
}

TEST_F(AuthorityTest, SavedFactsAreRestoredWithTheirPaths) {
  const OpId bob = FounderGrants(GrantTo(bob_, GrantRole::kAdmin, "n/", true));
  Grant(bob_, bob, {ada_.Head()}, GrantTo(eve_, GrantRole::kWriter, "n/e"));
  const std::vector<Bytes> facts = authority_->TakeNewFacts();
  ASSERT_EQ(facts.size(), 2U);
  const std::unique_ptr<Authority> first = std::move(authority_);
  Start();
  for (const Bytes& fact : facts) ASSERT_TRUE(authority_->RestoreFact(fact).ok());
  AuthorityChange change;
  authority_->Evaluate(&change);
  ASSERT_EQ(authority_->grants().size(), first->grants().size());
  for (const auto& [path, grant] : first->grants()) {
    ASSERT_TRUE(authority_->grants().contains(path));
    EXPECT_EQ(authority_->grants().at(path)->id, grant->id);
    EXPECT_EQ(authority_->grants().at(path)->scope, grant->scope);
  }
  EXPECT_TRUE(authority_->TakeNewFacts().empty());
  Start();
  EXPECT_FALSE(authority_->RestoreFact(ByteView(facts[0]).first(40)).ok());
}

TEST_F(AuthorityTest, I8_RandomGrantersNeverGainOverWhatTheyWereGiven) {
  std::vector<Author> people;
  for (int i = 0; i < 6; ++i) people.emplace_back(salt_, random_);
  people.insert(people.begin(), ada_);
  std::mt19937_64 random(9);
  std::vector<OpId> ids = {GenesisGrantId(0)};
  int effective = 0;
  for (int n = 0; n < 2'000; ++n) {
    Author& by = people[random() % people.size()];
    const std::string scope(random() % 3, 'a');
    const GrantOp op =
        GrantTo(people[random() % people.size()], static_cast<GrantRole>(random() % 5),
                scope, random() % 2 == 0);
    std::vector<Dep> deps;
    for (const Author& other : people) {
      if (other.id() != by.id() && other.length() > 0) deps.push_back(other.Head());
    }
    const OpId cite = ids[random() % ids.size()];
    const auto* cited = authority_->Find(cite);
    const Judged verdict = Grant(by, cite, deps, op);
    if (verdict.kind != Kind::kEffective) continue;
    ++effective;
    ids.push_back(verdict.granted.at(0));
    const auto* made = authority_->Find(ids.back());
    EXPECT_EQ(cited->identity, by.id());
    EXPECT_LE(made->role, cited->role);
    EXPECT_LT(cited->path, made->path);
    EXPECT_GE(made->scope.size(), cited->scope.size());
    EXPECT_LE(made->path.steps.size(), 16U);
  }
  EXPECT_GT(effective, 20);
}

}  // namespace
}  // namespace weft
