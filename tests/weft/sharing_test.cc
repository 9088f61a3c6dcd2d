// Several stores over loopback TCP: what one writes the others read.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>

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

// Ada founds a base; the others join it by its link and may write.
class Sharing : public testing::Test {
 protected:
  Sharing() {
    ada_ = Found("ada");
    address_ = *ada_->store.Listen("127.0.0.1:0");
  }

  std::unique_ptr<Person> Found(const std::string& name) {
    Store store = *Store::Open(scratch_ / name);
    Base base = *store.CreateBase({.name = "club"});
    return std::make_unique<Person>(Person{store, base});
  }

  std::unique_ptr<Person> Join(const std::string& name) {
    Store store = *Store::Open(scratch_ / name);
    absl::StatusOr<Base> base = store.Join(ada_->base.link());
    EXPECT_TRUE(base.ok()) << base.status();
    return std::make_unique<Person>(Person{store, *base});
  }

  std::unique_ptr<Person> JoinAsWriter(const std::string& name) {
    std::unique_ptr<Person> person = Join(name);
    EXPECT_TRUE(ada_->base.Grant(person->base.identity(), Role::kWriter).ok());
    return person;
  }

  SyncResult Sync(Person& person) {
    const absl::StatusOr<SyncResult> result = person.store.Sync(address_, kTimeout);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.value_or(SyncResult());
  }

  Scratch scratch_;
  std::unique_ptr<Person> ada_;
  std::string address_;
};

std::string Text(const Base& base, const std::string& key) {
  const absl::StatusOr<Entry> entry = base.Get(key);
  return entry.ok() && entry->value ? entry->value->winner.value.ToText() : "";
}

TEST_F(Sharing, AJoinerSyncsAndSeesTheSameRoot) {
  ASSERT_TRUE(ada_->base.Put("k", "v").ok());
  auto bob = Join("bob");
  EXPECT_TRUE(absl::IsFailedPrecondition(bob->base.Put("x", "y").status()));
  EXPECT_TRUE(Sync(*bob).level);
  EXPECT_EQ(Text(bob->base, "k"), "v");
  EXPECT_EQ(bob->base.Root()->root, ada_->base.Root()->root);
  EXPECT_EQ(bob->base.Root()->version_digest, ada_->base.Root()->version_digest);
  EXPECT_EQ(bob->base.name(), "club");
}

TEST_F(Sharing, ASyncSaysHowManyBlocksCameAndWent) {
  auto bob = JoinAsWriter("bob");
  ASSERT_TRUE(ada_->base.Put("k", "v").ok());
  const SyncResult first = Sync(*bob);
  EXPECT_EQ(first.blocks_received, 2U);  // the grant and the put
  EXPECT_EQ(first.blocks_sent, 0U);
  ASSERT_TRUE(bob->base.Put("from", "bob").ok());
  ASSERT_TRUE(bob->base.Put("from", "bob again").ok());
  const SyncResult second = Sync(*bob);
  EXPECT_EQ(second.blocks_received, 0U);
  EXPECT_EQ(second.blocks_sent, 2U);
  const SyncResult third = Sync(*bob);
  EXPECT_EQ(third.blocks_received + third.blocks_sent, 0U);
}

TEST_F(Sharing, AReaderCannotWriteAndAWriterCan) {
  auto bob = Join("bob");
  Sync(*bob);
  EXPECT_TRUE(absl::IsPermissionDenied(bob->base.Put("x", "y").status()));
  ASSERT_TRUE(ada_->base.Grant(bob->base.identity(), Role::kWriter).ok());
  Sync(*bob);
  ASSERT_TRUE(bob->base.Put("x", "y").ok());
  Sync(*bob);
  EXPECT_EQ(Text(ada_->base, "x"), "y");
}

TEST_F(Sharing, AWriterStaysWithinHisScope) {
  auto bob = Join("bob");
  ASSERT_TRUE(ada_->base.Grant(bob->base.identity(), Role::kWriter, "bob/").ok());
  Sync(*bob);
  EXPECT_TRUE(bob->base.Put("bob/1", "y").ok());
  EXPECT_TRUE(absl::IsPermissionDenied(bob->base.Put("ada/1", "y").status()));
}

TEST_F(Sharing, D1_ConcurrentWritesAreBothKeptUntilSomebodyHasSeenBoth) {
  auto bob = JoinAsWriter("bob");
  Sync(*bob);
  ASSERT_TRUE(ada_->base.Put("title", "draft").ok());
  ASSERT_TRUE(bob->base.Put("title", "sketch").ok());
  Sync(*bob);
  const Entry entry = *bob->base.Get("title");
  EXPECT_EQ(entry.value->conflicts.size(), 1U);
  EXPECT_EQ(bob->base.Status().conflicts, 1U);
  EXPECT_EQ(ada_->base.Root()->root, bob->base.Root()->root);
  ASSERT_TRUE(bob->base.Put("title", "final").ok());
  Sync(*bob);
  EXPECT_TRUE(ada_->base.Get("title")->value->conflicts.empty());
  EXPECT_EQ(Text(ada_->base, "title"), "final");
  EXPECT_EQ(ada_->base.Status().conflicts, 0U);
}

TEST_F(Sharing, WhatOneLearnedTheNextLearnsFromHim) {
  auto bob = JoinAsWriter("bob");
  auto cleo = JoinAsWriter("cleo");
  Sync(*bob);
  ASSERT_TRUE(bob->base.Put("from", "bob").ok());
  const std::string bobs = *bob->store.Listen("127.0.0.1:0");
  ASSERT_TRUE(cleo->store.Sync(bobs, kTimeout).ok());
  EXPECT_EQ(Text(cleo->base, "from"), "bob");
  ASSERT_TRUE(cleo->base.Put("from", "cleo").ok());
  Sync(*cleo);
  EXPECT_EQ(Text(ada_->base, "from"), "cleo");
}

TEST_F(Sharing, AConnectionThatStaysCarriesEveryWriteToAWatcher) {
  auto bob = JoinAsWriter("bob");
  std::mutex mutex;
  std::condition_variable heard;
  std::string last;
  const auto watching = bob->base.Watch(All(), [&](const std::vector<Change>& changes) {
    const std::lock_guard lock(mutex);
    for (const Change& change : changes) {
      if (change.after) last = change.after->value->winner.value.ToText();
    }
    heard.notify_all();
  });
  ASSERT_TRUE(bob->store.Connect(address_).ok());
  for (const char* value : {"1", "2", "3"}) {
    ASSERT_TRUE(ada_->base.Put("k", value).ok());
    std::unique_lock lock(mutex);
    heard.wait(lock, [&] { return last == value; });
  }
}

TEST_F(Sharing, BatchesOfManyBlocksArriveWhole) {
  auto bob = Join("bob");
  Batch batch;
  for (int i = 0; i < 20000; ++i) {
    batch.Set("rows/" + std::to_string(i),
              {{"n", Datum::Integer(i)}, {"text", Datum::Of(std::string(100, 'x'))}});
  }
  ASSERT_TRUE(ada_->base.Commit(batch).ok());
  std::uint64_t last = 0;
  const absl::StatusOr<SyncResult> result =
      bob->store.Sync(address_, kTimeout, [&](const Progress& progress) {
        EXPECT_LE(progress.done, progress.total);
        last = progress.done;
      });
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_GT(last, 0U);
  EXPECT_EQ(bob->base.Status().keys, 20000U);
  EXPECT_EQ(bob->base.Root()->root, ada_->base.Root()->root);
}

TEST_F(Sharing, APeerWithoutOurBaseIsNamed) {
  auto stranger = Found("stranger");
  const absl::Status status = stranger->store.Sync(address_, kTimeout).status();
  EXPECT_TRUE(absl::IsNotFound(status)) << status;
}

TEST_F(Sharing, NobodyAtTheAddressIsNamed) {
  auto bob = Join("bob");
  const absl::Status status = bob->store.Sync("127.0.0.1:1", kTimeout).status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("127.0.0.1:1"));
  EXPECT_TRUE(absl::IsInvalidArgument(bob->store.Sync("nonsense", kTimeout).status()));
}

TEST_F(Sharing, JoiningWithoutTheSaltTakesAPeer) {
  const std::string link = ada_->base.link();
  const std::string bare = link.substr(0, link.find('?'));
  Store store = *Store::Open(scratch_ / "bob");
  EXPECT_TRUE(absl::IsInvalidArgument(store.Join(bare).status()));
  const absl::StatusOr<Base> base = store.Join(bare, {.name = "", .connect = address_});
  ASSERT_TRUE(base.ok()) << base.status();
  EXPECT_EQ(base->name(), "club");
  EXPECT_TRUE(ada_->base.Grant(base->identity(), Role::kWriter).ok());
}

TEST_F(Sharing, APlainCoreIsClonedWholeSparseAndLive) {
  const CoreStatus made = *ada_->store.CreateCore("log");
  std::vector<std::string> blocks;
  for (int i = 0; i < 100; ++i) blocks.push_back("block " + std::to_string(i));
  ASSERT_TRUE(ada_->store.AppendToCore(made.key, blocks).ok());
  Store bob = *Store::Open(scratch_ / "bob");
  Store::CloneOptions sparse;
  sparse.blocks = {40, 42};
  absl::StatusOr<CoreStatus> status = bob.CloneCore(made.key, address_, sparse);
  ASSERT_TRUE(status.ok()) << status.status();
  EXPECT_EQ(status->length, 100U);
  EXPECT_EQ(*bob.GetFromCore(made.key, 41), "block 41");
  EXPECT_TRUE(absl::IsNotFound(bob.GetFromCore(made.key, 50).status()));
  status = bob.CloneCore(made.id, address_, {});
  ASSERT_TRUE(status.ok()) << status.status();
  EXPECT_EQ(status->have, 100U);
  Store::CloneOptions live;
  bool appended = false;
  live.live_until = [&] {
    if (!appended) {
      EXPECT_TRUE(ada_->store.AppendToCore(made.key, {"more"}).ok());
      appended = true;
    }
    return false;
  };
  std::atomic<std::uint64_t> held = 0;  // the callbacks have threads of their own
  live.progress = [&](const Progress& progress) { held = progress.done; };
  const auto grow = live.live_until;
  live.live_until = [&] { return grow() || held == 101; };
  status = bob.CloneCore(made.id, address_, live);
  ASSERT_TRUE(status.ok()) << status.status();
  EXPECT_EQ(status->length, 101U);
}

TEST_F(Sharing, OneBlockOfACoreIsReadFromAPeerByIndexAndByByte) {
  const CoreStatus made = *ada_->store.CreateCore("log");
  std::vector<std::string> blocks;
  for (int i = 0; i < 1000; ++i) blocks.push_back("block " + std::to_string(i));
  ASSERT_TRUE(ada_->store.AppendToCore(made.key, blocks).ok());
  Store bob = *Store::Open(scratch_ / "bob");
  const CoreReadOptions ask{.connect = address_};
  EXPECT_TRUE(absl::IsNotFound(bob.GetFromCore(made.key, 500).status()));
  EXPECT_EQ(*bob.GetFromCore(made.id, 500, ask), "block 500");
  EXPECT_EQ(bob.CoreInfo(made.key)->have, 1U);
  EXPECT_EQ(*bob.GetFromCore(made.key, 500), "block 500");
  EXPECT_TRUE(absl::IsOutOfRange(bob.GetFromCore(made.key, 1000, ask).status()));
  const absl::StatusOr<CoreByte> found = bob.SeekInCore(made.key, 5000, ask);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->block, "block " + std::to_string(found->block_index));
  EXPECT_EQ(ada_->store.SeekInCore(made.key, 5000)->block_index, found->block_index);
  EXPECT_LE(bob.CoreInfo(made.key)->have, 3U);
}

TEST_F(Sharing, AKeyThatDoesNotFitTheBlocksIsToldApart) {
  const CoreStatus made = *ada_->store.CreateCore("log");
  ASSERT_TRUE(ada_->store.AppendToCore(made.key, {"not encrypted at all"}).ok());
  const CoreReadOptions keyed{.encryption_key = std::string(64, '7')};
  EXPECT_TRUE(
      absl::IsPermissionDenied(ada_->store.GetFromCore(made.key, 0, keyed).status()));
}

TEST_F(Sharing, ACoreThatThePeerDoesNotHaveIsRefusedInWords) {
  Store bob = *Store::Open(scratch_ / "bob");
  const CoreStatus own = *bob.CreateCore("log");
  Store cleo = *Store::Open(scratch_ / "cleo");
  const absl::Status status = cleo.CloneCore(own.key, address_, {}).status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
}

}  // namespace
}  // namespace weft
