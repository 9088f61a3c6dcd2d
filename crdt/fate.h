// What became of any op, and why (rule D10): no loss without a word.

#pragma once

#include <string>
#include <vector>

#include "crdt/dot.h"

namespace weft {

// The API's FateKind (weft/types.h) has the same, in the same order.
enum class OpFateKind : std::uint8_t {
  kWinner,    // a reader sees it; of a del or unset: nothing has overruled it
  kConflict,  // readable beside a winner; of a del: a value stands that it had not seen
  kSuperseded,  // later writes have seen and replaced it
  kRemoved,     // later deletes have seen and removed it
  kPending,     // a moderated member's, not accepted
  kWaiting,     // its block or the rest of its batch, or what it depends on, is missing
  kInvalid,
  kNotAllowed,
  kParked,       // needs a newer program
  kQuarantined,  // its grant was revoked, or is void
  kRejected,     // by a moderator
  kHidden,       // by a moderator
  kAfterFork,    // its log has two branches, and this is beyond what survives
  kUnknown,      // no such op has been seen here
};

struct OpFate {
  OpFateKind kind = OpFateKind::kUnknown;
  // kSuperseded, kRemoved: the first ops that did it. kQuarantined, kRejected, kHidden:
  // the op to blame, if it is one.
  std::vector<OpId> by;
  // kWaiting: so many blocks of this log are missing. Zero key: of its own batch.
  CoreKey waiting_for;
  std::uint64_t waiting_length = 0;
  std::string reason;  // of those that have no effect
  bool operator==(const OpFate&) const = default;
};

// Of an op behind what survives of its log, whose branches part at block `fork_point`.
OpFate AfterFork(std::uint64_t fork_point);

const char* FateText(OpFateKind kind);

}  // namespace weft
