// Auth operations: what a block of kind 2 says, as plain values (rule 6.2).
//
// The payload is one columnar FlatBuffer (AuthPayload in operation.fbs); which op takes
// what from which column stands in docs/formats.md. All numbers are fixed. Types
// without a grammar, and a grant to an indexer, park (rule S8).

#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <variant>
#include <vector>

#include "crdt/dot.h"
#include "crdt/limits.h"
#include "engine/status.h"

namespace weft {

// Roles in order of power. The numbers are part of the format; a founder is made by a
// genesis alone.
enum class GrantRole : std::uint8_t {
  kReader = 0,
  kModerated = 1,
  kWriter = 2,
  kModerator = 3,
  kAdmin = 4,
  kFounder = 5,
};

enum class AuthOpType : std::uint8_t {
  kGrant = 1,
  kRevoke = 2,
  kInvite = 3,
  kRedeem = 4,
  kAccept = 5,
  kReject = 6,
  kHide = 7,
  kUnhide = 8,
  kAdmit = 9,
  kRedact = 10,  // 10 and above have no grammar yet
  kBan = 11,
  kUnban = 12,
  kRotate = 13,
  kAdopt = 14,
  kSetPolicy = 15,
  kCheckpoint = 16,
};

// Below, `named` is no part of the op: DecodeBlock fills in how many blocks of the log
// that the op speaks of are named by the block that holds the op, or by an earlier one
// of its log (6.2). Of its own log: its own position, and all that its batch will hold
// counts as named besides. All views are borrowed, from the Payload that decoded them
// or from the caller who is about to encode them.

struct GrantOp {
  CoreKey identity;
  GrantRole role = GrantRole::kReader;
  ByteView scope;  // a key prefix
  bool may_delegate = false;
  std::uint32_t forks = 0;  // how many forked incarnations its author knew (rule F5)
};

// A log, and how many of its blocks stay effective.
struct KeptLength {
  CoreKey log;
  std::uint64_t length = 0;  // blocks
  bool operator==(const KeptLength&) const = default;
};

// An author signs no longer reason; of a longer one that somebody signed all the same
// this much is shown.
inline constexpr std::size_t kReasonBytesMax = 200;

struct RevokeOp {
  OpId grant;  // or an invite; of a grant made by redemption: any redemption of it
  std::vector<KeptLength> keep;  // a log that is not listed keeps nothing
  bool subtree = false;          // all grants below it too
  ByteView reason;
  std::uint64_t named = 0;
};

struct InviteOp {
  PublicKey key;  // its secret stands in the link
  GrantRole role = GrantRole::kWriter;
  ByteView scope;
  std::uint64_t uses = 1;  // identities that may redeem it, >= 1
};

struct RedeemOp {
  OpId invite;
  CoreKey identity;
  Signature signature;  // by the invite key over RedeemSignable
  std::uint64_t named = 0;
};

// accept, reject and admit: whole batches in [from, to) of a log, whose tree hash at
// length `to` is `tree_hash`.
struct VerdictOp {
  AuthOpType type = AuthOpType::kAccept;
  CoreKey log;
  std::uint64_t from = 0;
  std::uint64_t to = 0;  // > from
  TreeHash tree_hash;
  std::uint64_t named = 0;
};

// hide and unhide: the ops named, or if there are none, those in [from, to) of `log`
// on keys that begin with `prefix`.
struct HideOp {
  bool hide = true;
  std::vector<OpId> ops;
  CoreKey log;
  std::uint64_t from = 0;
  std::uint64_t to = 0;  // > from
  ByteView prefix;
  std::uint64_t named = 0;               // of `log`
  std::vector<std::uint64_t> ops_named;  // beside `ops`
};

using AuthOperation =
    std::variant<GrantOp, RevokeOp, InviteOp, RedeemOp, VerdictOp, HideOp>;

AuthOpType TypeOf(const AuthOperation& operation);

// What the invite key signs for the identity that redeems.
Bytes RedeemSignable(ByteView base_id, const CoreKey& identity);

// What an author may sign.  INVALID_ARGUMENT  names the fact
absl::Status CheckOperation(const AuthOperation& operation, const Limits& limits);

// A payload takes at most kPayloadBytesFixed and the sum over its operations.
std::size_t EncodedSizeMax(const AuthOperation& operation);

// The operations must pass CheckOperation and not be too many for a block. Decoding
// gives them back; the bytes are not canonical.
Bytes EncodePayload(std::span<const AuthOperation> operations);

}  // namespace weft
