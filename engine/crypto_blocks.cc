#include "engine/crypto_blocks.h"

#include <sodium.h>

namespace weft {
namespace {

using Nonce = std::array<std::uint8_t, crypto_stream_NONCEBYTES>;

const Hash32& EncryptionNamespace() {
  static const Hash32 value = [] {
    const std::uint8_t number = 5;
    return Blake2b256({Blake2b256(AsBytes("hypercore")).view(), ByteView(&number, 1)});
  }();
  return value;
}

void PutU64(std::uint8_t* out, std::uint64_t value) {
  for (int i = 0; i < 8; ++i) out[i] = static_cast<std::uint8_t>(value >> (8 * i));
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
  crypto_stream_xor(stored.data(), stored.data(), kBlockPaddingBytes, nonce.data(),
                    blinding_key_.data());
  std::memcpy(nonce.data() + 8, stored.data(), kBlockPaddingBytes);
  crypto_stream_xor(stored.data() + kBlockPaddingBytes, plaintext.data(),
                    plaintext.size(), nonce.data(), block_key_.data());
  return stored;
}

std::optional<Bytes> BlockCipher::Open(std::uint64_t block_index,
                                       ByteView stored) const {
  if (stored.size() < kBlockPaddingBytes) return std::nullopt;
  Nonce nonce{};
  PutU64(nonce.data(), block_index);
  std::memcpy(nonce.data() + 8, stored.data(), kBlockPaddingBytes);
  Bytes plaintext(stored.size() - kBlockPaddingBytes);
  crypto_stream_xor(plaintext.data(), stored.data() + kBlockPaddingBytes,
                    plaintext.size(), nonce.data(), block_key_.data());
  return plaintext;
}

}  // namespace weft
