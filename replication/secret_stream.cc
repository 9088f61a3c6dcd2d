#include "replication/secret_stream.h"

#include "engine/check.h"
#include "engine/namespace.h"

namespace weft {
namespace {

constexpr std::string_view kStreamName = "hyperswarm/secret-stream";
constexpr std::size_t kHeaderFrameBytes = Hash32::kSize + kStreamHeaderBytes;

}  // namespace

Hash32 StreamId(const Hash64& handshake_hash, bool sender_is_initiator) {
  const Hash32 name_space = NamespaceOf(kStreamName, sender_is_initiator ? 0 : 1);
  return KeyedBlake2b256(handshake_hash.view(), {name_space.view()});
}

SecretStream::SecretStream(bool is_initiator, const KeyPair& static_pair,
                           Random* random)
    : is_initiator_(is_initiator), static_(static_pair), random_(random) {}

void SecretStream::Begin() {
  noise_.emplace(is_initiator_, static_, KeyPairFromSeed(RandomSeed(*random_)));
  noise_->OnlyIf(admit_);
}

void SecretStream::Start(Bytes* out) {
  if (!is_initiator_) return;
  Begin();
  const Bytes message = noise_->Start();
  AppendFramePrefix(message.size(), out);
  Append(*out, message);
}

absl::Status SecretStream::Receive(ByteView bytes, Bytes* out,
                                   const OnMessage& on_message) {
  Feed(bytes);
  for (;;) {
    WEFT_ASSIGN_OR_RETURN(const Step step, Next(out));
    if (step == Step::kNeedsBytes) return absl::OkStatus();
    if (step == Step::kHandled) continue;
    if (!Open(&plaintext_)) {
      return absl::InvalidArgumentError("a message of the encrypted stream is forged");
    }
    if (!plaintext_.empty()) WEFT_RETURN_IF_ERROR(on_message(plaintext_));
  }
}

absl::StatusOr<SecretStream::Step> SecretStream::Next(Bytes* out) {
  WEFT_ASSIGN_OR_RETURN(const std::optional<ByteView> body, frames_.Next());
  if (!body) return Step::kNeedsBytes;
  if (pull_ != nullptr) {
    sealed_ = *body;
    return Step::kMessage;
  }
  if (!noise_) Begin();
  if (noise_->done()) {
    WEFT_RETURN_IF_ERROR(ReceiveHeader(*body));
    return Step::kHandled;
  }
  WEFT_ASSIGN_OR_RETURN(const Bytes answer, noise_->Receive(*body));
  if (!answer.empty()) {
    AppendFramePrefix(answer.size(), out);
    Append(*out, answer);
  }
  if (noise_->done()) SendHeader(out);
  return Step::kHandled;
}

absl::Status SecretStream::ReceiveHeader(ByteView body) {
  const Hash32 id = StreamId(noise_->handshake_hash(), !is_initiator_);
  if (body.size() != kHeaderFrameBytes ||
      !Equal(body.first(Hash32::kSize), id.view())) {
    return absl::InvalidArgumentError("the header of the encrypted stream is wrong");
  }
  StreamCipher::Header header;
  std::memcpy(header.data(), body.data() + Hash32::kSize, header.size());
  pull_ = std::make_unique<StreamCipher>(noise_->receive_key(), header);
  frames_.SetLimit(kFrameBytesMax);
  return absl::OkStatus();
}

void SecretStream::SendHeader(Bytes* out) {
  StreamCipher::Header header;
  random_->Fill(header);
  push_ = std::make_unique<StreamCipher>(noise_->send_key(), header);
  AppendFramePrefix(kHeaderFrameBytes, out);
  Append(*out, StreamId(noise_->handshake_hash(), is_initiator_).view());
  Append(*out, header);
}

void SecretStream::Seal(ByteView plaintext, Bytes* out) {
  WEFT_CHECK(can_send() && plaintext.size() <= kMessageBytesMax);
  AppendFramePrefix(plaintext.size() + kStreamOverheadBytes, out);
  push_->Seal(plaintext, out);
}

}  // namespace weft
