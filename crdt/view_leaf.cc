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

using Items = std::vector<std::pair<Bytes, Bytes>>;

Hash32 NestedRoot(Items items) {
  std::sort(items.begin(), items.end());
  std::vector<TrieItem> leaves;
  leaves.reserve(items.size());
  for (const auto& [key, state] : items) {
    leaves.push_back({key, NestedItemHash(key, state)});
  }
  return TrieRoot(leaves);
}

Hash32 RegisterRoot(const RegisterLane& lane, const WriterTable& writers) {
  Items items;
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
  Items items;
  for (const Stamp& present : lane.presence()) {
    Bytes key{0};
    Writer out(&key);
    WriteOpId(present.op, writers, out);
    items.emplace_back(std::move(key), Bytes());
  }
  for (const RecordLane::Column& column : lane.columns()) {
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

template <class L, class Root>
void WriteLane(Lane tag, const L& lane, const WriterTable& writers, Root root,
               Writer& out) {
  Bytes state;
  Writer state_out(&state);
  lane.WriteState(writers, state_out);
  out.U8(static_cast<std::uint8_t>(tag));
  if (state.size() <= kLaneInlineBytesMax) {
    out.U8(kInline);
    out.Buffer(state);
  } else {
    out.U8(kNested);
    out.Raw(root(lane, writers).view());
  }
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
  return {value, record ? std::make_unique<RecordLane>(*record) : nullptr, last_op};
}

LaneMask KeyState::lanes() const {
  LaneMask mask = 0;
  if (value.readable()) mask |= MaskOf(Lane::kRegister);
  if (record && record->readable()) mask |= MaskOf(Lane::kRecord);
  return mask;
}

Bytes LeafLanesOf(const KeyState& state, const WriterTable& writers) {
  Bytes lanes;
  Writer out(&lanes);
  if (state.value.readable()) {
    WriteLane(Lane::kRegister, state.value, writers, RegisterRoot, out);
  }
  if (state.record && state.record->readable()) {
    WriteLane(Lane::kRecord, *state.record, writers, RecordRoot, out);
  }
  return lanes;
}

Bytes EncodeKeyState(const KeyState& state) {
  Bytes row;
  Writer out(&row);
  const bool has_value = !state.value.writes().empty();
  out.U8(static_cast<std::uint8_t>((has_value ? kRegisterRow : 0) |
                                   (state.record ? kRecordRow : 0)));
  out.Uint(state.last_op);
  if (has_value) state.value.Store(out);
  if (state.record) state.record->Store(out);
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
  }
  return entry;
}

bool ViewEntry::has_conflicts() const {
  if (value && value->live_count > 1) return true;
  if (!record) return false;
  return std::any_of(record->cells.begin(), record->cells.end(),
                     [](const auto& cell) { return cell.second.live_count > 1; });
}

}  // namespace weft
