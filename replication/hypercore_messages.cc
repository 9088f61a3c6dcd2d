#include "replication/hypercore_messages.h"

#include "absl/strings/str_format.h"
#include "engine/codec.h"
#include "engine/namespace.h"

namespace weft {
namespace {

enum SyncFlag : std::uint64_t {
  kCanUpgrade = 1,
  kUploading = 2,
  kDownloading = 4,
  kHasManifest = 8,
  kAllowPush = 16,
};
enum PartFlag : std::uint64_t {
  kBlock = 1,
  kHash = 2,
  kSeek = 4,
  kUpgrade = 8,
  kManifest = 16,
  kPriority = 32,
};
constexpr std::uint64_t kHasReason = 1;
constexpr std::uint64_t kAny = 1;
constexpr std::uint64_t kDrop = 1;
constexpr std::uint64_t kLengthIsOne = 2;
constexpr std::size_t kNodeBytesMin = 34;

absl::Status Malformed(const char* what) {
  return absl::InvalidArgumentError(absl::StrFormat("a %s message is malformed", what));
}

std::uint64_t If(bool set, std::uint64_t flag) {
  return set ? flag : 0;
}

void WriteNodes(const std::vector<TreeNode>& nodes, Writer& writer) {
  writer.Uint(nodes.size());
  for (const TreeNode& node : nodes) {
    writer.Uint(node.tree_index);
    writer.Uint(node.size);
    writer.Raw(node.hash.view());
  }
}

void ReadNodes(Reader& reader, std::vector<TreeNode>* nodes) {
  nodes->clear();
  const std::size_t count = reader.Count(kNodeBytesMin);
  if (count > kProofNodesMax) {
    reader.Fail();
    return;
  }
  nodes->resize(count);
  for (TreeNode& node : *nodes) {
    node.tree_index = reader.Uint();
    node.size = reader.Uint();
    node.hash = reader.Fixed<TreeHash>();
  }
}

void ReadBytes(ByteView bytes, Bytes* out) {
  out->assign(bytes.begin(), bytes.end());
}

// The part of a message if it has one; its memory, if it had one before, is used again.
template <class Part>
Part* Open(std::optional<Part>& part, bool present) {
  if (!present) {
    part.reset();
    return nullptr;
  }
  return part ? &*part : &part.emplace();
}

void ReadUpgrade(Reader& reader, UpgradeProof* upgrade) {
  upgrade->verified.reset();
  upgrade->start = reader.Uint();
  upgrade->length = reader.Uint();
  ReadNodes(reader, &upgrade->nodes);
  ReadNodes(reader, &upgrade->additional_nodes);
  const ByteView signature = reader.Buffer();
  if (signature.size() > kSignatureBytesMax) {
    reader.Fail();
    return;
  }
  ReadBytes(signature, &upgrade->signature);
}

void WriteUpgrade(const UpgradeProof& upgrade, Writer& writer) {
  writer.Uint(upgrade.start);
  writer.Uint(upgrade.length);
  WriteNodes(upgrade.nodes, writer);
  WriteNodes(upgrade.additional_nodes, writer);
  writer.Buffer(upgrade.signature);
}

}  // namespace

Hash32 Capability(const Hash64& handshake_hash, bool sender_is_initiator,
                  const CoreKey& key) {
  const Hash32 name_space = NamespaceOf("hypercore", sender_is_initiator ? 1 : 2);
  return KeyedBlake2b256(handshake_hash.view(), {name_space.view(), key.view()});
}

void Encode(const CoreHandshake& handshake, Bytes* out) {
  Writer writer(out);
  writer.Uint(handshake.seeks ? 1 : 0);
  writer.Raw(handshake.capability.view());
}

absl::StatusOr<CoreHandshake> DecodeCoreHandshake(ByteView body) {
  Reader reader(body);
  CoreHandshake handshake;
  handshake.seeks = (reader.Uint() & 1) != 0;
  handshake.capability = reader.Fixed<Hash32>();
  if (!reader.ok()) return Malformed("core open");
  return handshake;
}

void Encode(const SyncMessage& message, Bytes* out) {
  Writer writer(out);
  writer.Uint(If(message.can_upgrade, kCanUpgrade) | If(message.uploading, kUploading) |
              If(message.downloading, kDownloading) |
              If(message.has_manifest, kHasManifest) |
              If(message.allow_push, kAllowPush));
  writer.Uint(message.fork);
  writer.Uint(message.length);
  writer.Uint(message.remote_length);
}

absl::StatusOr<SyncMessage> DecodeSync(ByteView body) {
  Reader reader(body);
  SyncMessage message;
  const std::uint64_t flags = reader.Uint();
  message.can_upgrade = (flags & kCanUpgrade) != 0;
  message.uploading = (flags & kUploading) != 0;
  message.downloading = (flags & kDownloading) != 0;
  message.has_manifest = (flags & kHasManifest) != 0;
  message.allow_push = (flags & kAllowPush) != 0;
  message.fork = reader.Uint();
  message.length = reader.Uint();
  message.remote_length = reader.Uint();
  if (!reader.ok()) return Malformed("sync");
  return message;
}

void Encode(const RequestMessage& message, Bytes* out) {
  const ProofRequest& parts = message.parts;
  Writer writer(out);
  writer.Uint(If(parts.block.has_value(), kBlock) | If(parts.hash.has_value(), kHash) |
              If(parts.seek.has_value(), kSeek) |
              If(parts.upgrade.has_value(), kUpgrade) | If(parts.manifest, kManifest) |
              If(message.priority != 0, kPriority));
  writer.Uint(message.id);
  writer.Uint(message.fork);
  if (parts.block) {
    writer.Uint(parts.block->block_index);
    writer.Uint(parts.block->nodes);
  }
  if (parts.hash) {
    writer.Uint(parts.hash->tree_index);
    writer.Uint(parts.hash->nodes);
  }
  if (parts.seek) {
    writer.Uint(parts.seek->byte_offset);
    writer.Uint(parts.seek->padding);
  }
  if (parts.upgrade) {
    writer.Uint(parts.upgrade->start);
    writer.Uint(parts.upgrade->length);
  }
  if (message.priority != 0) writer.Uint(message.priority);
}

absl::StatusOr<RequestMessage> DecodeRequest(ByteView body) {
  Reader reader(body);
  RequestMessage message;
  const std::uint64_t flags = reader.Uint();
  message.id = reader.Uint();
  message.fork = reader.Uint();
  // Braces evaluate from left to right, which is the order of the fields.
  if (flags & kBlock) message.parts.block = BlockRequest{reader.Uint(), reader.Uint()};
  if (flags & kHash) message.parts.hash = HashRequest{reader.Uint(), reader.Uint()};
  if (flags & kSeek) message.parts.seek = SeekRequest{reader.Uint(), reader.Uint()};
  if (flags & kUpgrade) {
    message.parts.upgrade = UpgradeRequest{reader.Uint(), reader.Uint()};
  }
  message.parts.manifest = (flags & kManifest) != 0;
  if (flags & kPriority) message.priority = reader.Uint();
  if (!reader.ok()) return Malformed("request");
  return message;
}

void EncodeCancel(std::uint64_t request_id, Bytes* out) {
  Writer(out).Uint(request_id);
}

absl::StatusOr<std::uint64_t> DecodeCancel(ByteView body) {
  Reader reader(body);
  const std::uint64_t request_id = reader.Uint();
  if (!reader.ok()) return Malformed("cancel");
  return request_id;
}

void EncodeData(std::uint64_t request_id, std::uint64_t fork, const Proof& proof,
                Bytes* out) {
  Writer writer(out);
  writer.Uint(If(proof.block.has_value(), kBlock) | If(proof.hash.has_value(), kHash) |
              If(proof.seek.has_value(), kSeek) |
              If(proof.upgrade.has_value(), kUpgrade) |
              If(proof.manifest.has_value(), kManifest));
  writer.Uint(request_id);
  writer.Uint(fork);
  if (proof.block) {
    writer.Uint(proof.block->block_index);
    writer.Buffer(proof.block->value);
    WriteNodes(proof.block->nodes, writer);
  }
  if (proof.hash) {
    writer.Uint(proof.hash->tree_index);
    WriteNodes(proof.hash->nodes, writer);
  }
  if (proof.seek) {
    writer.Uint(proof.seek->byte_offset);
    WriteNodes(proof.seek->nodes, writer);
  }
  if (proof.upgrade) WriteUpgrade(*proof.upgrade, writer);
  if (proof.manifest) writer.Raw(*proof.manifest);
}

absl::StatusOr<DataMessage> DecodeData(ByteView body) {
  DataMessage message;
  WEFT_RETURN_IF_ERROR(DecodeDataInto(body, &message));
  return message;
}

absl::StatusOr<std::uint64_t> DecodeDataId(ByteView body) {
  Reader reader(body);
  reader.Uint();
  const std::uint64_t request_id = reader.Uint();
  if (!reader.ok()) return Malformed("data");
  return request_id;
}

absl::Status DecodeDataInto(ByteView body, DataMessage* message) {
  Reader reader(body);
  Proof& proof = message->proof;
  const std::uint64_t flags = reader.Uint();
  message->request_id = reader.Uint();
  proof.fork = reader.Uint();
  if (BlockProof* const block = Open(proof.block, (flags & kBlock) != 0)) {
    block->leaf.reset();
    block->block_index = reader.Uint();
    ReadBytes(reader.Buffer(), &block->value);
    ReadNodes(reader, &block->nodes);
  }
  if (HashProof* const hash = Open(proof.hash, (flags & kHash) != 0)) {
    hash->tree_index = reader.Uint();
    ReadNodes(reader, &hash->nodes);
  }
  if (SeekProof* const seek = Open(proof.seek, (flags & kSeek) != 0)) {
    seek->byte_offset = reader.Uint();
    ReadNodes(reader, &seek->nodes);
  }
  if (UpgradeProof* const upgrade = Open(proof.upgrade, (flags & kUpgrade) != 0)) {
    ReadUpgrade(reader, upgrade);
  }
  if (Bytes* const manifest = Open(proof.manifest, (flags & kManifest) != 0)) {
    if (reader.remaining() > kManifestBytesMax) return Malformed("data");
    ReadBytes(reader.Rest(), manifest);
  }
  return reader.ok() ? absl::OkStatus() : Malformed("data");
}

void Encode(const NoDataMessage& message, Bytes* out) {
  Writer writer(out);
  writer.Uint(message.request_id);
  writer.Uint(If(message.reason != 0, kHasReason));
  if (message.reason != 0) writer.Uint(message.reason);
}

absl::StatusOr<NoDataMessage> DecodeNoData(ByteView body) {
  Reader reader(body);
  NoDataMessage message;
  message.request_id = reader.Uint();
  if (!reader.done() && (reader.Uint() & kHasReason) != 0)
    message.reason = reader.Uint();
  if (!reader.ok()) return Malformed("no-data");
  return message;
}

void Encode(const WantMessage& message, Bytes* out) {
  Writer writer(out);
  writer.Uint(message.start);
  writer.Uint(message.length);
  if (message.any) writer.Uint(kAny);
}

absl::StatusOr<WantMessage> DecodeWant(ByteView body) {
  Reader reader(body);
  WantMessage message;
  message.start = reader.Uint();
  message.length = reader.Uint();
  if (!reader.done()) message.any = (reader.Uint() & kAny) != 0;
  if (!reader.ok()) return Malformed("want");
  return message;
}

void Encode(const BitfieldMessage& message, Bytes* out) {
  Writer writer(out);
  writer.Uint(message.start);
  writer.Uint(message.words.size());
  for (const std::uint32_t word : message.words) writer.U32(word);
}

absl::StatusOr<BitfieldMessage> DecodeBitfield(ByteView body) {
  Reader reader(body);
  BitfieldMessage message;
  message.start = reader.Uint();
  const std::size_t count = reader.Count(sizeof(std::uint32_t));
  if (count > kBitfieldWordsMax) return Malformed("bitfield");
  message.words.reserve(count);
  for (std::size_t i = 0; i < count; ++i) message.words.push_back(reader.U32());
  if (!reader.ok()) return Malformed("bitfield");
  return message;
}

void Encode(const RangeMessage& message, Bytes* out) {
  Writer writer(out);
  writer.Uint(If(message.drop, kDrop) | If(message.length == 1, kLengthIsOne));
  writer.Uint(message.start);
  if (message.length != 1) writer.Uint(message.length);
}

absl::StatusOr<RangeMessage> DecodeRange(ByteView body) {
  Reader reader(body);
  RangeMessage message;
  const std::uint64_t flags = reader.Uint();
  message.drop = (flags & kDrop) != 0;
  message.start = reader.Uint();
  message.length = (flags & kLengthIsOne) != 0 ? 1 : reader.Uint();
  if (!reader.ok() || message.length > kUintMax - message.start) {
    return Malformed("range");
  }
  return message;
}

void Encode(const ExtensionMessage& message, Bytes* out) {
  Writer writer(out);
  writer.Buffer(AsBytes(message.name));
  writer.Raw(message.payload);
}

absl::StatusOr<ExtensionMessage> DecodeExtension(ByteView body) {
  Reader reader(body);
  ExtensionMessage message;
  message.name = AsText(reader.Buffer());
  message.payload = reader.Rest();
  if (!reader.ok()) return Malformed("extension");
  return message;
}

}  // namespace weft
