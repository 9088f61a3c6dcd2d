// Randomness from a seed: fit for replaying a run, not for keys that matter.

#pragma once

#include <random>

#include "engine/host.h"

namespace weft::sim {

class SimRandom final : public Random {
 public:
  explicit SimRandom(std::uint64_t seed) : engine_(seed) {}

  void Fill(std::span<std::uint8_t> out) override {
    for (std::uint8_t& byte : out) byte = static_cast<std::uint8_t>(engine_());
  }
  // Uniform in [0, bound), bound > 0.
  std::uint64_t Below(std::uint64_t bound) { return engine_() % bound; }
  bool Chance(double probability) {
    return static_cast<double>(engine_() >> 11) * 0x1.0p-53 < probability;
  }

 private:
  std::mt19937_64 engine_;
};

}  // namespace weft::sim
