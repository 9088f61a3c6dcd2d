// A table as a file: CSV, TSV or NDJSON. Everything is checked before anything is
// written, and every fault is one line with the number of the line it is on.
//
// The first line of CSV and TSV names the columns. A line of NDJSON is one object,
// column to value. Each row is keyed by one of its columns, by default the first.

#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "weft/value.h"

namespace weft::cli {

enum class TableFormat { kCsv, kTsv, kNdjson };
// By name: csv, tsv or ndjson.
std::optional<TableFormat> ParseTableFormat(std::string_view name);
// By the end of the file's name; CSV if that says nothing.
TableFormat FormatOfPath(std::string_view path);

struct TableRow {
  std::uint64_t line = 0;
  std::string key;                                   // the value of the key column
  std::vector<std::pair<std::string, Datum>> cells;  // the key column's too
};

struct Table {
  std::string key_column;
  std::vector<TableRow> rows;
};

// `key_column` empty: the first. `name` is that of the table, for the limit on keys.
// INVALID_ARGUMENT  "line N: .."
//   not UTF-8, a ragged row, a broken quote, not JSON, no rows, a column without a name
//   or twice, no key column, an empty key or one that is there twice, a key, column or
//   value over its limit
absl::StatusOr<Table> ReadTable(std::string_view text, TableFormat format,
                                std::string_view name, std::string_view key_column);

}  // namespace weft::cli
