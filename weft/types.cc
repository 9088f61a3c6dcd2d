#include "weft/types.h"

#include <charconv>

#include "absl/strings/str_format.h"
#include "crdt/fate.h"
#include "engine/bytes.h"
#include "query/key_range.h"

namespace weft {
namespace {

constexpr std::size_t kIdCharacters = 52;  // 32 bytes in z-base-32

// A decimal number without sign that fills the whole text.
template <class T>
bool ParseNumber(std::string_view text, T* value) {
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, *value);
  return error == std::errc() && rest == end && !text.empty();
}

}  // namespace

std::string OpName::ToText() const {
  return absl::StrFormat("%s:%d.%d", writer, position, index);
}

std::optional<OpName> OpName::Parse(std::string_view text) {
  const std::size_t colon = text.find(':');
  const std::size_t dot = text.find('.', colon == text.npos ? 0 : colon);
  if (colon != kIdCharacters || dot == text.npos) return std::nullopt;
  OpName op;
  op.writer = text.substr(0, colon);
  const std::optional<Bytes> key = FromZBase32(op.writer);
  if (!key || key->size() != 32 ||
      !ParseNumber(text.substr(colon + 1, dot - colon - 1), &op.position) ||
      !ParseNumber(text.substr(dot + 1), &op.index)) {
    return std::nullopt;
  }
  return op;
}

bool Entry::has_conflicts() const {
  if (value && !value->conflicts.empty()) return true;
  for (const auto& [column, cell] : cells) {
    if (!cell.conflicts.empty()) return true;
  }
  for (const auto& [column, cell] : lane_cells) {
    if (cell.flag_in_conflict) return true;
  }
  return lanes.flag_in_conflict;
}

Entry Entry::As(Reading reading) const {
  Entry entry = *this;
  if (reading == Reading::kAllValues) return entry;
  if (entry.value) entry.value->conflicts.clear();
  for (auto& [column, cell] : entry.cells) cell.conflicts.clear();
  for (auto& [column, cell] : entry.lane_cells) cell.flag_in_conflict = false;
  entry.lanes.flag_in_conflict = false;
  return entry;
}

Range Prefix(std::string_view prefix) {
  const KeyRange keys = PrefixRange(prefix);
  return {keys.from, keys.to, false, UINT64_MAX};
}

Range All() {
  return {};
}

void Batch::Put(std::string_view key, const Datum& value) {
  changes_.push_back({Change::Kind::kPut, std::string(key), value, {}});
}

void Batch::Delete(std::string_view key) {
  changes_.push_back({Change::Kind::kDelete, std::string(key), {}, {}});
}

void Batch::Set(std::string_view table_key,
                std::vector<std::pair<std::string, Datum>> cells) {
  changes_.push_back(
      {Change::Kind::kSet, std::string(table_key), {}, std::move(cells)});
}

void Batch::Unset(std::string_view table_key, std::vector<std::string> columns) {
  Change change{Change::Kind::kUnset, std::string(table_key), {}, {}};
  for (std::string& column : columns) {
    change.cells.emplace_back(std::move(column), Datum());
  }
  changes_.push_back(std::move(change));
}

void Batch::Erase(std::string_view table_key) {
  changes_.push_back({Change::Kind::kErase, std::string(table_key), {}, {}});
}

Batch::Change& Batch::Added(Change::Kind kind, std::string_view key, Column column) {
  Change change{kind, std::string(key), {}, {}};
  change.column = std::move(column);
  changes_.push_back(std::move(change));
  return changes_.back();
}

void Batch::Increment(std::string_view key, std::int64_t by, Column column) {
  Added(Change::Kind::kIncrement, key, std::move(column)).number = by;
}

void Batch::Reset(std::string_view key, Column column) {
  Added(Change::Kind::kReset, key, std::move(column));
}

void Batch::Add(std::string_view key, const Datum& element, Column column) {
  Added(Change::Kind::kAdd, key, std::move(column)).value = element;
}

void Batch::Remove(std::string_view key, const Datum& element, Column column) {
  Added(Change::Kind::kRemove, key, std::move(column)).value = element;
}

void Batch::Max(std::string_view key, std::int64_t value, Column column) {
  Added(Change::Kind::kMax, key, std::move(column)).number = value;
}

void Batch::Min(std::string_view key, std::int64_t value, Column column) {
  Added(Change::Kind::kMin, key, std::move(column)).number = value;
}

void Batch::Enable(std::string_view key, Column column) {
  Added(Change::Kind::kEnable, key, std::move(column));
}

void Batch::Disable(std::string_view key, bool wins, Column column) {
  Added(Change::Kind::kDisable, key, std::move(column)).wins = wins;
}

void Batch::InsertText(std::string_view key, std::uint64_t position,
                       std::string_view utf8) {
  Change& change = Added(Change::Kind::kInsertText, key, {});
  change.value = Datum::Of(utf8);
  change.position = position;
}

void Batch::DeleteText(std::string_view key, std::uint64_t position,
                       std::uint64_t count) {
  Change& change = Added(Change::Kind::kDeleteText, key, {});
  change.position = position;
  change.count = count;
}

void Batch::InsertItem(std::string_view key, std::uint64_t position,
                       const Datum& item) {
  Change& change = Added(Change::Kind::kInsertItem, key, {});
  change.value = item;
  change.position = position;
}

void Batch::DeleteItems(std::string_view key, std::uint64_t position,
                        std::uint64_t count) {
  Change& change = Added(Change::Kind::kDeleteItems, key, {});
  change.position = position;
  change.count = count;
}

std::string_view RoleName(Role role) {
  switch (role) {
    case Role::kReader:
      return "reader";
    case Role::kModerated:
      return "moderated";
    case Role::kWriter:
      return "writer";
    case Role::kModerator:
      return "moderator";
    case Role::kAdmin:
      return "admin";
    case Role::kFounder:
      return "founder";
  }
  return "unknown";
}

std::optional<Role> ParseRole(std::string_view name) {
  if (name == "reader") return Role::kReader;
  if (name == "moderated") return Role::kModerated;
  if (name == "writer") return Role::kWriter;
  if (name == "moderator") return Role::kModerator;
  if (name == "admin") return Role::kAdmin;
  return std::nullopt;
}

std::string_view FateName(FateKind kind) {
  static_assert(static_cast<int>(FateKind::kUnknown) ==
                static_cast<int>(OpFateKind::kUnknown));
  return FateText(static_cast<OpFateKind>(kind));
}

}  // namespace weft
