// A hostile node: dials one victim after the other, does a real handshake where its
// kind needs one, and then writes what its script says, frame by frame.

#pragma once

#include <asio/io_context.hpp>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/hypercore.h"
#include "tests/sim/crowd.h"
#include "tests/sim/sim_clock.h"
#include "tests/sim/sim_random.h"

namespace weft::sim {

struct AttackerOptions {
  HostileKind kind = HostileKind::kGarbage;
  asio::io_context* io = nullptr;  // none of these is owned
  SimClock* clock = nullptr;
  Network* network = nullptr;
  // Every feed, as its author has it.
  const std::map<CoreKey, std::shared_ptr<Hypercore>>* cores = nullptr;
  std::vector<std::string> targets;
  std::uint64_t seed = 0;
};

class Attacker {
 public:
  explicit Attacker(AttackerOptions options);
  ~Attacker();
  void Start();
  // Nothing of the options is used afterwards.
  void Stop();
  std::uint64_t dials() const;

 private:
  struct State;
  static Task<void> Loop(std::shared_ptr<State> state);
  static Task<void> Attack(std::shared_ptr<State> state, Wire& wire);

  std::shared_ptr<State> state_;
};

}  // namespace weft::sim
