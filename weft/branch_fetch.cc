#include "weft/branch_fetch.h"

#include <algorithm>

namespace weft {
namespace {

// Who is forgotten may be wrong once more.
constexpr std::size_t kWrongMax = 4'096;

absl::Status NotAsked() {
  return absl::NotFoundError("a piece of a branch that was not asked for");
}

}  // namespace

void WritePlace(const BranchPlace& place, Writer& out) {
  out.Raw(place.log.view());
  out.Uint(place.length);
  out.Raw(place.tree_hash.view());
  out.Uint(place.position);
  out.Uint(place.offset);
}

BranchPlace ReadPlace(Reader& in) {
  BranchPlace place;
  place.log = in.Fixed<CoreKey>();
  place.length = in.CanonicalUint();
  place.tree_hash = in.Fixed<TreeHash>();
  place.position = in.CanonicalUint();
  place.offset = in.CanonicalUint();
  if (place.position >= place.length || place.offset > kBranchBytesMax) in.Fail();
  return place;
}

absl::StatusOr<MerkleTree> PrefixTree(const Hypercore& core, std::uint64_t length) {
  std::vector<TreeNode> roots;
  for (const std::uint64_t root : flat_tree::FullRoots(length)) {
    WEFT_ASSIGN_OR_RETURN(const TreeNode node, core.NodeAt(root));
    roots.push_back(node);
  }
  std::optional<MerkleTree> tree = MerkleTree::FromRoots(roots);
  if (!tree) return absl::DataLossError("the tree of a log is malformed");
  return *std::move(tree);
}

std::size_t BranchFetch::Giving() const {
  return static_cast<std::size_t>(std::ranges::count_if(
      givers_, [](const auto& giver) { return giver.second.waited_for; }));
}

std::optional<BranchPlace> BranchFetch::Ask() const {
  if (Giving() >= may_give_) return std::nullopt;
  return BranchPlace{branch_.log, branch_.length, branch_.tree_hash, branch_.fork_point,
                     0};
}

BranchPlace BranchFetch::NextOf(const Giver& giver) const {
  return {branch_.log, branch_.length, branch_.tree_hash, giver.tree.length(),
          giver.stream.size() - giver.parsed};
}

// For one more who gives: of those who have stopped, who has given least goes.
bool BranchFetch::MakeRoom() {
  if (Giving() >= may_give_) return false;
  if (givers_.size() < kGiversMax) return true;
  auto least = givers_.end();
  for (auto at = givers_.begin(); at != givers_.end(); ++at) {
    if (at->second.waited_for) continue;
    if (least == givers_.end() ||
        at->second.stream.size() < least->second.stream.size()) {
      least = at;
    }
  }
  givers_.erase(least);
  return true;
}

// False if that cannot be the branch.
bool BranchFetch::Grow(Giver& giver, ByteView bytes) const {
  if (bytes.size() > kBranchBytesMax - giver.stream.size()) return false;
  Append(giver.stream, bytes);
  Reader in(ByteView(giver.stream).subspan(giver.parsed));
  while (giver.tree.length() < branch_.length) {
    const std::size_t start = in.position();
    const ByteView block = in.Buffer();
    if (!in.ok()) return true;  // not whole yet
    if (!giver.tree.CanHold(1, block.size())) return false;
    giver.tree.AppendBlock(block, [](const TreeNode&) {});
    giver.parsed += in.position() - start;
  }
  return giver.parsed == giver.stream.size() && giver.tree.hash() == branch_.tree_hash;
}

absl::StatusOr<BranchFetch::Taken> BranchFetch::Take(const PublicKey& peer,
                                                     const BranchPlace& place,
                                                     ByteView bytes) {
  if (wrong_.contains(peer) || bytes.empty()) return NotAsked();
  auto found = givers_.find(peer);
  if (found == givers_.end()) {
    Giver newcomer;
    newcomer.tree = prefix_;
    if (place != NextOf(newcomer) || !MakeRoom()) return NotAsked();
    found = givers_.emplace(peer, std::move(newcomer)).first;
  }
  Giver& giver = found->second;
  const bool was_waited_for = std::exchange(giver.waited_for, true);
  if (place != NextOf(giver)) {
    // He has come again, and begins anew: he need not.
    if (was_waited_for) return NotAsked();
    return Taken{NextOf(giver), std::nullopt};
  }
  if (!Grow(giver, bytes)) {
    givers_.erase(found);
    if (wrong_.size() >= kWrongMax) wrong_.clear();
    wrong_.insert(peer);
    return absl::DataLossError("the branch that a peer gave is not the one named");
  }
  if (giver.tree.length() < branch_.length) return Taken{NextOf(giver), std::nullopt};
  return Taken{std::nullopt, std::move(giver.stream)};
}

void BranchFetch::LookAfter() {
  bool slow = false;
  auto slowest = givers_.end();
  std::size_t least = 0;
  for (auto at = givers_.begin(); at != givers_.end(); ++at) {
    Giver& giver = at->second;
    const std::size_t brought = giver.stream.size() - giver.had;
    slow = slow || (brought > 0 && giver.had > 0);
    giver.had = giver.stream.size();
    giver.waited_for = brought > 0;
    if (brought > 0 && (slowest == givers_.end() || brought < least)) {
      slowest = at;
      least = brought;
    }
  }
  if (slow && Giving() == kGiversMax) givers_.erase(slowest);
  may_give_ = slow ? Giving() + 1 : std::max<std::size_t>(1, Giving());
}

}  // namespace weft
