// What one peer asks of another's Merkle tree, and what comes back.
//
// Without an upgrade a proof hangs on a tree node the asker already holds; with one
// it hangs on the signature. Three index spaces meet here and keep their names:
// block_index (0, 1, 2, ...), tree_index (flat tree) and byte_offset.
// Source: the wire specification, 6.2 and part 7.

#pragma once

#include <optional>
#include <vector>

#include "engine/crypto.h"

namespace weft {

struct BlockRequest {
  std::uint64_t block_index = 0;
  // How many levels above the leaf the answer has to climb until it meets a node
  // the asker trusts.
  std::uint64_t nodes = 0;
  bool operator==(const BlockRequest&) const = default;
};

struct HashRequest {
  std::uint64_t tree_index = 0;
  std::uint64_t nodes = 0;
  bool operator==(const HashRequest&) const = default;
};

struct SeekRequest {
  std::uint64_t byte_offset = 0;
  std::uint64_t padding = 0;  // bytes of every block that do not count
  bool operator==(const SeekRequest&) const = default;
};

struct UpgradeRequest {
  std::uint64_t start = 0;   // the asker's length
  std::uint64_t length = 0;  // blocks beyond it
  bool operator==(const UpgradeRequest&) const = default;
};

struct ProofRequest {
  std::optional<BlockRequest> block = {};
  std::optional<HashRequest> hash = {};
  std::optional<SeekRequest> seek = {};
  std::optional<UpgradeRequest> upgrade = {};
  bool manifest = false;
  bool operator==(const ProofRequest&) const = default;
};

struct BlockProof {
  std::uint64_t block_index = 0;
  Bytes value;
  std::vector<TreeNode> nodes;
  // Ours, never the peer's: the hash of `value` (engine/proof_check.h).
  std::optional<TreeHash> leaf = {};
  bool operator==(const BlockProof&) const = default;
};

struct HashProof {
  std::uint64_t tree_index = 0;
  std::vector<TreeNode> nodes;
  bool operator==(const HashProof&) const = default;
};

struct SeekProof {
  std::uint64_t byte_offset = 0;
  std::vector<TreeNode> nodes;
  bool operator==(const SeekProof&) const = default;
};

struct UpgradeProof {
  std::uint64_t start = 0;
  std::uint64_t length = 0;
  std::vector<TreeNode> nodes;
  std::vector<TreeNode> additional_nodes;
  Bytes signature;  // as stored: a multisignature container, or 64 bare bytes
  // Ours, never the peer's: what the signature was verified for.
  std::optional<Hash32> verified = {};
  bool operator==(const UpgradeProof&) const = default;
};

struct Proof {
  std::uint64_t fork = 0;
  std::optional<BlockProof> block = {};
  std::optional<HashProof> hash = {};
  std::optional<SeekProof> seek = {};
  std::optional<UpgradeProof> upgrade = {};
  std::optional<Bytes> manifest = {};  // encoded
  bool operator==(const Proof&) const = default;
};

}  // namespace weft
