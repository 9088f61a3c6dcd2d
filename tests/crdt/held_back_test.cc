// The list of what is here and has no effect: what a moderator hid (6.6), and what of a
// forked log does not survive (part 7).

#include <gmock/gmock.h>

#include "tests/crdt/replica.h"

namespace weft {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// Fay founds; Ada and Bob moderate, Eve writes, and they all have what she wrote.
class Hidden : public testing::Test {
 protected:
  Hidden() {
    fay_.Grant(people_.ids[1], GrantRole::kModerator);
    fay_.Grant(people_.ids[2], GrantRole::kModerator);
    fay_.Grant(eve(), GrantRole::kWriter);
    for (Replica* replica : {&ada_, &bob_, &eve_}) replica->FetchAll(fay_);
    for (const char* key : {"a/1", "b/1", "a/2", "a/3", "a/4"}) {
      written_.push_back(eve_.Do(Put(key, "v")));
    }
    Meet();
  }
  const CoreKey& eve() const { return people_.ids[3]; }
  void Meet() {
    for (Replica* one : {&fay_, &ada_, &bob_, &eve_}) {
      for (Replica* other : {&fay_, &ada_, &bob_, &eve_}) {
        if (one != other) one->FetchAll(*other);
      }
    }
  }
  OpId Hide(Replica& who, std::vector<OpId> ops, bool hide = true) {
    HideOp op;
    op.hide = hide;
    op.ops = std::move(ops);
    return who.Auth(op);
  }
  OpId Rollback(Replica& who, std::uint64_t from, std::uint64_t to,
                std::string_view prefix) {
    HideOp op;
    op.log = eve();
    op.from = from;
    op.to = to;
    op.prefix = AsBytes(prefix);
    return who.Auth(op);
  }
  // "from..to writes" of each entry.
  static std::vector<std::string> Ranges(Replica& replica, std::size_t max = 100) {
    std::vector<std::string> ranges;
    for (const HeldBack& held : replica.indexer().ListHeldBack(max)) {
      EXPECT_TRUE(held.hidden);
      EXPECT_EQ(held.reason, "hidden by " + ToText(*held.by));
      ranges.push_back(absl::StrFormat("%d..%d %d", held.from, held.to, held.ops));
    }
    return ranges;
  }

  People people_{4, 3};
  Replica fay_{people_.genesis, people_.ids[0]};
  Replica ada_{people_.genesis, people_.ids[1]};
  Replica bob_{people_.genesis, people_.ids[2]};
  Replica eve_{people_.genesis, people_.ids[3]};
  std::vector<OpId> written_;
};

TEST_F(Hidden, P4_66_WhoeverLooksFindsWhatIsHiddenAndByWhom) {
  const OpId hide = Hide(ada_, {written_[1], written_[3]});
  Meet();
  for (Replica* replica : {&fay_, &ada_, &bob_, &eve_}) {
    EXPECT_THAT(Ranges(*replica), ElementsAre("1..2 1", "3..4 1"));
    EXPECT_EQ(replica->indexer().ListHeldBack(9)[0].by, hide);
  }
  Hide(fay_, {written_[1], written_[3]}, false);
  EXPECT_THAT(Ranges(fay_), IsEmpty());
}

TEST_F(Hidden, P4_66_ARangeThatIsHiddenIsOneEntryForEachOpThatHidIt) {
  Rollback(bob_, 0, 5, "a/");
  EXPECT_THAT(Ranges(bob_), ElementsAre("0..1 1", "2..5 3"));
  // The more senior moderator decides about one of them.
  bob_.FetchAll(ada_);
  const OpId hide = Hide(ada_, {written_[3]});
  Meet();
  EXPECT_THAT(Ranges(eve_), ElementsAre("0..1 1", "2..3 1", "3..4 1", "4..5 1"));
  EXPECT_EQ(eve_.indexer().ListHeldBack(9)[2].by, hide);
  EXPECT_THAT(Ranges(eve_, 2), ElementsAre("0..1 1", "2..3 1"));
}

TEST_F(Hidden, P4_66_WhatMayNotBeHiddenIsNotListed) {
  const OpId own = fay_.Do(Put("own", "v"));
  Meet();
  Hide(ada_, {own});
  Meet();
  EXPECT_EQ(eve_.Text("own"), "v");
  EXPECT_THAT(Ranges(eve_), IsEmpty());
}

TEST_F(Hidden, P4_66_ARangeBeyondTheEndOfALogIsNoRange) {
  for (const CoreKey& log : {fay_.self(), eve()}) {
    HideOp op;
    op.log = log;
    op.to = 50;
    const absl::Status status = fay_.indexer().CheckEffect(fay_.self(), op);
    EXPECT_EQ(status.code(), absl::StatusCode::kNotFound) << status;
    EXPECT_THAT(std::string(status.message()), testing::HasSubstr("no 50 blocks here"));
  }
}

TEST(HeldBackForks, F2_WhatSurvivesNowhereIsListedAndRead) {
  const People people(2, 3);
  Replica fay(people.genesis, people.ids[0]);
  fay.Grant(people.ids[1], GrantRole::kWriter);
  Replica laptop(people.genesis, people.ids[1]);
  Replica backup(people.genesis, people.ids[1]);
  laptop.FetchAll(fay);
  laptop.Do(Put("shared", "v"));
  backup.FetchAll(laptop);
  laptop.Do(Put("a", "v"));
  const OpId last = laptop.Do(Put("a2", "v"));
  backup.Do(Put("b", "v"));
  fay.FetchAll(laptop);
  fay.TakeProof(people.Proof(1, laptop.logs().logs[people.ids[1]],
                             backup.logs().logs[people.ids[1]]));
  const std::vector<HeldBack> held = fay.indexer().ListHeldBack(9);
  ASSERT_EQ(held.size(), 1U);
  EXPECT_EQ(held[0].standing, Standing::kAfterFork);
  EXPECT_EQ(held[0].log, people.ids[1]);
  EXPECT_EQ(held[0].from, 1U);
  EXPECT_EQ(held[0].to, 3U);
  EXPECT_EQ(held[0].ops, 2U);
  EXPECT_EQ(held[0].reason, fay.Fate(last).reason);
  std::vector<std::string> keys;
  const auto take = [&](const Indexer::LoggedOp& op) {
    EXPECT_EQ(fay.Fate(op.id).kind, OpFateKind::kAfterFork);
    keys.emplace_back(AsText(op.operation->key));
    return absl::OkStatus();
  };
  const auto next = fay.indexer().ReadOps(people.ids[1], 1, 99, take);
  ASSERT_TRUE(next.ok()) << next.status();
  EXPECT_EQ(*next, 3U);
  EXPECT_THAT(keys, ElementsAre("a", "a2"));
  // As far as it is held: the other branch is another store's to list.
  backup.TakeProof(people.Proof(1, laptop.logs().logs[people.ids[1]],
                                backup.logs().logs[people.ids[1]]));
  ASSERT_EQ(backup.indexer().ListHeldBack(9).size(), 1U);
  EXPECT_EQ(backup.indexer().ListHeldBack(9)[0].to, 2U);
}

}  // namespace
}  // namespace weft
