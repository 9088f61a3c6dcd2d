#include "crdt/operation.h"

#include <bit>
#include <cstring>

#include "absl/strings/str_format.h"
#include "crdt/auth_operation_reader.h"
#include "crdt/operation_columns.h"
#include "crdt/operation_tags.h"
#include "operation_generated.h"

namespace weft {
namespace {

// S5: depth and tables are bounded before anything is looked at.
constexpr flatbuffers::uoffset_t kDepthMax = 16;
constexpr flatbuffers::uoffset_t kTablesMax = 32;
// The vtables of this sem_version: two sizes and one offset a field.
constexpr std::size_t kDataVtableBytes = 4 + 2 * 13;
constexpr std::size_t kAuthVtableBytes = 4 + 2 * 6;

static_assert(std::endian::native == std::endian::little,
              "columns are read in place, and FlatBuffers are little-endian");

// A payload that is what `state` says and nothing else.
Payload Refusal(BlockState state, std::string reason) {
  Payload payload;
  payload.state = state;
  payload.reason = std::move(reason);
  return payload;
}
Payload Invalid(std::string reason) {
  return Refusal(BlockState::kInvalid, std::move(reason));
}
Payload Parked(std::string reason) {
  return Refusal(BlockState::kParked, std::move(reason));
}

// Decodes one data payload; a member per column.
class DataReader {
 public:
  DataReader(const wire::DataPayload& wire, const Limits& limits)
      : ops_(Column(wire.ops())),
        cell_tags_(Column(wire.cells())),
        value_type_column_(Column(wire.value_types())),
        lane_column_(Column(wire.lanes())),
        key_sizes_(Column(wire.key_sizes())),
        flags_(Column(wire.flags())),
        lanes_(lane_column_),
        cell_counts_(Column(wire.cell_counts())),
        cells_(cell_tags_),
        cell_columns_(Column(wire.cell_columns())),
        column_count_(Column(wire.column_sizes()).size()),
        column_sizes_(Column(wire.column_sizes())),
        value_types_(value_type_column_),
        value_sizes_(Column(wire.value_sizes())),
        words_(Column(wire.words())),
        numbers_(Column(wire.numbers())),
        heap_(Column(wire.heap())),
        limits_(limits) {}

  // S8: what is not built or not known, before anything else is judged.
  std::string FindUnknown() const {
    for (const std::uint8_t tag : ops_) {
      if (!IsBuiltOp(tag)) {
        return absl::StrFormat("op type %d on lane %d", tag & 15, tag >> 4);
      }
    }
    for (const std::uint8_t tag : cell_tags_) {
      if (!IsBuiltCell(tag)) {
        return absl::StrFormat("cell verb %d on lane %d", tag & 15, tag >> 4);
      }
    }
    for (const std::uint8_t type : value_type_column_) {
      if (type >= static_cast<std::uint8_t>(ValueType::kBlobReference)) {
        return absl::StrFormat("value type %d", type);
      }
    }
    for (const std::uint16_t lanes : lane_column_) {
      if ((lanes & ~kBuiltLanes) != 0) return absl::StrFormat("lanes %#x", lanes);
    }
    return {};
  }

  // The reason why the payload is invalid, or nothing.
  std::string Read(Payload& payload) {
    if (ops_.empty()) return "no operations";
    if (ops_.size() > limits_.batch_ops) {
      return absl::StrFormat("%d operations, and the limit is %d", ops_.size(),
                             limits_.batch_ops);
    }
    for (const std::uint8_t size : column_sizes_.Take(column_count_)) {
      const ByteView column = heap_.Take(size);
      if (!heap_.ok() || size > limits_.column_bytes) return "a column id out of range";
      columns_.push_back(column);
    }
    // Reserved whole, so that the spans of operations stay valid as cells are added.
    payload.cells.reserve(cell_tags_.size());
    payload.operations.reserve(ops_.size());
    for (const std::uint8_t tag : ops_) {
      ReadOp(tag, payload);
      if (!error_.empty()) {
        return absl::StrFormat("op %d: %s", payload.operations.size(), error_);
      }
    }
    const bool exact = key_sizes_.exact() && flags_.exact() && lanes_.exact() &&
                       cell_counts_.exact() && cells_.exact() &&
                       cell_columns_.exact() && value_types_.exact() &&
                       value_sizes_.exact() && words_.exact() && numbers_.exact() &&
                       heap_.exact();
    return exact ? "" : "columns longer than the operations use";
  }

 private:
  void ReadOp(std::uint8_t tag, Payload& payload) {
    Operation op;
    const std::uint16_t key_size = key_sizes_.Next();
    op.key = heap_.Take(key_size);
    if (key_size == 0 && IsSequence(LaneOf(tag)) && !payload.operations.empty()) {
      op.key = payload.operations.back().key;
    }
    op.type = TypeOf(tag);
    op.lane = LaneOf(tag);
    if (tag == kDelTag) {
      op.flags = flags_.Next();
      op.lanes = lanes_.Next();
      if (op.lanes == 0) error_ = "a del that names no lane";
      if ((op.flags & ~kDeleteWins) != 0) error_ = "unknown flags";
    } else if (tag == kRecordTag) {
      op.cells = ReadCells(payload);
    } else {
      if (IsSequence(op.lane)) ReadEdit(op, payload);
      ReadOperands(op);
      if (op.lane == Lane::kText && op.type == OpType::kInsert &&
          (op.value.type != ValueType::kText || op.value.bytes.empty())) {
        error_ = "an insert of no text";
      }
    }
    if (!intact()) error_ = "columns shorter than the operations need";
    if (error_.empty() && (op.key.empty() || op.key.size() > limits_.key_bytes)) {
      error_ = absl::StrFormat("a key of %d bytes", op.key.size());
    }
    payload.operations.push_back(op);
  }

  // The origins of an insert, or the ranges of a cut, from the heap.
  void ReadEdit(Operation& op, Payload& payload) {
    SequenceEdit& edit = payload.edits.emplace_back();
    op.edit = &edit;
    Reader in(heap_.rest());
    if (op.type == OpType::kInsert) {
      edit.left = refs_.Read(in);
      edit.right = refs_.Read(in);
    } else {
      const std::uint64_t count = in.CanonicalUint();
      if (count == 0 || count > in.remaining()) in.Fail();
      for (std::uint64_t i = 0; i < count && in.ok(); ++i) {
        ElementRange range;
        range.first = refs_.Read(in);
        range.count = in.CanonicalUint();
        if (range.count == 0 || range.first.is_edge()) in.Fail();
        edit.ranges.push_back(range);
      }
    }
    if (!in.ok()) error_ = "a place in a sequence that is malformed";
    heap_.Take(in.ok() ? in.position() : 0);
  }

  // Of an op or a cell that writes to one lane.
  template <class Write>
  void ReadOperands(Write& write) {
    Takes takes;
    if constexpr (std::is_same_v<Write, CellWrite>) {
      takes = TakesOf(write.lane, write.verb);
    } else {
      takes = TakesOf(write.lane, write.type);
    }
    if (takes.value) write.value = ReadValue();
    if (takes.number) write.number = numbers_.Next();
    if (takes.flags) {
      write.flags = flags_.Next();
      if (!AreFlagsOf(takes, write.flags)) error_ = "unknown flags";
    }
  }

  std::span<const CellWrite> ReadCells(Payload& payload) {
    const std::size_t first = payload.cells.size();
    const std::size_t count = cell_counts_.Next();
    if (count > limits_.cells_per_op) {
      error_ = absl::StrFormat("%d cells", count);
      return {};
    }
    const auto tags = cells_.Take(count);
    const auto indexes = cell_columns_.Take(count);
    if (!cells_.ok() || !cell_columns_.ok()) return {};
    for (std::size_t i = 0; i < count; ++i) {
      if (indexes[i] >= columns_.size()) {
        error_ = "a cell of a column that the block does not have";
        return {};
      }
      CellWrite cell;
      cell.column = columns_[indexes[i]];
      if (i > 0 && Compare(payload.cells.back().column, cell.column) >= 0) {
        error_ = "cells that are not sorted by column";
        return {};
      }
      cell.lane = LaneOf(tags[i]);
      cell.verb = TypeOf(tags[i]);
      if (cell.verb != OpType::kDel) ReadOperands(cell);
      payload.cells.push_back(cell);
    }
    return std::span<const CellWrite>(payload.cells).subspan(first);
  }

  ValueView ReadValue() {
    ValueView value;
    value.type = static_cast<ValueType>(value_types_.Next());
    std::uint64_t size = 0;
    if (const auto fixed = FixedValueSize(value.type)) {
      size = *fixed;
    } else {
      size = value_sizes_.Next();
      if (size == kSizeInWords) {
        size = words_.Next();
        if (size < kSizeInWords) error_ = "a value size that is longer than needed";
      }
    }
    value.bytes = heap_.Take(size);
    if (!heap_.ok()) return {};
    if (size > limits_.value_bytes) {
      error_ = absl::StrFormat("a value of %d bytes", size);
    } else if (value.type == ValueType::kText && !IsUtf8(value.bytes)) {
      error_ = "text that is not UTF-8";
    } else if (value.type == ValueType::kBool && value.bytes[0] > 1) {
      error_ = "a bool that is neither 0 nor 1";
    }
    return value;
  }

  bool intact() const {
    return key_sizes_.ok() && flags_.ok() && lanes_.ok() && cell_counts_.ok() &&
           cells_.ok() && cell_columns_.ok() && value_types_.ok() &&
           value_sizes_.ok() && words_.ok() && numbers_.ok() && heap_.ok();
  }

  std::span<const std::uint8_t> ops_;
  std::span<const std::uint8_t> cell_tags_;
  std::span<const std::uint8_t> value_type_column_;
  std::span<const std::uint16_t> lane_column_;
  Stream<std::uint16_t> key_sizes_;
  Stream<std::uint8_t> flags_;
  Stream<std::uint16_t> lanes_;
  Stream<std::uint16_t> cell_counts_;
  Stream<std::uint8_t> cells_;
  Stream<std::uint16_t> cell_columns_;
  std::size_t column_count_;
  Stream<std::uint8_t> column_sizes_;
  Stream<std::uint8_t> value_types_;
  Stream<std::uint16_t> value_sizes_;
  Stream<std::uint32_t> words_;
  Stream<std::int64_t> numbers_;
  Stream<std::uint8_t> heap_;
  const Limits& limits_;
  std::vector<ByteView> columns_;
  ElementRefReader refs_;
  std::string error_;
};

// The verifier aligns the length of a vector, which is 4 bytes, and not its elements:
// those of 8 bytes are our own check, before a span over them is read.
template <class Table>
bool IsAligned(const Table& wire) {
  const auto* numbers = wire.numbers();
  return numbers == nullptr ||
         reinterpret_cast<std::uintptr_t>(numbers->Data()) % sizeof(std::uint64_t) == 0;
}

// The root table, if the buffer passes the verifier and the vtable is not longer than
// this sem_version's schema.
template <class Table>
const Table* VerifiedRoot(const std::uint8_t* data, std::size_t size,
                          std::size_t vtable_bytes_max) {
  flatbuffers::Verifier verifier(data, size, kDepthMax, kTablesMax);
  if (!verifier.VerifyBuffer<Table>(nullptr)) return nullptr;
  const Table* root = flatbuffers::GetRoot<Table>(data);
  const auto* table = reinterpret_cast<const flatbuffers::Table*>(root);
  const auto vtable_bytes =
      flatbuffers::ReadScalar<flatbuffers::voffset_t>(table->GetVTable());
  return vtable_bytes <= vtable_bytes_max ? root : nullptr;
}

template <class Table, class TableReader>
Payload Decode(ByteView bytes, std::size_t vtable_bytes_max, const Limits& limits) {
  if (bytes.empty() || bytes.size() > limits.block_bytes) {
    return Invalid(absl::StrFormat("a payload of %d bytes", bytes.size()));
  }
  Payload payload;
  payload.buffer =
      std::make_unique_for_overwrite<std::uint64_t[]>((bytes.size() + 7) / 8);
  auto* data = reinterpret_cast<std::uint8_t*>(payload.buffer.get());
  std::memcpy(data, bytes.data(), bytes.size());
  const Table* root = VerifiedRoot<Table>(data, bytes.size(), vtable_bytes_max);
  if (root == nullptr) return Invalid("the payload is not a FlatBuffer of its kind");
  if (!IsAligned(*root)) return Invalid("a column that is not aligned");
  TableReader reader(*root, limits);
  std::string unknown = reader.FindUnknown();
  if (!unknown.empty()) return Parked(std::move(unknown));
  std::string error = reader.Read(payload);
  if (!error.empty()) return Invalid(std::move(error));
  return payload;
}

}  // namespace

Payload DecodePayload(BlockKind kind, ByteView bytes, const Limits& limits) {
  if (kind == BlockKind::kAuth) {
    return Decode<wire::AuthPayload, AuthReader>(bytes, kAuthVtableBytes, limits);
  }
  return Decode<wire::DataPayload, DataReader>(bytes, kDataVtableBytes, limits);
}

}  // namespace weft
