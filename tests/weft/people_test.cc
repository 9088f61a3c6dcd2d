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
