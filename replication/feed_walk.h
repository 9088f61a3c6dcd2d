// The walk of two feed tries: how peers whose feed roots differ find the feeds that
// do, in O(differences * log n).
//
// One side shows the branch at a place; the other compares it with its own and answers
// with its branches for the children that differ, and so on in turns: two levels a
// round trip. Where one side has nothing, or a single feed, it asks instead, and gets
// two levels at once. What differs at the end is told as a head. Nothing is believed
// but as a hint: a lie costs its author's time and bounded bytes of ours.
//
// Pure functions of both maps; replication/feed_exchange.h sends what they say.

#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "replication/feed_map.h"

namespace weft {

// What to send next.
struct WalkStep {
  struct Tell {
    FeedHead head;
    bool lacking = false;  // the peer has shown that it has nothing of this feed
  };
  std::vector<Tell> tell;
  std::vector<FeedNode> show;
  std::vector<TriePath> ask;
};

// A length the peer has told of a feed; visits those below a path, in key order.
using VisitTold = std::function<void(
    const TriePath& path,
    const std::function<bool(const CoreKey& core, std::uint64_t settled)>& visit)>;

// The branch of ours at exactly this place, if there is one.
std::optional<FeedNode> BranchAt(FeedMap& ours, const TriePath& way);

// Compares a branch that the peer showed with ours.
// INVALID_ARGUMENT  not a branch that a trie of feeds can have there
absl::Status CompareNode(FeedMap& ours, const FeedNode& theirs, const VisitTold& told,
                         WalkStep* step);

// The peer has nothing at this place, or one feed that it has told: shows two levels
// of branches, and tells the feeds that stand in them.
void AnswerAsk(FeedMap& ours, const TriePath& way, WalkStep* step);

}  // namespace weft
