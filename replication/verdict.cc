#include "replication/verdict.h"

namespace weft {
namespace {

Judgement JudgeProof(absl::StatusCode code, bool hopeful) {
  switch (code) {
    case absl::StatusCode::kOk:
      return {Verdict::kIgnore, 0};
    case absl::StatusCode::kFailedPrecondition:
      return {Verdict::kRetry, 0};
    case absl::StatusCode::kInvalidArgument:
      return hopeful ? Judgement{Verdict::kRetry, 0} : Judgement{Verdict::kBar, 25};
    default:
      return {Verdict::kBar, 25};
  }
}

}  // namespace

Judgement Judge(Fault fault, absl::StatusCode code, bool hopeful) {
  switch (fault) {
    case Fault::kProof:
      return JudgeProof(code, hopeful);
    case Fault::kAnswer:
      return {Verdict::kBar, 25};
    case Fault::kFrame:
      return {Verdict::kDrop, 100};
    case Fault::kLimit:
      return {Verdict::kDrop, 20};
    case Fault::kStall:
      return {Verdict::kRetry, 5};
  }
  return {Verdict::kDrop, 100};
}

}  // namespace weft
