// Identities and incarnations (rule S2): who a writer is, provably.
//
// An identity is named by the key of its incarnation 0: the hash of a manifest whose
// signers all carry the namespace BLAKE2b-256("weft identity 1" salt) of the base, so
// that an identity of one base is never one of another. Block 0 of every later
// incarnation is a certificate by the identity:
//
// incarnation := identity:32 manifest:buffer number:varint
//                prev_core:32 prev_length:varint prev_tree_hash:32
//                signatures:[signer:varint signature:64]
// signable := "weft incarnation" base_id:32 number:u64 core:32
//             prev_core:32 prev_length:u64 prev_tree_hash:32
// varints are canonical, u64 little-endian; `manifest` is the identity's and hashes to
// `identity`; signatures are exactly `quorum` many, strictly ascending by signer.

#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "crdt/version.h"
#include "engine/manifest.h"
#include "engine/status.h"

namespace weft {

using Salt = FixedBytes<32, struct SaltTag>;  // the genesis salt of a base

inline constexpr std::size_t kIdentitySignersMax = 16;

// The namespace of the signers of every identity of a base.
Hash32 IdentityNamespace(const Salt& salt);

// What a device keeps: secret.
struct IdentityKeys {
  Manifest manifest;
  KeyPair pair;
  CoreKey id() const { return KeyOf(manifest); }
};

// A new identity of one signer, from fresh randomness.
IdentityKeys MakeIdentity(const Salt& salt, Random& random);

// The manifest of an identity with these signers.
Manifest IdentityManifest(const Salt& salt, std::span<const PublicKey> signers,
                          std::uint64_t quorum);

// Version 1, static in nothing: 1 to 16 distinct signers, all of the base's namespace,
// quorum between 1 and their number, no patches, prologue, links or user data.
// INVALID_ARGUMENT  names the fact
absl::Status CheckIdentityManifest(const Salt& salt, const Manifest& manifest);

struct IncarnationSignature {
  std::uint64_t signer = 0;  // index into the manifest's signers
  Signature signature;
  bool operator==(const IncarnationSignature&) const = default;
};

// The payload of block 0 of incarnation `number`.
struct Incarnation {
  CoreKey identity;
  Manifest manifest;
  std::uint64_t number = 0;  // >= 1
  CoreKey prev_core;
  std::uint64_t prev_length = 0;
  TreeHash prev_tree_hash;
  std::vector<IncarnationSignature> signatures;
  bool operator==(const Incarnation&) const = default;
};

Bytes EncodeIncarnation(const Incarnation& incarnation);
// INVALID_ARGUMENT  not the one canonical form; says where
absl::StatusOr<Incarnation> DecodeIncarnation(ByteView payload);

// What each signer signs for the incarnation with core key `core`.
Bytes IncarnationSignable(const BaseId& base_id, const CoreKey& core,
                          const Incarnation& incarnation);
// INVALID_ARGUMENT  number 0, a manifest that is not the identity's or not of this base
// DATA_LOSS         a signature does not hold
absl::Status VerifyIncarnation(const BaseId& base_id, const Salt& salt,
                               const CoreKey& core, const Incarnation& incarnation);

}  // namespace weft
