// Finding peers on the local network by multicast: says every half minute that we are
// here, more often at first, and listens for others who share a base with us.
// Bytes: replication/lan_beacon.h.

#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/async_host.h"
#include "replication/lan_beacon.h"

namespace weft {

struct LanOptions {
  asio::any_io_executor executor;  // the strand of the callbacks
  AsyncClock* clock = nullptr;     // not owned
  Random* random = nullptr;        // not owned
  std::string group = "239.255.87.70";
  std::uint16_t port = 8770;
  // The address of the interface to use; empty: the system's choice.
  std::string interface_address;
};

class LanDiscovery {
 public:
  struct Host {
    // The TCP port we listen on; 0: none, and we only listen for others.
    std::function<std::uint16_t()> port;
    // One key for each of our bases (LanTagKey).
    std::function<std::vector<Hash32>()> tag_keys;
    // Somebody who shares a base listens there. Told again with every beacon.
    std::function<void(const std::string& address)> found;
  };

  // Runs until destroyed; nothing of `host` is called afterwards.
  // INVALID_ARGUMENT  not an address, or not a multicast group
  // UNAVAILABLE       the system does not let us
  static absl::StatusOr<std::unique_ptr<LanDiscovery>> Start(const LanOptions& options,
                                                             Host host);
  ~LanDiscovery();

 private:
  struct State;
  explicit LanDiscovery(std::shared_ptr<State> state);
  static Task<void> Announce(std::shared_ptr<State> state);
  static Task<void> Listen(std::shared_ptr<State> state);

  std::shared_ptr<State> state_;
};

}  // namespace weft
