// The feed exchange: two peers find out, for one base, which logs each has and how
// far, and start to fetch what is missing.
//
// Both prove that they know base_id, the one without the genesis gets it, and both
// say one digest. If the feed roots are equal that is all; else they say what proves
// forks, walk the trie of feeds (replication/feed_walk.h) from the top, and tell each
// other the heads that differ. From then on each tells what changes, in batches. A log
// is fetched only if the base wants it (it is a member's, or a member's block names
// it), never because a peer offers it. What is told is on the disk (rule A1), and so
// is an acknowledgement. Bytes: replication/feed_messages.h. Attacks 14 to 17, L11.

#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "absl/container/btree_map.h"
#include "replication/feed_map.h"
#include "replication/feed_messages.h"
#include "replication/feed_policy.h"
#include "replication/feed_walk.h"
#include "replication/session.h"

namespace weft {

class FeedExchange;

// The base on this side of the exchange.
class FeedSource {
 public:
  virtual ~FeedSource() = default;
  virtual const BaseId& base_id() const = 0;
  // Absent until a peer has given it.
  virtual std::optional<Bytes> Genesis() const = 0;
  // INVALID_ARGUMENT  not the genesis that base_id names
  virtual absl::Status TakeGenesis(ByteView genesis) = 0;
  // Of Feeds(); nullopt without a genesis.
  virtual std::optional<FeedDigest> Digest() = 0;
  // Every log with a settled length above zero, as far as it is on the disk for good.
  virtual FeedMap& Feeds() = 0;
  // The core to fill if a peer has `settled` blocks of this log, or null if the base
  // does not want the log or has as many already.
  virtual std::shared_ptr<Hypercore> Wanted(const CoreKey& core,
                                            std::uint64_t settled) = 0;
  // 0 for logs that must be known before others are judged; larger comes later.
  virtual int RankOf(const CoreKey& core) = 0;

  // Nobody can have more blocks of this log than so many: of a log of our own, those
  // that are on our disk for good. ~0: who knows.
  virtual std::uint64_t MostHeld(const CoreKey&) { return ~std::uint64_t{0}; }
  // The peer has these blocks on its disk for good, it says; at most MostHeld.
  virtual void OnDurable(const PublicKey& peer, std::span<const FeedAck> acks) = 0;
  // It has all that our newest digest covers on its disk for good, it says.
  virtual void OnLevel(const PublicKey& peer) = 0;

  // Proofs of forks, to be sent before data (rule F1).
  virtual std::vector<Bytes> Evidence() = 0;
  // Returns what to answer, to that peer alone. The time that an answer or a refusal
  // takes counts against the peer (L16).
  // INVALID_ARGUMENT, DATA_LOSS  it proves nothing; a peer that goes on is cut off
  // NOT_FOUND                    of no use here; a peer that goes on is slowed down
  virtual absl::StatusOr<std::vector<Bytes>> TakeEvidence(const PublicKey& peer,
                                                          ByteView proof) = 0;
  // The same of what no digest covers: who asks to be let in, or for what is his. Told
  // on every connection.
  virtual std::vector<Bytes> RequestsTo(const PublicKey& peer) = 0;
  // For a peer whose feeds are as long as ours and whose view is another: what finds
  // the feeds that are the same in name only.
  virtual std::vector<Bytes> SameFeedsEvidence() { return {}; }
  // The peer says where others are (replication/peer_exchange.h).
  virtual void OnPeers(const FeedExchange& from, const FeedPeers& peers) = 0;
};

// A settled length that is not what it was.
struct FeedChange {
  FeedHead head;
  std::uint64_t before = 0;
};

// What is known of one feed on one connection; kFeedUnsaid where nothing was said.
inline constexpr std::uint64_t kFeedUnsaid = ~std::uint64_t{0};
struct PeerFeed {
  std::uint64_t settled = kFeedUnsaid;  // as the peer last told
  std::uint64_t first = kFeedUnsaid;    // as it was there when the two met
  std::uint64_t told = kFeedUnsaid;     // ours, as we last told
  std::uint64_t durable = 0;            // blocks on its disk, as it last told
  bool denied = false;                  // by the peer
  bool refused = false;                 // by us, and told
};

// One base on one session. Lives on the session's strand.
class FeedExchange final : public ChannelHandler,
                           public std::enable_shared_from_this<FeedExchange> {
 public:
  // Something the peer said changed what this object knows, or the channel closed.
  using Changed = std::function<void(FeedExchange&)>;

  // Call once for each base when the session is ready. `source` must outlive the
  // session's channels; `session` must be ready and is not owned.
  static std::shared_ptr<FeedExchange> Start(Session* session, FeedSource* source,
                                             Changed changed);

  // Closes the channel, if the session still runs, and calls nobody any more. The
  // source may go afterwards.
  void Stop();

  // These of the source's Feeds() have changed.
  void TellChanges(std::span<const FeedChange> changes);
  // The source's digest, after Feeds() has changed.
  void TellDigest(const FeedDigest& digest);
  // More blocks of these logs are on our disk than their heads say.
  void TellDurable(std::span<const FeedAck> acks);
  // New proofs, which the peer may not have.
  void TellEvidence(std::span<const Bytes> proofs);
  void TellPeers(const FeedPeers& peers);
  // The base wants more logs than before: looks again at all the peer announced.
  void WantsChanged();
  // The genesis has come by another way.
  void GenesisKnown();

  bool open() const { return open_; }
  // The peer does not know the base, or its proof of knowing it was wrong.
  bool refused() const { return refused_; }
  const std::optional<FeedDigest>& remote_digest() const { return remote_digest_; }
  // The feeds of which either side has spoken: those that differed when the two met,
  // and those that changed since.
  const absl::btree_map<CoreKey, PeerFeed>& feeds() const { return feeds_; }
  // Both digests are equal and the peer has everything on its disk.
  bool IsLevel() const;
  // To be asked every few seconds while views differ: if nothing has moved since the
  // last time, tells the peer all evidence again, and once what our feeds hold, for of
  // two branches of a log either may be the longer, and what counts of other logs may
  // hang on which is held. That costs up to two MiB, and views may differ for good:
  // each time is followed by a longer pause. False: there is nothing left to find out.
  bool CompareWhenQuiet();
  // How many blocks of the log the peer has on its disk for good, as far as it has
  // said so on this connection, itself or by being level with us.
  std::uint64_t DurableThere(const CoreKey& core) const;
  // Branches of the trie that were shown, both ways.
  std::uint64_t nodes_exchanged() const { return nodes_shown_ + nodes_seen_; }
  // Branches and feeds that were looked at because the peer asked for them.
  std::uint64_t steps_asked() const { return ask_steps_; }
  Session& session() const { return *session_; }

  absl::Status OnOpen(MuxChannel& channel, ByteView handshake) override;
  absl::Status OnMessage(MuxChannel& channel, std::uint64_t type,
                         ByteView body) override;
  void OnClose(MuxChannel& channel, bool refused) override;

 private:
  using Views = std::pair<Hash32, Hash32>;  // ours and the peer's, as last told

  FeedExchange(Session* session, FeedSource* source, Changed changed);

  bool Proves(ByteView handshake) const;
  void Open();
  absl::Status OnGenesis(ByteView body);
  absl::Status OnDigest(ByteView body);
  absl::Status OnAskNodes(ByteView body);
  absl::Status OnNodes(ByteView body);
  absl::Status OnHeads(ByteView body);
  absl::Status OnAcks(ByteView body);
  absl::Status OnEvidence(ByteView body);
  absl::Status OnDeny(ByteView body);

  // Both digests are known, or one has changed.
  void Compare();
  void BeginWalk();
  void Send(FeedMessageType type, ByteView body);
  // As many messages as it takes.
  template <class T>
  void SendInParts(FeedMessageType type, std::span<const T> all,
                   Bytes (*encode)(std::span<const T>));
  void SendStep(std::uint64_t id, const WalkStep& step);
  void SendNodes(std::uint64_t id, std::span<const FeedNode> nodes);
  // Tells what was not told with this length before; `complete`: these are all.
  void SendHeads(std::span<const FeedHead> heads, bool complete);
  void TellAll();
  void TellWhatDiffers();
  PeerFeed* Remember(const CoreKey& core);
  void MakeRoom();
  // What a walk over the feeds of both sides may take of either.
  std::uint64_t StepsMax() const;
  // Tells what our feeds hold, if it may and has not with these views.
  void TellWhatFeedsHold(const Views& views);
  void NoteLevel();
  void NoteTold(const CoreKey& core);
  bool MayTell(const CoreKey& core) const;
  void Fetch(std::vector<FeedHead> heads);
  VisitTold Told() const;
  const PublicKey& peer() const { return session_->remote_static_key(); }

  Session* session_;    // not owned
  FeedSource* source_;  // not owned
  Changed changed_;
  MuxChannel* channel_ = nullptr;  // owned by the mux; null when closed
  bool open_ = false;
  bool refused_ = false;
  bool peer_has_genesis_ = false;
  bool walked_ = false;  // the walk has begun, by us or the peer
  bool told_requests_ = false;
  Views quiet_views_;           // when CompareWhenQuiet was asked last
  Views compared_views_;        // when we told last what our feeds hold
  Nanos compare_at_{};          // not again before
  Nanos compare_pause_{};       // after the last time
  bool told_evidence_ = false;  // all there was when the digests first differed
  bool told_all_ = false;       // by the peer
  bool feeds_dropped_ = false;  // the peer told of more than fit
  bool may_make_room_ = false;  // something of ours has changed since it was tried
  std::optional<FeedDigest> local_digest_;  // as last told
  std::optional<FeedDigest> remote_digest_;
  absl::btree_map<CoreKey, PeerFeed> feeds_;
  std::size_t peer_feeds_ = 0;  // of feeds_, those the peer told: kFeedsPerPeerMax
  bool was_level_ = false;
  std::vector<CoreKey> since_level_;  // of feeds_, told since; perhaps twice
  std::uint64_t nodes_shown_ = 0;
  std::uint64_t nodes_seen_ = 0;
  std::uint64_t walk_steps_ = 0;  // nodes compared, and feeds looked at for them
  std::uint64_t ask_steps_ = 0;   // the same for what the peer asked
  std::uint64_t next_ask_ = 1;
  std::size_t bad_evidence_ = 0;
};

}  // namespace weft
