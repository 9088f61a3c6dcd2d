#include "crdt/fate.h"

#include "absl/strings/str_format.h"

namespace weft {

OpFate AfterFork(std::uint64_t fork_point) {
  OpFate fate;
  fate.kind = OpFateKind::kAfterFork;
  fate.reason =
      absl::StrFormat("its log has two branches from block %d on", fork_point);
  return fate;
}

const char* FateText(OpFateKind kind) {
  switch (kind) {
    case OpFateKind::kWinner:
      return "winner";
    case OpFateKind::kConflict:
      return "conflict";
    case OpFateKind::kSuperseded:
      return "superseded";
    case OpFateKind::kRemoved:
      return "removed";
    case OpFateKind::kPending:
      return "pending";
    case OpFateKind::kWaiting:
      return "waiting";
    case OpFateKind::kInvalid:
      return "invalid";
    case OpFateKind::kNotAllowed:
      return "not allowed";
    case OpFateKind::kParked:
      return "parked";
    case OpFateKind::kQuarantined:
      return "quarantined";
    case OpFateKind::kRejected:
      return "rejected";
    case OpFateKind::kHidden:
      return "hidden";
    case OpFateKind::kAfterFork:
      return "after fork";
    case OpFateKind::kUnknown:
      return "unknown";
  }
  return "unknown";
}

}  // namespace weft
