// The simulated network: streams between named hosts, with every fault a stream can
// have. Bytes of one stream arrive in order, cut anywhere, each piece after its own
// delay; streams overtake each other. Loss breaks the stream, as it does for TCP in
// the end. A partition makes dialling fail and breaks what is open.
//
// An address is "host:port"; ports are only told apart. Not thread-safe.

#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "engine/async_host.h"
#include "tests/sim/sim_clock.h"
#include "tests/sim/sim_random.h"

namespace weft::sim {

struct NetworkFaults {
  Nanos delay_mean{std::chrono::milliseconds(20)};
  double loss = 0.0;  // chance that a piece breaks its stream instead of arriving
  std::size_t piece_bytes_max = 4096;
};

class SimNetwork {
 public:
  SimNetwork(SimClock* clock, asio::any_io_executor executor, std::uint64_t seed,
             NetworkFaults faults);
  ~SimNetwork();

  // The network as the host of that name sees it; owned by the caller.
  std::unique_ptr<Network> HostView(std::string host);

  // From now on the two cannot reach each other, and what they had open breaks.
  void Partition(const std::string& a, const std::string& b);
  void HealAll();
  void set_faults(NetworkFaults faults) { faults_ = faults; }
  // Breaks every stream of the host and closes its listeners: it crashed.
  void Drop(const std::string& host);

  std::uint64_t bytes_carried() const { return bytes_carried_; }

 private:
  friend class SimWire;
  friend class SimListener;
  friend class SimHost;
  struct Stream;

  bool Reachable(const std::string& a, const std::string& b) const;
  Nanos Delay();
  void Send(const std::shared_ptr<Stream>& stream, int from, Bytes bytes);
  void Break(const std::shared_ptr<Stream>& stream);

  SimClock* clock_;  // not owned
  asio::any_io_executor executor_;
  SimRandom random_;
  NetworkFaults faults_;
  std::uint64_t bytes_carried_ = 0;
  std::set<std::pair<std::string, std::string>> cut_;
  std::map<std::string, class SimListener*> listeners_;  // by address
  std::vector<std::weak_ptr<Stream>> streams_;
};

}  // namespace weft::sim
