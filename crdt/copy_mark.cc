#include "crdt/copy_mark.h"

#include "engine/codec.h"

namespace weft {
namespace {

// Room above for the further blocks of a batch, whose stamps count on.
constexpr std::uint64_t kMarks = kHlcCounterEnd - 2 * kCopyMarkMin;

}  // namespace

std::uint32_t CopyMark(const CoreKey& log, std::uint64_t position, const Hlc& stamp) {
  Bytes place;
  Writer writer(&place);
  writer.U64(position);
  writer.U64(stamp.ms);
  writer.U64(stamp.counter);
  const Hash32 hash = Blake2b256({AsBytes("weft copy"), log.view(), place});
  const std::uint64_t first = Reader(hash.view()).U64();
  return static_cast<std::uint32_t>(kCopyMarkMin + first % kMarks);
}

absl::StatusOr<Hlc> StampWithMark(Hlc next, std::uint32_t mark) {
  if (next.counter > mark) ++next.ms;
  next.counter = mark;
  if (next.ms >= kHlcMsEnd) {
    return absl::OutOfRangeError("clock: the copy's stamp is at the end of time");
  }
  return next;
}

Hash32 DigestOf(std::span<const Operation> operations) {
  Hash32 digest;
  for (const Operation& operation : operations) {
    digest = Blake2b256({digest.view(), EncodePayload(std::span(&operation, 1))});
  }
  return digest;
}

}  // namespace weft
