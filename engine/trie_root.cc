#include "engine/trie_root.h"

#include "engine/check.h"

namespace weft {
namespace {

// The hash of what hangs below the first `depth` nibbles, which all items share.
Hash32 RootBelow(std::span<const TrieItem> items, std::size_t depth) {
  if (items.size() == 1) return items.front().leaf;
  const NibbleView first(items.front().key);
  // In byte order, what the first and the last share is shared by all.
  const std::size_t fork = CommonPrefix(first, NibbleView(items.back().key));
  std::optional<Hash32> value;
  auto rest = items;
  if (first.size() == fork) {
    value = items.front().leaf;
    rest = rest.subspan(1);
  }
  std::uint16_t child_map = 0;
  std::array<Hash32, 16> children;
  std::size_t child_count = 0;
  while (!rest.empty()) {
    const std::uint8_t nibble = NibbleView(rest.front().key)[fork];
    std::size_t count = 1;
    while (count < rest.size() && NibbleView(rest[count].key)[fork] == nibble) ++count;
    child_map = static_cast<std::uint16_t>(child_map | 1U << nibble);
    children[child_count++] = RootBelow(rest.first(count), fork + 1);
    rest = rest.subspan(count);
  }
  Bytes bytes;
  bytes.reserve(40 + first.size() / 2 + child_count * Hash32::kSize);
  WriteTrieBranchHead(&bytes, first.First(fork).From(depth), value, child_map);
  for (std::size_t i = 0; i < child_count; ++i) Append(bytes, children[i].view());
  return Blake2b256(bytes);
}

}  // namespace

Hash32 TrieRoot(std::span<const TrieItem> items) {
  for (std::size_t i = 1; i < items.size(); ++i) {
    WEFT_CHECK(Compare(items[i - 1].key, items[i].key) < 0);
  }
  return items.empty() ? EmptyTrieRoot() : RootBelow(items, 0);
}

}  // namespace weft
