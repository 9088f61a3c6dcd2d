// The swarm: every connection of a store. Accepts, dials, dials again with back-off
// and jitter, and knows who is there.
//
// It shows one key on all its connections, and so do others: that is how it finds out
// that it dialled a peer that it is connected to already. That it dialled itself it
// finds by the handshake, whose hash both ends share: a copy of the store has the same
// key. Of two connections that were dialled from both sides the one stays
// whose dialler has the smaller key, and both sides know; of two dialled from one side
// the older, which its dialler knows; one that has been silent for two keep-alives
// gives way to any. Between one message and the next, and to a peer that ignores this,
// two may stand: the oldest and the newest.
//
// A connection that was dialled for something has users, who are counted: it ends with
// the last of them.
//
// Scores and bans are kept here, by key and by address (replication/ban_table.h).
//
// Lives on the strand of the cores. It owns the sessions while they run.

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/async_host.h"
#include "engine/signal.h"
#include "replication/admission.h"
#include "replication/ban_table.h"
#include "replication/session.h"

namespace weft {

struct SwarmOptions {
  asio::any_io_executor executor;       // the strand
  AsyncClock* clock = nullptr;          // not owned
  Random* random = nullptr;             // not owned
  Network* network = nullptr;           // not owned
  CoreProvider* cores = nullptr;        // not owned
  SessionObserver* observer = nullptr;  // not owned; hears of every session
  Workers* workers = nullptr;           // not owned; may be null
  NetworkLimits limits;
  // Asked for every key that a peer shows, after the bans; absent: everybody.
  NoiseHandshake::Admit admit;
  // What may pass of a core on a connection, beside the rules of single peers.
  std::function<FeedPermission(const Session&, const CoreKey&)> permit;
  // Whether a connection to the peer of this key, which Keep has lost, should be made
  // again now; absent: always.
  std::function<bool(const PublicKey& peer)> wanted;
  // Somebody was kept out or ended for what he did. A line for a person.
  std::function<void(const std::string& line)> on_event;
  // What peers know us by; absent: a key that is fresh for each run.
  std::optional<KeyPair> identity;
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
  // 100 ms later at first and at most every 30 s, each time with jitter. An event tells
  // why nobody can be reached there, once for each reason in a row.
  void Keep(const std::string& address);

  // Keeps a connection to an address that somebody else named (a beacon, a peer): gives
  // up after a few failures, and takes no more than 256 of them at a time.
  void Meet(const std::string& address);

  // The TCP port that others can reach us at; 0: none.
  std::uint16_t listening_port() const;

  // One connection, ready for channels when this returns: a new one, or the one there
  // is with the same peer. Who dials an address while somebody does gets what comes of
  // that. Each call that succeeds is a use; give it back to Release.
  // UNAVAILABLE       nobody answers there within `limit`, or it speaks something else,
  //                   or the address is our own
  // INVALID_ARGUMENT  not an address
  // PERMISSION_DENIED, RESOURCE_EXHAUSTED  we did not want what answered: see Session
  Task<absl::StatusOr<std::shared_ptr<Session>>> Dial(std::string address, Nanos limit);
  // A use of the ready connection with this key, as if Dial had given it; or null.
  std::shared_ptr<Session> Use(const PublicKey& key);
  // Gives a use back, which need not be done of a connection that has ended. If it was
  // the last of one that Dial made, that closes once all is written; otherwise false.
  bool Release(const std::shared_ptr<Session>& session);

  // A byte stream that came to be in another way: a pipe, a pair of them, a socket of
  // its own. Returns the session, which runs.
  std::shared_ptr<Session> Adopt(std::unique_ptr<Wire> wire, bool is_initiator);

  // What may pass on connections with this key from now on; nullopt: the rule ends.
  // Connections that stand are told at once.
  void SetRule(const PublicKey& peer, std::optional<FeedRule> rule);
  // The rules of SwarmOptions::permit have changed.
  void PolicyChanged();

  // The key shown on every connection of this run.
  const PublicKey& key() const;
  const BanTable& bans() const;
  // What all its sessions hold.
  const NetworkBudget& budget() const;
  // What counts against a peer beside what its sessions find out.
  void Blame(const Session& session, int points);

  void Shutdown();

  // Those that are ready, oldest first.
  std::vector<std::shared_ptr<Session>> Ready() const;
  struct Connection {
    std::shared_ptr<Session> session;
    bool incoming = false;
    bool dialled_once = false;  // by Dial, and to be ended by Release
    std::size_t uses = 0;       // not given back
  };
  std::vector<Connection> connections() const;

 private:
  struct State;
  static Task<void> AcceptLoop(std::shared_ptr<State> state,
                               std::shared_ptr<Listener> listener);
  // `failures_max` in a row end it; 0: none do.
  static Task<void> KeepLoop(std::shared_ptr<State> state, std::string address,
                             int failures_max);
  static Task<void> Pause(std::shared_ptr<State> state, Nanos duration);
  static Task<absl::StatusOr<std::unique_ptr<Wire>>> DialWithin(
      std::shared_ptr<State> state, std::string address, Nanos limit);
  // Of Dial, once; ALREADY_EXISTS if it lost to a connection that is gone again.
  static Task<absl::StatusOr<std::shared_ptr<Session>>> DialOnce(
      std::shared_ptr<State> state, std::string address, Nanos limit, Nanos deadline);
  static Task<absl::Status> RunSession(std::shared_ptr<State> state,
                                       Connection connection);

  std::shared_ptr<State> state_;
};

}  // namespace weft
