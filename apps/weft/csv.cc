#include "apps/weft/csv.h"

#include "absl/strings/str_format.h"
#include "engine/status.h"

namespace weft::cli {
namespace {

absl::Status At(std::uint64_t line, std::string_view fact) {
  return absl::InvalidArgumentError(absl::StrFormat("line %d: %s", line, fact));
}

}  // namespace

CsvReader::CsvReader(std::string_view text, CsvDialect dialect)
    : text_(text), dialect_(dialect) {
  if (text_.starts_with("\xef\xbb\xbf")) text_.remove_prefix(3);
}

bool CsvReader::AtEol() const {
  return text_[at_] == '\n' ||
         (text_[at_] == '\r' && at_ + 1 < text_.size() && text_[at_ + 1] == '\n');
}

bool CsvReader::OnlyBlankLinesLeft() const {
  return text_.find_first_not_of("\r\n", at_) == std::string_view::npos;
}

absl::Status CsvReader::CheckLength() const {
  if (at_ - row_at_ <= kRowBytesMax) return absl::OkStatus();
  return At(row_line_, "the row is longer than 1 MiB");
}

absl::StatusOr<bool> CsvReader::Next(CsvRow& row) {
  row.fields.clear();
  row.quoted.clear();
  row.line = line_;
  if (OnlyBlankLinesLeft()) return false;
  row_at_ = at_;
  row_line_ = line_;
  for (;;) {
    row.quoted.push_back(dialect_.quotes && at_ < text_.size() && text_[at_] == '"');
    WEFT_RETURN_IF_ERROR(Field(row.fields.emplace_back(), row.quoted.back()));
    if (at_ == text_.size()) return true;
    if (text_[at_] == dialect_.delimiter) {
      ++at_;
      continue;
    }
    at_ += text_[at_] == '\r' ? 2 : 1;
    ++line_;
    return true;
  }
}

// Stops at a delimiter, at an end of line or at the end of the text.
absl::Status CsvReader::Field(std::string& field, bool quoted) {
  return quoted ? Quoted(field) : Plain(field);
}

absl::Status CsvReader::Plain(std::string& field) {
  const std::size_t start = at_;
  while (at_ < text_.size() && text_[at_] != dialect_.delimiter && !AtEol()) {
    if (dialect_.quotes && text_[at_] == '"') {
      return At(line_, "a quote inside a field that does not begin with one");
    }
    if (text_[at_] == '\r') {
      return At(line_, "a carriage return without a line feed");
    }
    ++at_;
    WEFT_RETURN_IF_ERROR(CheckLength());
  }
  field = text_.substr(start, at_ - start);
  return absl::OkStatus();
}

absl::Status CsvReader::Quoted(std::string& field) {
  const std::uint64_t opened = line_;
  ++at_;
  while (at_ < text_.size()) {
    WEFT_RETURN_IF_ERROR(CheckLength());
    const char character = text_[at_++];
    if (character == '\n') ++line_;
    if (character != '"') {
      field.push_back(character);
    } else if (at_ < text_.size() && text_[at_] == '"') {
      field.push_back('"');
      ++at_;
    } else {
      if (at_ == text_.size() || text_[at_] == dialect_.delimiter || AtEol()) {
        return absl::OkStatus();
      }
      return At(line_, "text after the closing quote of a field");
    }
  }
  return At(opened, "a quote that is never closed");
}

std::string CsvField(std::string_view field) {
  const bool plain = !field.empty() &&
                     field.find_first_of("\",\r\n") == std::string_view::npos &&
                     !field.starts_with(' ') && !field.ends_with(' ');
  if (plain) return std::string(field);
  std::string quoted = "\"";
  for (const char character : field) {
    if (character == '"') quoted.push_back('"');
    quoted.push_back(character);
  }
  quoted.push_back('"');
  return quoted;
}

}  // namespace weft::cli
