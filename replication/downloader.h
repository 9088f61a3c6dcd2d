// What we ask one peer for of one core, and what we do with the answers.
//
// Requests go out ahead of their answers, by hundreds, in the order of the blocks. A
// request says how many nodes of the tree we lack, and here that counts as known what
// answers still to come will bring; so answers are applied in the order of their
// requests, whatever order they arrive in. If an earlier one fails, those that relied
// on it are asked for again, and nobody is blamed. No input or output: messages go to
// `send`.
//
// Not thread-safe: lives on the strand of the core.

#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "engine/hypercore.h"
#include "replication/answer_pace.h"
#include "replication/download_scheduler.h"
#include "replication/hypercore_messages.h"
#include "replication/remote_state.h"
#include "replication/request_queue.h"

namespace weft {

using SendMessage = std::function<void(CoreMessage type, ByteView body)>;

class Downloader final : public DownloadPeer {
 public:
  // `wake` is called when there may be something to ask for.
  Downloader(std::shared_ptr<Hypercore> core,
             std::shared_ptr<DownloadScheduler> scheduler, SendMessage send,
             std::function<void()> wake);
  // Gives back everything that was asked for.
  ~Downloader() override;
  Downloader(const Downloader&) = delete;
  Downloader& operator=(const Downloader&) = delete;

  // From now on blocks may be asked for; `seed`: see DownloadScheduler.
  void Start(std::uint64_t seed) { peer_ = scheduler_->AddPeer(this, seed); }
  // The peer is gone: gives back everything, and tells the others.
  void Stop();

  // Cancels what was asked for and is not wanted any more.
  void SetMode(const Download& mode);
  const Download& mode() const { return mode_; }
  // Whether the peer should keep telling us of this core.
  bool interested() const { return mode_.kind != Download::Kind::kNone && !done_; }

  // Asks for as much as the peer has, we lack and the limits allow, at most `budget`
  // requests. Returns how many it sent.
  std::size_t Request(RemoteState& remote, std::size_t budget, bool allow_fork,
                      Nanos now);

  // Takes the body of a data message that answers request `id`.
  // INVALID_ARGUMENT  it does not decode;  DATA_LOSS  it is not what was asked for
  absl::Status OnData(std::uint64_t id, ByteView body, RemoteState& remote, Nanos now);
  void OnNoData(const NoDataMessage& message, RemoteState& remote, Nanos now);

  struct Applied {
    std::size_t failed = 0;   // answers that did not hold
    std::size_t useless = 0;  // of these, those that the peer can be blamed for (L16)
    std::size_t refused = 0;  // requests without an answer
    std::size_t blocks = 0;   // that came and were kept
    absl::Status fault;       // the first proof that condemns the peer
    std::optional<std::uint64_t> upgraded_from;
  };
  // Answers that are next in order, a bounded number at once. They are checked where
  // and when one likes; then GiveBack must be called, before the next Take. After that
  // the proofs may be handed to the core, and what it made of them to Settle.
  struct Answers {
    std::vector<std::unique_ptr<Outstanding>> requests;  // those without answer too
    std::vector<const Proof*> proofs;                    // of the answered ones
    std::size_t bytes = 0;                               // of their blocks
    std::size_t held_bytes = 0;                          // of all of them, as they came
    std::size_t upgrades = 0;                            // among them
    std::uint64_t old_length = 0;  // of the core, when they were given back
    std::uint64_t old_fork = 0;
  };
  std::unique_ptr<Answers> Take();
  bool has_answers() const {
    return !outstanding_.empty() &&
           outstanding_[0].state != Outstanding::State::kWaiting;
  }
  // What they took may be asked of others.
  void GiveBack(Answers& answers);
  // `results`: one for each of answers.proofs.
  Applied Settle(Answers& answers, std::span<const absl::Status> results);

  // Cancels everything if no answer came for as long as this peer's usually take;
  // `slack` times as long if other data comes from it. Returns how many requests ended.
  std::size_t Expire(Nanos now, int slack);
  // Leaves an upgrade that does not come to another peer that offers one, for longer
  // each time, whatever this one tells meanwhile; `slack` as in Expire. Returns when it
  // had been asked for, if the peer has done so too often to be only slow.
  std::optional<Nanos> YieldUpgrade(Nanos now, int slack);
  // Our copy changed its fork: no answer on the way can be held against the peer.
  void OnForkChange();
  // The peer told a new state: what it refused may be asked again.
  void OnRemoteSync() {
    upgrade_refused_ = false;
    probes_sent_.clear();
  }

  // We hold, at the peer's length, every block we want and it has.
  bool IsLevel(const RemoteState& remote) const;
  // The same of some blocks only, while others may be on the way. `wanted` names no
  // whole core.
  bool Has(const Download& wanted, const RemoteState& remote) const;
  // Ends a download that is not live once it is level.
  void MarkDone() { done_ = done_ || !mode_.live; }
  // The start of a window of which we want blocks and know nothing of the peer's,
  // at or after `from`.
  std::optional<std::uint64_t> UnknownWindow(const RemoteState& remote,
                                             std::uint64_t from) const {
    return UnknownWindow(mode_, remote, from);
  }
  std::optional<std::uint64_t> UnknownWindow(const Download& wanted,
                                             const RemoteState& remote,
                                             std::uint64_t from) const;

  std::uint64_t scheduler_id() const { return peer_; }
  // Requests without an answer, and answers taken that are not applied.
  std::size_t in_flight() const { return outstanding_.size() + taken_; }
  // Bytes of answers that came and are not applied.
  std::size_t answers_bytes() const { return answers_bytes_; }
  // True for the id of no request so far, other than 0, which a stock peer uses to
  // tell of a conflict.
  bool WasNeverAsked(std::uint64_t request_id) const {
    return request_id >= outstanding_.next_id();
  }

  // DownloadPeer
  void Wake() override { wake_(); }
  PeerLoad Load(Nanos now) const override;
  std::size_t GiveUp(std::size_t count, const Bitfield& offered) override;

 private:
  struct Path {
    std::uint64_t nodes = 0;
    bool hopeful = false;
  };

  bool NeedsUpgrade(const RemoteState& remote, Nanos now) const;
  // The length to which it would take our copy; 0: it would not.
  std::uint64_t Offered(const RemoteState& remote, bool allow_fork) const;
  // It let others wait for an upgrade a short time ago.
  bool Rests(Nanos now) const {
    return now < upgrade_rests_until_ &&
           scheduler_->OthersOffer(peer_, core_->length());
  }
  void RequestUpgrade(const RemoteState& remote, std::uint64_t start, Nanos now);
  void RequestProbe(Nanos now);
  // The nodes that lead on to a byte we seek, of those not asked for yet.
  std::optional<ProofRequest> NextProbe() const;
  std::size_t RequestBlocks(RemoteState& remote, std::size_t budget, Nanos now);
  std::size_t RequestRun(RemoteState& remote, BlockRange run, Nanos now);
  void Send(RequestMessage& message, bool hopeful, Nanos now);
  // `run_from`: the blocks from there to `block_index` are asked for before it.
  Path PathOf(std::uint64_t block_index, std::uint64_t run_from) const;
  // The length we shall have once the upgrade on the way is applied.
  std::uint64_t ExpectedLength() const;
  // The most requests to have under way.
  std::size_t Window() const;
  std::uint64_t Missing() const;
  std::vector<BlockRange> Targets(std::uint64_t length) const {
    return TargetsOf(mode_, length);
  }
  std::vector<BlockRange> TargetsOf(const Download& wanted, std::uint64_t length) const;
  bool IsAsLong(const RemoteState& remote) const;
  bool HoldsAll(const Download& wanted, const RemoteState& remote) const;

  static bool MayRetry(const Outstanding& request, const absl::Status& status);
  static bool Fits(const Outstanding& request, const Proof& proof);
  void Cancel(std::size_t place);
  void Release(Outstanding& request);
  void Judge(const Outstanding& request, const absl::Status& status, Applied* applied);

  std::shared_ptr<Hypercore> core_;
  std::shared_ptr<DownloadScheduler> scheduler_;
  SendMessage send_;
  std::function<void()> wake_;
  std::uint64_t peer_ = 0;  // in the scheduler; 0: not there
  Download mode_;
  bool done_ = false;
  RequestQueue outstanding_;
  AnswerPace pace_;
  Bitfield asked_;  // blocks in outstanding_
  std::size_t answers_bytes_ = 0;
  std::size_t taken_ = 0;
  bool upgrade_asked_ = false;
  std::uint64_t upgrade_to_ = 0;
  bool upgrade_refused_ = false;
  int upgrades_yielded_ = 0;  // since one came
  Nanos upgrade_rests_until_{};
  // Of this peer, in its present state: asking twice would bring nothing new.
  std::set<std::pair<std::uint64_t, std::uint64_t>> probes_sent_;
  std::size_t answered_ = 0;        // by data, so far
  std::size_t exact_requests_ = 0;  // that many to come rely on nothing
  std::size_t no_data_run_ = 0;     // refusals without an answer between
  std::size_t retry_run_ = 0;
  Bytes scratch_;
};

}  // namespace weft
