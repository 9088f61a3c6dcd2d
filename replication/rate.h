// A bucket of tokens: so many at once, and so many a second after that. Time comes from
// the caller, so that the same calls give the same answers.

#pragma once

#include <algorithm>
#include <cstdint>

#include "engine/host.h"

namespace weft {

// Counts in billionths of a token, so that nothing is lost between calls. Tokens are
// whatever the owner counts: opens, bytes, nanoseconds of work.
class Rate {
 public:
  // At most 2^32 of each.
  Rate(std::uint64_t per_second, std::uint64_t burst)
      : per_second_(per_second), burst_(burst), parts_(Parts(burst)) {}

  // True if there were so many, which are then gone.
  bool Take(std::uint64_t tokens, Nanos now) {
    Refill(now);
    if (parts_ < Parts(tokens)) return false;
    parts_ -= Parts(tokens);
    return true;
  }
  // Takes them even if they are not there; what is owed has to come in first.
  void Charge(std::uint64_t tokens, Nanos now) {
    Refill(now);
    parts_ -= Parts(tokens);
  }
  // Until nothing is owed.
  Nanos Debt(Nanos now) {
    Refill(now);
    if (parts_ >= 0 || per_second_ == 0) return Nanos(0);
    return Nanos(
        static_cast<std::int64_t>(-parts_ / static_cast<__int128>(per_second_) + 1));
  }
  // As good as new.
  bool Full(Nanos now) {
    Refill(now);
    return parts_ == Parts(burst_);
  }

 private:
  static __int128 Parts(std::uint64_t tokens) {
    return static_cast<__int128>(tokens) * 1'000'000'000;
  }
  void Refill(Nanos now) {
    const std::int64_t passed = std::max<std::int64_t>(0, (now - refilled_).count());
    refilled_ = std::max(refilled_, now);
    parts_ =
        std::min(parts_ + static_cast<__int128>(passed) * per_second_, Parts(burst_));
  }

  std::uint64_t per_second_;
  std::uint64_t burst_;
  __int128 parts_;
  Nanos refilled_{};
};

}  // namespace weft
