#include "engine/crypto_stream.h"

#include <sodium.h>

#include "engine/check.h"

namespace weft {
namespace {

constexpr std::size_t kHmacBlockBytes = 128;

static_assert(sizeof(crypto_secretstream_xchacha20poly1305_state) <= 64);
static_assert(kStreamHeaderBytes == crypto_secretstream_xchacha20poly1305_HEADERBYTES);
static_assert(kStreamOverheadBytes == crypto_secretstream_xchacha20poly1305_ABYTES);
static_assert(kAeadTagBytes == crypto_aead_chacha20poly1305_ietf_ABYTES);

crypto_secretstream_xchacha20poly1305_state* StateOf(std::uint8_t* bytes) {
  return reinterpret_cast<crypto_secretstream_xchacha20poly1305_state*>(bytes);
}

std::array<std::uint8_t, 12> Nonce(std::uint64_t counter) {
  std::array<std::uint8_t, 12> nonce{};
  for (std::size_t i = 0; i < 8; ++i) {
    nonce[4 + i] = static_cast<std::uint8_t>(counter >> (8 * i));
  }
  return nonce;
}

}  // namespace

Hash64 HmacBlake2b512(ByteView key, std::initializer_list<ByteView> parts) {
  WEFT_CHECK(key.size() <= kHmacBlockBytes);
  std::array<std::uint8_t, kHmacBlockBytes> inner{};
  std::copy(key.begin(), key.end(), inner.begin());
  std::array<std::uint8_t, kHmacBlockBytes> outer = inner;
  for (std::uint8_t& byte : inner) byte ^= 0x36;
  for (std::uint8_t& byte : outer) byte ^= 0x5c;
  crypto_generichash_state state;
  Hash64 digest;
  crypto_generichash_init(&state, nullptr, 0, Hash64::kSize);
  crypto_generichash_update(&state, inner.data(), inner.size());
  for (ByteView part : parts) {
    crypto_generichash_update(&state, part.data(), part.size());
  }
  crypto_generichash_final(&state, digest.data(), Hash64::kSize);
  const Hash64 result = Blake2b512({outer, digest.view()});
  Wipe(inner);
  Wipe(outer);
  return result;
}

std::pair<Hash64, Hash64> HkdfBlake2b512(ByteView chaining_key, ByteView input) {
  const Hash64 extracted = HmacBlake2b512(chaining_key, {input});
  const std::array<std::uint8_t, 1> one = {1};
  const std::array<std::uint8_t, 1> two = {2};
  const Hash64 first = HmacBlake2b512(extracted.view(), {one});
  const Hash64 second = HmacBlake2b512(extracted.view(), {first.view(), two});
  return {first, second};
}

std::optional<Hash32> EdwardsDh(const SecretKey& secret, const PublicKey& point) {
  std::array<std::uint8_t, 64> scalar{};
  crypto_hash_sha512(scalar.data(), secret.data(), 32);
  scalar[0] &= 248;
  scalar[31] &= 127;
  scalar[31] |= 64;
  Hash32 shared;
  const int failed =
      crypto_scalarmult_ed25519_noclamp(shared.data(), scalar.data(), point.data());
  Wipe(scalar);
  if (failed != 0) return std::nullopt;
  return shared;
}

Bytes AeadSeal(const Hash32& key, std::uint64_t counter, ByteView associated,
               ByteView plaintext) {
  Bytes sealed(plaintext.size() + kAeadTagBytes);
  crypto_aead_chacha20poly1305_ietf_encrypt(
      sealed.data(), nullptr, plaintext.data(), plaintext.size(), associated.data(),
      associated.size(), nullptr, Nonce(counter).data(), key.data());
  return sealed;
}

std::optional<Bytes> AeadOpen(const Hash32& key, std::uint64_t counter,
                              ByteView associated, ByteView sealed) {
  if (sealed.size() < kAeadTagBytes) return std::nullopt;
  // One byte more, so that the pointer is never null.
  Bytes plaintext(sealed.size() - kAeadTagBytes + 1);
  if (crypto_aead_chacha20poly1305_ietf_decrypt(
          plaintext.data(), nullptr, nullptr, sealed.data(), sealed.size(),
          associated.data(), associated.size(), Nonce(counter).data(),
          key.data()) != 0) {
    return std::nullopt;
  }
  plaintext.pop_back();
  return plaintext;
}

// The library would draw the header of a sender itself; starting both ends by pull
// gives the same state and leaves the choice, and so the randomness, to the caller.
StreamCipher::StreamCipher(const Hash32& key, const Header& header) {
  crypto_secretstream_xchacha20poly1305_init_pull(StateOf(state_.data()), header.data(),
                                                  key.data());
}

StreamCipher::~StreamCipher() {
  Wipe(state_);
}

void StreamCipher::Seal(ByteView plaintext, Bytes* out) {
  const std::size_t at = out->size();
  out->resize(at + plaintext.size() + kStreamOverheadBytes);
  crypto_secretstream_xchacha20poly1305_push(
      StateOf(state_.data()), out->data() + at, nullptr, plaintext.data(),
      plaintext.size(), nullptr, 0, crypto_secretstream_xchacha20poly1305_TAG_MESSAGE);
}

bool StreamCipher::Open(ByteView sealed, Bytes* out) {
  if (sealed.size() < kStreamOverheadBytes) return false;
  const std::size_t size = sealed.size() - kStreamOverheadBytes;
  out->resize(size + 1);  // never a null pointer
  unsigned char tag = 0;
  if (crypto_secretstream_xchacha20poly1305_pull(StateOf(state_.data()), out->data(),
                                                 nullptr, &tag, sealed.data(),
                                                 sealed.size(), nullptr, 0) != 0) {
    return false;
  }
  out->resize(size);
  return true;
}

}  // namespace weft
