// Comma- and tab-separated values, read strictly.
//
// csv := row *(eol row) [eol]        row := field *(delimiter field)
// field := *char without quote, delimiter, CR, LF | quote *(char | quote quote) quote
// eol := LF | CR LF                  a byte order mark at the start is skipped
// Tab-separated text has no quotes: a field ends at a tab or at the end of the line.
// Source: RFC 4180; for tabs, the IANA type text/tab-separated-values.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace weft::cli {

// No row that can be written is this long; a longer one is not kept in memory.
inline constexpr std::size_t kRowBytesMax = 1024 * 1024;

struct CsvDialect {
  char delimiter = ',';
  bool quotes = true;
};
inline constexpr CsvDialect kTabs{'\t', false};

struct CsvRow {
  std::uint64_t line = 0;  // of the text, from 1, where the row begins
  std::vector<std::string> fields;
  std::vector<bool> quoted;  // of each field, whether it stood in quotes
};

class CsvReader {
 public:
  // `text` must outlive the reader.
  explicit CsvReader(std::string_view text, CsvDialect dialect = {});

  // False at the end of the text, where blank lines count for nothing.
  // INVALID_ARGUMENT  "line N: .." a quote out of place or never closed, a carriage
  //                   return without a line feed, a row over kRowBytesMax
  absl::StatusOr<bool> Next(CsvRow& row);
  // Where in the text the next row begins.
  std::size_t offset() const { return at_; }

 private:
  absl::Status Field(std::string& field, bool quoted);
  absl::Status Quoted(std::string& field);
  absl::Status Plain(std::string& field);
  absl::Status CheckLength() const;
  bool AtEol() const;
  bool OnlyBlankLinesLeft() const;

  std::string_view text_;
  CsvDialect dialect_;
  std::size_t at_ = 0;
  std::size_t row_at_ = 0;  // where the row begins
  std::uint64_t row_line_ = 1;
  std::uint64_t line_ = 1;
};

// The field as it stands in a CSV file, quoted where it has to be. An empty one is, as
// nothing at all stands for a cell that is not there.
std::string CsvField(std::string_view field);

}  // namespace weft::cli
