// How much may be logged about whom (L19): one host has so many bytes a minute over all
// its connections, however many it opens.

#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>

#include "replication/rate.h"

namespace weft {

// Not thread-safe: one strand for the store and all its sessions.
class LogLimit {
 public:
  // Of so many hosts each counts for itself, and all further ones count as one.
  static constexpr std::size_t kHostsMax = 256;

  explicit LogLimit(std::size_t bytes_per_minute);

  // Whether a line of so many bytes about this peer (Wire::peer) may be logged now.
  bool Take(std::string_view peer, std::size_t bytes, Nanos now);

 private:
  // Half of it at once, and the other half within a minute.
  Rate Fresh() const { return Rate(half_ / 60 + 1, half_); }

  std::size_t half_;  // of a minute's bytes
  std::map<std::string, Rate> hosts_;
  Rate others_;
};

}  // namespace weft
