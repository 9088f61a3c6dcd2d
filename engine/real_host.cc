#include "engine/real_host.h"

#include "engine/crypto.h"

namespace weft {

Nanos RealClock::Now() const {
  return std::chrono::duration_cast<Nanos>(
      std::chrono::system_clock::now().time_since_epoch());
}

Nanos RealClock::Steady() const {
  return std::chrono::duration_cast<Nanos>(
      std::chrono::steady_clock::now().time_since_epoch());
}

void SystemRandom::Fill(std::span<std::uint8_t> out) {
  FillFromSystem(out);
}

}  // namespace weft
