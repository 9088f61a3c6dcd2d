// Vectors: tests/vectors/weft-trie.json, which make_weft_trie.py writes from the page
// on formats without knowing the engine.

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>

#include "engine/trie.h"
#include "engine/trie_proof.h"
#include "engine/trie_root.h"

namespace weft {
namespace {

nlohmann::json Vectors() {
  std::ifstream file(WEFT_VECTORS_DIR "/weft-trie.json");
  return nlohmann::json::parse(file);
}

Bytes Hex(const nlohmann::json& text) {
  return *FromHex(text.get<std::string>());
}

TEST(TrieVectors, V1_EverySetHasItsRoot) {
  std::mt19937_64 random(1);
  const nlohmann::json sets = Vectors()["sets"];
  for (const auto& set : sets) {
    SCOPED_TRACE(set["name"].get<std::string>());
    std::vector<nlohmann::json> leaves = set["leaves"];
    std::shuffle(leaves.begin(), leaves.end(), random);
    Trie trie;
    for (const auto& leaf : leaves) {
      const Bytes key = Hex(leaf["key"]);
      ASSERT_TRUE(trie.Set(key, TrieLeafHash(key, Hex(leaf["lanes"]))).ok());
    }
    EXPECT_EQ(ToHex(trie.Root().view()), set["root"].get<std::string>());
  }
}

TEST(TrieVectors, V2_EveryProofIsMadeAndBelieved) {
  const nlohmann::json sets = Vectors()["sets"];
  for (const auto& set : sets) {
    SCOPED_TRACE(set["name"].get<std::string>());
    Trie trie;
    std::map<Bytes, Bytes> lanes;
    for (const auto& leaf : set["leaves"]) {
      const Bytes key = Hex(leaf["key"]);
      lanes[key] = Hex(leaf["lanes"]);
      ASSERT_TRUE(trie.Set(key, TrieLeafHash(key, lanes[key])).ok());
    }
    for (const auto& vector : set["proofs"]) {
      const Bytes key = Hex(vector["key"]);
      const auto made = trie.Prove(key, [&](ByteView found) {
        return absl::StatusOr<Bytes>(lanes.at(ToBytes(found)));
      });
      ASSERT_TRUE(made.ok());
      EXPECT_EQ(ToHex(EncodeTrieProof(*made)), vector["proof"].get<std::string>());
      const auto shown = CheckTrieProof(trie.Root(), key, *made);
      ASSERT_TRUE(shown.ok());
      if (vector["lanes"].is_null()) {
        EXPECT_EQ(*shown, std::nullopt);
      } else {
        EXPECT_EQ(*shown, Hex(vector["lanes"]));
      }
    }
  }
}

TEST(TrieVectors, V1_ANestedLaneHasItsRoot) {
  const nlohmann::json nested = Vectors()["nested"];
  std::vector<Bytes> keys;
  for (const auto& entry : nested["items"]) keys.push_back(Hex(entry["key"]));
  std::vector<TrieItem> items;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    items.push_back(
        {keys[i], NestedItemHash(keys[i], Hex(nested["items"][i]["state"]))});
  }
  EXPECT_EQ(ToHex(TrieRoot(items).view()), nested["root"].get<std::string>());
}

}  // namespace
}  // namespace weft
