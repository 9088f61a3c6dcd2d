#include "engine/open_files.h"

#include <sys/resource.h>

#include <algorithm>

namespace weft {
namespace {

// More than every limit of ours adds up to. Programs that we start inherit it, and some
// of them walk through all there may be.
constexpr rlim_t kEnough = 65536;
// Listeners, pipes, the control socket and its clients, files that are read or written.
constexpr std::uint64_t kOthers = 64;
constexpr std::uint64_t kPeersAtLeast = 8;

}  // namespace

void RaiseOpenFilesLimit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  const rlim_t wanted = std::min(limit.rlim_max, kEnough);
  if (limit.rlim_cur >= wanted) return;
  limit.rlim_cur = wanted;
  // If that is refused, the limits of the network follow the one there is.
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

std::uint64_t OpenFilesLimit() {
  rlimit limit{};
  return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 256;
}

std::uint64_t OpenFilesOfStorage(std::uint64_t limit) {
  return std::clamp<std::uint64_t>(limit / 4, 20, 256);
}

std::uint64_t OpenFilesForPeers(std::uint64_t limit) {
  const std::uint64_t taken = OpenFilesOfStorage(limit) + kOthers;
  return std::max(limit - std::min(limit, taken), kPeersAtLeast);
}

}  // namespace weft
