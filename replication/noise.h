// The Noise handshake of a connection: Noise_XX_Ed25519_ChaChaPoly_BLAKE2b.
//
// message 1 := e:32                      initiator to responder
// message 2 := e:32 sealed_s:48 tag:16   responder to initiator
// message 3 := sealed_s:48 tag:16        initiator to responder
//
// Prologue and payloads are empty. Static keys prove nothing for replication, so any
// pair will do. Source: noiseprotocol.org, revision 34; the wire specification, 4.2.

#pragma once

#include <functional>

#include "engine/crypto.h"
#include "engine/crypto_stream.h"
#include "engine/status.h"

namespace weft {

// The running hash, chaining key and cipher key of a handshake.
class NoiseState {
 public:
  NoiseState();
  void MixHash(ByteView data);
  void MixKey(const Hash32& shared);
  Bytes EncryptAndHash(ByteView plaintext);
  std::optional<Bytes> DecryptAndHash(ByteView sealed);
  const Hash64& hash() const { return hash_; }
  const Hash64& chaining_key() const { return chaining_key_; }

 private:
  Hash64 hash_;
  Hash64 chaining_key_;
  Hash32 key_;
  bool keyed_ = false;
  std::uint64_t counter_ = 0;
};

// Not thread-safe.
class NoiseHandshake {
 public:
  // `ephemeral` must be fresh for every handshake.
  NoiseHandshake(bool is_initiator, const KeyPair& static_pair,
                 const KeyPair& ephemeral);

  // Asked for the peer's static key as soon as it is known: an initiator that says no
  // has not shown its own.
  using Admit = std::function<bool(const PublicKey&)>;
  void OnlyIf(Admit admit) { admit_ = std::move(admit); }

  // The initiator's first message. Call once.
  Bytes Start();
  // Takes the peer's next message; returns what must be sent in answer, empty if
  // nothing. The first failure is final.
  // INVALID_ARGUMENT   the message is of a wrong size, order, point or tag
  // PERMISSION_DENIED  the peer's key is not admitted
  absl::StatusOr<Bytes> Receive(ByteView message);

  bool done() const { return step_ == Step::kDone; }
  // Only when done().
  const Hash64& handshake_hash() const { return state_.hash(); }
  const Hash32& send_key() const { return send_key_; }
  const Hash32& receive_key() const { return receive_key_; }
  const PublicKey& remote_static_key() const { return remote_static_; }

 private:
  enum class Step { kStart, kMessage1, kMessage2, kMessage3, kDone, kFailed };
  absl::StatusOr<Bytes> Receive1(ByteView message);
  absl::StatusOr<Bytes> Receive2(ByteView message);
  absl::StatusOr<Bytes> Receive3(ByteView message);
  absl::Status Mix(const SecretKey& secret, const PublicKey& point);
  absl::Status CheckAdmitted() const;
  void Split();

  bool is_initiator_;
  KeyPair static_;
  KeyPair ephemeral_;
  PublicKey remote_static_;
  PublicKey remote_ephemeral_;
  Admit admit_;
  NoiseState state_;
  Step step_ = Step::kStart;
  Hash32 send_key_;
  Hash32 receive_key_;
};

}  // namespace weft
