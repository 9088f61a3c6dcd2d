// What the parser and the encoder of auth operations must agree on byte for byte.

#pragma once

#include <cstdint>

#include "crdt/auth_operation.h"

namespace weft {

// Every type up to this one is built.
inline constexpr auto kLastBuiltAuthOp = static_cast<std::uint8_t>(AuthOpType::kAdmit);

// Flags of a grant.
inline constexpr std::uint8_t kMayDelegate = 1;
inline constexpr std::uint8_t kIndexer = 2;  // reserved: parks
// Of a revoke.
inline constexpr std::uint8_t kSubtree = 1;
// Of a hide or unhide.
inline constexpr std::uint8_t kRange = 1;

}  // namespace weft
