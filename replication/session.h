// A Session is one connection to one peer: handshake, encryption, mux, and a channel
// for each core the two have something to say about.
//
// Everything of it runs on the strand that Run was spawned on, which must be the
// strand of the cores too; so nothing here locks. All input comes from the Wire, the
// clock and the random source given, and every container whose order reaches the wire
// is ordered: the same inputs give the same bytes.
//
// A wrong proof or signature closes the channel of that core and bars the core for
// this connection; the others go on. A malformed frame ends the connection.

#pragma once

#include <asio/any_io_executor.hpp>
#include <asio/cancellation_signal.hpp>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "engine/async_host.h"
#include "engine/corestore.h"
#include "engine/hypercore.h"
#include "replication/download.h"
#include "replication/protomux.h"
#include "replication/secret_stream.h"

namespace weft {

class CoreChannel;
class DownloadBook;
class Session;

// Which cores a peer may have, and what is done with those it offers.
class CoreProvider {
 public:
  virtual ~CoreProvider() = default;
  // The core a peer asks for. Must answer from memory if there is none (attack 13).
  // NOT_FOUND  refused
  virtual absl::StatusOr<std::shared_ptr<Hypercore>> Find(const DiscoveryKey& key) = 0;
  // What to fetch on a channel the peer opened, of a core Replicate was not called for.
  virtual Download ModeOf(const Hypercore&) { return Download::None(); }
  // False for writers' logs: a higher fork is reported and not followed (rule S3).
  virtual bool AllowFork(const Hypercore&) { return true; }
};

// Every core of a corestore that was not removed.
class CorestoreProvider : public CoreProvider {
 public:
  explicit CorestoreProvider(Corestore* store) : store_(store) {}
  absl::StatusOr<std::shared_ptr<Hypercore>> Find(const DiscoveryKey& key) override {
    return store_->Find(key);
  }

 private:
  Corestore* store_;  // not owned
};

// What a peer says of one core.
struct RemoteCore {
  std::uint64_t length = 0;
  std::uint64_t fork = 0;
  std::uint64_t contiguous_length = 0;  // it holds every block below, or says so
  std::uint64_t acked_length = 0;       // our length, as it last echoed it
};

// Told on the session's strand. A callback may call the session, and must not destroy
// the observer.
class SessionObserver {
 public:
  virtual ~SessionObserver() = default;
  // Encrypted and ready: protocols of one's own are opened now, on session.mux().
  virtual void OnReady(Session&) {}
  // Both sides have the core's channel open.
  virtual void OnCoreOpen(Session&, Hypercore&) {}
  // The channel is gone: `refused` if the peer does not have or does not give the core.
  virtual void OnCoreClosed(Session&, Hypercore&, bool /*refused*/) {}
  // The peer's length, fork or contiguous length changed.
  virtual void OnRemote(Session&, Hypercore&, const RemoteCore&) {}
  // Our copy grew through this peer, from that length.
  virtual void OnUpgraded(Session&, Hypercore&, std::uint64_t /*old_length*/) {}
  // We hold every block we asked for that the peer announced, at its newest length.
  // Told again each time this becomes true anew.
  virtual void OnLevel(Session&, Hypercore&) {}
  // The peer has a higher fork, which AllowFork refuses.
  virtual void OnForkRefused(Session&, Hypercore&, std::uint64_t /*fork*/) {}
  // DATA_LOSS or INVALID_ARGUMENT: a proof was wrong; the channel is closed and barred.
  virtual void OnFault(Session&, Hypercore&, const absl::Status&) {}
  // A message of a named extension on the core's channel: a hint, nothing more.
  virtual void OnExtension(Session&, Hypercore&, std::string_view /*name*/,
                           ByteView /*payload*/) {}
  // The last call. OK if the peer or we ended it in order.
  virtual void OnClosed(Session&, const absl::Status&) {}
};

struct SessionOptions {
  bool is_initiator = false;            // by convention the side that dialled
  CoreProvider* cores = nullptr;        // not owned
  AsyncClock* clock = nullptr;          // not owned
  Random* random = nullptr;             // not owned
  SessionObserver* observer = nullptr;  // not owned; may be null
  // Shared by all sessions of one store, so that a block is asked of one peer only;
  // null: this session has its own.
  std::shared_ptr<DownloadBook> book;
  // The identity shown in the handshake; absent: a fresh one. It proves nothing.
  std::optional<KeyPair> static_key;
};

class Session : public std::enable_shared_from_this<Session> {
 public:
  static std::shared_ptr<Session> Create(std::unique_ptr<Wire> wire,
                                         const SessionOptions& options);
  ~Session();

  // Talks until the connection ends, and returns why: OK if either side ended it in
  // order. Spawn it once, on the strand of the cores.
  // INVALID_ARGUMENT   the peer broke the protocol, or speaks another one
  // DEADLINE_EXCEEDED  no handshake in 5 s, or the peer fell silent
  // UNAVAILABLE        the wire broke
  static Task<absl::Status> Run(std::shared_ptr<Session> self);

  // Opens a channel for the core, or keeps the one there is, and fetches by `download`
  // from now on. Callable at any time, before Run too; calling it again with the same
  // arguments does nothing. Ignored for a core barred on this connection.
  void Replicate(std::shared_ptr<Hypercore> core, Download download);
  // Closes the core's channel and refuses it from now on.
  void Forget(const CoreKey& key);

  // Ends the connection; Run returns OK, or `why`.
  void Close(absl::Status why = absl::OkStatus());

  // Ends the connection at once and tells nobody: neither the observer nor the cores'
  // provider is used any more, and both may go.
  void Abandon();

  bool ready() const { return mux_ != nullptr; }
  bool closed() const { return closed_; }
  bool is_initiator() const { return options_.is_initiator; }
  // Only when ready().
  Protomux& mux() { return *mux_; }
  const PublicKey& remote_static_key() const;
  std::string peer() const { return wire_->peer(); }

  // Sends a message of a named extension, at most 64 KiB with its name. Reaches nobody
  // while the core's channel is not open on both sides.
  void SendExtension(const CoreKey& key, std::string_view name, ByteView payload);

  // What the peer said of the core; nullopt without an open channel.
  std::optional<RemoteCore> Remote(const CoreKey& key) const;
  // True if OnLevel was told and nothing new was announced since.
  bool IsLevel(const CoreKey& key) const;
  std::uint64_t bytes_received() const { return bytes_received_; }
  std::uint64_t bytes_sent() const { return bytes_sent_; }

 private:
  friend class CoreChannel;
  Session(std::unique_ptr<Wire> wire, const SessionOptions& options);

  Task<absl::Status> ReadLoop();
  static Task<void> WriteLoop(std::shared_ptr<Session> self);
  static Task<void> Heartbeat(std::shared_ptr<Session> self);
  static Task<void> Deadline(std::shared_ptr<Session> self);
  absl::Status OnReady();
  bool Accept(ByteView id, ByteView handshake);
  void OpenChannel(const DiscoveryKey& id, const std::shared_ptr<Hypercore>& core,
                   const Download& mode);
  void Reopen();
  void StartWriting();
  void End(const absl::Status& why);

  // For CoreChannel.
  void ScheduleWork(const std::shared_ptr<CoreChannel>& channel);
  // How many requests the channel may add; if none, it is called when there is room.
  std::size_t TakeInFlight(const std::shared_ptr<CoreChannel>& channel);
  void Bar(CoreChannel& channel, const absl::Status& why);
  void Drop(CoreChannel& channel, bool refused);
  bool output_full() const;
  void Work();
  void PostWork();
  absl::Status WorkOn(const std::shared_ptr<CoreChannel>& channel);
  bool RefuseOpen();

  struct Wanted {
    std::shared_ptr<Hypercore> core;
    Download download;
  };

  std::unique_ptr<Wire> wire_;
  SessionOptions options_;
  SecretStream stream_;
  std::unique_ptr<Protomux> mux_;
  asio::any_io_executor executor_;
  asio::cancellation_signal stop_timers_;
  asio::cancellation_signal stop_deadline_;

  std::map<DiscoveryKey, Wanted> wanted_;
  std::map<DiscoveryKey, std::shared_ptr<CoreChannel>> channels_;
  std::set<DiscoveryKey> barred_;
  std::deque<DiscoveryKey> to_open_;
  std::set<DiscoveryKey> lost_;  // closed by the peer while we wanted them
  std::deque<std::shared_ptr<CoreChannel>> work_;      // in turn, each once
  std::vector<std::shared_ptr<CoreChannel>> blocked_;  // until output has gone out
  std::deque<std::shared_ptr<CoreChannel>> starved_;   // until answers have come
  bool work_posted_ = false;
  std::size_t in_flight_ = 0;  // our requests that are not answered
  std::size_t faulty_feeds_ = 0;
  std::uint64_t refused_opens_ = 0;
  Nanos refused_since_{};
  Nanos last_read_{};

  Bytes out_;  // sealed and not handed to the wire
  bool writing_ = false;
  bool wrote_since_beat_ = false;
  bool closed_ = false;
  bool ended_ = false;
  absl::Status why_;
  std::uint64_t bytes_received_ = 0;
  std::uint64_t bytes_sent_ = 0;
};

}  // namespace weft
