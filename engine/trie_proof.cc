#include "engine/trie_proof.h"

#include "engine/text.h"

namespace weft {
namespace {

absl::Status Unproven(std::string_view why) {
  return absl::DataLossError(ToAbsl(why));
}

// Where the way of a key ends in the branches of a proof: at a slot that must hold
// `leaf`, or (no leaf) at a place where nothing hangs.
struct WayEnd {
  std::optional<Hash32> leaf;
  bool whole_key = false;  // the slot is the value of a branch
  std::size_t depth = 0;   // nibbles of the key that lead here
};

absl::StatusOr<WayEnd> Follow(const Hash32& root, NibbleView key,
                              std::span<const Bytes> branches) {
  WayEnd end;
  end.leaf = root;
  std::size_t& depth = end.depth;
  for (std::size_t i = 0; i < branches.size(); ++i) {
    if (!end.leaf || end.whole_key)
      return Unproven("trie proof: more branches than way");
    if (Blake2b256(branches[i]) != *end.leaf) {
      return Unproven("trie proof: a branch is not the one named above it");
    }
    const auto branch = DecodeTrieBranch(branches[i]);
    if (!branch.ok()) return Unproven("trie proof: a branch is malformed");
    const std::size_t shared = CommonPrefix(branch->path.view(), key.From(depth));
    depth += shared;
    if (shared != branch->path.size()) {
      end.leaf = std::nullopt;
    } else if (depth == key.size()) {
      end.leaf = branch->value;
      end.whole_key = true;
    } else if (branch->HasChild(key[depth])) {
      end.leaf = branch->Child(key[depth++]);
    } else {
      end.leaf = std::nullopt;
    }
  }
  return end;
}

}  // namespace

absl::StatusOr<std::optional<Bytes>> CheckTrieProof(const Hash32& root, ByteView key,
                                                    const TrieProof& proof) {
  if (root == EmptyTrieRoot()) {
    if (!proof.branches.empty() || proof.leaf) {
      return Unproven("trie proof: there is nothing in an empty trie");
    }
    return std::nullopt;
  }
  WEFT_ASSIGN_OR_RETURN(const WayEnd end,
                        Follow(root, NibbleView(key), proof.branches));
  if (!end.leaf) {
    if (proof.leaf) return Unproven("trie proof: a leaf where nothing hangs");
    return std::nullopt;
  }
  if (!proof.leaf) return Unproven("trie proof: the way goes on");
  if (Blake2b256(*proof.leaf) != *end.leaf) {
    return Unproven("trie proof: the leaf is not the one named above it");
  }
  const auto leaf = DecodeTrieLeaf(*proof.leaf);
  if (!leaf.ok()) return Unproven("trie proof: the leaf is malformed");
  if (Equal(leaf->key, key)) return ToBytes(leaf->lanes);
  if (end.whole_key ||
      CommonPrefix(NibbleView(leaf->key), NibbleView(key)) < end.depth) {
    return Unproven("trie proof: a leaf that does not belong on this way");
  }
  return std::nullopt;
}

Bytes EncodeTrieProof(const TrieProof& proof) {
  Bytes bytes;
  Writer writer(&bytes);
  writer.Uint(proof.branches.size());
  for (const Bytes& branch : proof.branches) writer.Buffer(branch);
  writer.U8(proof.leaf ? 1 : 0);
  if (proof.leaf) writer.Buffer(*proof.leaf);
  return bytes;
}

absl::StatusOr<TrieProof> DecodeTrieProof(ByteView bytes) {
  Reader reader(bytes);
  TrieProof proof;
  const std::size_t count = reader.Count(1);
  for (std::size_t i = 0; i < count && reader.ok(); ++i) {
    proof.branches.push_back(ToBytes(reader.Buffer()));
  }
  const std::uint8_t has_leaf = reader.U8();
  if (has_leaf > 1) reader.Fail();
  if (has_leaf == 1) proof.leaf = ToBytes(reader.Buffer());
  if (!reader.ok() || !reader.done()) {
    return absl::InvalidArgumentError("trie proof: malformed");
  }
  return proof;
}

}  // namespace weft
