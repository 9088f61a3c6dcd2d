// Two holders of a branch each find the fork between them (rule F1, attacks 30 and 31).

#include "crdt/branch_head.h"

#include <gtest/gtest.h>

#include "tests/crdt/authors.h"
#include "tests/crdt/fork_sides.h"

namespace weft {
namespace {

class BranchHeadTest : public testing::Test {
 protected:
  // `shared` blocks, then `more` that only this branch has.
  ForkSide Side(std::size_t shared, std::size_t more, const std::string& name,
                std::uint64_t fork = 0) {
    std::vector<Bytes> blocks;
    for (std::size_t i = 0; i < shared + more; ++i) {
      const std::string block = (i < shared ? "shared" : name) + std::to_string(i);
      blocks.push_back(ToBytes(AsBytes(block)));
    }
    return MakeSide(keys_.manifest, keys_.pair, blocks, fork);
  }
  std::pair<BranchComparison, int> Find(const ForkSide& ours, const ForkSide& theirs) {
    return AskForFork(keys_.manifest, ours, theirs);
  }

  SeededRandom random_{9};
  IdentityKeys keys_ = MakeIdentity(RandomSalt(random_), random_);
};

TEST_F(BranchHeadTest, F1_TwoHoldersFindTheForkWhereverItIs) {
  for (const std::size_t shared : {0, 1, 2, 3, 7, 255, 256, 257, 700, 1000, 2047}) {
    for (const auto& [ours, theirs] :
         {std::pair{1, 1}, {1, 400}, {400, 1}, {600, 1300}, {1, 5000}}) {
      SCOPED_TRACE(testing::Message() << shared << " " << ours << " " << theirs);
      const auto [found, turns] =
          Find(Side(shared, static_cast<std::size_t>(ours), "a"),
               Side(shared, static_cast<std::size_t>(theirs), "b"));
      ASSERT_TRUE(found.proof.has_value());
      EXPECT_EQ(found.proof->fork_point, shared);
      EXPECT_TRUE(VerifyForkProof(*found.proof).ok());
      const auto again = DecodeForkProof(EncodeForkProof(*found.proof));
      ASSERT_TRUE(again.ok()) << again.status();
      EXPECT_EQ(*again, *found.proof);
      EXPECT_LE(turns, 30);
    }
  }
}

TEST_F(BranchHeadTest, F1_ABranchThatExtendsTheOtherIsNoFork) {
  for (const std::size_t more : {0, 1, 300, 1500}) {
    const auto found = Find(Side(500, 0, "a"), Side(500, more, "b")).first;
    EXPECT_FALSE(found.proof || found.look_from) << more;
    const auto back = Find(Side(500, more, "a"), Side(500, 0, "b")).first;
    EXPECT_FALSE(back.proof || back.look_from) << more;
  }
}

TEST_F(BranchHeadTest, Attack30_ARaisedForkCounterIsProofEvenOfTheSameBlocks) {
  const ForkSide honest = Side(40, 3, "a");
  for (const auto& [ours, theirs] : {std::pair{honest, Side(40, 0, "b", 1)},
                                     std::pair{Side(40, 0, "b", 1), honest}}) {
    const auto found = Find(ours, theirs).first;
    ASSERT_TRUE(found.proof.has_value());
    EXPECT_EQ(found.proof->fork_point, 40U);
    EXPECT_TRUE(VerifyForkProof(*found.proof).ok()) << VerifyForkProof(*found.proof);
  }
}

TEST_F(BranchHeadTest, AHeadThatIsCutShortLongerOrNotSignedIsRefused) {
  const ForkSide side = Side(10, 300, "a");
  const auto head = MakeBranchHead(keys_.id(), side, 5);
  ASSERT_TRUE(head.ok()) << head.status();
  const Bytes good = EncodeBranchHead(*head);
  for (std::size_t n = 0; n < good.size(); ++n) {
    EXPECT_FALSE(DecodeBranchHead(ByteView(good).first(n)).ok()) << n;
  }
  Bytes longer = good;
  longer.push_back(0);
  EXPECT_FALSE(DecodeBranchHead(longer).ok());
  BranchHead forged = *head;
  EXPECT_TRUE(VerifyBranchHead(keys_.manifest, forged).ok());
  forged.nodes.back().hash.bytes[0] ^= 1;
  EXPECT_EQ(VerifyBranchHead(keys_.manifest, forged).code(),
            absl::StatusCode::kDataLoss);
}

// Neither making a head nor comparing one reads more of a log than it shows.
TEST_F(BranchHeadTest, Attack17_AHeadCostsAsManyNodesAsItShowsHoweverLongTheLog) {
  ForkSide ours = Side(20'000, 0, "a");
  const ForkSide theirs = Side(19'000, 1'500, "b");
  std::size_t looked_up = 0;
  ours.node = [&looked_up, inner = ours.node](std::uint64_t tree_index) {
    ++looked_up;
    return inner(tree_index);
  };
  const auto head = MakeBranchHead(keys_.id(), theirs, 19'000);
  ASSERT_TRUE(head.ok());
  const auto found = CompareBranches(keys_.manifest, ours, *head);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->proof->fork_point, 19'000U);
  EXPECT_LE(looked_up, head->nodes.size() + 64);
  looked_up = 0;
  ASSERT_TRUE(MakeBranchHead(keys_.id(), ours, 0).ok());
  EXPECT_LE(looked_up, 256U + 64U);
}

TEST_F(BranchHeadTest, WhereANodeOfOursIsNotHeldNothingIsSaid) {
  ForkSide ours = Side(40, 1, "a");
  const auto head = MakeBranchHead(keys_.id(), Side(40, 1, "b"), 0);
  ours.node = [](std::uint64_t) { return std::nullopt; };
  EXPECT_TRUE(absl::IsNotFound(MakeBranchHead(keys_.id(), ours, 0).status()));
  EXPECT_TRUE(absl::IsNotFound(CompareBranches(keys_.manifest, ours, *head).status()));
}

}  // namespace
}  // namespace weft
