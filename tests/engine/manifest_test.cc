// Vectors: tests/vectors/keys.json, signatures.json and merkle.json, made by the real
// packages.

#include "engine/manifest.h"

#include "engine/merkle_tree.h"
#include "tests/engine/core_fixture.h"

namespace weft {
namespace {

MerkleTree TreeOf(const std::vector<Bytes>& blocks) {
  MerkleTree tree;
  for (const Bytes& block : blocks) tree.AppendBlock(block, [](const TreeNode&) {});
  return tree;
}

TEST(Manifest, KeysDiscoveryKeysAndTextIdsAreThoseOfTheVectors) {
  const auto json = VectorFile("keys.json");
  EXPECT_EQ(ToHex(DefaultNamespace().view()),
            json["namespaces"]["DEFAULT_NAMESPACE"].get<std::string>());
  for (const auto& entry : json["keyPairs"]) {
    const KeyPair pair = KeyPairFromSeed(HexFixed<Seed>(entry["seed"]));
    EXPECT_EQ(pair.public_key, HexFixed<PublicKey>(entry["publicKey"]));
    EXPECT_EQ(pair.secret_key, HexFixed<SecretKey>(entry["secretKey"]));
  }
  for (const auto& entry : json["discoveryKeys"]) {
    EXPECT_EQ(DiscoveryKeyOf(HexFixed<CoreKey>(entry["key"])),
              HexFixed<DiscoveryKey>(entry["discoveryKey"]));
  }
  const auto compat = HexFixed<CoreKey>(json["compat"]["key"]);
  EXPECT_EQ(KeyOf(CompatManifest(compat)), compat);
}

TEST(Manifest, EveryManifestOfTheVectorsDecodesAndEncodesToTheSameBytesAndKey) {
  for (const auto& entry : VectorFile("keys.json", "manifests")) {
    SCOPED_TRACE(entry["name"].get<std::string>());
    const auto manifest = DecodeManifest(HexBytes(entry["encoded"]));
    ASSERT_TRUE(manifest.ok());
    EXPECT_EQ(ToHex(EncodeManifest(*manifest)), entry["encoded"].get<std::string>());
    const CoreKey key = KeyOf(*manifest);
    EXPECT_EQ(ToHex(key.view()), entry["key"].get<std::string>());
    EXPECT_EQ(ToHex(DiscoveryKeyOf(key).view()),
              entry["discoveryKey"].get<std::string>());
    EXPECT_EQ(ToZBase32(key.view()), entry["z32"].get<std::string>());
    const auto& fields = entry["fields"];
    EXPECT_EQ(manifest->version, fields["version"].get<std::uint64_t>());
    EXPECT_EQ(manifest->quorum, fields["quorum"].get<std::uint64_t>());
    EXPECT_EQ(manifest->allow_patch, fields["allowPatch"].get<bool>());
    EXPECT_EQ(manifest->signers.size(), fields["signers"].size());
    EXPECT_EQ(manifest->prologue.has_value(), !fields["prologue"].is_null());
  }
}

TEST(Manifest, AManifestCutShortOrOfAnotherVersionIsRefused) {
  for (const auto& entry : VectorFile("keys.json", "manifests")) {
    const Bytes whole = HexBytes(entry["encoded"]);
    for (std::size_t size = 0; size < whole.size(); ++size) {
      EXPECT_FALSE(DecodeManifest(ByteView(whole).first(size)).ok());
    }
    Bytes newer = whole;
    newer[0] = 4;
    EXPECT_FALSE(DecodeManifest(newer).ok());
  }
}

TEST(Signatures, SignablesAndSignaturesAreThoseOfTheVectors) {
  const KeyPair pair = PairOfSeed(1);
  for (const auto& entry : VectorFile("signatures.json", "cores")) {
    SCOPED_TRACE(entry["name"].get<std::string>());
    if (!entry.contains("publicKey")) continue;  // those are in the next test
    const auto key = HexFixed<CoreKey>(entry["key"]);
    const Manifest manifest = entry["compat"].get<bool>()
                                  ? CompatManifest(key)
                                  : *DecodeManifest(HexBytes(entry["manifestEncoded"]));
    const MerkleTree tree = TreeOf(BlocksOf(entry, entry["length"]));
    const std::uint64_t fork = entry["fork"];
    EXPECT_EQ(KeyOf(manifest), key);
    EXPECT_EQ(ToHex(tree.hash().view()), entry["treeHash"].get<std::string>());
    EXPECT_EQ(ToHex(TreeSignable(manifest, key, tree.hash(), tree.length(), fork)),
              entry["signable"].get<std::string>());
    const Bytes signature =
        SignTree(manifest, key, pair.secret_key, tree.hash(), tree.length(), fork);
    EXPECT_EQ(ToHex(signature), entry["storedSignature"].get<std::string>());
    EXPECT_TRUE(
        VerifyTree(manifest, key, tree.roots(), tree.length(), fork, signature));
    EXPECT_FALSE(
        VerifyTree(manifest, key, tree.roots(), tree.length(), fork + 1, signature));
  }
}

TEST(Signatures, ATruncatedCoreSignsAsInTheVectors) {
  for (const auto& entry : VectorFile("signatures.json", "cores")) {
    if (entry.contains("publicKey")) continue;
    SCOPED_TRACE(entry["name"].get<std::string>());
    TestStore store;
    const KeyPair pair = PairOfSeed(1);
    const auto core = *store.cores->OpenOwn(SingleSigner(pair.public_key), pair);
    ASSERT_TRUE(AppendAll(*core, BlocksByRule(0, 10)).ok());
    while (core->fork() < entry["fork"].get<std::uint64_t>()) {
      ASSERT_TRUE(core->Truncate(entry["length"]).ok());
    }
    EXPECT_EQ(ToHex(core->signature()), entry["storedSignature"].get<std::string>());
    EXPECT_EQ(ToHex(core->tree_hash().view()), entry["treeHash"].get<std::string>());
  }
}

TEST(Signatures, EverySignableOfTheEmptyNamespaceIsThatOfTheVectors) {
  for (const auto& list : VectorFile("merkle.json", "lists")) {
    const auto tree = HexFixed<TreeHash>(list["treeHash"]);
    const std::uint64_t length = list["length"];
    EXPECT_EQ(
        ToHex(TreeSignable(SingleSigner(PublicKey{}), CoreKey{}, tree, length, 0)),
        list["signableForAllZeroManifestHash"].get<std::string>());
    EXPECT_EQ(
        ToHex(TreeSignable(CompatManifest(CoreKey{}), CoreKey{}, tree, length, 0)),
        list["signableCompat"].get<std::string>());
  }
}

TEST(Signatures, TwoOfThreeHoldWithAndWithoutAPatchAndNoAlteredBitDoes) {
  for (const auto& entry : VectorFile("signatures.json", "multisig")) {
    SCOPED_TRACE(entry["name"].get<std::string>());
    const auto manifest = *DecodeManifest(HexBytes(entry["manifestEncoded"]));
    const auto key = HexFixed<CoreKey>(entry["key"]);
    EXPECT_EQ(KeyOf(manifest), key);
    auto blocks = BlocksOf(entry, 0);
    blocks.resize(entry["coreLength"]);
    const MerkleTree tree = TreeOf(blocks);
    const Bytes signature = HexBytes(entry["signature"]);
    const auto holds = [&](ByteView candidate) {
      return VerifyTree(manifest, key, tree.roots(), tree.length(), 0, candidate);
    };
    EXPECT_TRUE(holds(signature));
    for (std::size_t bit = 0; bit < signature.size() * 8; bit += 3) {
      Bytes altered = signature;
      altered[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
      EXPECT_FALSE(holds(altered)) << "bit " << bit;
    }
    EXPECT_FALSE(holds(ByteView(signature).first(signature.size() - 1)));
  }
}

// Attack 23: nodes that no patch needs would be found by looking at all of them.
TEST(Signatures, Attack23_ANodeThatNoPatchNeedsOrThatIsThereTwiceIsRefused) {
  const auto list = VectorFile("signatures.json", "multisig");
  const auto entry = *std::ranges::find(list, "2-of-3 with patch", [](const auto& one) {
    return one["name"].template get<std::string>();
  });
  const auto manifest = *DecodeManifest(HexBytes(entry["manifestEncoded"]));
  auto blocks = BlocksOf(entry, 0);
  blocks.resize(entry["coreLength"]);
  const MerkleTree tree = TreeOf(blocks);
  const Bytes signature = HexBytes(entry["signature"]);
  const auto holds = [&](ByteView candidate) {
    return VerifyTree(manifest, KeyOf(manifest), tree.roots(), tree.length(), 0,
                      candidate);
  };
  ASSERT_TRUE(holds(signature));
  // Two inputs of 66 bytes stand between the two counts.
  constexpr std::size_t kCount = 1 + 2 * 66;
  Bytes longer = signature;
  ++longer[kCount];
  longer.insert(longer.end(), 34, 0);
  EXPECT_FALSE(holds(longer)) << "node 0, of which no patch speaks";
  longer = signature;
  ++longer[kCount];
  const Bytes node(signature.begin() + kCount + 1, signature.begin() + kCount + 35);
  longer.insert(longer.end(), node.begin(), node.end());
  EXPECT_FALSE(holds(longer)) << "the first node again";
}

TEST(Signatures, AVersionZeroCoreOfManySignersHasAContainerOfItsOwn) {
  Manifest manifest;
  manifest.version = 0;
  manifest.type = 2;
  manifest.quorum = 1;
  const KeyPair pair = PairOfSeed(3);
  manifest.signers = {{DefaultNamespace(), pair.public_key}};
  manifest.allow_patch = true;
  const CoreKey key = KeyOf(manifest);
  const MerkleTree tree = TreeOf(BlocksByRule(0, 5));
  const Bytes signature =
      SignTree(manifest, key, pair.secret_key, tree.hash(), tree.length(), 0);
  EXPECT_TRUE(VerifyTree(manifest, key, tree.roots(), 5, 0, signature));
  EXPECT_FALSE(VerifyTree(manifest, key, tree.roots(), 5, 1, signature));
}

TEST(Signatures, APrologueHoldsWithoutASignatureAtItsLengthOnly) {
  const MerkleTree tree = TreeOf(BlocksByRule(0, 5));
  Manifest manifest;
  manifest.quorum = 0;
  manifest.prologue = Prologue{tree.hash(), 5};
  const CoreKey key = KeyOf(manifest);
  EXPECT_TRUE(VerifyTree(manifest, key, tree.roots(), 5, 0, {}));
  const MerkleTree shorter = TreeOf(BlocksByRule(0, 4));
  EXPECT_FALSE(VerifyTree(manifest, key, shorter.roots(), 4, 0, {}));
  const MerkleTree longer = TreeOf(BlocksByRule(0, 6));
  EXPECT_FALSE(VerifyTree(manifest, key, longer.roots(), 6, 0, {}));
}

}  // namespace
}  // namespace weft
