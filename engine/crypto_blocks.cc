#include "engine/crypto_blocks.h"

#include <sodium.h>

#include "engine/namespace.h"

namespace weft {
namespace {

using Nonce = std::array<std::uint8_t, crypto_stream_NONCEBYTES>;

const Hash32& EncryptionNamespace() {
  static const Hash32 value = NamespaceOf("hypercore", 5);
  return value;
}

void PutU64(std::uint8_t* out, std::uint64_t value) {
  for (int i = 0; i < 8; ++i) out[i] = static_cast<std::uint8_t>(value >> (8 * i));
}

// The library wants pointers even to nothing, and an empty block has none.
void Xor(ByteView in, const Nonce& nonce, const Hash32& key, std::uint8_t* out) {
  if (in.empty()) return;
  crypto_stream_xor(out, in.data(), in.size(), nonce.data(), key.data());
}

}  // namespace

Hash32 BlockKey(const CoreKey& core, const Hash32& encryption_key, bool compat) {
  if (compat) return KeyedBlake2b256(core.view(), {encryption_key.view()});
  return Blake2b256({EncryptionNamespace().view(), core.view(), encryption_key.view()});
}

BlockCipher::BlockCipher(const Hash32& block_key)
    : block_key_(block_key), blinding_key_(Blake2b256(block_key.view())) {}

BlockCipher::~BlockCipher() {
  Wipe(block_key_.bytes);
  Wipe(blinding_key_.bytes);
}

Bytes BlockCipher::Seal(std::uint64_t block_index, std::uint64_t fork,
                        ByteView plaintext) const {
  Bytes stored(kBlockPaddingBytes + plaintext.size());
  Nonce nonce{};
  PutU64(nonce.data(), block_index);
  PutU64(stored.data(), fork);
  Xor(ByteView(stored).first(kBlockPaddingBytes), nonce, blinding_key_, stored.data());
  std::memcpy(nonce.data() + 8, stored.data(), kBlockPaddingBytes);
  Xor(plaintext, nonce, block_key_, stored.data() + kBlockPaddingBytes);
  return stored;
}

std::optional<std::uint64_t> BlockCipher::ForkOf(std::uint64_t block_index,
                                                 ByteView stored) const {
  if (stored.size() < kBlockPaddingBytes) return std::nullopt;
  Nonce nonce{};
  PutU64(nonce.data(), block_index);
  std::array<std::uint8_t, kBlockPaddingBytes> padding{};
  Xor(stored.first(kBlockPaddingBytes), nonce, blinding_key_, padding.data());
  std::uint64_t fork = 0;
  for (int i = 7; i >= 0; --i)
    fork = (fork << 8) | padding[static_cast<std::size_t>(i)];
  return fork;
}

std::optional<Bytes> BlockCipher::Open(std::uint64_t block_index,
                                       ByteView stored) const {
  if (stored.size() < kBlockPaddingBytes) return std::nullopt;
  Nonce nonce{};
  PutU64(nonce.data(), block_index);
  std::memcpy(nonce.data() + 8, stored.data(), kBlockPaddingBytes);
  Bytes plaintext(stored.size() - kBlockPaddingBytes);
  Xor(stored.subspan(kBlockPaddingBytes), nonce, block_key_, plaintext.data());
  return plaintext;
}

}  // namespace weft
