#include "replication/feed_walk.h"

namespace weft {
namespace {

constexpr std::size_t kKeyNibbles = 2 * CoreKey::kSize;

TriePath Joined(const TriePath& way, NibbleView path) {
  TriePath joined = way;
  for (std::size_t i = 0; i < path.size(); ++i) joined.push_back(path[i]);
  return joined;
}

TriePath Child(const TriePath& way, std::uint8_t nibble) {
  TriePath child = way;
  child.push_back(nibble);
  return child;
}

CoreKey KeyOf(const TrieSlot& leaf) {
  return CoreKey::From(leaf.way.packed()).value();
}

void TellLeaf(const FeedMap& ours, const TrieSlot& leaf, bool lacking, WalkStep* step) {
  const CoreKey core = KeyOf(leaf);
  step->tell.push_back({{core, ours.settled(core)}, lacking});
}

// Everything of ours below `way`.
void TellUnder(const FeedMap& ours, const TriePath& way, WalkStep* step) {
  VisitUnder(ours.heads(), way, [&](const CoreKey& core, std::uint64_t settled) {
    step->tell.push_back({{core, settled}, /*lacking=*/true});
    return true;
  });
}

// Everything of ours below `way`, except what lies below `except`, itself below `way`:
// that is not even visited, being most of it as a rule.
void TellBeside(const FeedMap& ours, const TriePath& way, const TriePath& except,
                WalkStep* step) {
  if (except.size() == way.size()) return;
  CoreKey first, last;
  last.bytes.fill(0xFF);
  for (std::size_t i = 0; i < except.size(); ++i) {
    const int shift = i % 2 == 0 ? 4 : 0;
    first.bytes[i / 2] |= static_cast<std::uint8_t>(except[i] << shift);
    last.bytes[i / 2] ^= static_cast<std::uint8_t>((15 ^ except[i]) << shift);
  }
  VisitUnder(ours.heads(), way, [&](const CoreKey& core, std::uint64_t settled) {
    if (core >= first) return false;
    step->tell.push_back({{core, settled}, /*lacking=*/true});
    return true;
  });
  for (auto at = ours.heads().upper_bound(last);
       at != ours.heads().end() && HasPrefix(at->first, way); ++at) {
    step->tell.push_back({{at->first, at->second}, /*lacking=*/true});
  }
}

// The peer's child may be a feed that it has told already.
bool IsTold(const VisitTold& told, const TriePath& way, const Hash32& child) {
  bool found = false;
  int looked_at = 0;
  told(way, [&](const CoreKey& core, std::uint64_t settled) {
    found = FeedLeafHash(core, settled) == child;
    return !found && ++looked_at < 4;
  });
  return found;
}

// A child that is not the same on both sides.
void CompareChild(FeedMap& ours, const TriePath& way, const Hash32& theirs,
                  const VisitTold& told, WalkStep* step) {
  const TrieSlot slot = ours.SlotAt(way);
  if (slot.kind == TrieSlot::Kind::kBranch) {
    if (slot.hash != theirs) step->show.push_back({way, EncodeTrieBranch(slot.branch)});
    return;
  }
  if (slot.kind == TrieSlot::Kind::kLeaf) {
    if (slot.hash == theirs) return;
    TellLeaf(ours, slot, /*lacking=*/false, step);
  }
  if (!IsTold(told, way, theirs)) step->ask.push_back(way);
}

}  // namespace

std::optional<FeedNode> BranchAt(FeedMap& ours, const TriePath& way) {
  const TrieSlot slot = ours.SlotAt(way);
  if (slot.kind != TrieSlot::Kind::kBranch) return std::nullopt;
  return FeedNode{way, EncodeTrieBranch(slot.branch)};
}

absl::Status CompareNode(FeedMap& ours, const FeedNode& theirs, const VisitTold& told,
                         WalkStep* step) {
  WEFT_ASSIGN_OR_RETURN(const TrieBranch branch, DecodeTrieBranch(theirs.bytes));
  if (branch.value || theirs.path.size() + branch.path.size() >= kKeyNibbles) {
    return absl::InvalidArgumentError(
        "weft/feeds nodes: a branch that no trie of feeds has");
  }
  const TriePath way = Joined(theirs.path, branch.path.view());
  TellBeside(ours, theirs.path, way, step);
  const TrieSlot slot = ours.SlotAt(way);
  const bool same_place =
      slot.kind == TrieSlot::Kind::kBranch && slot.branch.path.size() == 0;
  for (std::uint8_t nibble = 0; nibble < 16; ++nibble) {
    const TriePath below = Child(way, nibble);
    if (!branch.HasChild(nibble)) {
      TellUnder(ours, below, step);
      continue;
    }
    const Hash32& child = branch.Child(nibble);
    if (same_place && slot.branch.HasChild(nibble) &&
        slot.branch.Child(nibble) == child) {
      continue;
    }
    CompareChild(ours, below, child, told, step);
  }
  return absl::OkStatus();
}

void AnswerAsk(FeedMap& ours, const TriePath& way, WalkStep* step) {
  const TrieSlot slot = ours.SlotAt(way);
  if (slot.kind == TrieSlot::Kind::kEmpty) return;
  if (slot.kind == TrieSlot::Kind::kLeaf) {
    return TellLeaf(ours, slot, /*lacking=*/false, step);
  }
  step->show.push_back({way, EncodeTrieBranch(slot.branch)});
  const TriePath top = Joined(way, slot.branch.path.view());
  for (std::uint8_t nibble = 0; nibble < 16; ++nibble) {
    if (!slot.branch.HasChild(nibble)) continue;
    const TriePath below = Child(top, nibble);
    const TrieSlot child = ours.SlotAt(below);
    if (child.kind == TrieSlot::Kind::kLeaf) {
      TellLeaf(ours, child, /*lacking=*/false, step);
    } else {
      step->show.push_back({below, EncodeTrieBranch(child.branch)});
    }
  }
}

}  // namespace weft
