#include "engine/crypto.h"

#include <sodium.h>

#include "engine/check.h"

namespace weft {
namespace {

// libsodium picks its implementations once; every entry below relies on that.
const bool kReady = [] {
  WEFT_CHECK(sodium_init() >= 0);
  return true;
}();

class Hasher {
 public:
  explicit Hasher(std::size_t size, ByteView key = {}) : size_(size) {
    crypto_generichash_init(&state_, key.data(), key.size(), size);
  }
  Hasher& Add(ByteView part) {
    crypto_generichash_update(&state_, part.data(), part.size());
    return *this;
  }
  void Finish(std::uint8_t* out) { crypto_generichash_final(&state_, out, size_); }

 private:
  crypto_generichash_state state_;
  std::size_t size_;
};

void PutU64(std::uint8_t* out, std::uint64_t value) {
  for (int i = 0; i < 8; ++i) out[i] = static_cast<std::uint8_t>(value >> (8 * i));
}

// The y coordinates of the points of small order, little-endian without the sign
// bit: 0, 1, p-1 and the two of order 8. Source: RFC 7748's prime and
// "Taming the many EdDSAs" (Chalkias et al., 2020), table 6.
constexpr std::array<std::uint8_t, 32> kOrder8A = {
    0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4,
    0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6,
    0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05};
constexpr std::array<std::uint8_t, 32> kOrder8B = {
    0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b,
    0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39,
    0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a};
// p = 2^255 - 19 and the order of the group, little-endian.
constexpr std::array<std::uint8_t, 32> kPrime = {
    0xed, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f};
constexpr std::array<std::uint8_t, 32> kGroupOrder = {
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7,
    0xa2, 0xde, 0xf9, 0xde, 0x14, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x10};

bool LessThan(const std::uint8_t* a, const std::array<std::uint8_t, 32>& b) {
  for (std::size_t i = 32; i-- > 0;) {
    if (a[i] != b[i]) return a[i] < b[i];
  }
  return false;
}

bool IsSoundPoint(const std::uint8_t* encoded) {
  std::array<std::uint8_t, 32> y{};
  std::memcpy(y.data(), encoded, 32);
  y[31] &= 0x7f;
  if (!LessThan(y.data(), kPrime)) return false;
  std::array<std::uint8_t, 32> small{};
  if (y == small) return false;  // y = 0
  small[0] = 1;
  if (y == small) return false;  // y = 1
  small = kPrime;
  small[0] = 0xec;
  if (y == small) return false;  // y = p - 1
  return y != kOrder8A && y != kOrder8B;
}

}  // namespace

Hash32 Blake2b256(ByteView message) {
  return Blake2b256({message});
}

Hash32 Blake2b256(std::initializer_list<ByteView> parts) {
  Hasher hasher(32);
  for (const ByteView part : parts) hasher.Add(part);
  Hash32 hash;
  hasher.Finish(hash.data());
  return hash;
}

Hash32 KeyedBlake2b256(ByteView key, std::initializer_list<ByteView> parts) {
  WEFT_CHECK(!key.empty() && key.size() <= crypto_generichash_KEYBYTES_MAX);
  Hasher hasher(32, key);
  for (const ByteView part : parts) hasher.Add(part);
  Hash32 hash;
  hasher.Finish(hash.data());
  return hash;
}

Hash64 Blake2b512(std::initializer_list<ByteView> parts) {
  Hasher hasher(64);
  for (const ByteView part : parts) hasher.Add(part);
  Hash64 hash;
  hasher.Finish(hash.data());
  return hash;
}

TreeHash LeafHash(ByteView block) {
  std::array<std::uint8_t, 9> prefix{};
  PutU64(prefix.data() + 1, block.size());
  TreeHash hash;
  Hasher(32).Add(prefix).Add(block).Finish(hash.data());
  return hash;
}

TreeHash ParentHash(const TreeNode& left, const TreeNode& right) {
  std::array<std::uint8_t, 73> message{};
  message[0] = 1;
  PutU64(message.data() + 1, left.size + right.size);
  std::memcpy(message.data() + 9, left.hash.data(), 32);
  std::memcpy(message.data() + 41, right.hash.data(), 32);
  TreeHash hash;
  Hasher(32).Add(message).Finish(hash.data());
  return hash;
}

TreeHash RootsHash(std::span<const TreeNode> roots) {
  const std::uint8_t domain = 2;
  Hasher hasher(32);
  hasher.Add({&domain, 1});
  for (const TreeNode& root : roots) {
    std::array<std::uint8_t, 48> message{};
    std::memcpy(message.data(), root.hash.data(), 32);
    PutU64(message.data() + 32, root.tree_index);
    PutU64(message.data() + 40, root.size);
    hasher.Add(message);
  }
  TreeHash hash;
  hasher.Finish(hash.data());
  return hash;
}

DiscoveryKey DiscoveryKeyOf(const CoreKey& key) {
  return DiscoveryKey{KeyedBlake2b256(key.view(), {AsBytes("hypercore")}).bytes};
}

KeyPair KeyPairFromSeed(const Seed& seed) {
  KeyPair pair;
  crypto_sign_seed_keypair(pair.public_key.data(), pair.secret_key.data(), seed.data());
  return pair;
}

Seed RandomSeed(Random& random) {
  Seed seed;
  random.Fill(seed.bytes);
  return seed;
}

Signature Sign(const SecretKey& key, ByteView message) {
  Signature signature;
  crypto_sign_detached(signature.data(), nullptr, message.data(), message.size(),
                       key.data());
  return signature;
}

bool Verify(const PublicKey& key, ByteView message, const Signature& signature) {
  if (!LessThan(signature.data() + 32, kGroupOrder)) return false;
  if (!IsSoundPoint(key.data()) || !IsSoundPoint(signature.data())) return false;
  return crypto_sign_verify_detached(signature.data(), message.data(), message.size(),
                                     key.data()) == 0;
}

void FillFromSystem(std::span<std::uint8_t> out) {
  randombytes_buf(out.data(), out.size());
}

void Wipe(std::span<std::uint8_t> secret) {
  sodium_memzero(secret.data(), secret.size());
}

}  // namespace weft
