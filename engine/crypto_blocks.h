// Encrypted blocks, as Node's hypercore stores them: end to end above the tree, so that
// the stored bytes are what is hashed, signed and sent, and a mirror needs no key.
//
// stored block := padding:8 ciphertext
// The padding is the fork, hidden; with the block's index it makes the nonce. There is
// no tag: the tree authenticates. Every function is pure.
// Source: the wire specification, part 11; tests/vectors/encryption.json.

#pragma once

#include <optional>

#include "engine/crypto.h"

namespace weft {

inline constexpr std::size_t kBlockPaddingBytes = 8;

// The key of a core's blocks from the key that its readers share.
Hash32 BlockKey(const CoreKey& core, const Hash32& encryption_key, bool compat = false);

class BlockCipher {
 public:
  explicit BlockCipher(const Hash32& block_key);
  ~BlockCipher();

  const Hash32& blinding_key() const { return blinding_key_; }

  Bytes Seal(std::uint64_t block_index, std::uint64_t fork, ByteView plaintext) const;
  // The fork that a stored block was written in; nullopt if it is shorter than the
  // padding. Under a wrong key: any number.
  std::optional<std::uint64_t> ForkOf(std::uint64_t block_index, ByteView stored) const;
  // nullopt if it is shorter than the padding.
  std::optional<Bytes> Open(std::uint64_t block_index, ByteView stored) const;

 private:
  Hash32 block_key_;
  Hash32 blinding_key_;
};

}  // namespace weft
