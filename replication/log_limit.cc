#include "replication/log_limit.h"

#include <iterator>
#include <utility>

#include "replication/peer_host.h"

namespace weft {
namespace {

// What a log has around a line.
constexpr std::size_t kAroundLine = 16;

// An address without its port, or the network that one machine has to itself; of a
// socket's guest, the socket.
std::string HostOf(std::string_view peer) {
  const auto prefix = IpPrefixOf(peer);
  if (prefix && prefix->is_v6) {
    return std::string(prefix->bytes.begin(), prefix->bytes.end());
  }
  return std::string(peer.substr(0, peer.find_last_of(":#")));
}

}  // namespace

LogLimit::LogLimit(std::size_t bytes_per_minute)
    : half_(bytes_per_minute / 2), others_(Fresh()) {}

bool LogLimit::Take(std::string_view peer, std::size_t bytes, Nanos now) {
  std::string host = HostOf(peer);
  auto found = hosts_.find(host);
  if (found == hosts_.end()) {
    if (hosts_.size() >= kHostsMax) {
      // Whoever has been quiet for a minute is as good as new.
      for (auto at = hosts_.begin(); at != hosts_.end();) {
        at = at->second.Full(now) ? hosts_.erase(at) : std::next(at);
      }
    }
    if (hosts_.size() >= kHostsMax) return others_.Take(bytes + kAroundLine, now);
    found = hosts_.emplace(std::move(host), Fresh()).first;
  }
  return found->second.Take(bytes + kAroundLine, now);
}

}  // namespace weft
