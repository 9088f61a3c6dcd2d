// The time stamp of one block, read without the log before it.

#pragma once

#include <optional>

#include "crdt/hybrid_clock.h"
#include "engine/bytes.h"

namespace weft {

// nullopt if the block is of another format or too short for its envelope
// (crdt/envelope.h). What else may be wrong with the block is not looked at.
std::optional<Hlc> StampOf(ByteView block);

}  // namespace weft
