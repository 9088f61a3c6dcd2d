// A BaseNode is one base on the strand of its store: its genesis, our own log in it,
// the logs of the others, and the indexer that merges them.
//
// A base whose genesis no peer has given yet can be announced to peers and nothing
// else: reads find nothing, writes are refused.

#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "crdt/indexer.h"
#include "crdt/verification.h"
#include "engine/corestore.h"
#include "replication/feed_exchange.h"
#include "weft/ack_book.h"
#include "weft/authority.h"
#include "weft/base_directory.h"
#include "weft/link.h"
#include "weft/node_host.h"
#include "weft/types.h"

namespace weft {

class BaseForks;
class BasePeople;
class OwnBatches;
struct OwnBatch;
struct OwnLog;

// The first byte of a certificate among the evidence (weft/base_people.h).
inline constexpr std::uint8_t kCertificateEvidence = 4;

class BaseNode final : public FeedSource {
 public:
  struct Hooks {
    // These settled lengths have changed, and what they cover is on the disk.
    std::function<void(std::span<const FeedChange>)> settled;
    // More blocks of these logs than their settled lengths are on the disk.
    std::function<void(std::span<const FeedAck>)> durable;
    // A peer holds more than was known.
    std::function<void()> acked;
    // A peer says where others are.
    std::function<void(const FeedExchange&, const FeedPeers&)> peers;
    // More logs are wanted than before.
    std::function<void()> wants_changed;
    std::function<void()> genesis_known;
    // Runs a task once the base is write_ready.
    std::function<void(std::function<void()> task)> prepare;
    // A fork has become known: who may have which log is another question now.
    std::function<void()> forked;
    // Proofs that peers may not have.
    std::function<void(std::span<const Bytes>)> evidence;
    // For a person who watches the store work.
    std::function<void(const std::string&)> event;
  };
  // Which changes somebody wants to hear of, and the way to tell them.
  struct Watch {
    std::function<bool(std::string_view key)> filter;
    std::function<void(const std::vector<ViewChange>&)> tell;
  };

  // Reads the record, opens the logs and indexes what is new in them. A record without
  // an identity is of a base that is just being joined: the genesis gives it one.
  // `host` and `cores` must outlive it.
  static absl::StatusOr<std::unique_ptr<BaseNode>> Open(const NodeHost* host,
                                                        Corestore* cores,
                                                        const BaseRecord& record);
  ~BaseNode() override;
  void SetHooks(Hooks hooks) { hooks_ = std::move(hooks); }
  void SetWatch(Watch watch);

  const std::string& name() const { return record_.name; }
  const BaseRecord& record() const { return record_; }
  // The name to take over from the genesis when it comes, if no other base has it.
  void set_adopt_name(std::function<bool(const std::string&)> adopt) {
    adopt_name_ = std::move(adopt);
  }
  bool genesis_known() const { return indexer_ != nullptr; }
  // Writes the record; durable when it returns.
  absl::Status Save();
  // Asks to be let in with this secret instead of an earlier one; saves.
  absl::Status TakeInvite(const Seed& secret);
  Link MakeLink() const;

  // --- our own logs (weft/base_incarnation.cc; rules S2, A2, A3) ---

  // False while it is not certain that the next write may follow what is held of our
  // log: peers should be asked first (Node::PrepareToWrite). Any thread may ask.
  bool write_ready() const { return write_ready_.load(std::memory_order_acquire); }
  // The store was not closed in order: the end of our log may be missing here.
  void DoubtOwnLog() { write_ready_.store(false, std::memory_order_release); }
  // A peer shows a head of our log that does not extend ours, or lies: which of the
  // two only a fork proof can tell, and until then our log must not grow.
  void RetireOwnLog();
  // Runs the task, now if we are.
  void WhenWriteReady(std::function<void()> task);
  // Whoever could be asked was asked.
  void OwnLogChecked() { write_ready_.store(true, std::memory_order_release); }
  // The newest of our logs; null before there is an identity.
  const std::shared_ptr<Hypercore>& own_log() const { return own_; }
  // True for the log that we append to: nobody else may.
  bool IsLive(const CoreKey& core) const {
    return core == record_.log() && !record_.retired;
  }
  // In all our logs.
  std::uint64_t OwnBlocks() const;

  // With the key of our identity.  The errors of Corestore::SignWith
  absl::StatusOr<Signature> SignAsSelf(ByteView message) const {
    return cores_->SignWith(record_.identity, message);
  }

  // How many more logs our identity can begin, and the words of a warning once they
  // are few; empty before.
  std::size_t IncarnationsLeft() const;
  std::string IncarnationsWarning() const;
  void TellOfOwnLogs(BaseStatus* status) const;

  // See Base::Recoverable and Recover (weft/base_recover.cc; rule F4).
  absl::StatusOr<std::vector<HeldBackWrites>> Recoverable();
  absl::StatusOr<Committed> RecoverLogged(Recovered* recovered);

  // Calls back with the ops in blocks [from, to) of the branches that are held beside a
  // log (weft/branch_store.h) and do not survive. Returns where they end, at most `to`;
  // 0 if there are none.
  absl::StatusOr<std::uint64_t> ReadBranchOps(const CoreKey& key, std::uint64_t from,
                                              std::uint64_t to,
                                              const Indexer::UseOp& use) const;

  // Writes the changes to our log as one batch that is visible at once, but durable,
  // and told to others, only when the cores were synced: soon, or by the caller.
  // FAILED_PRECONDITION  the genesis is not known yet; and as Base::Commit
  absl::StatusOr<Committed> CommitLogged(const Batch& batch);
  // The same for a grant, and for any auth ops.
  absl::StatusOr<Committed> GrantLogged(const CoreKey& identity, GrantRole role,
                                        std::string_view scope);
  absl::StatusOr<Committed> AuthLogged(std::span<const AuthOperation> operations);
  // Resigns from several grants of ours, or, after an error, from none.
  absl::StatusOr<Committed> ResignLogged(std::span<const AuthOperation> resignations);
  // Carries a redemption of the invite with this key (rule P8).
  // NOT_FOUND            there is no such invite
  // PERMISSION_DENIED  it is used up or revoked;  ALREADY_EXISTS  it let them in before
  absl::StatusOr<Committed> RedeemLogged(const PublicKey& invite_key,
                                         const CoreKey& identity,
                                         const Signature& signature);
  // Fresh randomness for an invite.
  Seed NewSecret() const;
  // Holds a grant that is not revoked.
  bool is_member() const;
  // Later incarnations: their proofs, to be told, and one that we are told.
  std::vector<Bytes> Certificates();
  absl::Status TakeCertificate(ByteView body);
  BasePeople& people() { return *people_; }
  BaseForks& forks() { return *forks_; }
  // Takes fork proofs, and tells all peers of what is news.
  void TakeForkProofs(std::span<const Bytes> proofs);
  void TellEvidence(std::span<const Bytes> proofs);
  void TellForked() {
    if (hooks_.forked) hooks_.forked();
  }
  // Something about the log is known that its core does not tell.
  void LookAgain(const CoreKey& log) { Touch(log); }
  // The log as it is held; null if it is none of the base.
  std::shared_ptr<Hypercore> LogOf(const CoreKey& key) const;
  // Whether strangers to the base may have this log: no more of it is held than
  // survives its fork, if it has one (rule F6).
  bool MayServeStrangers(const CoreKey& key) const;
  const NodeHost& host() const { return *host_; }
  // Runs it on the strand soon, if the base is still there and usable then.
  void Post(std::function<void()> task);
  void PostAfter(Nanos delay, std::function<void()> task);
  // For a person who watches the store work.
  void Tell(const std::string& line);
  // The cores could not be synced: nothing is told, or built upon, any more.
  void NotSynced(const absl::Status& why);

  // While its join may still fail nobody outside the node gets to see the base.
  bool joining() const { return joining_; }
  void set_joining(bool joining) { joining_ = joining; }

  // Null before the genesis is known. Any thread may ask, for the reads that any
  // thread may do.
  const Indexer* reader() const { return reader_.load(std::memory_order_acquire); }
  Indexer* indexer() const { return indexer_.get(); }

  // The rest of the API, in its own values; see Base.
  std::vector<Member> Members() const;
  absl::StatusOr<RootInfo> Root();
  absl::StatusOr<Fate> FateOf(const OpName& op);
  BaseStatus Status();
  std::uint64_t OwnClockAheadMs() const;
  // One step of it; the first makes `verification`.  True: done, and all is well.
  absl::StatusOr<bool> VerifySome(std::unique_ptr<Verification>* verification);

  // Something has arrived that is not indexed, or not told, yet.
  bool busy() const { return step_posted_ || settle_posted_; }
  // What a peer holds of our own forked logs is about to come (weft/own_branches.h).
  bool AwaitsOwnFrom(const PublicKey& peer) const;
  absl::Status Flush();

  // True for every log that is, or may become, part of the base.
  bool IsLog(const CoreKey& key) const { return logs_.contains(key); }
  // How many blocks of each log of the base are here, from the first on.
  std::vector<FeedHead> HeldLengths() const;

  // Who has said that he holds our writes, and those of the logs that were waited for.
  const AckBook& acks() const { return acks_; }
  // From now on acks for this log are kept, and outlast a restart. `live` are those of
  // the peers that are here.
  void KeepAcks(const CoreKey& core,
                std::span<const std::pair<PublicKey, std::uint64_t>> live);

  // FeedSource
  const BaseId& base_id() const override { return record_.base_id; }
  std::optional<Bytes> Genesis() const override { return record_.genesis; }
  absl::Status TakeGenesis(ByteView genesis) override;
  std::optional<FeedDigest> Digest() override;
  FeedMap& Feeds() override { return feeds_; }
  std::shared_ptr<Hypercore> Wanted(const CoreKey& key, std::uint64_t settled) override;
  int RankOf(const CoreKey& core) override;
  std::uint64_t MostHeld(const CoreKey& core) override;
  void OnDurable(const PublicKey& peer, std::span<const FeedAck> acks) override;
  void OnLevel(const PublicKey& peer) override;
  std::vector<Bytes> Evidence() override;
  std::vector<Bytes> RequestsTo(const PublicKey& peer) override;
  std::vector<Bytes> SameFeedsEvidence() override;
  absl::StatusOr<std::vector<Bytes>> TakeEvidence(const PublicKey& peer,
                                                  ByteView proof) override;
  void OnPeers(const FeedExchange& from, const FeedPeers& peers) override {
    if (hooks_.peers) hooks_.peers(from, peers);
  }

 private:
  struct Log {
    std::shared_ptr<Hypercore> core;
    std::shared_ptr<void> observing;
    bool touched = false;  // waits in touched_
    bool grown = false;    // waits in grown_
  };

  BaseNode(const NodeHost* host, Corestore* cores, const BaseRecord& record);

  absl::Status Activate();
  absl::Status OpenWantedLogs();
  void AddLog(const CoreKey& key, std::shared_ptr<Hypercore> core);
  void Touch(const CoreKey& key);
  void PostStep();
  void Step();
  absl::Status IndexTouched();
  absl::Status CatchUp();
  absl::Status ActOn(const IndexResult& result);
  void PostSettle();
  void Settle();
  // Feeds() and Digest() follow the index, which has just been synced. Returns what
  // changed.
  std::vector<FeedChange> RefreshFeeds();
  std::vector<FeedAck> HeldBeyondSettled();
  void PostSaveAcks();
  absl::Status CheckUsable() const;
  // A commit of ours that has lost its effect and was not written again.
  struct LostBatch {
    std::size_t source = 0;  // as OwnBatch::source
    CoreKey log;
    std::uint64_t from = 0;  // blocks [from, to)
    std::uint64_t to = 0;
    OpFate fate;
    std::size_t writes = 0;                   // that can be written again
    std::size_t left = 0;                     // that cannot
    std::vector<std::string> left_keys = {};  // of texts and lists
    std::set<std::string> newer_keys = {};    // of those that can: written to since
  };
  OwnLog OwnLogOf(const CoreKey& key) const;
  absl::Status AddOwnLogs(OwnBatches* batches) const;
  bool Survives(const OwnBatch& batch) const;
  bool IsLost(const OwnBatch& batch, const OpFate& fate) const;
  absl::StatusOr<std::vector<LostBatch>> FindLost();
  absl::Status FindNewer(std::vector<LostBatch>* lost);
  HeldBackWrites Describe(const LostBatch& lost) const;
  absl::Status ReadyToWrite();
  absl::Status BeginIncarnation();
  absl::StatusOr<Incarnation> CertificateFor(const CoreKey& log);
  // A later incarnation of somebody, as its certificate says.
  struct Certified {
    CoreKey identity;
    Bytes evidence;
  };
  void PutCertificate(const CoreKey& log, const Certified& certified,
                      StorageBatch* batch) const;
  // Of one that was stored: the log is wanted, and so it is by everybody we know.
  absl::Status FollowCertified(const CoreKey& log, Certified certified);
  void RememberCertificate(const CoreKey& log, Certified certified);
  absl::Status LoadCertificates();
  void WaitForGrant(const CoreKey& log, Bytes evidence);
  void TryWaitingCertificates();
  std::vector<MemberLog> LogsOf(const CoreKey& identity,
                                const VersionVector& settled) const;
  absl::StatusOr<Committed> AppendAndIndex(const PreparedCommit& prepared);
  std::uint64_t WallMs() const;
  void Fail(const absl::Status& why);

  const NodeHost* host_;  // not owned
  Corestore* cores_;      // not owned
  BaseRecord record_;
  std::unique_ptr<BasePeople> people_;
  std::unique_ptr<BaseForks> forks_;
  std::function<bool(const std::string&)> adopt_name_;
  Hooks hooks_;
  Watch watch_;
  std::shared_ptr<Hypercore> own_;  // the newest of our logs
  std::atomic<bool> write_ready_ = true;
  std::map<CoreKey, Certified> certificates_;            // of logs that are followed
  absl::flat_hash_map<CoreKey, std::size_t> certified_;  // how many, by identity
  // Of identities that hold no grant yet, a bounded number of them.
  std::map<CoreKey, Bytes> waiting_certificates_;
  absl::flat_hash_map<CoreKey, Log> logs_;
  std::unique_ptr<LogSource> log_source_;  // reads logs_
  std::unique_ptr<Indexer> indexer_;       // reads log_source_
  std::atomic<const Indexer*> reader_ = nullptr;
  // After an error of the disk nothing is indexed or written any more.
  absl::Status failed_;
  bool joining_ = false;
  std::vector<CoreKey> touched_;  // grew since they were last indexed, in that order
  std::vector<CoreKey> grown_;    // grew since the last settling
  bool wants_changed_ = false;    // since it was last told
  FeedMap feeds_;                 // settled and on the disk: what peers may know
  std::optional<FeedDigest> digest_;  // of feeds_
  AckBook acks_;
  bool step_posted_ = false;
  bool settle_posted_ = false;
  bool save_acks_posted_ = false;
  Nanos settling_took_{};
  // Posted work holds this weakly, and does nothing once the base is gone.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace weft
