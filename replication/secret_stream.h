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
  // Takes bytes from the wire, appends to `out` what the handshake has to answer, and
  // hands on every whole message that is not empty. The first failure is final.
  // INVALID_ARGUMENT    handshake, header or message is not sound
  // RESOURCE_EXHAUSTED  a frame is larger than allowed at this point
  // and whatever `on_message` returns other than OK
  absl::Status Receive(ByteView bytes, Bytes* out, const OnMessage& on_message);

  // Messages may be sealed: the handshake is done, our header is on its way.
  bool can_send() const { return push_ != nullptr; }
  // The peer's header has been checked.
  bool established() const { return pull_ != nullptr; }
  // Appends the frame of one message of at most kMessageBytesMax bytes.
  void Seal(ByteView plaintext, Bytes* out);

  const NoiseHandshake& handshake() const { return noise_; }

 private:
  absl::Status ReceiveFrame(ByteView body, Bytes* out, const OnMessage& on_message);
  absl::Status ReceiveHeader(ByteView body);
  void SendHeader(Bytes* out);

  bool is_initiator_;
  Random* random_;  // not owned
  NoiseHandshake noise_;
  FrameReader frames_{kHandshakeFrameBytesMax};
  std::unique_ptr<StreamCipher> push_;
  std::unique_ptr<StreamCipher> pull_;
  Bytes plaintext_;
};

}  // namespace weft
