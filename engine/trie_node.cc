#include "engine/trie_node.h"

#include <bit>

#include "engine/check.h"

namespace weft {
namespace {

constexpr std::uint8_t kEmptyKind = 0;
constexpr std::uint8_t kBranchKind = 1;
constexpr std::uint8_t kItemKind = 2;
constexpr std::uint8_t kLeafKind = 3;

Bytes EncodeKeyed(std::uint8_t kind, ByteView key, ByteView rest) {
  Bytes bytes;
  bytes.reserve(1 + Writer::UintSize(key.size()) + key.size() + rest.size());
  Writer writer(&bytes);
  writer.U8(kind);
  writer.Buffer(key);
  writer.Raw(rest);
  return bytes;
}

}  // namespace

std::size_t CommonPrefix(NibbleView a, NibbleView b) {
  const std::size_t limit = std::min(a.size(), b.size());
  std::size_t i = 0;
  while (i < limit && a[i] == b[i]) ++i;
  return i;
}

bool Equal(NibbleView a, NibbleView b) {
  return a.size() == b.size() && CommonPrefix(a, b) == a.size();
}

void NibblePath::Append(NibbleView view) {
  packed_.reserve((count_ + view.size() + 1) / 2);
  for (std::size_t i = 0; i < view.size(); ++i) Append(view[i]);
}

void NibblePath::Append(std::uint8_t nibble) {
  if (count_ % 2 == 0) {
    packed_.push_back(static_cast<char>(nibble << 4));
  } else {
    packed_.back() = static_cast<char>(packed_.back() | nibble);
  }
  ++count_;
}

void NibblePath::Truncate(std::size_t count) {
  WEFT_CHECK(count <= count_);
  count_ = static_cast<std::uint32_t>(count);
  packed_.resize((count + 1) / 2);
  if (count % 2 != 0) packed_.back() = static_cast<char>(packed_.back() & 0xf0);
}

const Hash32& TrieBranch::Child(std::uint8_t nibble) const {
  WEFT_CHECK(HasChild(nibble));
  const unsigned below = child_map & ((1U << nibble) - 1);
  return children[static_cast<std::size_t>(std::popcount(below))];
}

void WriteNibbles(Bytes* out, NibbleView path) {
  Writer writer(out);
  writer.Uint(path.size());
  for (std::size_t i = 0; i < path.size(); i += 2) {
    const std::uint8_t low = i + 1 < path.size() ? path[i + 1] : 0;
    writer.U8(static_cast<std::uint8_t>(path[i] << 4 | low));
  }
}

NibblePath ReadNibbles(Reader& reader) {
  const std::uint64_t count = reader.CanonicalUint();
  NibblePath path;
  if (count > 2 * reader.remaining()) {
    reader.Fail();
    return path;
  }
  const ByteView packed = reader.Raw(static_cast<std::size_t>((count + 1) / 2));
  if (!reader.ok()) return path;
  path.Append(NibbleView(packed.data(), static_cast<std::size_t>(count)));
  if (!Equal(path.packed(), packed)) reader.Fail();  // a last nibble that is not zero
  return path;
}

void WriteTrieValue(Bytes* out, const std::optional<Hash32>& value) {
  out->push_back(value ? 1 : 0);
  if (value) Append(*out, value->view());
}

std::optional<Hash32> ReadTrieValue(Reader& reader) {
  const std::uint8_t present = reader.U8();
  if (present > 1) reader.Fail();
  if (present != 1) return std::nullopt;
  return reader.Fixed<Hash32>();
}

void WriteTrieBranchHead(Bytes* out, NibbleView path,
                         const std::optional<Hash32>& value, std::uint16_t child_map) {
  out->push_back(kBranchKind);
  WriteNibbles(out, path);
  WriteTrieValue(out, value);
  Writer(out).U16(child_map);
}

Bytes EncodeTrieBranch(const TrieBranch& branch) {
  Bytes bytes;
  WriteTrieBranchHead(&bytes, branch.path.view(), branch.value, branch.child_map);
  for (const Hash32& child : branch.children) Append(bytes, child.view());
  return bytes;
}

absl::StatusOr<TrieBranch> DecodeTrieBranch(ByteView bytes) {
  Reader reader(bytes);
  TrieBranch branch;
  if (reader.U8() != kBranchKind) reader.Fail();
  branch.path = ReadNibbles(reader);
  branch.value = ReadTrieValue(reader);
  branch.child_map = reader.U16();
  const auto child_count = static_cast<std::size_t>(std::popcount(branch.child_map));
  if (reader.remaining() != child_count * Hash32::kSize) reader.Fail();
  if (child_count + (branch.value ? 1 : 0) < 2) reader.Fail();
  if (!reader.ok()) {
    return absl::InvalidArgumentError("trie branch: not in canonical form");
  }
  for (std::size_t i = 0; i < child_count; ++i) {
    branch.children.push_back(reader.Fixed<Hash32>());
  }
  return branch;
}

Bytes EncodeTrieLeaf(ByteView key, ByteView lanes) {
  return EncodeKeyed(kLeafKind, key, lanes);
}

absl::StatusOr<TrieLeaf> DecodeTrieLeaf(ByteView bytes) {
  Reader reader(bytes);
  TrieLeaf leaf;
  if (reader.U8() != kLeafKind) reader.Fail();
  const std::uint64_t size = reader.CanonicalUint();
  if (size > reader.remaining()) reader.Fail();
  if (reader.ok()) {
    leaf.key = reader.Raw(static_cast<std::size_t>(size));
    leaf.lanes = reader.Rest();
  }
  if (!reader.ok())
    return absl::InvalidArgumentError("trie leaf: not in canonical form");
  return leaf;
}

Hash32 EmptyTrieRoot() {
  static const Hash32 root = Blake2b256(ByteView(&kEmptyKind, 1));
  return root;
}

Hash32 TrieLeafHash(ByteView key, ByteView lanes) {
  return Blake2b256(EncodeKeyed(kLeafKind, key, lanes));
}

Hash32 NestedItemHash(ByteView key, ByteView state) {
  return Blake2b256(EncodeKeyed(kItemKind, key, state));
}

}  // namespace weft
