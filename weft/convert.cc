#include "weft/convert.h"

#include "absl/strings/str_format.h"

namespace weft {
namespace {

Sibling ToSibling(const ViewSibling& sibling) {
  // The author's identity is named by its incarnation 0, which is the writer.
  const OpName op = ToOpName(sibling.op);
  return {ToDatum(sibling.view()), op, op.writer, sibling.hlc.ms};
}

Register ToRegister(const ViewRegister& view) {
  Register result;
  result.winner = ToSibling(view.live.front());
  for (std::size_t i = 1; i < view.live.size(); ++i) {
    result.conflicts.push_back(ToSibling(view.live[i]));
  }
  result.deleted_concurrently = view.deleted_concurrently;
  return result;
}

Datum DatumOfCanonical(const std::string& value) {
  return ToDatum({static_cast<ValueType>(static_cast<std::uint8_t>(value[0])),
                  AsBytes(value).subspan(1)});
}

std::vector<Datum> DatumsOf(const std::vector<std::string>& values) {
  std::vector<Datum> data;
  for (const std::string& value : values) data.push_back(DatumOfCanonical(value));
  return data;
}

Lanes ToLanes(const ViewTyped& typed) {
  Lanes lanes;
  if (typed.counter) lanes.counter = {typed.counter->value, typed.counter->sum};
  if (typed.set) lanes.set = DatumsOf(*typed.set);
  lanes.max = typed.max;
  lanes.min = typed.min;
  if (typed.flag) {
    lanes.flag = typed.flag->enabled;
    lanes.flag_in_conflict = typed.flag->in_conflict;
  }
  return lanes;
}

std::string LaneName(Lane lane) {
  constexpr const char* kNames[] = {"",    "value", "record", "counter", "set",
                                    "max", "min",   "flag",   "text",    "list"};
  return kNames[static_cast<std::size_t>(lane)];
}

}  // namespace

std::string IdText(const CoreKey& key) {
  return ToZBase32(key.view());
}

absl::StatusOr<CoreKey> ParseId(std::string_view what, std::string_view text) {
  const std::optional<Bytes> bytes = FromZBase32(text);
  std::optional<CoreKey> key;
  if (bytes) key = CoreKey::From(*bytes);
  if (key) return *key;
  return absl::InvalidArgumentError(
      absl::StrFormat("%s %s: it must be 52 characters of z-base-32", what, text));
}

absl::StatusOr<CoreKey> ParseCoreKey(std::string_view text) {
  const std::optional<Bytes> bytes =
      text.size() == 2 * CoreKey::kSize ? FromHex(text) : FromZBase32(text);
  std::optional<CoreKey> key;
  if (bytes) key = CoreKey::From(*bytes);
  if (key) return *key;
  return absl::InvalidArgumentError(absl::StrFormat(
      "core key %s: it must be 64 hex digits or 52 characters of z-base-32", text));
}

OpName ToOpName(const OpId& id) {
  return {IdText(id.writer), id.position, id.op_index};
}

std::optional<OpId> ToOpId(const OpName& name) {
  const absl::StatusOr<CoreKey> writer = ParseId("writer", name.writer);
  if (!writer.ok()) return std::nullopt;
  return OpId{*writer, name.position, name.index};
}

Datum ToDatum(ValueView value) {
  switch (value.type) {
    case ValueType::kBool:
      return Datum::Bool(BoolOf(value));
    case ValueType::kInt64:
      return Datum::Integer(Int64Of(value));
    case ValueType::kFloat64:
      return Datum::Real(Float64Of(value));
    case ValueType::kText:
      return Datum::Of(AsText(value.bytes));
    case ValueType::kBytes:
      return Datum::Bytes(AsText(value.bytes));
    case ValueType::kNull:
    case ValueType::kBlobReference:
      break;
  }
  return Datum::Null();
}

Value ToValue(const Datum& datum) {
  switch (datum.type()) {
    case Datum::Type::kNull:
      break;
    case Datum::Type::kBool:
      return Value::Bool(datum.as_bool());
    case Datum::Type::kInteger:
      return Value::Int64(datum.as_integer());
    case Datum::Type::kReal:
      return Value::Float64(datum.as_real());
    case Datum::Type::kText:
      return Value::Text(datum.as_string());
    case Datum::Type::kBytes:
      return Value::Blob(AsBytes(datum.as_string()));
  }
  return Value::Null();
}

Entry ToEntry(const ViewEntry& view) {
  Entry entry;
  entry.key = view.key;
  entry.lanes = ToLanes(view.typed);
  entry.text = view.text;
  if (view.list) entry.list = DatumsOf(*view.list);
  entry.shown = LaneName(view.shown);
  if (view.value) {
    entry.value = ToRegister(*view.value);
    entry.deleted_concurrently = view.value->deleted_concurrently;
  }
  if (view.record) {
    entry.is_record = true;
    entry.deleted_concurrently |= view.record->deleted_concurrently;
    for (const auto& [column, cell] : view.record->cells) {
      entry.cells.emplace(column, ToRegister(cell));
    }
    for (const auto& [column, cell] : view.record->typed_cells) {
      entry.lane_cells.emplace(column, ToLanes(cell));
    }
  }
  return entry;
}

Fate ToFate(const OpFate& fate) {
  Fate result;
  result.kind = static_cast<FateKind>(fate.kind);  // the same kinds in the same order
  for (const OpId& op : fate.by) result.by.push_back(ToOpName(op));
  if (fate.kind == OpFateKind::kWaiting) {
    result.waiting_for =
        absl::StrFormat("%s:%d", IdText(fate.waiting_for), fate.waiting_length);
  }
  result.reason = fate.reason;
  return result;
}

Role ToRole(GrantRole role) {
  switch (role) {
    case GrantRole::kReader:
      return Role::kReader;
    case GrantRole::kModerated:
      return Role::kModerated;
    case GrantRole::kWriter:
      return Role::kWriter;
    case GrantRole::kModerator:
      return Role::kModerator;
    case GrantRole::kAdmin:
      return Role::kAdmin;
    case GrantRole::kFounder:
      return Role::kFounder;
  }
  return Role::kReader;
}

GrantRole ToGrantRole(Role role) {
  switch (role) {
    case Role::kReader:
      return GrantRole::kReader;
    case Role::kModerated:
      return GrantRole::kModerated;
    case Role::kWriter:
      return GrantRole::kWriter;
    case Role::kModerator:
      return GrantRole::kModerator;
    case Role::kAdmin:
      return GrantRole::kAdmin;
    case Role::kFounder:
      return GrantRole::kFounder;
  }
  return GrantRole::kReader;
}

absl::Status MayStand(const absl::Status& why) {
  return absl::Status(
      why.code(), absl::StrFormat("%s; what was written may stand: look before it is "
                                  "written again",
                                  std::string(why.message())));
}

Nanos ToNanos(std::chrono::milliseconds time) {
  constexpr std::chrono::milliseconds kCentury = std::chrono::hours(24 * 36525);
  return std::clamp(time, std::chrono::milliseconds(0), kCentury);
}

KeyRange ToKeyRange(const Range& range) {
  return {range.from, range.to, range.reverse, range.limit};
}

namespace {

Mutation::Kind ToKind(Batch::Change::Kind kind) {
  using From = Batch::Change::Kind;
  using To = Mutation::Kind;
  switch (kind) {
    case From::kPut:
      return To::kPut;
    case From::kDelete:
      return To::kDelete;
    case From::kSet:
      return To::kSet;
    case From::kUnset:
      return To::kUnset;
    case From::kErase:
      return To::kErase;
    case From::kIncrement:
      return To::kIncrement;
    case From::kReset:
      return To::kReset;
    case From::kAdd:
      return To::kAdd;
    case From::kRemove:
      return To::kRemove;
    case From::kMax:
      return To::kRaiseMax;
    case From::kMin:
      return To::kRaiseMin;
    case From::kEnable:
      return To::kEnable;
    case From::kDisable:
      return To::kDisable;
    case From::kInsertText:
      return To::kInsertText;
    case From::kDeleteText:
      return To::kCutText;
    case From::kInsertItem:
      return To::kInsertItem;
    case From::kDeleteItems:
      return To::kCutItems;
  }
  return To::kPut;
}

}  // namespace

std::vector<Mutation> ToMutations(const Batch& batch, std::vector<Value>& values) {
  std::size_t value_count = 0;
  for (const Batch::Change& change : batch.changes()) {
    value_count += 1 + change.cells.size();
  }
  values.clear();
  values.reserve(value_count);  // views into it must stay
  const auto keep = [&values](const Datum& datum) {
    values.push_back(ToValue(datum));
    return values.back().view();
  };
  std::vector<Mutation> mutations;
  mutations.reserve(batch.size());
  for (const Batch::Change& change : batch.changes()) {
    Mutation mutation;
    mutation.key = change.key;
    mutation.kind = ToKind(change.kind);
    mutation.value = keep(change.value);
    if (change.column) mutation.column = *change.column;
    mutation.number = change.number;
    mutation.index = change.position;
    mutation.count = change.count;
    mutation.disable_wins = change.wins;
    for (const auto& [column, datum] : change.cells) {
      mutation.cells.emplace_back(column, keep(datum));
    }
    mutations.push_back(std::move(mutation));
  }
  return mutations;
}

}  // namespace weft
