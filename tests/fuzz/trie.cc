// Nodes and proofs of the trie from a peer: what decodes is canonical, so it is written
// back byte for byte; any proof is safe to check. The first byte chooses.

#include "engine/check.h"
#include "engine/trie_proof.h"

namespace {

void Branch(weft::ByteView bytes) {
  const auto branch = weft::DecodeTrieBranch(bytes);
  if (!branch.ok()) return;
  WEFT_CHECK(weft::Equal(weft::EncodeTrieBranch(*branch), bytes));
}

void Leaf(weft::ByteView bytes) {
  const auto leaf = weft::DecodeTrieLeaf(bytes);
  if (!leaf.ok()) return;
  WEFT_CHECK(weft::Equal(weft::EncodeTrieLeaf(leaf->key, leaf->lanes), bytes));
}

void Proof(weft::ByteView bytes) {
  const auto proof = weft::DecodeTrieProof(bytes);
  if (!proof.ok()) return;
  const weft::Bytes key = weft::ToBytes("key");
  const auto checked = weft::CheckTrieProof(weft::EmptyTrieRoot(), key, *proof);
  WEFT_CHECK(!checked.ok() || !checked->has_value());  // nothing is in an empty trie
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const weft::ByteView bytes(data + 1, size - 1);
  switch (data[0] % 3) {
    case 0:
      Branch(bytes);
      break;
    case 1:
      Leaf(bytes);
      break;
    default:
      Proof(bytes);
      break;
  }
  return 0;
}
