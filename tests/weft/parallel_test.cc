// Several callers of one store who want something of the same peer at the same time:
// each gets what he asked for, and nobody takes it from another.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "tests/weft/scratch.h"
#include "weft/store.h"

namespace weft {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds kTimeout = 30s;

// Runs it on so many threads and returns what went wrong.
std::vector<std::string> AtOnce(int threads,
                                const std::function<absl::Status(int)>& task) {
  std::mutex mutex;
  std::vector<std::string> failures;
  std::vector<std::thread> running;
  for (int i = 0; i < threads; ++i) {
    running.emplace_back([&, i] {
      const absl::Status status = task(i);
      const std::lock_guard lock(mutex);
      if (!status.ok()) failures.push_back(status.ToString());
    });
  }
  for (std::thread& thread : running) thread.join();
  return failures;
}

// Ada has a base and two cores, and listens; Bob follows the base.
class Parallel : public testing::Test {
 protected:
  Parallel()
      : ada_(*Store::Open(scratch_ / "ada")), bob_(*Store::Open(scratch_ / "bob")) {
    base_ = *ada_.CreateBase({.name = "club"});
    address_ = *ada_.Listen("127.0.0.1:0");
    EXPECT_TRUE(bob_.Join(base_->link()).ok());
    log_ = MakeCore("log", 5000);
    other_ = MakeCore("other", 2);
  }

  std::string MakeCore(const std::string& name, int blocks) {
    const std::string key = ada_.CreateCore(name)->key;
    Append(key, 0, blocks);
    return key;
  }
  void Append(const std::string& key, int from, int to) {
    std::vector<std::string> texts;
    for (int i = from; i < to; ++i) texts.push_back(Text(i));
    EXPECT_TRUE(ada_.AppendToCore(key, texts).ok());
  }
  static std::string Text(int block_index) {
    return "block " + std::to_string(block_index);
  }
  absl::Status Read(Store& store, int block_index) {
    const absl::StatusOr<std::string> block = store.GetFromCore(
        log_, block_index, {.connect = address_, .timeout = kTimeout});
    if (block.ok() && *block != Text(block_index)) {
      return absl::DataLossError("another block");
    }
    return block.status();
  }
  void ReadAtOnce() {
    for (int round = 0; round < 5; ++round) {
      EXPECT_THAT(AtOnce(6, [&](int i) { return Read(bob_, round * 700 + i * 3); }),
                  testing::IsEmpty());
    }
  }

  Scratch scratch_;
  Store ada_;
  Store bob_;
  std::optional<Base> base_;
  std::string address_;
  std::string log_;
  std::string other_;
};

TEST_F(Parallel, ReadsOfOneCoreFromOnePeerAllGetTheirBlocks) {
  ReadAtOnce();
}

TEST_F(Parallel, ReadsOverAConnectionThatStaysAllGetTheirBlocks) {
  ASSERT_TRUE(bob_.Connect(address_).ok());
  ReadAtOnce();
}

TEST_F(Parallel, ReadsBySeveralBytesOfOneCoreAllGetTheirBlocks) {
  const auto seek = [&](int i) {
    return bob_
        .SeekInCore(log_, static_cast<std::uint64_t>(i) * 9000,
                    {.connect = address_, .timeout = kTimeout})
        .status();
  };
  EXPECT_THAT(AtOnce(6, seek), testing::IsEmpty());
}

TEST_F(Parallel, ClonesOfOneCoreIntoANewStoreAreAllWhole) {
  const auto clone = [&](int) {
    const absl::StatusOr<CoreStatus> status = bob_.CloneCore(log_, address_, {});
    if (status.ok() && status->have != 5000) return absl::DataLossError("not whole");
    return status.status();
  };
  EXPECT_THAT(AtOnce(6, clone), testing::IsEmpty());
}

TEST_F(Parallel, ACloneBesideReadsIsWholeWhenItSaysSo) {
  const std::string big = MakeCore("big", 40'000);
  std::mutex mutex;
  std::condition_variable begun;
  bool any = false;
  Store::CloneOptions options;
  options.progress = [&](const Progress& progress) {
    const std::lock_guard lock(mutex);
    any = any || progress.done > 0;
    begun.notify_all();
  };
  const auto task = [&](int i) {
    if (i == 0) {
      const absl::StatusOr<CoreStatus> status = bob_.CloneCore(big, address_, options);
      if (status.ok() && status->have != 40'000)
        return absl::DataLossError("not whole");
      const std::lock_guard lock(mutex);
      any = true;
      begun.notify_all();
      return status.status();
    }
    {
      std::unique_lock lock(mutex);
      begun.wait(lock, [&] { return any; });
    }
    const auto block = bob_.GetFromCore(big, 39'000 + i * 100,
                                        {.connect = address_, .timeout = kTimeout});
    return block.status();
  };
  EXPECT_THAT(AtOnce(4, task), testing::IsEmpty());
}

TEST_F(Parallel, ALiveFollowOutlivesWhateverElseUsesItsConnection) {
  std::atomic<std::uint64_t> held = 0;
  std::atomic<bool> enough = false;
  Store::CloneOptions live;
  live.progress = [&](const Progress& progress) { held = progress.done; };
  live.live_until = [&] { return enough.load(); };
  absl::Status followed;
  std::atomic<bool> over = false;
  std::thread follower([&] {
    followed = bob_.CloneCore(other_, address_, live).status();
    over = true;
  });
  const auto wait_for = [&](std::uint64_t blocks) {
    while (held != blocks && !over) std::this_thread::yield();
  };
  wait_for(2);
  EXPECT_TRUE(Read(bob_, 7).ok());
  EXPECT_TRUE(bob_.CloneCore(log_, address_, {}).ok());
  EXPECT_TRUE(bob_.CloneCore(other_, address_, {}).ok());
  EXPECT_TRUE(bob_.Sync(address_, kTimeout).ok());
  Append(other_, 2, 5);
  wait_for(5);
  EXPECT_EQ(held, 5U);
  enough = true;
  follower.join();
  EXPECT_TRUE(followed.ok()) << followed;
}

TEST_F(Parallel, AReadOfABasesLogLeavesTheBaseFollowed) {
  Base copy = *bob_.OpenBase();
  std::mutex mutex;
  std::condition_variable heard;
  std::string last;
  const auto watching = copy.Watch(All(), [&](const std::vector<Change>& changes) {
    const std::lock_guard lock(mutex);
    for (const Change& change : changes) {
      if (change.after) last = change.after->value->winner.value.ToText();
    }
    heard.notify_all();
  });
  ASSERT_TRUE(bob_.Connect(address_).ok());
  for (const char* value : {"1", "2", "3"}) {
    ASSERT_TRUE(base_->Put("k", value).ok());
    {
      std::unique_lock lock(mutex);
      ASSERT_TRUE(heard.wait_for(lock, kTimeout, [&] { return last == value; }))
          << value;
    }
    const absl::Status beyond =
        bob_.GetFromCore(base_->identity(), 100'000,
                         {.connect = address_, .timeout = kTimeout})
            .status();
    EXPECT_TRUE(absl::IsOutOfRange(beyond)) << beyond;
    Store::CloneOptions first;
    first.blocks = {0, 1};
    EXPECT_TRUE(bob_.CloneCore(base_->identity(), address_, first).ok());
  }
}

TEST_F(Parallel, SyncsWithOnePeerAllEndLevel) {
  for (int round = 0; round < 5; ++round) {
    ASSERT_TRUE(base_->Put("k", std::to_string(round)).ok());
    EXPECT_THAT(AtOnce(6, [&](int) { return bob_.Sync(address_, kTimeout).status(); }),
                testing::IsEmpty());
  }
}

TEST_F(Parallel, SyncsAndReadsShareAConnection) {
  for (int round = 0; round < 10; ++round) {
    const auto task = [&](int i) {
      return i % 2 == 0 ? bob_.Sync(address_, kTimeout).status()
                        : Read(bob_, round * 100 + i);
    };
    EXPECT_THAT(AtOnce(4, task), testing::IsEmpty());
  }
}

TEST_F(Parallel, TwoStoresThatDialOneAnotherBothGetWhatTheyWant) {
  const std::string bobs = *bob_.Listen("127.0.0.1:0");
  for (int round = 0; round < 10; ++round) {
    ASSERT_TRUE(base_->Put("k", std::to_string(round)).ok());
    const auto task = [&](int i) {
      if (i == 0) return bob_.Sync(address_, kTimeout).status();
      if (i == 1) return ada_.Sync(bobs, kTimeout).status();
      return Read(bob_, round * 100);
    };
    EXPECT_THAT(AtOnce(3, task), testing::IsEmpty());
  }
}

TEST_F(Parallel, OurOwnAddressIsUnavailableAndNamed) {
  for (const absl::Status& status :
       {ada_.Sync(address_, kTimeout).status(),
        ada_.CloneCore(std::string(64, '1'), address_, {}).status()}) {
    EXPECT_TRUE(absl::IsUnavailable(status)) << status;
    EXPECT_THAT(std::string(status.message()), testing::HasSubstr("our own"));
  }
}

// Bob has two blocks of many.
TEST_F(Parallel, AWholeCloneFromAPeerThatLacksBlocksIsNotOk) {
  ASSERT_TRUE(Read(bob_, 1).ok());
  ASSERT_TRUE(Read(bob_, 9).ok());
  const std::string bobs = *bob_.Listen("127.0.0.1:0");
  Store cleo = *Store::Open(scratch_ / "cleo");
  Store::CloneOptions all;
  all.timeout = 500ms;
  const absl::Status whole = cleo.CloneCore(log_, bobs, all).status();
  EXPECT_TRUE(absl::IsDeadlineExceeded(whole)) << whole;
  EXPECT_EQ(cleo.CoreInfo(log_)->have, 2U) << "what came is kept";
  Store::CloneOptions part;
  part.blocks = {9, 10};
  EXPECT_TRUE(cleo.CloneCore(log_, bobs, part).ok());
  const CoreReadOptions ask{.connect = bobs, .timeout = kTimeout};
  EXPECT_TRUE(absl::IsNotFound(cleo.GetFromCore(log_, 10, ask).status()));
}

}  // namespace
}  // namespace weft
