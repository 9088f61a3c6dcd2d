// The nodes by which a fork proof (crdt/fork.h) or a branch head (crdt/branch_head.h)
// shows a log's tree: which they are, how they are written, and what roots they make.
//
// node := size:varint hash:32

#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/codec.h"
#include "engine/merkle_tree.h"

namespace weft {

// Adds the tree indices of the largest aligned subtrees that cover blocks [from, to),
// left to right; from block 0 on they are the full roots of a log of `to` blocks.
void AppendCover(std::uint64_t from, std::uint64_t to,
                 std::vector<std::uint64_t>* indices);
// What shows a branch of `length` blocks from the fork point on: the leaf there, which
// is what differs, then as AppendCover. Nothing if the branch ends there.
std::vector<std::uint64_t> BranchNodes(std::uint64_t fork_point, std::uint64_t length);

// The roots of a log that has `roots` and, right of them, `nodes`.
std::vector<TreeNode> RootsWith(std::vector<TreeNode> roots,
                                std::span<const TreeNode> nodes);

void WriteNodes(std::span<const TreeNode> nodes, Writer& out);
// Adds a node for each index. False if what remains is too short, or if the sizes could
// overflow a sum.
bool ReadNodes(std::span<const std::uint64_t> indices, Reader& in,
               std::vector<TreeNode>* nodes);

}  // namespace weft
