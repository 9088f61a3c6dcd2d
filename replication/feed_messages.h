// The messages of the channel `weft/feeds`: which logs a base consists of and how far
// each of two peers has them. One channel per base, id = the discovery key of base_id.
//
// open      := version:u8=1 capability:32 flags:uint        bit0: I hold the genesis
// genesis   := 0, bytes to the end                          docs/formats.md, Genesis
// digest    := 1, feeds_root:32 version_digest:32 flags:uint feeds:uint
//                                           bit0: all of it is durable on my disk
// ask_nodes := 2, id:uint path[]            path := nibbles:uint packed:u8*
// nodes     := 3, id:uint node[]            node := path, bytes:buffer (branch bytes)
// heads     := 4, flags:uint head[]         bit0: with those told before, all I have
//              head := core:32 settled:uint bit1: durable on my disk
// acks      := 6, ack[]                     ack := core:32 durable:uint
// evidence  := 7, (proof:buffer)[]          opaque here; at most 64, of 64 KiB each
// deny      := 8, core[]                    I neither give nor take these
// peers     := 9, flags:uint peer[]         bit0: I have enough connections
//              peer := key:32 address:buffer
// Types 5, and 10 and up, are ignored. Arrays begin with their count (uint); a count
// that cannot fit in what remains is malformed. Bytes after the last field are ignored.
//
// capability = BLAKE2b-256(key = handshake hash, NS || base_id), NS being
// BLAKE2b-256("weft feeds initiator") or ("weft feeds responder") by the side that
// sends it, so that it proves knowledge of base_id on this connection only.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/crypto.h"
#include "engine/status.h"

namespace weft {

inline constexpr std::string_view kFeedProtocol = "weft/feeds";
inline constexpr std::uint8_t kFeedVersion = 1;
// Feeds one peer may announce on one channel (limit L11).
inline constexpr std::size_t kFeedsPerPeerMax = 65536;
// Bytes of one proof in an evidence message (rule F1).
inline constexpr std::size_t kEvidenceBytesMax = 64 * 1024;
// Proofs in one message, each of which may cost a check of a signature.
inline constexpr std::size_t kEvidencePerMessageMax = 64;

using BaseId = FixedBytes<32, struct BaseIdTag>;

enum class FeedMessageType : std::uint64_t {
  kGenesis = 0,
  kDigest = 1,
  kAskNodes = 2,
  kNodes = 3,
  kHeads = 4,
  kAcks = 6,
  kEvidence = 7,
  kDeny = 8,
  kPeers = 9,
};

struct FeedOpen {
  std::uint8_t version = kFeedVersion;
  Hash32 capability;
  bool has_genesis = false;
  bool operator==(const FeedOpen&) const = default;
};

struct FeedDigest {
  Hash32 feeds_root;      // of the trie core key -> settled length
  Hash32 version_digest;  // rule C1
  bool durable = false;
  std::uint64_t feeds = 0;
  bool operator==(const FeedDigest&) const = default;
};

// A path in nibbles from the root of the feed trie.
using TriePath = std::vector<std::uint8_t>;

struct FeedAskNodes {
  std::uint64_t id = 0;
  std::vector<TriePath> paths;
  bool operator==(const FeedAskNodes&) const = default;
};

struct FeedNode {
  TriePath path;
  Bytes bytes;
  bool operator==(const FeedNode&) const = default;
};

struct FeedNodes {
  std::uint64_t id = 0;
  std::vector<FeedNode> nodes;
  bool operator==(const FeedNodes&) const = default;
};

struct FeedHead {
  CoreKey core;
  std::uint64_t settled = 0;  // blocks
  bool operator==(const FeedHead&) const = default;
};

struct FeedHeads {
  bool complete = false;
  bool durable = false;
  std::vector<FeedHead> heads;
  bool operator==(const FeedHeads&) const = default;
};

struct FeedAck {
  CoreKey core;
  std::uint64_t durable = 0;  // blocks
  bool operator==(const FeedAck&) const = default;
};

// Where a peer of the base is: "host:port"; of the sender itself also ":port", at the
// host that it is seen from.
struct FeedPeer {
  PublicKey key;  // as shown in the handshake
  std::string address;
  bool operator==(const FeedPeer&) const = default;
};

struct FeedPeers {
  bool enough = false;
  std::vector<FeedPeer> peers;
  bool operator==(const FeedPeers&) const = default;
};

Hash32 FeedCapability(const Hash64& handshake_hash, bool sender_is_initiator,
                      const BaseId& base_id);
// The id of a base's channel.
DiscoveryKey FeedChannelId(const BaseId& base_id);

Bytes EncodeFeedOpen(const FeedOpen& open);
Bytes EncodeFeedDigest(const FeedDigest& digest);
Bytes EncodeFeedAskNodes(const FeedAskNodes& ask);
Bytes EncodeFeedNodes(const FeedNodes& nodes);
Bytes EncodeFeedHeads(const FeedHeads& heads);
Bytes EncodeFeedAcks(std::span<const FeedAck> acks);
Bytes EncodeFeedEvidence(std::span<const Bytes> proofs);
Bytes EncodeFeedDeny(std::span<const CoreKey> cores);
Bytes EncodeFeedPeers(const FeedPeers& peers);

// All of these: INVALID_ARGUMENT if the bytes are malformed or over a limit.
absl::StatusOr<FeedOpen> DecodeFeedOpen(ByteView bytes);
absl::StatusOr<FeedDigest> DecodeFeedDigest(ByteView bytes);
absl::StatusOr<FeedAskNodes> DecodeFeedAskNodes(ByteView bytes);
absl::StatusOr<FeedNodes> DecodeFeedNodes(ByteView bytes);
absl::StatusOr<FeedHeads> DecodeFeedHeads(ByteView bytes);
absl::StatusOr<std::vector<FeedAck>> DecodeFeedAcks(ByteView bytes);
absl::StatusOr<std::vector<Bytes>> DecodeFeedEvidence(ByteView bytes);
absl::StatusOr<std::vector<CoreKey>> DecodeFeedDeny(ByteView bytes);
absl::StatusOr<FeedPeers> DecodeFeedPeers(ByteView bytes);

}  // namespace weft
