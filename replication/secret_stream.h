// The encrypted stream of a connection: handshake, then messages.
//
// stream  := frame(noise message)* frame(header) frame(sealed)*
// header  := id:32 secretstream_header:24     id := hash over handshake and role
// sealed  := one secretstream message without additional data
//
// No input or output here: bytes from the peer go in, bytes for the peer come out.
// An empty message keeps the connection alive and reaches nobody.
// Source: the wire specification, part 4; tests/vectors/secretstream.json.

#pragma once

#include <functional>
#include <memory>

#include "engine/host.h"
#include "replication/frame.h"
#include "replication/noise.h"

namespace weft {

inline constexpr std::size_t kMessageBytesMax = kFrameBytesMax - kStreamOverheadBytes;
// L3: what a peer may make us hold before it has shown that it can do a handshake.
inline constexpr std::size_t kHandshakeFrameBytesMax = 1024;

// What a sender puts first in its header frame.
Hash32 StreamId(const Hash64& handshake_hash, bool sender_is_initiator);

class SecretStream {
 public:
  using OnMessage = std::function<absl::Status(ByteView plaintext)>;

  // `random` must outlive the stream; it gives the ephemeral key and the header.
  SecretStream(bool is_initiator, const KeyPair& static_pair, Random* random);

  // Appends what goes out first: the initiator's message, nothing for a responder.
  void Start(Bytes* out);
  // See NoiseHandshake::OnlyIf. Call before Start.
  void OnlyIf(NoiseHandshake::Admit admit) { admit_ = std::move(admit); }
  // Takes bytes from the wire, appends to `out` what the handshake has to answer, and
  // hands on every whole message that is not empty. The first failure is final.
  // INVALID_ARGUMENT    handshake, header or message is not sound
  // PERMISSION_DENIED   the peer's key is not admitted
  // RESOURCE_EXHAUSTED  a frame is larger than allowed at this point
  // and whatever `on_message` returns other than OK
  absl::Status Receive(ByteView bytes, Bytes* out, const OnMessage& on_message);

  // The same in steps, so that a large message can be opened elsewhere: Feed, then Next
  // until it needs bytes, and Open after each kMessage.
  enum class Step { kNeedsBytes, kHandled, kMessage };
  void Feed(ByteView bytes) { frames_.Feed(bytes); }
  // kHandled: handshake or header; `out` may have grown. Errors as Receive.
  absl::StatusOr<Step> Next(Bytes* out);
  // Of the message that Next found.
  std::size_t sealed_bytes() const { return sealed_.size(); }
  // Opens it; empty for a keep-alive. Touches nothing that Seal does, so that the two
  // may run on two threads. False: forged, and the stream is of no use any more.
  bool Open(Bytes* plaintext) { return pull_->Open(sealed_, plaintext); }
  // Bytes received of frames that are not whole yet, or not taken.
  std::size_t buffered() const { return frames_.buffered(); }

  // Messages may be sealed: the handshake is done, our header is on its way.
  bool can_send() const { return push_ != nullptr; }
  // The peer's header has been checked.
  bool established() const { return pull_ != nullptr; }
  // Appends the frame of one message of at most kMessageBytesMax bytes. Touches
  // nothing that Open does.
  void Seal(ByteView plaintext, Bytes* out);

  // The peer has shown its key.
  bool knows_peer() const { return noise_ && noise_->done(); }
  // Only once the first message was sent or has come.
  const NoiseHandshake& handshake() const { return *noise_; }

 private:
  void Begin();
  absl::Status ReceiveHeader(ByteView body);
  void SendHeader(Bytes* out);

  bool is_initiator_;
  KeyPair static_;
  Random* random_;  // not owned
  NoiseHandshake::Admit admit_;
  // Made only when there is somebody to talk to: its key costs more than a connection.
  std::optional<NoiseHandshake> noise_;
  FrameReader frames_{kHandshakeFrameBytesMax};
  std::unique_ptr<StreamCipher> push_;
  std::unique_ptr<StreamCipher> pull_;
  ByteView sealed_;  // within frames_
  Bytes plaintext_;
};

}  // namespace weft
