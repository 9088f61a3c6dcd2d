// Where two branches of a log part, found between two holders of one branch each: what
// one tells of his is enough for the other to prove the fork (rule F1, crdt/fork.h), or
// to say where to look closer. A branch of any length is searched in a logarithmic
// number of turns.
//
// branch_head := core:32 length:varint fork:varint signature:buffer from:varint node*
// node        := size:varint hash:32
// The nodes cover the log from left to right: the roots of its first `from` blocks, the
// leaves of the next 256, and from there the largest aligned subtrees up to `length`.
// Canonical; at most 64 KiB.

#pragma once

#include <functional>
#include <optional>

#include "crdt/fork.h"

namespace weft {

struct BranchHead {
  CoreKey core;
  std::uint64_t length = 0;
  std::uint64_t fork = 0;
  Bytes signature;
  std::uint64_t from = 0;       // < length, or both are 0
  std::vector<TreeNode> nodes;  // indices are filled in by DecodeBranchHead
  bool operator==(const BranchHead&) const = default;
};

// One branch of a log as somebody holds it.
struct ForkSide {
  std::uint64_t length = 0;
  std::uint64_t fork = 0;
  Bytes signature;
  // The node of the log's tree, which lies within `length`; nullopt if it is not held.
  std::function<std::optional<TreeNode>(std::uint64_t tree_index)> node;
};

// Of the branch that `side` holds, looked at closely from block `from` on; a `from`
// beyond its end is moved to where the last 256 blocks begin. Asks for no more nodes
// than the head has.  NOT_FOUND  one of them is not held
absl::StatusOr<BranchHead> MakeBranchHead(const CoreKey& core, const ForkSide& side,
                                          std::uint64_t from);
Bytes EncodeBranchHead(const BranchHead& head);
// INVALID_ARGUMENT  not the one canonical form
absl::StatusOr<BranchHead> DecodeBranchHead(ByteView bytes);
// DATA_LOSS  the owner of the log has not signed it
absl::Status VerifyBranchHead(const Manifest& manifest, const BranchHead& head);

// What the branch is known by.
TreeHash HashOf(const BranchHead& head);

struct BranchComparison {
  std::optional<ForkProof> proof;          // the branches part
  std::optional<std::uint64_t> look_from;  // they part in what is shown from there on
};
// Of a head that was verified. Neither: one branch extends the other.
// NOT_FOUND  a node of ours that tells is not held
absl::StatusOr<BranchComparison> CompareBranches(const Manifest& manifest,
                                                 const ForkSide& ours,
                                                 const BranchHead& theirs);

}  // namespace weft
