// The scheduler is a pure function of what is held, offered and asked for.

#include "replication/download_scheduler.h"

#include <gmock/gmock.h>

#include <random>

#include "replication/remote_state.h"
#include "replication/verdict.h"

namespace weft {
namespace {

Bitfield Set(std::vector<BlockRange> ranges) {
  Bitfield bits;
  for (const BlockRange& range : ranges) bits.SetRange(range.from, range.to, true);
  return bits;
}

TEST(DownloadScheduler, GivesTheFirstRunThatIsOfferedAndNeitherHeldNorAskedFor) {
  DownloadScheduler scheduler;
  const Bitfield held = Set({{0, 10}, {15, 20}});
  const Bitfield remote = Set({{0, 12}, {13, 40}});
  const auto next = [&](std::uint64_t max) {
    const auto run = scheduler.Next(held, remote, {0, 100}, max);
    if (run) scheduler.Take(*run);
    return run;
  };
  EXPECT_EQ(next(100), (BlockRange{10, 12}));
  EXPECT_EQ(next(1), (BlockRange{13, 14}));
  EXPECT_EQ(next(100), (BlockRange{14, 15}));
  EXPECT_EQ(next(5), (BlockRange{20, 25}));
  EXPECT_EQ(next(100), (BlockRange{25, 40}));
  EXPECT_EQ(next(100), std::nullopt);
  scheduler.Release({22, 23});
  EXPECT_EQ(next(100), (BlockRange{22, 23}));
}

// Against the definition, block by block.
TEST(DownloadSchedulerProperty, AgreesWithTheDefinition) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937_64 random(seed);
    Bitfield held, remote;
    DownloadScheduler scheduler;
    std::vector<bool> taken(300);
    for (std::uint64_t i = 0; i < 300; ++i) {
      held.Set(i, random() % 3 == 0);
      remote.Set(i, random() % 4 != 0);
      if (random() % 5 == 0) {
        scheduler.Take({i, i + 1});
        taken[i] = true;
      }
    }
    const BlockRange within{random() % 150, 150 + random() % 150};
    const std::uint64_t max = 1 + random() % 5;
    std::optional<BlockRange> expected;
    for (std::uint64_t i = within.from; i < within.to; ++i) {
      const bool free = !held.Get(i) && remote.Get(i) && !taken[i];
      if (free && !expected) expected = BlockRange{i, i};
      if (!expected) continue;
      if (!free || expected->to - expected->from == max) break;
      expected->to = i + 1;
    }
    EXPECT_EQ(scheduler.Next(held, remote, within, max), expected);
  }
}

TEST(DownloadSchedulerProperty, ASearchThatGoesOnFindsWhatOneFromTheFrontWould) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937_64 random(seed);
    Bitfield held, remote;
    const std::uint64_t length = 1 + random() % (4 * Bitfield::kPageBits);
    // Runs of any length, of whole pages too.
    for (Bitfield* bits : {&held, &remote}) {
      for (std::uint64_t at = 0; at < length;) {
        const std::uint64_t size = 1 + random() % (random() % 4 == 0 ? 6000 : 5);
        bits->SetRange(at, at + size, random() % 2 == 0);
        at += size;
      }
    }
    DownloadScheduler anew, on;
    SearchPlace place;
    std::uint64_t found = 0;
    for (;;) {
      const std::uint64_t max = 1 + random() % 100;
      const auto expected = anew.Next(held, remote, {0, length}, max);
      const auto run = on.Next(held, remote, {0, length}, max, &place);
      ASSERT_EQ(run, expected);
      if (!run) break;
      anew.Take(*run);
      on.Take(*run);
      found += run->to - run->from;
    }
    std::uint64_t all = 0;
    std::optional<std::uint64_t> unknown;
    for (std::uint64_t i = 0; i < length; ++i) {
      all += remote.Get(i) && !held.Get(i) ? 1 : 0;
      if (!unknown && !remote.Get(i) && !held.Get(i)) unknown = i;
    }
    EXPECT_EQ(found, all);
    EXPECT_EQ(AnyMissing(held, remote, {0, length}), all > 0);
    EXPECT_EQ(FirstUnknown(held, remote, {0, length}), unknown);
  }
}

// Bit by bit and from the front each time this would take hours.
TEST(DownloadScheduler, Attack24_EverySecondBlockOfAMillionIsNoMoreWorkThanAMillion) {
  constexpr std::uint64_t kBlocks = 1 << 20;
  Bitfield even, odd;
  for (std::uint64_t i = 0; i < kBlocks; i += 2) {
    even.Set(i);
    odd.Set(i + 1);
  }
  DownloadScheduler scheduler;
  SearchPlace place;
  std::uint64_t runs = 0;
  while (const auto run = scheduler.Next(odd, even, {0, kBlocks}, 100, &place)) {
    scheduler.Take(*run);
    ++runs;
  }
  EXPECT_EQ(runs, kBlocks / 2);
  // What one message of a peer may make us look for.
  for (int i = 0; i < 2'000; ++i) {
    ASSERT_FALSE(AnyMissing(even, even, {0, kBlocks}));
    ASSERT_FALSE(FirstUnknown(even, odd, {0, kBlocks}));
  }
}

TEST(DownloadScheduler, OneUpgradeAtATimeAndPeersHearOfWhatIsGivenBack) {
  DownloadScheduler scheduler;
  EXPECT_TRUE(scheduler.TakeUpgrade());
  EXPECT_FALSE(scheduler.TakeUpgrade());
  scheduler.ReleaseUpgrade();
  EXPECT_TRUE(scheduler.TakeUpgrade());
  struct Idle : DownloadPeer {
    void Wake() override { ++woken; }
    PeerLoad Load(Nanos) const override { return {}; }
    std::size_t GiveUp(std::size_t, const Bitfield&) override { return 0; }
    int woken = 0;
  };
  Idle ada, bob;
  const auto one = scheduler.AddPeer(&ada, 1);
  scheduler.AddPeer(&bob, 2);
  scheduler.Wake();
  EXPECT_EQ(ada.woken + bob.woken, 2);
  scheduler.RemovePeer(one);
  scheduler.Wake();
  EXPECT_EQ(ada.woken, 1);
  EXPECT_EQ(bob.woken, 2);
}

TEST(DownloadBook, ACoreHasOneSchedulerWhileAnybodyUsesIt) {
  DownloadBook book;
  const auto one = book.Of(CoreKey{});
  EXPECT_EQ(book.Of(CoreKey{}), one);
}

TEST(DownloadBook, CoresThatNobodyUsesAreForgotten) {
  DownloadBook book;
  const auto kept = book.Of(CoreKey{});
  for (std::uint8_t i = 1; i < 255; ++i) {
    for (std::uint8_t j = 0; j < 100; ++j) {
      CoreKey key;
      key.bytes[0] = i;
      key.bytes[1] = j;
      book.Of(key);
    }
  }
  EXPECT_LT(book.size(), 100U);
  EXPECT_EQ(book.Of(CoreKey{}), kept);
}

TEST(RemoteState, Attack24_ClaimsAreCutAtWhatCouldBe) {
  RemoteState remote;
  EXPECT_TRUE(remote.OnRange({false, 0, std::uint64_t{1} << 52}, 100));
  EXPECT_LE(remote.blocks().count(), 200 + 2 * kClaimSlackBlocks);
  EXPECT_FALSE(remote.OnRange({false, std::uint64_t{1} << 51, 5}, 100));
  EXPECT_FALSE(remote.OnBitfield({7, {1}}, 100)) << "starts within a word";
}

TEST(RemoteState, Attack24_PagesThatAreNeitherEmptyNorFullAreCounted) {
  RemoteState remote;
  for (std::uint64_t i = 0; i < 10'000; ++i) {
    remote.OnRange({false, i * Bitfield::kPageBits, 1}, std::uint64_t{1} << 30);
  }
  EXPECT_LE(remote.blocks().pages(), kRemotePagesMax);
  EXPECT_GE(remote.blocks().pages(), kRemotePagesMax - 2);
  EXPECT_FALSE(remote.OnRange({false, 5, 1}, std::uint64_t{1} << 30));
}

TEST(RemoteState, ABitfieldReplacesWhatItCovers) {
  RemoteState remote;
  remote.OnRange({false, 0, 100}, 100);
  EXPECT_EQ(remote.contiguous_length(), 100U);
  remote.OnBitfield({32, {0xfffffffe}}, 100);
  EXPECT_FALSE(remote.blocks().Get(32));
  EXPECT_TRUE(remote.blocks().Get(33));
  EXPECT_EQ(remote.contiguous_length(), 32U);
  remote.OnRange({true, 10, 1}, 100);
  EXPECT_EQ(remote.contiguous_length(), 10U);
}

TEST(PeerVerdict, OnlyWhatTheWorldDidIsAskedAgain) {
  const auto verdict = [](absl::StatusCode code, bool hopeful) {
    return Judge(Fault::kProof, code, hopeful).verdict;
  };
  EXPECT_EQ(verdict(absl::StatusCode::kOk, false), PeerVerdict::kIgnore);
  EXPECT_EQ(verdict(absl::StatusCode::kFailedPrecondition, false), PeerVerdict::kRetry);
  EXPECT_EQ(verdict(absl::StatusCode::kInvalidArgument, true), PeerVerdict::kRetry);
  EXPECT_EQ(verdict(absl::StatusCode::kInvalidArgument, false), PeerVerdict::kBar);
  EXPECT_EQ(verdict(absl::StatusCode::kDataLoss, true), PeerVerdict::kBar);
  EXPECT_EQ(Judge(Fault::kFrame, absl::StatusCode::kInvalidArgument).verdict,
            PeerVerdict::kDrop);
}

}  // namespace
}  // namespace weft
