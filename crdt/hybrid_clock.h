// The hybrid logical clock: wall time that never goes back within a log (rule T1).
//
// A stamp orders concurrent values and nothing else. A remote clock can pull a local
// one by at most five minutes, and the own log is strictly monotonic even if the wall
// clock steps back. Nothing here reads a clock: the caller passes `wall_ms`,
// milliseconds since the Unix epoch.

#pragma once

#include <compare>
#include <cstdint>

#include "crdt/limits.h"
#include "engine/status.h"

namespace weft {

struct Hlc {
  std::uint64_t ms = 0;       // since the Unix epoch, below kHlcMsEnd
  std::uint32_t counter = 0;  // below kHlcCounterEnd

  auto operator<=>(const Hlc&) const = default;

  template <class H>
  friend H AbslHashValue(H state, const Hlc& value) {
    return H::combine(std::move(state), value.ms, value.counter);
  }
};

inline constexpr std::uint64_t kClockPullMs = 300'000;
inline constexpr std::uint64_t kClockAheadMs = 24 * 3'600'000;

// The stamp of the next own block. `last_own` is that of the own previous block (zero
// if none), `seen_ms` the greatest ms of any block seen. A full counter carries into
// ms. OUT_OF_RANGE  the log has reached the end of time, 2^46 ms
absl::StatusOr<Hlc> NextHlc(Hlc last_own, std::uint64_t seen_ms, std::uint64_t wall_ms);

// Rule T2: delivered all the same, but flagged and counted.
inline bool IsClockSuspect(Hlc hlc, std::uint64_t wall_ms) {
  return hlc.ms > wall_ms + kClockPullMs;
}

// Rule T1: the own log is so far ahead of the wall clock that the store says so and
// offers a new incarnation.
inline bool IsOwnClockAhead(Hlc last_own, std::uint64_t wall_ms) {
  return last_own.ms > wall_ms + kClockAheadMs;
}

}  // namespace weft
