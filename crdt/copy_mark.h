// How a batch says that it is the copy of another one (rule F4).
//
// What a fork or a removal took from an author he writes again, in a log that has
// effect. A copy has to be known for one, wherever its author's logs are held: by the
// store that was put back from a backup of before, and by another copy of it. Nothing
// in a block has room for that word but the counter of its stamp, which is free where
// the milliseconds are new. So the first block of a copy has a counter that names the
// copied batch, and the operations are the same:
//   mark := 1024 + H("weft copy" log:32 position:u64 hlc_ms:u64 hlc_counter:u64) mod
//           63488                                           (of H the first 8 bytes)
// with the place and the stamp of the copied batch's first block: two branches of a log
// have the places in common. No rule of the view asks for a mark.

#pragma once

#include <cstdint>
#include <span>

#include "crdt/hybrid_clock.h"
#include "crdt/operation.h"

namespace weft {

// No mark is below: a log that writes a thousand blocks in a millisecond is rare.
inline constexpr std::uint32_t kCopyMarkMin = 1024;

// Of the batch that begins at `position` of `log`, with this stamp.
std::uint32_t CopyMark(const CoreKey& log, std::uint64_t position, const Hlc& stamp);

// The first stamp at or after `next` that has this counter.
// OUT_OF_RANGE  that would be at the end of time
absl::StatusOr<Hlc> StampWithMark(Hlc next, std::uint32_t mark);

// Equal for operations that say the same. They have passed CheckOperation, or were
// decoded, and edit no text or list.
Hash32 DigestOf(std::span<const Operation> operations);

}  // namespace weft
