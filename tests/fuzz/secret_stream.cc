// A sealed stream that somebody on the way has changed: what is opened is a prefix of
// what was sealed, in order and whole. The input is a list of changes: where, and what
// is turned there; the messages are always the same.

#include "replication/secret_stream.h"

#include "engine/check.h"
#include "engine/codec.h"

namespace {

constexpr std::size_t kMessages = 12;

class Counting final : public weft::Random {
 public:
  explicit Counting(std::uint8_t first) : next_(first) {}
  void Fill(std::span<std::uint8_t> out) override {
    for (std::uint8_t& byte : out) byte = next_++;
  }

 private:
  std::uint8_t next_;
};

weft::Bytes MessageNumber(std::size_t number) {
  return weft::Bytes(number * 7 % 40 + 1, static_cast<std::uint8_t>(number));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Counting ada_random(1), bob_random(77);
  weft::SecretStream ada(true, weft::KeyPairFromSeed(weft::RandomSeed(ada_random)),
                         &ada_random);
  weft::SecretStream bob(false, weft::KeyPairFromSeed(weft::RandomSeed(bob_random)),
                         &bob_random);
  std::size_t opened = 0;
  const auto hear = [&opened](weft::ByteView message) {
    WEFT_CHECK(weft::Equal(message, MessageNumber(opened)));
    ++opened;
    return absl::OkStatus();
  };
  weft::Bytes first, second, third, nothing;
  ada.Start(&first);
  WEFT_CHECK(bob.Receive(first, &second, hear).ok());
  WEFT_CHECK(ada.Receive(second, &third, hear).ok());
  WEFT_CHECK(bob.Receive(third, &nothing, hear).ok());
  weft::Bytes sealed;
  for (std::size_t i = 0; i < kMessages; ++i) ada.Seal(MessageNumber(i), &sealed);
  weft::Reader changes(weft::ByteView(data, size));
  std::size_t changed_from = sealed.size();
  while (changes.remaining() >= 3) {
    const std::size_t at = changes.U8() + 256U * changes.U8();
    const std::uint8_t turned = changes.U8();
    if (at >= sealed.size() || turned == 0) continue;
    sealed[at] ^= turned;
    changed_from = std::min(changed_from, at);
  }
  const absl::Status status = bob.Receive(sealed, &nothing, hear);
  if (changed_from == sealed.size()) WEFT_CHECK(status.ok() && opened == kMessages);
  return 0;
}
