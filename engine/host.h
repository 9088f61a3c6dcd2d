// The seam for simulation: time and randomness come in through here, the network
// through engine/async_host.h and the disk through engine/storage.h. All four are
// handed to constructors and never global, so that a whole cluster runs inside one
// thread from one seed. engine/real_host.h has the machine's own versions.

#pragma once

#include <chrono>
#include <cstdint>
#include <span>

namespace weft {

using Nanos = std::chrono::nanoseconds;

class Clock {
 public:
  virtual ~Clock() = default;
  // Wall time since the Unix epoch. May step in either direction.
  virtual Nanos Now() const = 0;
  // Time since some fixed moment. Never steps back.
  virtual Nanos Steady() const = 0;
};

class Random {
 public:
  virtual ~Random() = default;
  // Fills `out` with bytes fit for keys.
  virtual void Fill(std::span<std::uint8_t> out) = 0;

  std::uint64_t U64() {
    std::uint8_t bytes[8];
    Fill(bytes);
    std::uint64_t value = 0;
    for (int i = 0; i < 8; ++i) value |= std::uint64_t{bytes[i]} << (8 * i);
    return value;
  }
};

}  // namespace weft
