// Stores that are copied, put back and killed, through the public API: what is written
// afterwards goes to a log of its own, and nothing of it forks (semantics 7.1).

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <thread>

#include "engine/key_layout.h"
#include "engine/rocks_storage.h"
#include "tests/weft/scratch.h"
#include "weft/store.h"

namespace weft {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::chrono::milliseconds kTimeout = 30s;

JoinOptions Through(const std::string& address) {
  JoinOptions options;
  options.connect = address;
  return options;
}

class Restore : public testing::Test {
 protected:
  Store Open(const std::string& name) {
    absl::StatusOr<Store> store = Store::Open(scratch_ / name);
    EXPECT_TRUE(store.ok()) << store.status();
    return *store;
  }
  // Of a store that is closed, as cp -a does it.
  void Copy(const std::string& from, const std::string& to) {
    std::filesystem::copy(scratch_ / from, scratch_ / to,
                          std::filesystem::copy_options::recursive);
    std::filesystem::permissions(scratch_ / to, std::filesystem::perms::owner_all);
  }
  // Ada's store, with one key, closed again.
  void Found() {
    Store store = Open("ada");
    ASSERT_EQ(store.notice(), "");
    Base base = *store.CreateBase({.name = "notes"});
    ASSERT_TRUE(base.Put("k", "v").ok());
  }

  Scratch scratch_;
};

TEST_F(Restore, A2_ACopyIsReadAsEverAndItsFirstWriteBeginsANewLog) {
  Found();
  Copy("ada", "copy");
  Store copy = Open("copy");
  EXPECT_THAT(copy.notice(), HasSubstr("new log"));
  Base base = *copy.OpenBase();
  EXPECT_TRUE(base.Get("k").ok());
  EXPECT_TRUE(base.Status().renews);
  const std::string old_log = base.Status().log;
  const auto op = base.Put("k", "w");
  ASSERT_TRUE(op.ok()) << op.status();
  const BaseStatus status = base.Status();
  EXPECT_EQ(status.incarnation, 1U);
  EXPECT_FALSE(status.renews);
  EXPECT_NE(status.log, old_log);
  EXPECT_EQ(op->writer, status.log);
  EXPECT_EQ(status.identity, old_log) << "the person is the same";
  EXPECT_EQ(base.FateOf(*op)->kind, FateKind::kWinner);
  EXPECT_TRUE(base.Get("k")->value->conflicts.empty()) << "it had seen the old value";
  EXPECT_TRUE(base.Verify().ok());
}

TEST_F(Restore, A2_ANewLogStaysAcrossRestartsAndIsToldOfOnce) {
  Found();
  Copy("ada", "copy");
  std::string log;
  {
    Store copy = Open("copy");
    ASSERT_TRUE(copy.OpenBase()->Put("k", "w").ok());
    log = copy.OpenBase()->Status().log;
  }
  for (int run = 0; run < 3; ++run) {
    Store copy = Open("copy");
    EXPECT_EQ(copy.notice(), "");
    const auto op = copy.OpenBase()->Put("k", "x");
    ASSERT_TRUE(op.ok()) << op.status();
    EXPECT_EQ(op->writer, log);
  }
  EXPECT_EQ(Open("ada").notice(), "") << "the original is the live one";
}

TEST_F(Restore, A2_AStoreOfBeforeThereWereLeasesGetsOneAndKeepsItsLog) {
  Found();
  {
    auto storage = RocksStorage::Open(scratch_ / "ada", RocksOptions());
    ASSERT_TRUE(storage.ok()) << storage.status();
    StorageBatch batch;
    batch.Delete(Family::kMeta, keys::Lease());
    ASSERT_TRUE((*storage)->Commit(batch, Durability::kSynced).ok());
    std::filesystem::remove(scratch_ / "ada/LEASE");
  }
  for (int run = 0; run < 2; ++run) {
    Store ada = Open("ada");
    EXPECT_EQ(ada.notice(), "");
    EXPECT_TRUE(std::filesystem::exists(scratch_ / "ada/LEASE"));
    ASSERT_TRUE(ada.OpenBase()->Put("k", "w").ok());
    EXPECT_EQ(ada.OpenBase()->Status().incarnation, 0U);
  }
}

TEST_F(Restore, A2_ACopyThatNobodyWroteToRenewsStillInTheNextRun) {
  Found();
  Copy("ada", "copy");
  EXPECT_NE(Open("copy").notice(), "");
  Store copy = Open("copy");
  EXPECT_EQ(copy.notice(), "");
  EXPECT_TRUE(copy.OpenBase()->Status().renews);
}

TEST_F(Restore, A2_WhoMayNotWriteBeginsNoLog) {
  Found();

  Store ada = Open("ada");
  const std::string address = *ada.Listen("127.0.0.1:0");
  {
    Store bob = Open("bob");
    ASSERT_TRUE(bob.Join(ada.OpenBase()->link(), Through(address)).ok());
  }
  Copy("bob", "copy");
  Store copy = Open("copy");
  Base base = *copy.OpenBase();
  EXPECT_EQ(base.Put("k", "w").status().code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(base.Status().incarnation, 0U);
  // He is let in under the identity that he had.
  ASSERT_TRUE(ada.OpenBase()->Grant(base.identity(), Role::kWriter).ok());
  ASSERT_TRUE(copy.Sync(address, kTimeout).ok());
  ASSERT_TRUE(base.Put("k", "w").ok());
  ASSERT_TRUE(copy.Sync(address, kTimeout).ok());
  EXPECT_EQ(ada.OpenBase()->Get("k")->value->winner.value, Datum::Of("w"));
  EXPECT_EQ(ada.OpenBase()->Get("k")->value->winner.author, base.Status().log);
  EXPECT_EQ(ada.OpenBase()->Members().back().identity, base.identity());
}

TEST_F(Restore, A3_ABackupFetchesItsOwnTailBeforeItsFirstWrite) {
  Found();
  Copy("ada", "backup");
  Store bob = Open("bob");
  const std::string at_bob = *bob.Listen("127.0.0.1:0");
  {
    Store ada = Open("ada");
    const std::string at_ada = *ada.Listen("127.0.0.1:0");
    ASSERT_TRUE(bob.Join(ada.OpenBase()->link(), Through(at_ada)).ok());
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(ada.OpenBase()->Put("k", "today").ok());
    ASSERT_TRUE(bob.Sync(at_ada, kTimeout).ok());
  }
  Store backup = Open("backup");
  Base base = *backup.OpenBase();
  EXPECT_EQ(base.Get("k")->value->winner.value, Datum::Of("v"));
  ASSERT_TRUE(backup.Connect(at_bob).ok());
  while (backup.Peers().empty()) std::this_thread::yield();
  ASSERT_TRUE(base.Put("k", "after").ok());
  // It had seen today's value, so there is no conflict anywhere.
  EXPECT_THAT(base.Get("k")->value->conflicts, IsEmpty());
  ASSERT_TRUE(backup.Sync(at_bob, kTimeout).ok());
  EXPECT_EQ(bob.OpenBase()->Get("k")->value->winner.value, Datum::Of("after"));
  EXPECT_THAT(bob.OpenBase()->Get("k")->value->conflicts, IsEmpty());
  const Member ada = bob.OpenBase()->Members().front();
  ASSERT_EQ(ada.logs.size(), 2U);
  EXPECT_EQ(ada.logs[0].length, 21U);
  EXPECT_FALSE(ada.forked);
}

TEST_F(Restore, F4_ABackupOfBeforeARecoveryFindsWhatWasWrittenAgain) {
  Found();
  Store ada = Open("ada");
  const std::string address = *ada.Listen("127.0.0.1:0");
  Base club = *ada.OpenBase();
  std::string identity;
  const auto as_bob = [&](const std::string& name,
                          const std::function<void(Base&)>& act) {
    Store store = Open(name);
    Base base = *store.OpenBase();
    ASSERT_TRUE(store.Sync(address, kTimeout).ok());
    act(base);
    ASSERT_TRUE(store.Sync(address, kTimeout).ok());
  };
  {
    Store bob = Open("bob");
    identity = bob.Join(club.link(), Through(address))->identity();
  }
  const auto increment = [](Base& base) {
    Batch batch;
    batch.Increment("n", 1);
    ASSERT_TRUE(base.Commit(batch).ok());
  };
  ASSERT_TRUE(club.Grant(identity, Role::kWriter).ok());
  as_bob("bob", increment);
  as_bob("bob", increment);
  ASSERT_TRUE(club.Revoke(identity, {.keep_nothing = true}).ok());
  ASSERT_TRUE(club.Grant(identity, Role::kWriter).ok());
  as_bob("bob", [](Base&) {});
  Copy("bob", "backup");
  const auto recover = [](Base& base) { ASSERT_TRUE(base.Recover().ok()); };
  as_bob("bob", recover);
  EXPECT_EQ(club.Get("n")->lanes.counter->value, 2);
  as_bob("backup", [](Base& base) {
    EXPECT_TRUE(base.Recoverable()->empty());
    EXPECT_EQ(base.Recover()->writes, 0U);
  });
  EXPECT_EQ(club.Get("n")->lanes.counter->value, 2);
}

TEST_F(Restore, A3_WhereNobodyIsConnectedNobodyIsWaitedFor) {
  Found();
  Copy("ada", "copy");
  Store copy = Open("copy");
  ASSERT_TRUE(copy.Connect("127.0.0.1:1").ok());
  EXPECT_TRUE(copy.OpenBase()->Put("k", "w").ok());
}

TEST_F(Restore, S2_AnOriginalAndItsCopyAreBothHeardByEverybody) {
  Found();
  Copy("ada", "copy");
  Store ada = Open("ada");
  Store copy = Open("copy");
  Store bob = Open("bob");
  const std::string at_bob = *bob.Listen("127.0.0.1:0");
  const std::string at_ada = *ada.Listen("127.0.0.1:0");
  ASSERT_TRUE(bob.Join(ada.OpenBase()->link(), Through(at_ada)).ok());
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(ada.OpenBase()->Put("ada", std::to_string(i)).ok());
    ASSERT_TRUE(copy.OpenBase()->Put("copy", std::to_string(i)).ok());
    ASSERT_TRUE(ada.Sync(at_bob, kTimeout).ok());
    ASSERT_TRUE(copy.Sync(at_bob, kTimeout).ok());
  }
  ASSERT_TRUE(ada.Sync(at_bob, kTimeout).ok());
  const std::string root = bob.OpenBase()->Root()->root;
  EXPECT_EQ(ada.OpenBase()->Root()->root, root);
  EXPECT_EQ(copy.OpenBase()->Root()->root, root);
  EXPECT_TRUE(bob.OpenBase()->Get("ada").ok());
  EXPECT_TRUE(bob.OpenBase()->Get("copy").ok());
  EXPECT_TRUE(bob.OpenBase()->Verify().ok());
}

}  // namespace
}  // namespace weft
