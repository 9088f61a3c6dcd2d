// The cryptography of a connection: what Noise and the encrypted stream are made of.
//
// HMAC is the ordinary construction over unkeyed BLAKE2b-512 (block of 128 bytes), not
// keyed BLAKE2b. The curve of the handshake is Edwards25519 with signing key pairs.
// Every function is pure and may be called from any thread.
// Source: the wire specification, 4.2 to 4.4; libsodium's secretstream.

#pragma once

#include <optional>
#include <utility>

#include "engine/crypto.h"

namespace weft {

inline constexpr std::size_t kAeadTagBytes = 16;
inline constexpr std::size_t kStreamHeaderBytes = 24;
inline constexpr std::size_t kStreamOverheadBytes = 17;  // of each sealed message

Hash64 HmacBlake2b512(ByteView key, std::initializer_list<ByteView> parts);
// The first two outputs of HKDF.
std::pair<Hash64, Hash64> HkdfBlake2b512(ByteView chaining_key, ByteView input);

// secret * point on the Edwards curve. nullopt if the point is not canonical, of small
// order, outside the main subgroup, or the product is the identity.
std::optional<Hash32> EdwardsDh(const SecretKey& secret, const PublicKey& point);

// ChaCha20-Poly1305 (IETF) under a counter nonce.
Bytes AeadSeal(const Hash32& key, std::uint64_t counter, ByteView associated,
               ByteView plaintext);
// nullopt if the tag is wrong.
std::optional<Bytes> AeadOpen(const Hash32& key, std::uint64_t counter,
                              ByteView associated, ByteView sealed);

// One direction of an encrypted stream: messages in order, none lost or repeated. The
// key renews itself before the message counter runs out.
class StreamCipher {
 public:
  using Header = std::array<std::uint8_t, kStreamHeaderBytes>;
  // Both ends start from the sender's header, which must be random and used once.
  StreamCipher(const Hash32& key, const Header& header);
  ~StreamCipher();
  StreamCipher(const StreamCipher&) = delete;
  StreamCipher& operator=(const StreamCipher&) = delete;

  // Appends the sealed message to `out`: kStreamOverheadBytes more than `plaintext`.
  void Seal(ByteView plaintext, Bytes* out);
  // Replaces `out` by the plaintext. False if the message is forged, torn or out of
  // order; the stream is of no use afterwards.
  bool Open(ByteView sealed, Bytes* out);

 private:
  // libsodium's state, whose size the source file checks.
  alignas(16) std::array<std::uint8_t, 64> state_{};
};

}  // namespace weft
