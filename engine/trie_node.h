// The nodes of the canonical Merkle trie: their bytes and their hashes.
//
//   empty  := 00
//   branch := 01 path value child_map:u16 child:hash32*
//   path   := count:uint nibble*        two nibbles a byte, the first one high, and a
//                                       zero nibble at the end if the count is odd
//   value  := 00 | 01 leaf:hash32       the key that ends at this branch
//   item   := 02 key:buffer state:byte* an item of a nested lane
//   leaf   := 03 key:buffer lanes:byte*
//
// uint and buffer as in engine/codec.h, shortest form only; u16 is little-endian. A
// hash is BLAKE2b-256 over the bytes of a node. A key is its nibbles, the high one of
// each byte first. `path` is what all keys below share after the nibble that led here
// (after nothing, at the root). Bit n of child_map says that there is a child at
// nibble n; their hashes follow in the order of the nibbles. A branch has at least
// one child, and at least two of children and value, so that a set of keys has one
// form only. A child is the hash of a branch or, if one key alone lies there, of its
// leaf. The root is the hash of the topmost branch, of the only leaf, or of `empty`.
// Source: rules V1 and V2.

#pragma once

#include <optional>
#include <span>
#include <string>

#include "engine/codec.h"
#include "engine/crypto.h"
#include "engine/status.h"

namespace weft {

// A sequence of nibbles that borrows its bytes; the first nibble is a high one or a
// low one.
class NibbleView {
 public:
  NibbleView() = default;
  explicit NibbleView(ByteView key) : data_(key.data()), end_(key.size() * 2) {}
  // `count` nibbles of `packed`.
  NibbleView(const std::uint8_t* packed, std::size_t count)
      : data_(packed), end_(count) {}

  std::size_t size() const { return end_ - begin_; }
  bool empty() const { return begin_ == end_; }
  std::uint8_t operator[](std::size_t i) const {
    const std::uint8_t byte = data_[(begin_ + i) / 2];
    return (begin_ + i) % 2 == 0 ? byte >> 4 : byte & 15;
  }
  NibbleView From(std::size_t first) const { return {data_, begin_ + first, end_}; }
  NibbleView First(std::size_t count) const { return {data_, begin_, begin_ + count}; }

 private:
  NibbleView(const std::uint8_t* data, std::size_t begin, std::size_t end)
      : data_(data), begin_(begin), end_(end) {}

  const std::uint8_t* data_ = nullptr;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

// How many nibbles at the front are equal.
std::size_t CommonPrefix(NibbleView a, NibbleView b);
bool Equal(NibbleView a, NibbleView b);

// Owned nibbles, packed as in `path`.
class NibblePath {
 public:
  NibblePath() = default;
  explicit NibblePath(NibbleView view) { Append(view); }

  void Append(NibbleView view);
  void Append(std::uint8_t nibble);
  void Truncate(std::size_t count);
  NibbleView view() const { return {packed().data(), count_}; }
  ByteView packed() const { return AsBytes(packed_); }
  std::size_t size() const { return count_; }
  bool operator==(const NibblePath&) const = default;

 private:
  std::string packed_;  // short paths, the common ones, need no heap
  std::uint32_t count_ = 0;
};

struct TrieBranch {
  NibblePath path;
  std::optional<Hash32> value;
  std::uint16_t child_map = 0;
  std::vector<Hash32> children;  // as many as child_map has bits
  bool operator==(const TrieBranch&) const = default;

  bool HasChild(std::uint8_t nibble) const { return (child_map >> nibble & 1) != 0; }
  // HasChild(nibble) must hold.
  const Hash32& Child(std::uint8_t nibble) const;
};

Bytes EncodeTrieBranch(const TrieBranch& branch);
// INVALID_ARGUMENT  not the canonical bytes of a branch
absl::StatusOr<TrieBranch> DecodeTrieBranch(ByteView bytes);

struct TrieLeaf {
  ByteView key;  // both borrowed
  ByteView lanes;
};

Bytes EncodeTrieLeaf(ByteView key, ByteView lanes);
// INVALID_ARGUMENT  not the bytes of a leaf. The views borrow from `bytes`.
absl::StatusOr<TrieLeaf> DecodeTrieLeaf(ByteView bytes);

Hash32 EmptyTrieRoot();
Hash32 TrieLeafHash(ByteView key, ByteView lanes);
// An item of a lane whose state is replaced by the root over its items (V1): another
// domain than a leaf's, so that neither can ever pass for the other.
Hash32 NestedItemHash(ByteView key, ByteView state);

// Appends the pieces that branches, and what is stored of them, are made of.
void WriteNibbles(Bytes* out, NibbleView path);
void WriteTrieValue(Bytes* out, const std::optional<Hash32>& value);
// A branch up to its child_map; the hashes of the children follow.
void WriteTrieBranchHead(Bytes* out, NibbleView path,
                         const std::optional<Hash32>& value, std::uint16_t child_map);
// The reader has failed afterwards if the bytes are not the canonical ones.
NibblePath ReadNibbles(Reader& reader);
std::optional<Hash32> ReadTrieValue(Reader& reader);

}  // namespace weft
