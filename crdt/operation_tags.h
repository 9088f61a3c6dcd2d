// What the parser and the encoder of operations must agree on byte for byte, and nobody
// else needs to know.
//
// tag := lane:4 bits (high) type:4 bits (low)

#pragma once

#include <cstdint>

#include "crdt/operation.h"

namespace weft {

constexpr std::uint8_t TagOf(Lane lane, OpType type) {
  return static_cast<std::uint8_t>(static_cast<unsigned>(lane) << 4 |
                                   static_cast<unsigned>(type));
}
inline constexpr std::uint8_t kPutTag = TagOf(Lane::kRegister, OpType::kPut);
inline constexpr std::uint8_t kDelTag = TagOf(Lane::kNone, OpType::kDel);
inline constexpr std::uint8_t kRecordTag = TagOf(Lane::kRecord, OpType::kRecord);
inline constexpr std::uint8_t kSetTag = TagOf(Lane::kRegister, OpType::kPut);
inline constexpr std::uint8_t kUnsetTag = TagOf(Lane::kRegister, OpType::kDel);

// In value_sizes: the true size is at least this much and stands in words.
inline constexpr std::uint16_t kSizeInWords = 0xffff;

}  // namespace weft
