// How far a synchronisation has come, in blocks both ways, for a progress bar.

#pragma once

#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "replication/feed_exchange.h"
#include "weft/base_node.h"
#include "weft/types.h"

namespace weft {

class SyncMeter {
 public:
  using Exchanges = std::map<BaseNode*, std::shared_ptr<FeedExchange>>;

  // Remembers what is here now; the bases must outlive the meter.
  explicit SyncMeter(const std::vector<std::unique_ptr<BaseNode>>& bases);

  // What has moved since, and all that both sides know has to move.
  Progress Measure(const Exchanges& exchanges) const;
  SyncResult Result(const Exchanges& exchanges) const;

 private:
  using LogId = std::pair<const BaseNode*, CoreKey>;
  struct Count {
    std::uint64_t done = 0;
    std::uint64_t total = 0;
  };
  Count Received(const Exchanges& exchanges) const;
  Count Sent(const Exchanges& exchanges) const;

  std::map<LogId, std::uint64_t> held_before_;
};

}  // namespace weft
