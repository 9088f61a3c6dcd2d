// The machine's own clock and randomness: engine/host.h for programs, as opposed to
// simulations. engine/real_async_clock.h adds sleeping.

#pragma once

#include "engine/host.h"

namespace weft {

// Thread-safe.
class RealClock final : public Clock {
 public:
  Nanos Now() const override;
  Nanos Steady() const override;
};

// The operating system's generator. Thread-safe.
class SystemRandom final : public Random {
 public:
  void Fill(std::span<std::uint8_t> out) override;
};

}  // namespace weft
