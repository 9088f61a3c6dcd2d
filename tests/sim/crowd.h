// A crowd: hundreds of swarms with thousands of feeds on one simulated network, part of
// them hostile, in one thread, from one seed. Where the World (tests/sim/world.h) asks
// what stores mean, the crowd asks what the network costs and who survives it.
//
// Every honest node writes some feeds and follows those of a few others, whom it dials.
// Nodes leave and come back, the network splits and heals, and hostile nodes of the
// kinds below do their worst all the time.

#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/host.h"

namespace weft::sim {

enum class HostileKind {
  kGarbage,       // a right handshake, and then bytes that were never sealed
  kHalfOpen,      // connects and says nothing, again and again
  kSlowloris,     // a handshake, and then a frame that never ends
  kOpenFlood,     // opens channels of cores that nobody has
  kLiar,          // serves the feeds it knows with spoiled blocks
  kMute,          // claims all blocks and gives none
  kRequestStorm,  // asks for everything all the time
  kWantStorm,     // wants and claims without end
};
inline constexpr int kHostileKinds = 8;

struct CrowdOptions {
  std::size_t nodes = 40;  // honest
  std::size_t hostile = 8;
  std::size_t feeds = 200;
  std::size_t follows = 5;               // authors that a node follows
  Nanos busy{std::chrono::seconds(60)};  // churn, writes, a split in the middle
  Nanos calm{std::chrono::minutes(10)};  // within which all must be level afterwards
};

struct CrowdResult {
  bool level = false;
  Nanos level_after{0};  // of the calm part
  std::vector<std::string> problems;
  std::string trace_hash;
  std::size_t connections_most = 0;     // of one node
  std::size_t received_bytes_most = 0;  // held by one node at once
  std::size_t upload_bytes_most = 0;
  std::uint64_t bytes = 0;          // carried
  std::uint64_t blocks = 0;         // written
  std::uint64_t blocks_copied = 0;  // held by followers in the end
  std::uint64_t hostile_dials = 0;
  std::uint64_t hostile_bans = 0;
  std::size_t points_most = 0;  // of an honest node with an honest node
};

CrowdResult RunCrowd(std::uint64_t seed, const CrowdOptions& options);

}  // namespace weft::sim
