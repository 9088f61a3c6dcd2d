// A table as a file: CSV, TSV or NDJSON, read row by row in memory that does not grow
// with the file. Every fault is one line with the number of the line it is on.
//
// The first line of CSV and TSV names the columns. A line of NDJSON is one object,
// column to value. Each row is keyed by one of its columns, by default the first. A key
// column whose name is empty is the key and no cell. A field of CSV or TSV that is
// empty and not quoted is a cell that is not there; "" in quotes is an empty text.

#pragma once

#include <functional>
#include <memory>
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
  std::vector<std::string> empty;                    // columns without a cell
};

class TableReader {
 public:
  virtual ~TableReader() = default;

  // `text` and `name`, that of the table, must outlive the reader. `key_column` empty:
  // the first. Reads the header.
  // INVALID_ARGUMENT  "line N: .."  no header, a column without a name or twice, no key
  //                   column
  static absl::StatusOr<std::unique_ptr<TableReader>> Open(std::string_view text,
                                                           TableFormat format,
                                                           std::string_view name,
                                                           std::string_view key_column);

  // False at the end.
  // INVALID_ARGUMENT  "line N: .."
  //   not UTF-8, a ragged row, a broken quote, not JSON, no key column, an empty key, a
  //   key, column, value or row over its limit
  virtual absl::StatusOr<bool> Next(TableRow& row) = 0;

  // Where in the text the reader is.
  virtual std::size_t offset() const = 0;
};

struct TableCheck {
  std::uint64_t rows = 0;
  std::uint64_t bytes = 0;  // that the rows take in a batch, an upper estimate
};
// What a row takes in a batch, an upper estimate.
std::uint64_t BatchBytesOf(const TableRow& row);

// Reads the whole table and finds what no single row shows: no rows, or a key that is
// there twice. It remembers at most `keys_at_once` keys (by hash) and reads the text
// as often as that takes. `progress` hears how far the text is read, if it is set.
absl::StatusOr<TableCheck> CheckTable(
    std::string_view text, TableFormat format, std::string_view name,
    std::string_view key_column, std::size_t keys_at_once = std::size_t{1} << 21,
    const std::function<void(std::size_t)>& progress = {});

}  // namespace weft::cli
