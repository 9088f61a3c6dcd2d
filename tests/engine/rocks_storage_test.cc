// The store on a disk: what survives, who may open it, and what a full disk does.

#include "engine/rocks_storage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "engine/key_layout.h"
#include "engine/store_directory.h"
#include "tests/engine/temp_directory.h"

namespace weft {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr RocksOptions kCreate{.create = true};

std::unique_ptr<RocksStorage> Open(const std::string& path) {
  auto storage = RocksStorage::Open(path, kCreate);
  EXPECT_TRUE(storage.ok()) << storage.status().ToString();
  return storage.ok() ? *std::move(storage) : nullptr;
}

absl::Status Put(Storage& storage, Family family, std::string_view key,
                 std::string_view value, Durability durability = Durability::kSynced) {
  StorageBatch batch;
  batch.Put(family, ToBytes(key), ToBytes(value));
  return storage.Commit(batch, durability);
}

std::optional<std::string> Get(Storage& storage, Family family, std::string_view key) {
  const auto value = storage.Get(family, AsBytes(key), nullptr);
  EXPECT_TRUE(value.ok()) << value.status().ToString();
  if (!value.ok() || !value->has_value()) return std::nullopt;
  return std::string(AsText(**value));
}

// Every file below the path with its bytes and its time of change.
std::map<std::string, std::pair<std::string, fs::file_time_type>> Contents(
    const std::string& path) {
  std::map<std::string, std::pair<std::string, fs::file_time_type>> contents;
  for (const auto& entry : fs::recursive_directory_iterator(path)) {
    std::string bytes;
    if (entry.is_regular_file()) {
      std::ifstream file(entry.path(), std::ios::binary);
      bytes.assign(std::istreambuf_iterator<char>(file), {});
    }
    contents[entry.path()] = {bytes, fs::last_write_time(entry.path())};
  }
  return contents;
}

// Runs tests/engine/storage_child.cc in a process of its own; returns its exit code.
int Child(const std::string& what, const std::string& path) {
  const int status = std::system((WEFT_STORAGE_CHILD " " + what + " " + path).c_str());
  EXPECT_TRUE(WIFEXITED(status));
  return WEXITSTATUS(status);
}

TEST(RocksStorage, WhatWasCommittedIsThereAfterACleanReopen) {
  const TempDirectory temp;
  auto storage = Open(temp.path("s"));
  for (const Family family :
       {Family::kMeta, Family::kCores, Family::kBlocks, Family::kView}) {
    ASSERT_TRUE(Put(*storage, family, "logged", "1", Durability::kLogged).ok());
    ASSERT_TRUE(Put(*storage, family, "synced", "2").ok());
  }
  ASSERT_TRUE(
      Put(*storage, Family::kView, "volatile", "3", Durability::kVolatile).ok());
  storage.reset();
  for (const auto& entry : fs::directory_iterator(temp.path("s/db"))) {
    if (entry.path().extension() == ".log") {
      EXPECT_EQ(entry.file_size(), 0U);
    }
  }
  storage = Open(temp.path("s"));
  for (const Family family :
       {Family::kMeta, Family::kCores, Family::kBlocks, Family::kView}) {
    EXPECT_EQ(Get(*storage, family, "logged"), "1");
    EXPECT_EQ(Get(*storage, family, "synced"), "2");
  }
  EXPECT_EQ(Get(*storage, Family::kView, "volatile"), "3");
}

TEST(RocksStorage, ADeadProcessLosesOnlyWhatWasVolatile) {
  const TempDirectory temp;
  Open(temp.path("s")).reset();
  ASSERT_EQ(Child("crash", temp.path("s")), 0);
  auto storage = Open(temp.path("s"));
  EXPECT_EQ(Get(*storage, Family::kCores, "head"), "1");
  EXPECT_EQ(Get(*storage, Family::kBlocks, "block"), "1");
  EXPECT_EQ(Get(*storage, Family::kView, "kept"), "1");
  EXPECT_EQ(Get(*storage, Family::kView, "lost"), std::nullopt);
}

TEST(RocksStorage, E72_AStoreInUseIsRefusedAndNotTouched) {
  const TempDirectory temp;
  auto storage = Open(temp.path("s"));
  ASSERT_TRUE(Put(*storage, Family::kCores, "k", "v").ok());
  const auto before = Contents(temp.path("s"));
  EXPECT_EQ(Child("lock", temp.path("s")), 0);
  EXPECT_EQ(Contents(temp.path("s")), before);
  EXPECT_TRUE(absl::IsUnavailable(RocksStorage::Open(temp.path("s"), {}).status()));
  EXPECT_EQ(Contents(temp.path("s")), before);
}

TEST(RocksStorage, E74_AStoreOfANewerFormatIsRefusedAndNotTouched) {
  const TempDirectory temp;
  Open(temp.path("s")).reset();
  std::ofstream(temp.path("s/FORMAT")) << "weft store\nformat 9\nminimum reader 9\n";
  const auto before = Contents(temp.path("s"));
  const auto refused = RocksStorage::Open(temp.path("s"), kCreate);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(std::string(refused.status().message()),
            "store " + temp.path("s") + " has format 9; this program reads up to 1");
  EXPECT_EQ(Contents(temp.path("s")), before);
}

TEST(RocksStorage, E74_TheFormatInTheDatabaseCountsToo) {
  const TempDirectory temp;
  auto storage = Open(temp.path("s"));
  StorageBatch batch;
  batch.Put(Family::kMeta, keys::Format(), {9, 9});
  ASSERT_TRUE(storage->Commit(batch, Durability::kSynced).ok());
  storage.reset();
  EXPECT_EQ(RocksStorage::Open(temp.path("s"), kCreate).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST(RocksStorage, E76_NobodyElseMayReadWhatIsInIt) {
  const TempDirectory temp;
  auto storage = Open(temp.path("s"));
  ASSERT_TRUE(Put(*storage, Family::kMeta, "secret", "v").ok());
  ASSERT_TRUE(storage->Flush().ok());
  storage.reset();
  for (const auto& entry : fs::recursive_directory_iterator(temp.path("s"))) {
    if (entry.path().filename() == "LOCK" && entry.file_size() == 0) continue;
    struct stat info {};
    ASSERT_EQ(::stat(entry.path().c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 077, 0U) << entry.path();
  }
  fs::permissions(temp.path("s"), fs::perms(0755));
  const auto open = RocksStorage::Open(temp.path("s"), {});
  EXPECT_EQ(open.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(open.status().message()), HasSubstr("open to other users"));
}

TEST(RocksStorage, E76_ASymbolicLinkIsRefused) {
  const TempDirectory temp;
  Open(temp.path("s")).reset();
  fs::create_symlink(temp.path("s"), temp.path("link"));
  for (const char* name : {"link", "link/"}) {
    const auto open = RocksStorage::Open(temp.path(name), {});
    EXPECT_EQ(open.status().code(), absl::StatusCode::kInvalidArgument);
  }
  fs::rename(temp.path("s/db"), temp.path("elsewhere"));
  fs::create_symlink(temp.path("elsewhere"), temp.path("s/db"));
  const auto open = RocksStorage::Open(temp.path("s"), {});
  EXPECT_EQ(open.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(open.status().message()), HasSubstr("s/db is a symbolic"));
}

TEST(RocksStorage, WhatIsNoStoreIsNamedAndLeftAlone) {
  const TempDirectory temp;
  const auto code = [](const std::string& path, bool create) {
    return RocksStorage::Open(path, {.create = create}).status().code();
  };
  EXPECT_EQ(code(temp.path("nothing"), false), absl::StatusCode::kNotFound);
  EXPECT_FALSE(fs::exists(temp.path("nothing")));
  EXPECT_EQ(code("", true), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(temp.path("no/such/parent"), true), absl::StatusCode::kUnavailable);

  std::ofstream(temp.path("file")) << "text";
  EXPECT_EQ(code(temp.path("file"), true), absl::StatusCode::kInvalidArgument);
  fs::create_directory(temp.path("empty"));
  EXPECT_EQ(code(temp.path("empty"), false), absl::StatusCode::kNotFound);
  EXPECT_TRUE(fs::is_empty(temp.path("empty")));
  fs::create_directory(temp.path("photos"));
  std::ofstream(temp.path("photos/cat.jpg")) << "cat";
  const auto before = Contents(temp.path("photos"));
  EXPECT_EQ(code(temp.path("photos"), true), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Contents(temp.path("photos")), before);
}

TEST(RocksStorage, AnEmptyDirectoryBecomesAStoreIfOneIsToBeMade) {
  const TempDirectory temp;
  fs::create_directory(temp.path("empty"));
  EXPECT_NE(Open(temp.path("empty")), nullptr);
}

TEST(RocksStorage, E70_ADamagedStoreIsRefused) {
  const TempDirectory temp;
  Open(temp.path("s")).reset();
  std::ofstream(temp.path("s/db/CURRENT")) << "MANIFEST-999999\n";
  const auto damaged = RocksStorage::Open(temp.path("s"), kCreate);
  EXPECT_FALSE(damaged.ok());
  EXPECT_THAT(std::string(damaged.status().message()), HasSubstr(temp.path("s")));
  fs::remove(temp.path("s/db/CURRENT"));
  EXPECT_EQ(RocksStorage::Open(temp.path("s"), kCreate).status().code(),
            absl::StatusCode::kDataLoss);
  std::ofstream(temp.path("s/FORMAT")) << "weft st";
  EXPECT_EQ(RocksStorage::Open(temp.path("s"), kCreate).status().code(),
            absl::StatusCode::kDataLoss);
}

TEST(RocksStorage, E71_AFullDiskEndsWritingAndReadingGoesOn) {
  const TempDirectory temp;
  ASSERT_EQ(Child("full", temp.path("s")), 0);
  auto storage = Open(temp.path("s"));
  EXPECT_EQ(Get(*storage, Family::kCores, "first"), "1");
  EXPECT_EQ(Get(*storage, Family::kCores, "late"), std::nullopt);
  const auto last = Get(*storage, Family::kCores, "last");
  ASSERT_TRUE(last.has_value());
  EXPECT_TRUE(Get(*storage, Family::kBlocks, "b" + *last).has_value());
  EXPECT_TRUE(Put(*storage, Family::kCores, "late", "1").ok());
}

TEST(RocksStorage, WithoutRoomAStoreIsOpenedForReadingAndNoFileOfItChanges) {
  const TempDirectory temp;
  Open(temp.path("s")).reset();
  // Logs that nobody has read back yet are part of what is read.
  ASSERT_EQ(Child("crash", temp.path("s")), 0);
  const auto before = Contents(temp.path("s"));
  constexpr std::uint64_t kMoreThanThereIs = UINT64_MAX / 2;
  {
    auto storage =
        RocksStorage::Open(temp.path("s"), {.room_bytes_min = kMoreThanThereIs});
    ASSERT_TRUE(storage.ok()) << storage.status().ToString();
    const absl::Status full = (*storage)->Writable();
    EXPECT_TRUE(absl::IsResourceExhausted(full));
    EXPECT_THAT(std::string(full.message()), HasSubstr("can only be read"));
    EXPECT_EQ(Get(**storage, Family::kCores, "head"), "1");
    EXPECT_EQ(Get(**storage, Family::kView, "kept"), "1");
    EXPECT_EQ(Put(**storage, Family::kCores, "k", "v"), full);
    EXPECT_EQ(Put(**storage, Family::kCores, "k", "v", Durability::kLogged), full);
    EXPECT_EQ((*storage)->Reclaim(), full);
    // The view is computed anew at every start, and may be while it is read.
    const std::string large(1 << 20, 'x');
    for (int i = 0; i < 40; ++i) {
      ASSERT_TRUE(Put(**storage, Family::kView, "v" + std::to_string(i), large,
                      Durability::kVolatile)
                      .ok());
    }
    EXPECT_TRUE((*storage)->Sync().ok());
    EXPECT_TRUE((*storage)->Flush().ok());
    EXPECT_EQ(Get(**storage, Family::kView, "v0"), large);
    EXPECT_EQ(Get(**storage, Family::kCores, "k"), std::nullopt);
  }
  EXPECT_EQ(Contents(temp.path("s")), before);
  auto storage = Open(temp.path("s"));
  EXPECT_TRUE(storage->Writable().ok());
  EXPECT_EQ(Get(*storage, Family::kView, "v0"), std::nullopt);
  EXPECT_TRUE(Put(*storage, Family::kCores, "k", "v").ok());
  EXPECT_TRUE(absl::IsResourceExhausted(
      RocksStorage::Open(temp.path("new"),
                         {.create = true, .room_bytes_min = kMoreThanThereIs})
          .status()));
  EXPECT_FALSE(fs::exists(temp.path("new")));
}

TEST(RocksStorage, ASnapshotKeepsTheStoreOpenUntilItGoes) {
  const TempDirectory temp;
  auto storage = Open(temp.path("s"));
  auto snapshot = storage->TakeSnapshot();
  storage.reset();
  EXPECT_TRUE(absl::IsUnavailable(RocksStorage::Open(temp.path("s"), {}).status()));
  snapshot.reset();
  EXPECT_TRUE(RocksStorage::Open(temp.path("s"), {}).ok());
}

}  // namespace
}  // namespace weft
