#include "crdt/block_stamp.h"

#include "engine/codec.h"

namespace weft {
namespace {

constexpr std::uint8_t kBlockFormat = 1;

}  // namespace

std::optional<Hlc> StampOf(ByteView block) {
  Reader reader(block);
  if (reader.U8() != kBlockFormat) return std::nullopt;
  reader.U8();             // kind
  reader.CanonicalUint();  // sem_version
  reader.U8();             // flags
  reader.CanonicalUint();  // batch_index
  reader.CanonicalUint();  // batch_count
  Hlc hlc;
  hlc.ms = reader.CanonicalUint();
  hlc.counter = static_cast<std::uint32_t>(reader.CanonicalUint());
  if (!reader.ok()) return std::nullopt;
  return hlc;
}

}  // namespace weft
