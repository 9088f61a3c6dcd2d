// Proofs against the root of a canonical Merkle trie: that a key is there with these
// lanes, or that it is not there (rule V2).
//
//   proof := branch_count:uint (branch:buffer)* (00 | 01 leaf:buffer)
//
// A proof is the branches on the way of the key from the root down, and the leaf at
// the end of the way if there is one: the key's own, or another key's, which then
// shows that nothing else lies there. A checker believes nothing but the root.

#pragma once

#include "engine/trie.h"
#include "engine/trie_node.h"

namespace weft {

struct TrieProof {
  std::vector<Bytes> branches;  // encoded, the topmost first
  std::optional<Bytes> leaf;    // encoded
  bool operator==(const TrieProof&) const = default;
};

Bytes EncodeTrieProof(const TrieProof& proof);
// INVALID_ARGUMENT  not a proof
absl::StatusOr<TrieProof> DecodeTrieProof(ByteView bytes);

// The lanes of the key under this root, or nullopt: the key is not there. Pure; any
// bytes are safe to check.
// DATA_LOSS  the proof does not show the one or the other
absl::StatusOr<std::optional<Bytes>> CheckTrieProof(const Hash32& root, ByteView key,
                                                    const TrieProof& proof);

// What hangs at a place of the trie: for walking two tries side by side.
struct TrieSlot {
  enum class Kind : std::uint8_t { kEmpty, kBranch, kLeaf };
  Kind kind = Kind::kEmpty;
  NibblePath way;     // from the root to the branch, or the whole key of the leaf
  Hash32 hash;        // of the branch or leaf; of `empty` if there is none
  TrieBranch branch;  // if it is one
};

}  // namespace weft
