// Building proofs: the server's half of engine/merkle_tree.h.

#include "absl/strings/str_format.h"
#include "engine/codec.h"
#include "engine/merkle_tree.h"

namespace weft {
namespace {

using flat_tree::Contains;
using flat_tree::LeftChild;
using flat_tree::Parent;
using flat_tree::Sibling;

absl::Status Unanswerable(const char* what) {
  return absl::InvalidArgumentError(absl::StrFormat("request: %s", what));
}

class ProofBuilder {
 public:
  ProofBuilder(const NodeSource& source, std::uint64_t length,
               const ProofRequest& request)
      : source_(source), length_(length), request_(request) {}

  absl::StatusOr<Proof> Build();

 private:
  absl::Status CheckBounds();
  absl::StatusOr<TreeNode> Node(std::uint64_t tree_index) const;
  // The size that counts for a seek: without the padding of every block.
  absl::StatusOr<std::uint64_t> SeekSize(const TreeNode& node) const;

  absl::StatusOr<std::uint64_t> ClimbFromTarget() const;
  // The path from the target to `root`, a seek within it put where it branches off.
  absl::Status AddPath(std::uint64_t root);
  absl::Status AddSeekPath(std::uint64_t root);
  bool Embeds(std::uint64_t node) const {
    return embed_ && !embedded_ && Contains(node, *embed_);
  }
  absl::Status Embed(std::uint64_t root);
  absl::Status AddUpgrade(std::uint64_t from, std::uint64_t to, bool embedding,
                          std::vector<TreeNode>* nodes);

  absl::StatusOr<std::uint64_t> SeekWithin(std::uint64_t root,
                                           std::uint64_t bytes) const;
  absl::StatusOr<std::uint64_t> SeekBelowTrusted(std::uint64_t root) const;
  // nullopt if the offset is at or beyond the end.
  absl::StatusOr<std::optional<std::uint64_t>> SeekFromHead(std::uint64_t length) const;

  bool has_target() const { return request_.block || request_.hash; }

  const NodeSource& source_;
  const std::uint64_t length_;
  const ProofRequest& request_;
  std::uint64_t target_ = 0;       // tree index of the block or hash asked for
  std::uint64_t target_last_ = 0;  // the last block below it
  std::optional<std::uint64_t> seek_root_;
  std::optional<std::uint64_t> embed_;  // what the upgrade's walk has to give way to
  bool embedded_ = false;
  Proof proof_;
};

absl::Status ProofBuilder::CheckBounds() {
  if (request_.block && (request_.block->block_index >= flat_tree::kLengthMax ||
                         request_.block->nodes > flat_tree::kDepthMax)) {
    return Unanswerable("the block is out of bounds");
  }
  if (request_.hash && (request_.hash->tree_index > flat_tree::kTreeIndexMax ||
                        request_.hash->nodes > flat_tree::kDepthMax)) {
    return Unanswerable("the tree index is out of bounds");
  }
  if (request_.seek &&
      (request_.seek->byte_offset > kUintMax || request_.seek->padding > 1024)) {
    return Unanswerable("the byte offset is out of bounds");
  }
  if (request_.upgrade) {
    const UpgradeRequest& upgrade = *request_.upgrade;
    if (upgrade.start > length_ || upgrade.length == 0 ||
        upgrade.length > length_ - upgrade.start) {
      return Unanswerable("the upgrade ends beyond the log, or is empty");
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<TreeNode> ProofBuilder::Node(std::uint64_t tree_index) const {
  WEFT_ASSIGN_OR_RETURN(const std::optional<TreeNode> node, source_.Find(tree_index));
  if (!node) {
    return absl::NotFoundError(absl::StrFormat("node %d is not held", tree_index));
  }
  return *node;
}

absl::StatusOr<std::uint64_t> ProofBuilder::SeekSize(const TreeNode& node) const {
  const std::uint64_t leaves = flat_tree::Leaves(node.tree_index);
  const std::uint64_t padding = request_.seek->padding;
  if (padding != 0 && leaves > node.size / padding) {
    return Unanswerable("the padding is more than the blocks have");
  }
  return node.size - padding * leaves;
}

absl::StatusOr<std::uint64_t> ProofBuilder::ClimbFromTarget() const {
  const std::uint64_t end =
      request_.upgrade ? 2 * (request_.upgrade->start + request_.upgrade->length)
                       : 2 * length_;
  const std::uint64_t nodes =
      request_.block ? request_.block->nodes : request_.hash->nodes;
  std::uint64_t cur = target_;
  for (std::uint64_t i = 0; i < nodes; ++i) {
    cur = Parent(cur);
    if (Contains(cur, end)) return Unanswerable("nodes is out of bounds");
  }
  return cur;
}

absl::Status ProofBuilder::AddPath(std::uint64_t root) {
  std::vector<TreeNode>* path = nullptr;
  if (request_.block) {
    proof_.block = BlockProof{request_.block->block_index, {}, {}};
    path = &proof_.block->nodes;
  } else {
    proof_.hash = HashProof{request_.hash->tree_index, {}};
    path = &proof_.hash->nodes;
  }
  path->reserve(static_cast<std::size_t>(flat_tree::Depth(root) + 1));
  if (request_.hash && !request_.block) {
    WEFT_ASSIGN_OR_RETURN(const TreeNode node, Node(target_));
    path->push_back(node);
  }
  for (std::uint64_t cur = target_; cur != root; cur = Parent(cur)) {
    const std::uint64_t sibling = Sibling(cur);
    if (seek_root_ && *seek_root_ != sibling && Contains(sibling, *seek_root_)) {
      WEFT_RETURN_IF_ERROR(AddSeekPath(sibling));
    } else {
      WEFT_ASSIGN_OR_RETURN(const TreeNode node, Node(sibling));
      path->push_back(node);
    }
  }
  return absl::OkStatus();
}

absl::Status ProofBuilder::AddSeekPath(std::uint64_t root) {
  proof_.seek = SeekProof{request_.seek->byte_offset, {}};
  WEFT_ASSIGN_OR_RETURN(const TreeNode first, Node(*seek_root_));
  proof_.seek->nodes.push_back(first);
  for (std::uint64_t cur = *seek_root_; cur != root; cur = Parent(cur)) {
    WEFT_ASSIGN_OR_RETURN(const TreeNode node, Node(Sibling(cur)));
    proof_.seek->nodes.push_back(node);
  }
  return absl::OkStatus();
}

absl::Status ProofBuilder::Embed(std::uint64_t root) {
  embedded_ = true;
  if (!has_target()) return AddSeekPath(root);
  if (!Contains(root, target_))
    return Unanswerable("target and seek are too far apart");
  return AddPath(root);
}

absl::Status ProofBuilder::AddUpgrade(std::uint64_t from, std::uint64_t to,
                                      bool embedding, std::vector<TreeNode>* nodes) {
  const auto add = [&](std::uint64_t index) -> absl::Status {
    if (embedding && Embeds(index)) return Embed(index);
    WEFT_ASSIGN_OR_RETURN(const TreeNode node, Node(index));
    nodes->push_back(node);
    return absl::OkStatus();
  };
  bool connected = from == 0;
  for (const std::uint64_t root : flat_tree::FullRoots(to / 2)) {
    if (from > 0 && flat_tree::RightSpan(root) <= from - 2) continue;
    if (!connected && Contains(root, from - 2)) {
      connected = true;
      for (std::uint64_t cur = from - 2; cur != root; cur = Parent(cur)) {
        const std::uint64_t sibling = Sibling(cur);
        if (sibling > from - 2) WEFT_RETURN_IF_ERROR(add(sibling));
      }
      continue;
    }
    connected = true;
    WEFT_RETURN_IF_ERROR(add(root));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::uint64_t> ProofBuilder::SeekWithin(std::uint64_t root,
                                                       std::uint64_t bytes) const {
  std::uint64_t cur = root;
  while (bytes > 0 && (cur & 1) == 1) {
    const std::uint64_t left = LeftChild(cur);
    WEFT_ASSIGN_OR_RETURN(const std::optional<TreeNode> node, source_.Find(left));
    if (!node) return cur;
    WEFT_ASSIGN_OR_RETURN(const std::uint64_t size, SeekSize(*node));
    if (size == bytes) return left;
    if (size > bytes) {
      cur = left;
    } else {
      bytes -= size;
      cur = flat_tree::RightChild(cur);
    }
  }
  return cur;
}

absl::StatusOr<std::uint64_t> ProofBuilder::SeekBelowTrusted(std::uint64_t root) const {
  WEFT_ASSIGN_OR_RETURN(std::uint64_t offset, ByteOffset(source_, length_, root));
  const std::uint64_t blocks = flat_tree::LeftSpan(root) / 2;
  const std::uint64_t padding = request_.seek->padding;
  if (padding != 0 && blocks > offset / padding) {
    return Unanswerable("the padding is more than the blocks have");
  }
  offset -= padding * blocks;
  if (offset > request_.seek->byte_offset) return Unanswerable("invalid seek");
  if (offset == request_.seek->byte_offset) return root;
  WEFT_ASSIGN_OR_RETURN(const TreeNode node, Node(root));
  WEFT_ASSIGN_OR_RETURN(const std::uint64_t size, SeekSize(node));
  const std::uint64_t bytes = request_.seek->byte_offset - offset;
  if (size <= bytes) return Unanswerable("invalid seek");
  return SeekWithin(root, bytes);
}

absl::StatusOr<std::optional<std::uint64_t>> ProofBuilder::SeekFromHead(
    std::uint64_t length) const {
  std::uint64_t bytes = request_.seek->byte_offset;
  for (const std::uint64_t root : flat_tree::FullRoots(length)) {
    WEFT_ASSIGN_OR_RETURN(const TreeNode node, Node(root));
    WEFT_ASSIGN_OR_RETURN(const std::uint64_t size, SeekSize(node));
    if (bytes == size) return std::optional(root);
    if (bytes < size) {
      WEFT_ASSIGN_OR_RETURN(const std::uint64_t found, SeekWithin(root, bytes));
      return std::optional(found);
    }
    bytes -= size;
  }
  return std::optional<std::uint64_t>();
}

absl::StatusOr<Proof> ProofBuilder::Build() {
  if (length_ == 0) return proof_;
  WEFT_RETURN_IF_ERROR(CheckBounds());
  if (request_.block) {
    if (request_.block->block_index >= length_) {
      return absl::NotFoundError(absl::StrFormat("block %d is beyond the log's %d",
                                                 request_.block->block_index, length_));
    }
    target_ = 2 * request_.block->block_index;
  } else if (request_.hash) {
    target_ = request_.hash->tree_index;
  }
  target_last_ = flat_tree::RightSpan(target_) / 2;
  const std::uint64_t from = request_.upgrade ? 2 * request_.upgrade->start : 0;
  const std::uint64_t to =
      request_.upgrade ? from + 2 * request_.upgrade->length : 2 * length_;
  if (request_.seek && request_.upgrade && has_target() && target_ >= from) {
    return Unanswerable("a seek and a target that both need the upgrade");
  }
  if (has_target() && (!request_.upgrade || target_last_ < request_.upgrade->start)) {
    WEFT_ASSIGN_OR_RETURN(const std::uint64_t root, ClimbFromTarget());
    if (request_.seek) {
      WEFT_ASSIGN_OR_RETURN(seek_root_, SeekBelowTrusted(root));
    }
    WEFT_RETURN_IF_ERROR(AddPath(root));
  } else if (request_.upgrade && request_.seek) {
    WEFT_ASSIGN_OR_RETURN(seek_root_, SeekFromHead(to / 2));
    embed_ = seek_root_;
  } else if (request_.upgrade && has_target()) {
    embed_ = target_;
  }
  if (request_.upgrade) {
    proof_.upgrade =
        UpgradeProof{request_.upgrade->start, request_.upgrade->length, {}, {}, {}};
    WEFT_RETURN_IF_ERROR(AddUpgrade(from, to, true, &proof_.upgrade->nodes));
    if (to < 2 * length_) {
      WEFT_RETURN_IF_ERROR(
          AddUpgrade(to, 2 * length_, false, &proof_.upgrade->additional_nodes));
    }
    if (has_target() && !proof_.block && !proof_.hash) {
      return Unanswerable("the target is beyond the upgrade");
    }
  }
  return std::move(proof_);
}

}  // namespace

absl::StatusOr<Proof> BuildProof(const NodeSource& source, std::uint64_t length,
                                 const ProofRequest& request) {
  return ProofBuilder(source, length, request).Build();
}

absl::StatusOr<std::uint64_t> ByteOffset(const NodeSource& source, std::uint64_t length,
                                         std::uint64_t tree_index) {
  const auto size_of = [&source](std::uint64_t index) -> absl::StatusOr<std::uint64_t> {
    WEFT_ASSIGN_OR_RETURN(const std::optional<TreeNode> node, source.Find(index));
    if (!node)
      return absl::NotFoundError(absl::StrFormat("node %d is not held", index));
    return node->size;
  };
  const std::uint64_t leaf = flat_tree::LeftSpan(tree_index);
  std::uint64_t offset = 0;
  for (const std::uint64_t root : flat_tree::FullRoots(length)) {
    if (leaf > flat_tree::RightSpan(root)) {
      WEFT_ASSIGN_OR_RETURN(const std::uint64_t size, size_of(root));
      offset += size;
      continue;
    }
    std::uint64_t cur = root;
    while (cur != leaf && flat_tree::LeftSpan(cur) != leaf) {
      const std::uint64_t left = LeftChild(cur);
      if (leaf <= flat_tree::RightSpan(left)) {
        cur = left;
      } else {
        WEFT_ASSIGN_OR_RETURN(const std::uint64_t size, size_of(left));
        offset += size;
        cur = flat_tree::RightChild(cur);
      }
    }
    return offset;
  }
  return absl::NotFoundError(
      absl::StrFormat("node %d is beyond the log's %d blocks", tree_index, length));
}

}  // namespace weft
