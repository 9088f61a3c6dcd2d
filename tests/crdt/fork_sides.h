// Branches of a log whose owner's keys a test has, and the proof that two of them part.

#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>

#include "crdt/branch_head.h"
#include "engine/check.h"

namespace weft {

inline ForkSide MakeSide(const Manifest& manifest, const KeyPair& pair,
                         std::span<const Bytes> blocks, std::uint64_t fork = 0) {
  auto nodes = std::make_shared<std::map<std::uint64_t, TreeNode>>();
  MerkleTree tree;
  for (const Bytes& block : blocks) {
    tree.AppendBlock(block,
                     [&](const TreeNode& node) { (*nodes)[node.tree_index] = node; });
  }
  ForkSide side;
  side.length = blocks.size();
  side.fork = fork;
  side.signature = SignTree(manifest, KeyOf(manifest), pair.secret_key, tree.hash(),
                            blocks.size(), fork);
  side.node = [nodes](std::uint64_t tree_index) -> std::optional<TreeNode> {
    const auto found = nodes->find(tree_index);
    if (found == nodes->end()) return std::nullopt;
    return found->second;
  };
  return side;
}

// What `ours` finds out by asking the holder of `theirs`, and in how many turns.
inline std::pair<BranchComparison, int> AskForFork(const Manifest& manifest,
                                                   const ForkSide& ours,
                                                   const ForkSide& theirs) {
  std::uint64_t from = theirs.length;
  for (int turns = 1;; ++turns) {
    const auto told = MakeBranchHead(KeyOf(manifest), theirs, from);
    WEFT_CHECK(told.ok());
    const auto head = DecodeBranchHead(EncodeBranchHead(*told));
    WEFT_CHECK(head.ok() && VerifyBranchHead(manifest, *head).ok());
    const auto found = CompareBranches(manifest, ours, *head);
    WEFT_CHECK(found.ok());
    if (!found->look_from || turns == 100) return {*found, turns};
    from = *found->look_from;
  }
}

inline std::optional<ForkProof> FindFork(const Manifest& manifest, const ForkSide& ours,
                                         const ForkSide& theirs) {
  return AskForFork(manifest, ours, theirs).first.proof;
}

}  // namespace weft
