// What a program that embeds the engine may do around it: change its directory, hand in
// any descriptor, lose a peer, type from several threads.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <thread>

#include "tests/weft/scratch.h"
#include "weft/store.h"
#include "weft/text.h"

namespace weft {
namespace {

using std::chrono::seconds;

class Embedding : public testing::Test {
 protected:
  ~Embedding() override { std::filesystem::current_path(began_); }

  const std::filesystem::path began_ = std::filesystem::current_path();
  Scratch scratch_;
};

std::string FileText(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST_F(Embedding, AStoreStaysWhereItIsWhenTheProcessMoves) {
  const std::string here = scratch_ / "here";
  const std::string there = scratch_ / "there";
  std::filesystem::create_directory(here);
  std::filesystem::create_directory(there);
  {
    Store other = *Store::Open(there + "/notes");
    Base base = *other.CreateBase({.name = "other"});
    ASSERT_TRUE(base.Put("k", "theirs").ok());
  }
  std::filesystem::current_path(here);
  {
    Store store = *Store::Open("notes");
    Base base = *store.CreateBase({.name = "main"});
    ASSERT_TRUE(store.Listen("unix:meet").ok());
    std::filesystem::current_path(there);
    std::ofstream("meet") << "a file of this name";
    // More than the database keeps in memory.
    for (int i = 0; i < 300; ++i) {
      ASSERT_TRUE(base.Put(std::to_string(i), std::string(200'000, 'x')).ok());
    }
  }
  EXPECT_EQ(FileText("meet"), "a file of this name");
  EXPECT_FALSE(std::filesystem::exists(here + "/meet"));
  Store other = *Store::Open(there + "/notes");
  EXPECT_EQ(other.OpenBase()->Get("k")->value->winner.value, Datum::Of("theirs"));
  Store store = *Store::Open(here + "/notes");
  EXPECT_TRUE(store.OpenBase()->Get("299").ok());
}

TEST_F(Embedding, APeerThatHasGoneIsAnErrorAndNoSignal) {
  Store store = *Store::Open(scratch_ / "ada");
  ASSERT_TRUE(store.CreateBase({.name = "main"}).ok());
  for (const bool dialled : {false, true}) {
    for (int round = 0; round < 5; ++round) {
      std::array<int, 2> ends{};
      ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
      close(ends[1]);
      Store::ByteStream stream;
      stream.in = stream.out = ends[0];
      stream.name = "nobody";
      stream.dialled = dialled;
      EXPECT_TRUE(absl::IsUnavailable(store.SyncOver(stream, seconds(20)).status()));
    }
  }
}

TEST_F(Embedding, AFileIsNoStreamAndKeepsWhatItHolds) {
  Store store = *Store::Open(scratch_ / "ada");
  ASSERT_TRUE(store.CreateBase({.name = "main"}).ok());
  const std::string path = scratch_ / "file";
  std::ofstream(path) << "precious";
  Store::ByteStream stream;
  stream.in = stream.out = open(path.c_str(), O_RDWR | O_CLOEXEC);
  stream.name = "a file";
  stream.dialled = true;
  EXPECT_TRUE(absl::IsInvalidArgument(store.SyncOver(stream, seconds(20)).status()));
  EXPECT_EQ(FileText(path), "precious");
}

// Positions are those of the moment of the commit, whoever types meanwhile.
TEST_F(Embedding, ATextIsReplacedAsItIsAtThatMoment) {
  Store store = *Store::Open(scratch_ / "ada");
  Base base = *store.CreateBase({.name = "main"});
  Text text(base, "letter");
  const auto version = [](int i) {
    return "alpha beta gamma delta " + std::to_string(i);
  };
  ASSERT_TRUE(text.Append(version(-1)).ok());
  std::thread typist([base] {
    Text mine(base, "letter");
    for (int i = 0; i < 60; ++i) EXPECT_TRUE(mine.Insert(0, "[typed]").ok());
  });
  for (int i = 0; i < 60; ++i) ASSERT_TRUE(text.Replace(version(i)).ok());
  typist.join();
  std::string left = *text.Read();
  while (left.starts_with("[typed]")) left.erase(0, 7);
  EXPECT_EQ(left, version(59));
}

// Readers keep what was changed in order from scan to scan.
TEST_F(Embedding, AScanBetweenAnyTwoWritesShowsThem) {
  Store store = *Store::Open(scratch_ / "ada");
  Base base = *store.CreateBase({.name = "main"});
  std::mt19937 random(7);
  std::map<std::string, std::string> model;
  for (int round = 0; round < 120; ++round) {
    Batch batch;
    for (std::size_t n = random() % 40; n > 0; --n) {
      const std::string key = std::to_string(random() % 300);
      if (model.contains(key) && random() % 3 == 0) {
        batch.Delete(key);
        model.erase(key);
      } else {
        batch.Put(key, std::to_string(round));
        model[key] = std::to_string(round);
      }
    }
    if (batch.size() > 0) {
      ASSERT_TRUE(base.Commit(batch).ok());
    }
    Range range;
    range.from = std::to_string(random() % 300);
    if (random() % 2 == 0) range.to = std::to_string(random() % 300);
    range.reverse = random() % 2 == 0;
    range.limit = random() % 3 == 0 ? UINT64_MAX : random() % 10;
    std::vector<std::string> expected;
    for (const auto& [key, value] : model) {
      if (key >= range.from && (!range.to || key < *range.to)) {
        expected.push_back(key + "=" + value);
      }
    }
    if (range.reverse) std::reverse(expected.begin(), expected.end());
    if (expected.size() > range.limit) expected.resize(range.limit);
    std::vector<std::string> found;
    for (const Entry& entry : base.Scan(range)) {
      found.push_back(entry.key + "=" + entry.value->winner.value.ToText());
    }
    ASSERT_EQ(found, expected) << round;
  }
}

TEST_F(Embedding, ACoreThatWasRemovedSaysSoHoweverItIsAsked) {
  Store store = *Store::Open(scratch_ / "ada");
  const std::string key = store.CreateCore("plain")->key;
  EXPECT_FALSE(store.CoreInfo(key)->removed);
  ASSERT_TRUE(store.RemoveCore(key).ok());
  EXPECT_TRUE(store.CoreInfo(key)->removed);
  EXPECT_TRUE(store.Cores().front().removed);
}

TEST_F(Embedding, AnInviteIsRevokedByItsLink) {
  Store store = *Store::Open(scratch_ / "ada");
  Base base = *store.CreateBase({.name = "main"});
  const std::string invite = *base.Invite();
  ASSERT_TRUE(base.Revoke(invite).ok());
  Store bob = *Store::Open(scratch_ / "bob");
  const Base joined = *bob.Join(invite);
  EXPECT_TRUE(
      absl::IsPermissionDenied(base.Redeem(invite, joined.identity()).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(base.Revoke(base.link()).status()));
}

}  // namespace
}  // namespace weft
