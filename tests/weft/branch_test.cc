// A branch of a forked log that is fetched from peers who may lie, and how it is kept.

#include <gtest/gtest.h>

#include "engine/codec.h"
#include "engine/memory_storage.h"
#include "tests/engine/numbered_key.h"
#include "weft/branch_fetch.h"
#include "weft/branch_store.h"

namespace weft {
namespace {

PublicKey PeerOf(std::uint64_t number) {
  return NumberedKey<PublicKey>(number);
}

std::vector<Bytes> SomeBlocks(std::size_t count, std::size_t bytes) {
  std::vector<Bytes> blocks;
  for (std::size_t i = 0; i < count; ++i) {
    blocks.emplace_back(bytes, static_cast<std::uint8_t>(i));
  }
  return blocks;
}

Bytes StreamOf(std::span<const Bytes> blocks) {
  Bytes stream;
  Writer out(&stream);
  for (const Bytes& block : blocks) out.Buffer(block);
  return stream;
}

// Blocks [10, 50) of a log, of a thousand bytes each.
class FetchedBranch : public testing::Test {
 protected:
  FetchedBranch() {
    const auto nothing = [](const TreeNode&) {};
    for (std::size_t i = 0; i < 10; ++i) prefix_.AppendBlock(blocks_[i], nothing);
    MerkleTree tree = prefix_;
    for (std::size_t i = 10; i < 50; ++i) tree.AppendBlock(blocks_[i], nothing);
    branch_ = {CoreKey{PeerOf(0).bytes}, 10, 50, tree.hash()};
  }
  // What an honest peer answers.
  Bytes PieceAt(const BranchPlace& place, std::size_t most = 7'777) const {
    const Bytes rest = StreamOf(std::span(blocks_).subspan(place.position));
    const ByteView from = ByteView(rest).subspan(place.offset);
    return ToBytes(from.first(std::min(most, from.size())));
  }
  BranchFetch Fetch() const { return BranchFetch(branch_, prefix_); }
  // The honest peer gives up to so many pieces; the branch if that is all.
  std::optional<Bytes> Give(BranchFetch& fetch, const PublicKey& peer, BranchPlace from,
                            int pieces = 1'000) const {
    for (; pieces > 0; --pieces) {
      auto taken = fetch.Take(peer, from, PieceAt(from));
      EXPECT_TRUE(taken.ok()) << taken.status();
      if (!taken.ok() || taken->branch)
        return taken.ok() ? taken->branch : std::nullopt;
      from = *taken->ask;
    }
    return std::nullopt;
  }

  std::vector<Bytes> blocks_ = SomeBlocks(50, 1'000);
  MerkleTree prefix_;
  Indexer::NamedBranch branch_;
};

TEST_F(FetchedBranch, F2_WhatOnePeerGivesIsWholeWhenItsHashIsRight) {
  BranchFetch fetch = Fetch();
  EXPECT_EQ(Give(fetch, PeerOf(1), *fetch.Ask()),
            StreamOf(std::span(blocks_).subspan(10)));
}

TEST_F(FetchedBranch, Attack17_HoweverManyLieTheBranchIsTakenFromWhoDoesNot) {
  BranchFetch fetch = Fetch();
  const BranchPlace start = *fetch.Ask();
  const Bytes lie = StreamOf(SomeBlocks(40, 1));
  for (std::uint64_t liar = 100; liar < 400; ++liar) {
    EXPECT_TRUE(absl::IsDataLoss(fetch.Take(PeerOf(liar), start, lie).status()));
    // Once is enough.
    EXPECT_TRUE(absl::IsNotFound(fetch.Take(PeerOf(liar), start, lie).status()));
  }
  EXPECT_TRUE(Give(fetch, PeerOf(1), start).has_value());
}

TEST_F(FetchedBranch, Attack17_NobodyAddsToWhatAnotherGives) {
  BranchFetch fetch = Fetch();
  const BranchPlace start = *fetch.Ask();
  const auto first = fetch.Take(PeerOf(1), start, PieceAt(start));
  ASSERT_TRUE(first.ok() && first->ask);
  const Bytes lie = StreamOf(SomeBlocks(30, 2));
  EXPECT_TRUE(absl::IsNotFound(fetch.Take(PeerOf(2), *first->ask, lie).status()));
  // Nor with the beginning, while somebody is waited for.
  EXPECT_TRUE(absl::IsNotFound(fetch.Take(PeerOf(3), start, lie).status()));
  EXPECT_TRUE(Give(fetch, PeerOf(1), *first->ask).has_value());
}

TEST_F(FetchedBranch, Attack17_WhoGivesALittleAtATimeHoldsUpNobodyForLong) {
  BranchFetch fetch = Fetch();
  std::vector<BranchPlace> at;
  for (std::uint64_t slow = 1; slow <= BranchFetch::kGiversMax; ++slow) {
    for (int looks = 0; !fetch.Ask(); ++looks) {
      ASSERT_LT(looks, 5);
      for (std::uint64_t giver = 1; giver < slow; ++giver) {
        const auto taken =
            fetch.Take(PeerOf(giver), at[giver - 1], PieceAt(at[giver - 1], giver));
        ASSERT_TRUE(taken.ok()) << taken.status();
        at[giver - 1] = *taken->ask;
      }
      fetch.LookAfter();
    }
    const auto taken = fetch.Take(PeerOf(slow), *fetch.Ask(), PieceAt(*fetch.Ask(), 1));
    ASSERT_TRUE(taken.ok()) << taken.status();
    at.push_back(*taken->ask);
  }
  EXPECT_FALSE(fetch.Ask().has_value());
  for (int looks = 0; looks < 2; ++looks) {
    for (std::uint64_t giver = 1; giver <= at.size(); ++giver) {
      const auto taken =
          fetch.Take(PeerOf(giver), at[giver - 1], PieceAt(at[giver - 1], giver));
      if (taken.ok()) at[giver - 1] = *taken->ask;
    }
    fetch.LookAfter();
  }
  // The slowest is not waited for any more, and the newcomer has his place.
  ASSERT_TRUE(fetch.Ask().has_value());
  EXPECT_TRUE(absl::IsNotFound(fetch.Take(PeerOf(1), at[0], PieceAt(at[0])).status()));
  EXPECT_TRUE(Give(fetch, PeerOf(9), *fetch.Ask()).has_value());
}

TEST_F(FetchedBranch, WhoWasCutOffGoesOnWhereHeWas) {
  BranchFetch fetch = Fetch();
  const BranchPlace start = *fetch.Ask();
  EXPECT_FALSE(Give(fetch, PeerOf(1), start, 3).has_value());
  fetch.LookAfter();
  EXPECT_TRUE(fetch.moves());
  fetch.LookAfter();
  EXPECT_FALSE(fetch.moves());
  // He is asked like everybody, and has given the beginning already.
  ASSERT_EQ(fetch.Ask(), start);
  const auto again = fetch.Take(PeerOf(1), start, PieceAt(start));
  ASSERT_TRUE(again.ok() && again->ask) << again.status();
  EXPECT_EQ((again->ask->position - 10) * 1'003 + again->ask->offset, 3U * 7'777);
  EXPECT_TRUE(Give(fetch, PeerOf(1), *again->ask).has_value());
}

TEST(BranchStore, ABranchIsReadFromAnyBlockAndNoFurtherThanAsked) {
  MemoryStorage storage;
  const CoreKey log{PeerOf(1).bytes};
  const TreeHash hash{PeerOf(2).bytes};
  const std::vector<Bytes> blocks = SomeBlocks(300, 1'000);
  ASSERT_TRUE(SaveBranch(storage, 1, log, 20, 320, hash, StreamOf(blocks)).ok());
  for (const std::uint64_t from : {20, 21, 85, 86, 150, 319}) {
    const auto all = ReadBranch(storage, 1, log, from, 320, hash);
    ASSERT_TRUE(all.ok()) << all.status();
    ASSERT_EQ(all->size(), 320 - from);
    EXPECT_EQ(all->front(), blocks[from - 20]);
    EXPECT_EQ(all->back(), blocks.back());
    const auto some = ReadBranch(storage, 1, log, from, 320, hash, 2'500);
    ASSERT_TRUE(some.ok()) << some.status();
    EXPECT_EQ(some->size(), std::min<std::size_t>(3, 320 - from));
  }
  EXPECT_TRUE(ReadBranch(storage, 1, log, 19, 320, hash)->empty());
  EXPECT_TRUE(ReadBranch(storage, 1, log, 20, 319, hash)->empty());
  EXPECT_TRUE(ReadBranch(storage, 1, log, 20, 320, TreeHash{})->empty());
  EXPECT_TRUE(ReadBranch(storage, 2, log, 20, 320, hash)->empty());
  // Another is kept beside it.
  const TreeHash other{PeerOf(3).bytes};
  const Bytes two = StreamOf(std::span(blocks).first(2));
  ASSERT_TRUE(SaveBranch(storage, 1, log, 25, 27, other, two).ok());
  EXPECT_EQ(ReadBranch(storage, 1, log, 20, 320, hash)->size(), 300U);
  EXPECT_EQ(ReadBranch(storage, 1, log, 25, 27, other)->size(), 2U);
  EXPECT_FALSE(SaveBranch(storage, 1, log, 25, 28, other, two).ok());
  // The same from an earlier fork point on takes its place, whole.
  std::vector<Bytes> more = SomeBlocks(7, 10);
  more.insert(more.end(), blocks.begin(), blocks.end());
  ASSERT_TRUE(SaveBranch(storage, 1, log, 13, 320, hash, StreamOf(more)).ok());
  EXPECT_EQ(*ReadBranch(storage, 1, log, 13, 320, hash), more);
  EXPECT_EQ(*ReadBranch(storage, 1, log, 20, 320, hash), blocks);
}

}  // namespace
}  // namespace weft
