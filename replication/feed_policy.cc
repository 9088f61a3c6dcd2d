#include "replication/feed_policy.h"

#include <algorithm>

namespace weft {

std::vector<FeedHead> InOrderOfFetching(std::vector<FeedHead> heads,
                                        const FeedRank& rank) {
  std::vector<std::pair<int, std::size_t>> order;
  order.reserve(heads.size());
  for (std::size_t i = 0; i < heads.size(); ++i) {
    order.emplace_back(rank(heads[i].core), i);
  }
  std::sort(order.begin(), order.end());
  std::vector<FeedHead> sorted;
  sorted.reserve(heads.size());
  for (const auto& [rank_of, i] : order) sorted.push_back(heads[i]);
  return sorted;
}

}  // namespace weft
