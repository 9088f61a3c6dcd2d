#include "engine/proof_check.h"

#include "engine/codec.h"

namespace weft {
namespace {

// Leaves `verified` alone if anything is amiss: Apply finds out what.
void CheckUpgrade(const ProofContext& context, Proof& proof) {
  UpgradeProof& upgrade = *proof.upgrade;
  const MerkleTree own = proof.fork == context.fork ? context.tree : MerkleTree();
  CheckedProof checked;
  if (!CheckProof(own, proof, &checked).ok() || !checked.upgraded) return;
  std::optional<Manifest> manifest = context.manifest;
  if (!manifest && proof.manifest) {
    auto decoded = DecodeManifest(*proof.manifest);
    if (!decoded.ok() || KeyOf(*decoded) != context.key) return;
    manifest = *std::move(decoded);
  }
  if (!manifest) manifest = CompatManifest(context.key);
  const MerkleTree& tree = *checked.upgraded;
  if (VerifyTree(*manifest, context.key, tree.roots(), tree.length(), proof.fork,
                 upgrade.signature)) {
    upgrade.verified =
        SignedTreeDigest(context.key, tree, proof.fork, upgrade.signature);
  }
}

}  // namespace

Hash32 SignedTreeDigest(const CoreKey& key, const MerkleTree& tree, std::uint64_t fork,
                        ByteView signature) {
  Bytes numbers;
  Writer writer(&numbers);
  writer.Uint(tree.length());
  writer.Uint(fork);
  return Blake2b256({key.view(), tree.hash().view(), numbers, signature});
}

void CheckAhead(const ProofContext& context, Proof& proof) {
  if (proof.block && !proof.block->leaf) {
    proof.block->leaf = LeafHash(proof.block->value);
  }
  if (proof.upgrade) CheckUpgrade(context, proof);
}

}  // namespace weft
