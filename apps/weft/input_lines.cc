#include "apps/weft/input_lines.h"

#include "absl/strings/str_format.h"
#include "apps/weft/console.h"

namespace weft::cli {
namespace {

using Traits = std::char_traits<char>;

absl::Status TooLong(const char* what) {
  return absl::InvalidArgumentError(
      absl::StrFormat("stdin: %s of more than %d bytes", what, kLineBytesMax));
}

}  // namespace

absl::StatusOr<bool> NextLine(std::string& line) {
  line.clear();
  std::streambuf* const bytes = In().rdbuf();
  for (;;) {
    const Traits::int_type next = bytes->sbumpc();
    if (Traits::eq_int_type(next, Traits::eof())) return !line.empty();
    const char byte = Traits::to_char_type(next);
    if (byte == '\n') return true;
    if (line.size() == kLineBytesMax) return TooLong("a line");
    line.push_back(byte);
  }
}

absl::StatusOr<std::string> WholeInput() {
  std::string all;
  std::streambuf* const bytes = In().rdbuf();
  for (;;) {
    const Traits::int_type next = bytes->sbumpc();
    if (Traits::eq_int_type(next, Traits::eof())) return all;
    if (all.size() == kLineBytesMax) return TooLong("a block");
    all.push_back(Traits::to_char_type(next));
  }
}

}  // namespace weft::cli
