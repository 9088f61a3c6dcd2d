// A QR code for a terminal: what a phone's camera reads from the screen.

#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace weft::cli {

// Lines of half blocks, two modules high and one wide a character, light on dark with
// the four light modules around it that readers want; each sets its own colours.
// INVALID_ARGUMENT  more than a code holds, about 2 900 bytes
absl::StatusOr<std::string> QrText(std::string_view text);

}  // namespace weft::cli
