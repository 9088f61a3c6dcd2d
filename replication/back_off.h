// How long to wait before an address is dialled again: longer each time, and never the
// same, so that many who lost one peer do not come back to it at one moment.

#pragma once

#include <algorithm>

#include "engine/host.h"

namespace weft {

class BackOff {
 public:
  static constexpr Nanos kMin = std::chrono::milliseconds(100);
  static constexpr Nanos kMax = std::chrono::seconds(30);
  // A connection that lasted so long was a good one.
  static constexpr Nanos kStable = std::chrono::seconds(10);

  // The pause after a connection that lasted so long.
  Nanos After(Nanos lasted, Random& random) {
    if (lasted >= kStable) pause_ = kMin;
    return Next(random);
  }
  // After a dial that failed: between a half and the whole of what it has grown to.
  Nanos Next(Random& random) {
    const auto jitter = static_cast<std::uint64_t>(pause_.count()) / 2;
    const Nanos pause =
        pause_ / 2 + Nanos(static_cast<std::int64_t>(random.U64() % (jitter + 1)));
    pause_ = std::min(pause_ * 2, kMax);
    return pause;
  }
  void BeLongest() { pause_ = kMax; }

 private:
  Nanos pause_ = kMin;
};

}  // namespace weft
