// Every message of the hypercore channel from any peer: what decodes is written back
// as bytes that decode to the same. The first byte is the message's type.

#include "engine/check.h"
#include "replication/hypercore_messages.h"

namespace {

template <class Message>
void Again(const absl::StatusOr<Message>& message,
           absl::StatusOr<Message> (*decode)(weft::ByteView)) {
  if (!message.ok()) return;
  weft::Bytes bytes;
  weft::Encode(*message, &bytes);
  const auto again = decode(bytes);
  WEFT_CHECK(again.ok());
  if constexpr (std::equality_comparable<Message>) WEFT_CHECK(*again == *message);
}

void Cancel(weft::ByteView body) {
  const auto id = weft::DecodeCancel(body);
  if (!id.ok()) return;
  weft::Bytes bytes;
  weft::EncodeCancel(*id, &bytes);
  WEFT_CHECK(weft::DecodeCancel(bytes).ok());
}

void Data(weft::ByteView body) {
  const auto message = weft::DecodeData(body);
  if (!message.ok()) return;
  weft::Bytes bytes;
  weft::EncodeData(message->request_id, message->proof.fork, message->proof, &bytes);
  const auto again = weft::DecodeData(bytes);
  WEFT_CHECK(again.ok() && *again == *message);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const weft::ByteView body(data + 1, size - 1);
  switch (data[0] % 11) {
    case 0:
      Again(weft::DecodeSync(body), weft::DecodeSync);
      break;
    case 1:
      Again(weft::DecodeRequest(body), weft::DecodeRequest);
      break;
    case 2:
      Cancel(body);
      break;
    case 3:
      Data(body);
      break;
    case 4:
      Again(weft::DecodeNoData(body), weft::DecodeNoData);
      break;
    case 5:
    case 6:
      Again(weft::DecodeWant(body), weft::DecodeWant);
      break;
    case 7:
      Again(weft::DecodeBitfield(body), weft::DecodeBitfield);
      break;
    case 8:
      Again(weft::DecodeRange(body), weft::DecodeRange);
      break;
    case 9:
      Again(weft::DecodeExtension(body), weft::DecodeExtension);
      break;
    default:
      Again(weft::DecodeCoreHandshake(body), weft::DecodeCoreHandshake);
      break;
  }
  return 0;
}
