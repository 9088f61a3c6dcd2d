#include "replication/feed_map.h"

#include "engine/check.h"

namespace weft {
namespace {

NibblePath Packed(const TriePath& way) {
  NibblePath packed;
  for (const std::uint8_t nibble : way) packed.Append(nibble);
  return packed;
}

}  // namespace

Hash32 FeedLeafHash(const CoreKey& core, std::uint64_t settled) {
  static constexpr std::array<std::uint8_t, 1> kLeaf = {3};
  std::array<std::uint8_t, 8> length;
  for (std::size_t i = 0; i < length.size(); ++i) {
    length[i] = static_cast<std::uint8_t>(settled >> (8 * i));
  }
  return Blake2b256({kLeaf, core.view(), length});
}

bool HasPrefix(const CoreKey& key, const TriePath& path) {
  const NibbleView nibbles(key.view());
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (nibbles[i] != path[i]) return false;
  }
  return true;
}

bool FeedMap::Set(const CoreKey& core, std::uint64_t settled) {
  if (settled == 0) {
    if (heads_.erase(core) == 0) return false;
    WEFT_CHECK(trie_.Erase(core.view()).ok());
    return true;
  }
  const auto [entry, added] = heads_.try_emplace(core, settled);
  if (!added && entry->second == settled) return false;
  entry->second = settled;
  WEFT_CHECK(trie_.Set(core.view(), FeedLeafHash(core, settled)).ok());
  return true;
}

std::uint64_t FeedMap::settled(const CoreKey& core) const {
  const auto found = heads_.find(core);
  return found == heads_.end() ? 0 : found->second;
}

Hash32 FeedMap::Root() {
  return trie_.Root();
}

TrieSlot FeedMap::SlotAt(const TriePath& way) {
  const NibblePath packed = Packed(way);
  absl::StatusOr<TrieSlot> slot = trie_.SlotAt(packed.view());
  WEFT_CHECK(slot.ok());
  if (slot->kind != TrieSlot::Kind::kBranch) return *std::move(slot);
  // The edge may have begun above `way`.
  NibblePath rest(slot->way.view().From(way.size()));
  if (rest != slot->branch.path) {
    slot->branch.path = std::move(rest);
    slot->hash = Blake2b256(EncodeTrieBranch(slot->branch));
  }
  return *std::move(slot);
}

}  // namespace weft
