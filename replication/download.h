// What we want of one core, as the caller says it.

#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/proof.h"

namespace weft {

// Blocks [from, to).
struct BlockRange {
  std::uint64_t from = 0;
  std::uint64_t to = 0;
  bool operator==(const BlockRange&) const = default;
};

struct Download {
  enum class Kind {
    kNone,    // serve only; nothing is asked for
    kWhole,   // every block: those of `ranges` and `seeks`, then from the first on
    kRanges,  // the newest length, and the blocks of `ranges` and `seeks` only
  };
  Kind kind = Kind::kNone;
  std::vector<BlockRange> ranges;
  // The blocks that hold these bytes. To find one takes a few nodes of the tree, and at
  // times its neighbour: the sizes of two leaves are proven by one of the blocks only.
  std::vector<SeekRequest> seeks = {};
  // Follow the core as it grows. Otherwise stop at the first length at which we hold
  // everything asked for.
  bool live = true;
  // Requests at once while we know nothing of the size of its blocks.
  std::size_t first_requests = 1;

  static Download None() { return {}; }
  static Download Whole(bool live = true) { return {Kind::kWhole, {}, {}, live, 1}; }
  // A writer's log at a Weft: no block is above 1 MiB, and a short log comes in one
  // round trip.
  static Download Log() {
    Download download = Whole();
    download.first_requests = 16;
    return download;
  }
  static Download Blocks(std::vector<BlockRange> ranges, bool live = false) {
    return {Kind::kRanges, std::move(ranges), {}, live, 1};
  }
  static Download Bytes(std::vector<SeekRequest> seeks, bool live = false) {
    return {Kind::kRanges, {}, std::move(seeks), live, 1};
  }
  bool operator==(const Download&) const = default;
};

// What brings all that each of them would bring. Live if one of them is.
Download Union(std::span<const Download* const> all);

}  // namespace weft
