#include "apps/weft/table_file.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <set>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_format.h"
#include "apps/weft/csv.h"
#include "apps/weft/json.h"
#include "crdt/limits.h"
#include "engine/crypto.h"
#include "engine/status.h"
#include "engine/text.h"

namespace weft::cli {
namespace {

template <class... Parts>
absl::Status At(std::uint64_t line, const absl::FormatSpec<Parts...>& format,
                const Parts&... parts) {
  return absl::InvalidArgumentError(
      absl::StrFormat("line %d: %s", line, absl::StrFormat(format, parts...)));
}

// What is true of a row in every format.
class RowChecker {
 public:
  explicit RowChecker(std::string_view table) : table_(table) {}

  absl::Status Check(const TableRow& row) {
    if (row.key.empty()) return At(row.line, "the key column is empty");
    if (table_.size() + 1 + row.key.size() > limits_.key_bytes) {
      return At(row.line, "the key has %d bytes with the table's name; at most %d",
                table_.size() + 1 + row.key.size(), limits_.key_bytes);
    }
    if (row.cells.size() > limits_.cells_per_op) {
      return At(row.line, "%d columns; at most %d", row.cells.size(),
                limits_.cells_per_op);
    }
    for (const auto& [column, value] : row.cells) {
      WEFT_RETURN_IF_ERROR(CheckCell(row.line, column, value));
    }
    if (BatchBytesOf(row) > kRowBytesMax) {
      return At(row.line,
                "the row has %d bytes with what it takes in a block; at most %d",
                BatchBytesOf(row), kRowBytesMax);
    }
    return absl::OkStatus();
  }

 private:
  absl::Status CheckCell(std::uint64_t line, const std::string& column,
                         const Datum& value) const {
    if (column.empty()) return At(line, "a column has no name");
    if (column.size() > limits_.column_bytes) {
      return At(line, "the column '%s' has a name of %d bytes; at most %d", column,
                column.size(), limits_.column_bytes);
    }
    if (value.as_string().size() > limits_.value_bytes) {
      return At(line, "the column '%s' has a value of %d bytes; at most %d", column,
                value.as_string().size(), limits_.value_bytes);
    }
    return absl::OkStatus();
  }

  std::string_view table_;
  Limits limits_;
};

absl::Status CheckUtf8(std::string_view text) {
  if (IsUtf8(text)) return absl::OkStatus();
  std::uint64_t number = 1;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    if (!IsUtf8(text.substr(0, end))) break;
    text.remove_prefix(std::min(end + 1, text.size()));
    ++number;
  }
  return At(number, "not UTF-8");
}

// The place of the key column in a header that has been checked.
absl::StatusOr<std::size_t> CheckHeader(const CsvRow& header, std::string_view key) {
  std::set<std::string_view> seen;
  const bool first_is_key = key.empty() || key == header.fields[0];
  for (std::size_t i = 0; i < header.fields.size(); ++i) {
    const std::string& column = header.fields[i];
    if (column.empty() && (i > 0 || !first_is_key)) {
      return At(header.line, "a column has no name");
    }
    if (!seen.insert(column).second) {
      return At(header.line, "the column '%s' is there twice", column);
    }
  }
  if (key.empty()) return 0;
  const auto found = std::find(header.fields.begin(), header.fields.end(), key);
  if (found == header.fields.end()) {
    return At(header.line, "there is no column '%s' to be the key", key);
  }
  return static_cast<std::size_t>(found - header.fields.begin());
}

class SeparatedReader final : public TableReader {
 public:
  SeparatedReader(std::string_view text, CsvDialect dialect, std::string_view name)
      : reader_(text, dialect), checker_(name) {}

  absl::Status ReadHeader(std::string_view key) {
    WEFT_ASSIGN_OR_RETURN(const bool has_header, reader_.Next(header_));
    if (!has_header) return At(1, "there is no header");
    WEFT_ASSIGN_OR_RETURN(key_place_, CheckHeader(header_, key));
    return absl::OkStatus();
  }

  absl::StatusOr<bool> Next(TableRow& row) override {
    WEFT_ASSIGN_OR_RETURN(const bool more, reader_.Next(fields_));
    if (!more) return false;
    if (fields_.fields.size() != header_.fields.size()) {
      return At(fields_.line, "%d fields where the header has %d",
                fields_.fields.size(), header_.fields.size());
    }
    row.line = fields_.line;
    row.key = fields_.fields[key_place_];
    row.cells.clear();
    row.empty.clear();
    for (std::size_t i = 0; i < fields_.fields.size(); ++i) {
      const std::string& column = header_.fields[i];
      if (column.empty()) continue;
      if (fields_.fields[i].empty() && !fields_.quoted[i]) {
        row.empty.push_back(column);
      } else {
        row.cells.emplace_back(column, Datum::Of(fields_.fields[i]));
      }
    }
    WEFT_RETURN_IF_ERROR(checker_.Check(row));
    return true;
  }

  std::size_t offset() const override { return reader_.offset(); }

 private:
  CsvReader reader_;
  RowChecker checker_;
  CsvRow header_;
  CsvRow fields_;
  std::size_t key_place_ = 0;
};

class ObjectReader final : public TableReader {
 public:
  ObjectReader(std::string_view text, std::string_view name, std::string_view key)
      : text_(text), checker_(name), key_column_(key) {}

  absl::StatusOr<bool> Next(TableRow& row) override {
    while (at_ < text_.size()) {
      const std::size_t end = std::min(text_.find('\n', at_), text_.size());
      std::string_view line = text_.substr(at_, end - at_);
      if (at_ == 0 && line.starts_with("\xef\xbb\xbf")) line.remove_prefix(3);
      at_ = std::min(end + 1, text_.size());
      ++line_;
      if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
      row.line = line_;
      row.cells.clear();
      row.empty.clear();
      WEFT_RETURN_IF_ERROR(ReadObject(line, row));
      WEFT_RETURN_IF_ERROR(checker_.Check(row));
      return true;
    }
    return false;
  }

  std::size_t offset() const override { return at_; }

 private:
  absl::Status ReadObject(std::string_view line, TableRow& row) {
    // The escapes of JSON can make a line six times as long as what it says.
    if (line.size() > 6 * kRowBytesMax) return At(row.line, "the line is too long");
    auto object = ParseObject(line);
    if (!object.ok()) return At(row.line, "%s", ToStd(object.status().message()));
    if (object->empty()) return At(row.line, "an empty object");
    if (!std::exchange(key_known_, true) && key_column_.empty()) {
      key_column_ = object->begin().key();
    }
    const auto key = object->find(key_column_);
    if (key == object->end()) {
      return At(row.line, "there is no member '%s' to be the key", key_column_);
    }
    for (const auto& [column, value] : object->items()) {
      auto datum = DatumOf(value);
      if (!datum.ok()) {
        return At(row.line, "'%s': %s", column, ToStd(datum.status().message()));
      }
      if (column == key_column_) row.key = datum->ToText();
      if (column == key_column_ && column.empty()) continue;
      row.cells.emplace_back(column, *std::move(datum));
    }
    return absl::OkStatus();
  }

  std::string_view text_;
  RowChecker checker_;
  std::string key_column_;
  bool key_known_ = false;  // the first row has told which, if nobody else
  std::size_t at_ = 0;
  std::uint64_t line_ = 0;
};

// Finds keys that are there twice in memory that does not grow: it remembers the keys
// of one share of all hashes, and halves the share whenever that gets too large.
// Further passes look at the other shares.
class DuplicateFinder {
 public:
  explicit DuplicateFinder(std::size_t keys_at_once) : keys_at_once_(keys_at_once) {}

  // The line the key was on before, if it was seen in this pass.
  std::optional<std::uint64_t> See(std::string_view key, std::uint64_t line) {
    const Hash32 hash = Blake2b256(AsBytes(key));
    KeyHash shorter;
    std::memcpy(shorter.data(), hash.data(), sizeof(shorter));
    if (shorter[0] % shares_ != share_) return std::nullopt;
    const auto [found, is_new] = lines_.try_emplace(shorter, line);
    if (!is_new) return found->second;
    // Only in the first pass, whose share is 0, so that none is ever left out.
    while (lines_.size() > keys_at_once_ && share_ == 0) Halve();
    return std::nullopt;
  }

  // False when every share has been looked at.
  bool NextShare() {
    lines_.clear();
    return ++share_ < shares_;
  }

 private:
  using KeyHash = std::array<std::uint64_t, 2>;

  void Halve() {
    shares_ *= 2;
    absl::erase_if(lines_,
                   [this](const auto& seen) { return seen.first[0] % shares_ != 0; });
  }

  const std::size_t keys_at_once_;
  std::uint64_t shares_ = 1;
  std::uint64_t share_ = 0;
  absl::flat_hash_map<KeyHash, std::uint64_t> lines_;
};

}  // namespace

std::optional<TableFormat> ParseTableFormat(std::string_view name) {
  if (name == "csv") return TableFormat::kCsv;
  if (name == "tsv") return TableFormat::kTsv;
  if (name == "ndjson") return TableFormat::kNdjson;
  return std::nullopt;
}

TableFormat FormatOfPath(std::string_view path) {
  if (path.ends_with(".tsv") || path.ends_with(".tab")) return TableFormat::kTsv;
  if (path.ends_with(".ndjson") || path.ends_with(".jsonl")) {
    return TableFormat::kNdjson;
  }
  return TableFormat::kCsv;
}

absl::StatusOr<std::unique_ptr<TableReader>> TableReader::Open(
    std::string_view text, TableFormat format, std::string_view name,
    std::string_view key_column) {
  if (format == TableFormat::kNdjson) {
    return std::make_unique<ObjectReader>(text, name, key_column);
  }
  const CsvDialect dialect = format == TableFormat::kTsv ? kTabs : CsvDialect{};
  auto reader = std::make_unique<SeparatedReader>(text, dialect, name);
  WEFT_RETURN_IF_ERROR(reader->ReadHeader(key_column));
  return reader;
}

std::uint64_t BatchBytesOf(const TableRow& row) {
  std::uint64_t bytes = row.key.size() + 64;
  for (const auto& [column, value] : row.cells) {
    bytes += value.as_string().size() + 24;
  }
  for (const std::string& column : row.empty) bytes += column.size() + 8;
  return bytes;
}

absl::StatusOr<TableCheck> CheckTable(
    std::string_view text, TableFormat format, std::string_view name,
    std::string_view key_column, std::size_t keys_at_once,
    const std::function<void(std::size_t)>& progress) {
  WEFT_RETURN_IF_ERROR(CheckUtf8(text));
  DuplicateFinder duplicates(keys_at_once);
  TableCheck check;
  TableRow row;
  do {
    check = {};
    WEFT_ASSIGN_OR_RETURN(const auto reader,
                          TableReader::Open(text, format, name, key_column));
    for (;;) {
      WEFT_ASSIGN_OR_RETURN(const bool more, reader->Next(row));
      if (!more) break;
      if (const auto line = duplicates.See(row.key, row.line)) {
        return At(row.line, "the key '%s' is on line %d already", row.key, *line);
      }
      ++check.rows;
      check.bytes += BatchBytesOf(row);
      if (progress) progress(reader->offset());
    }
  } while (duplicates.NextShare());
  if (check.rows == 0) return At(1, "there are no rows");
  return check;
}

}  // namespace weft::cli
