// Keys by number, where a test needs many and none of their secrets.

#pragma once

#include <array>
#include <cstdint>
#include <cstring>

#include "engine/crypto.h"

namespace weft {

template <class Key>
Key NumberedKey(std::uint64_t number) {
  std::array<std::uint8_t, 8> bytes;
  std::memcpy(bytes.data(), &number, bytes.size());
  return Key{Blake2b256(ByteView(bytes)).bytes};
}

}  // namespace weft
