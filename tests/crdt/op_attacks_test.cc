// Attacks on ops, clocks and the view by their number (threats, D4).

#include <algorithm>

#include "absl/strings/str_format.h"
#include "engine/trie_proof.h"
#include "tests/crdt/attacks.h"

namespace weft {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::uint64_t kLastMs = kHlcMsEnd - 1;

class OpAttacks : public Attacks {
 protected:
  // The ops of Ada and Mia reach a reader in both orders, with one end.
  void ExpectSameInBothOrders() {
    ExpectAllEqual();
    Replica one(people_.genesis, people_.ids[0]);
    Replica other(people_.genesis, people_.ids[0]);
    for (Replica* replica : {&one, &other}) {
      replica->Fetch(fay(), people_.ids[0]);
      replica->Fetch(fay(), people_.ids[replica == &one ? 1 : 2]);
      replica->Fetch(fay(), people_.ids[replica == &one ? 2 : 1]);
    }
    EXPECT_EQ(one.Root(), fay().Root());
    EXPECT_EQ(other.Root(), fay().Root());
    EXPECT_EQ(one.Digest(), fay().Digest());
    EXPECT_EQ(other.Digest(), fay().Digest());
  }
  void ExpectInvalid(const OpId& op) {
    ExpectAllEqual();
    EXPECT_EQ(fay().Fate(op).kind, OpFateKind::kInvalid);
    EXPECT_THAT(fay().Keys(), IsEmpty());
    EXPECT_THAT(fay().indexer().Missing(), IsEmpty());
  }
};

// --- 39 to 41: clocks ---

TEST_F(OpAttacks, Attack39_AStampOfTheFarFutureWinsUntilTheNextWriteThatHasSeenIt) {
  ada().Do(Put("k", "ada"));
  Forge<Operation>(mia(), mia_grant_, {Grants()}, {PutOf("k", "far")}, Hlc{kLastMs, 0});
  ExpectSameInBothOrders();
  EXPECT_EQ(fay().Text("k"), "far");
  EXPECT_THAT(fay().Conflicts("k"), ElementsAre("ada"));
  EXPECT_EQ(fay().indexer().Status().clock_suspect, 1U);
  ada().Do(Put("k", "ada, who has seen it"));
  ExpectSameInBothOrders();
  EXPECT_EQ(fay().Text("k"), "ada, who has seen it");
  EXPECT_THAT(fay().Conflicts("k"), IsEmpty());
  // Her clock was pulled by five minutes and no more.
  EXPECT_EQ(LogOf(ada()).last_hlc().ms,
            static_cast<std::uint64_t>(ada().clock().now_ms) + kClockPullMs);
}

TEST_F(OpAttacks, Attack39_AStampBeyondTheEndOfTimeIsInvalidAndCountsForNothing) {
  RawEnvelope beyond = FirstOfMia();
  beyond.ms = kHlcMsEnd;
  const OpId op = Sign(mia(), {With(beyond, {PutOf("k")})});
  ExpectInvalid(op);
  EXPECT_EQ(LogOf(mia()).last_hlc(), Hlc());
  // The log goes on, its time is what it was.
  mia().Do(Put("k", "sound"));
  ExpectSameInBothOrders();
  EXPECT_EQ(fay().Text("k"), "sound");
}

TEST_F(OpAttacks, Attack39_ACounterThatOverflowsIsInvalid) {
  RawEnvelope beyond = FirstOfMia();
  beyond.counter = kHlcCounterEnd;
  ExpectInvalid(Sign(mia(), {With(beyond, {PutOf("k")})}));
}

TEST_F(OpAttacks, Attack39_WhoStampsTheEndOfTimeEndsHisOwnLogAlone) {
  Forge<Operation>(mia(), mia_grant_, {Grants()}, {PutOf("k", "last")},
                   Hlc{kLastMs, kHlcCounterEnd - 1});
  Meet();
  const Mutation more = Put("k", "more");
  EXPECT_EQ(mia().Commit(std::span(&more, 1)).status().code(),
            absl::StatusCode::kOutOfRange);
  ada().Do(more);
  ExpectSameInBothOrders();
  EXPECT_EQ(fay().Text("k"), "more");
}

TEST_F(OpAttacks, Attack40_StampsOfTheBeginningOfTimeLoseTiesAndNothingElse) {
  Forge<Operation>(mia(), mia_grant_, {Grants()}, {PutOf("k", "zero")}, Hlc{0, 1});
  ada().Do(Put("k", "ada"));
  ExpectSameInBothOrders();
  EXPECT_EQ(fay().Text("k"), "ada");
  EXPECT_THAT(fay().Conflicts("k"), ElementsAre("zero"));
  Forge<Operation>(mia(), mia_grant_, {{people_.ids[1], 1, HashAt(ada(), 1)}},
                   {PutOf("k", "seen")}, Hlc{0, 2});
  ExpectSameInBothOrders();
  EXPECT_EQ(fay().Text("k"), "seen") << "causality beats time";
}

TEST_F(OpAttacks, Attack40_StampsThatAreAllEqualHaveOneWinnerByTheLogsKey) {
  const Hlc same{5, 5};
  Forge<Operation>(mia(), mia_grant_, {Grants()}, {PutOf("k", "mia")}, same);
  Forge<Operation>(ada(), ada_grant_, {Grants()}, {PutOf("k", "ada")}, same);
  ExpectSameInBothOrders();
  const bool mia_wins = people_.ids[1] < people_.ids[2];
  EXPECT_EQ(fay().Text("k"), mia_wins ? "mia" : "ada");
  EXPECT_THAT(fay().Conflicts("k"), ElementsAre(mia_wins ? "ada" : "mia"));
}

TEST_F(OpAttacks, Attack39_AStampThatDoesNotRiseIsInvalid) {
  RawEnvelope first = FirstOfMia();
  const OpId sound = Sign(mia(), {With(first, {PutOf("k", "sound")})});
  RawEnvelope again;
  again.kind = first.kind;
  again.ms = first.ms;
  const OpId stuck = Sign(mia(), {With(again, {PutOf("k", "stuck")})});
  ExpectSameInBothOrders();
  EXPECT_EQ(fay().Fate(sound).kind, OpFateKind::kWinner);
  EXPECT_EQ(fay().Fate(stuck).kind, OpFateKind::kInvalid);
}

// --- 44, 46: heads and deep histories ---

TEST_F(OpAttacks, Attack44_MoreThanSixtyFourHeadsAreAnInvalidBlockThatWaitsForNobody) {
  RawEnvelope bomb = FirstOfMia();
  for (std::uint64_t i = 1; i <= 64; ++i) {
    CoreKey stranger;
    stranger.bytes.fill(static_cast<std::uint8_t>(i));
    bomb.new_writers.push_back(stranger);
    bomb.deps.push_back({i, 1'000'000});
  }
  const std::size_t wanted = fay().indexer().wanted_count();
  ExpectInvalid(Sign(mia(), {With(bomb, {PutOf("k")})}));
  EXPECT_EQ(fay().indexer().wanted_count(), wanted) << "nobody is followed for it";
  EXPECT_EQ(LogOf(mia()).position(), 1U);
}

TEST_F(OpAttacks, Attack44_HeadsThatAreUnsortedRepeatedOrEmptyAreAnInvalidBlock) {
  const Dep grants = Grants();
  const RawEnvelope::RawDep head = {0, grants.length, grants.tree_hash};
  const RawEnvelope::RawDep other = {1, 1};
  const std::vector<std::vector<RawEnvelope::RawDep>> lies = {{other, head},
                                                              {head, head},
                                                              {head, {1, 0}},
                                                              {head, {2, 1}},
                                                              {head, other, other}};
  for (const auto& deps : lies) {
    RawEnvelope lie = FirstOfMia();
    lie.new_writers.push_back(people_.ids[1]);
    lie.deps = deps;
    ExpectInvalid(Sign(mia(), {With(lie, {PutOf("k")})}));
  }
}

TEST_F(OpAttacks, Attack44_ACountOfHeadsThatNothingFollowsIsAnInvalidBlock) {
  RawEnvelope sound = FirstOfMia();
  sound.deps.clear();
  Bytes block = sound.Encode();
  block.pop_back();  // "no deps"
  Writer(&block).Uint(100'000);
  ExpectInvalid(Sign(mia(), {block}));
}

TEST_F(OpAttacks, Attack46_ADeepLadderIsTakenInWhateverComesFirst) {
  // Each of the two has always seen all of the other.
  constexpr int kRungs = 2'000;
  for (int rung = 0; rung < kRungs; ++rung) {
    Replica& author = rung % 2 == 0 ? ada() : mia();
    Replica& reader = rung % 2 == 0 ? mia() : ada();
    author.Do(Put(absl::StrFormat("key/%d", rung % 7), "v"));
    reader.Fetch(author, author.self());
  }
  ExpectSameInBothOrders();
  EXPECT_EQ(fay().Keys().size(), 7U);
  EXPECT_THAT(fay().Keys(/*conflicts_only=*/true), IsEmpty());
}

TEST_F(OpAttacks, Attack46_ALadderOfGrantsAndRemovalsIsJudgedAlikeInBothOrders) {
  constexpr int kRungs = 200;
  for (int rung = 0; rung < kRungs; ++rung) {
    GrantOp grant;
    grant.identity.bytes.fill(static_cast<std::uint8_t>(rung + 1));
    grant.role = GrantRole::kReader;
    const OpId id = ada().Auth(grant);
    fay().Fetch(ada(), ada().self());
    RevokeOp revoke;
    revoke.grant = id;
    if (rung % 2 == 0) fay().Auth(revoke);
    ada().Fetch(fay(), fay().self());
  }
  ExpectSameInBothOrders();
  std::size_t standing = 0;
  for (const MemberInfo& member : fay().indexer().Members()) {
    standing += member.grant->revoked ? 0U : 1U;
  }
  EXPECT_EQ(standing, 3U + kRungs / 2);
}

TEST_F(OpAttacks, Attack46_AFanOfManyHeadsIsMergedInBlocksOfSixtyFour) {
  constexpr std::size_t kWriters = 150;
  const People crowd(kWriters, 9);
  const auto replicas = crowd.Meet();
  for (std::size_t i = 1; i < kWriters; ++i) {
    replicas[i]->Do(Put("k", absl::StrFormat("value %d", i)));
    replicas[0]->Fetch(*replicas[i], crowd.ids[i]);
  }
  EXPECT_EQ(replicas[0]->Read("k").value->live_count, kWriters - 1);
  replicas[0]->Do(Put("k", "one"));
  EXPECT_THAT(replicas[0]->Conflicts("k"), IsEmpty());
  Replica late(crowd.genesis, crowd.ids[0]);
  late.FetchAll(*replicas[0]);
  EXPECT_EQ(late.Text("k"), "one");
  EXPECT_EQ(late.Root(), replicas[0]->Root());
  LogState log(crowd.ids[0]);
  for (const Bytes& block : late.logs().logs[crowd.ids[0]]) {
    const DecodedBlock decoded = DecodeBlock(log, block, crowd.genesis.limits);
    ASSERT_TRUE(decoded.header.envelope.has_value());
    EXPECT_LE(decoded.header.envelope->deps.size(), 64U);
  }
}

// --- 47 to 50: keys, siblings, sizes ---

TEST_F(OpAttacks, Attack47_KeysAreBytesThatAreReadAsTheyWereWritten) {
  std::string components = "0";
  for (int i = 1; i < 65; ++i) components += "/" + std::to_string(i);
  const std::vector<std::string> keys = {std::string("a\0b", 3),
                                         std::string(1, '\0'),
                                         "..",
                                         "../../etc/passwd",
                                         "/",
                                         "//",
                                         "caf\xc3\xa9",
                                         "cafe\xcc\x81",  // one word in two forms
                                         "\xff\xfe",
                                         "\xed\xa0\x80",
                                         components,
                                         std::string(1024, 'k')};
  for (const std::string& key : keys) mia().Do(Put(key, ToHex(AsBytes(key))));
  ExpectSameInBothOrders();
  std::vector<std::string> sorted = keys;
  std::sort(sorted.begin(), sorted.end());
  EXPECT_EQ(fay().Keys(), sorted);
  for (const std::string& key : keys) EXPECT_EQ(fay().Text(key), ToHex(AsBytes(key)));
}

TEST_F(OpAttacks, Attack47_AnEmptyKeyAndOneOf1025BytesAreInvalid) {
  const std::string over(1025, 'k');
  for (const std::string& key : {std::string(), over}) {
    const Mutation put = Put(key, "v");
    EXPECT_EQ(mia().Commit(std::span(&put, 1)).status().code(),
              absl::StatusCode::kInvalidArgument);
  }
  ExpectInvalid(Sign(mia(), {With(FirstOfMia(), {PutOf("")})}));
  RawEnvelope next;
  next.kind = static_cast<std::uint8_t>(BlockKind::kData);
  next.ms = 2'000'001;
  ExpectInvalid(Sign(mia(), {With(next, {PutOf(over)})}));
}

TEST_F(OpAttacks, Attack48_KeysWithOneHashElsewhereAreTwoKeysHere) {
  // SipHash-2-4 of these two under a key of zeros is 3074403f91c132a1.
  mia().Do(Put("idgcmnmna", "one"));
  mia().Do(Put("mpomeiehc", "two"));
  mia().Do(Put("idgcmnmna/mpomeiehc", "below"));
  ExpectSameInBothOrders();
  EXPECT_EQ(fay().Text("idgcmnmna"), "one");
  EXPECT_EQ(fay().Text("mpomeiehc"), "two");
  EXPECT_EQ(fay().Keys().size(), 3U);
}

TEST_F(OpAttacks, Attack48_ManyKeysWithOneLongPrefixHaveShortProofs) {
  constexpr int kKeys = 2'000;
  const std::string prefix(1'000, 'p');
  std::vector<std::string> keys;
  for (int i = 0; i < kKeys; ++i) keys.push_back(prefix + absl::StrFormat("%05d", i));
  for (int i = 0; i < kKeys; i += 100) {
    std::vector<Mutation> puts;
    for (int at = i; at < i + 100; ++at) {
      puts.push_back(
          Put(keys[static_cast<std::size_t>(at)], keys[static_cast<std::size_t>(at)]));
    }
    ASSERT_TRUE(mia().Commit(puts).ok());
  }
  const Hash32 root = mia().Root();
  for (int i = 0; i < kKeys; i += 97) {
    const std::string& key = keys[static_cast<std::size_t>(i)];
    EXPECT_EQ(mia().Text(key), key);
    const auto proof = mia().indexer().Prove(key);
    ASSERT_TRUE(proof.ok()) << proof.status();
    // The prefix is one branch, and each of five digits two at most.
    EXPECT_LE(proof->branches.size(), 11U);
    const auto shown = CheckTrieProof(root, AsBytes(key), *proof);
    ASSERT_TRUE(shown.ok()) << shown.status();
    EXPECT_TRUE(shown->has_value());
  }
}

TEST_F(OpAttacks, Attack49_TwoWritersMakeTwoValuesOfAKeyHoweverOftenTheyWrite) {
  for (int i = 0; i < 100; ++i) {
    Forge<Operation>(mia(), mia_grant_,
                     i == 0 ? std::vector<Dep>{Grants()} : std::vector<Dep>{},
                     {PutOf("k", absl::StrFormat("mia %d", i))});
    Forge<Operation>(ada(), ada_grant_,
                     i == 0 ? std::vector<Dep>{Grants()} : std::vector<Dep>{},
                     {PutOf("k", absl::StrFormat("ada %d", i))});
  }
  ExpectSameInBothOrders();
  EXPECT_EQ(fay().Read("k").value->live_count, 2U);
}

TEST(ManySiblings, Attack49_AllValuesOfAKeyAreKeptAndAsManyShownAsTheLimitSays) {
  constexpr std::size_t kWriters = 40;
  People crowd(kWriters, 9);
  crowd.genesis.limits.siblings_reported = 8;
  const auto replicas = crowd.Meet();
  std::vector<OpId> ops;
  for (std::size_t i = 1; i < kWriters; ++i) {
    ops.push_back(replicas[i]->Do(Put("k", absl::StrFormat("value %d", i))));
    replicas[0]->Fetch(*replicas[i], crowd.ids[i]);
  }
  Replica& fay = *replicas[0];
  EXPECT_EQ(fay.Read("k").value->live_count, kWriters - 1);
  EXPECT_EQ(fay.Read("k").value->live.size(), 8U);
  std::size_t winners = 0;
  for (const OpId& op : ops) {
    const OpFateKind kind = fay.Fate(op).kind;
    winners += kind == OpFateKind::kWinner ? 1U : 0U;
    EXPECT_TRUE(kind == OpFateKind::kWinner || kind == OpFateKind::kConflict);
  }
  EXPECT_EQ(winners, 1U);
  fay.Do(Put("k", "one"));
  EXPECT_EQ(fay.Read("k").value->live_count, 1U);
  for (const OpId& op : ops) {
    EXPECT_EQ(fay.Fate(op).kind, OpFateKind::kSuperseded);
  }
}

TEST_F(OpAttacks, Attack50_AnOversizeValueIsInvalid) {
  Limits wide;
  wide.value_bytes *= 2;
  const std::string over(Limits().value_bytes + 1, 'x');
  const Mutation put = Put("k", over);
  EXPECT_EQ(mia().Commit(std::span(&put, 1)).status().code(),
            absl::StatusCode::kInvalidArgument);
  ExpectInvalid(Forge<Operation>(mia(), mia_grant_, {Grants()}, {PutOf("k", over)},
                                 std::nullopt, wide));
}

TEST_F(OpAttacks, Attack50_ABatchThatClaimsABillionBlocksIsInvalid) {
  RawEnvelope claim = FirstOfMia();
  claim.batch_count = 1'000'000'000;
  ExpectInvalid(Sign(mia(), {With(claim, {PutOf("k")})}));
}

TEST_F(OpAttacks, Attack50_ABatchThatIsNeverFinishedNeverHasEffectAndStopsNobody) {
  RawEnvelope claim = FirstOfMia();
  claim.batch_count = 2;
  const OpId half = Sign(mia(), {With(claim, {PutOf("half")})});
  Meet();
  ada().Do(Put("other", "v"));
  ExpectAllEqual();
  EXPECT_EQ(fay().Fate(half).kind, OpFateKind::kWaiting);
  EXPECT_THAT(fay().Keys(), ElementsAre("other"));
  // Beginning another is no way to finish the first.
  RawEnvelope next;
  next.kind = claim.kind;
  next.ms = claim.ms + 1;
  const OpId whole = Sign(mia(), {With(next, {PutOf("whole")})});
  ExpectSameInBothOrders();
  EXPECT_EQ(fay().Fate(half).kind, OpFateKind::kInvalid);
  EXPECT_EQ(fay().Fate(whole).kind, OpFateKind::kWinner);
  EXPECT_THAT(fay().Keys(), ElementsAre("other", "whole"));
}

// --- 52 to 55: what is new, and what lies about others ---

class NewerProgram : public OpAttacks {
 protected:
  void ExpectParked(const RawEnvelope& unknown) {
    const OpId first = Sign(mia(), {With(unknown, {PutOf("new")})});
    RawEnvelope next;
    next.kind = static_cast<std::uint8_t>(BlockKind::kData);
    next.ms = unknown.ms + 1;
    const OpId later = Sign(mia(), {With(next, {PutOf("later")})});
    ada().Do(Put("other", "v"));
    ExpectSameInBothOrders();
    EXPECT_EQ(fay().Fate(first).kind, OpFateKind::kParked);
    EXPECT_EQ(fay().Fate(later).kind, OpFateKind::kParked);
    EXPECT_THAT(fay().Keys(), ElementsAre("other"));
    ASSERT_EQ(fay().indexer().Status().parked.size(), 1U);
    EXPECT_EQ(fay().indexer().Status().parked[0].position, 0U);
  }
};

TEST_F(NewerProgram, Attack52_ABlockOfALaterVersionParksItsLogAndNoOther) {
  RawEnvelope unknown = FirstOfMia();
  unknown.sem_version = 2;
  ExpectParked(unknown);
}

TEST_F(NewerProgram, Attack52_ABlockOfAnUnknownKindParksItsLogAndNoOther) {
  RawEnvelope unknown = FirstOfMia();
  unknown.kind = 77;
  ExpectParked(unknown);
}

TEST_F(OpAttacks, Attack53_AnOriginOutsideTheCausalPastCountsAsDeadAndGainsNothing) {
  Mutation types;
  types.kind = Mutation::Kind::kInsertText;
  types.key = "t";
  types.value = {ValueType::kText, AsBytes(std::string_view("abc"))};
  const OpId word = ada().Do(types);
  // Mia names the middle of what she has not seen, and a block that nobody will write.
  for (const std::uint64_t position : {word.position, std::uint64_t{1'000'000}}) {
    SequenceEdit edit;
    edit.left.place = ElementRef::Place::kLog;
    edit.left.writer = people_.ids[1].view();
    edit.left.position = position;
    edit.left.op_index = word.op_index;
    edit.left.offset = 1;
    const Operation insert =
        InsertOp(AsBytes(std::string_view("t")), Lane::kText, &edit,
                 {ValueType::kText, AsBytes(std::string_view("!"))});
    const bool first = mia().logs().logs[people_.ids[2]].empty();
    const OpId lie = Forge<Operation>(
        mia(), mia_grant_, first ? std::vector<Dep>{Grants()} : std::vector<Dep>{},
        {insert});
    ExpectSameInBothOrders();
    EXPECT_EQ(fay().Fate(lie).kind, OpFateKind::kWinner);
    const std::string text = *fay().Read("t").text;
    EXPECT_NE(text.find("abc"), std::string::npos) << text;
  }
  EXPECT_EQ(fay().Read("t").text->size(), 5U);
}

TEST_F(OpAttacks, Attack54_ASumBeyond64BitsIsExactAndItsReadOutSaturates) {
  const auto inc = [](std::int64_t delta) {
    return IncOp(AsBytes(std::string_view("n")), delta);
  };
  Forge<Operation>(mia(), mia_grant_, {Grants()}, {inc(INT64_MAX), inc(INT64_MAX)});
  Forge<Operation>(ada(), ada_grant_, {Grants()}, {inc(INT64_MAX), inc(1)});
  ExpectSameInBothOrders();
  EXPECT_EQ(fay().Read("n").typed.counter->sum, "27670116110564327422");
  EXPECT_EQ(fay().Read("n").typed.counter->value, INT64_MAX);
  Forge<Operation>(mia(), mia_grant_, {},
                   {inc(INT64_MIN), inc(INT64_MIN), inc(INT64_MIN), inc(INT64_MIN)});
  Forge<Operation>(mia(), mia_grant_, {}, {inc(INT64_MIN)});
  ExpectSameInBothOrders();
  EXPECT_EQ(fay().Read("n").typed.counter->sum, "-18446744073709551618");
  EXPECT_EQ(fay().Read("n").typed.counter->value, INT64_MIN);
}

TEST_F(OpAttacks, Attack54_FloatsAreBitsThatNobodyCompares) {
  const std::string nan("\x01\0\0\0\0\0\xf8\x7f", 8);
  const std::string other_nan("\x02\0\0\0\0\0\xf8\xff", 8);
  const std::string minus_zero("\0\0\0\0\0\0\0\x80", 8);
  const auto put = [](const std::string& bits) {
    return PutOp(AsBytes(std::string_view("f")), {ValueType::kFloat64, AsBytes(bits)});
  };
  Forge<Operation>(mia(), mia_grant_, {Grants()}, {put(other_nan), put(nan)});
  Forge<Operation>(ada(), ada_grant_, {Grants()}, {put(minus_zero)}, Hlc{3'000'000, 0});
  ExpectSameInBothOrders();
  const ViewEntry entry = fay().Read("f");
  ASSERT_EQ(entry.value->live.size(), 2U);
  EXPECT_EQ(AsText(entry.value->live[0].view().bytes), minus_zero) << "the later stamp";
  EXPECT_EQ(AsText(entry.value->live[1].view().bytes), nan);
}

TEST_F(OpAttacks, Attack55_OneContentInTwoLogsIsTwoOps) {
  const OpId one = mia().Do(Put("k", "same"));
  const OpId other = ada().Do(Put("k", "same"));
  ExpectSameInBothOrders();
  EXPECT_EQ(fay().Text("k"), "same");
  EXPECT_THAT(fay().Conflicts("k"), ElementsAre("same"));
  EXPECT_NE(fay().Fate(one).kind, fay().Fate(other).kind);
}

TEST_F(OpAttacks, Attack55_ABlockCopiedIntoAnotherLogCitesWhatIsNotItsOwn) {
  const OpId original = mia().Do(Put("k", "mia"));
  const Bytes block = mia().logs().logs[people_.ids[2]][0];
  const OpId copy = Sign(ada(), {block});
  ExpectSameInBothOrders();
  EXPECT_EQ(fay().Fate(original).kind, OpFateKind::kWinner);
  EXPECT_EQ(fay().Fate(copy).kind, OpFateKind::kNotAllowed);
  EXPECT_THAT(fay().Conflicts("k"), IsEmpty());
}

}  // namespace
}  // namespace weft
