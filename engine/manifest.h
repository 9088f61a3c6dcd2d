// A manifest says who may sign a core, and the core's key is the hash of it.
//
// version 1..3 := version:uint flags:uint hash:uint quorum:uint signer[] extras
// signer := type:uint namespace:32 public_key:32
// A compat core has no manifest on the wire: its key is its signer's public key.
// Source: the wire specification, 3.3 to 3.5; tests/vectors/keys.json, signatures.json.

#pragma once

#include <optional>
#include <vector>

#include "engine/crypto.h"
#include "engine/status.h"

namespace weft {

struct Signer {
  Hash32 name_space;
  PublicKey public_key;
  bool operator==(const Signer&) const = default;
};

struct Prologue {
  TreeHash tree_hash;
  std::uint64_t length = 0;
  bool operator==(const Prologue&) const = default;
};

struct Manifest {
  std::uint64_t version = 1;
  // Version 0 has three layouts (static, single, many); 1 to 3 have one.
  std::uint64_t type = 0;
  bool allow_patch = false;
  std::uint64_t quorum = 1;
  std::vector<Signer> signers;
  std::optional<Prologue> prologue;
  std::optional<std::vector<CoreKey>> linked;
  std::optional<Bytes> user_data;
  // Set by CompatManifest only: the key is the public key and nothing is encoded.
  bool compat = false;
  bool operator==(const Manifest&) const = default;
};

// The namespace of every core made without another one: wire specification, 3.1.
const Hash32& DefaultNamespace();

// One signer, version 1, quorum 1, no patches: what Node makes by default.
Manifest SingleSigner(const PublicKey& key,
                      const Hash32& name_space = DefaultNamespace());
Manifest CompatManifest(const CoreKey& key);

Bytes EncodeManifest(const Manifest& manifest);
// INVALID_ARGUMENT  not a manifest, or of a version above 3
absl::StatusOr<Manifest> DecodeManifest(ByteView bytes);
CoreKey KeyOf(const Manifest& manifest);

// The bytes a signer signs for a tree. `key` is the core's.
Bytes TreeSignable(const Manifest& manifest, const CoreKey& key, const TreeHash& tree,
                   std::uint64_t length, std::uint64_t fork);

// The signature of a core with one signer, as stored and sent.
Bytes SignTree(const Manifest& manifest, const CoreKey& key, const SecretKey& secret,
               const TreeHash& tree, std::uint64_t length, std::uint64_t fork);

// True if `signature` is valid for the roots under the manifest, prologue, quorum and
// patches included.
bool VerifyTree(const Manifest& manifest, const CoreKey& key,
                std::span<const TreeNode> roots, std::uint64_t length,
                std::uint64_t fork, ByteView signature);

}  // namespace weft
