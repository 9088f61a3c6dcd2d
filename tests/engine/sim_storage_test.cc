// The simulated disk loses what it may lose, and nothing else.

#include "tests/sim/sim_storage.h"

#include <gtest/gtest.h>

#include <set>

namespace weft::sim {
namespace {

absl::Status Put(Storage& storage, Family family, const std::string& key,
                 Durability durability) {
  StorageBatch batch;
  batch.Put(family, ToBytes(key), ToBytes("v"));
  batch.Put(family, ToBytes(key + "'"), ToBytes("v"));
  return storage.Commit(batch, durability);
}

std::set<std::string> Keys(Storage& storage, Family family) {
  std::set<std::string> keys;
  for (auto cursor = storage.Scan(family, {}, nullptr); cursor->valid();
       cursor->Next()) {
    keys.emplace(AsText(cursor->key()));
  }
  return keys;
}

TEST(SimStorage, ACrashThatLosesEverythingKeepsWhatWasSynced) {
  SimStorage disk(1);
  ASSERT_TRUE(Put(disk, Family::kView, "flushed", Durability::kVolatile).ok());
  ASSERT_TRUE(disk.Flush().ok());
  ASSERT_TRUE(Put(disk, Family::kView, "volatile", Durability::kVolatile).ok());
  ASSERT_TRUE(Put(disk, Family::kCores, "1 logged", Durability::kLogged).ok());
  ASSERT_TRUE(Put(disk, Family::kCores, "2 synced", Durability::kSynced).ok());
  ASSERT_TRUE(Put(disk, Family::kCores, "3 logged", Durability::kLogged).ok());
  ASSERT_TRUE(disk.Sync().ok());
  ASSERT_TRUE(Put(disk, Family::kCores, "4 logged", Durability::kLogged).ok());
  disk.Crash(SimStorage::Loss::kEverything);
  EXPECT_EQ(Keys(disk, Family::kView), (std::set<std::string>{"flushed", "flushed'"}));
  EXPECT_EQ(Keys(disk, Family::kCores),
            (std::set<std::string>{"1 logged", "1 logged'", "2 synced", "2 synced'",
                                   "3 logged", "3 logged'"}));
  EXPECT_EQ(disk.undurable(), 0U);
}

TEST(SimStorage, ACrashThatLosesNothingKeepsAll) {
  SimStorage disk(1);
  ASSERT_TRUE(Put(disk, Family::kView, "v", Durability::kVolatile).ok());
  ASSERT_TRUE(Put(disk, Family::kCores, "l", Durability::kLogged).ok());
  disk.Crash(SimStorage::Loss::kNothing);
  EXPECT_EQ(Keys(disk, Family::kView).size(), 2U);
  EXPECT_EQ(Keys(disk, Family::kCores).size(), 2U);
}

// Twelve commits of both kinds in turns, numbered; what is left after a crash.
TEST(SimStorageProperty, SurvivorsAreWholeBatchesAndPrefixesAndTheLogComesAlong) {
  std::set<std::pair<int, int>> outcomes;
  for (std::uint64_t seed = 1; seed <= 500; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    SimStorage disk(seed);
    for (int i = 0; i < 12; ++i) {
      const std::string key(1, static_cast<char>('a' + i));
      const bool is_volatile = i % 2 == 1;
      ASSERT_TRUE(Put(disk, is_volatile ? Family::kView : Family::kCores, key,
                      is_volatile ? Durability::kVolatile : Durability::kLogged)
                      .ok());
    }
    disk.Crash();
    const auto prefix = [&](Family family, char first) {
      const std::set<std::string> keys = Keys(disk, family);
      int length = 0;
      while (keys.contains(std::string(1, static_cast<char>(first + 2 * length))))
        ++length;
      EXPECT_EQ(keys.size(), static_cast<std::size_t>(2 * length));
      return length;
    };
    const int logged = prefix(Family::kCores, 'a');
    const int volatiles = prefix(Family::kView, 'b');
    EXPECT_GE(logged, volatiles);
    outcomes.emplace(logged, volatiles);
  }
  EXPECT_GT(outcomes.size(), 15U);
}

TEST(SimStorage, TheSameSeedLosesTheSame) {
  const auto run = [](std::uint64_t seed) {
    SimStorage disk(seed);
    for (int i = 0; i < 9000; ++i) {
      EXPECT_TRUE(
          Put(disk, Family::kView, std::to_string(i), Durability::kVolatile).ok());
    }
    disk.Crash(SimStorage::Loss::kSome);
    return Keys(disk, Family::kView);
  };
  EXPECT_EQ(run(7), run(7));
  EXPECT_NE(run(7), run(8));
  EXPECT_GT(run(7).size(), 0U);  // so many are written out before any crash
}

TEST(SimStorage, AFullDiskRefusesEverythingFromTheNthWriteOnAndReadsGoOn) {
  SimStorage disk(1);
  disk.FailWrite(2, DiskFault::kFull);
  ASSERT_TRUE(Put(disk, Family::kCores, "a", Durability::kSynced).ok());
  EXPECT_TRUE(
      absl::IsResourceExhausted(Put(disk, Family::kCores, "b", Durability::kSynced)));
  EXPECT_TRUE(
      absl::IsResourceExhausted(Put(disk, Family::kCores, "c", Durability::kLogged)));
  EXPECT_TRUE(absl::IsResourceExhausted(disk.Sync()));
  EXPECT_TRUE(absl::IsResourceExhausted(disk.Flush()));
  EXPECT_EQ(Keys(disk, Family::kCores), (std::set<std::string>{"a", "a'"}));
  disk.Crash();
  EXPECT_EQ(Keys(disk, Family::kCores), (std::set<std::string>{"a", "a'"}));
  EXPECT_TRUE(Put(disk, Family::kCores, "d", Durability::kSynced).ok());
}

TEST(SimStorage, ACommitThatABrokenDiskFailedMayTurnUpAfterTheCrash) {
  std::set<std::size_t> sizes;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SimStorage disk(seed);
    disk.FailWrite(1, DiskFault::kBroken);
    EXPECT_TRUE(
        absl::IsUnavailable(Put(disk, Family::kCores, "a", Durability::kSynced)));
    EXPECT_TRUE(Keys(disk, Family::kCores).empty());
    disk.Crash();
    sizes.insert(Keys(disk, Family::kCores).size());
  }
  EXPECT_EQ(sizes, (std::set<std::size_t>{0, 2}));
}

}  // namespace
}  // namespace weft::sim
