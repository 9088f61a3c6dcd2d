// The bytes under the view root, against weft-view.json: a fixed history, and what
// make_weft_view.py computed from docs/formats.md for each key it leaves.

#include <gmock/gmock.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "crdt/causal_graph.h"
#include "crdt/view_leaf.h"
#include "engine/trie_node.h"
#include "engine/trie_proof.h"
#include "tests/crdt/replica.h"

namespace weft {
namespace {

nlohmann::json ViewVectors() {
  std::ifstream file(std::string(WEFT_VECTORS_DIR) + "/weft-view.json");
  WEFT_CHECK(file.good());
  return nlohmann::json::parse(file);
}

Bytes FromText(const nlohmann::json& text) {
  return *FromHex(text.get<std::string>());
}

Genesis GenesisOf(const nlohmann::json& vectors) {
  auto genesis = DecodeGenesis(FromText(vectors["genesis"]));
  WEFT_CHECK(genesis.ok());
  return *std::move(genesis);
}

void HoldAll(Replica& reader, const nlohmann::json& vectors) {
  for (const auto& log : vectors["logs"]) {
    std::vector<Bytes> blocks;
    for (const auto& block : log["blocks"]) blocks.push_back(FromText(block));
    reader.Hold(*CoreKey::From(FromText(log["key"])), blocks);
  }
}

TEST(ViewVectors, V1_AFixedHistoryHasTheLeavesTheRootAndTheDigestOfTheGrammar) {
  const nlohmann::json vectors = ViewVectors();
  Replica reader(GenesisOf(vectors), CoreKey{});
  HoldAll(reader, vectors);
  std::vector<std::string> keys;
  int nested = 0;
  for (const auto& entry : vectors["entries"]) {
    const Bytes key = FromText(entry["key"]);
    keys.emplace_back(AsText(key));
    const auto lanes = reader.indexer().LeafLanes(keys.back());
    ASSERT_TRUE(lanes.ok()) << keys.back();
    EXPECT_EQ(ToHex(*lanes), entry["lanes"]) << keys.back();
    EXPECT_EQ(ToHex(TrieLeafHash(key, *lanes).view()), entry["leaf"]) << keys.back();
    nested += (*lanes)[1] == 1 ? 1 : 0;
  }
  EXPECT_EQ(nested, 2) << "a register and a record too long for a leaf";
  EXPECT_EQ(reader.Keys(), keys);
  EXPECT_EQ(ToHex(reader.Root().view()), vectors["root"]);
  EXPECT_EQ(ToHex(reader.Digest().view()), vectors["digest"]);
}

TEST(ViewVectors, V2_EveryKeyIsProvenToBeThereWithItsLanesOrNotToBeThere) {
  const nlohmann::json vectors = ViewVectors();
  Replica reader(GenesisOf(vectors), CoreKey{}, {.flush_ops = 3, .cache_keys_max = 0});
  HoldAll(reader, vectors);
  const Hash32 root = reader.Root();
  for (const auto& entry : vectors["entries"]) {
    const Bytes key = FromText(entry["key"]);
    const auto proof = reader.indexer().Prove(AsText(key));
    ASSERT_TRUE(proof.ok());
    const auto lanes = CheckTrieProof(root, key, *proof);
    ASSERT_TRUE(lanes.ok() && lanes->has_value());
    EXPECT_EQ(ToHex(**lanes), entry["lanes"]);
  }
  const auto absent = reader.indexer().Prove("gone");
  ASSERT_TRUE(absent.ok());
  const auto lanes = CheckTrieProof(root, AsBytes("gone"), *absent);
  ASSERT_TRUE(lanes.ok());
  EXPECT_FALSE(lanes->has_value());
}

TEST(ViewVectors, V1_ARootIsTheSameAfterEveryRowWasStoredAndReadBack) {
  const nlohmann::json vectors = ViewVectors();
  Replica reader(GenesisOf(vectors), CoreKey{}, {.flush_ops = 3, .cache_keys_max = 0});
  HoldAll(reader, vectors);
  ASSERT_TRUE(reader.indexer().Flush().ok());
  reader.Reopen();
  EXPECT_EQ(ToHex(reader.Root().view()), vectors["root"]);
  EXPECT_EQ(ToHex(reader.Digest().view()), vectors["digest"]);
  EXPECT_EQ(reader.Keys().size(), vectors["entries"].size());
}

TEST(ViewVectors, V1_AViewOfNothingHasTheEmptyRoot) {
  const nlohmann::json vectors = ViewVectors();
  Replica reader(GenesisOf(vectors), CoreKey{});
  EXPECT_EQ(reader.Root(), EmptyTrieRoot());
}

TEST(ViewRows, ADamagedRowOfAKeyIsRefusedAndNeverRunsPastItsEnd) {
  KeyState state;
  state.value.Apply({{{0, 1, 2}, 77}, true, std::string("\x04hello", 6)},
                    CausalGraph(nullptr, 0));
  state.last_op = 9;
  const Bytes row = EncodeKeyState(state);
  ASSERT_TRUE(DecodeKeyState(row, 1).ok());
  EXPECT_FALSE(DecodeKeyState(row, 0).ok()) << "a writer the table does not have";
  for (std::size_t size = 0; size < row.size(); ++size) {
    EXPECT_FALSE(DecodeKeyState(ByteView(row).first(size), 1).ok()) << size;
  }
}

}  // namespace
}  // namespace weft
