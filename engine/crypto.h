// Keys, hashes and signatures: everything a log is made of, by type.
//
// BLAKE2b is used in three ways that must not be mixed: unkeyed with a domain byte
// or namespace in the message (leaf, parent, tree, manifest), keyed (discovery key,
// capability, key derivation) and inside HMAC (Noise, engine/crypto_stream.h).
// A core's key is not its signer's public key but a hash over its manifest
// (engine/manifest.h). Source: the wire specification, 2.2 and part 3.
// Every function here is pure and may be called from any thread, except where
// `random` is named.

#pragma once

#include <initializer_list>
#include <span>

#include "engine/bytes.h"
#include "engine/host.h"

namespace weft {

using PublicKey = FixedBytes<32, struct PublicKeyTag>;        // an Ed25519 point
using CoreKey = FixedBytes<32, struct CoreKeyTag>;            // names a hypercore
using DiscoveryKey = FixedBytes<32, struct DiscoveryKeyTag>;  // names it in public
using TreeHash = FixedBytes<32, struct TreeHashTag>;          // a node or a whole tree
using Hash32 = FixedBytes<32, struct Hash32Tag>;              // any other BLAKE2b-256
using Hash64 = FixedBytes<64, struct Hash64Tag>;              // any BLAKE2b-512
using Seed = FixedBytes<32, struct SeedTag>;                  // secret
using SecretKey = FixedBytes<64, struct SecretKeyTag>;        // seed and public key
using Signature = FixedBytes<64, struct SignatureTag>;

struct KeyPair {
  PublicKey public_key;
  SecretKey secret_key;
};

// A node of the Merkle tree: `tree_index` is its flat-tree number, `size` the bytes
// of the blocks below it.
struct TreeNode {
  std::uint64_t tree_index = 0;
  std::uint64_t size = 0;
  TreeHash hash;
  bool operator==(const TreeNode&) const = default;
};

Hash32 Blake2b256(ByteView message);
Hash32 Blake2b256(std::initializer_list<ByteView> parts);
// `key` is 1 to 64 bytes.
Hash32 KeyedBlake2b256(ByteView key, std::initializer_list<ByteView> parts);
Hash64 Blake2b512(std::initializer_list<ByteView> parts);

TreeHash LeafHash(ByteView block);
// The parent of two siblings; `left` has the lower tree index. The sum of the sizes
// must not overflow, which the caller has checked.
TreeHash ParentHash(const TreeNode& left, const TreeNode& right);
TreeHash RootsHash(std::span<const TreeNode> roots);

DiscoveryKey DiscoveryKeyOf(const CoreKey& key);

KeyPair KeyPairFromSeed(const Seed& seed);
Seed RandomSeed(Random& random);
Signature Sign(const SecretKey& key, ByteView message);
// False also for a non-canonical S and for a non-canonical or small-order A or R,
// all of which are refused before the library is asked (rule S6).
bool Verify(const PublicKey& key, ByteView message, const Signature& signature);

// Fills `out` from the operating system's generator. Only engine/real_host.cc calls
// it: everything else takes its randomness from a Random it was given.
void FillFromSystem(std::span<std::uint8_t> out);

// Overwrites secrets in a way that the compiler keeps.
void Wipe(std::span<std::uint8_t> secret);

}  // namespace weft
