// The mesh: with whom to keep a connection, so that a base of hundreds of peers hangs
// together although each has only about a dozen connections.
//
// Each keeps between `low` and `high` connections for a base, dialling addresses it
// was told at random and dropping at random what is too much: a random graph of such
// degrees is connected, and any change crosses it in a few hops. A pure function of
// what is known and of one random number.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/crypto.h"
#include "engine/host.h"

namespace weft {

struct MeshLimits {
  std::size_t low = 6;
  std::size_t target = 8;
  std::size_t high = 12;
  // A connection is not dropped before it could learn other addresses.
  Nanos settle = std::chrono::seconds(2);
  // Dials at once, so that a list of dead addresses costs little.
  std::size_t dials_max = 2;
};

struct MeshPeer {
  PublicKey key;
  Nanos age{0};       // since the base was opened on the connection
  bool keep = false;  // asked for by a person, or needed for another base
};

struct MeshState {
  std::vector<MeshPeer> peers;          // connected for this base
  std::vector<std::string> candidates;  // of peers that are not
  std::size_t dialling = 0;             // dials under way
};

struct MeshPlan {
  std::vector<std::string> dial;
  std::vector<PublicKey> drop;
};

MeshPlan PlanMesh(const MeshState& state, const MeshLimits& limits, std::uint64_t dice);

}  // namespace weft
