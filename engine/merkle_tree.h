// The Merkle tree over a log: appending to it, proving from it, and checking proofs.
//
// Nothing here stores or signs. A tree is its roots; other nodes come from a
// NodeSource, and what a proof teaches goes out as a list of nodes. The signature over
// the roots is engine/manifest.h's.
//
// A parent's hash covers the sum of its children's sizes, not each of them. Where both
// children came from a peer and neither was derived, how the sum splits is unproven:
// such nodes are told apart and must not be stored, or a peer could make us hold, and
// later serve, a wrong size under a right hash.
// Source: the wire specification, part 2 and 7.3 to 7.5; tests/vectors/merkle.json,
// proofs.json.

#pragma once

#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "engine/crypto.h"
#include "engine/flat_tree.h"
#include "engine/proof.h"
#include "engine/status.h"

namespace weft {

// Where the nodes of one log's tree are looked up.
class NodeSource {
 public:
  virtual ~NodeSource() = default;
  // The node, or nullopt if it is not held. An error is the disk's.
  virtual absl::StatusOr<std::optional<TreeNode>> Find(
      std::uint64_t tree_index) const = 0;
};

// The roots of a log and what follows from them. A value: copying it is how a change
// is tried before it is kept.
class MerkleTree {
 public:
  MerkleTree() = default;
  // `roots` must have the indices of flat_tree::FullRoots of some length, and sizes
  // whose sum stays below 2^53; nullopt if not.
  static std::optional<MerkleTree> FromRoots(std::span<const TreeNode> roots);

  std::uint64_t length() const { return length_; }            // blocks
  std::uint64_t byte_length() const { return byte_length_; }  // bytes of all blocks
  std::span<const TreeNode> roots() const { return roots_; }
  TreeHash hash() const { return RootsHash(roots_); }

  // Appends a block's leaf and calls `learned` with the leaf and each parent it
  // completes, children first. The caller has checked CanHold.
  template <class F>
  void AppendBlock(ByteView block, F&& learned) {
    TreeNode node{2 * length_, block.size(), LeafHash(block)};
    length_ += 1;
    byte_length_ += block.size();
    learned(node);
    while (!roots_.empty() &&
           flat_tree::Sibling(node.tree_index) == roots_.back().tree_index) {
      node = Join(roots_.back(), node);
      roots_.pop_back();
      learned(node);
    }
    roots_.push_back(node);
  }
  // Whether so many more blocks and bytes keep every index and size in bounds.
  bool CanHold(std::uint64_t blocks, std::uint64_t bytes) const;

  // The parent of two neighbours.
  static TreeNode Join(const TreeNode& left, const TreeNode& right);

 private:
  friend class ProofChecker;

  std::vector<TreeNode> roots_;
  std::uint64_t length_ = 0;
  std::uint64_t byte_length_ = 0;
};

// What a proof says, once all that can be checked without the signature and without
// the nodes already held has been.
struct CheckedProof {
  // Every node seen or derived, in the order learned; some twice.
  std::vector<TreeNode> nodes;
  // Tree indices of those whose size no hash pins down; see above.
  std::vector<std::uint64_t> unproven;
  // The proof hangs on this: the caller must hold a node of that index, hash and size.
  std::optional<TreeNode> anchor;
  // The tree after the upgrade; everything hangs on a signature over its roots.
  std::optional<MerkleTree> upgraded;

  void Clear() {
    nodes.clear();
    unproven.clear();
    anchor.reset();
    upgraded.reset();
  }
};

// Checks `proof` against the tree `own` (the empty tree for a proof of another fork)
// and fills `out`, whose memory is reused.
// INVALID_ARGUMENT  nodes missing, superfluous or in the wrong order, an index or a
//                   size out of bounds, or an upgrade that does not start at own length
absl::Status CheckProof(const MerkleTree& own, const Proof& proof, CheckedProof* out);

// Extends `own` to `length` blocks with nodes looked up by index, in the order of an
// upgrade proof; nullopt if one is missing or the sizes overflow. For the patches of
// a multisignature.
std::optional<MerkleTree> ExtendTree(
    const MerkleTree& own, std::uint64_t length,
    const std::function<std::optional<TreeNode>(std::uint64_t)>& node);

// The nodes of the answer to `request` from a log of `length` blocks; the block's
// value, the signature and the manifest are left for the caller to fill in.
// INVALID_ARGUMENT  a request that no log of this length could answer
// NOT_FOUND         a node it needs is not held, or the block is beyond the log
absl::StatusOr<Proof> BuildProof(const NodeSource& source, std::uint64_t length,
                                 const ProofRequest& request);

// The sum of the sizes of all blocks left of the first leaf below `tree_index`.
// NOT_FOUND  a node it needs is not held
absl::StatusOr<std::uint64_t> ByteOffset(const NodeSource& source, std::uint64_t length,
                                         std::uint64_t tree_index);

}  // namespace weft
