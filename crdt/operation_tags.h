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
constexpr Lane LaneOf(std::uint8_t tag) {
  return static_cast<Lane>(tag >> 4);
}
constexpr OpType TypeOf(std::uint8_t tag) {
  return static_cast<OpType>(tag & 15);
}

// What an op, or a cell of a record op, takes from the columns.
struct Takes {
  bool built = false;
  bool value = false;
  bool number = false;
  bool flags = false;
  bool origins = false;
  bool ranges = false;
  std::uint8_t known_flags = 0;
};

// Of an op that speaks to one lane and is no record op; as a cell the same.
constexpr Takes TakesOf(Lane lane, OpType type) {
  switch (lane) {
    case Lane::kRegister:
      return {.built = type == OpType::kPut, .value = true};
    case Lane::kCounter:
      return {.built = type == OpType::kInc || type == OpType::kReset,
              .number = type == OpType::kInc};
    case Lane::kSet:
      return {.built = type == OpType::kAdd || type == OpType::kRemove, .value = true};
    case Lane::kMax:
    case Lane::kMin:
      return {.built = type == OpType::kRaise, .number = true};
    case Lane::kFlag:
      return {.built = type == OpType::kFlag,
              .flags = true,
              .known_flags = kFlagOn | kFlagOffWins};
    case Lane::kText:
    case Lane::kList:
      return {.built = type == OpType::kInsert || type == OpType::kCut,
              .value = type == OpType::kInsert,
              .origins = type == OpType::kInsert,
              .ranges = type == OpType::kCut};
    default:
      return {};
  }
}
constexpr bool IsSequence(Lane lane) {
  return lane == Lane::kText || lane == Lane::kList;
}

inline constexpr std::uint8_t kDelTag = TagOf(Lane::kNone, OpType::kDel);
inline constexpr std::uint8_t kRecordTag = TagOf(Lane::kRecord, OpType::kRecord);

constexpr bool IsBuiltOp(std::uint8_t tag) {
  return tag == kDelTag || tag == kRecordTag || TakesOf(LaneOf(tag), TypeOf(tag)).built;
}
constexpr bool IsBuiltCell(std::uint8_t tag) {
  const Lane lane = LaneOf(tag);
  if (TypeOf(tag) == OpType::kDel) {
    return lane >= Lane::kRegister && lane <= Lane::kFlag && lane != Lane::kRecord;
  }
  return !IsSequence(lane) && TakesOf(lane, TypeOf(tag)).built;
}
// Of a flag op: on and off exclude each other.
constexpr bool AreFlagsOf(const Takes& takes, std::uint8_t flags) {
  return (flags & ~takes.known_flags) == 0 && flags != (kFlagOn | kFlagOffWins);
}

// In value_sizes: the true size is at least this much and stands in words.
inline constexpr std::uint16_t kSizeInWords = 0xffff;

}  // namespace weft
