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

// Of the branch that `side` holds, looked at closely from block `from` on; a `from`
// beyond its end is moved to where the last 256 blocks begin.
BranchHead MakeBranchHead(const CoreKey& core, const ForkSide& side,
                          std::uint64_t from);
Bytes EncodeBranchHead(const BranchHead& head);
// INVALID_ARGUMENT  not the one canonical form
absl::StatusOr<BranchHead> DecodeBranchHead(ByteView bytes);

struct BranchComparison {
  std::optional<ForkProof> proof;          // the branches part
  std::optional<std::uint64_t> look_from;  // they part in what is shown from there on
};
// Neither: one branch extends the other.
// DATA_LOSS  the signature of `theirs` does not hold
absl::StatusOr<BranchComparison> CompareBranches(const Manifest& manifest,
                                                 const ForkSide& ours,
                                                 const BranchHead& theirs);

}  // namespace weft
