// Two holders of a branch each find the fork between them (rule F1, attacks 30 and 31).

#include "crdt/branch_head.h"

#include <gtest/gtest.h>

#include "tests/crdt/authors.h"

namespace weft {
namespace {

class BranchHeadTest : public testing::Test {
 protected:
  // `shared` blocks, then `more` that only this branch has.
  ForkSide Side(std::size_t shared, std::size_t more, const std::string& name,
                std::uint64_t fork = 0) {
    ForkSide side;
    MerkleTree tree;
    for (std::size_t i = 0; i < shared + more; ++i) {
      const std::string block = (i < shared ? "shared" : name) + std::to_string(i);
      bool first = true;
      tree.AppendBlock(AsBytes(block), [&](const TreeNode& node) {
        if (std::exchange(first, false)) side.leaves.push_back(node);
      });
    }
    side.fork = fork;
    side.signature = SignTree(keys_.manifest, keys_.id(), keys_.pair.secret_key,
                              tree.hash(), shared + more, fork);
    return side;
  }
  BranchHead Told(const ForkSide& side, std::uint64_t from) {
    const Bytes bytes = EncodeBranchHead(MakeBranchHead(keys_.id(), side, from));
    const auto head = DecodeBranchHead(bytes);
    EXPECT_TRUE(head.ok()) << head.status();
    return *head;
  }
  // What the two find out, and in how many turns.
  std::pair<BranchComparison, int> Find(const ForkSide& ours, const ForkSide& theirs) {
    std::uint64_t from = theirs.leaves.size();
    for (int turns = 1;; ++turns) {
      const auto found = CompareBranches(keys_.manifest, ours, Told(theirs, from));
      EXPECT_TRUE(found.ok()) << found.status();
      if (!found->look_from || turns == 100) return {*found, turns};
      from = *found->look_from;
    }
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
  const Bytes good = EncodeBranchHead(MakeBranchHead(keys_.id(), side, 5));
  for (std::size_t n = 0; n < good.size(); ++n) {
    EXPECT_FALSE(DecodeBranchHead(ByteView(good).first(n)).ok()) << n;
  }
  Bytes longer = good;
  longer.push_back(0);
  EXPECT_FALSE(DecodeBranchHead(longer).ok());
  BranchHead forged = Told(side, 5);
  forged.nodes.back().hash.bytes[0] ^= 1;
  EXPECT_EQ(CompareBranches(keys_.manifest, side, forged).status().code(),
            absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace weft
