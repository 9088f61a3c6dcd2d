// One of several whole stores on the simulated network.

#pragma once

#include <gtest/gtest.h>

#include <asio/io_context.hpp>
#include <memory>
#include <string>
#include <vector>

#include "engine/memory_storage.h"
#include "tests/sim/sim_clock.h"
#include "tests/sim/sim_network.h"
#include "tests/sim/sim_random.h"
#include "weft/node.h"

namespace weft::sim {

// A whole store, its disk in memory.
struct Member {
  Member(asio::io_context& io, SimClock* clock, SimNetwork& world,
         const std::string& name, std::uint64_t seed)
      : address(name + ":1"), random(seed), network(world.HostView(name)) {
    NodeHost host;
    host.executor = io.get_executor();
    host.storage = &storage;
    host.clock = clock;
    host.random = &random;
    host.network = network.get();
    node = *Node::Open(host);
    EXPECT_TRUE(node->Listen(address).ok());
  }
  BaseNode& base() const { return *node->bases().front(); }
  std::vector<PublicKey> Neighbours() const {
    std::vector<PublicKey> keys;
    for (const auto& session : node->swarm().Ready()) {
      keys.push_back(session->remote_static_key());
    }
    return keys;
  }
  absl::Status Put(const std::string& key, const std::string& value) {
    Batch batch;
    batch.Put(key, Datum::Of(std::string_view(value)));
    WEFT_RETURN_IF_ERROR(base().CommitLogged(batch).status());
    WEFT_RETURN_IF_ERROR(node->cores().Sync());
    return absl::OkStatus();
  }

  std::string address;
  MemoryStorage storage;
  SimRandom random;
  std::unique_ptr<Network> network;
  std::unique_ptr<Node> node;
};

}  // namespace weft::sim
