// Who may have what of a store, and stores that find each other on the local network.

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>

#include "tests/weft/scratch.h"
#include "weft/store.h"

namespace weft {
namespace {

using namespace std::chrono_literals;

// Ada has a core of ten blocks and serves it; Bob clones.
class Policy : public testing::Test {
 protected:
  Policy() {
    key_ = ada_.CreateCore("notes")->key;
    EXPECT_TRUE(ada_.AppendToCore(key_, std::vector<std::string>(10, "block")).ok());
    address_ = *ada_.Listen("127.0.0.1:0");
  }
  absl::Status Clone() {
    Store::CloneOptions options;
    options.timeout = 1500ms;
    return bob_.CloneCore(key_, address_, options).status();
  }

  Scratch scratch_;
  Store ada_ = *Store::Open(scratch_ / "ada");
  Store bob_ = *Store::Open(scratch_ / "bob");
  std::string key_;
  std::string address_;
};

TEST_F(Policy, WithoutARuleEverythingPasses) {
  EXPECT_TRUE(Clone().ok());
}

TEST_F(Policy, NoneLooksLikeNotHavingIt) {
  ASSERT_TRUE(ada_.SetRule({.which = ReplicationRule::Which::kNone}).ok());
  EXPECT_EQ(Clone().code(), absl::StatusCode::kUnavailable);
  ASSERT_TRUE(ada_.SetRule({}).ok());
  EXPECT_TRUE(Clone().ok());
}

TEST_F(Policy, AListNamesWhatPasses) {
  ASSERT_TRUE(ada_.SetRule({.which = ReplicationRule::Which::kList,
                            .cores = {ada_.CreateCore("other")->id}})
                  .ok());
  EXPECT_FALSE(Clone().ok());
  ASSERT_TRUE(
      ada_.SetRule({.which = ReplicationRule::Which::kList, .cores = {key_}}).ok());
  EXPECT_TRUE(Clone().ok());
  EXPECT_EQ(
      ada_.SetRule({.which = ReplicationRule::Which::kList, .cores = {"x"}}).code(),
      absl::StatusCode::kInvalidArgument);
}

TEST_F(Policy, APredicateDecidesById) {
  const std::string id = ada_.CoreInfo(key_)->id;
  ReplicationRule rule;
  rule.which = ReplicationRule::Which::kPredicate;
  rule.accepts = [id](const std::string& core) { return core != id; };
  ASSERT_TRUE(ada_.SetRule(rule).ok());
  EXPECT_FALSE(Clone().ok());
  rule.accepts = [id](const std::string& core) { return core == id; };
  ASSERT_TRUE(ada_.SetRule(rule).ok());
  EXPECT_TRUE(Clone().ok());
}

TEST_F(Policy, UploadAndDownloadAreSwitchesOfTheirOwn) {
  ASSERT_TRUE(ada_.SetRule({.upload = false}).ok());
  EXPECT_FALSE(Clone().ok()) << "she only fetches";
  ASSERT_TRUE(ada_.SetRule({.download = false}).ok());
  ASSERT_TRUE(bob_.SetRule({.download = false}).ok());
  EXPECT_FALSE(Clone().ok()) << "he only serves";
  ASSERT_TRUE(bob_.SetRule({}).ok());
  EXPECT_TRUE(Clone().ok());
}

TEST_F(Policy, ARuleForAHostIsForItsPeersOnly) {
  const ReplicationRule none{.which = ReplicationRule::Which::kNone};
  ASSERT_TRUE(ada_.SetHostRule("10.0.0.7", none).ok());
  EXPECT_TRUE(Clone().ok());
  ASSERT_TRUE(ada_.SetHostRule("127.0.0.1", none).ok());
  ASSERT_TRUE(ada_.AppendToCore(key_, {"one more"}).ok());
  EXPECT_FALSE(Clone().ok());
  ASSERT_TRUE(ada_.SetHostRule("127.0.0.1", std::nullopt).ok());
  EXPECT_TRUE(Clone().ok());
}

TEST_F(Policy, ABaseThatIsClosedIsNotSpokenOf) {
  Base club = *ada_.CreateBase({.name = "club"});
  ASSERT_TRUE(
      club.SetRule(ReplicationRule{.which = ReplicationRule::Which::kNone}).ok());
  EXPECT_FALSE(bob_.Join(club.link(), {.name = "", .connect = address_}).ok());
  ASSERT_TRUE(club.SetRule(std::nullopt).ok());
  EXPECT_TRUE(bob_.Join(club.link(), {.name = "", .connect = address_}).ok());
}

TEST(Lan, StoresThatShareABaseFindEachOther) {
  Scratch scratch;
  Store ada = *Store::Open(scratch / "ada");
  Store bob = *Store::Open(scratch / "bob");
  Base club = *ada.CreateBase({.name = "club"});
  ASSERT_TRUE(club.Put("k", "v").ok());
  const std::string address = *ada.Listen("127.0.0.1:0");
  Base copy = *bob.Join(club.link(), {.name = "", .connect = address});
  std::mutex mutex;
  std::condition_variable changed;
  bool arrived = false;
  const auto watch = copy.Watch(All(), [&](const std::vector<Change>&) {
    const std::lock_guard lock(mutex);
    arrived = true;
    changed.notify_all();
  });
  ASSERT_TRUE(ada.DiscoverOnLan("127.0.0.1").ok());
  ASSERT_TRUE(bob.DiscoverOnLan("127.0.0.1").ok());
  std::unique_lock lock(mutex);
  EXPECT_TRUE(changed.wait_for(lock, 60s, [&] { return arrived; }));
  EXPECT_EQ(bob.DiscoverOnLan("no address").code(), absl::StatusCode::kInvalidArgument);
}

TEST(Loop, TheStoresThreadIsMeasured) {
  Scratch scratch;
  Store ada = *Store::Open(scratch / "ada");
  Base club = *ada.CreateBase({.name = "club"});
  ASSERT_TRUE(club.Put("k", "v").ok());
  EXPECT_GT(ada.Loop().steps, 0U);
  EXPECT_GT(ada.Loop().longest_us, 0U);
}

}  // namespace
}  // namespace weft
