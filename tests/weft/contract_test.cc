// What holds for every call of the API: where the store calls back nothing deadlocks,
// and no time to wait is too long.

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <map>
#include <mutex>
#include <thread>

#include "tests/weft/scratch.h"
#include "weft/convert.h"
#include "weft/store.h"
#include "weft/text.h"

namespace weft {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kTimeout{20000};

class Contract : public testing::Test {
 protected:
  Contract()
      : store_(*Store::Open(scratch_ / "ada")),
        base_(*store_.CreateBase({.name = "club"})),
        core_(store_.CreateCore("plain")->key),
        address_(*store_.Listen("127.0.0.1:0")) {}

  // Somebody asks to be let in, which is an event.
  void MakeEvent(const std::string& name) {
    Store joining = *Store::Open(scratch_ / name);
    JoinOptions options;
    options.connect = address_;
    const auto joined = joining.Join(base_.link(), options);
    ASSERT_TRUE(joined.ok()) << joined.status();
    ASSERT_TRUE(joining.Sync(address_, kTimeout).ok());
  }
  // What `act` gives on the store's thread.
  template <class Result>
  Result InCallback(const std::string& name, std::function<Result()> act) {
    std::promise<Result> promise;
    std::once_flag once;
    store_.OnEvent([&](const std::string&) {
      std::call_once(once, [&] { promise.set_value(act()); });
    });
    MakeEvent(name);
    Result result = promise.get_future().get();
    store_.OnEvent({});
    return result;
  }

  Scratch scratch_;
  Store store_;
  Base base_;
  std::string core_;
  std::string address_;
};

using Statuses = std::map<std::string, absl::Status>;

TEST_F(Contract, WhatWritesOrWaitsIsRefusedWhereTheStoreCallsBack) {
  ASSERT_TRUE(base_.Put("k", "v").ok());
  const std::string somebody = base_.identity();
  const std::string link = base_.link();
  const Statuses said = InCallback<Statuses>("bob", [&] {
    Statuses all;
    all["put"] = base_.Put("k", "w").status();
    all["delete"] = base_.Delete("k").status();
    all["set"] = base_.Set("t/1", {{"c", Datum::Of("v")}}).status();
    all["unset"] = base_.Unset("t/1", {"c"}).status();
    all["erase"] = base_.Erase("t/1").status();
    Batch batch;
    batch.Increment("n", 1);
    all["commit"] = base_.Commit(batch).status();
    all["type"] = Text(base_, "letter").Append("Dear").status();
    all["grant"] = base_.Grant(somebody, Role::kReader).status();
    all["approve"] = base_.Approve(somebody, Role::kReader).status();
    all["invite"] = base_.Invite().status();
    all["revoke"] = base_.Revoke(somebody).status();
    all["accept"] = base_.Accept(somebody, 0, 1).status();
    all["rollback"] = base_.Rollback(somebody, 0, 1).status();
    all["recover"] = base_.Recover().status();
    all["wait"] = base_.WaitAcked(somebody, 1, 1, kTimeout);
    all["create base"] = store_.CreateBase({.name = "more"}).status();
    all["join"] = store_.Join(link).status();
    all["sync"] = store_.Sync(address_, kTimeout).status();
    all["create core"] = store_.CreateCore("more").status();
    all["append"] = store_.AppendToCore(core_, {"block"}).status();
    CoreReadOptions from_a_peer;
    from_a_peer.connect = address_;
    all["fetch"] = store_.GetFromCore(core_, 0, from_a_peer).status();
    all["clone"] = store_.CloneCore(core_, address_, {}).status();
    all["remove"] = store_.RemoveCore(core_);
    all["purge"] = store_.PurgeCore(core_);
    all["block"] = store_.BlockCore(core_);
    all["unblock"] = store_.UnblockCore(core_);
    all["adopt"] = store_.AdoptCore(core_);
    return all;
  });
  EXPECT_EQ(said.size(), 27U);
  for (const auto& [call, status] : said) {
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition)
        << call << ": " << status;
  }
  EXPECT_EQ(store_.Bases().size(), 1U);
  EXPECT_EQ(store_.CoreInfo(core_)->length, 0U);
  EXPECT_TRUE(store_.BlockedCores().empty());
  EXPECT_TRUE(base_.Put("k", "w").ok()) << "nothing is in the way of it now";
}

TEST_F(Contract, WhatReadsIsAnsweredWhereTheStoreCallsBack) {
  ASSERT_TRUE(base_.Put("k", "v").ok());
  const Statuses said = InCallback<Statuses>("bob", [&] {
    Statuses all;
    all["get"] = base_.Get("k").status();
    all["scan"] = base_.Scan(All()).status();
    all["root"] = base_.Root().status();
    all["verify"] = base_.Verify();
    all["lost"] = base_.Recoverable().status();
    all["text"] = Text(base_, "letter").Read().status();
    all["core"] = store_.CoreInfo(core_).status();
    all["open"] = store_.OpenBase("club").status();
    all["rule"] = store_.SetRule({});
    all["connect"] = store_.Connect("127.0.0.1:1");
    all["message"] = store_.SendExtension({}, "hello", "you").status();
    return all;
  });
  for (const auto& [call, status] : said) EXPECT_TRUE(status.ok()) << call << status;
  const std::size_t members =
      InCallback<std::size_t>("dan", [&] { return base_.Members().size(); });
  EXPECT_EQ(members, 1U);
}

TEST_F(Contract, ACallbackMayReplaceItselfAndIsThenCalledNoMore) {
  std::promise<void> second;
  std::once_flag once;
  std::atomic<int> first_calls = 0;
  store_.OnEvent([&](const std::string&) {
    ++first_calls;
    store_.OnEvent(
        [&](const std::string&) { std::call_once(once, [&] { second.set_value(); }); });
  });
  MakeEvent("bob");
  MakeEvent("dan");
  second.get_future().get();
  store_.OnEvent({});
  EXPECT_EQ(first_calls, 1);
}

TEST_F(Contract, AWatchThatReadsMayBeEndedWhereTheStoreCallsBack) {
  std::promise<void> called;
  std::promise<void> ended;
  std::once_flag once;
  std::shared_future<void> end = ended.get_future().share();
  std::shared_ptr<void> watch = base_.Watch(All(), [&](const std::vector<Change>&) {
    std::call_once(once, [&] { called.set_value(); });
    end.wait();
    // Waits for the store's thread.
    EXPECT_EQ(base_.Members().size(), 1U);
  });
  ASSERT_TRUE(base_.Put("k", "v").ok());
  called.get_future().get();
  InCallback<bool>("bob", [&] {
    ended.set_value();
    watch.reset();
    return true;
  });
  EXPECT_TRUE(base_.Put("k", "w").ok());
}

TEST(Times, NoTimeToWaitIsTooLongOrTooShort) {
  EXPECT_EQ(ToNanos(milliseconds(5)), std::chrono::nanoseconds(5'000'000));
  EXPECT_EQ(ToNanos(milliseconds::min()), Nanos(0));
  EXPECT_GT(ToNanos(milliseconds::max()), std::chrono::hours(24 * 365 * 50));
  // Far from the end of what a clock that counts from 1970 can say.
  EXPECT_LT(ToNanos(milliseconds::max()),
            Nanos::max() - std::chrono::hours(24 * 36525));
}

TEST_F(Contract, ForEverIsATimeToWait) {
  ASSERT_TRUE(base_.Put("k", "v").ok());
  ASSERT_TRUE(store_.AppendToCore(core_, {"block"}).ok());
  auto acked = std::async(std::launch::async, [&] {
    return base_.WaitAcked(base_.identity(), 1, 1, milliseconds::max());
  });
  Store bob = *Store::Open(scratch_ / "bob");
  JoinOptions options;
  options.connect = address_;
  ASSERT_TRUE(bob.Join(base_.link(), options).ok());
  const auto synced = bob.Sync(address_, milliseconds::max());
  EXPECT_TRUE(synced.ok()) << synced.status();
  EXPECT_TRUE(acked.get().ok());
  Store::CloneOptions whole;
  whole.timeout = milliseconds::max();
  EXPECT_TRUE(bob.CloneCore(core_, address_, whole).ok());
  CoreReadOptions from_a_peer;
  from_a_peer.connect = address_;
  from_a_peer.timeout = milliseconds::max();
  EXPECT_EQ(*bob.GetFromCore(core_, 0, from_a_peer), "block");
}

}  // namespace
}  // namespace weft
