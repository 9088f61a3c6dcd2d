// The feeds of one base as a peer compares them: core key -> settled length (rule C1),
// and the canonical trie over that map.
//
// leaf := BLAKE2b-256(03 || core || settled:u64)            settled is little-endian
// Two peers with the same map have the same root, and walk from it to what differs.
// A change costs one path of the trie, not the whole of it.

#pragma once

#include "absl/container/btree_map.h"
#include "engine/trie.h"
#include "engine/trie_proof.h"
#include "replication/feed_messages.h"

namespace weft {

Hash32 FeedLeafHash(const CoreKey& core, std::uint64_t settled);

// The first `path.size()` nibbles of the key are `path`; a path is at most 64 long.
bool HasPrefix(const CoreKey& key, const TriePath& path);

// The entries of an ordered map whose keys begin with `path`, in key order, until
// `visit(key, value)` returns false.
template <class Map, class Visit>
void VisitUnder(const Map& map, const TriePath& path, Visit visit) {
  CoreKey first;
  for (std::size_t i = 0; i < path.size(); ++i) {
    first.bytes[i / 2] |=
        static_cast<std::uint8_t>(i % 2 == 0 ? path[i] << 4 : path[i]);
  }
  for (auto at = map.lower_bound(first); at != map.end(); ++at) {
    if (!HasPrefix(at->first, path) || !visit(at->first, at->second)) return;
  }
}

// Not thread-safe.
class FeedMap {
 public:
  // A length of 0 takes the feed out. True if that changed anything.
  bool Set(const CoreKey& core, std::uint64_t settled);
  // 0 if it is not in the map.
  std::uint64_t settled(const CoreKey& core) const;
  const absl::btree_map<CoreKey, std::uint64_t>& heads() const { return heads_; }
  std::size_t size() const { return heads_.size(); }
  Hash32 Root();

  // What the trie has at exactly this place, with the path of a branch counted from
  // there, so that its hash is the one in the slot of a branch right above it.
  TrieSlot SlotAt(const TriePath& way);

 private:
  absl::btree_map<CoreKey, std::uint64_t> heads_;
  Trie trie_;  // in memory: its calls cannot fail
};

}  // namespace weft
