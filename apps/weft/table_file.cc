#include "apps/weft/table_file.h"

#include <algorithm>
#include <set>
#include <unordered_map>

#include "absl/strings/str_format.h"
#include "apps/weft/csv.h"
#include "apps/weft/json.h"
#include "crdt/limits.h"
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
    const auto [first, is_new] = lines_.emplace(row.key, row.line);
    if (is_new) return absl::OkStatus();
    return At(row.line, "the key '%s' is on line %d already", row.key, first->second);
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
  std::unordered_map<std::string, std::uint64_t> lines_;
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
  for (const std::string& column : header.fields) {
    if (column.empty()) return At(header.line, "a column has no name");
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

absl::StatusOr<Table> ReadSeparated(std::string_view text, CsvDialect dialect,
                                    std::string_view name, std::string_view key) {
  CsvReader reader(text, dialect);
  CsvRow header;
  WEFT_ASSIGN_OR_RETURN(const bool has_header, reader.Next(header));
  if (!has_header) return At(1, "there is no header");
  WEFT_ASSIGN_OR_RETURN(const std::size_t key_place, CheckHeader(header, key));
  Table table{.key_column = header.fields[key_place], .rows = {}};
  RowChecker checker(name);
  CsvRow row;
  for (;;) {
    WEFT_ASSIGN_OR_RETURN(const bool more, reader.Next(row));
    if (!more) return table;
    if (row.fields.size() != header.fields.size()) {
      return At(row.line, "%d fields where the header has %d", row.fields.size(),
                header.fields.size());
    }
    TableRow& made = table.rows.emplace_back();
    made.line = row.line;
    made.key = row.fields[key_place];
    for (std::size_t i = 0; i < row.fields.size(); ++i) {
      made.cells.emplace_back(header.fields[i], Datum::Of(row.fields[i]));
    }
    WEFT_RETURN_IF_ERROR(checker.Check(made));
  }
}

absl::Status ReadObject(std::string_view line, Table& table, TableRow& row) {
  auto object = ParseObject(line);
  if (!object.ok()) return At(row.line, "%s", ToStd(object.status().message()));
  if (object->empty()) return At(row.line, "an empty object");
  if (table.key_column.empty()) table.key_column = object->begin().key();
  const auto key = object->find(table.key_column);
  if (key == object->end()) {
    return At(row.line, "there is no member '%s' to be the key", table.key_column);
  }
  for (const auto& [column, value] : object->items()) {
    auto datum = DatumOf(value);
    if (!datum.ok()) {
      return At(row.line, "'%s': %s", column, ToStd(datum.status().message()));
    }
    if (column == table.key_column) row.key = datum->ToText();
    row.cells.emplace_back(column, *std::move(datum));
  }
  return absl::OkStatus();
}

absl::StatusOr<Table> ReadObjects(std::string_view text, std::string_view name,
                                  std::string_view key) {
  Table table{.key_column = std::string(key), .rows = {}};
  RowChecker checker(name);
  for (std::uint64_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    TableRow& row = table.rows.emplace_back();
    row.line = number;
    WEFT_RETURN_IF_ERROR(ReadObject(line, table, row));
    WEFT_RETURN_IF_ERROR(checker.Check(row));
  }
  return table;
}

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

absl::StatusOr<Table> ReadTable(std::string_view text, TableFormat format,
                                std::string_view name, std::string_view key_column) {
  WEFT_RETURN_IF_ERROR(CheckUtf8(text));
  absl::StatusOr<Table> table =
      format == TableFormat::kNdjson ? ReadObjects(text, name, key_column)
      : format == TableFormat::kTsv  ? ReadSeparated(text, kTabs, name, key_column)
                                     : ReadSeparated(text, {}, name, key_column);
  if (table.ok() && table->rows.empty()) return At(1, "there are no rows");
  return table;
}

}  // namespace weft::cli
