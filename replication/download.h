// What we want of one core, as the caller says it.

#pragma once

#include <cstdint>
#include <vector>

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
    kWhole,   // every block, from the first on
    kRanges,  // the newest length, and the blocks of `ranges` only
  };
  Kind kind = Kind::kNone;
  std::vector<BlockRange> ranges;
  // Follow the core as it grows. Otherwise stop at the first length at which we hold
  // everything asked for.
  bool live = true;

  static Download None() { return {}; }
  static Download Whole(bool live = true) { return {Kind::kWhole, {}, live}; }
  static Download Blocks(std::vector<BlockRange> ranges, bool live = false) {
    return {Kind::kRanges, std::move(ranges), live};
  }
  bool operator==(const Download&) const = default;
};

}  // namespace weft
