// The swarm: every connection of a store. Accepts, dials, dials again with back-off
// and jitter, and knows who is there.
//
// Lives on the strand of the cores. It owns the sessions while they run.

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/async_host.h"
#include "engine/signal.h"
#include "replication/session.h"

namespace weft {

struct SwarmOptions {
  asio::any_io_executor executor;       // the strand
  AsyncClock* clock = nullptr;          // not owned
  Random* random = nullptr;             // not owned
  Network* network = nullptr;           // not owned
  CoreProvider* cores = nullptr;        // not owned
  SessionObserver* observer = nullptr;  // not owned; hears of every session
  // Connections at once; further ones are closed as they come (limit L5).
  std::size_t connections_max = 1024;
};

class Swarm {
 public:
  explicit Swarm(const SwarmOptions& options);
  // Ends everything; the tasks of the swarm finish on the executor afterwards and
  // touch nothing of it.
  ~Swarm();

  // Accepts connections from now on and returns the address in use.
  // INVALID_ARGUMENT  not an address;  UNAVAILABLE  it is in use
  absl::StatusOr<std::string> Listen(const std::string& address);

  // Keeps a connection to the address until Shutdown: dials again after it ended,
  // 100 ms later at first and at most every 30 s, each time with jitter.
  void Keep(const std::string& address);

  // One connection, ready for channels when this returns. It is dropped by Close.
  // UNAVAILABLE        nobody answers there within `limit`, or it speaks something else
  // INVALID_ARGUMENT   not an address
  // DEADLINE_EXCEEDED  the handshake did not end in time
  Task<absl::StatusOr<std::shared_ptr<Session>>> Dial(std::string address, Nanos limit);

  void Shutdown();

  // Those that are ready, oldest first.
  std::vector<std::shared_ptr<Session>> Ready() const;
  struct Connection {
    std::shared_ptr<Session> session;
    bool incoming = false;
  };
  std::vector<Connection> connections() const;

 private:
  struct State;
  static Task<void> AcceptLoop(std::shared_ptr<State> state,
                               std::shared_ptr<Listener> listener);
  static Task<void> KeepLoop(std::shared_ptr<State> state, std::string address);
  static Task<void> Pause(std::shared_ptr<State> state, Nanos duration);
  static Task<absl::StatusOr<std::unique_ptr<Wire>>> DialWithin(
      std::shared_ptr<State> state, std::string address, Nanos limit);
  static Task<absl::Status> RunSession(std::shared_ptr<State> state,
                                       std::shared_ptr<Session> session, bool incoming);

  std::shared_ptr<State> state_;
};

}  // namespace weft
