#include "crdt/fork.h"

#include <algorithm>
#include <bit>

#include "engine/codec.h"
#include "engine/flat_tree.h"
#include "engine/text.h"

namespace weft {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kSignatureBytesMax = 8 * 1024;

absl::Status Refuse(std::string_view what) {
  return absl::InvalidArgumentError(ToAbsl("fork proof: " + std::string(what)));
}

// How many blocks the next node of a branch covers: the leaf of the fork point alone,
// then as many as are aligned and there.
std::uint64_t SpanAt(std::uint64_t position, std::uint64_t fork_point,
                     std::uint64_t length) {
  if (position == fork_point) return 1;
  std::uint64_t span = std::uint64_t{1} << std::countr_zero(position);
  while (span > length - position) span /= 2;
  return span;
}

std::uint64_t IndexOf(std::uint64_t position, std::uint64_t span) {
  return 2 * position + span - 1;
}

// The tree indices of the nodes of a branch.
std::vector<std::uint64_t> Indices(std::uint64_t fork_point, std::uint64_t length) {
  std::vector<std::uint64_t> indices;
  for (std::uint64_t position = fork_point; position < length;) {
    const std::uint64_t span = SpanAt(position, fork_point, length);
    indices.push_back(IndexOf(position, span));
    position += span;
  }
  return indices;
}

// The roots of a branch from those of the shared prefix and its nodes.
std::vector<TreeNode> RootsOf(const ForkProof& proof, const ForkBranch& branch) {
  std::vector<TreeNode> roots = proof.roots;
  for (TreeNode node : branch.nodes) {
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

// False if the sizes could overflow a sum.
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

bool ReadBranch(std::uint64_t fork_point, Reader& in, ForkBranch* branch) {
  branch->length = in.CanonicalUint();
  branch->fork = in.CanonicalUint();
  branch->signature = ToBytes(in.Buffer());
  if (!in.ok() || branch->length < fork_point ||
      branch->length > flat_tree::kLengthMax ||
      branch->signature.size() > kSignatureBytesMax) {
    return false;
  }
  return ReadNodes(Indices(fork_point, branch->length), in, &branch->nodes);
}

}  // namespace

Bytes EncodeForkProof(const ForkProof& proof) {
  Bytes bytes;
  Writer out(&bytes);
  out.U8(kVersion);
  out.Raw(proof.core.view());
  out.Buffer(EncodeManifest(proof.manifest));
  out.Uint(proof.fork_point);
  WriteNodes(proof.roots, out);
  for (const ForkBranch* branch : {&proof.a, &proof.b}) {
    out.Uint(branch->length);
    out.Uint(branch->fork);
    out.Buffer(branch->signature);
    WriteNodes(branch->nodes, out);
  }
  if (!proof.first_block.empty()) out.Buffer(proof.first_block);
  return bytes;
}

absl::StatusOr<ForkProof> DecodeForkProof(ByteView bytes) {
  if (bytes.size() > kForkProofBytesMax) return Refuse("longer than 64 KiB");
  Reader in(bytes);
  if (in.U8() != kVersion) return Refuse("of another version");
  ForkProof proof;
  proof.core = in.Fixed<CoreKey>();
  const ByteView manifest = in.Buffer();
  proof.fork_point = in.CanonicalUint();
  if (!in.ok() || proof.fork_point > flat_tree::kLengthMax) return Refuse("cut short");
  WEFT_ASSIGN_OR_RETURN(proof.manifest, DecodeManifest(manifest));
  std::vector<std::uint64_t> indices;
  for (const std::uint64_t index : flat_tree::FullRoots(proof.fork_point)) {
    indices.push_back(index);
  }
  if (!ReadNodes(indices, in, &proof.roots) ||
      !ReadBranch(proof.fork_point, in, &proof.a) ||
      !ReadBranch(proof.fork_point, in, &proof.b)) {
    return Refuse("malformed");
  }
  if (!in.done()) proof.first_block = ToBytes(in.Buffer());
  if (!in.ok() || !in.done()) return Refuse("malformed");
  if (!Equal(EncodeForkProof(proof), bytes)) return Refuse("not in its canonical form");
  return proof;
}

absl::Status VerifyForkProof(const ForkProof& proof) {
  if (KeyOf(proof.manifest) != proof.core)
    return Refuse("the manifest is not the core's");
  if (proof.a.fork != 0) return Refuse("the first branch is no writer's log");
  // A leaf's hash says what its block is. Sizes are no part of the question: the
  // parents of two leaves commit to their sum alone, so anybody can move a byte from
  // one to the other under a signature that holds.
  const bool both = !proof.a.nodes.empty() && !proof.b.nodes.empty();
  if (both && proof.a.nodes[0].hash == proof.b.nodes[0].hash) {
    return Refuse("the branches do not part at its fork point");
  }
  if (!both && proof.b.fork == 0) return Refuse("one branch extends the other");
  if (!proof.first_block.empty()) {
    const auto begins = [&](const ForkBranch& branch) {
      return !branch.nodes.empty() &&
             branch.nodes[0].size == proof.first_block.size() &&
             branch.nodes[0].hash == LeafHash(proof.first_block);
    };
    if (proof.fork_point != 0 || (!begins(proof.a) && !begins(proof.b))) {
      return Refuse("its block is in neither branch");
    }
  }
  for (const ForkBranch* branch : {&proof.a, &proof.b}) {
    const std::vector<TreeNode> roots = RootsOf(proof, *branch);
    if (!VerifyTree(proof.manifest, proof.core, roots, branch->length, branch->fork,
                    branch->signature)) {
      return absl::DataLossError("fork proof: a signature does not hold");
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<ForkProof> MakeForkProof(const CoreKey& core, const Manifest& manifest,
                                        const ForkSide& one, const ForkSide& other) {
  const ForkSide& first = one.fork == 0 ? one : other;
  const ForkSide& second = one.fork == 0 ? other : one;
  std::uint64_t same = 0;
  const std::uint64_t shorter = std::min(first.leaves.size(), second.leaves.size());
  while (same < shorter && first.leaves[same].hash == second.leaves[same].hash) {
    ++same;
  }
  if (second.fork == 0 && same == shorter) return Refuse("one side extends the other");
  ForkProof proof;
  proof.core = core;
  proof.manifest = manifest;
  proof.fork_point = same;
  // The node over blocks [position, position + span).
  const auto node_over = [](const ForkSide& side, std::uint64_t position,
                            std::uint64_t span) {
    std::vector<TreeNode> level(
        side.leaves.begin() + static_cast<std::ptrdiff_t>(position),
        side.leaves.begin() + static_cast<std::ptrdiff_t>(position + span));
    for (std::size_t i = 0; i < level.size(); ++i)
      level[i].tree_index = 2 * (position + i);
    while (level.size() > 1) {
      for (std::size_t i = 0; 2 * i < level.size(); ++i) {
        level[i] = MerkleTree::Join(level[2 * i], level[2 * i + 1]);
      }
      level.resize(level.size() / 2);
    }
    return level[0];
  };
  std::uint64_t start = 0;
  for (std::uint64_t left = same; left > 0;) {
    const std::uint64_t span = std::bit_floor(left);
    proof.roots.push_back(node_over(first, start, span));
    start += span;
    left -= span;
  }
  const auto fill = [&](const ForkSide& side, ForkBranch* branch) {
    branch->length = side.leaves.size();
    branch->fork = side.fork;
    branch->signature = side.signature;
    for (std::uint64_t position = same; position < branch->length;) {
      const std::uint64_t span = SpanAt(position, same, branch->length);
      branch->nodes.push_back(node_over(side, position, span));
      position += span;
    }
  };
  fill(first, &proof.a);
  fill(second, &proof.b);
  return proof;
}

}  // namespace weft
