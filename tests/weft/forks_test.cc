// Real stores over loopback: one that was rolled back and written on (F1, F2, worked
// case 7). A rollback in place is what no lease can see (A4).

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <map>

#include "tests/weft/scratch.h"
#include "weft/store.h"

namespace weft {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

using Files = std::map<std::string, std::string>;

Files ReadFiles(const std::string& directory) {
  Files files;
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    if (!entry.is_regular_file()) continue;
    std::ifstream in(entry.path(), std::ios::binary);
    files[fs::relative(entry.path(), directory).string()] =
        std::string(std::istreambuf_iterator<char>(in), {});
  }
  return files;
}

// Every file has the inode that it had, as on a machine whose image was rolled back;
// `lease` is another name of that of the lease, which the store has given up since.
void RollBack(const std::string& directory, const Files& files,
              const std::string& lease) {
  fs::rename(lease, fs::path(directory) / "LEASE");
  for (const auto& [name, bytes] : ReadFiles(directory)) {
    if (!files.contains(name)) fs::remove(fs::path(directory) / name);
  }
  for (const auto& [name, bytes] : files) {
    std::ofstream out(fs::path(directory) / name, std::ios::binary | std::ios::trunc);
    out << bytes;
  }
}

// The keys of what is held of a log and does not survive its fork.
std::vector<std::string> AfterFork(const Base& base, const std::string& log) {
  std::vector<std::string> keys;
  const absl::StatusOr<LogPage> page = base.ReadLog(log, 0);
  EXPECT_TRUE(page.ok()) << page.status();
  if (!page.ok()) return keys;
  for (const LoggedOp& logged : page->ops) {
    if (logged.fate.kind == FateKind::kAfterFork) keys.push_back(logged.key);
  }
  return keys;
}

std::string Text(const Base& base, const std::string& key) {
  const absl::StatusOr<Entry> entry = base.Get(key);
  return entry.ok() && entry->value ? entry->value->winner.value.ToText() : "";
}

// Ada's club, in which Mia has written "before". The image of Mia's store is put back
// to that moment.
class RolledBack : public testing::Test {
 protected:
  RolledBack() {
    Store store = *Store::Open(mia_at_);
    Base base = *store.Join(club_.link());
    mia_id_ = base.identity();
    EXPECT_TRUE(club_.Grant(mia_id_, Role::kWriter).ok());
    EXPECT_TRUE(store.Sync(at_ada_, 30s).ok());
    EXPECT_TRUE(base.Put("before", "v").ok());
    EXPECT_TRUE(store.Sync(at_ada_, 30s).ok());
  }
  static void Sync(Store& store, const std::string& address) {
    const auto synced = store.Sync(address, 30s);
    ASSERT_TRUE(synced.ok()) << synced.status();
  }
  // A run of the store at this path; with an address it is synced at the end.
  static void Run(const std::string& where, const std::string& address,
                  const std::function<void(Base&)>& act) {
    Store store = *Store::Open(where);
    Base base = *store.OpenBase("club");
    act(base);
    if (!address.empty()) Sync(store, address);
  }
  static std::function<void(Base&)> Write(const std::vector<std::string>& keys) {
    return [keys](Base& base) {
      for (const std::string& key : keys) ASSERT_TRUE(base.Put(key, "v").ok());
    };
  }
  static std::function<void(Base&)> Recover(std::uint64_t writes) {
    return [writes](Base& base) {
      const auto recovered = base.Recover();
      ASSERT_TRUE(recovered.ok()) << recovered.status();
      EXPECT_EQ(recovered->writes, writes);
    };
  }
  void WriteAndRollBack(const std::vector<std::string>& keys) {
    const Files saved = ReadFiles(mia_at_);
    fs::create_hard_link(mia_at_ + "/LEASE", scratch_ / "lease");
    Run(mia_at_, at_ada_, Write(keys));
    for (const std::string& key : keys) EXPECT_EQ(Text(club_, key), "v");
    RollBack(mia_at_, saved, scratch_ / "lease");
  }

  Scratch scratch_;
  Store ada_ = *Store::Open(scratch_ / "ada");
  Base club_ = *ada_.CreateBase({.name = "club"});
  std::string at_ada_ = *ada_.Listen("127.0.0.1:0");
  std::string mia_at_ = scratch_ / "mia";
  std::string mia_id_;
};

TEST_F(RolledBack, F1_AStoreThatIsWrittenOnIsFoundAndItsPrefixStays) {
  WriteAndRollBack({"after"});
  Run(mia_at_, at_ada_, Write({"one", "two"}));
  EXPECT_EQ(Text(club_, "before"), "v");
  EXPECT_EQ(Text(club_, "after"), "");
  EXPECT_EQ(Text(club_, "one"), "");
  // What does not survive is told all the same, where it is held: the write that was
  // rolled back at Ada's, and at Mia's, who has got it back, what was written instead.
  EXPECT_THAT(AfterFork(club_, mia_id_), testing::ElementsAre("after"));
  Run(mia_at_, "", [&](Base& base) {
    EXPECT_THAT(AfterFork(base, mia_id_), testing::ElementsAre("one", "two", "after"));
  });
  bool forked = false;
  for (const Member& member : club_.Members()) {
    if (member.identity == mia_id_) forked = member.forked;
  }
  EXPECT_TRUE(forked);
  Run(mia_at_, "", [&](Base& base) {
    EXPECT_EQ(base.Root()->version_digest, club_.Root()->version_digest);
    EXPECT_EQ(base.Root()->root, club_.Root()->root);
    EXPECT_TRUE(base.Verify().ok());
  });
}

TEST_F(RolledBack, F6_TheForkedLogIsServedToNoStranger) {
  WriteAndRollBack({"after"});
  Run(mia_at_, at_ada_, Write({"one", "two"}));
  // A stock peer that sees two heads freezes the core. Ada holds the signature of a
  // longer prefix than survives.
  Store stranger = *Store::Open(scratch_ / "stranger");
  Store::CloneOptions options;
  EXPECT_TRUE(stranger.CloneCore(club_.identity(), at_ada_, options).ok());
  options.timeout = 2s;
  EXPECT_FALSE(stranger.CloneCore(mia_id_, at_ada_, options).ok());
}

TEST_F(RolledBack, F4_WhatTheStoreHasForgottenIsWrittenAgainToo) {
  WriteAndRollBack({"after"});
  Run(mia_at_, at_ada_, Write({"one", "two"}));
  Run(mia_at_, at_ada_, Recover(3));
  for (const std::string key : {"before", "after", "one", "two"}) {
    EXPECT_EQ(Text(club_, key), "v") << key;
  }
  Run(mia_at_, at_ada_, Recover(0));
}

TEST_F(RolledBack, F4_OfTwoBranchesTheWriteThatWasLaterWinsAgain) {
  WriteAndRollBack({"k"});
  Run(mia_at_, at_ada_, [](Base& base) {
    ASSERT_TRUE(base.Put("k", "later").ok());
    ASSERT_TRUE(base.Put("other", "v").ok());
  });
  // Ada has gone on at one of the keys: that is said before it is written over.
  ASSERT_TRUE(club_.Put("other", "mine").ok());
  Run(mia_at_, at_ada_, Write({}));
  Run(mia_at_, "", [](Base& base) {
    const auto lost = base.Recoverable();
    ASSERT_TRUE(lost.ok()) << lost.status();
    std::vector<std::string> newer;
    for (const HeldBackWrites& range : *lost) {
      newer.insert(newer.end(), range.newer_keys.begin(), range.newer_keys.end());
    }
    EXPECT_THAT(newer, testing::ElementsAre("other"));
  });
  Run(mia_at_, at_ada_, Recover(3));
  EXPECT_EQ(Text(club_, "k"), "later");
  EXPECT_TRUE(club_.Get("k")->value->conflicts.empty());
}

// Three branches; what two of them share is written again once, in the author's store
// as in a copy of it.
TEST_F(RolledBack, F4_WhatSeveralBranchesShareIsWrittenAgainOnce) {
  const auto add = [](int times) {
    return [times](Base& base) {
      for (int i = 0; i < times; ++i) {
        Batch batch;
        batch.Increment("n", 1);
        ASSERT_TRUE(base.Commit(batch).ok());
      }
    };
  };
  const auto save = [&](const std::string& lease) {
    fs::create_hard_link(mia_at_ + "/LEASE", scratch_ / lease);
    return ReadFiles(mia_at_);
  };
  const Files shorter = save("shorter");
  Run(mia_at_, at_ada_, add(2));
  const Files longer = save("longer");
  Run(mia_at_, at_ada_, add(3));
  RollBack(mia_at_, longer, scratch_ / "longer");
  Run(mia_at_, "", add(1));  // a branch that nobody is told of yet
  const Files third = save("third");
  RollBack(mia_at_, shorter, scratch_ / "shorter");
  Run(mia_at_, at_ada_, add(1));
  Run(mia_at_, at_ada_, Recover(6));
  EXPECT_EQ(club_.Get("n")->lanes.counter->value, 6);
  // The third branch comes to light.
  RollBack(mia_at_, third, scratch_ / "third");
  Run(mia_at_, at_ada_, Write({}));
  Run(mia_at_, at_ada_, Recover(1));
  EXPECT_EQ(club_.Get("n")->lanes.counter->value, 7);
}

TEST_F(RolledBack, F4_ATextThatIsLeftIsReadInTheAuthorsOwnStore) {
  const Files saved = ReadFiles(mia_at_);
  fs::create_hard_link(mia_at_ + "/LEASE", scratch_ / "lease");
  Run(mia_at_, at_ada_, [](Base& base) {
    Batch batch;
    batch.InsertText("page", 0, "lost");
    ASSERT_TRUE(base.Commit(batch).ok());
  });
  RollBack(mia_at_, saved, scratch_ / "lease");
  Run(mia_at_, at_ada_, Write({"instead"}));
  Run(mia_at_, "", [&](Base& base) {
    const auto lost = base.Recoverable();
    ASSERT_TRUE(lost.ok()) << lost.status();
    ASSERT_EQ(lost->size(), 2U);
    EXPECT_THAT(lost->back().left_keys, testing::ElementsAre("page"));
    const auto page = base.ReadLog(mia_id_, lost->back().from, lost->back().to);
    ASSERT_TRUE(page.ok()) << page.status();
    ASSERT_EQ(page->ops.size(), 2U);
    EXPECT_EQ(page->ops.back().change.value, Datum::Of("lost"));
  });
}

// A store that had written nothing when its image was taken.
TEST_F(RolledBack, F4_AForkAtTheFirstBlockIsRecoveredToo) {
  const std::string zoe_at = scratch_ / "zoe";
  {
    Store store = *Store::Open(zoe_at);
    Base base = *store.Join(club_.link());
    ASSERT_TRUE(club_.Grant(base.identity(), Role::kWriter).ok());
    Sync(store, at_ada_);
  }
  const Files saved = ReadFiles(zoe_at);
  fs::create_hard_link(zoe_at + "/LEASE", scratch_ / "lease");
  fs::create_hard_link(zoe_at + "/LEASE", scratch_ / "again");
  Run(zoe_at, at_ada_, Write({"one", "two"}));
  RollBack(zoe_at, saved, scratch_ / "lease");
  Store bob = *Store::Open(scratch_ / "bob");
  const std::string at_bob = *bob.Listen("127.0.0.1:0");
  JoinOptions through;
  through.connect = at_ada_;
  ASSERT_TRUE(bob.Join(club_.link(), through).ok());
  Run(zoe_at, at_bob, Write({"instead"}));
  // Once more: both branches are others' alone.
  RollBack(zoe_at, saved, scratch_ / "again");
  Sync(bob, at_ada_);
  Run(zoe_at, at_ada_, Write({}));
  Run(zoe_at, at_bob, Write({}));
  Run(zoe_at, at_bob, Recover(3));
  Sync(bob, at_ada_);
  for (const std::string key : {"one", "two", "instead"}) {
    EXPECT_EQ(Text(club_, key), "v") << key;
  }
}

// The grant was given on a branch of Ada's that does not survive.
TEST_F(RolledBack, F4_WhatWasWrittenUnderAGrantThatNeverWasIsWrittenAgainUnderAnother) {
  // Mia is an admin here, and rolled back after she let Eve in.
  ASSERT_TRUE(club_.Grant(mia_id_, Role::kAdmin, {}, true).ok());
  Run(mia_at_, at_ada_, Write({}));
  Store eve = *Store::Open(scratch_ / "eve");
  JoinOptions through;
  through.connect = at_ada_;
  Base of_eve = *eve.Join(club_.link(), through);
  const Files saved = ReadFiles(mia_at_);
  fs::create_hard_link(mia_at_ + "/LEASE", scratch_ / "lease");
  Run(mia_at_, at_ada_, [&](Base& base) {
    ASSERT_TRUE(base.Grant(of_eve.identity(), Role::kWriter).ok());
  });
  Sync(eve, at_ada_);
  ASSERT_TRUE(of_eve.Put("eve", "v").ok());
  Sync(eve, at_ada_);
  EXPECT_EQ(Text(club_, "eve"), "v");
  RollBack(mia_at_, saved, scratch_ / "lease");
  Run(mia_at_, at_ada_, Write({"instead"}));
  EXPECT_EQ(Text(club_, "eve"), "");
  Sync(eve, at_ada_);
  ASSERT_EQ(of_eve.Recoverable()->size(), 1U);
  EXPECT_TRUE(absl::IsPermissionDenied(of_eve.Recover().status()));
  ASSERT_TRUE(club_.Grant(of_eve.identity(), Role::kWriter).ok());
  Sync(eve, at_ada_);
  Recover(1)(of_eve);
  Sync(eve, at_ada_);
  EXPECT_EQ(Text(club_, "eve"), "v");
}

// Ada's and Bob's bases are level with each other before Mia's copy comes, which so has
// nothing to learn from either but what her own log was.
TEST_F(RolledBack, F4_ACopyIsToldWhatItsOwnLogWasByWhoeverHoldsIt) {
  Store bob = *Store::Open(scratch_ / "bob");
  const std::string at_bob = *bob.Listen("127.0.0.1:0");
  JoinOptions through;
  through.connect = at_ada_;
  Base of_bob = *bob.Join(club_.link(), through);
  Sync(bob, at_ada_);
  WriteAndRollBack({"after"});
  Run(mia_at_, at_bob, Write({"instead"}));
  Sync(bob, at_ada_);
  EXPECT_EQ(of_bob.Root()->version_digest, club_.Root()->version_digest);
  const std::string copy = scratch_ / "copy";
  fs::copy(mia_at_, copy, fs::copy_options::recursive);
  Run(copy, at_bob, Write({}));  // has heard of the fork
  Run(copy, at_ada_, Write({}));
  Run(copy, at_ada_, Recover(2));
  EXPECT_EQ(Text(club_, "after"), "v");
  EXPECT_EQ(Text(club_, "instead"), "v");
  // The store itself has nothing left to write again.
  Run(mia_at_, at_ada_, Write({}));
  Run(mia_at_, at_ada_, Recover(0));
}

}  // namespace
}  // namespace weft
