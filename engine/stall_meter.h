// How long an event loop was kept by one thing at a time: what peers and callers feel
// as a stall.

#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "engine/host.h"

namespace weft {

// Written by the loop's thread, read by any.
class StallMeter {
 public:
  void Add(Nanos step) {
    const std::int64_t length = step.count();
    steps_.fetch_add(1, std::memory_order_relaxed);
    if (length > longest_.load(std::memory_order_relaxed)) {
      longest_.store(length, std::memory_order_relaxed);
    }
    if (step >= kLong) long_.fetch_add(1, std::memory_order_relaxed);
  }
  // From here on anew.
  void Reset() {
    longest_.store(0, std::memory_order_relaxed);
    long_.store(0, std::memory_order_relaxed);
    steps_.store(0, std::memory_order_relaxed);
  }

  // No step may take longer than this (design, 7).
  static constexpr Nanos kLong = std::chrono::milliseconds(5);
  Nanos longest() const { return Nanos(longest_.load(std::memory_order_relaxed)); }
  std::uint64_t long_steps() const { return long_.load(std::memory_order_relaxed); }
  std::uint64_t steps() const { return steps_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::int64_t> longest_{0};
  std::atomic<std::uint64_t> long_{0};
  std::atomic<std::uint64_t> steps_{0};
};

}  // namespace weft
