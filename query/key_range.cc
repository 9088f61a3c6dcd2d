#include "query/key_range.h"

#include "engine/storage.h"

namespace weft {

KeyRange PrefixRange(std::string_view prefix) {
  KeyRange range;
  range.from = prefix;
  if (const std::optional<Bytes> end = PrefixEnd(AsBytes(prefix))) {
    range.to = std::string(AsText(*end));
  }
  return range;
}

}  // namespace weft
