#include "crdt/view_leaf.h"

#include <algorithm>

#include "engine/trie.h"
#include "engine/trie_root.h"

namespace weft {
namespace {

constexpr std::uint8_t kInline = 0;
constexpr std::uint8_t kNested = 1;
constexpr std::uint8_t kRegisterRow = 1;
constexpr std::uint8_t kRecordRow = 2;
constexpr std::uint8_t kTypedRow = 4;
constexpr std::uint8_t kTextRow = 8;
constexpr std::uint8_t kListRow = 16;

std::unique_ptr<SequenceLane> CopyOf(const std::unique_ptr<SequenceLane>& lane) {
  return lane ? std::make_unique<SequenceLane>(*lane) : nullptr;
}

Hash32 NestedRoot(LaneItems items) {
  std::sort(items.begin(), items.end());
  std::vector<TrieItem> leaves;
  leaves.reserve(items.size());
  for (const auto& [key, state] : items) {
    leaves.push_back({key, NestedItemHash(key, state)});
  }
  return TrieRoot(leaves);
}

Hash32 RegisterRoot(const RegisterLane& lane, const WriterTable& writers) {
  LaneItems items;
  for (const LaneWrite& write : lane.writes()) {
    if (!write.is_set) continue;
    Bytes key;
    Bytes whole;
    Writer key_out(&key);
    Writer whole_out(&whole);
    WriteOpId(write.stamp.op, writers, key_out);
    WriteLive(write, writers, whole_out);
    whole.erase(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(key.size()));
    items.emplace_back(std::move(key), std::move(whole));
  }
  return NestedRoot(std::move(items));
}

Hash32 RecordRoot(const RecordLane& lane, const WriterTable& writers) {
  LaneItems items;
  for (const Stamp& present : lane.presence()) {
    Bytes key{0};
    Writer out(&key);
    WriteOpId(present.op, writers, out);
    items.emplace_back(std::move(key), Bytes());
  }
  for (const RecordLane::Column& column : lane.columns()) {
    const LaneMask typed = lane.TypedLanesOf(column);
    for (const Lane tag : kAllTypedLanes) {
      if ((typed & MaskOf(tag)) == 0) continue;
      Bytes key{2, static_cast<std::uint8_t>(tag)};
      Append(key, AsBytes(column.name));
      Bytes state;
      Writer out(&state);
      column.typed[0].WriteState(tag, lane.presence_count(), writers, out);
      items.emplace_back(std::move(key), std::move(state));
    }
    if (lane.Live(column, writers).empty()) continue;
    Bytes key{1};
    Append(key, AsBytes(column.name));
    Bytes state;
    Writer out(&state);
    lane.WriteColumn(column, writers, out);
    items.emplace_back(std::move(key), std::move(state));
  }
  return NestedRoot(std::move(items));
}

Hash32 FlagRoot(const FlagLane& lane, const WriterTable& writers) {
  LaneItems items;
  for (const FlagLane::Turn& turn : lane.turns()) {
    Bytes key;
    Writer out(&key);
    WriteOpId(turn.stamp.op, writers, out);
    items.emplace_back(std::move(key), Bytes{turn.flags});
  }
  return NestedRoot(std::move(items));
}

// `root` is asked only if the state is too long.
template <class Root>
void WriteLane(Lane tag, const Bytes& state, Root root, Writer& out) {
  out.U8(static_cast<std::uint8_t>(tag));
  if (state.size() <= kLaneInlineBytesMax) {
    out.U8(kInline);
    out.Buffer(state);
  } else {
    out.U8(kNested);
    out.Raw(root().view());
  }
}

// The states of max and min have eight bytes, that of a counter sixteen.
Hash32 TypedRoot(Lane tag, const TypedLanes& typed, const WriterTable& writers) {
  return tag == Lane::kFlag ? FlagRoot(*typed.flag, writers)
                            : NestedRoot(typed.set->Items(1, writers));
}

void WriteTypedLanes(const TypedLanes& typed, const WriterTable& writers, Writer& out) {
  const LaneMask lanes = typed.Readable(1);
  for (const Lane tag : kAllTypedLanes) {
    if ((lanes & MaskOf(tag)) == 0) continue;
    Bytes state;
    Writer state_out(&state);
    typed.WriteState(tag, 1, writers, state_out);
    WriteLane(
        tag, state, [&] { return TypedRoot(tag, typed, writers); }, out);
  }
}

// A long state is never written out to see how long it is.
void WriteSequence(Lane tag, const SequenceLane* lane, const WriterTable& writers,
                   Writer& out) {
  if (lane == nullptr || !lane->readable()) return;
  out.U8(static_cast<std::uint8_t>(tag));
  if (lane->StateSize(writers) > kLaneInlineBytesMax) {
    out.U8(kNested);
    out.Raw(lane->NestedRoot(writers).view());
    return;
  }
  Bytes state;
  Writer state_out(&state);
  lane->WriteState(writers, state_out);
  out.U8(kInline);
  out.Buffer(state);
}

ViewRegister ResolveWrites(const std::vector<const LaneWrite*>& live,
                           const WriterTable& writers, std::size_t siblings_max) {
  ViewRegister seen;
  seen.live_count = live.size();
  for (const LaneWrite* write : live) {
    if (seen.live.size() == siblings_max) break;
    const Stamp& stamp = write->stamp;
    seen.live.push_back(
        {write->value,
         {writers.key(stamp.op.writer), stamp.op.position, stamp.op.op_index},
         {stamp.hlc >> 16, static_cast<std::uint32_t>(stamp.hlc & 0xffff)}});
  }
  return seen;
}

// The larger of the two ties, of which either may be absent.
const Stamp* Newer(const Stamp* a, const Stamp* b, const WriterTable& writers) {
  if (!a || !b) return a ? a : b;
  return writers.TieLess(*a, *b) ? b : a;
}

ViewTyped ResolveTyped(const TypedLanes& typed, std::size_t presence) {
  ViewTyped seen;
  const LaneMask lanes = typed.Readable(presence);
  if ((lanes & MaskOf(Lane::kCounter)) != 0) {
    const Int128 sum = typed.counter->Sum(presence);
    seen.counter = {Saturated(sum), Decimal(sum)};
  }
  if ((lanes & MaskOf(Lane::kSet)) != 0) {
    seen.set.emplace();
    for (const std::string_view element : typed.set->Elements(presence)) {
      seen.set->emplace_back(element);
    }
  }
  if ((lanes & MaskOf(Lane::kMax)) != 0) seen.max = typed.max->Value(presence);
  if ((lanes & MaskOf(Lane::kMin)) != 0) seen.min = typed.min->Value(presence);
  if ((lanes & MaskOf(Lane::kFlag)) != 0) {
    seen.flag = {typed.flag->enabled(presence), typed.flag->has_conflict(presence)};
  }
  return seen;
}

const Stamp* NewestTyped(const TypedLanes& typed, std::size_t presence,
                         const WriterTable& writers) {
  const Stamp* newest = nullptr;
  for (const Lane lane : kAllTypedLanes) {
    newest = Newer(newest, typed.Newest(lane, presence, writers), writers);
  }
  return newest;
}

ViewRecord ResolveRecord(const RecordLane& lane, const WriterTable& writers,
                         std::size_t siblings_max, const Stamp** newest) {
  ViewRecord seen;
  seen.deleted_concurrently = lane.deleted_concurrently();
  for (const Stamp& present : lane.presence()) {
    seen.presence.push_back(
        {writers.key(present.op.writer), present.op.position, present.op.op_index});
    *newest = Newer(*newest, &present, writers);
  }
  std::sort(seen.presence.begin(), seen.presence.end());
  for (const RecordLane::Column& column : lane.columns()) {
    if (lane.TypedLanesOf(column) != 0) {
      const std::size_t presence = lane.presence_count();
      seen.typed_cells.emplace(column.name, ResolveTyped(column.typed[0], presence));
      *newest =
          Newer(*newest, NewestTyped(column.typed[0], presence, writers), writers);
    }
    const std::vector<const LaneWrite*> live = lane.Live(column, writers);
    if (live.empty()) continue;
    *newest = Newer(*newest, &live.front()->stamp, writers);
    ViewRegister cell = ResolveWrites(live, writers, siblings_max);
    cell.deleted_concurrently =
        std::any_of(column.cells.begin(), column.cells.end(),
                    [](const RecordLane::Cell& other) { return !other.write.is_set; });
    seen.cells.emplace(column.name, std::move(cell));
  }
  return seen;
}

}  // namespace

KeyState KeyState::Copy() const {
  std::unique_ptr<RecordLane> row;
  if (record) {
    row = std::make_unique<RecordLane>(*record);
    row->EndReplay();  // who has a copy only reads it
  }
  return {value,
          std::move(row),
          typed ? std::make_unique<TypedLanes>(*typed) : nullptr,
          CopyOf(text),
          CopyOf(list),
          last_op};
}

LaneMask KeyState::lanes() const {
  LaneMask mask = 0;
  if (value.readable()) mask |= MaskOf(Lane::kRegister);
  if (record && record->readable()) mask |= MaskOf(Lane::kRecord);
  if (typed) mask |= typed->Readable(1);
  if (text && text->readable()) mask |= MaskOf(Lane::kText);
  if (list && list->readable()) mask |= MaskOf(Lane::kList);
  return mask;
}

Bytes LeafLanesOf(const KeyState& state, const WriterTable& writers) {
  Bytes lanes;
  Writer out(&lanes);
  if (state.value.readable()) {
    Bytes bytes;
    Writer bytes_out(&bytes);
    state.value.WriteState(writers, bytes_out);
    const auto root = [&] { return RegisterRoot(state.value, writers); };
    WriteLane(Lane::kRegister, bytes, root, out);
  }
  if (state.record && state.record->readable()) {
    Bytes bytes;
    Writer bytes_out(&bytes);
    state.record->WriteState(writers, bytes_out);
    const auto root = [&] { return RecordRoot(*state.record, writers); };
    WriteLane(Lane::kRecord, bytes, root, out);
  }
  if (state.typed) WriteTypedLanes(*state.typed, writers, out);
  WriteSequence(Lane::kText, state.text.get(), writers, out);
  WriteSequence(Lane::kList, state.list.get(), writers, out);
  return lanes;
}

Bytes EncodeKeyState(const KeyState& state) {
  Bytes row;
  Writer out(&row);
  const bool has_value = !state.value.writes().empty();
  out.U8(static_cast<std::uint8_t>(
      (has_value ? kRegisterRow : 0) | (state.record ? kRecordRow : 0) |
      (state.typed ? kTypedRow : 0) | (state.text ? kTextRow : 0) |
      (state.list ? kListRow : 0)));
  out.Uint(state.last_op);
  if (has_value) state.value.Store(out);
  if (state.record) state.record->Store(out);
  if (state.typed) state.typed->Store(out);
  if (state.text) state.text->Store(out);
  if (state.list) state.list->Store(out);
  return row;
}

absl::StatusOr<KeyState> DecodeKeyState(ByteView row, std::size_t writers) {
  Reader in(row);
  KeyState state;
  const std::uint8_t lanes = in.U8();
  state.last_op = in.Uint();
  if ((lanes & kRegisterRow) != 0) state.value = RegisterLane::Read(writers, in);
  if ((lanes & kRecordRow) != 0) {
    state.record = std::make_unique<RecordLane>(RecordLane::Read(writers, in));
  }
  if ((lanes & kTypedRow) != 0) {
    state.typed = std::make_unique<TypedLanes>(TypedLanes::Read(writers, in));
  }
  if ((lanes & kTextRow) != 0) {
    state.text = std::make_unique<SequenceLane>(SequenceLane::Read(true, in));
  }
  if ((lanes & kListRow) != 0) {
    state.list = std::make_unique<SequenceLane>(SequenceLane::Read(false, in));
  }
  if (!in.ok() || !in.done())
    return absl::DataLossError("a row of the view is malformed");
  return state;
}

ViewEntry Resolve(std::string_view key, const KeyState& state,
                  const WriterTable& writers, std::size_t siblings_max) {
  ViewEntry entry;
  entry.key = std::string(key);
  const Stamp* newest = nullptr;
  if (state.value.readable()) {
    const std::vector<const LaneWrite*> live = state.value.Live(writers);
    newest = &live.front()->stamp;
    entry.value = ResolveWrites(live, writers, siblings_max);
    entry.value->deleted_concurrently = state.value.deleted_concurrently();
    entry.shown = Lane::kRegister;
  }
  if (state.record && state.record->readable()) {
    const Stamp* of_record = nullptr;
    entry.record = ResolveRecord(*state.record, writers, siblings_max, &of_record);
    if (Newer(newest, of_record, writers) == of_record) entry.shown = Lane::kRecord;
    newest = Newer(newest, of_record, writers);
  }
  if (state.typed) {
    entry.typed = ResolveTyped(*state.typed, 1);
    for (const Lane lane : kAllTypedLanes) {
      const Stamp* of_lane = state.typed->Newest(lane, 1, writers);
      if (of_lane == nullptr || Newer(newest, of_lane, writers) != of_lane) continue;
      newest = of_lane;
      entry.shown = lane;
    }
  }
  std::optional<Stamp> of_sequence;
  const auto show = [&](const SequenceLane& sequence, Lane lane) {
    const std::optional<Stamp> of_lane = sequence.Newest(writers);
    if (!of_lane || Newer(newest, &*of_lane, writers) != &*of_lane) return;
    of_sequence = of_lane;
    newest = &*of_sequence;
    entry.shown = lane;
  };
  if (state.text && state.text->readable()) {
    entry.text = state.text->Text(0, UINT64_MAX);
    show(*state.text, Lane::kText);
  }
  if (state.list && state.list->readable()) {
    entry.list = state.list->Values();
    show(*state.list, Lane::kList);
  }
  return entry;
}

bool ViewEntry::has_conflicts() const {
  if (value && value->live_count > 1) return true;
  if (typed.flag && typed.flag->in_conflict) return true;
  if (!record) return false;
  return std::any_of(record->cells.begin(), record->cells.end(),
                     [](const auto& cell) { return cell.second.live_count > 1; }) ||
         std::any_of(record->typed_cells.begin(), record->typed_cells.end(),
                     [](const auto& cell) {
                       return cell.second.flag && cell.second.flag->in_conflict;
                     });
}

}  // namespace weft
