// The bridge to Abseil's own string type, which on Debian 12 is not the standard
// one and converts to it neither implicitly nor explicitly. Only this file names it.

#pragma once

#include <string_view>

#include "absl/strings/string_view.h"

namespace weft {

inline absl::string_view ToAbsl(std::string_view text) {
  return absl::string_view(text.data(), text.size());
}

inline std::string_view ToStd(absl::string_view text) {
  return std::string_view(text.data(), text.size());
}

}  // namespace weft
