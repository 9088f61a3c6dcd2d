// Fork proofs (rule F1): two heads of one log that its owner signed and that cannot
// both be honest. A proof proves itself; anybody may make or pass on one.
//
// fork_proof := version:u8=1 core:32 manifest:buffer fork_point:varint
//               root:node* branch branch [block:buffer]
//                                               as many roots as fork_point has
// branch     := length:varint fork:varint signature:buffer [node:node*]
// node       := size:varint hash:32
// The roots are those of the prefix of fork_point blocks, which both branches share.
// The nodes of a branch cover its blocks from fork_point on, left to right: the leaf of
// block fork_point first, then the largest aligned subtrees; none if the branch has
// just fork_point blocks. With fork 0 on both sides both have that leaf and it differs;
// otherwise one side has fork > 0, which a writer's log never has (S3), and comes
// second. `block` is there only with fork_point 0: block 0 of one of the branches,
// which says whose the log is if it is a later incarnation (S2) and nothing of it need
// survive; its leaf is the first node of that branch. Canonical, at most 64 KiB.

#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/manifest.h"
#include "engine/merkle_tree.h"
#include "engine/status.h"

namespace weft {

inline constexpr std::size_t kForkProofBytesMax = 64 * 1024;

struct ForkBranch {
  std::uint64_t length = 0;
  std::uint64_t fork = 0;
  Bytes signature;
  std::vector<TreeNode> nodes;  // indices are filled in by DecodeForkProof
  bool operator==(const ForkBranch&) const = default;
};

struct ForkProof {
  CoreKey core;
  Manifest manifest;
  std::uint64_t fork_point = 0;  // blocks that both branches share
  std::vector<TreeNode> roots;   // of those
  ForkBranch a;
  ForkBranch b;
  Bytes first_block;  // empty: none
  bool operator==(const ForkProof&) const = default;
};

Bytes EncodeForkProof(const ForkProof& proof);
// INVALID_ARGUMENT  not the one canonical form, or of another version
absl::StatusOr<ForkProof> DecodeForkProof(ByteView bytes);

// INVALID_ARGUMENT  the manifest is not the core's, or the branches show no fork
// DATA_LOSS         a signature does not hold
absl::Status VerifyForkProof(const ForkProof& proof);

}  // namespace weft
