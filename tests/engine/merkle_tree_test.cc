// Vectors: tests/vectors/merkle.json and proofs.json, made by the real packages.

#include "engine/merkle_tree.h"

#include <map>

#include "engine/codec.h"
#include "tests/engine/core_fixture.h"

namespace weft {
namespace {

// Every node of a log, from nothing but its blocks.
class MapNodes final : public NodeSource {
 public:
  explicit MapNodes(const std::vector<Bytes>& blocks) {
    for (const Bytes& block : blocks) {
      tree.AppendBlock(block,
                       [this](const TreeNode& node) { nodes[node.tree_index] = node; });
    }
  }
  absl::StatusOr<std::optional<TreeNode>> Find(std::uint64_t index) const override {
    const auto found = nodes.find(index);
    if (found == nodes.end()) return std::optional<TreeNode>();
    return std::optional(found->second);
  }

  MerkleTree tree;
  std::map<std::uint64_t, TreeNode> nodes;
};

TEST(MerkleTree, NodesRootsAndTreeHashesAreThoseOfTheVectors) {
  for (const auto& list : VectorFile("merkle.json", "lists")) {
    SCOPED_TRACE(list["name"].get<std::string>());
    const MapNodes built(BlocksOf(list, list["length"]));
    EXPECT_EQ(built.tree.length(), list["length"].get<std::uint64_t>());
    EXPECT_EQ(built.tree.byte_length(), list["byteLength"].get<std::uint64_t>());
    const bool sampled = list.contains("sampleNodes");
    for (const TreeNode& node :
         NodesOf(sampled ? list["sampleNodes"] : list["nodes"])) {
      EXPECT_EQ(built.nodes.at(node.tree_index), node);
    }
    if (!sampled) {
      EXPECT_EQ(built.nodes.size(), list["nodes"].size());
    }
    const auto roots = NodesOf(list["roots"]);
    EXPECT_TRUE(std::ranges::equal(built.tree.roots(), roots));
    EXPECT_EQ(ToHex(built.tree.hash().view()), list["treeHash"].get<std::string>());
    EXPECT_EQ(MerkleTree::FromRoots(roots)->length(), built.tree.length());
  }
}

TEST(FlatTree, TheNumberingIsThatOfTheVectors) {
  const auto json = VectorFile("merkle.json", "flatTree");
  for (const auto& entry : json["fullRoots"]) {
    const flat_tree::FullRoots roots(entry["length"].get<std::uint64_t>());
    EXPECT_EQ(std::vector<std::uint64_t>(roots.begin(), roots.end()),
              entry["roots"].get<std::vector<std::uint64_t>>());
  }
  for (const auto& node : json["nodes"]) {
    const std::uint64_t index = node["index"];
    EXPECT_EQ(flat_tree::Depth(index), node["depth"].get<int>());
    EXPECT_EQ(flat_tree::Parent(index), node["parent"].get<std::uint64_t>());
    EXPECT_EQ(flat_tree::Sibling(index), node["sibling"].get<std::uint64_t>());
    EXPECT_EQ(flat_tree::LeftSpan(index), node["leftSpan"].get<std::uint64_t>());
    EXPECT_EQ(flat_tree::RightSpan(index), node["rightSpan"].get<std::uint64_t>());
    if (node["children"].is_null()) continue;
    EXPECT_EQ(flat_tree::LeftChild(index), node["children"][0].get<std::uint64_t>());
    EXPECT_EQ(flat_tree::RightChild(index), node["children"][1].get<std::uint64_t>());
  }
}

TEST(FlatTree, ParentsAndSpansHoldUpToTheHighestIndex) {
  const std::uint64_t last = flat_tree::kTreeIndexMax;
  EXPECT_EQ(flat_tree::RightSpan(last), last);
  const flat_tree::FullRoots all(flat_tree::kLengthMax);
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(flat_tree::Depth(all[0]), flat_tree::kDepthMax);
  EXPECT_EQ(flat_tree::RightSpan(all[0]), last);
  std::uint64_t cur = last;
  for (int i = 0; i < flat_tree::kDepthMax; ++i) cur = flat_tree::Parent(cur);
  EXPECT_EQ(cur, all[0]);
}

TEST(MerkleTree, RootsThatAreNoRowOfFullRootsAreRefused) {
  const MapNodes built(BlocksByRule(0, 10));
  const TreeNode seven = built.nodes.at(7);
  const TreeNode seventeen = built.nodes.at(17);
  EXPECT_TRUE(MerkleTree::FromRoots(std::vector{seven, seventeen}));
  EXPECT_FALSE(MerkleTree::FromRoots(std::vector{seventeen}));
  EXPECT_FALSE(MerkleTree::FromRoots(std::vector{seventeen, seven}));
  EXPECT_FALSE(MerkleTree::FromRoots(
      std::vector{built.nodes.at(3), built.nodes.at(11), seventeen}));
  TreeNode huge = seventeen;
  huge.size = kUintMax;
  EXPECT_FALSE(MerkleTree::FromRoots(std::vector{seven, huge}));
}

ProofRequest RequestOf(const nlohmann::json& json) {
  ProofRequest request;
  if (const auto& block = json["block"]; !block.is_null()) {
    request.block = BlockRequest{block["index"], block["nodes"]};
  }
  if (const auto& hash = json["hash"]; !hash.is_null()) {
    request.hash = HashRequest{hash["index"], hash["nodes"]};
  }
  if (const auto& seek = json["seek"]; !seek.is_null()) {
    request.seek = SeekRequest{seek["bytes"], seek["padding"]};
  }
  if (const auto& upgrade = json["upgrade"]; !upgrade.is_null()) {
    request.upgrade = UpgradeRequest{upgrade["start"], upgrade["length"]};
  }
  request.manifest = json["manifest"];
  return request;
}

void WriteNodes(Writer& writer, const std::vector<TreeNode>& nodes) {
  writer.Uint(nodes.size());
  for (const TreeNode& node : nodes) {
    writer.Uint(node.tree_index);
    writer.Uint(node.size);
    writer.Raw(node.hash.view());
  }
}

// The body of a `data` message: wire specification, 6.2.
Bytes DataMessage(const Proof& proof, std::uint64_t request_id) {
  Bytes out;
  Writer writer(&out);
  writer.Uint((proof.block ? 1U : 0U) | (proof.hash ? 2U : 0U) |
              (proof.seek ? 4U : 0U) | (proof.upgrade ? 8U : 0U) |
              (proof.manifest ? 16U : 0U));
  writer.Uint(request_id);
  writer.Uint(proof.fork);
  if (proof.block) {
    writer.Uint(proof.block->block_index);
    writer.Buffer(proof.block->value);
    WriteNodes(writer, proof.block->nodes);
  }
  if (proof.hash) {
    writer.Uint(proof.hash->tree_index);
    WriteNodes(writer, proof.hash->nodes);
  }
  if (proof.seek) {
    writer.Uint(proof.seek->byte_offset);
    WriteNodes(writer, proof.seek->nodes);
  }
  if (proof.upgrade) {
    writer.Uint(proof.upgrade->start);
    writer.Uint(proof.upgrade->length);
    WriteNodes(writer, proof.upgrade->nodes);
    WriteNodes(writer, proof.upgrade->additional_nodes);
    writer.Buffer(proof.upgrade->signature);
  }
  if (proof.manifest) writer.Raw(*proof.manifest);
  return out;
}

// The tree before the upgrade of a case.
MerkleTree TreeBefore(const Proof& proof) {
  return MapNodes(BlocksByRule(0, proof.upgrade ? proof.upgrade->start : 0)).tree;
}

void CheckLearned(const Proof& proof, const nlohmann::json& after) {
  CheckedProof checked;
  ASSERT_TRUE(CheckProof(TreeBefore(proof), proof, &checked).ok());
  std::vector<std::uint64_t> learned;
  for (const TreeNode& node : checked.nodes) learned.push_back(node.tree_index);
  EXPECT_EQ(learned, after["computedNodes"].get<std::vector<std::uint64_t>>());
  const MerkleTree tree = checked.upgraded.value_or(MerkleTree());
  EXPECT_EQ(tree.length(), after["length"].get<std::uint64_t>());
  EXPECT_EQ(tree.byte_length(), after["byteLength"].get<std::uint64_t>());
  EXPECT_TRUE(std::ranges::equal(tree.roots(), NodesOf(after["roots"])));
}

TEST(Proofs, AnswersAreThoseOfTheVectorsByteForByteAndTeachTheSameNodes) {
  for (const auto& set : VectorFile("proofs.json", "sets")) {
    TestStore store;
    const KeyPair pair = PairOfSeed(1);
    const auto core = *store.cores->OpenOwn(SingleSigner(pair.public_key), pair);
    EXPECT_EQ(ToHex(core->key().view()), set["key"].get<std::string>());
    ASSERT_TRUE(AppendAll(*core, BlocksByRule(0, set["length"])).ok());
    EXPECT_EQ(ToHex(core->signature()), set["signature"].get<std::string>());
    for (const auto& test : set["cases"]) {
      SCOPED_TRACE(test["request"].dump() + " of length " + set["length"].dump());
      const auto proof = core->Prove(RequestOf(test["request"]));
      if (test.contains("error")) {
        const bool absent = test["error"].get<std::string>().starts_with("block not");
        EXPECT_EQ(proof.status().code(), absent ? absl::StatusCode::kNotFound
                                                : absl::StatusCode::kInvalidArgument);
        continue;
      }
      ASSERT_TRUE(proof.ok()) << proof.status();
      EXPECT_EQ(ToHex(DataMessage(*proof, test["request"]["id"])),
                test["dataMessage"].get<std::string>());
      CheckLearned(*proof, test.contains("afterVerifyFromStart")
                               ? test["afterVerifyFromStart"]
                               : test["afterVerifyFromEmpty"]);
    }
  }
}

TEST(Proofs, RequestsThatNoLogCouldAnswerAreRefused) {
  const MapNodes built(BlocksByRule(0, 10));
  const auto code = [&built](const ProofRequest& request) {
    return BuildProof(built, 10, request).status().code();
  };
  const auto invalid = absl::StatusCode::kInvalidArgument;
  EXPECT_EQ(code({.block = BlockRequest{~std::uint64_t{0}, 0}}), invalid);
  EXPECT_EQ(code({.block = BlockRequest{0, ~std::uint64_t{0}}}), invalid);
  EXPECT_EQ(code({.hash = HashRequest{~std::uint64_t{0}, 0}}), invalid);
  EXPECT_EQ(code({.upgrade = UpgradeRequest{~std::uint64_t{0}, 2}}), invalid);
  EXPECT_EQ(code({.upgrade = UpgradeRequest{1, ~std::uint64_t{0}}}), invalid);
  // A block at or beyond the end of the upgrade it is asked with.
  EXPECT_EQ(code({.block = BlockRequest{8, 0}, .upgrade = UpgradeRequest{0, 8}}),
            invalid);
  // A seek and a block that both lie in the upgrade.
  EXPECT_EQ(code({.block = BlockRequest{8, 0},
                  .seek = SeekRequest{5, 0},
                  .upgrade = UpgradeRequest{4, 6}}),
            invalid);
  EXPECT_EQ(code({.hash = HashRequest{0, 2}, .seek = SeekRequest{150, 0}}), invalid);
  EXPECT_EQ(code({.hash = HashRequest{7, 0}, .seek = SeekRequest{60, 100}}), invalid);
  EXPECT_EQ(code({.hash = HashRequest{23, 0}}), absl::StatusCode::kNotFound);
}

TEST(Proofs, SizesThatNoHashPinsDownAreToldApart) {
  const MapNodes built(BlocksByRule(0, 8));
  auto proof = *BuildProof(built, 8, {.hash = HashRequest{2, 2}});
  // The split between two neighbours moves, the sum their parent covers does not.
  proof.hash->nodes[0].size += 1;
  proof.hash->nodes[1].size -= 1;
  CheckedProof checked;
  ASSERT_TRUE(CheckProof(MerkleTree(), proof, &checked).ok());
  EXPECT_EQ(*checked.anchor, built.nodes.at(3));
  EXPECT_EQ(checked.unproven, (std::vector<std::uint64_t>{2, 0}));
  for (const TreeNode& node : checked.nodes) {
    if (std::ranges::count(checked.unproven, node.tree_index) == 0) {
      EXPECT_EQ(node, built.nodes.at(node.tree_index));
    }
  }
}

TEST(Proofs, MoreNodesThanATreeHasLevelsAreRefusedBeforeHashing) {
  Proof proof;
  proof.block = BlockProof{0, {}, std::vector<TreeNode>(1000)};
  CheckedProof checked;
  EXPECT_EQ(CheckProof(MerkleTree(), proof, &checked).code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace weft
