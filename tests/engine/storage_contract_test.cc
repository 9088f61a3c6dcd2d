// What engine/storage.h promises, asked of every backend.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "engine/memory_storage.h"
#include "engine/rocks_storage.h"
#include "engine/storage.h"
#include "tests/engine/temp_directory.h"
#include "tests/sim/sim_storage.h"

namespace weft {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

struct Backend {
  std::string name;
  std::function<std::unique_ptr<Storage>(const std::string& path)> open;
};

void PrintTo(const Backend& backend, std::ostream* out) {
  *out << backend.name;
}

Bytes B(std::string_view text) {
  return ToBytes(text);
}

class StorageContract : public testing::TestWithParam<Backend> {
 protected:
  void Put(std::string_view key, std::string_view value,
           Family family = Family::kCores) {
    StorageBatch batch;
    batch.Put(family, B(key), B(value));
    ASSERT_TRUE(storage_->Commit(batch, Durability::kLogged).ok());
  }

  std::optional<std::string> Get(std::string_view key, Family family = Family::kCores,
                                 const StorageSnapshot* snapshot = nullptr) {
    auto value = storage_->Get(family, AsBytes(key), snapshot);
    EXPECT_TRUE(value.ok()) << value.status().ToString();
    if (!value.ok() || !value->has_value()) return std::nullopt;
    return std::string(AsText(**value));
  }

  std::vector<std::string> Keys(const ScanRange& range,
                                const StorageSnapshot* snapshot = nullptr) {
    std::vector<std::string> keys;
    auto cursor = storage_->Scan(Family::kCores, range, snapshot);
    for (; cursor->valid(); cursor->Next()) keys.emplace_back(AsText(cursor->key()));
    EXPECT_TRUE(cursor->status().ok()) << cursor->status().ToString();
    return keys;
  }

  const TempDirectory temp_;
  std::unique_ptr<Storage> storage_ = GetParam().open(temp_.path("store"));
};

TEST_P(StorageContract, AFamilyHoldsWhatWasPutAndForgetsWhatWasDeleted) {
  Put("ada", "1");
  EXPECT_EQ(Get("ada"), "1");
  EXPECT_EQ(Get("ada", Family::kBlocks), std::nullopt);
  Put("ada", "2");
  EXPECT_EQ(Get("ada"), "2");
  StorageBatch batch;
  batch.Delete(Family::kCores, B("ada"));
  batch.Delete(Family::kCores, B("never there"));
  ASSERT_TRUE(storage_->Commit(batch, Durability::kSynced).ok());
  EXPECT_EQ(Get("ada"), std::nullopt);
}

TEST_P(StorageContract, ABatchCommitsAcrossFamiliesInTheOrderOfItsChanges) {
  StorageBatch batch;
  batch.Put(Family::kCores, B("k"), B("first"));
  batch.Delete(Family::kCores, B("k"));
  batch.Put(Family::kCores, B("k"), B("second"));
  batch.Put(Family::kBlocks, B("gone"), B("x"));
  batch.DeleteRange(Family::kBlocks, B("a"), B("z"));
  batch.Put(Family::kMeta, B("empty"), {});
  ASSERT_TRUE(storage_->Commit(batch, Durability::kSynced).ok());
  EXPECT_EQ(Get("k"), "second");
  EXPECT_EQ(Get("gone", Family::kBlocks), std::nullopt);
  EXPECT_EQ(Get("empty", Family::kMeta), "");
}

TEST_P(StorageContract, AScanWalksItsRangeInByteOrderBothWays) {
  for (const char* key : {"b", "a", "\xff", "ab", "c"}) Put(key, key);
  EXPECT_THAT(Keys({}), ElementsAre("a", "ab", "b", "c", "\xff"));
  EXPECT_THAT(Keys({.reverse = true}), ElementsAre("\xff", "c", "b", "ab", "a"));
  EXPECT_THAT(Keys({.from = B("ab"), .to = B("c")}), ElementsAre("ab", "b"));
  EXPECT_THAT(Keys({.from = B("ab"), .to = B("c"), .reverse = true}),
              ElementsAre("b", "ab"));
  EXPECT_THAT(Keys({.from = B("b")}), ElementsAre("b", "c", "\xff"));
  EXPECT_THAT(Keys({.from = B("c"), .to = B("b")}), IsEmpty());
  EXPECT_THAT(Keys({.from = B("c"), .to = B("b"), .reverse = true}), IsEmpty());
  EXPECT_THAT(Keys({.from = B("d"), .to = B("e")}), IsEmpty());
}

TEST_P(StorageContract, AScanOfManyKeysMeetsEachOnce) {
  StorageBatch batch;
  std::vector<std::string> expected;
  for (int i = 1000; i < 1700; ++i) {
    expected.push_back(std::to_string(i));
    batch.Put(Family::kCores, B(expected.back()), B("v"));
  }
  ASSERT_TRUE(storage_->Commit(batch, Durability::kLogged).ok());
  EXPECT_EQ(Keys({}), expected);
  std::reverse(expected.begin(), expected.end());
  EXPECT_EQ(Keys({.reverse = true}), expected);
}

TEST_P(StorageContract, ASnapshotStaysWhatItWasWhileTheStorageMovesOn) {
  Put("a", "1");
  Put("b", "1");
  const auto before = storage_->TakeSnapshot();
  Put("a", "2");
  Put("c", "2");
  StorageBatch batch;
  batch.DeleteRange(Family::kCores, B("b"), B("bb"));
  ASSERT_TRUE(storage_->Commit(batch, Durability::kLogged).ok());
  const auto after = storage_->TakeSnapshot();
  Put("a", "3");

  EXPECT_EQ(Get("a", Family::kCores, before.get()), "1");
  EXPECT_EQ(Get("a", Family::kCores, after.get()), "2");
  EXPECT_EQ(Get("a"), "3");
  EXPECT_THAT(Keys({}, before.get()), ElementsAre("a", "b"));
  EXPECT_THAT(Keys({.reverse = true}, after.get()), ElementsAre("c", "a"));
  const std::vector<Bytes> keys = {B("c"), B("b"), B("a")};
  auto values = storage_->MultiGet(Family::kCores, keys, before.get());
  ASSERT_TRUE(values.ok());
  EXPECT_THAT(*values, ElementsAre(std::nullopt, B("1"), B("1")));
}

TEST_P(StorageContract, ACursorSeesTheMomentItWasMadeAt) {
  for (int i = 100; i < 300; ++i) Put(std::to_string(i), "old");
  auto cursor = storage_->Scan(Family::kCores, {}, nullptr);
  StorageBatch batch;
  batch.DeleteRange(Family::kCores, B("1"), B("3"));
  batch.Put(Family::kCores, B("150x"), B("new"));
  ASSERT_TRUE(storage_->Commit(batch, Durability::kLogged).ok());
  int seen = 0;
  for (; cursor->valid(); cursor->Next(), ++seen) {
    EXPECT_EQ(AsText(cursor->value()), "old");
  }
  EXPECT_EQ(seen, 200);
  EXPECT_THAT(Keys({}), ElementsAre("150x"));
}

TEST_P(StorageContract, MultiGetAnswersInTheOrderOfItsKeys) {
  Put("a", "1");
  Put("b", "2");
  const std::vector<Bytes> keys = {B("b"), B("x"), B("a"), B("b")};
  auto values = storage_->MultiGet(Family::kCores, keys, nullptr);
  ASSERT_TRUE(values.ok());
  EXPECT_THAT(*values, ElementsAre(B("2"), std::nullopt, B("1"), B("2")));
}

TEST_P(StorageContract, AVolatileCommitIsVisibleAtOnceAndAFlushKeepsIt) {
  StorageBatch batch;
  batch.Put(Family::kView, B("k"), B("v"));
  ASSERT_TRUE(storage_->Commit(batch, Durability::kVolatile).ok());
  EXPECT_EQ(Get("k", Family::kView), "v");
  EXPECT_TRUE(storage_->Sync().ok());
  EXPECT_TRUE(storage_->Flush().ok());
  EXPECT_EQ(Get("k", Family::kView), "v");
}

TEST_P(StorageContract, AVolatileBatchThatTouchesMoreThanTheViewIsABug) {
  testing::GTEST_FLAG(death_test_style) = "threadsafe";  // RocksDB has threads
  StorageBatch batch;
  batch.Put(Family::kView, B("k"), B("v"));
  batch.Put(Family::kCores, B("k"), B("v"));
  EXPECT_DEATH(storage_->Commit(batch, Durability::kVolatile).IgnoreError(),
               "check failed");
}

TEST_P(StorageContract, AnEmptyBatchCommits) {
  EXPECT_TRUE(storage_->Commit({}, Durability::kSynced).ok());
}

std::unique_ptr<Storage> OpenMemory(const std::string&) {
  return std::make_unique<MemoryStorage>();
}

std::unique_ptr<Storage> OpenRocks(const std::string& path) {
  return *RocksStorage::Open(path, {.create = true});
}

std::unique_ptr<Storage> OpenSim(const std::string&) {
  return std::make_unique<sim::SimStorage>(1);
}

INSTANTIATE_TEST_SUITE_P(Backends, StorageContract,
                         testing::Values(Backend{"Memory", OpenMemory},
                                         Backend{"Rocks", OpenRocks},
                                         Backend{"Sim", OpenSim}),
                         [](const auto& test) { return test.param.name; });

TEST(PrefixEnd, IsTheFirstKeyAfterAllKeysWithThePrefix) {
  EXPECT_EQ(PrefixEnd(B("a/")), B("a0"));
  EXPECT_EQ(PrefixEnd(Bytes{'a', 0xff, 0xff}), B("b"));
  EXPECT_EQ(PrefixEnd(Bytes{0xff, 0xff}), std::nullopt);
  EXPECT_EQ(PrefixEnd({}), std::nullopt);
}

}  // namespace
}  // namespace weft
