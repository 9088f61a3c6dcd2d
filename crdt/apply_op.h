// One effective op into the lanes of its key.

#pragma once

#include "crdt/operation.h"
#include "crdt/view_leaf.h"

namespace weft {

// The lanes that an op speaks to.
inline LaneMask LanesOf(const Operation& op) {
  return op.type == OpType::kDel ? op.lanes : MaskOf(op.lane);
}

// A value as the lanes keep it: type byte and bytes.
std::string Canonical(ValueView value);

// kReplay: every op of the key is applied anew, in an order that follows their pasts;
// then the result is always exact.
enum class ApplyMode : std::uint8_t { kArrival, kReplay };

// The op must not lie in the past of one that was applied before. False if the state is
// not exact now, and the key has to be computed anew from all of its ops: a lane had
// folded together what this op takes apart.
bool ApplyOp(const Operation& op, const Stamp& stamp, const CausalOrder& order,
             const WriterTable& writers, ApplyMode mode, KeyState* state);

}  // namespace weft
