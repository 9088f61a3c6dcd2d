#include "crdt/hybrid_clock.h"

#include <algorithm>

#include "absl/strings/str_format.h"

namespace weft {

absl::StatusOr<Hlc> NextHlc(Hlc last_own, std::uint64_t seen_ms,
                            std::uint64_t wall_ms) {
  const std::uint64_t pulled = std::min(seen_ms, wall_ms + kClockPullMs);
  Hlc next{std::max({wall_ms, last_own.ms, pulled}), 0};
  if (next.ms == last_own.ms) {
    next.counter = last_own.counter + 1;
    if (next.counter >= kHlcCounterEnd) next = {next.ms + 1, 0};
  }
  if (next.ms >= kHlcMsEnd) {
    return absl::OutOfRangeError(absl::StrFormat(
        "clock: the next stamp would be %d ms, and 2^46 ms is the end of time",
        next.ms));
  }
  return next;
}

}  // namespace weft
