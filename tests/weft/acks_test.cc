// Who holds our writes: acknowledgements over loopback TCP, and over restarts.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/weft/scratch.h"
#include "weft/store.h"

namespace weft {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds kTimeout = 30s;

// Ada's store, with one write in it, and its address.
class Acks : public testing::Test {
 protected:
  Acks() {
    Open();
    base_ = *store_->CreateBase({.name = "club"});
    writer_ = base_->identity();
    EXPECT_TRUE(base_->Put("k", "v").ok());
    link_ = base_->link();
  }
  void Open() {
    store_ = *Store::Open(scratch_ / "ada");
    address_ = *store_->Listen("127.0.0.1:0");
    if (!link_.empty()) base_ = *store_->OpenBase();
  }
  void Reopen() {
    base_.reset();
    store_.reset();
    Open();
  }
  absl::Status Held(std::size_t peers, std::chrono::milliseconds timeout) {
    return base_->WaitAcked(writer_, 1, peers, timeout);
  }
  // A store that follows the base and has synced once.
  void SyncNewPeer(const std::string& name) {
    Store store = *Store::Open(scratch_ / name);
    ASSERT_TRUE(store.Join(link_).ok());
    ASSERT_TRUE(store.Sync(address_, kTimeout).ok());
  }

  Scratch scratch_;
  std::optional<Store> store_;
  std::optional<Base> base_;
  std::string address_;
  std::string writer_;
  std::string link_;
};

TEST_F(Acks, NobodyHoldsAWriteBeforeSomebodySaysSo) {
  const absl::Status status = Held(1, 0ms);
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("0 of 1 peers"));
  EXPECT_TRUE(base_->Status().acked.empty());
  EXPECT_TRUE(Held(0, 0ms).ok());
}

TEST_F(Acks, APeerThatHasSyncedHoldsOurWritesAndStatusSaysSo) {
  SyncNewPeer("bob");
  EXPECT_TRUE(Held(1, kTimeout).ok());
  EXPECT_TRUE(absl::IsDeadlineExceeded(Held(2, 0ms)));
  SyncNewPeer("cleo");
  EXPECT_TRUE(Held(2, kTimeout).ok());
  ASSERT_TRUE(base_->Put("k", "w").ok());
  const BaseStatus status = base_->Status();
  EXPECT_EQ(status.own_length, 2U);
  ASSERT_EQ(status.acked.size(), 1U);
  EXPECT_EQ(status.acked[0].length, 1U);
  EXPECT_EQ(status.acked[0].peers, 2U);
}

TEST_F(Acks, WhatWasSaidIsRememberedOverARestart) {
  SyncNewPeer("bob");
  ASSERT_TRUE(Held(1, kTimeout).ok());
  Reopen();
  EXPECT_TRUE(Held(1, 0ms).ok());
  EXPECT_TRUE(absl::IsDeadlineExceeded(base_->WaitAcked(writer_, 2, 1, 0ms)));
}

// A peer is one peer however often it connects.
TEST_F(Acks, APeerThatComesAgainIsNotCountedTwice) {
  Store bob = *Store::Open(scratch_ / "bob");
  ASSERT_TRUE(bob.Join(link_).ok());
  ASSERT_TRUE(bob.Sync(address_, kTimeout).ok());
  ASSERT_TRUE(Held(1, kTimeout).ok());
  ASSERT_TRUE(bob.Sync(address_, kTimeout).ok());
  EXPECT_TRUE(absl::IsDeadlineExceeded(Held(2, 0ms)));
}

TEST_F(Acks, AWaitEndsAsSoonAsAPeerHasIt) {
  std::thread bob([&] { SyncNewPeer("bob"); });
  EXPECT_TRUE(Held(1, kTimeout).ok());
  bob.join();
}

TEST_F(Acks, AWriterThatIsNoIdentityIsRefused) {
  EXPECT_TRUE(absl::IsInvalidArgument(base_->WaitAcked("bob", 1, 1, 0ms)));
}

// Bob asks of Ada's writes too, and of his own peer's.
TEST_F(Acks, AnyWritersLogCanBeWaitedFor) {
  Store bob = *Store::Open(scratch_ / "bob");
  const auto base = bob.Join(link_);
  ASSERT_TRUE(base.ok());
  ASSERT_TRUE(bob.Connect(address_).ok());
  Base copy = *base;
  EXPECT_TRUE(copy.WaitAcked(writer_, 1, 1, kTimeout).ok());
}

TEST_F(Acks, ABaseJoinedOfflineTakesItsNameWhenTheGenesisComesInALaterRun) {
  {
    Store bob = *Store::Open(scratch_ / "bob");
    const auto base = bob.Join(link_);
    ASSERT_TRUE(base.ok()) << base.status();
    EXPECT_THAT(base->name(), testing::StartsWith("base-"));
  }
  Store bob = *Store::Open(scratch_ / "bob");
  ASSERT_TRUE(bob.Sync(address_, kTimeout).ok());
  EXPECT_THAT(bob.Bases(), testing::ElementsAre("club"));
  EXPECT_TRUE(bob.OpenBase("club").ok());
}

}  // namespace
}  // namespace weft
