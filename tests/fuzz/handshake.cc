// Any bytes as a handshake, from either side: it fails, or it is done, and never both;
// nothing is answered after a failure. The first byte chooses the side and how the
// rest is cut into reads.

#include "engine/check.h"
#include "replication/secret_stream.h"

namespace {

class Zeros final : public weft::Random {
 public:
  void Fill(std::span<std::uint8_t> out) override {
    for (std::uint8_t& byte : out) byte = next_++;
  }

 private:
  std::uint8_t next_ = 1;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const bool is_initiator = (data[0] & 1) != 0;
  const std::size_t step = 1 + (data[0] >> 1);
  weft::ByteView bytes(data + 1, size - 1);
  Zeros random;
  weft::SecretStream stream(is_initiator,
                            weft::KeyPairFromSeed(weft::RandomSeed(random)), &random);
  weft::Bytes out;
  stream.Start(&out);
  while (!bytes.empty()) {
    const std::size_t count = std::min(step, bytes.size());
    const std::size_t before = out.size();
    const absl::Status status =
        stream.Receive(bytes.first(count), &out, [](weft::ByteView message) {
          WEFT_CHECK(!message.empty());
          return absl::OkStatus();
        });
    bytes = bytes.subspan(count);
    // Nobody makes a sealed message without the keys.
    if (!status.ok()) break;
    WEFT_CHECK(stream.buffered() <= 16 * 1024 * 1024);
    WEFT_CHECK(out.size() - before <= 256);
  }
  return 0;
}
