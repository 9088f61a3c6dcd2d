// What stdin brings, in memory that does not grow with what somebody sends.

#pragma once

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"

namespace weft::cli {

// A change with the largest value in base64, and more than the largest block.
inline constexpr std::size_t kLineBytesMax = 32 * 1024 * 1024;

// The next line, without its end; false at the end of stdin. The last need not be
// ended. INVALID_ARGUMENT  it is longer than kLineBytesMax
absl::StatusOr<bool> NextLine(std::string& line);

// All there is.  INVALID_ARGUMENT  it is longer than kLineBytesMax
absl::StatusOr<std::string> WholeInput();

}  // namespace weft::cli
