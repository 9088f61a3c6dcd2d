// A Node is a whole store on one strand: its cores, its bases, its connections.
//
// The world comes in through NodeHost and nothing else, so that a simulation runs many
// nodes in one thread. The public Store (weft/store.h) is a Node with a disk, a thread
// and sockets.
//
// This is where the layers meet: "core X grew" (from replication) becomes "indexer,
// look at X", and "writer Y was admitted" (from the indexer) becomes "want core Y".

#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "engine/corestore.h"
#include "replication/extension.h"
#include "replication/feed_exchange.h"
#include "replication/peer_exchange.h"
#include "replication/swarm.h"
#include "weft/base_node.h"
#include "weft/blocked_feeds.h"
#include "weft/link.h"
#include "weft/node_host.h"
#include "weft/node_policy.h"
#include "weft/store.h"
#include "weft/types.h"

namespace weft {

// Not thread-safe: every call is made on the strand.
class Node final : private CoreProvider, private SessionObserver {
 public:
  // Opens every base of the store and indexes what the last run had not.
  static absl::StatusOr<std::unique_ptr<Node>> Open(const NodeHost& host);
  // Ends all connections. Tasks that were under way end with an error afterwards.
  ~Node() override;

  // Writes back the views, so that the next open has nothing to index.
  absl::Status Flush();

  // --- the lease (weft/node_lease.cc; rules A2 and A3) ---

  // One line for a person about the store as it was found; empty: nothing to say.
  const std::string& notice() const { return notice_; }
  // To be waited for before the first write to a base that is not write_ready: asks the
  // peers that are connected for the end of our log, and fetches what is missing here.
  // Takes 2 s at most, and no time where nobody is connected.
  Task<absl::Status> PrepareToWrite(BaseNode* base);
  // See Store::AppendToCore and AdoptCore. `core` is none of a base's.
  absl::StatusOr<std::uint64_t> AppendToCore(Hypercore* core,
                                             std::span<const ByteView> blocks);
  absl::Status AdoptCore(const CoreKey& key);
  // What the bases have appended is on the disk for good.
  void OwnLogsSynced();
  // The store is about to be closed, and everything is on the disk.
  void CloseLease();

  // ALREADY_EXISTS  the store has a base of this name;  INVALID_ARGUMENT  a bad name
  absl::StatusOr<BaseNode*> CreateBase(const std::string& name);
  // See Store::Join.
  Task<absl::StatusOr<BaseNode*>> Join(Link link, std::string name,
                                       std::string connect);
  // See Store::OpenBase.
  absl::StatusOr<BaseNode*> FindBase(const std::string& name);
  const std::vector<std::unique_ptr<BaseNode>>& bases() const { return bases_; }

  // The base's own status, and what its peers say of its logs.
  BaseStatus StatusOf(BaseNode& base) const;
  // True for the logs of the store's bases, which only the bases write.
  bool IsLogOfABase(const CoreKey& key) const;

  Corestore& cores() { return *cores_; }

  // See Store::RemoveCore, PurgeCore, BlockCore and UnblockCore.
  absl::Status RemoveCore(const CoreKey& key);
  absl::Status PurgeCore(const CoreKey& key);
  absl::Status BlockCore(const CoreKey& key);
  absl::Status UnblockCore(const CoreKey& key);
  const std::set<CoreKey>& blocked() const { return blocked_->keys(); }

  // See Store::OnExtension and SendExtension.
  absl::StatusOr<ExtensionScope> ScopeOf(const ExtensionTarget& target);
  ExtensionHub& extensions() { return *extensions_; }
  // Nothing if its signature is wrong, which counts against the peer.
  std::optional<ExtensionMessage> MessageOf(const ExtensionHub::Arrival& arrival);
  absl::StatusOr<std::size_t> SendExtension(const ExtensionTarget& target,
                                            const std::string& name,
                                            const std::string& payload, bool sign);
  Swarm& swarm() { return *swarm_; }
  // Both ends have told each other that they hold the same of every base they share,
  // at least one, on their disks: what a sync waits for.
  bool IsLevel(const Session& session) const;
  const NodeHost& host() const { return host_; }

  struct SyncRequest {
    Nanos timeout{0};  // ends so long from now at the latest
    ProgressCallback progress;
    std::function<bool()> cancelled;
  };
  // See Store::Sync. The callbacks are called on the strand.
  // UNAVAILABLE  the address is our own, too
  Task<absl::StatusOr<SyncResult>> Sync(std::string address, SyncRequest request);
  // See Store::SyncOver.
  Task<absl::StatusOr<SyncResult>> SyncOver(std::unique_ptr<Wire> wire,
                                            bool is_initiator, SyncRequest request);

  // See Store::Listen.
  absl::StatusOr<std::string> Listen(const std::string& address);
  // See Store::JoinAddresses.
  absl::StatusOr<std::vector<std::string>> JoinAddresses() const;
  // From now on each base keeps its share of a mesh: tells peers of each other, dials
  // those it heard of, and drops what is too much.
  void StartMesh(const MeshLimits& limits = {});

  // See Base::WaitAcked.
  Task<absl::Status> WaitAcked(BaseNode* base, CoreKey writer, std::uint64_t length,
                               std::size_t peers, Nanos timeout);

  struct CloneRequest {
    CoreKey key;
    std::optional<BlockRange> blocks;  // absent: the whole core
    std::vector<SeekRequest> seeks;    // if any: the blocks that hold these bytes only
    // OK once all of them that the peer has are here, as it always is for `seeks`.
    bool what_there_is = false;
    Nanos timeout{0};  // zero: none
    ProgressCallback progress;
    std::function<bool()> live_until;  // empty: end when the blocks are here
  };
  // See Store::CloneCore. What several callers want of one core comes over one
  // connection, and each returns when his own blocks are here.
  Task<absl::Status> Clone(std::string address, CloneRequest request);

  // Rules about who may have what; call PolicyChanged after a change.
  NodePolicy& policy() { return policy_; }
  void PolicyChanged() { swarm_->PolicyChanged(); }

  void OnEvent(EventCallback callback) { on_event_ = std::move(callback); }

 private:
  // Asks one address after the other until the base knows its genesis. Otherwise the
  // reason of the last.
  Task<absl::Status> FetchGenesis(BaseNode* base, std::vector<std::string> addresses);
  // Of a base that the store follows: with another invite, while nothing has let us in.
  Task<absl::StatusOr<BaseNode*>> JoinAgain(BaseNode* base, Link link,
                                            std::string connect);
  using Exchanges = std::map<BaseNode*, std::shared_ptr<FeedExchange>>;

  // A connection to an address, or to no address, whichever one with that peer it is
  // that stays.
  struct Line {
    std::string address;
    Nanos deadline{};  // of what it is for
    std::shared_ptr<Session> session;
    std::optional<Nanos> closed_since = {};
  };
  // False: the connection has ended, and there is no other. Otherwise the line has
  // another, or one may be about to come.
  Task<bool> GoesOn(Line& line);  // outlives the task

  std::shared_ptr<const Session::Wish> WishFor(Session& session,
                                               std::shared_ptr<Hypercore> core,
                                               const CloneRequest& request);
  std::optional<absl::Status> EndOfClone(const CloneRequest& request, const Line& line,
                                         bool arrived) const;
  // Both outlive the task.
  Task<absl::Status> RunClone(Line& line, std::shared_ptr<Hypercore> core,
                              const CloneRequest& request);

  struct SyncRun;
  Task<absl::StatusOr<SyncResult>> RunSync(SyncRun& run);  // outlives the task
  std::optional<absl::Status> EndOf(const SyncRun& run,
                                    const Exchanges& exchanges) const;
  static bool AllLevel(const Exchanges& exchanges);
  Task<void> WaitClosed(std::shared_ptr<Session> session);

  explicit Node(const NodeHost& host);
  absl::Status JudgeLease(std::vector<BaseRecord>* records);
  absl::Status RetireLogs(std::vector<BaseRecord>* records);
  absl::Status CheckMayAppend(const CoreKey& key) const;
  // Adds to a notice that a base will soon have no more new logs for it.
  void WarnOfIncarnations();
  absl::StatusOr<KeyPair> PeerKey() const;
  std::uint64_t OwnBlocks() const;
  bool MayKnowMore(const Session& session, BaseNode& base) const;

  // CoreProvider
  absl::StatusOr<std::shared_ptr<Hypercore>> Find(const DiscoveryKey& key) override;
  std::optional<CoreKey> KeyOf(const DiscoveryKey& key) override;
  Download ModeOf(const Hypercore& core) override;
  bool AllowFork(const Hypercore& core) override;
  // SessionObserver
  void OnReady(Session& session) override;
  void OnCoreClosed(Session& session, Hypercore& core, bool refused) override;
  void OnUpgraded(Session& session, Hypercore& core, std::uint64_t old_length) override;
  void OnLevel(Session& session, Hypercore& core) override;
  void OnWishMet(Session& session, Hypercore& core) override;
  void OnForkRefused(Session& session, Hypercore& core, std::uint64_t fork) override;
  void OnFault(Session& session, Hypercore& core, const absl::Status& why) override;
  void OnUnreadable(Session& session, Hypercore& core,
                    const absl::Status& why) override;
  void OnClosed(Session& session, const absl::Status& why) override;
  void OnExtension(Session& session, Hypercore& core, std::string_view name,
                   ByteView payload) override;

  // Who has not shown that he knows a base is not told what is said in it.
  bool MayUse(Session& session, const ExtensionScope& scope) const;
  // The identity that signed, where that can be told and is so; nullopt: nobody.
  // DATA_LOSS  the signature is wrong
  absl::StatusOr<std::optional<CoreKey>> AuthorOf(const ExtensionHub::Arrival& arrival);
  BaseNode* BaseOf(const DiscoveryKey& id) const;
  // Closes the core's channels, and lets no peer open another on this connection.
  void ForgetCore(const CoreKey& key);
  absl::Status CheckNoLogOfABase(const CoreKey& key, const char* verb) const;
  BaseNode* AddBase(std::unique_ptr<BaseNode> base);
  std::uint64_t NextBaseNumber() const;
  absl::Status CheckNewName(const std::string& name) const;
  void StartExchange(Session& session, BaseNode& base);
  void WatchViews(BaseNode& base);
  // Oldest connection first: the order in which peers are told is no accident of
  // addresses, so that a simulation repeats itself.
  std::vector<std::shared_ptr<FeedExchange>> ExchangesOf(BaseNode& base) const;
  // The base settled: what it has, and that it is durable, is told to all peers.
  void Announce(BaseNode& base, std::span<const FeedChange> changes);
  void Event(const std::string& line);
  // The same about one peer, which cannot fill the log (L19).
  void PeerEvent(Session& session, const std::string& line);
  void StartMeshOf(BaseNode& base);
  Task<std::optional<PublicKey>> DialForMesh(std::string address);
  // The mesh must not drop the connection for this base.
  bool MustStay(const BaseNode& base, const FeedExchange& exchange) const;

  // What is known of the bases on this session; nothing once it ended.
  const Exchanges& ExchangesOn(const Session& session) const;
  bool IsRefused(const Session& session, const CoreKey& core) const;
  FeedPermission PermissionOf(const Session& session, const CoreKey& key) const;
  void DoubtLog(const CoreKey& key);

  NodeHost host_;
  // Tasks hold it weakly and end once the node is gone.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::unique_ptr<Corestore> cores_;
  std::string notice_;
  bool own_logs_doubted_ = false;                 // since the store was opened
  std::optional<BlockedFeeds> blocked_;           // from Open on
  std::vector<std::unique_ptr<BaseNode>> bases_;  // by number
  std::map<Session*, Exchanges> exchanges_;
  std::set<const BaseNode*> watched_;              // will be asked whether views differ
  std::map<Session*, std::set<CoreKey>> refused_;  // cores the peer does not give
  // Something a waiting task may be waiting for has changed. Not all of it is told: who
  // waits looks again after a while.
  static constexpr Nanos kLookAgain = std::chrono::milliseconds(100);
  std::shared_ptr<Signal> changed_ = std::make_shared<Signal>();
  NodePolicy policy_;
  EventCallback on_event_;
  std::unique_ptr<ExtensionHub> extensions_;
  std::vector<std::string> listening_;  // as others may dial it
  std::optional<MeshLimits> mesh_limits_;
  std::map<BaseNode*, std::shared_ptr<PeerExchange>> meshes_;
  std::set<const Session*> mesh_sessions_;  // dialled for a mesh
  std::unique_ptr<Swarm> swarm_;            // last: its sessions call the rest
};

}  // namespace weft
