#include "replication/noise.h"

#include "absl/strings/str_format.h"
#include "engine/check.h"

namespace weft {
namespace {

constexpr std::string_view kProtocolName = "Noise_XX_Ed25519_ChaChaPoly_BLAKE2b";
constexpr std::size_t kSealedKeyBytes = PublicKey::kSize + kAeadTagBytes;

absl::Status Failed(const char* what) {
  return absl::InvalidArgumentError(absl::StrFormat("handshake: %s", what));
}

Hash32 FirstHalf(const Hash64& hash) {
  Hash32 half;
  std::memcpy(half.data(), hash.data(), Hash32::kSize);
  return half;
}

}  // namespace

NoiseState::NoiseState() {
  static_assert(kProtocolName.size() <= Hash64::kSize);
  std::memcpy(hash_.data(), kProtocolName.data(), kProtocolName.size());
  chaining_key_ = hash_;
  MixHash({});  // the empty prologue
}

void NoiseState::MixHash(ByteView data) {
  hash_ = Blake2b512({hash_.view(), data});
}

void NoiseState::MixKey(const Hash32& shared) {
  const auto [chaining_key, key] = HkdfBlake2b512(chaining_key_.view(), shared.view());
  chaining_key_ = chaining_key;
  key_ = FirstHalf(key);
  keyed_ = true;
  counter_ = 0;
}

Bytes NoiseState::EncryptAndHash(ByteView plaintext) {
  Bytes out =
      keyed_ ? AeadSeal(key_, counter_++, hash_.view(), plaintext) : ToBytes(plaintext);
  MixHash(out);
  return out;
}

std::optional<Bytes> NoiseState::DecryptAndHash(ByteView sealed) {
  if (!keyed_) {
    MixHash(sealed);
    return ToBytes(sealed);
  }
  std::optional<Bytes> plaintext = AeadOpen(key_, counter_++, hash_.view(), sealed);
  if (plaintext) MixHash(sealed);
  return plaintext;
}

NoiseHandshake::NoiseHandshake(bool is_initiator, const KeyPair& static_pair,
                               const KeyPair& ephemeral)
    : is_initiator_(is_initiator), static_(static_pair), ephemeral_(ephemeral) {
  if (!is_initiator) step_ = Step::kMessage1;
}

Bytes NoiseHandshake::Start() {
  WEFT_CHECK(step_ == Step::kStart);
  step_ = Step::kMessage2;
  state_.MixHash(ephemeral_.public_key.view());
  state_.EncryptAndHash({});
  return ToBytes(ephemeral_.public_key.view());
}

absl::StatusOr<Bytes> NoiseHandshake::Receive(ByteView message) {
  const Step step = step_;
  step_ = Step::kFailed;  // unless the message turns out well
  switch (step) {
    case Step::kMessage1:
      return Receive1(message);
    case Step::kMessage2:
      return Receive2(message);
    case Step::kMessage3:
      return Receive3(message);
    default:
      return Failed("a message out of order");
  }
}

absl::Status NoiseHandshake::Mix(const SecretKey& secret, const PublicKey& point) {
  const std::optional<Hash32> shared = EdwardsDh(secret, point);
  if (!shared) return Failed("a point that is not in the group");
  state_.MixKey(*shared);
  return absl::OkStatus();
}

absl::Status NoiseHandshake::CheckAdmitted() const {
  if (!admit_ || admit_(remote_static_)) return absl::OkStatus();
  return absl::PermissionDeniedError("handshake: the peer's key is not admitted");
}

// The responder reads e, and answers e, ee, s, es.
absl::StatusOr<Bytes> NoiseHandshake::Receive1(ByteView message) {
  const auto remote = PublicKey::From(message);
  if (!remote) return Failed("message 1 has a wrong size");
  remote_ephemeral_ = *remote;
  state_.MixHash(message);
  state_.DecryptAndHash({});

  Bytes out = ToBytes(ephemeral_.public_key.view());
  state_.MixHash(out);
  WEFT_RETURN_IF_ERROR(Mix(ephemeral_.secret_key, remote_ephemeral_));
  Append(out, state_.EncryptAndHash(static_.public_key.view()));
  WEFT_RETURN_IF_ERROR(Mix(static_.secret_key, remote_ephemeral_));
  Append(out, state_.EncryptAndHash({}));
  step_ = Step::kMessage3;
  return out;
}

// The initiator reads e, ee, s, es, and answers s, se.
absl::StatusOr<Bytes> NoiseHandshake::Receive2(ByteView message) {
  if (message.size() != PublicKey::kSize + kSealedKeyBytes + kAeadTagBytes) {
    return Failed("message 2 has a wrong size");
  }
  remote_ephemeral_ = *PublicKey::From(message.first(PublicKey::kSize));
  state_.MixHash(remote_ephemeral_.view());
  WEFT_RETURN_IF_ERROR(Mix(ephemeral_.secret_key, remote_ephemeral_));
  const auto key =
      state_.DecryptAndHash(message.subspan(PublicKey::kSize, kSealedKeyBytes));
  if (!key) return Failed("the responder's key is not sealed right");
  remote_static_ = *PublicKey::From(*key);
  WEFT_RETURN_IF_ERROR(Mix(ephemeral_.secret_key, remote_static_));
  if (!state_.DecryptAndHash(message.last(kAeadTagBytes))) {
    return Failed("message 2 is not sealed right");
  }
  WEFT_RETURN_IF_ERROR(CheckAdmitted());

  Bytes out = state_.EncryptAndHash(static_.public_key.view());
  WEFT_RETURN_IF_ERROR(Mix(static_.secret_key, remote_ephemeral_));
  Append(out, state_.EncryptAndHash({}));
  Split();
  return out;
}

absl::StatusOr<Bytes> NoiseHandshake::Receive3(ByteView message) {
  if (message.size() != kSealedKeyBytes + kAeadTagBytes) {
    return Failed("message 3 has a wrong size");
  }
  const auto key = state_.DecryptAndHash(message.first(kSealedKeyBytes));
  if (!key) return Failed("the initiator's key is not sealed right");
  remote_static_ = *PublicKey::From(*key);
  WEFT_RETURN_IF_ERROR(Mix(ephemeral_.secret_key, remote_static_));
  if (!state_.DecryptAndHash(message.last(kAeadTagBytes))) {
    return Failed("message 3 is not sealed right");
  }
  WEFT_RETURN_IF_ERROR(CheckAdmitted());
  Split();
  return Bytes{};
}

void NoiseHandshake::Split() {
  const auto [first, second] = HkdfBlake2b512(state_.chaining_key().view(), {});
  send_key_ = FirstHalf(is_initiator_ ? first : second);
  receive_key_ = FirstHalf(is_initiator_ ? second : first);
  Wipe(ephemeral_.secret_key.bytes);
  step_ = Step::kDone;
}

}  // namespace weft
