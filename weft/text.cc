#include "weft/text.h"

#include <algorithm>
#include <charconv>

#include "absl/strings/str_format.h"
#include "crdt/lanes/sequence.h"
#include "weft/convert.h"
#include "weft/store_impl.h"

namespace weft {
namespace {

constexpr std::size_t kLinesCompared = 4'000'000;  // pairs
constexpr std::string_view kStartName = "start";

bool StartsCodePoint(char c) {
  return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
}

// The bytes that both begin with, whole code points.
std::size_t CommonStart(std::string_view a, std::string_view b) {
  std::size_t size = 0;
  while (size < a.size() && size < b.size() && a[size] == b[size]) ++size;
  const auto inside = [&](std::string_view text) {
    return size < text.size() && !StartsCodePoint(text[size]);
  };
  while (size > 0 && (inside(a) || inside(b))) --size;
  return size;
}

std::size_t CommonEnd(std::string_view a, std::string_view b) {
  std::size_t size = 0;
  while (size < a.size() && size < b.size() &&
         a[a.size() - 1 - size] == b[b.size() - 1 - size]) {
    ++size;
  }
  while (size > 0 && !StartsCodePoint(a[a.size() - size])) --size;
  return size;
}

std::vector<std::string_view> LinesOf(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::size_t size = end == text.npos ? text.size() : end + 1;
    lines.push_back(text.substr(0, size));
    text.remove_prefix(size);
  }
  return lines;
}

// One edit for what differs between two texts, after what they have in common at both
// ends; none if nothing does.
void AddEdit(std::string_view from, std::string_view to, std::uint64_t* position,
             std::vector<Text::Edit>* edits) {
  const std::size_t start = CommonStart(from, to);
  const std::string_view after_from = from.substr(start);
  const std::string_view after_to = to.substr(start);
  const std::size_t end = CommonEnd(after_from, after_to);
  Text::Edit edit;
  edit.position = *position + CodePoints(to.substr(0, start));
  edit.removed = CodePoints(after_from.substr(0, after_from.size() - end));
  edit.inserted = after_to.substr(0, after_to.size() - end);
  *position += CodePoints(to);
  if (edit.removed > 0 || !edit.inserted.empty()) edits->push_back(std::move(edit));
}

// By lines: the longest common subsequence stays, what lies between is edited.
void AddLineEdits(const std::vector<std::string_view>& a,
                  const std::vector<std::string_view>& b, std::uint64_t position,
                  std::vector<Text::Edit>* edits) {
  const std::size_t width = b.size() + 1;
  std::vector<std::uint32_t> common((a.size() + 1) * width, 0);
  for (std::size_t i = a.size(); i-- > 0;) {
    for (std::size_t j = b.size(); j-- > 0;) {
      common[i * width + j] = a[i] == b[j] ? common[(i + 1) * width + j + 1] + 1
                                           : std::max(common[(i + 1) * width + j],
                                                      common[i * width + j + 1]);
    }
  }
  std::string from;
  std::string to;
  const auto flush = [&] {
    AddEdit(from, to, &position, edits);
    from.clear();
    to.clear();
  };
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < a.size() || j < b.size()) {
    if (i < a.size() && j < b.size() && a[i] == b[j]) {
      flush();
      position += CodePoints(a[i]);
      ++i;
      ++j;
    } else if (j == b.size() || (i < a.size() && common[(i + 1) * width + j] >=
                                                     common[i * width + j + 1])) {
      from.append(a[i++]);
    } else {
      to.append(b[j++]);
    }
  }
  flush();
}

}  // namespace

std::vector<Text::Edit> EditsBetween(std::string_view from, std::string_view to) {
  std::vector<Text::Edit> edits;
  // Whole lines that both begin and end with.
  std::size_t start = CommonStart(from, to);
  start = from.substr(0, start).rfind('\n') + 1;  // 0 where there is none
  std::size_t end = CommonEnd(from.substr(start), to.substr(start));
  const std::size_t line_end = from.substr(from.size() - end).find('\n');
  end = line_end == from.npos ? 0 : end - line_end - 1;
  const std::string_view a = from.substr(start, from.size() - start - end);
  const std::string_view b = to.substr(start, to.size() - start - end);
  std::uint64_t position = CodePoints(from.substr(0, start));
  const std::vector<std::string_view> old_lines = LinesOf(a);
  const std::vector<std::string_view> new_lines = LinesOf(b);
  if ((old_lines.size() + 1) * (new_lines.size() + 1) <= kLinesCompared) {
    AddLineEdits(old_lines, new_lines, position, &edits);
  } else {
    AddEdit(a, b, &position, &edits);
  }
  return edits;
}

absl::StatusOr<OpName> Text::Insert(std::uint64_t position, std::string_view utf8) {
  Batch batch;
  batch.InsertText(key_, position, utf8);
  absl::StatusOr<Committed> committed = base_.Commit(batch);
  if (!committed.ok()) return committed.status();
  return committed->ops.front();
}

absl::StatusOr<OpName> Text::Append(std::string_view utf8) {
  return Insert(Batch::kAtEnd, utf8);
}

absl::StatusOr<OpName> Text::Delete(std::uint64_t position, std::uint64_t count) {
  Batch batch;
  batch.DeleteText(key_, position, count);
  absl::StatusOr<Committed> committed = base_.Commit(batch);
  if (!committed.ok()) return committed.status();
  return committed->ops.front();
}

absl::StatusOr<std::vector<OpName>> Text::Replace(std::string_view utf8) {
  if (!IsUtf8(AsBytes(utf8))) {
    return absl::InvalidArgumentError(
        absl::StrFormat("key %s: the text is not UTF-8", key_));
  }
  const absl::StatusOr<std::string> seen = Read();
  if (!seen.ok()) return seen.status();
  Batch batch = MakeEdits(EditsBetween(*seen, utf8));
  if (batch.empty()) return std::vector<OpName>();
  // Positions are those of the moment: of what others typed since then the edits are
  // made anew, where nothing comes between reading and writing.
  absl::StatusOr<Committed> committed = base_.impl_->store->CommitDurably(
      base_.impl_->node, [&]() -> absl::StatusOr<Committed> {
        WEFT_ASSIGN_OR_RETURN(const std::string now, Read());
        if (now != *seen) batch = MakeEdits(EditsBetween(now, utf8));
        if (batch.empty()) return Committed();
        return base_.impl_->node->CommitLogged(batch);
      });
  if (!committed.ok()) return committed.status();
  return committed->ops;
}

Batch Text::MakeEdits(const std::vector<Edit>& edits) const {
  Batch batch;
  for (const Edit& edit : edits) {
    if (edit.removed > 0) batch.DeleteText(key_, edit.position, edit.removed);
    // An op holds so much.
    constexpr std::size_t kPieceMax = 65'536;
    std::uint64_t position = edit.position;
    std::string_view rest = edit.inserted;
    while (!rest.empty()) {
      std::size_t size = std::min(rest.size(), kPieceMax);
      while (size < rest.size() && !StartsCodePoint(rest[size])) --size;
      batch.InsertText(key_, position, rest.substr(0, size));
      position += CodePoints(rest.substr(0, size));
      rest.remove_prefix(size);
    }
  }
  return batch;
}

absl::StatusOr<std::string> Text::Read(std::uint64_t from, std::uint64_t count) const {
  std::string text;
  const Indexer* const reader = base_.impl_->node->reader();
  if (reader == nullptr) return text;
  WEFT_RETURN_IF_ERROR(reader->ReadSequence(
      key_, Lane::kText,
      [&](const SequenceLane& lane) { text = lane.Text(from, count); }));
  return text;
}

absl::StatusOr<std::uint64_t> Text::Length() const {
  std::uint64_t length = 0;
  const Indexer* const reader = base_.impl_->node->reader();
  if (reader == nullptr) return length;
  WEFT_RETURN_IF_ERROR(reader->ReadSequence(
      key_, Lane::kText, [&](const SequenceLane& lane) { length = lane.length(); }));
  return length;
}

absl::StatusOr<Text::Cursor> Text::CursorAt(std::uint64_t position) const {
  Cursor cursor;
  if (position == 0) return cursor;
  bool found = false;
  if (const Indexer* const reader = base_.impl_->node->reader()) {
    WEFT_RETURN_IF_ERROR(
        reader->ReadSequence(key_, Lane::kText, [&](const SequenceLane& lane) {
          if (position > lane.length()) return;
          const NamedElement name = lane.NameOf(lane.At(position - 1));
          cursor.name = absl::StrFormat(
              "%s/%d", ToOpName(reader->NameOf(name.op)).ToText(), name.offset);
          found = true;
        }));
  }
  if (found) return cursor;
  return absl::OutOfRangeError(
      absl::StrFormat("key %s: position %d is beyond the end", key_, position));
}

absl::StatusOr<std::uint64_t> Text::PositionOf(const Cursor& cursor) const {
  if (cursor.name == kStartName) return 0;
  const absl::Status unknown = absl::NotFoundError(
      absl::StrFormat("key %s: no character %s", key_, cursor.name));
  const std::size_t slash = cursor.name.find('/');
  if (slash == cursor.name.npos) return unknown;
  const auto name = OpName::Parse(std::string_view(cursor.name).substr(0, slash));
  const auto op = name ? ToOpId(*name) : std::nullopt;
  std::uint64_t offset = 0;
  const char* const end = cursor.name.data() + cursor.name.size();
  const auto [rest, error] =
      std::from_chars(cursor.name.data() + slash + 1, end, offset);
  const Indexer* const reader = base_.impl_->node->reader();
  if (!op || error != std::errc() || rest != end || reader == nullptr) return unknown;
  std::optional<std::uint64_t> position;
  WEFT_RETURN_IF_ERROR(
      reader->ReadSequence(key_, Lane::kText, [&](const SequenceLane& lane) {
        const std::optional<LocalOp> local = reader->LocalOf(*op);
        const auto element = local ? lane.FindElement(*local, offset) : std::nullopt;
        if (!element) return;
        position = lane.LiveBefore(*element) + (lane.is_dead(*element) ? 0 : 1);
      }));
  if (!position) return unknown;
  return *position;
}

std::shared_ptr<void> Text::Watch(std::function<void(const Edit&)> callback) {
  Range range;
  range.from = key_;
  range.to = key_ + '\0';
  return base_.Watch(range, [callback = std::move(callback)](
                                const std::vector<Change>& changes) {
    for (const Change& change : changes) {
      const std::string none;
      const auto text = [&](const std::optional<Entry>& entry) -> const std::string& {
        return entry && entry->text ? *entry->text : none;
      };
      std::vector<Edit> edits;
      std::uint64_t position = 0;
      AddEdit(text(change.before), text(change.after), &position, &edits);
      for (const Edit& edit : edits) callback(edit);
    }
  });
}

}  // namespace weft
