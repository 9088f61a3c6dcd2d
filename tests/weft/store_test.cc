// One store by itself: what is written is there, before and after it is closed.

#include "weft/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <fstream>
#include <mutex>
#include <thread>

#include "crdt/block_stamp.h"
#include "tests/weft/scratch.h"

namespace weft {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> Keys(Entries entries) {
  std::vector<std::string> keys;
  for (const Entry& entry : entries) keys.push_back(entry.key);
  EXPECT_TRUE(entries.status().ok()) << entries.status();
  return keys;
}

Base MakeBase(Store& store, const std::string& name = "notes") {
  absl::StatusOr<Base> base = store.CreateBase({.name = name});
  EXPECT_TRUE(base.ok()) << base.status();
  return *base;
}

Store OpenStore(const std::string& path) {
  absl::StatusOr<Store> store = Store::Open(path);
  EXPECT_TRUE(store.ok()) << store.status();
  return *store;
}

TEST(Store, C5_AWriteIsReadAtOnceAndAfterTheStoreWasClosed) {
  Scratch scratch;
  std::string root;
  {
    Store store = OpenStore(scratch / "ada");
    Base notes = MakeBase(store);
    ASSERT_TRUE(notes.Put("todo/1", "milk").ok());
    EXPECT_EQ(notes.Get("todo/1")->value->winner.value, Datum::Of("milk"));
    root = notes.Root()->root;
  }
  Store store = OpenStore(scratch / "ada");
  Base notes = *store.OpenBase();
  EXPECT_EQ(notes.name(), "notes");
  EXPECT_EQ(notes.Get("todo/1")->value->winner.value, Datum::Of("milk"));
  EXPECT_EQ(notes.Root()->root, root);
  EXPECT_TRUE(notes.Verify().ok());
}

TEST(Store, EveryTypeOfValueComesBackAsItWasPut) {
  Scratch scratch;
  Store store = OpenStore(scratch / "ada");
  Base notes = MakeBase(store);
  const std::vector<Datum> values = {
      Datum::Null(),     Datum::Bool(true), Datum::Integer(-5),
      Datum::Real(0.25), Datum::Of("text"), Datum::Bytes(std::string("\0\xff", 2)),
  };
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::string key = "k" + std::to_string(i);
    ASSERT_TRUE(notes.Put(key, values[i]).ok());
    EXPECT_EQ(notes.Get(key)->value->winner.value, values[i]) << key;
  }
}

TEST(Store, ScansGoBothWaysWithinAPrefixOrARangeAndStopAtTheLimit) {
  Scratch scratch;
  Store store = OpenStore(scratch / "ada");
  Base notes = MakeBase(store);
  Batch batch;
  for (const char* key : {"a", "b/1", "b/2", "b/3", "c"}) batch.Put(key, "x");
  ASSERT_TRUE(notes.Commit(batch).ok());
  EXPECT_THAT(Keys(notes.Scan(All())), ElementsAre("a", "b/1", "b/2", "b/3", "c"));
  EXPECT_THAT(Keys(notes.Scan(Prefix("b/"))), ElementsAre("b/1", "b/2", "b/3"));
  Range range = Prefix("b/");
  range.reverse = true;
  range.limit = 2;
  EXPECT_THAT(Keys(notes.Scan(range)), ElementsAre("b/3", "b/2"));
  EXPECT_THAT(Keys(notes.Scan({"b", "b/3", false, UINT64_MAX})),
              ElementsAre("b/1", "b/2"));
}

TEST(Store, AScanIsOfTheMomentItBegan) {
  Scratch scratch;
  Store store = OpenStore(scratch / "ada");
  Base notes = MakeBase(store);
  ASSERT_TRUE(notes.Put("a", "1").ok());
  ASSERT_TRUE(notes.Put("b", "1").ok());
  Entries entries = notes.Scan(All());
  ASSERT_TRUE(notes.Put("c", "1").ok());
  ASSERT_TRUE(notes.Delete("b").ok());
  EXPECT_THAT(Keys(std::move(entries)), ElementsAre("a", "b"));
  EXPECT_THAT(Keys(notes.Scan(All())), ElementsAre("a", "c"));
}

TEST(Store, ARecordIsAMapOfCellsThatAreSetAndUnsetOneByOne) {
  Scratch scratch;
  Store store = OpenStore(scratch / "ada");
  Base club = MakeBase(store, "club");
  ASSERT_TRUE(
      club.Set("boats/7", {{"name", Datum::Of("Elsa")}, {"seats", Datum::Integer(4)}})
          .ok());
  ASSERT_TRUE(club.Set("boats/7", {{"name", Datum::Of("Elsa II")}}).ok());
  Entry boat = *club.Get("boats/7");
  EXPECT_TRUE(boat.is_record);
  EXPECT_EQ(boat.cells.at("name").winner.value, Datum::Of("Elsa II"));
  EXPECT_EQ(boat.cells.at("seats").winner.value, Datum::Integer(4));
  ASSERT_TRUE(club.Unset("boats/7", {"seats"}).ok());
  EXPECT_EQ(club.Get("boats/7")->cells.count("seats"), 0U);
  ASSERT_TRUE(club.Erase("boats/7").ok());
  EXPECT_TRUE(absl::IsNotFound(club.Get("boats/7").status()));
}

TEST(Store, D11_ACommitUnsetsNoCellsOfARowThatIsNotThere) {
  Scratch scratch;
  Store store = OpenStore(scratch / "ada");
  Base club = MakeBase(store, "club");
  Batch absent;
  absent.Put("note", Datum::Of("kept out with the rest"));
  absent.Unset("boats/7", {"seats"});
  EXPECT_TRUE(absl::IsNotFound(club.Commit(absent).status()));
  EXPECT_TRUE(Keys(club.Scan(All())).empty());
  // A row of the same commit is one.
  Batch made;
  made.Set("boats/7", {{"name", Datum::Of("Elsa")}, {"seats", Datum::Integer(4)}});
  made.Unset("boats/7", {"seats"});
  ASSERT_TRUE(club.Commit(made).ok());
  EXPECT_EQ(club.Get("boats/7")->cells.count("seats"), 0U);
  Batch erased;
  erased.Erase("boats/7");
  erased.Unset("boats/7", {"name"});
  EXPECT_TRUE(absl::IsNotFound(club.Commit(erased).status()));
  EXPECT_EQ(club.Get("boats/7")->cells.count("name"), 1U);
}

TEST(Store, D11_ARowMadeAnewStartsEmpty) {
  Scratch scratch;
  Store store = OpenStore(scratch / "ada");
  Base club = MakeBase(store, "club");
  ASSERT_TRUE(
      club.Set("boats/7", {{"name", Datum::Of("Elsa")}, {"seats", Datum::Integer(4)}})
          .ok());
  ASSERT_TRUE(club.Erase("boats/7").ok());
  ASSERT_TRUE(club.Set("boats/7", {{"name", Datum::Of("Ida")}}).ok());
  EXPECT_EQ(club.Get("boats/7")->cells.size(), 1U);
}

TEST(Store, D10_EveryOpHasAFate) {
  Scratch scratch;
  Store store = OpenStore(scratch / "ada");
  Base notes = MakeBase(store);
  const OpName first = *notes.Put("k", "1");
  const OpName second = *notes.Put("k", "2");
  EXPECT_EQ(notes.FateOf(first)->kind, FateKind::kSuperseded);
  EXPECT_THAT(notes.FateOf(first)->by, ElementsAre(second));
  EXPECT_EQ(notes.FateOf(second)->kind, FateKind::kWinner);
  const OpName gone = *notes.Delete("k");
  EXPECT_EQ(notes.FateOf(second)->kind, FateKind::kRemoved);
  EXPECT_THAT(notes.FateOf(second)->by, ElementsAre(gone));
  EXPECT_EQ(notes.FateOf({first.writer, 999, 0})->kind, FateKind::kUnknown);
}

TEST(Store, D8_ABatchThatCannotBeSignedLeavesEverythingAsItWas) {
  Scratch scratch;
  Store store = OpenStore(scratch / "ada");
  Base notes = MakeBase(store);
  const std::string root = notes.Root()->root;
  Batch batch;
  batch.Put("good", "1");
  batch.Put(std::string(1025, 'k'), "2");
  const absl::Status status = notes.Commit(batch).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_TRUE(absl::IsNotFound(notes.Get("good").status()));
  EXPECT_EQ(notes.Root()->root, root);
  EXPECT_TRUE(absl::IsInvalidArgument(notes.Commit(Batch()).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(notes.Put("", "x").status()));
}

TEST(Store, DeletingWhatIsNotThereSaysSo) {
  Scratch scratch;
  Store store = OpenStore(scratch / "ada");
  Base notes = MakeBase(store);
  EXPECT_TRUE(absl::IsNotFound(notes.Delete("nothing").status()));
  EXPECT_TRUE(absl::IsNotFound(notes.Erase("t/nothing").status()));
}

TEST(Store, ASecondOpenerIsToldThatTheStoreIsInUse) {
  Scratch scratch;
  Store store = OpenStore(scratch / "ada");
  const absl::Status status = Store::Open(scratch / "ada").status();
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), HasSubstr("in use"));
}

TEST(Store, OpeningWithoutCreatingFindsNothingAndMakesNothing) {
  Scratch scratch;
  EXPECT_TRUE(
      absl::IsNotFound(Store::Open(scratch / "no", {.create = false}).status()));
  EXPECT_FALSE(std::filesystem::exists(scratch / "no"));
}

TEST(Store, SeveralBasesLiveInOneStoreAndAreFoundByName) {
  Scratch scratch;
  Store store = OpenStore(scratch / "ada");
  EXPECT_TRUE(absl::IsNotFound(store.OpenBase().status()));
  Base notes = MakeBase(store, "notes");
  Base club = MakeBase(store, "club");
  ASSERT_TRUE(notes.Put("k", "of notes").ok());
  EXPECT_TRUE(absl::IsNotFound(club.Get("k").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(store.OpenBase().status()));
  EXPECT_EQ(store.OpenBase("club")->id(), club.id());
  EXPECT_TRUE(absl::IsAlreadyExists(store.CreateBase({.name = "club"}).status()));
}

TEST(Store, AWatchHearsOfItsKeysAndNotOfOthers) {
  Scratch scratch;
  Store store = OpenStore(scratch / "ada");
  Base notes = MakeBase(store);
  std::mutex mutex;
  std::condition_variable heard;
  std::vector<Change> changes;
  const auto watching =
      notes.Watch(Prefix("todo/"), [&](const std::vector<Change>& batch) {
        const std::lock_guard lock(mutex);
        changes.insert(changes.end(), batch.begin(), batch.end());
        heard.notify_all();
      });
  ASSERT_TRUE(notes.Put("other", "x").ok());
  ASSERT_TRUE(notes.Put("todo/1", "milk").ok());
  std::unique_lock lock(mutex);
  heard.wait(lock, [&] { return !changes.empty(); });
  ASSERT_EQ(changes.size(), 1U);
  EXPECT_EQ(changes[0].key, "todo/1");
  EXPECT_FALSE(changes[0].before.has_value());
  EXPECT_EQ(changes[0].after->value->winner.value, Datum::Of("milk"));
}

TEST(Store, ManyThreadsWriteAtOnceAndNoWriteIsLost) {
  Scratch scratch;
  Store store = OpenStore(scratch / "ada");
  Base notes = MakeBase(store);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&notes, t] {
      for (int i = 0; i < 25; ++i) {
        const std::string key = std::to_string(t) + "/" + std::to_string(i);
        EXPECT_TRUE(notes.Put(key, key).ok());
        EXPECT_TRUE(notes.Get(key).ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(Keys(notes.Scan(All())).size(), 100U);
  EXPECT_TRUE(notes.Verify().ok());
}

TEST(Store, PlainCoresAreMadeByNameAndReadByKey) {
  Scratch scratch;
  Store store = OpenStore(scratch / "ada");
  const CoreStatus made = *store.CreateCore("log");
  EXPECT_EQ(*store.AppendToCore(made.key, {"one", "two"}), 0U);
  EXPECT_EQ(*store.GetFromCore(made.id, 1), "two");
  EXPECT_EQ(store.CoreInfo(made.key)->length, 2U);
  EXPECT_TRUE(absl::IsOutOfRange(store.GetFromCore(made.id, 2).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(store.CoreInfo("nonsense").status()));
  EXPECT_TRUE(absl::IsNotFound(store.CoreInfo(std::string(64, '0')).status()));
}

TEST(Store, TheLogOfABaseIsNotWrittenAsAPlainCore) {
  Scratch scratch;
  Store store = OpenStore(scratch / "ada");
  Base notes = MakeBase(store);
  EXPECT_TRUE(
      absl::IsPermissionDenied(store.AppendToCore(notes.identity(), {"x"}).status()));
}

TEST(Store, T1_TheStampOfOurLastWriteIsReadAndIsNotAheadOfTheClock) {
  const Scratch scratch;
  Store store = OpenStore(scratch / "s");
  Base base = MakeBase(store);
  ASSERT_TRUE(base.Put("k", "v").ok());
  const CoreStatus log = store.Cores().front();
  const absl::StatusOr<std::string> block = store.GetFromCore(log.key, log.length - 1);
  ASSERT_TRUE(block.ok()) << block.status();
  const std::optional<Hlc> stamp = StampOf(AsBytes(*block));
  ASSERT_TRUE(stamp.has_value());
  EXPECT_EQ(stamp->ms, base.Get("k")->value->winner.time_ms);
  EXPECT_EQ(base.Status().own_clock_ahead_ms, 0);
  EXPECT_FALSE(StampOf(AsBytes(std::string_view(*block).substr(0, 4))).has_value());
  EXPECT_FALSE(StampOf({}).has_value());
}

}  // namespace
}  // namespace weft
