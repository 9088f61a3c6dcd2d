// Which keys a reader asks for: bytes, in byte order, either way.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace weft {

// Keys from `from` (included; empty: from the first) up to `to` (not included; absent:
// to the last). Reversed, the walk begins at the last of them.
struct KeyRange {
  std::string from;
  std::optional<std::string> to;
  bool reverse = false;
  std::uint64_t limit = UINT64_MAX;  // entries

  bool Contains(std::string_view key) const {
    return key >= from && (!to || key < *to);
  }
};

// All keys that start with `prefix`.
KeyRange PrefixRange(std::string_view prefix);

}  // namespace weft
