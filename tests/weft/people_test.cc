// Letting people in, and out, through the public API and over loopback TCP.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/weft/scratch.h"
#include "weft/store.h"

namespace weft {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds kTimeout = 30s;

struct Person {
  Store store;
  Base base;
};

class People : public testing::Test {
 protected:
  People() : ada_(Found()), address_(*ada_.store.Listen("127.0.0.1:0")) {}

  Person Found() {
    Store store = *Store::Open(scratch_ / "ada");
    Base base = *store.CreateBase({.name = "club"});
    return {store, base};
  }
  Person Join(const std::string& name, const std::string& link,
              const std::string& address) {
    Store store = *Store::Open(scratch_ / name);
    JoinOptions options;
    options.connect = address;
    absl::StatusOr<Base> base = store.Join(link, options);
    EXPECT_TRUE(base.ok()) << base.status();
    return {store, *base};
  }
  void Sync(Person& person) {
    const auto result = person.store.Sync(address_, kTimeout);
    EXPECT_TRUE(result.ok()) << result.status();
  }

  Scratch scratch_;
  Person ada_;
  std::string address_;
};

TEST_F(People, P8_AnInviteLetsItsHolderInThroughAnyMemberWhoIsOnline) {
  const auto invite = ada_.base.Invite();
  ASSERT_TRUE(invite.ok()) << invite.status();
  Person bob = Join("bob", ada_.base.link(), address_);
  ASSERT_TRUE(ada_.base.Grant(bob.base.identity(), Role::kReader).ok());
  Sync(bob);
  const std::string at_bob = *bob.store.Listen("127.0.0.1:0");
  // Ada is not asked: Bob, a reader, carries the redemption.
  Person eve = Join("eve", *invite, at_bob);
  ASSERT_EQ(eve.base.Status().role, Role::kWriter);
  ASSERT_TRUE(eve.base.Put("k", "from eve").ok());
  Sync(eve);
  EXPECT_TRUE(ada_.base.Get("k").ok());
  EXPECT_EQ(ada_.base.Root()->root, eve.base.Root()->root);
  // One use, and it is used: Eve has what it gives, and nobody else gets it.
  EXPECT_EQ(ada_.base.Redeem(*invite, eve.base.identity()).status().code(),
            absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(ada_.base.Redeem(*invite, bob.base.identity()).status().code(),
            absl::StatusCode::kPermissionDenied);
}

TEST_F(People, WhoJoinsWithoutAnInviteAsksAndAnAdminApproves) {
  Person bob = Join("bob", ada_.base.link(), address_);
  std::vector<JoinRequest> requests;
  for (int i = 0; i < 100 && requests.empty(); ++i) {
    Sync(bob);
    requests = ada_.base.Requests();
  }
  ASSERT_EQ(requests.size(), 1U);
  EXPECT_EQ(requests[0].identity, bob.base.identity());
  ASSERT_TRUE(ada_.base.Approve(requests[0].identity, Role::kWriter).ok());
  EXPECT_TRUE(ada_.base.Requests().empty());
  Sync(bob);
  EXPECT_TRUE(bob.base.Put("k", "v").ok());
}

TEST_F(People, P3_ARevocationSaysWhatItCostsAndWithdrawsIt) {
  Person bob = Join("bob", ada_.base.link(), address_);
  ASSERT_TRUE(ada_.base.Grant(bob.base.identity(), Role::kWriter).ok());
  Sync(bob);
  ASSERT_TRUE(bob.base.Put("k", "v").ok());
  Sync(bob);
  const std::string who = bob.base.identity();
  EXPECT_EQ(ada_.base.PlanRevoke(who)->writes, 0U) << "what is here is kept";
  const RevokeOptions all{.keep_nothing = true, .reason = "spam"};
  EXPECT_EQ(ada_.base.PlanRevoke(who, all)->writes, 1U);
  EXPECT_EQ(bob.base.PlanRevoke(ada_.base.identity()).status().code(),
            absl::StatusCode::kPermissionDenied);
  ASSERT_TRUE(ada_.base.Revoke(who, all).ok());
  EXPECT_FALSE(ada_.base.Get("k").ok());
  const std::vector<HeldBackWrites> held = ada_.base.HeldBack();
  ASSERT_EQ(held.size(), 1U);
  EXPECT_EQ(held[0].state, "quarantined");
  EXPECT_THAT(held[0].reason, testing::HasSubstr("spam"));
  Sync(bob);
  EXPECT_FALSE(bob.base.Put("k", "w").ok());
  EXPECT_EQ(bob.base.Root()->root, ada_.base.Root()->root);
}

TEST_F(People, F4_WhatARemovalTookIsWrittenAgainUnderANewGrant) {
  Person bob = Join("bob", ada_.base.link(), address_);
  ASSERT_TRUE(ada_.base.Grant(bob.base.identity(), Role::kWriter).ok());
  Sync(bob);
  Batch batch;
  batch.Put("a", "1");
  batch.Put("b", "2");
  ASSERT_TRUE(bob.base.Commit(batch).ok());
  ASSERT_TRUE(bob.base.Put("c", "3").ok());
  EXPECT_TRUE(bob.base.Recoverable()->empty());
  Sync(bob);
  ASSERT_TRUE(ada_.base.Revoke(bob.base.identity(), {.keep_nothing = true}).ok());
  Sync(bob);
  EXPECT_EQ(bob.base.Recover().status().code(), absl::StatusCode::kPermissionDenied);
  ASSERT_TRUE(ada_.base.Grant(bob.base.identity(), Role::kWriter).ok());
  Sync(bob);
  const auto lost = bob.base.Recoverable();
  ASSERT_TRUE(lost.ok()) << lost.status();
  ASSERT_EQ(lost->size(), 1U);
  EXPECT_EQ(lost->front().writes, 3U);
  EXPECT_EQ(lost->front().state, "quarantined");
  EXPECT_FALSE(bob.base.Get("a").ok());
  const auto recovered = bob.base.Recover();
  ASSERT_TRUE(recovered.ok()) << recovered.status();
  EXPECT_EQ(recovered->writes, 3U);
  EXPECT_EQ(recovered->left, 0U);
  Sync(bob);
  for (const char* key : {"a", "b", "c"}) EXPECT_TRUE(ada_.base.Get(key).ok()) << key;
  EXPECT_TRUE(bob.base.Recoverable()->empty()) << "once is enough";
}

// Bob's store with a grant, level with Ada's; what she takes from him, and gives.
class Removed : public People {
 protected:
  Removed() : bob_(Join("bob", ada_.base.link(), address_)) { Let(""); }
  void Let(const std::string& scope) {
    ASSERT_TRUE(ada_.base.Grant(bob_.base.identity(), Role::kWriter, scope).ok());
    Sync(bob_);
  }
  // Of `who` nothing stays of what it allowed.
  void Take(const std::string& who) {
    Sync(bob_);
    ASSERT_TRUE(ada_.base.Revoke(who, {.keep_nothing = true}).ok());
    Sync(bob_);
  }
  std::string GrantOfBob() {
    for (const Member& member : ada_.base.Members()) {
      if (member.identity == bob_.base.identity() && !member.revoked) {
        return member.grant->ToText();
      }
    }
    return "";
  }
  void Write(const std::string& key, const std::string& value) {
    ASSERT_TRUE(bob_.base.Put(key, value).ok());
  }

  Person bob_;
};

TEST_F(Removed, F4_WhatMayNotBeWrittenAgainIsNamedAndAllElseIsWritten) {
  Write("other/1", "v");
  Write("notes/1", "v");
  Write("other/2", "v");
  Write("notes/2", "v");
  Take(bob_.base.identity());
  Let("notes/");
  const auto recovered = bob_.base.Recover();
  ASSERT_TRUE(recovered.ok()) << recovered.status();
  EXPECT_EQ(recovered->writes, 2U);
  ASSERT_EQ(recovered->refused.size(), 2U);
  EXPECT_EQ(recovered->refused[1].from, 2U);
  EXPECT_THAT(recovered->refused[1].reason, testing::HasSubstr("other/2"));
  Sync(bob_);
  EXPECT_TRUE(ada_.base.Get("notes/1").ok());
  EXPECT_TRUE(ada_.base.Get("notes/2").ok());
  // They are still lost, and another grant may allow them.
  EXPECT_EQ(bob_.base.Recoverable()->size(), 2U);
  Let("");
  EXPECT_EQ(bob_.base.Recover()->writes, 2U);
  EXPECT_TRUE(bob_.base.Recoverable()->empty());
}

TEST_F(Removed, F4_WhatIsLostLaterBelowWhatWasWrittenAgainIsFound) {
  for (const char* key : {"a", "b"}) Write(key, "v");
  const std::string first = GrantOfBob();
  // The first revocation keeps what is known, and what comes after it is lost.
  Sync(bob_);
  ASSERT_TRUE(ada_.base.Revoke(bob_.base.identity()).ok());
  Write("c", "v");
  Sync(bob_);
  Let("");
  EXPECT_EQ(bob_.base.Recover()->writes, 1U);
  Sync(bob_);
  // A second one keeps nothing under the old grant.
  Take(first);
  const auto lost = bob_.base.Recoverable();
  ASSERT_EQ(lost->size(), 1U);
  EXPECT_EQ(lost->front().from, 0U);
  EXPECT_EQ(lost->front().writes, 2U) << "a and b, and c was written again";
  EXPECT_EQ(bob_.base.Recover()->writes, 2U);
  EXPECT_TRUE(bob_.base.Recoverable()->empty());
  EXPECT_EQ(bob_.base.Recover()->writes, 0U);
}

TEST_F(Removed, F4_ALostIncrementIsCountedOnceHoweverOftenItIsAskedFor) {
  for (int i = 0; i < 5; ++i) {
    Batch batch;
    batch.Increment("n", 1);
    ASSERT_TRUE(bob_.base.Commit(batch).ok());
  }
  Take(bob_.base.identity());
  Let("");
  // One that says the same and is no copy.
  Batch batch;
  batch.Increment("n", 1);
  ASSERT_TRUE(bob_.base.Commit(batch).ok());
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(bob_.base.Recover().ok());
  EXPECT_EQ(bob_.base.Get("n")->lanes.counter->value, 6);
}

TEST_F(Removed, F4_ACopyThatIsLostIsCopiedAndItsOriginalIsNot) {
  Write("k", "v");
  Take(bob_.base.identity());
  Let("");
  EXPECT_EQ(bob_.base.Recover()->writes, 1U);
  Take(bob_.base.identity());
  Let("");
  EXPECT_EQ(bob_.base.Recoverable()->size(), 1U);
  EXPECT_EQ(bob_.base.Recover()->writes, 1U);
  EXPECT_TRUE(bob_.base.Recoverable()->empty());
}

TEST_F(Removed, F4_EditsOfTextsAreListedAsLongAsTheyAreLost) {
  Batch batch;
  batch.InsertText("letter", 0, "Dear Ada");
  batch.Put("k", "v");
  ASSERT_TRUE(bob_.base.Commit(batch).ok());
  Take(bob_.base.identity());
  Let("");
  auto lost = bob_.base.Recoverable();
  ASSERT_EQ(lost->size(), 1U);
  EXPECT_EQ(lost->front().writes, 2U);
  EXPECT_EQ(lost->front().left, 1U);
  EXPECT_THAT(lost->front().left_keys, testing::ElementsAre("letter"));
  for (const std::uint64_t writes : {1U, 0U}) {
    const auto recovered = bob_.base.Recover();
    ASSERT_TRUE(recovered.ok()) << recovered.status();
    EXPECT_EQ(recovered->writes, writes);
    EXPECT_EQ(recovered->left, 1U);
    lost = bob_.base.Recoverable();
    ASSERT_EQ(lost->size(), 1U);
    EXPECT_EQ(lost->front().writes, 1U) << "the edit alone";
    EXPECT_EQ(lost->front().left, 1U);
  }
}

TEST_F(Removed, P2_WhoResignsGivesUpAllGrantsInOneCommitAndLosesNothing) {
  Let("notes/");
  Write("k", "v");
  const std::string bob = bob_.base.identity();
  EXPECT_EQ(bob_.base.PlanRevoke(bob)->grants, 2U);
  const std::uint64_t length = bob_.base.Status().own_length;
  const auto resigned = bob_.base.Revoke(bob);
  ASSERT_TRUE(resigned.ok()) << resigned.status();
  EXPECT_EQ(bob_.base.Status().own_length, length + 2);
  EXPECT_EQ(bob_.base.Put("k", "w").status().code(),
            absl::StatusCode::kPermissionDenied);
  Sync(bob_);
  std::size_t revoked = 0;
  for (const Member& member : ada_.base.Members()) revoked += member.revoked ? 1 : 0;
  EXPECT_EQ(revoked, 2U);
  EXPECT_TRUE(ada_.base.Get("k").ok()) << "what he wrote before stays";
  EXPECT_EQ(ada_.base.Root()->root, bob_.base.Root()->root);
}

TEST_F(People, AModeratedMembersWritesShowOnceTheyAreAccepted) {
  Person bob = Join("bob", ada_.base.link(), address_);
  ASSERT_TRUE(ada_.base.Grant(bob.base.identity(), Role::kModerated).ok());
  Sync(bob);
  const auto op = bob.base.Put("k", "v");
  ASSERT_TRUE(op.ok());
  EXPECT_EQ(bob.base.FateOf(*op)->kind, FateKind::kPending);
  Sync(bob);
  EXPECT_FALSE(ada_.base.Get("k").ok());
  ASSERT_TRUE(ada_.base.Accept(op->writer, op->position, op->position + 1).ok());
  EXPECT_TRUE(ada_.base.Get("k").ok());
  ASSERT_TRUE(ada_.base.Hide({*op}).ok());
  EXPECT_EQ(ada_.base.FateOf(*op)->kind, FateKind::kHidden);
  ASSERT_TRUE(ada_.base.Unhide({*op}).ok());
  EXPECT_TRUE(ada_.base.Get("k").ok());
}

}  // namespace
}  // namespace weft
