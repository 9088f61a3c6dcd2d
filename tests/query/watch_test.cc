// Watches: what is told, to whom, and when it ends.

#include "query/watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft {
namespace {

using testing::ElementsAre;

ViewChange Changed(const std::string& key, const std::string& before,
                   const std::string& after) {
  const auto entry = [&key](const std::string& value) {
    ViewEntry view;
    view.key = key;
    if (value.empty()) return view;
    ViewRegister reg;
    reg.live.push_back({std::string("\x04") + value, {}, {}});
    view.value = reg;
    return view;
  };
  return {key, entry(before), entry(after)};
}

std::string Value(const ViewEntry& entry) {
  return entry.value ? entry.value->live.front().value.substr(1) : "";
}

// A hub on its own thread, and what its one watcher heard, call by call.
class Watching : public testing::Test {
 protected:
  ~Watching() override {
    handle_.reset();
    hub_.Stop();
    if (thread_.joinable()) thread_.join();
  }
  void Watch(const KeyRange& range) {
    handle_ = hub_.Add(this, range, [this](const std::vector<ViewChange>& changes) {
      std::unique_lock lock(mutex_);
      calls_.push_back(changes);
      heard_.notify_all();
      heard_.wait(lock, [this] { return !held_; });
    });
  }
  void Start() {
    thread_ = std::thread([this] { hub_.Run(); });
  }
  void AwaitCalls(std::size_t count) {
    std::unique_lock lock(mutex_);
    heard_.wait(lock, [&] { return calls_.size() >= count; });
  }
  void Hold(bool held) {
    const std::lock_guard lock(mutex_);
    held_ = held;
    heard_.notify_all();
  }

  WatchHub hub_;
  std::shared_ptr<void> handle_;
  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable heard_;
  std::vector<std::vector<ViewChange>> calls_;
  bool held_ = false;
};

TEST_F(Watching, OnlyKeysOfTheRangeAndOfTheSourceAreTold) {
  Watch(PrefixRange("a/"));
  EXPECT_TRUE(hub_.Watched(this, "a/1"));
  EXPECT_FALSE(hub_.Watched(this, "b"));
  EXPECT_FALSE(hub_.Watched(&hub_, "a/1"));
  hub_.Tell(&hub_, {Changed("a/0", "", "x")});
  hub_.Tell(this, {Changed("a/1", "", "x"), Changed("b", "", "x")});
  Start();
  AwaitCalls(1);
  ASSERT_EQ(calls_[0].size(), 1U);
  EXPECT_EQ(calls_[0][0].key, "a/1");
}

TEST_F(Watching, ASlowWatcherHearsTheFirstBeforeAndTheLastAfter) {
  Watch({});
  Hold(true);
  Start();
  hub_.Tell(this, {Changed("k", "", "1")});
  AwaitCalls(1);
  hub_.Tell(this, {Changed("k", "1", "2")});
  hub_.Tell(this, {Changed("k", "2", "3")});
  Hold(false);
  AwaitCalls(2);
  ASSERT_EQ(calls_[1].size(), 1U);
  EXPECT_EQ(Value(calls_[1][0].before), "1");
  EXPECT_EQ(Value(calls_[1][0].after), "3");
}

TEST_F(Watching, WhatReadsAsItDidBeforeIsNotTold) {
  Watch({});
  Hold(true);
  Start();
  hub_.Tell(this, {Changed("k", "", "1")});
  AwaitCalls(1);
  hub_.Tell(this, {Changed("k", "1", "2"), Changed("l", "", "x")});
  hub_.Tell(this, {Changed("k", "2", "1"), Changed("l", "x", "")});
  hub_.Tell(this, {Changed("m", "", "y")});
  Hold(false);
  AwaitCalls(2);
  ASSERT_EQ(calls_[1].size(), 1U);
  EXPECT_EQ(calls_[1][0].key, "m");
}

TEST_F(Watching, NobodyIsCalledOnceTheHandleIsGone) {
  Watch({});
  hub_.Tell(this, {Changed("k", "", "1")});
  handle_.reset();
  EXPECT_FALSE(hub_.Watched(this, "k"));
  Start();
  hub_.Tell(this, {Changed("k", "1", "2")});
  hub_.Stop();
  thread_.join();
  EXPECT_TRUE(calls_.empty());
}

TEST(KeyRange, APrefixRangeHoldsJustTheKeysThatStartWithIt) {
  EXPECT_TRUE(PrefixRange("a/").Contains("a/"));
  EXPECT_TRUE(PrefixRange("a/").Contains("a/\xff\xff"));
  EXPECT_FALSE(PrefixRange("a/").Contains("a0"));
  EXPECT_FALSE(PrefixRange("a/").Contains("a"));
  EXPECT_TRUE(PrefixRange("\xff").Contains("\xff\xff"));
}

}  // namespace
}  // namespace weft
