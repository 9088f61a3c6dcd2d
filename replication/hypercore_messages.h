// The messages of the channel of one core, protocol "hypercore/alpha".
//
// 0 sync      := flags fork length remote_length
// 1 request   := flags id fork [index nodes] [tree_index nodes] [bytes padding]
//                [start length] [priority]
// 2 cancel    := id
// 3 data      := flags id fork [index value nodes] [tree_index nodes] [bytes nodes]
//                [start length nodes additional_nodes signature] [manifest]
// 4 no-data   := id [flags [reason]]
// 5 want, 6 unwant := start length [flags]
// 7 bitfield  := start words:u32[]
// 8 range     := flags start [length]
// 9 extension := name payload
// node := tree_index size hash:32
//
// Every number is a uint of compact-encoding. Encoders append to `out`; decoders
// return INVALID_ARGUMENT for what does not decode, ignore bytes behind the last
// field, and allocate for what is really there only.
// Source: the wire specification, part 6; tests/vectors/hypercore-messages.json.

#pragma once

#include <string_view>

#include "engine/proof.h"
#include "engine/status.h"

namespace weft {

inline constexpr std::string_view kHypercoreProtocol = "hypercore/alpha";

// More nodes than any tree of 2^53 blocks needs in one list (attack 23).
inline constexpr std::size_t kProofNodesMax = 256;
inline constexpr std::size_t kManifestBytesMax = 64 * 1024;
// As many signers as such a manifest names, and the nodes of their patches. With it a
// data message around the largest block stays below kMuxBodyBytesMax.
inline constexpr std::size_t kSignatureBytesMax = 128 * 1024;
inline constexpr std::size_t kBitfieldWordsMax = 65536;
// The blocks of one want: those that such a bitfield can tell of.
inline constexpr std::uint64_t kWantBlocksMax = 32 * kBitfieldWordsMax;

enum class CoreMessage : std::uint64_t {
  kSync = 0,
  kRequest = 1,
  kCancel = 2,
  kData = 3,
  kNoData = 4,
  kWant = 5,
  kUnwant = 6,
  kBitfield = 7,
  kRange = 8,
  kExtension = 9,
};

struct SyncMessage {
  std::uint64_t fork = 0;
  std::uint64_t length = 0;
  std::uint64_t remote_length = 0;  // ours, as the sender last heard it
  bool can_upgrade = false;
  bool uploading = false;
  bool downloading = false;
  bool has_manifest = false;
  bool allow_push = false;
  bool operator==(const SyncMessage&) const = default;
};

struct RequestMessage {
  std::uint64_t id = 0;
  std::uint64_t fork = 0;
  ProofRequest parts;
  std::uint64_t priority = 0;
  bool operator==(const RequestMessage&) const = default;
};

struct DataMessage {
  std::uint64_t request_id = 0;
  Proof proof;
  bool operator==(const DataMessage&) const = default;
};

enum class NoDataReason : std::uint64_t { kNone = 0, kNotAvailable = 1, kInvalid = 2 };

struct NoDataMessage {
  std::uint64_t request_id = 0;
  std::uint64_t reason = 0;
};

struct WantMessage {
  std::uint64_t start = 0;
  std::uint64_t length = 0;
  bool any = false;
};

struct BitfieldMessage {
  std::uint64_t start = 0;
  std::vector<std::uint32_t> words;
};

struct RangeMessage {
  bool drop = false;
  std::uint64_t start = 0;
  std::uint64_t length = 0;
};

struct ExtensionMessage {
  std::string_view name;  // empty: the same as the message before
  ByteView payload;
};

// The tail of an open: what proves that we know the core's key, bound to this
// connection and to our role in it.
struct CoreHandshake {
  bool seeks = false;
  Hash32 capability;
};
Hash32 Capability(const Hash64& handshake_hash, bool sender_is_initiator,
                  const CoreKey& key);
void Encode(const CoreHandshake& handshake, Bytes* out);
absl::StatusOr<CoreHandshake> DecodeCoreHandshake(ByteView body);

void Encode(const SyncMessage& message, Bytes* out);
void Encode(const RequestMessage& message, Bytes* out);
void EncodeCancel(std::uint64_t request_id, Bytes* out);
void EncodeData(std::uint64_t request_id, std::uint64_t fork, const Proof& proof,
                Bytes* out);
void Encode(const NoDataMessage& message, Bytes* out);
void Encode(const WantMessage& message, Bytes* out);
void Encode(const BitfieldMessage& message, Bytes* out);
void Encode(const RangeMessage& message, Bytes* out);
void Encode(const ExtensionMessage& message, Bytes* out);

// INVALID_ARGUMENT, all of them: malformed, or beyond a limit above
absl::StatusOr<SyncMessage> DecodeSync(ByteView body);
absl::StatusOr<RequestMessage> DecodeRequest(ByteView body);
absl::StatusOr<std::uint64_t> DecodeCancel(ByteView body);
absl::StatusOr<DataMessage> DecodeData(ByteView body);
// Only the id of the request that a data message answers.
absl::StatusOr<std::uint64_t> DecodeDataId(ByteView body);
// As DecodeData, in memory that is used again; after an error it holds anything.
absl::Status DecodeDataInto(ByteView body, DataMessage* message);
absl::StatusOr<NoDataMessage> DecodeNoData(ByteView body);
absl::StatusOr<WantMessage> DecodeWant(ByteView body);
absl::StatusOr<BitfieldMessage> DecodeBitfield(ByteView body);
absl::StatusOr<RangeMessage> DecodeRange(ByteView body);
absl::StatusOr<ExtensionMessage> DecodeExtension(ByteView body);

}  // namespace weft
