// The writing half of crdt/operation.h: from plain values to columns.

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_format.h"
#include "crdt/operation_tags.h"
#include "engine/check.h"
#include "operation_generated.h"

namespace weft {
namespace {

absl::Status CheckKey(ByteView key, const Limits& limits) {
  if (key.empty() || key.size() > limits.key_bytes) {
    return absl::InvalidArgumentError(
        absl::StrFormat("key \"%s\": %d bytes, and the limit is 1 to %d",
                        AsText(key).substr(0, 32), key.size(), limits.key_bytes));
  }
  return absl::OkStatus();
}

absl::Status CheckSized(ByteView key, ValueView value, const Limits& limits) {
  if (absl::Status status = CheckValue(value); !status.ok()) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "key \"%s\": %s", AsText(key).substr(0, 32), std::string(status.message())));
  }
  if (value.bytes.size() > limits.value_bytes) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "key \"%s\": a value of %d bytes, and the limit is %d",
        AsText(key).substr(0, 32), value.bytes.size(), limits.value_bytes));
  }
  return absl::OkStatus();
}

absl::Status CheckCells(const Operation& op, const Limits& limits) {
  const auto refuse = [&](std::string_view what) {
    return absl::InvalidArgumentError(
        absl::StrFormat("key \"%s\": %s", AsText(op.key).substr(0, 32), what));
  };
  if (op.cells.size() > limits.cells_per_op) {
    return refuse(absl::StrFormat("%d cells, and the limit is %d", op.cells.size(),
                                  limits.cells_per_op));
  }
  for (std::size_t i = 0; i < op.cells.size(); ++i) {
    const CellWrite& cell = op.cells[i];
    if (cell.column.size() > limits.column_bytes) {
      return refuse(absl::StrFormat("a column of %d bytes, and the limit is %d",
                                    cell.column.size(), limits.column_bytes));
    }
    if (i > 0 && Compare(op.cells[i - 1].column, cell.column) >= 0) {
      return refuse("cells that are not sorted by column, each once");
    }
    if (!IsBuiltCell(TagOf(cell.lane, cell.verb))) {
      return refuse("a cell verb that is not built");
    }
    const Takes takes = TakesOf(cell.lane, cell.verb);
    if (takes.value && cell.verb != OpType::kDel) {
      WEFT_RETURN_IF_ERROR(CheckSized(op.key, cell.value, limits));
    }
    if (!AreFlagsOf(takes, cell.flags)) return refuse("a cell with unknown flags");
  }
  return absl::OkStatus();
}

// Collects the columns of a data payload.
class DataWriter {
 public:
  explicit DataWriter(const CommitLayout& layout) : layout_(layout) {}

  void Add(const Operation& op) {
    AddKey(op);
    if (op.edit != nullptr) AddEdit(op);
    ops_.push_back(TagOf(op.lane, op.type));
    switch (op.type) {
      case OpType::kDel:
        flags_.push_back(op.flags);
        lanes_.push_back(op.lanes);
        break;
      case OpType::kRecord:
        cell_counts_.push_back(static_cast<std::uint16_t>(op.cells.size()));
        for (const CellWrite& cell : op.cells) AddCell(cell);
        break;
      default:
        AddOperands(TakesOf(op.lane, op.type), op.value, op.number, op.flags);
    }
  }

  Bytes Finish() {
    WEFT_CHECK(columns_.size() <= kCellsPerBlockMax);
    column_ids_.insert(column_ids_.end(), heap_.begin(), heap_.end());
    flatbuffers::FlatBufferBuilder builder(1024 + column_ids_.size());
    const auto ops = Column(builder, ops_);
    const auto key_sizes = Column(builder, key_sizes_);
    const auto flags = Column(builder, flags_);
    const auto lanes = Column(builder, lanes_);
    const auto cell_counts = Column(builder, cell_counts_);
    const auto cells = Column(builder, cells_);
    const auto cell_columns = Column(builder, cell_columns_);
    const auto column_sizes = Column(builder, column_sizes_);
    const auto value_types = Column(builder, value_types_);
    const auto value_sizes = Column(builder, value_sizes_);
    const auto words = Column(builder, words_);
    const auto numbers = Column(builder, numbers_);
    const auto heap = Column(builder, column_ids_);
    builder.Finish(wire::CreateDataPayload(
        builder, ops, key_sizes, flags, lanes, cell_counts, cells, cell_columns,
        column_sizes, value_types, value_sizes, words, numbers, heap));
    return ToBytes(ByteView(builder.GetBufferPointer(), builder.GetSize()));
  }

 private:
  // An empty column is left out.
  template <class T>
  static flatbuffers::Offset<flatbuffers::Vector<T>> Column(
      flatbuffers::FlatBufferBuilder& builder, const std::vector<T>& column) {
    if (column.empty()) return 0;
    return builder.CreateVector(column);
  }

  // Edits of one sequence in a row name its key once.
  void AddKey(const Operation& op) {
    const bool repeated =
        IsSequence(op.lane) && !ops_.empty() && Equal(op.key, last_key_);
    last_key_ = op.key;
    key_sizes_.push_back(repeated ? 0 : static_cast<std::uint16_t>(op.key.size()));
    if (!repeated) Append(heap_, op.key);
  }

  void AddEdit(const Operation& op) {
    Writer out(&heap_);
    if (op.type == OpType::kInsert) {
      refs_.Write(op.edit->left, layout_, out);
      refs_.Write(op.edit->right, layout_, out);
      return;
    }
    out.Uint(op.edit->ranges.size());
    for (const ElementRange& range : op.edit->ranges) {
      refs_.Write(range.first, layout_, out);
      out.Uint(range.count);
    }
  }

  void AddCell(const CellWrite& cell) {
    const auto [entry, added] = columns_.try_emplace(
        std::string(AsText(cell.column)), static_cast<std::uint16_t>(columns_.size()));
    if (added) {
      column_sizes_.push_back(static_cast<std::uint8_t>(cell.column.size()));
      Append(column_ids_, cell.column);
    }
    cell_columns_.push_back(entry->second);
    cells_.push_back(TagOf(cell.lane, cell.verb));
    if (cell.verb == OpType::kDel) return;
    AddOperands(TakesOf(cell.lane, cell.verb), cell.value, cell.number, cell.flags);
  }

  void AddOperands(const Takes& takes, ValueView value, std::int64_t number,
                   std::uint8_t flags) {
    WEFT_CHECK(takes.built);
    if (takes.value) AddValue(value);
    if (takes.number) numbers_.push_back(number);
    if (takes.flags) flags_.push_back(flags);
  }

  void AddValue(ValueView value) {
    value_types_.push_back(static_cast<std::uint8_t>(value.type));
    Append(heap_, value.bytes);
    if (FixedValueSize(value.type).has_value()) return;
    const std::size_t size = value.bytes.size();
    if (size < kSizeInWords) {
      value_sizes_.push_back(static_cast<std::uint16_t>(size));
    } else {
      value_sizes_.push_back(kSizeInWords);
      words_.push_back(static_cast<std::uint32_t>(size));
    }
  }

  const CommitLayout& layout_;
  ByteView last_key_;
  ElementRefWriter refs_;
  std::vector<std::uint8_t> ops_;
  std::vector<std::uint16_t> key_sizes_;
  std::vector<std::uint8_t> flags_;
  std::vector<std::uint16_t> lanes_;
  std::vector<std::uint16_t> cell_counts_;
  std::vector<std::uint8_t> cells_;
  std::vector<std::uint16_t> cell_columns_;
  std::vector<std::uint8_t> column_sizes_;
  std::vector<std::uint8_t> value_types_;
  std::vector<std::uint16_t> value_sizes_;
  std::vector<std::uint32_t> words_;
  std::vector<std::int64_t> numbers_;
  absl::flat_hash_map<std::string, std::uint16_t> columns_;
  Bytes column_ids_;
  Bytes heap_;
};

std::size_t ValueSizeMax(ValueView value) {
  return 7 + value.bytes.size();
}

}  // namespace

Operation PutOp(ByteView key, ValueView value) {
  Operation op;
  op.key = key;
  op.value = value;
  return op;
}

Operation DelOp(ByteView key, LaneMask lanes, std::uint8_t flags) {
  Operation op;
  op.type = OpType::kDel;
  op.lane = Lane::kNone;
  op.flags = flags;
  op.lanes = lanes;
  op.key = key;
  return op;
}

namespace {

Operation LaneOp(ByteView key, Lane lane, OpType type) {
  Operation op;
  op.type = type;
  op.lane = lane;
  op.key = key;
  return op;
}

}  // namespace

Operation IncOp(ByteView key, std::int64_t delta) {
  Operation op = LaneOp(key, Lane::kCounter, OpType::kInc);
  op.number = delta;
  return op;
}

Operation ResetOp(ByteView key) {
  return LaneOp(key, Lane::kCounter, OpType::kReset);
}

Operation AddOp(ByteView key, ValueView element) {
  Operation op = LaneOp(key, Lane::kSet, OpType::kAdd);
  op.value = element;
  return op;
}

Operation RemoveOp(ByteView key, ValueView element) {
  Operation op = LaneOp(key, Lane::kSet, OpType::kRemove);
  op.value = element;
  return op;
}

Operation RaiseOp(ByteView key, Lane lane, std::int64_t value) {
  Operation op = LaneOp(key, lane, OpType::kRaise);
  op.number = value;
  return op;
}

Operation FlagOp(ByteView key, std::uint8_t flags) {
  Operation op = LaneOp(key, Lane::kFlag, OpType::kFlag);
  op.flags = flags;
  return op;
}

Operation InsertOp(ByteView key, Lane lane, const SequenceEdit* edit, ValueView value) {
  Operation op = LaneOp(key, lane, OpType::kInsert);
  op.edit = edit;
  op.value = value;
  return op;
}

Operation CutOp(ByteView key, Lane lane, const SequenceEdit* edit) {
  Operation op = LaneOp(key, lane, OpType::kCut);
  op.edit = edit;
  return op;
}

Operation RecordOp(ByteView key, std::span<const CellWrite> cells) {
  Operation op;
  op.type = OpType::kRecord;
  op.lane = Lane::kRecord;
  op.key = key;
  op.cells = cells;
  return op;
}

CellWrite SetCell(ByteView column, ValueView value) {
  return {.column = column, .value = value};
}

CellWrite UnsetCell(ByteView column, Lane lane) {
  return {.column = column, .lane = lane, .verb = OpType::kDel};
}

absl::Status CheckOperation(const Operation& op, const Limits& limits) {
  WEFT_RETURN_IF_ERROR(CheckKey(op.key, limits));
  const auto refuse = [&](std::string_view what) {
    return absl::InvalidArgumentError(
        absl::StrFormat("key \"%s\": %s", AsText(op.key).substr(0, 32), what));
  };
  switch (op.type) {
    case OpType::kDel:
      if (op.lane != Lane::kNone || op.lanes == 0 || (op.lanes & ~kBuiltLanes) != 0) {
        return refuse("a del names no lane, or one that is not built");
      }
      if ((op.flags & ~kDeleteWins) != 0) return refuse("a del with unknown flags");
      return absl::OkStatus();
    case OpType::kRecord:
      if (op.lane != Lane::kRecord || op.flags != 0)
        return refuse("a record with flags");
      return CheckCells(op, limits);
    default:
      break;
  }
  const Takes takes = TakesOf(op.lane, op.type);
  if (!takes.built) return refuse("an operation that is not built");
  if (!AreFlagsOf(takes, op.flags)) return refuse("an operation with unknown flags");
  if ((takes.origins || takes.ranges) != (op.edit != nullptr)) {
    return refuse("an edit without its place");
  }
  if (takes.ranges && op.edit->ranges.empty()) return refuse("a cut of nothing");
  if (takes.origins && op.lane == Lane::kText &&
      (op.value.type != ValueType::kText || op.value.bytes.empty())) {
    return refuse("an insert of no text");
  }
  return takes.value ? CheckSized(op.key, op.value, limits) : absl::OkStatus();
}

std::size_t EncodedSizeMax(const Operation& op) {
  std::size_t size = 8 + op.key.size() + ValueSizeMax(op.value);
  if (op.lane > Lane::kRecord) size += 8;
  if (op.edit != nullptr) {
    size +=
        2 * kElementRefBytesMax + op.edit->ranges.size() * (kElementRefBytesMax + 9);
  }
  for (const CellWrite& cell : op.cells) {
    size += 4 + (cell.lane == Lane::kRegister ? 0 : 8) + cell.column.size() +
            ValueSizeMax(cell.value);
  }
  return size;
}

Bytes EncodePayload(std::span<const Operation> operations, const CommitLayout& layout) {
  DataWriter writer(layout);
  for (const Operation& op : operations) writer.Add(op);
  return writer.Finish();
}

Bytes EncodePayload(std::span<const Operation> operations) {
  CommitLayout layout;
  layout.first_ops.push_back(0);
  return EncodePayload(operations, layout);
}

}  // namespace weft
