// The feed exchange: two peers find out, for one base, which logs each has and how
// far, and start to fetch what is missing.
//
// Both prove that they know base_id, the one without the genesis gets it, and both
// say one digest. If the digests differ each tells all its heads, and from then on
// only what changed. A log is fetched only if the base wants it (it is a member's, or
// a member's block names it), never because a peer offers it.
// Bytes: replication/feed_messages.h. Policy, limits: attacks 14 to 17, limit L11.

#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>

#include "replication/feed_messages.h"
#include "replication/session.h"

namespace weft {

// The base on this side of the exchange.
class FeedSource {
 public:
  virtual ~FeedSource() = default;
  virtual const BaseId& base_id() const = 0;
  // Absent until a peer has given it.
  virtual std::optional<Bytes> Genesis() const = 0;
  // INVALID_ARGUMENT  not the genesis that base_id names
  virtual absl::Status TakeGenesis(ByteView genesis) = 0;
  // Of what is indexed now; nullopt without a genesis.
  virtual std::optional<FeedDigest> Digest() const = 0;
  // Every log with a settled length above zero.
  virtual std::vector<FeedHead> Heads() const = 0;
  // The core to fill if a peer has `settled` blocks of this log, or null if the base
  // does not want the log or has as many already.
  virtual std::shared_ptr<Hypercore> Wanted(const CoreKey& key,
                                            std::uint64_t settled) = 0;
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

  // Our settled lengths grew to these.
  void TellHeads(std::span<const FeedHead> heads);
  // Our digest, after what it covers was indexed and, if it says so, synced.
  void TellDigest(const FeedDigest& digest);
  // These blocks are on our disk for good.
  void TellDurable(std::span<const FeedAck> acks);
  // The base wants more logs than before: looks again at all the peer announced.
  void WantsChanged();
  // The genesis has come by another way.
  void GenesisKnown();

  bool open() const { return open_; }
  // The peer does not know the base, or its proof of knowing it was wrong.
  bool refused() const { return refused_; }
  const std::optional<FeedDigest>& remote_digest() const { return remote_digest_; }
  const std::map<CoreKey, std::uint64_t>& remote_heads() const { return remote_heads_; }
  // What the peer had of each log when it first told of it.
  const std::map<CoreKey, std::uint64_t>& first_remote_heads() const {
    return first_remote_heads_;
  }
  // Blocks of each log that the peer says are on its disk.
  const std::map<CoreKey, std::uint64_t>& remote_durable() const {
    return remote_durable_;
  }
  // Both digests are equal and the peer has everything on its disk.
  bool IsLevel() const;

  absl::Status OnOpen(MuxChannel& channel, ByteView handshake) override;
  absl::Status OnMessage(MuxChannel& channel, std::uint64_t type,
                         ByteView body) override;
  void OnClose(MuxChannel& channel, bool refused) override;

 private:
  FeedExchange(Session* session, FeedSource* source, Changed changed);

  bool Proves(ByteView handshake) const;
  void Open();
  absl::Status OnGenesis(ByteView body);
  absl::Status OnDigest(ByteView body);
  absl::Status OnHeads(ByteView body);
  absl::Status OnAcks(ByteView body);
  void TellAllHeads();
  void Fetch(const CoreKey& key, std::uint64_t settled);

  Session* session_;    // not owned
  FeedSource* source_;  // not owned
  Changed changed_;
  MuxChannel* channel_ = nullptr;  // owned by the mux; null when closed
  bool open_ = false;
  bool refused_ = false;
  bool peer_has_genesis_ = false;
  bool told_all_heads_ = false;             // by us
  bool told_all_ = false;                   // by the peer
  std::optional<FeedDigest> local_digest_;  // as last told
  std::optional<FeedDigest> remote_digest_;
  std::map<CoreKey, std::uint64_t> remote_heads_;        // at most kFeedsPerPeerMax
  std::map<CoreKey, std::uint64_t> first_remote_heads_;  // the same keys
  std::map<CoreKey, std::uint64_t> remote_durable_;      // at most kFeedsPerPeerMax
};

}  // namespace weft
