// The costly part of checking proofs, which needs no core and so may be done on any
// thread beforehand: the hashes of blocks and the signature of an upgrade.
//
// What is found is kept inside the proof, in fields that no decoder fills, and
// Hypercore::Apply uses it only where it is about the very same bytes. Whether a proof
// is right is still decided there.

#pragma once

#include <optional>

#include "engine/manifest.h"
#include "engine/merkle_tree.h"
#include "engine/proof.h"

namespace weft {

// What the core was when the proofs were asked for. A value of its own.
struct ProofContext {
  CoreKey key;
  std::optional<Manifest> manifest;
  MerkleTree tree;
  std::uint64_t fork = 0;
};

// Names what a signature was checked against.
Hash32 SignedTreeDigest(const CoreKey& key, const MerkleTree& tree, std::uint64_t fork,
                        ByteView signature);

void CheckAhead(const ProofContext& context, Proof& proof);

}  // namespace weft
