// The simulated network: streams between named hosts, with every fault a stream can
// have. Bytes of one stream arrive in order, cut anywhere, each piece after its own
// delay; streams overtake each other. Loss breaks the stream, as it does for TCP in
// the end. A partition makes dialling fail and breaks what is open; a stall holds
// back one direction until it is healed; a host that crashes may leave the other side
// of its streams waiting without a word.
//
// An address is "host:port"; ports are only told apart. Not thread-safe.

#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "engine/async_host.h"
#include "tests/sim/sim_clock.h"
#include "tests/sim/sim_random.h"

namespace weft::sim {

struct NetworkFaults {
  Nanos delay_mean{std::chrono::milliseconds(20)};
  double loss = 0.0;  // chance that a piece breaks its stream instead of arriving
  std::size_t piece_bytes_max = 4096;
  // A stream takes no more than this before the other side has read some of it.
  std::size_t window_bytes = 256 * 1024;
  // Chance that nobody tells the other side of a stream that a host has crashed.
  double silent_crash = 0.0;
};

class SimNetwork {
 public:
  // What reached its reader, for a trace.
  using Tap = std::function<void(const std::string& from, const std::string& to,
                                 ByteView bytes)>;

  SimNetwork(SimClock* clock, std::uint64_t seed, NetworkFaults faults);
  ~SimNetwork();

  // The network as the host of that name sees it; owned by the caller.
  std::unique_ptr<Network> HostView(std::string host);

  // From now on the two cannot reach each other, and what they had open breaks.
  void Partition(const std::string& a, const std::string& b);
  // From now on nothing that `from` sends arrives at `to`; it is kept for later.
  void Stall(const std::string& from, const std::string& to);
  // Ends all partitions and stalls; what was held back arrives now.
  void HealAll();
  void set_faults(NetworkFaults faults) { faults_ = faults; }
  void set_tap(Tap tap) { tap_ = std::move(tap); }
  // Breaks every stream of the host and closes its listeners: it crashed.
  void Drop(const std::string& host);

  // Something that the host has sent may still reach somebody, also after a crash.
  bool HasUnderWay(const std::string& host);
  std::uint64_t bytes_carried() const { return bytes_carried_; }
  std::uint64_t streams_opened() const { return streams_opened_; }

 private:
  friend class SimWire;
  friend class SimListener;
  friend class SimHost;
  struct Stream;

  bool Connected(const std::string& a, const std::string& b) const;
  bool Stalled(const Stream& stream, std::size_t to) const;
  Nanos Delay();
  void Send(const std::shared_ptr<Stream>& stream, std::size_t from, Bytes bytes);
  void SendEnd(const std::shared_ptr<Stream>& stream, std::size_t from);
  void Schedule(const std::shared_ptr<Stream>& stream, std::size_t to);
  void Deliver(const std::shared_ptr<Stream>& stream, std::size_t to);
  void Break(Stream& stream);
  std::vector<std::shared_ptr<Stream>> LiveStreams();

  SimClock* clock_;  // not owned
  SimRandom random_;
  NetworkFaults faults_;
  Tap tap_;
  std::uint64_t bytes_carried_ = 0;
  std::uint64_t streams_opened_ = 0;
  std::set<std::pair<std::string, std::string>> cut_;      // in order of name
  std::set<std::pair<std::string, std::string>> stalled_;  // from, to
  std::map<std::string, std::uint64_t> crashes_;           // by host
  std::map<std::string, class SimListener*> listeners_;    // by address
  std::vector<std::weak_ptr<Stream>> streams_;
};

}  // namespace weft::sim
