#include "engine/storage.h"

namespace weft {

bool StorageBatch::TouchesOnly(Family family) const {
  return std::all_of(changes_.begin(), changes_.end(), [family](const Change& change) {
    return change.family == family;
  });
}

std::optional<Bytes> PrefixEnd(ByteView prefix) {
  Bytes end = ToBytes(prefix);
  while (!end.empty() && end.back() == 0xff) end.pop_back();
  if (end.empty()) return std::nullopt;
  ++end.back();
  return end;
}

}  // namespace weft
