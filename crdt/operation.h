// Operations: what the payload of a block says, as plain values (rules S4, S5, S9).
//
// The payload of a data or auth block is one columnar FlatBuffer (operation.fbs). It is
// verified and decoded once, here, and nothing else ever reads its bytes. Op i of a
// block is the i-th in order; a record op with all its cells is one op.
//
// All numbers below are fixed. What this program has not built, or does not know,
// parks: a newer program will evaluate it as if it had always known (rule S8).

#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "crdt/auth_operation.h"
#include "crdt/dot.h"
#include "crdt/element_ref.h"
#include "crdt/envelope.h"
#include "crdt/limits.h"
#include "crdt/value.h"
#include "engine/status.h"

namespace weft {

// The CRDT type an op speaks to; also the tag in a leaf of the view.
enum class Lane : std::uint8_t {
  kNone = 0,  // of a del, which names a set of lanes instead
  kRegister = 1,
  kRecord = 2,
  kCounter = 3,
  kSet = 4,
  kMax = 5,
  kMin = 6,
  kFlag = 7,
  kText = 8,
  kList = 9,
};

// Bit n is lane n.
using LaneMask = std::uint16_t;
inline constexpr LaneMask MaskOf(Lane lane) {
  return static_cast<LaneMask>(1U << static_cast<unsigned>(lane));
}
// All of them.
inline constexpr LaneMask kBuiltLanes = 0x3fe;

enum class OpType : std::uint8_t {
  kPut = 1,      // register; in a cell: set
  kDel = 2,      // the lanes it names; in a cell: unset, of the lane it names
  kRecord = 3,   // record: writes cells, maybe none
  kInc = 4,      // counter
  kReset = 5,    // counter
  kAdd = 6,      // set
  kRemove = 7,   // set
  kRaise = 8,    // max, min
  kFlag = 9,     // flag: enable or disable, by the op's flags
  kInsert = 10,  // text, list
  kCut = 11,     // text, list: removes elements
  kMark = 12,    // text; not built
};

// Flags of an op. Those that are not known make the block invalid.
inline constexpr std::uint8_t kDeleteWins = 1;  // del, for the record lane only
// Of a flag op; without kFlagOn it turns off.
inline constexpr std::uint8_t kFlagOn = 1;
inline constexpr std::uint8_t kFlagOffWins = 2;  // of one that turns off

// All views are borrowed: from the Payload that decoded them, or from the caller who is
// about to encode them.
struct CellWrite {
  ByteView column;
  Lane lane = Lane::kRegister;
  OpType verb = OpType::kPut;  // any type that the lane has as an op; kDel unsets
  ValueView value = {};        // of a put, add or remove
  std::int64_t number = 0;     // of an inc or a raise
  std::uint8_t flags = 0;      // of a flag op
};

struct Operation {
  OpType type = OpType::kPut;
  Lane lane = Lane::kRegister;  // kNone for a del
  std::uint8_t flags = 0;
  LaneMask lanes = 0;  // what a del removes; not empty
  ByteView key;
  ValueView value;                     // of a put, add, remove or insert
  std::int64_t number = 0;             // of an inc or a raise
  std::span<const CellWrite> cells;    // of a record op: strictly ascending by column
  const SequenceEdit* edit = nullptr;  // of an insert (origins) or a cut (ranges)
};

Operation PutOp(ByteView key, ValueView value);
Operation DelOp(ByteView key, LaneMask lanes, std::uint8_t flags = 0);
Operation IncOp(ByteView key, std::int64_t delta);
Operation ResetOp(ByteView key);
Operation AddOp(ByteView key, ValueView element);
Operation RemoveOp(ByteView key, ValueView element);
Operation RaiseOp(ByteView key, Lane lane, std::int64_t value);  // kMax or kMin
Operation FlagOp(ByteView key, std::uint8_t flags);
// On kText or kList. `edit` must outlive the op.
Operation InsertOp(ByteView key, Lane lane, const SequenceEdit* edit, ValueView value);
Operation CutOp(ByteView key, Lane lane, const SequenceEdit* edit);
Operation RecordOp(ByteView key, std::span<const CellWrite> cells);
CellWrite SetCell(ByteView column, ValueView value);
CellWrite UnsetCell(ByteView column, Lane lane = Lane::kRegister);

// The decoded payload; owns what its operations borrow, so it moves and never copies.
struct Payload {
  Payload() = default;
  Payload(Payload&&) = default;
  Payload& operator=(Payload&&) = default;

  BlockState state = BlockState::kValid;
  std::string reason;  // of kInvalid and kParked
  // Empty unless valid. At most one of the two is filled.
  std::vector<Operation> operations;
  std::vector<AuthOperation> auth_operations;

  std::vector<CellWrite> cells;
  std::deque<SequenceEdit> edits;
  std::unique_ptr<std::uint64_t[]> buffer;
};

// The one parser. Pure, and safe to run on any thread. `kind` must be kData or kAuth.
Payload DecodePayload(BlockKind kind, ByteView bytes, const Limits& limits);

// What an author may sign: the op is built, its key, values, columns and flags are
// within the limits.
// INVALID_ARGUMENT  names the fact
absl::Status CheckOperation(const Operation& operation, const Limits& limits);

// A payload takes at most kPayloadBytesFixed and the sum over its operations.
inline constexpr std::size_t kPayloadBytesFixed = 256;
std::size_t EncodedSizeMax(const Operation& operation);

// A block's cells name its columns by 16 bits; a block never holds more cells than
// this.
inline constexpr std::size_t kCellsPerBlockMax = 0xffff;

// The operations must pass CheckOperation and be neither none nor too many for a block.
// Decoding gives them back; the bytes are not canonical.
Bytes EncodePayload(std::span<const Operation> operations);
// The same for the last block of `layout`, with refs to ops of the commit.
Bytes EncodePayload(std::span<const Operation> operations, const CommitLayout& layout);

}  // namespace weft
