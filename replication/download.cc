// Several wishes made one.

#include "replication/download.h"

#include <algorithm>

namespace weft {
namespace {

// In order, none touching the next.
std::vector<BlockRange> Joined(std::vector<BlockRange> ranges) {
  std::ranges::sort(ranges, {}, &BlockRange::from);
  std::vector<BlockRange> joined;
  for (const BlockRange& range : ranges) {
    if (range.from >= range.to) continue;
    if (joined.empty() || joined.back().to < range.from) {
      joined.push_back(range);
    } else {
      joined.back().to = std::max(joined.back().to, range.to);
    }
  }
  return joined;
}

}  // namespace

Download Union(std::span<const Download* const> all) {
  Download one;
  one.live = false;
  for (const Download* const each : all) {
    if (each->kind == Download::Kind::kNone) continue;
    if (one.kind != Download::Kind::kWhole) one.kind = each->kind;
    one.ranges.insert(one.ranges.end(), each->ranges.begin(), each->ranges.end());
    for (const SeekRequest& seek : each->seeks) {
      if (std::ranges::find(one.seeks, seek) == one.seeks.end()) {
        one.seeks.push_back(seek);
      }
    }
    one.live = one.live || each->live;
    one.first_requests = std::max(one.first_requests, each->first_requests);
  }
  one.ranges = Joined(std::move(one.ranges));
  return one.kind == Download::Kind::kNone ? Download::None() : one;
}

}  // namespace weft
