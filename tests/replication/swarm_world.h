// Swarms on the simulated network, each with a store in memory, by address: the hosts
// are named like machines, so that the rules for addresses apply.

#pragma once

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <memory>
#include <string>
#include <vector>

#include "replication/swarm.h"
#include "tests/replication/peers.h"
#include "tests/sim/sim_network.h"

namespace weft {

struct SwarmPeer : Peer {
  SwarmPeer(std::uint64_t seed, std::string host) : Peer(seed), address(host + ":1") {}

  void Listen() { WEFT_CHECK(swarm->Listen(address).ok()); }

  std::string address;
  std::unique_ptr<Network> network;
  std::unique_ptr<Swarm> swarm;
  std::vector<std::string> lines;  // what it told
};

struct SwarmWorld : EventLoop {
  explicit SwarmWorld(std::uint64_t seed = 1)
      : random(seed), network(&clock, seed, {}) {}
  ~SwarmWorld() {
    for (const auto& peer : peers) peer->swarm->Shutdown();
    Drain();
    clock.Clear();
    Drain();
    for (const auto& peer : peers) peer->swarm.reset();
    Drain();
  }

  SwarmPeer& Add(const std::string& host, const NetworkLimits& limits = {},
                 const std::optional<KeyPair>& identity = std::nullopt) {
    peers.push_back(std::make_unique<SwarmPeer>(random.U64(), host));
    SwarmPeer& peer = *peers.back();
    peer.network = network.HostView(host);
    SwarmOptions options;
    options.executor = io.get_executor();
    options.clock = &clock;
    options.random = &peer.random;
    options.network = peer.network.get();
    options.cores = &peer;
    options.observer = &peer;
    options.limits = limits;
    options.identity = identity;
    options.on_event = [&peer](const std::string& line) { peer.lines.push_back(line); };
    peer.swarm = std::make_unique<Swarm>(options);
    return peer;
  }

  // A connection on which nobody says anything, kept in `wires`.
  void DialRaw(Network& from, const std::string& address,
               std::vector<std::unique_ptr<Wire>>* wires) {
    asio::co_spawn(
        io, from.Dial(address),
        [wires](std::exception_ptr, absl::StatusOr<std::unique_ptr<Wire>> wire) {
          if (wire.ok()) wires->push_back(*std::move(wire));
        });
  }
  void Forget(std::vector<std::unique_ptr<Wire>>* wires) {
    wires->clear();
    Drain();
  }
  // A session outside every swarm, with a key of the caller's choice.
  void DialSession(Network& from, const std::string& address, Peer* store,
                   const KeyPair& identity,
                   std::vector<std::shared_ptr<Session>>* sessions) {
    asio::co_spawn(io, from.Dial(address),
                   [this, store, identity, sessions](
                       std::exception_ptr, absl::StatusOr<std::unique_ptr<Wire>> wire) {
                     if (!wire.ok()) return;
                     SessionOptions options;
                     options.is_initiator = true;
                     options.cores = store;
                     options.clock = &clock;
                     options.random = &store->random;
                     options.static_key = identity;
                     sessions->push_back(Session::Create(*std::move(wire), options));
                     asio::co_spawn(io, Session::Run(sessions->back()),
                                    [](std::exception_ptr, absl::Status) {});
                   });
  }

  sim::SimRandom random;
  sim::SimNetwork network;
  std::vector<std::unique_ptr<SwarmPeer>> peers;
};

}  // namespace weft
