// Fork proofs: rule F1 and attacks 30 to 32 as far as a proof goes.

#include "crdt/fork.h"

#include <gtest/gtest.h>

#include "tests/crdt/authors.h"
#include "tests/crdt/fork_sides.h"

namespace weft {
namespace {

class ForkTest : public testing::Test {
 protected:
  ForkSide Side(const std::vector<std::string>& texts, std::uint64_t fork = 0) {
    std::vector<Bytes> blocks;
    for (const std::string& text : texts) blocks.push_back(ToBytes(AsBytes(text)));
    return MakeSide(keys_.manifest, keys_.pair, blocks, fork);
  }
  std::vector<std::string> Blocks(std::size_t count, const std::string& tail) {
    std::vector<std::string> blocks;
    for (std::size_t i = 0; i < count; ++i) blocks.push_back("b" + std::to_string(i));
    if (!tail.empty()) blocks.push_back(tail);
    return blocks;
  }

  SeededRandom random_{8};
  IdentityKeys keys_ = MakeIdentity(RandomSalt(random_), random_);
};

TEST_F(ForkTest, F1_AProofShowsWhereTwoBranchesPartWhateverTheirLengths) {
  for (std::size_t shared = 0; shared < 20; ++shared) {
    for (std::size_t more = 0; more < 12; ++more) {
      std::vector<std::string> one = Blocks(shared, "mine");
      std::vector<std::string> other = Blocks(shared, "theirs");
      for (std::size_t i = 0; i < more; ++i) other.push_back("x");
      const auto proof = FindFork(keys_.manifest, Side(one), Side(other));
      ASSERT_TRUE(proof.has_value());
      EXPECT_EQ(proof->fork_point, shared);
      EXPECT_TRUE(VerifyForkProof(*proof).ok()) << VerifyForkProof(*proof);
      const auto again = DecodeForkProof(EncodeForkProof(*proof));
      ASSERT_TRUE(again.ok()) << again.status();
      EXPECT_EQ(*again, *proof);
    }
  }
}

TEST_F(ForkTest, F1_AnExtensionIsNoFork) {
  const ForkSide longer = Side(Blocks(5, "tail"));
  EXPECT_FALSE(FindFork(keys_.manifest, Side(Blocks(5, "")), longer).has_value());
}

TEST_F(ForkTest, Attack30_ARaisedForkCounterIsAProofByItself) {
  const auto proof =
      FindFork(keys_.manifest, Side(Blocks(5, "")), Side(Blocks(3, ""), 1));
  ASSERT_TRUE(proof.has_value());
  EXPECT_EQ(proof->fork_point, 3U);
  EXPECT_TRUE(VerifyForkProof(*proof).ok());
  EXPECT_TRUE(DecodeForkProof(EncodeForkProof(*proof)).ok());
}

TEST_F(ForkTest, F1_EveryDamageIsRefused) {
  const auto proof =
      FindFork(keys_.manifest, Side(Blocks(6, "a")), Side(Blocks(6, "b")));
  ASSERT_TRUE(proof.has_value());
  const Bytes bytes = EncodeForkProof(*proof);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    Bytes damaged = bytes;
    damaged[i] ^= 1;
    const auto decoded = DecodeForkProof(damaged);
    EXPECT_FALSE(decoded.ok() && VerifyForkProof(*decoded).ok()) << "byte " << i;
    EXPECT_FALSE(DecodeForkProof(ByteView(bytes).first(i)).ok());
  }
}

}  // namespace
}  // namespace weft
