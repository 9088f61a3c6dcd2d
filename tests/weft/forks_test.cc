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

TEST(Forks, F1_AStoreThatWasRolledBackAndWrittenOnIsFoundAndItsPrefixStays) {
  Scratch scratch;
  Store ada = *Store::Open(scratch / "ada");
  Base club = *ada.CreateBase({.name = "club"});
  const std::string address = *ada.Listen("127.0.0.1:0");
  const std::string mia_at = scratch / "mia";
  std::string mia_id;
  const auto as_mia = [&](const std::function<void(Base&)>& act, bool syncs) {
    Store store = *Store::Open(mia_at);
    absl::StatusOr<Base> base = store.OpenBase("club");
    ASSERT_TRUE(base.ok()) << base.status();
    act(*base);
    if (!syncs) return;
    const auto synced = store.Sync(address, 30s);
    ASSERT_TRUE(synced.ok()) << synced.status();
  };
  {
    Store store = *Store::Open(mia_at);
    Base base = *store.Join(club.link());
    mia_id = base.identity();
    ASSERT_TRUE(club.Grant(mia_id, Role::kWriter).ok());
    ASSERT_TRUE(store.Sync(address, 30s).ok());
  }
  as_mia([](Base& base) { ASSERT_TRUE(base.Put("before", "v").ok()); }, true);
  EXPECT_EQ(Text(club, "before"), "v");
  const Files saved = ReadFiles(mia_at);
  fs::create_hard_link(mia_at + "/LEASE", scratch / "lease");
  as_mia([](Base& base) { ASSERT_TRUE(base.Put("after", "v").ok()); }, true);
  EXPECT_EQ(Text(club, "after"), "v");
  RollBack(mia_at, saved, scratch / "lease");
  as_mia(
      [](Base& base) {
        ASSERT_TRUE(base.Put("one", "v").ok());
        ASSERT_TRUE(base.Put("two", "v").ok());
      },
      true);
  EXPECT_EQ(Text(club, "before"), "v");
  EXPECT_EQ(Text(club, "after"), "");
  EXPECT_EQ(Text(club, "one"), "");
  // What does not survive is told all the same, where it is held: the write that was
  // rolled back at Ada's, what was written instead of it at Mia's.
  EXPECT_THAT(AfterFork(club, mia_id), testing::ElementsAre("after"));
  as_mia(
      [&](Base& base) {
        EXPECT_THAT(AfterFork(base, mia_id), testing::ElementsAre("one", "two"));
      },
      false);
  bool forked = false;
  for (const Member& member : club.Members()) {
    if (member.identity == mia_id) forked = member.forked;
  }
  EXPECT_TRUE(forked);
  {
    // F6: a stock peer that sees two heads freezes the core. Ada holds the signature of
    // a longer prefix than survives, so she serves it to none.
    Store stranger = *Store::Open(scratch / "stranger");
    Store::CloneOptions options;
    EXPECT_TRUE(stranger.CloneCore(club.identity(), address, options).ok());
    options.timeout = 2s;
    EXPECT_FALSE(stranger.CloneCore(mia_id, address, options).ok());
  }
  as_mia(
      [&](Base& base) {
        EXPECT_EQ(base.Root()->version_digest, club.Root()->version_digest);
        EXPECT_EQ(base.Root()->root, club.Root()->root);
        EXPECT_TRUE(base.Verify().ok());
      },
      false);
}

}  // namespace
}  // namespace weft
