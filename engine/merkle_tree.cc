#include "engine/merkle_tree.h"

#include "absl/container/inlined_vector.h"
#include "absl/strings/str_format.h"
#include "engine/codec.h"

namespace weft {
namespace {

// The most nodes any honest list of a proof has: a path up, and a row of roots or
// siblings down, each at most one a level.
constexpr std::size_t kListMax = 2 * flat_tree::kDepthMax + 2;

// A node of a proof while it is being checked. `sized`: its size is pinned by a hash,
// not only claimed beside one.
struct Claimed {
  TreeNode node;
  bool sized = false;
};

bool InBounds(const TreeNode& node) {
  return node.tree_index <= flat_tree::kTreeIndexMax && node.size <= kUintMax;
}

// The nodes of one list of a proof, taken by index and in order. One node from
// elsewhere in the proof may stand in once for a node of the list.
class NodeQueue {
 public:
  NodeQueue(std::span<const TreeNode> nodes, const std::optional<Claimed>& extra)
      : nodes_(nodes), extra_(extra) {}

  bool empty() const { return next_ == nodes_.size() && !extra_; }
  bool list_empty() const { return next_ == nodes_.size(); }
  bool extra_used() const { return !extra_; }

  std::optional<Claimed> Take(std::uint64_t tree_index) {
    if (extra_ && extra_->node.tree_index == tree_index) {
      std::optional<Claimed> result = extra_;
      extra_.reset();
      return result;
    }
    if (next_ == nodes_.size() || nodes_[next_].tree_index != tree_index ||
        !InBounds(nodes_[next_])) {
      return std::nullopt;
    }
    return Claimed{nodes_[next_++], false};
  }

 private:
  std::span<const TreeNode> nodes_;
  std::size_t next_ = 0;
  std::optional<Claimed> extra_;
};

absl::Status Malformed(const char* what) {
  return absl::InvalidArgumentError(absl::StrFormat("proof: %s", what));
}

// The parent of two neighbours in either order, which pins the size of one child by
// that of the other. False if the sum of the sizes is out of bounds.
bool JoinClaimed(Claimed cur, Claimed other, CheckedProof* out, Claimed* parent) {
  if (cur.node.size + other.node.size > kUintMax) return false;
  if (!cur.sized && !other.sized) {
    out->unproven.push_back(cur.node.tree_index);
    out->unproven.push_back(other.node.tree_index);
  }
  const bool in_order = cur.node.tree_index < other.node.tree_index;
  parent->node = in_order ? MerkleTree::Join(cur.node, other.node)
                          : MerkleTree::Join(other.node, cur.node);
  parent->sized = true;
  return true;
}

// Climbs from `cur` by siblings taken from the queue until it is empty.
absl::Status Climb(NodeQueue queue, Claimed cur, CheckedProof* out,
                   std::optional<Claimed>* top) {
  out->nodes.push_back(cur.node);
  while (!queue.empty()) {
    const auto sibling = queue.Take(flat_tree::Sibling(cur.node.tree_index));
    if (!sibling) return Malformed("a sibling is missing or out of order");
    Claimed parent;
    if (!JoinClaimed(cur, *sibling, out, &parent)) return Malformed("sizes overflow");
    if (!InBounds(parent.node)) return Malformed("the path leaves the tree");
    out->nodes.push_back(sibling->node);
    out->nodes.push_back(parent.node);
    cur = parent;
  }
  *top = cur;
  return absl::OkStatus();
}

// Step 1: the block, hash and seek parts meet in one node.
absl::Status CheckSubtree(const Proof& proof, CheckedProof* out,
                          std::optional<Claimed>* top) {
  std::optional<Claimed> seek_root;
  if (proof.seek && !proof.seek->nodes.empty()) {
    const std::span<const TreeNode> nodes = proof.seek->nodes;
    if (!InBounds(nodes[0])) return Malformed("a node is out of bounds");
    WEFT_RETURN_IF_ERROR(Climb(NodeQueue(nodes.subspan(1), std::nullopt),
                               Claimed{nodes[0], false}, out, &seek_root));
  }
  if (proof.block) {
    const BlockProof& block = *proof.block;
    if (block.block_index >= flat_tree::kLengthMax) {
      return Malformed("the block index is out of bounds");
    }
    const TreeNode leaf{2 * block.block_index, block.value.size(),
                        block.leaf ? *block.leaf : LeafHash(block.value)};
    return Climb(NodeQueue(block.nodes, seek_root), Claimed{leaf, true}, out, top);
  }
  if (proof.hash) {
    NodeQueue queue(proof.hash->nodes, seek_root);
    const auto first = queue.Take(proof.hash->tree_index);
    if (!first) return Malformed("the node asked for is missing");
    return Climb(queue, *first, out, top);
  }
  *top = seek_root;
  return absl::OkStatus();
}

absl::Status CheckSizes(const Proof& proof) {
  const auto too_long = [](const std::vector<TreeNode>& nodes) {
    return nodes.size() > kListMax;
  };
  if ((proof.block && too_long(proof.block->nodes)) ||
      (proof.hash && too_long(proof.hash->nodes)) ||
      (proof.seek && too_long(proof.seek->nodes)) ||
      (proof.upgrade &&
       (too_long(proof.upgrade->nodes) || too_long(proof.upgrade->additional_nodes)))) {
    return Malformed("more nodes than any tree has levels");
  }
  return absl::OkStatus();
}

}  // namespace

// Step 2: walks the roots of the longer tree, taking what the shorter one lacks.
class ProofChecker {
 public:
  ProofChecker(const MerkleTree& own, CheckedProof* out) : tree_(own), out_(out) {
    sized_.assign(own.roots_.size(), true);
  }

  // `take` yields the node of an index, or nullopt.
  template <class Take>
  absl::Status Extend(std::uint64_t length, Take&& take) {
    const flat_tree::FullRoots target(length);
    bool grow = !tree_.roots_.empty();
    std::size_t kept = 0;
    for (const std::uint64_t root : target) {
      if (kept < tree_.roots_.size() && tree_.roots_[kept].tree_index == root) {
        ++kept;
        continue;
      }
      if (grow) {
        grow = false;
        if (kept < tree_.roots_.size()) {
          while (tree_.roots_.back().tree_index != root) {
            WEFT_RETURN_IF_ERROR(
                Push(take(flat_tree::Sibling(tree_.roots_.back().tree_index))));
          }
          continue;
        }
      }
      WEFT_RETURN_IF_ERROR(Push(take(root)));
    }
    return absl::OkStatus();
  }

  // What lies beyond the length asked for, up to the one that is signed.
  absl::Status ExtendBeyond(std::span<const TreeNode> nodes) {
    if (nodes.empty()) return absl::OkStatus();
    if (tree_.roots_.empty()) return Malformed("additional nodes on an empty tree");
    std::size_t next = 0;
    std::uint64_t cursor = flat_tree::Sibling(tree_.roots_.back().tree_index);
    while (next < nodes.size() && nodes[next].tree_index == cursor) {
      WEFT_RETURN_IF_ERROR(PushListed(nodes[next++]));
      cursor = flat_tree::Sibling(tree_.roots_.back().tree_index);
    }
    for (; next < nodes.size(); ++next) {
      while (nodes[next].tree_index != cursor) {
        if ((cursor & 1) == 0) return Malformed("an additional node is out of order");
        cursor = flat_tree::LeftChild(cursor);
      }
      WEFT_RETURN_IF_ERROR(PushListed(nodes[next]));
      cursor = flat_tree::Sibling(tree_.roots_.back().tree_index);
    }
    return absl::OkStatus();
  }

  MerkleTree TakeTree() { return std::move(tree_); }

 private:
  absl::Status PushListed(const TreeNode& node) {
    if (!InBounds(node)) return Malformed("a node is out of bounds");
    return Push(Claimed{node, false});
  }

  absl::Status Push(std::optional<Claimed> claimed) {
    if (!claimed) return Malformed("a node of the upgrade is missing or out of order");
    Claimed cur = *claimed;
    const std::uint64_t leaves = flat_tree::Leaves(cur.node.tree_index);
    // Only the node right behind the tree may be appended.
    if (flat_tree::LeftSpan(cur.node.tree_index) != 2 * tree_.length_ ||
        !tree_.CanHold(leaves, cur.node.size)) {
      return Malformed("a node of the upgrade does not follow the tree");
    }
    tree_.length_ += leaves;
    tree_.byte_length_ += cur.node.size;
    out_->nodes.push_back(cur.node);
    while (!tree_.roots_.empty() &&
           flat_tree::Sibling(cur.node.tree_index) == tree_.roots_.back().tree_index) {
      Claimed parent;
      JoinClaimed({tree_.roots_.back(), sized_.back()}, cur, out_, &parent);
      tree_.roots_.pop_back();
      sized_.pop_back();
      out_->nodes.push_back(parent.node);
      cur = parent;
    }
    tree_.roots_.push_back(cur.node);
    sized_.push_back(cur.sized);
    return absl::OkStatus();
  }

  MerkleTree tree_;
  absl::InlinedVector<bool, 64> sized_;  // for each root
  CheckedProof* out_;
};

TreeNode MerkleTree::Join(const TreeNode& left, const TreeNode& right) {
  return {flat_tree::Parent(left.tree_index), left.size + right.size,
          ParentHash(left, right)};
}

std::optional<MerkleTree> MerkleTree::FromRoots(std::span<const TreeNode> roots) {
  MerkleTree tree;
  for (const TreeNode& root : roots) {
    if (!InBounds(root)) return std::nullopt;
    const std::uint64_t leaves = flat_tree::Leaves(root.tree_index);
    if (flat_tree::LeftSpan(root.tree_index) != 2 * tree.length_ ||
        !tree.CanHold(leaves, root.size)) {
      return std::nullopt;
    }
    if (!tree.roots_.empty() &&
        flat_tree::Leaves(tree.roots_.back().tree_index) <= leaves) {
      return std::nullopt;
    }
    tree.length_ += leaves;
    tree.byte_length_ += root.size;
    tree.roots_.push_back(root);
  }
  return tree;
}

bool MerkleTree::CanHold(std::uint64_t blocks, std::uint64_t bytes) const {
  return blocks <= flat_tree::kLengthMax - length_ && bytes <= kUintMax - byte_length_;
}

absl::Status CheckProof(const MerkleTree& own, const Proof& proof, CheckedProof* out) {
  out->Clear();
  WEFT_RETURN_IF_ERROR(CheckSizes(proof));
  if (proof.block && proof.hash) return Malformed("both a block and a hash");
  std::optional<Claimed> top;
  WEFT_RETURN_IF_ERROR(CheckSubtree(proof, out, &top));
  if (proof.upgrade) {
    const UpgradeProof& upgrade = *proof.upgrade;
    if (upgrade.start != own.length()) {
      return Malformed("the upgrade does not start at our length");
    }
    if (upgrade.length == 0 || upgrade.length > flat_tree::kLengthMax - upgrade.start) {
      return Malformed("the length of the upgrade is out of bounds");
    }
    NodeQueue queue(upgrade.nodes, top);
    ProofChecker checker(own, out);
    WEFT_RETURN_IF_ERROR(
        checker.Extend(upgrade.start + upgrade.length,
                       [&queue](std::uint64_t index) { return queue.Take(index); }));
    if (!queue.list_empty()) return Malformed("superfluous nodes in the upgrade");
    if (queue.extra_used()) top.reset();
    WEFT_RETURN_IF_ERROR(checker.ExtendBeyond(upgrade.additional_nodes));
    out->upgraded = checker.TakeTree();
  }
  if (top) out->anchor = top->node;
  return absl::OkStatus();
}

std::optional<MerkleTree> ExtendTree(
    const MerkleTree& own, std::uint64_t length,
    const std::function<std::optional<TreeNode>(std::uint64_t)>& node) {
  CheckedProof learned;
  ProofChecker checker(own, &learned);
  const auto take = [&node](std::uint64_t index) -> std::optional<Claimed> {
    const auto found = node(index);
    if (!found || found->tree_index != index || !InBounds(*found)) return std::nullopt;
    return Claimed{*found, false};
  };
  if (length > flat_tree::kLengthMax || length < own.length()) return std::nullopt;
  if (!checker.Extend(length, take).ok()) return std::nullopt;
  return checker.TakeTree();
}

}  // namespace weft
