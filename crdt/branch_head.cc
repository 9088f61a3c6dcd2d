#include "crdt/branch_head.h"

#include <algorithm>
#include <map>

#include "crdt/fork_nodes.h"
#include "engine/codec.h"
#include "engine/flat_tree.h"

namespace weft {
namespace {

constexpr std::uint64_t kLeaves = 256;
constexpr std::size_t kSignatureBytesMax = 8 * 1024;

// The nodes of a head, left to right.
std::vector<std::uint64_t> HeadNodes(std::uint64_t from, std::uint64_t length) {
  std::vector<std::uint64_t> indices;
  AppendCover(0, from, &indices);
  std::uint64_t at = from;
  for (; at < length && at < from + kLeaves; ++at) indices.push_back(2 * at);
  AppendCover(at, length, &indices);
  return indices;
}

using NodeAt = std::function<std::optional<TreeNode>(std::uint64_t tree_index)>;

// What a head shows, itself or by its parts.
class ShownNodes {
 public:
  explicit ShownNodes(const BranchHead& head) {
    for (const TreeNode& node : head.nodes) nodes_[node.tree_index] = node;
  }
  std::optional<TreeNode> At(std::uint64_t tree_index) const {
    if (const auto found = nodes_.find(tree_index); found != nodes_.end()) {
      return found->second;
    }
    if (flat_tree::Depth(tree_index) == 0) return std::nullopt;
    const auto left = At(flat_tree::LeftChild(tree_index));
    if (!left) return std::nullopt;
    const auto right = At(flat_tree::RightChild(tree_index));
    if (!right) return std::nullopt;
    return MerkleTree::Join(*left, *right);
  }

 private:
  std::map<std::uint64_t, TreeNode> nodes_;
};

// False if one of them cannot be had.
bool Gather(std::span<const std::uint64_t> indices, const NodeAt& node_at,
            std::vector<TreeNode>* nodes) {
  for (const std::uint64_t tree_index : indices) {
    const std::optional<TreeNode> node = node_at(tree_index);
    if (!node) return false;
    nodes->push_back(*node);
  }
  return true;
}

absl::Status NotHeld() {
  return absl::NotFoundError("a node of the log's tree is not held");
}

// Where two branches part, as far as a head tells.
struct Parting {
  std::uint64_t block = 0;
  bool known = false;  // else it is somewhere from that block on
};

// nullopt: nowhere.
absl::StatusOr<std::optional<Parting>> FindParting(const ForkSide& ours,
                                                   const BranchHead& theirs) {
  for (const TreeNode& shown : theirs.nodes) {
    const std::uint64_t block = flat_tree::LeftSpan(shown.tree_index) / 2;
    if (block >= ours.length) break;
    const bool is_leaf = flat_tree::Depth(shown.tree_index) == 0;
    if (flat_tree::IsComplete(shown.tree_index, ours.length)) {
      const std::optional<TreeNode> mine = ours.node(shown.tree_index);
      if (!mine) return NotHeld();
      if (mine->hash == shown.hash) continue;  // sizes can be bent (crdt/fork.cc)
    }
    return Parting{block, is_leaf};
  }
  return std::nullopt;
}

}  // namespace

absl::StatusOr<BranchHead> MakeBranchHead(const CoreKey& core, const ForkSide& side,
                                          std::uint64_t from) {
  BranchHead head;
  head.core = core;
  head.length = side.length;
  head.fork = side.fork;
  head.signature = side.signature;
  head.from = from < head.length ? from : head.length - std::min(head.length, kLeaves);
  if (!Gather(HeadNodes(head.from, head.length), side.node, &head.nodes)) {
    return NotHeld();
  }
  return head;
}

Bytes EncodeBranchHead(const BranchHead& head) {
  Bytes bytes;
  Writer out(&bytes);
  out.Raw(head.core.view());
  out.Uint(head.length);
  out.Uint(head.fork);
  out.Buffer(head.signature);
  out.Uint(head.from);
  WriteNodes(head.nodes, out);
  return bytes;
}

absl::StatusOr<BranchHead> DecodeBranchHead(ByteView bytes) {
  const auto malformed = absl::InvalidArgumentError("a branch head is malformed");
  Reader in(bytes);
  BranchHead head;
  head.core = in.Fixed<CoreKey>();
  head.length = in.CanonicalUint();
  head.fork = in.CanonicalUint();
  head.signature = ToBytes(in.Buffer());
  head.from = in.CanonicalUint();
  const bool in_bounds = head.length <= flat_tree::kLengthMax &&
                         (head.from < head.length || head.length == 0) &&
                         (head.length > 0 || head.from == 0);
  if (!in.ok() || !in_bounds || bytes.size() > kForkProofBytesMax ||
      head.signature.size() > kSignatureBytesMax) {
    return malformed;
  }
  if (!ReadNodes(HeadNodes(head.from, head.length), in, &head.nodes)) return malformed;
  if (!in.done() || !Equal(EncodeBranchHead(head), bytes)) return malformed;
  return head;
}

absl::Status VerifyBranchHead(const Manifest& manifest, const BranchHead& head) {
  const std::vector<TreeNode> roots = RootsWith({}, head.nodes);
  if (VerifyTree(manifest, head.core, roots, head.length, head.fork, head.signature)) {
    return absl::OkStatus();
  }
  return absl::DataLossError("a branch head: its signature does not hold");
}

TreeHash HashOf(const BranchHead& head) {
  return RootsHash(RootsWith({}, head.nodes));
}

absl::StatusOr<BranchComparison> CompareBranches(const Manifest& manifest,
                                                 const ForkSide& ours,
                                                 const BranchHead& theirs) {
  BranchComparison result;
  WEFT_ASSIGN_OR_RETURN(const std::optional<Parting> parting,
                        FindParting(ours, theirs));
  if (!parting && theirs.fork == ours.fork) return result;
  if (parting && !parting->known) {
    result.look_from = parting->block;
    return result;
  }
  ForkProof proof;
  proof.core = theirs.core;
  proof.manifest = manifest;
  proof.fork_point = parting ? parting->block : std::min(ours.length, theirs.length);
  std::vector<std::uint64_t> shared;
  AppendCover(0, proof.fork_point, &shared);
  if (!Gather(shared, ours.node, &proof.roots) ||
      !Gather(BranchNodes(proof.fork_point, ours.length), ours.node, &proof.a.nodes)) {
    return NotHeld();
  }
  const ShownNodes shown(theirs);
  if (!Gather(
          BranchNodes(proof.fork_point, theirs.length),
          [&](std::uint64_t tree_index) { return shown.At(tree_index); },
          &proof.b.nodes)) {
    result.look_from = proof.fork_point;
    return result;
  }
  proof.a.length = ours.length;
  proof.a.fork = ours.fork;
  proof.a.signature = ours.signature;
  proof.b.length = theirs.length;
  proof.b.fork = theirs.fork;
  proof.b.signature = theirs.signature;
  if (proof.a.fork != 0) std::swap(proof.a, proof.b);
  result.proof = std::move(proof);
  return result;
}

}  // namespace weft
