#include "engine/codec.h"

namespace weft {

void Writer::Fixed(std::uint64_t value, int width) {
  std::array<std::uint8_t, 8> bytes;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<std::uint8_t>(value >> (8 * i));
  }
  out_->insert(out_->end(), bytes.begin(), bytes.begin() + width);
}

void Writer::LongUint(std::uint64_t value) {
  if (value <= 0xffff) {
    U8(0xfd);
    Fixed(value, 2);
  } else if (value <= 0xffffffff) {
    U8(0xfe);
    Fixed(value, 4);
  } else {
    U8(0xff);
    Fixed(value, 8);
  }
}

std::size_t Writer::UintSize(std::uint64_t value) {
  if (value <= 0xfc) return 1;
  if (value <= 0xffff) return 3;
  return value <= 0xffffffff ? 5 : 9;
}

std::uint64_t Reader::Fixed(std::size_t width) {
  const ByteView view = Raw(width);
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < view.size(); ++i) {
    value |= std::uint64_t{view[i]} << (8 * i);
  }
  return value;
}

std::uint64_t Reader::LongUint() {
  const std::uint8_t lead = U8();
  if (lead <= 0xfc) return lead;
  const std::uint64_t value = Fixed(lead == 0xfd ? 2 : lead == 0xfe ? 4 : 8);
  if (value > kUintMax) {
    Fail();
    return 0;
  }
  return value;
}

std::uint64_t Reader::CanonicalUint() {
  const std::size_t start = position_;
  const std::uint64_t value = Uint();
  if (ok_ && position_ - start != Writer::UintSize(value)) {
    Fail();
    return 0;
  }
  return value;
}

std::size_t Reader::Count(std::size_t item_bytes_min) {
  const std::uint64_t count = Uint();
  if (count > remaining() / item_bytes_min) {
    Fail();
    return 0;
  }
  return static_cast<std::size_t>(count);
}

}  // namespace weft
