#include "apps/weft/input_lines.h"

#include "absl/strings/str_format.h"
#include "apps/weft/console.h"
#include "engine/status.h"

namespace weft::cli {
namespace {

using Traits = std::char_traits<char>;

enum class Until { kEndOfLine, kEndOfInput };

// False at the end of stdin.
absl::StatusOr<bool> Read(Until until, std::string& into) {
  into.clear();
  std::streambuf* const bytes = In().rdbuf();
  for (;;) {
    const Traits::int_type next = bytes->sbumpc();
    if (Traits::eq_int_type(next, Traits::eof())) return false;
    const char byte = Traits::to_char_type(next);
    if (until == Until::kEndOfLine && byte == '\n') return true;
    if (into.size() == kLineBytesMax) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "stdin: %s of more than %d bytes",
          until == Until::kEndOfLine ? "a line" : "a block", kLineBytesMax));
    }
    into.push_back(byte);
  }
}

}  // namespace

absl::StatusOr<bool> NextLine(std::string& line) {
  WEFT_ASSIGN_OR_RETURN(const bool ended, Read(Until::kEndOfLine, line));
  return ended || !line.empty();
}

absl::StatusOr<std::string> WholeInput() {
  std::string all;
  WEFT_RETURN_IF_ERROR(Read(Until::kEndOfInput, all).status());
  return all;
}

}  // namespace weft::cli
