// The root of the canonical Merkle trie over items that are at hand and in order,
// without making a Trie: for lanes whose state is too long to stand in a leaf, and as
// the plainest statement of what a Trie computes.

#pragma once

#include "engine/trie_node.h"

namespace weft {

struct TrieItem {
  ByteView key;
  Hash32 leaf;
};

// `items` in byte order of their keys, each key once. Pure; takes memory in proportion
// to the longest key only.
Hash32 TrieRoot(std::span<const TrieItem> items);

}  // namespace weft
