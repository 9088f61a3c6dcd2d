// The order of fetching: a pure function of what peers told and of what the base knows.
//
// Who may have which logs at all is said by replication/connection_policy.h.

#pragma once

#include <functional>
#include <vector>

#include "replication/feed_messages.h"

namespace weft {

// Those of higher rank (a smaller number) first, else as told: the logs that hold
// grants are then judged before the data that needs them.
using FeedRank = std::function<int(const CoreKey& core)>;
std::vector<FeedHead> InOrderOfFetching(std::vector<FeedHead> heads,
                                        const FeedRank& rank);

}  // namespace weft
