// A Session is one connection to one peer: handshake, encryption, mux, and a channel
// for each core the two have something to say about.
//
// Everything of it runs on the strand that Run was spawned on, which must be the
// strand of the cores too; so nothing here locks. All input comes from the Wire, the
// clock and the random source given, and every container whose order reaches the wire
// is ordered: the same inputs give the same bytes.
//
// A wrong proof or signature closes the channel of that core and bars the core for
// this connection; the others go on. A malformed frame ends the connection. What a peer
// may cost is in replication/limits.h, what its faults count in replication/verdict.h.
//
// Nothing here keeps the strand for long: a batch of messages is taken in steps, and
// large messages are sealed and opened by Workers where there are some.

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
#include "engine/signal.h"
#include "replication/budget.h"
#include "replication/connection_policy.h"
#include "replication/download.h"
#include "replication/limits.h"
#include "replication/log_limit.h"
#include "replication/protomux.h"
#include "replication/rate.h"
#include "replication/secret_stream.h"
#include "replication/upload_budget.h"
#include "replication/verdict.h"

namespace weft {

class AnswerBatch;
class CoreChannel;
class DownloadBook;
class FeedExchange;
class Session;

// Which cores a peer may have, and what is done with those it offers.
class CoreProvider {
 public:
  virtual ~CoreProvider() = default;
  // The core a peer asks for. Must answer from memory if there is none (attack 13).
  // NOT_FOUND  refused
  virtual absl::StatusOr<std::shared_ptr<Hypercore>> Find(const DiscoveryKey& key) = 0;
  // The key of a core that Find would find, without opening it: a peer must prove that
  // it knows the key before anything is read for it (attack 14).
  virtual std::optional<CoreKey> KeyOf(const DiscoveryKey& key) {
    const auto core = Find(key);
    if (!core.ok()) return std::nullopt;
    return (*core)->key();
  }
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
  std::optional<CoreKey> KeyOf(const DiscoveryKey& key) override {
    return store_->FindKey(key);
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
  // A wish of Session::Want was met.
  virtual void OnWishMet(Session&, Hypercore&) {}
  // The peer has a higher fork, which AllowFork refuses.
  virtual void OnForkRefused(Session&, Hypercore&, std::uint64_t /*fork*/) {}
  // DATA_LOSS or INVALID_ARGUMENT: a proof was wrong; the channel is closed and barred.
  virtual void OnFault(Session&, Hypercore&, const absl::Status&) {}
  // Our copy of the core cannot be read or added to, which is nobody's fault but our
  // disk's; the channel is closed and stays so on this connection.
  virtual void OnUnreadable(Session&, Hypercore&, const absl::Status&) {}
  // A message of a named extension on the core's channel: a hint, nothing more.
  virtual void OnExtension(Session&, Hypercore&, std::string_view /*name*/,
                           ByteView /*payload*/) {}
  // The last call. OK if the peer or we ended it in order.
  virtual void OnClosed(Session&, const absl::Status&) {}
};

// What the sessions of one store share: memory, and lines of its log.
struct NetworkBudget {
  explicit NetworkBudget(const NetworkLimits& limits);
  std::shared_ptr<Budget> received;      // L7
  std::shared_ptr<UploadBudget> upload;  // L15
  LogLimit log;                          // L19
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
  NetworkLimits limits;
  // Null: this session has its own.
  std::shared_ptr<NetworkBudget> budget;
  Workers* workers = nullptr;  // not owned; null: everything is done on the strand
  // Whether to talk to a peer with this key. Asked in the handshake; absent: to all.
  NoiseHandshake::Admit admit;
  // The handshake is over; anything but OK ends the connection, before anybody else
  // has heard of it.
  std::function<absl::Status(Session&)> on_secured;
  // The connection can be used from now on; behind the observer's OnReady.
  std::function<void()> on_ready;
  // What may pass of a core; absent: everything. Must give the same answer until
  // PolicyChanged is called.
  std::function<FeedPermission(const Session&, const CoreKey&)> permit;
  // The peer did wrong: this much, by the table of replication/verdict.h. May close
  // the session.
  std::function<void(Session&, Fault, int points)> on_fault;
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
  // PERMISSION_DENIED  the peer is not admitted
  // RESOURCE_EXHAUSTED the peer overran a limit, or memory is short
  // UNAVAILABLE        the wire broke
  static Task<absl::Status> Run(std::shared_ptr<Session> self);

  // Opens a channel for the core, or keeps the one there is, and fetches by `download`
  // from now on. Callable at any time, before Run too; calling it again with the same
  // arguments does nothing. Ignored for a core barred on this connection.
  void Replicate(std::shared_ptr<Hypercore> core, Download download);

  // What one of several callers wants of a core; ends when it is destroyed. On the
  // strand, as all of the session, which it may outlive.
  class Wish {
   public:
    Wish(std::weak_ptr<Session> session, const DiscoveryKey& id, Download download);
    ~Wish();
    Wish(const Wish&) = delete;
    Wish& operator=(const Wish&) = delete;
    // The length of our copy when for the first time it was no shorter than the peer's
    // and held all the wanted blocks that the peer has; nullopt: not yet.
    std::optional<std::uint64_t> met_at() const { return met_at_; }

   private:
    friend class Session;
    std::weak_ptr<Session> session_;
    DiscoveryKey id_;
    Download download_;
    std::optional<std::uint64_t> met_at_;
  };
  // Fetches that too, beside what Replicate and other wishes are for: the core is
  // followed while there is a wish. Callable when and ignored where Replicate is.
  [[nodiscard]] std::shared_ptr<const Wish> Want(std::shared_ptr<Hypercore> core,
                                                 Download download);
  // Closes the core's channel and refuses it from now on.
  void Forget(const CoreKey& key);

  // The rules of SessionOptions::permit have changed: closes what may not be any more
  // and opens what now may.
  void PolicyChanged();

  FeedPermission PermissionOf(const CoreKey& key) const;

  // Ends the connection; Run returns OK, or `why`.
  void Close(absl::Status why = absl::OkStatus());
  // Closes once what was said so far is on the wire; limits::write_limit holds.
  void CloseWhenWritten();

  // Ends the connection at once and tells nobody: neither the observer nor the cores'
  // provider is used any more, and both may go.
  void Abandon();

  bool ready() const { return mux_ != nullptr; }
  bool closed() const { return closed_; }
  // It is closed, or will be when all is written.
  bool leaving() const { return closed_ || closes_when_written_; }
  // The handshake was done: the peer has shown a key, whatever became of it.
  bool secured() const { return stream_.knows_peer(); }
  bool is_initiator() const { return options_.is_initiator; }
  // Only when ready().
  Protomux& mux() { return *mux_; }
  // Only when secured().
  const PublicKey& remote_static_key() const;
  const Hash64& handshake_hash() const { return stream_.handshake().handshake_hash(); }
  // When the last byte came; zero before the first.
  Nanos last_heard() const { return last_read_; }
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
  // Of all its cores: blocks that came and were kept, and blocks that were sent.
  std::uint64_t blocks_received() const { return blocks_received_; }
  std::uint64_t blocks_sent() const { return blocks_sent_; }
  std::size_t channel_count() const { return channels_.size(); }
  // L19: whether a line of so many bytes about this peer may be logged now. One host
  // has so many over all its connections.
  bool MayLog(std::size_t bytes);

 private:
  friend class CoreChannel;
  friend class FeedExchange;
  // Channels that are opened before the first is answered.
  static constexpr std::size_t kOpensAtFirst = 256;
  Session(std::unique_ptr<Wire> wire, const SessionOptions& options);

  Task<absl::Status> ReadLoop();
  Task<absl::Status> TakeFrames();
  Task<absl::Status> TakeMessage();
  Task<void> MakeRoom();
  Task<void> Breathe(std::size_t items);
  Task<void> Yield();
  Task<void> SealFrames();
  Task<absl::Status> WriteOut();
  static Task<void> WriteLoop(std::shared_ptr<Session> self);
  static Task<void> Heartbeat(std::shared_ptr<Session> self);
  static Task<void> Deadline(std::shared_ptr<Session> self);
  static Task<void> Ticks(std::shared_ptr<Session> self);
  static Task<void> RefuseSlowly(std::shared_ptr<Session> self);
  static Task<void> Unthrottle(std::shared_ptr<Session> self, Nanos pause);
  absl::Status OnReady();
  absl::Status OnBeat(Nanos now);
  absl::Status CheckProgress(Nanos now);
  absl::Status CheckHeld();
  absl::Status CheckOutput() const;
  void CountOutput();
  std::size_t output_bytes() const;
  // What the peer's not reading makes us hold.
  std::size_t unsent_bytes() const {
    return output_bytes() + sealing_bytes_ + writing_bytes_;
  }
  void OnUploadRoom();
  std::size_t held_bytes() const;
  void BlameStream(const absl::Status& status);
  bool Accept(ByteView id, ByteView handshake);
  void OpenChannel(const DiscoveryKey& id, const std::shared_ptr<Hypercore>& core,
                   const Download& mode);
  void Reopen();
  void StartWriting();
  void End(const absl::Status& why);
  void DropChannels();

  // For CoreChannel.
  void ScheduleWork(const std::shared_ptr<CoreChannel>& channel);
  // How many requests the channel may add; if none, it is called when there is room.
  std::size_t TakeInFlight(const std::shared_ptr<CoreChannel>& channel);
  // The channel has requests under way: its OnTick is called until it has none.
  void Watch(const std::shared_ptr<CoreChannel>& channel);
  void Bar(CoreChannel& channel, const absl::Status& why);
  void GiveUp(CoreChannel& channel, const absl::Status& why);
  // Takes the channel out and keeps its core out; null if it is out already.
  std::shared_ptr<CoreChannel> KeepOut(CoreChannel& channel);
  void Drop(CoreChannel& channel, bool refused);
  bool output_full() const;
  // Whether an answer of so many bytes may be queued now. If not, the channel that
  // asked is called when there may be room.
  bool TakeOutput(std::size_t bytes);
  void Work();
  void PostWork();
  void OpenSome();
  // The channel that we opened is open, or never will be.
  void OnOpenAnswered(CoreChannel& channel);
  void TakeIn(AnswerBatch batch);
  // `spent` on checking it so far.
  void Store(AnswerBatch& batch, Nanos spent);
  static Task<void> CheckElsewhere(std::shared_ptr<Session> self, AnswerBatch batch);
  absl::Status WorkOn(const std::shared_ptr<CoreChannel>& channel);
  bool RefuseOpen();
  // The peer did wrong, which counts against it.
  void Blame(Fault fault, absl::StatusCode code = absl::StatusCode::kOk);
  // What the channels hold of the peer's data, of its claims and of its requests grew
  // by so much, or shrank.
  void HoldAnswers(std::ptrdiff_t bytes);
  void HoldClaims(std::ptrdiff_t bytes);
  void HoldRequests(std::ptrdiff_t count);
  // So long was spent on checking what was of no use (L16).
  void ChargeUselessWork(Nanos time);
  // The peer claims blocks and gives none.
  void OnStall(Nanos now);
  // False while what the peer brings must not be checked.
  bool may_check() const { return !throttled_; }

  struct Wanted {
    std::shared_ptr<Hypercore> core;
    std::optional<Download> standing;  // of Replicate
    std::vector<Wish*> wishes;         // not owned
  };
  Download DownloadOf(const Wanted& wanted) const;
  // What is wanted of the core has changed.
  void WantedChanged(const DiscoveryKey& id);
  void EndWish(const Wish& wish);
  // For CoreChannel: it may hold what is wanted now.
  void MeetWishes(CoreChannel& channel);

  std::unique_ptr<Wire> wire_;
  SessionOptions options_;
  SecretStream stream_;
  std::unique_ptr<Protomux> mux_;
  asio::any_io_executor executor_;
  asio::cancellation_signal stop_timers_;
  asio::cancellation_signal stop_deadline_;
  asio::cancellation_signal stop_ticks_;
  asio::cancellation_signal stop_refusing_;
  asio::cancellation_signal stop_throttle_;

  std::map<DiscoveryKey, Wanted> wanted_;
  std::map<DiscoveryKey, std::shared_ptr<CoreChannel>> channels_;
  std::set<DiscoveryKey> barred_;
  std::deque<DiscoveryKey> to_open_;
  std::size_t opens_waiting_ = 0;           // of ours, without an answer
  std::size_t opens_most_ = kOpensAtFirst;  // as many at once
  std::set<DiscoveryKey> lost_;             // closed by the peer while we wanted them
  std::deque<std::shared_ptr<CoreChannel>> work_;      // in turn, each once
  std::vector<std::shared_ptr<CoreChannel>> blocked_;  // until output has gone out
  std::deque<std::shared_ptr<CoreChannel>> starved_;   // until answers have come
  std::vector<std::shared_ptr<CoreChannel>> watched_;  // each once
  bool ticking_ = false;
  bool work_posted_ = false;
  std::size_t in_flight_ = 0;  // our requests that are not answered
  std::size_t faulty_feeds_ = 0;

  // What the peer costs.
  std::unique_ptr<Budget::Share> received_share_;
  std::unique_ptr<UploadBudget::Share> upload_share_;
  bool upload_room_posted_ = false;
  bool upload_room_unused_ = false;   // nobody asked since there was room
  std::ptrdiff_t answers_bytes_ = 0;  // came, and not checked yet
  std::ptrdiff_t claims_bytes_ = 0;
  std::ptrdiff_t requests_ = 0;  // the peer's, not answered
  Signal taken_in_;              // answers_bytes_ shrank
  Rate refusals_;
  Rate useless_work_;
  std::uint64_t refused_this_minute_ = 0;
  Nanos refused_since_{};
  bool refusing_slowly_ = false;
  bool throttled_ = false;
  Nanos last_read_{};
  Nanos turn_since_{};          // that the read loop keeps the strand
  std::size_t turn_items_ = 0;  // messages taken since then
  std::optional<Nanos> stall_told_;
  Nanos progress_since_{};            // of the frame that is not whole
  std::uint64_t progress_bytes_ = 0;  // bytes_received_ then
  Nanos writing_since_{};
  std::size_t writing_bytes_ = 0;
  std::size_t sealing_bytes_ = 0;   // out of the mux and not yet in out_
  std::size_t checks_running_ = 0;  // of proofs, on the workers
  Bytes plaintext_;

  Bytes out_;  // sealed and not handed to the wire
  bool closes_when_written_ = false;
  bool writing_ = false;
  bool wrote_since_beat_ = false;
  bool keep_alive_due_ = false;
  bool closed_ = false;
  bool ended_ = false;
  absl::Status why_;
  std::uint64_t bytes_received_ = 0;
  std::uint64_t bytes_sent_ = 0;
  std::uint64_t blocks_received_ = 0;
  std::uint64_t blocks_sent_ = 0;
};

}  // namespace weft
