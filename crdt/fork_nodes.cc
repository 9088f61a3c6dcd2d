#include "crdt/fork_nodes.h"

#include <bit>

#include "engine/flat_tree.h"

namespace weft {

void AppendCover(std::uint64_t from, std::uint64_t to,
                 std::vector<std::uint64_t>* indices) {
  for (std::uint64_t at = from; at < to;) {
    int depth = at == 0 ? flat_tree::kDepthMax : std::countr_zero(at);
    while (std::uint64_t{1} << depth > to - at) --depth;
    indices->push_back(flat_tree::Index(depth, at >> depth));
    at += std::uint64_t{1} << depth;
  }
}

std::vector<std::uint64_t> BranchNodes(std::uint64_t fork_point, std::uint64_t length) {
  std::vector<std::uint64_t> indices;
  if (fork_point == length) return indices;
  indices.push_back(2 * fork_point);
  AppendCover(fork_point + 1, length, &indices);
  return indices;
}

std::vector<TreeNode> RootsWith(std::vector<TreeNode> roots,
                                std::span<const TreeNode> nodes) {
  for (TreeNode node : nodes) {
    while (!roots.empty() &&
           flat_tree::Sibling(node.tree_index) == roots.back().tree_index) {
      node = MerkleTree::Join(roots.back(), node);
      roots.pop_back();
    }
    roots.push_back(node);
  }
  return roots;
}

void WriteNodes(std::span<const TreeNode> nodes, Writer& out) {
  for (const TreeNode& node : nodes) {
    out.Uint(node.size);
    out.Raw(node.hash.view());
  }
}

bool ReadNodes(std::span<const std::uint64_t> indices, Reader& in,
               std::vector<TreeNode>* nodes) {
  for (const std::uint64_t tree_index : indices) {
    TreeNode node;
    node.tree_index = tree_index;
    node.size = in.CanonicalUint();
    node.hash = in.Fixed<TreeHash>();
    if (!in.ok() || node.size >= std::uint64_t{1} << 46) return false;
    nodes->push_back(node);
  }
  return true;
}

}  // namespace weft
