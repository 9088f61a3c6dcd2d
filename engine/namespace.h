// Names under which keys and signatures of one purpose stand, so that none is taken for
// one of another: BLAKE2b-256(BLAKE2b-256(name) || number).
// Source: the wire specification, 3.1.

#pragma once

#include <string_view>

#include "engine/crypto.h"

namespace weft {

inline Hash32 NamespaceOf(std::string_view name, std::uint8_t number) {
  return Blake2b256({Blake2b256(AsBytes(name)).view(), ByteView(&number, 1)});
}

}  // namespace weft
