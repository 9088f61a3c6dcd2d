// Proofs of presence and absence, and that no altered one is believed. Rule V2.

#include "engine/trie_proof.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/engine/trie_model.h"

namespace weft {
namespace {

// A view of keys and their lanes, in a trie.
struct View {
  std::map<std::string, std::string> lanes;
  Trie trie;

  void Set(const std::string& key, const std::string& value) {
    lanes[key] = value;
    EXPECT_TRUE(
        trie.Set(AsBytes(key), TrieLeafHash(AsBytes(key), AsBytes(value))).ok());
  }

  TrieProof Prove(const std::string& key) {
    auto proof = trie.Prove(AsBytes(key), [this](ByteView found) {
      return absl::StatusOr<Bytes>(ToBytes(lanes.at(std::string(AsText(found)))));
    });
    EXPECT_TRUE(proof.ok()) << proof.status().ToString();
    return *std::move(proof);
  }

  std::optional<Bytes> Truth(const std::string& key) const {
    const auto found = lanes.find(key);
    if (found == lanes.end()) return std::nullopt;
    return ToBytes(found->second);
  }
};

void Fill(View& view, std::mt19937_64& random, std::size_t count) {
  for (const std::string& key : TrieKeys(random, count)) {
    view.Set(key, std::to_string(random() % 100));
  }
}

TEST(TrieProof, V2_PresenceAndAbsenceAreProvenForEveryKey) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937_64 random(seed);
    View view;
    Fill(view, random, random() % 40);
    auto keys = TrieKeys(random, 40);
    for (const auto& [key, value] : view.lanes) keys.push_back(key);
    const Hash32 root = view.trie.Root();
    for (const std::string& key : keys) {
      const auto sent = DecodeTrieProof(EncodeTrieProof(view.Prove(key)));
      ASSERT_TRUE(sent.ok());
      const auto checked = CheckTrieProof(root, AsBytes(key), *sent);
      ASSERT_TRUE(checked.ok()) << checked.status().ToString();
      ASSERT_EQ(*checked, view.Truth(key));
    }
  }
}

TEST(TrieProof, V2_AProofHasNoMoreBranchesThanTheTrieIsDeep) {
  std::mt19937_64 random(3);
  View view;
  for (int i = 0; i < 4096; ++i) {
    std::string key(8, '\0');
    for (char& c : key) c = static_cast<char>(random());
    view.Set(key, "v");
  }
  for (const auto& [key, value] : view.lanes) {
    ASSERT_LE(view.Prove(key).branches.size(), 8U);
  }
}

// Whatever is changed in a proof, it shows the truth or nothing.
TEST(TrieProofProperty, V2_NoAlteredProofShowsAnythingButTheTruth) {
  int refused = 0;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937_64 random(seed);
    View view;
    View other;
    Fill(view, random, 1 + random() % 20);
    Fill(other, random, 1 + random() % 20);
    auto keys = TrieKeys(random, 10);
    for (const auto& [key, value] : view.lanes) keys.push_back(key);
    const Hash32 root = view.trie.Root();
    for (int attempt = 0; attempt < 40; ++attempt) {
      const std::string& key = keys[random() % keys.size()];
      const std::string& stranger = keys[random() % keys.size()];
      TrieProof proof = view.Prove(random() % 2 == 0 ? key : stranger);
      TrieProof foreign = other.Prove(key);
      switch (random() % 7) {
        case 0:
          if (!proof.branches.empty()) proof.branches.pop_back();
          break;
        case 1:
          proof.leaf.reset();
          break;
        case 2:
          proof.leaf = foreign.leaf;
          break;
        case 3:
          for (Bytes& branch : foreign.branches) proof.branches.push_back(branch);
          break;
        case 4:
          proof.leaf = EncodeTrieLeaf(AsBytes(key), AsBytes("forged"));
          break;
        case 5:
          if (!proof.branches.empty()) proof.branches.erase(proof.branches.begin());
          break;
        default: {
          Bytes bytes = EncodeTrieProof(proof);
          bytes[random() % bytes.size()] ^=
              static_cast<std::uint8_t>(1U << random() % 8);
          const auto decoded = DecodeTrieProof(bytes);
          if (!decoded.ok()) continue;
          proof = *decoded;
        }
      }
      const auto checked = CheckTrieProof(root, AsBytes(key), proof);
      if (checked.ok()) {
        ASSERT_EQ(*checked, view.Truth(key));
      } else {
        ++refused;
        ASSERT_EQ(checked.status().code(), absl::StatusCode::kDataLoss);
      }
    }
  }
  EXPECT_GT(refused, 2000);
}

TEST(TrieProof, ABranchHasOneFormOnly) {
  TrieBranch branch;
  branch.path.Append(std::uint8_t{7});
  branch.child_map = 0x8001;
  branch.children.resize(2);
  const Bytes good = EncodeTrieBranch(branch);
  ASSERT_TRUE(DecodeTrieBranch(good).ok());
  EXPECT_EQ(*DecodeTrieBranch(good), branch);

  Bytes padded = good;
  padded[2] |= 1;  // the nibble after an odd path
  EXPECT_FALSE(DecodeTrieBranch(padded).ok());
  Bytes longer = good;
  longer.push_back(0);
  EXPECT_FALSE(DecodeTrieBranch(longer).ok());
  Bytes wide = good;  // the same count in three bytes
  wide[1] = 0xfd;
  wide.insert(wide.begin() + 2, {1, 0});
  EXPECT_FALSE(DecodeTrieBranch(wide).ok());

  branch.child_map = 1;  // one child and no value is no branch
  branch.children.resize(1);
  EXPECT_FALSE(DecodeTrieBranch(EncodeTrieBranch(branch)).ok());
  branch.value = Hash32{};
  EXPECT_TRUE(DecodeTrieBranch(EncodeTrieBranch(branch)).ok());
}

TEST(TrieProof, ASlotSaysWhatHangsAtAWay) {
  View view;
  for (const char* key : {"ab", "abc", "b"}) view.Set(key, "v");
  const auto slot = [&](std::string_view way) {
    return *view.trie.SlotAt(NibbleView(AsBytes(way)));
  };
  EXPECT_EQ(slot("").kind, TrieSlot::Kind::kBranch);
  EXPECT_EQ(slot("").hash, view.trie.Root());
  EXPECT_EQ(slot("a").kind, TrieSlot::Kind::kBranch);
  EXPECT_EQ(slot("a").way, NibblePath(NibbleView(AsBytes("ab"))));
  EXPECT_EQ(slot("a").branch.value, TrieLeafHash(AsBytes("ab"), AsBytes("v")));
  EXPECT_EQ(slot("abc").kind, TrieSlot::Kind::kLeaf);
  EXPECT_EQ(slot("abcd").kind, TrieSlot::Kind::kEmpty);
  EXPECT_EQ(slot("c").kind, TrieSlot::Kind::kEmpty);
}

}  // namespace
}  // namespace weft
