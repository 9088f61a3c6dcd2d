// How far a synchronisation has come, in blocks both ways: for a progress bar what the
// peers have said of each log, in the end what the connection has carried.

#pragma once

#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "replication/feed_exchange.h"
#include "replication/session.h"
#include "replication/swarm.h"
#include "weft/base_node.h"
#include "weft/types.h"

namespace weft {

// Not thread-safe: on the strand of the store.
class SyncMeter {
 public:
  using Exchanges = std::map<BaseNode*, std::shared_ptr<FeedExchange>>;

  // Remembers what is here now, and what each connection has carried; the bases must
  // outlive the meter.
  SyncMeter(const std::vector<std::unique_ptr<BaseNode>>& bases,
            const std::vector<Swarm::Connection>& connections);

  // What has moved since, and all that both sides know has to move.
  Progress Measure(const Exchanges& exchanges) const;
  // Blocks of the cores of all bases that the session has carried since.
  SyncResult Result(const std::shared_ptr<Session>& session) const;

 private:
  using LogId = std::pair<const BaseNode*, CoreKey>;
  struct Count {
    std::uint64_t done = 0;
    std::uint64_t total = 0;
  };
  Count Received(const Exchanges& exchanges) const;
  Count Sent(const Exchanges& exchanges) const;

  struct Carried {
    std::uint64_t received = 0;
    std::uint64_t sent = 0;
  };
  std::map<LogId, std::uint64_t> held_before_;
  // Those that there were; one that ends meanwhile is not kept for this.
  std::map<std::weak_ptr<Session>, Carried, std::owner_less<>> carried_before_;
};

}  // namespace weft
