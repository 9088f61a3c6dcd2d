// What a peer may cost us: every limit of the network in one place.
//
// The defaults are the normative ones (threats, E.1), and each may be set lower. A test
// of an attack names its number and turns the limit it needs down far enough to reach.
// Not here: the size of frames (replication/frame.h), what stands in the messages of
// one core (remote_state.h, announcer.h) and of one base (feed_messages.h).

#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "engine/host.h"

namespace weft {

inline constexpr std::size_t kMiB = 1024 * 1024;

struct NetworkLimits {
  // L1: connections that have not finished their handshake.
  std::size_t half_open_max = 256;
  std::size_t half_open_per_ip_max = 16;
  // L2: from the first byte to the end of the handshake.
  Nanos handshake_deadline = std::chrono::seconds(5);
  // L4: a bucket for each address.
  std::uint64_t accepts_per_second = 50;
  std::uint64_t accepts_burst = 100;
  // L5
  std::size_t connections_max = 1024;
  // From one address, or from all loopback ones, at most this and a quarter of all.
  std::size_t connections_per_ip_max = 1024;
  // L7: received and not yet stored or dropped.
  std::size_t received_bytes_per_peer = 32 * kMiB;
  std::size_t received_bytes_global = 512 * kMiB;
  // L8: without a byte, keep-alive included.
  Nanos silence_max = std::chrono::seconds(60);
  // A frame that has begun brings at least so much in each such interval.
  Nanos progress_interval = std::chrono::seconds(60);
  std::size_t progress_bytes_min = 4096;
  // What was handed to the wire goes out within this, a MiB at a time.
  Nanos write_limit = std::chrono::minutes(5);
  // L9: channels at once; ids used by a peer, over the life of a connection.
  std::size_t channels_max = 65536;
  std::size_t opens_max = 655360;
  // L10: opens that we refuse. So many are answered at once, further ones at this rate;
  // more than that in a minute end the connection.
  std::uint64_t refusals_at_once = 16384;
  std::uint64_t refusals_per_second = 1000;
  std::uint64_t refusals_per_minute_max = 100'000;
  // L12: memory for what a peer says it has, over all its cores.
  std::size_t claims_bytes_per_peer = 64 * kMiB;
  // L15: answers that wait to go out, and requests that wait for their answers.
  std::size_t upload_bytes_per_peer = 8 * kMiB;
  std::size_t upload_bytes_global = 256 * kMiB;
  std::size_t requests_per_peer = 4096;
  // L16: time a second spent on checking what turned out to be of no use.
  Nanos useless_work_per_second = std::chrono::milliseconds(250);
  // L19: lines about one host.
  std::size_t log_bytes_per_minute = 64 * 1024;

  // No configuration goes beyond these.
  static constexpr std::size_t kConnectionsHardMax = 8192;
  static constexpr std::size_t kConnectionsPerIpAtLeast = 2;

  NetworkLimits Clamped() const {
    NetworkLimits clamped = *this;
    clamped.connections_max = std::min(connections_max, kConnectionsHardMax);
    clamped.connections_per_ip_max =
        std::min(connections_per_ip_max,
                 std::max(clamped.connections_max / 4, kConnectionsPerIpAtLeast));
    return clamped;
  }
};

}  // namespace weft
