#include "replication/feed_messages.h"

#include "absl/strings/str_format.h"
#include "engine/codec.h"

namespace weft {
namespace {

constexpr std::uint64_t kHasGenesis = 1;
constexpr std::uint64_t kDurable = 1;
constexpr std::uint64_t kComplete = 1;
constexpr std::uint64_t kHeadsDurable = 2;
constexpr std::uint64_t kEnough = 1;
// A core key is 64 nibbles, so no path in the feed trie is longer.
constexpr std::uint64_t kPathNibblesMax = 64;

absl::Status Malformed(const char* name) {
  return absl::InvalidArgumentError(absl::StrFormat(
      "weft/feeds %s: the bytes end early or a field is out of range", name));
}

void WritePath(Writer& writer, const TriePath& path) {
  writer.Uint(path.size());
  for (std::size_t i = 0; i < path.size(); i += 2) {
    const std::uint8_t low = i + 1 < path.size() ? path[i + 1] : 0;
    writer.U8(static_cast<std::uint8_t>(path[i] << 4 | low));
  }
}

TriePath ReadPath(Reader& reader) {
  const std::uint64_t nibbles = reader.Uint();
  if (nibbles > kPathNibblesMax) {
    reader.Fail();
    return {};
  }
  const ByteView packed = reader.Raw((nibbles + 1) / 2);
  TriePath path;
  if (!reader.ok()) return path;
  for (std::size_t i = 0; i < nibbles; ++i) {
    path.push_back(i % 2 == 0 ? packed[i / 2] >> 4 : packed[i / 2] & 15);
  }
  if (nibbles % 2 == 1 && (packed.back() & 15) != 0) reader.Fail();
  return path;
}

// The count of items of at least `bytes_min` bytes, at most kFeedsPerPeerMax.
std::size_t ReadCount(Reader& reader, std::size_t bytes_min) {
  const std::size_t count = reader.Count(bytes_min);
  if (count > kFeedsPerPeerMax) {
    reader.Fail();
    return 0;
  }
  return count;
}

}  // namespace

Hash32 FeedCapability(const Hash64& handshake_hash, bool sender_is_initiator,
                      const BaseId& base_id) {
  static const Hash32 initiator = Blake2b256(AsBytes("weft feeds initiator"));
  static const Hash32 responder = Blake2b256(AsBytes("weft feeds responder"));
  const Hash32& name_space = sender_is_initiator ? initiator : responder;
  return KeyedBlake2b256(handshake_hash.view(), {name_space.view(), base_id.view()});
}

DiscoveryKey FeedChannelId(const BaseId& base_id) {
  return DiscoveryKeyOf(CoreKey{base_id.bytes});
}

Bytes EncodeFeedOpen(const FeedOpen& open) {
  Bytes out;
  Writer writer(&out);
  writer.U8(open.version);
  writer.Raw(open.capability.view());
  writer.Uint(open.has_genesis ? kHasGenesis : 0);
  return out;
}

absl::StatusOr<FeedOpen> DecodeFeedOpen(ByteView bytes) {
  Reader reader(bytes);
  FeedOpen open;
  open.version = reader.U8();
  open.capability = reader.Fixed<Hash32>();
  open.has_genesis = (reader.Uint() & kHasGenesis) != 0;
  if (!reader.ok()) return Malformed("open");
  return open;
}

Bytes EncodeFeedDigest(const FeedDigest& digest) {
  Bytes out;
  Writer writer(&out);
  writer.Raw(digest.feeds_root.view());
  writer.Raw(digest.version_digest.view());
  writer.Uint(digest.durable ? kDurable : 0);
  writer.Uint(digest.feeds);
  return out;
}

absl::StatusOr<FeedDigest> DecodeFeedDigest(ByteView bytes) {
  Reader reader(bytes);
  FeedDigest digest;
  digest.feeds_root = reader.Fixed<Hash32>();
  digest.version_digest = reader.Fixed<Hash32>();
  digest.durable = (reader.Uint() & kDurable) != 0;
  digest.feeds = reader.Uint();
  if (!reader.ok()) return Malformed("digest");
  return digest;
}

Bytes EncodeFeedAskNodes(const FeedAskNodes& ask) {
  Bytes out;
  Writer writer(&out);
  writer.Uint(ask.id);
  writer.Uint(ask.paths.size());
  for (const TriePath& path : ask.paths) WritePath(writer, path);
  return out;
}

absl::StatusOr<FeedAskNodes> DecodeFeedAskNodes(ByteView bytes) {
  Reader reader(bytes);
  FeedAskNodes ask;
  ask.id = reader.Uint();
  const std::size_t count = ReadCount(reader, 1);
  for (std::size_t i = 0; i < count && reader.ok(); ++i) {
    ask.paths.push_back(ReadPath(reader));
  }
  if (!reader.ok()) return Malformed("ask_nodes");
  return ask;
}

Bytes EncodeFeedNodes(const FeedNodes& nodes) {
  Bytes out;
  Writer writer(&out);
  writer.Uint(nodes.id);
  writer.Uint(nodes.nodes.size());
  for (const FeedNode& node : nodes.nodes) {
    WritePath(writer, node.path);
    writer.Buffer(node.bytes);
  }
  return out;
}

absl::StatusOr<FeedNodes> DecodeFeedNodes(ByteView bytes) {
  Reader reader(bytes);
  FeedNodes nodes;
  nodes.id = reader.Uint();
  const std::size_t count = ReadCount(reader, 2);
  for (std::size_t i = 0; i < count && reader.ok(); ++i) {
    FeedNode node;
    node.path = ReadPath(reader);
    node.bytes = ToBytes(reader.Buffer());
    nodes.nodes.push_back(std::move(node));
  }
  if (!reader.ok()) return Malformed("nodes");
  return nodes;
}

Bytes EncodeFeedHeads(const FeedHeads& heads) {
  Bytes out;
  Writer writer(&out);
  writer.Uint((heads.complete ? kComplete : 0) | (heads.durable ? kHeadsDurable : 0));
  writer.Uint(heads.heads.size());
  for (const FeedHead& head : heads.heads) {
    writer.Raw(head.core.view());
    writer.Uint(head.settled);
  }
  return out;
}

absl::StatusOr<FeedHeads> DecodeFeedHeads(ByteView bytes) {
  Reader reader(bytes);
  FeedHeads heads;
  const std::uint64_t flags = reader.Uint();
  heads.complete = (flags & kComplete) != 0;
  heads.durable = (flags & kHeadsDurable) != 0;
  const std::size_t count = ReadCount(reader, CoreKey::kSize + 1);
  heads.heads.reserve(count);
  for (std::size_t i = 0; i < count && reader.ok(); ++i) {
    FeedHead head;
    head.core = reader.Fixed<CoreKey>();
    head.settled = reader.Uint();
    heads.heads.push_back(head);
  }
  if (!reader.ok()) return Malformed("heads");
  return heads;
}

Bytes EncodeFeedAcks(std::span<const FeedAck> acks) {
  Bytes out;
  Writer writer(&out);
  writer.Uint(acks.size());
  for (const FeedAck& ack : acks) {
    writer.Raw(ack.core.view());
    writer.Uint(ack.durable);
  }
  return out;
}

absl::StatusOr<std::vector<FeedAck>> DecodeFeedAcks(ByteView bytes) {
  Reader reader(bytes);
  std::vector<FeedAck> acks;
  const std::size_t count = ReadCount(reader, CoreKey::kSize + 1);
  for (std::size_t i = 0; i < count && reader.ok(); ++i) {
    FeedAck ack;
    ack.core = reader.Fixed<CoreKey>();
    ack.durable = reader.Uint();
    acks.push_back(ack);
  }
  if (!reader.ok()) return Malformed("acks");
  return acks;
}

Bytes EncodeFeedEvidence(std::span<const Bytes> proofs) {
  Bytes out;
  Writer writer(&out);
  writer.Uint(proofs.size());
  for (const Bytes& proof : proofs) writer.Buffer(proof);
  return out;
}

absl::StatusOr<std::vector<Bytes>> DecodeFeedEvidence(ByteView bytes) {
  Reader reader(bytes);
  std::vector<Bytes> proofs;
  const std::size_t count = ReadCount(reader, 1);
  if (count > kEvidencePerMessageMax) reader.Fail();
  for (std::size_t i = 0; i < count && reader.ok(); ++i) {
    const ByteView proof = reader.Buffer();
    if (proof.size() > kEvidenceBytesMax) reader.Fail();
    proofs.push_back(ToBytes(proof));
  }
  if (!reader.ok()) return Malformed("evidence");
  return proofs;
}

Bytes EncodeFeedDeny(std::span<const CoreKey> cores) {
  Bytes out;
  Writer writer(&out);
  writer.Uint(cores.size());
  for (const CoreKey& core : cores) writer.Raw(core.view());
  return out;
}

absl::StatusOr<std::vector<CoreKey>> DecodeFeedDeny(ByteView bytes) {
  Reader reader(bytes);
  std::vector<CoreKey> cores;
  const std::size_t count = ReadCount(reader, CoreKey::kSize);
  for (std::size_t i = 0; i < count && reader.ok(); ++i) {
    cores.push_back(reader.Fixed<CoreKey>());
  }
  if (!reader.ok()) return Malformed("deny");
  return cores;
}

Bytes EncodeFeedPeers(const FeedPeers& peers) {
  Bytes out;
  Writer writer(&out);
  writer.Uint(peers.enough ? kEnough : 0);
  writer.Uint(peers.peers.size());
  for (const FeedPeer& peer : peers.peers) {
    writer.Raw(peer.key.view());
    writer.Buffer(AsBytes(peer.address));
  }
  return out;
}

absl::StatusOr<FeedPeers> DecodeFeedPeers(ByteView bytes) {
  Reader reader(bytes);
  FeedPeers peers;
  peers.enough = (reader.Uint() & kEnough) != 0;
  const std::size_t count = ReadCount(reader, PublicKey::kSize + 1);
  for (std::size_t i = 0; i < count && reader.ok(); ++i) {
    FeedPeer peer;
    peer.key = reader.Fixed<PublicKey>();
    peer.address = std::string(AsText(reader.Buffer()));
    peers.peers.push_back(std::move(peer));
  }
  if (!reader.ok()) return Malformed("peers");
  return peers;
}

}  // namespace weft
