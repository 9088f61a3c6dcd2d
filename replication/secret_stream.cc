#include "replication/secret_stream.h"

#include "engine/check.h"

namespace weft {
namespace {

constexpr std::string_view kStreamName = "hyperswarm/secret-stream";
constexpr std::size_t kHeaderFrameBytes = Hash32::kSize + kStreamHeaderBytes;

}  // namespace

Hash32 StreamId(const Hash64& handshake_hash, bool sender_is_initiator) {
  const Hash32 name = Blake2b256(AsBytes(kStreamName));
  const std::array<std::uint8_t, 1> role = {sender_is_initiator ? std::uint8_t{0}
                                                                : std::uint8_t{1}};
  const Hash32 name_space = Blake2b256({name.view(), role});
  return KeyedBlake2b256(handshake_hash.view(), {name_space.view()});
}

SecretStream::SecretStream(bool is_initiator, const KeyPair& static_pair,
                           Random* random)
    : is_initiator_(is_initiator),
      random_(random),
      noise_(is_initiator, static_pair, KeyPairFromSeed(RandomSeed(*random))) {}

void SecretStream::Start(Bytes* out) {
  if (!is_initiator_) return;
  const Bytes message = noise_.Start();
  AppendFramePrefix(message.size(), out);
  Append(*out, message);
}

absl::Status SecretStream::Receive(ByteView bytes, Bytes* out,
                                   const OnMessage& on_message) {
  frames_.Feed(bytes);
  for (;;) {
    WEFT_ASSIGN_OR_RETURN(const std::optional<ByteView> body, frames_.Next());
    if (!body) return absl::OkStatus();
    WEFT_RETURN_IF_ERROR(ReceiveFrame(*body, out, on_message));
  }
}

absl::Status SecretStream::ReceiveFrame(ByteView body, Bytes* out,
                                        const OnMessage& on_message) {
  if (!noise_.done()) {
    WEFT_ASSIGN_OR_RETURN(const Bytes answer, noise_.Receive(body));
    if (!answer.empty()) {
      AppendFramePrefix(answer.size(), out);
      Append(*out, answer);
    }
    if (noise_.done()) SendHeader(out);
    return absl::OkStatus();
  }
  if (pull_ == nullptr) return ReceiveHeader(body);
  if (!pull_->Open(body, &plaintext_)) {
    return absl::InvalidArgumentError("a message of the encrypted stream is forged");
  }
  if (plaintext_.empty()) return absl::OkStatus();  // keep-alive
  return on_message(plaintext_);
}

absl::Status SecretStream::ReceiveHeader(ByteView body) {
  const Hash32 id = StreamId(noise_.handshake_hash(), !is_initiator_);
  if (body.size() != kHeaderFrameBytes ||
      !Equal(body.first(Hash32::kSize), id.view())) {
    return absl::InvalidArgumentError("the header of the encrypted stream is wrong");
  }
  StreamCipher::Header header;
  std::memcpy(header.data(), body.data() + Hash32::kSize, header.size());
  pull_ = std::make_unique<StreamCipher>(noise_.receive_key(), header);
  frames_.SetLimit(kFrameBytesMax);
  return absl::OkStatus();
}

void SecretStream::SendHeader(Bytes* out) {
  StreamCipher::Header header;
  random_->Fill(header);
  push_ = std::make_unique<StreamCipher>(noise_.send_key(), header);
  AppendFramePrefix(kHeaderFrameBytes, out);
  Append(*out, StreamId(noise_.handshake_hash(), is_initiator_).view());
  Append(*out, header);
}

void SecretStream::Seal(ByteView plaintext, Bytes* out) {
  WEFT_CHECK(can_send() && plaintext.size() <= kMessageBytesMax);
  AppendFramePrefix(plaintext.size() + kStreamOverheadBytes, out);
  push_->Seal(plaintext, out);
}

}  // namespace weft
