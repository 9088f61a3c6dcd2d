#include "crdt/apply_op.h"

namespace weft {
std::string Canonical(ValueView value) {
  std::string text;
  text.reserve(value.bytes.size() + 1);
  text.push_back(static_cast<char>(value.type));
  text.append(AsText(value.bytes));
  return text;
}

namespace {

RecordLane* RecordOf(KeyState* state) {
  if (!state->record) state->record = std::make_unique<RecordLane>();
  return state->record.get();
}

bool HasValue(OpType type) {
  return type == OpType::kPut || type == OpType::kAdd || type == OpType::kRemove;
}

bool ApplyDel(const Operation& op, const Stamp& stamp, const CausalOrder& order,
              ApplyMode mode, KeyState* state) {
  bool exact = true;
  if ((op.lanes & MaskOf(Lane::kRegister)) != 0) {
    state->value.Apply({stamp, false, {}}, order);
  }
  if ((op.lanes & MaskOf(Lane::kRecord)) != 0) {
    exact &= RecordOf(state)->Erase(stamp, (op.flags & kDeleteWins) != 0, order,
                                    mode == ApplyMode::kArrival);
  }
  if ((op.lanes & MaskOf(Lane::kText)) != 0 && state->text) {
    state->text->Clear(stamp.op, order);
  }
  if ((op.lanes & MaskOf(Lane::kList)) != 0 && state->list) {
    state->list->Clear(stamp.op, order);
  }
  if (!state->typed) return exact;
  for (const Lane lane : kAllTypedLanes) {
    if ((op.lanes & MaskOf(lane)) == 0) continue;
    TypedChange change;
    change.lane = lane;
    change.type = OpType::kDel;
    exact &= state->typed->Apply(change, stamp, order, false);
  }
  return exact;
}

bool ApplyRecord(const Operation& op, const Stamp& stamp, const CausalOrder& order,
                 ApplyMode mode, KeyState* state) {
  std::vector<std::string> values;
  std::vector<CellChange> cells;
  values.reserve(op.cells.size());  // the views below point into it
  cells.reserve(op.cells.size());
  for (const CellWrite& cell : op.cells) {
    values.push_back(HasValue(cell.verb) ? Canonical(cell.value) : std::string());
    CellChange change;
    change.column = AsText(cell.column);
    if (cell.lane == Lane::kRegister) {
      change.is_set = cell.verb == OpType::kPut;
      change.value = values.back();
    } else {
      change.typed = {cell.lane, cell.verb, cell.flags, cell.number, values.back()};
    }
    cells.push_back(std::move(change));
  }
  return RecordOf(state)->Write(stamp, cells, order, mode == ApplyMode::kArrival);
}

void ApplyEdit(const Operation& op, const Stamp& stamp, const CausalOrder& order,
               const WriterTable& writers, KeyState* state) {
  const bool is_text = op.lane == Lane::kText;
  std::unique_ptr<SequenceLane>& lane = is_text ? state->text : state->list;
  if (!lane) lane = std::make_unique<SequenceLane>(is_text);
  if (op.type == OpType::kCut) {
    lane->Cut(stamp, op.edit->ranges, order, writers);
  } else if (is_text) {
    lane->Insert(stamp, *op.edit, AsText(op.value.bytes), order, writers);
  } else {
    lane->Insert(stamp, *op.edit, Canonical(op.value), order, writers);
  }
}

}  // namespace

bool ApplyOp(const Operation& op, const Stamp& stamp, const CausalOrder& order,
             const WriterTable& writers, ApplyMode mode, KeyState* state) {
  switch (op.lane) {
    case Lane::kNone:
      return ApplyDel(op, stamp, order, mode, state);
    case Lane::kRegister:
      state->value.Apply({stamp, true, Canonical(op.value)}, order);
      return true;
    case Lane::kRecord:
      return ApplyRecord(op, stamp, order, mode, state);
    case Lane::kCounter:
    case Lane::kSet:
    case Lane::kMax:
    case Lane::kMin:
    case Lane::kFlag: {
      if (!state->typed) state->typed = std::make_unique<TypedLanes>();
      const std::string value = HasValue(op.type) ? Canonical(op.value) : std::string();
      const TypedChange change{op.lane, op.type, op.flags, op.number, value};
      return state->typed->Apply(change, stamp, order, mode == ApplyMode::kArrival);
    }
    case Lane::kText:
    case Lane::kList:
      ApplyEdit(op, stamp, order, writers, state);
      return true;
  }
  return true;
}

}  // namespace weft
