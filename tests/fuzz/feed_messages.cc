// Every message of weft/feeds from any peer: what decodes is written back as bytes that
// decode to the same. The first byte is the message's type.

#include "replication/feed_messages.h"

#include "engine/check.h"

namespace {

template <class Message, class Encode>
void Again(absl::StatusOr<Message> (*decode)(weft::ByteView), Encode encode,
           weft::ByteView body) {
  const auto message = decode(body);
  if (!message.ok()) return;
  const auto again = decode(encode(*message));
  WEFT_CHECK(again.ok() && *again == *message);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const weft::ByteView body(data + 1, size - 1);
  switch (data[0] % 10) {
    case 0:
      Again(weft::DecodeFeedOpen, weft::EncodeFeedOpen, body);
      break;
    case 1:
      Again(weft::DecodeFeedDigest, weft::EncodeFeedDigest, body);
      break;
    case 2:
      Again(weft::DecodeFeedAskNodes, weft::EncodeFeedAskNodes, body);
      break;
    case 3:
      Again(weft::DecodeFeedNodes, weft::EncodeFeedNodes, body);
      break;
    case 4:
      Again(weft::DecodeFeedHeads, weft::EncodeFeedHeads, body);
      break;
    case 6:
      Again(weft::DecodeFeedEvidence, weft::EncodeFeedEvidence, body);
      break;
    case 8:
      Again(weft::DecodeFeedPeers, weft::EncodeFeedPeers, body);
      break;
    case 7:
      Again(weft::DecodeFeedDeny, weft::EncodeFeedDeny, body);
      break;
    default:
      Again(weft::DecodeFeedAcks, weft::EncodeFeedAcks, body);
      break;
  }
  return 0;
}
