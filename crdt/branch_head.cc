#include "crdt/branch_head.h"

#include <algorithm>
#include <bit>
#include <map>

#include "engine/codec.h"
#include "engine/flat_tree.h"

namespace weft {
namespace {

constexpr std::uint64_t kLeaves = 256;
constexpr std::size_t kSignatureBytesMax = 8 * 1024;

// Blocks [position, position + span).
struct Place {
  std::uint64_t position = 0;
  std::uint64_t span = 1;
  auto operator<=>(const Place&) const = default;
  std::uint64_t tree_index() const { return 2 * position + span - 1; }
};

// What the nodes of a head cover, left to right.
std::vector<Place> PlacesOf(std::uint64_t from, std::uint64_t length) {
  std::vector<Place> places;
  std::uint64_t at = 0;
  while (at < from) {
    const std::uint64_t span = std::bit_floor(from - at);
    places.push_back({at, span});
    at += span;
  }
  for (; at < length && at < from + kLeaves; ++at) places.push_back({at, 1});
  while (at < length) {
    std::uint64_t span =
        at == 0 ? std::bit_floor(length) : std::uint64_t{1} << std::countr_zero(at);
    while (span > length - at) span /= 2;
    places.push_back({at, span});
    at += span;
  }
  return places;
}

using NodeAt = std::function<std::optional<TreeNode>(const Place&)>;

// The nodes that one side can tell: from all of its leaves.
class OwnNodes {
 public:
  explicit OwnNodes(const ForkSide& side) : side_(side) {}
  std::optional<TreeNode> At(const Place& place) const {
    if (place.position + place.span > side_.leaves.size()) return std::nullopt;
    const auto first =
        side_.leaves.begin() + static_cast<std::ptrdiff_t>(place.position);
    std::vector<TreeNode> level(first, first + static_cast<std::ptrdiff_t>(place.span));
    for (std::size_t i = 0; i < level.size(); ++i) {
      level[i].tree_index = 2 * (place.position + i);
    }
    while (level.size() > 1) {
      for (std::size_t i = 0; 2 * i < level.size(); ++i) {
        level[i] = MerkleTree::Join(level[2 * i], level[2 * i + 1]);
      }
      level.resize(level.size() / 2);
    }
    return level[0];
  }

 private:
  const ForkSide& side_;
};

// The same from what the other has shown.
class ShownNodes {
 public:
  explicit ShownNodes(const BranchHead& head) {
    const std::vector<Place> places = PlacesOf(head.from, head.length);
    for (std::size_t i = 0; i < places.size(); ++i) nodes_[places[i]] = head.nodes[i];
  }
  std::optional<TreeNode> At(const Place& place) const {
    if (const auto found = nodes_.find(place); found != nodes_.end()) {
      return found->second;
    }
    if (place.span == 1) return std::nullopt;
    const std::uint64_t half = place.span / 2;
    const auto left = At({place.position, half});
    const auto right = At({place.position + half, half});
    if (!left || !right) return std::nullopt;
    return MerkleTree::Join(*left, *right);
  }

 private:
  std::map<Place, TreeNode> nodes_;
};

bool Same(const TreeNode& a, const TreeNode& b) {
  return a.hash == b.hash;  // sizes can be bent (crdt/fork.cc)
}

bool FillBranch(std::uint64_t fork_point, std::uint64_t length, const NodeAt& node_at,
                ForkBranch* branch) {
  branch->length = length;
  for (std::uint64_t position = fork_point; position < length;) {
    std::uint64_t span =
        position == fork_point ? 1 : std::uint64_t{1} << std::countr_zero(position);
    while (span > length - position) span /= 2;
    const std::optional<TreeNode> node = node_at({position, span});
    if (!node) return false;
    branch->nodes.push_back(*node);
    position += span;
  }
  return true;
}

}  // namespace

BranchHead MakeBranchHead(const CoreKey& core, const ForkSide& side,
                          std::uint64_t from) {
  BranchHead head;
  head.core = core;
  head.length = side.leaves.size();
  head.fork = side.fork;
  head.signature = side.signature;
  head.from = from < head.length ? from : head.length - std::min(head.length, kLeaves);
  const OwnNodes nodes(side);
  for (const Place& place : PlacesOf(head.from, head.length)) {
    head.nodes.push_back(*nodes.At(place));
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
  for (const TreeNode& node : head.nodes) {
    out.Uint(node.size);
    out.Raw(node.hash.view());
  }
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
  for (const Place& place : PlacesOf(head.from, head.length)) {
    TreeNode node;
    node.tree_index = place.tree_index();
    node.size = in.CanonicalUint();
    node.hash = in.Fixed<TreeHash>();
    if (!in.ok() || node.size >= std::uint64_t{1} << 46) return malformed;
    head.nodes.push_back(node);
  }
  if (!in.done() || !Equal(EncodeBranchHead(head), bytes)) return malformed;
  return head;
}

absl::StatusOr<BranchComparison> CompareBranches(const Manifest& manifest,
                                                 const ForkSide& ours,
                                                 const BranchHead& theirs) {
  std::vector<TreeNode> roots;
  for (TreeNode node : theirs.nodes) {
    while (!roots.empty() &&
           flat_tree::Sibling(node.tree_index) == roots.back().tree_index) {
      node = MerkleTree::Join(roots.back(), node);
      roots.pop_back();
    }
    roots.push_back(node);
  }
  if (!VerifyTree(manifest, theirs.core, roots, theirs.length, theirs.fork,
                  theirs.signature)) {
    return absl::DataLossError("a branch head: its signature does not hold");
  }
  BranchComparison result;
  const OwnNodes own(ours);
  const ShownNodes shown(theirs);
  const std::uint64_t length = ours.leaves.size();
  std::uint64_t fork_point = std::min(length, theirs.length);
  bool part = false;
  for (const Place& place : PlacesOf(theirs.from, theirs.length)) {
    if (place.position >= length) break;
    const std::optional<TreeNode> mine = own.At(place);
    if (mine && Same(*mine, *shown.At(place))) continue;
    if (place.span > 1) {
      result.look_from = place.position;
      return result;
    }
    fork_point = place.position;
    part = true;
    break;
  }
  if (!part && theirs.fork == ours.fork) return result;
  ForkProof proof;
  proof.core = theirs.core;
  proof.manifest = manifest;
  proof.fork_point = fork_point;
  for (std::uint64_t at = 0; at < fork_point;) {
    const std::uint64_t span = std::bit_floor(fork_point - at);
    proof.roots.push_back(*own.At({at, span}));
    at += span;
  }
  const bool filled =
      FillBranch(
          fork_point, length, [&](const Place& place) { return own.At(place); },
          &proof.a) &&
      FillBranch(
          fork_point, theirs.length,
          [&](const Place& place) { return shown.At(place); }, &proof.b);
  if (!filled) {
    result.look_from = fork_point;
    return result;
  }
  proof.a.fork = ours.fork;
  proof.a.signature = ours.signature;
  proof.b.fork = theirs.fork;
  proof.b.signature = theirs.signature;
  if (proof.a.fork != 0) std::swap(proof.a, proof.b);
  result.proof = std::move(proof);
  return result;
}

}  // namespace weft
