#include "replication/verdict.h"

namespace weft {
namespace {

Judgement JudgeProof(absl::StatusCode code, bool hopeful) {
  switch (code) {
    case absl::StatusCode::kOk:
      return {PeerVerdict::kIgnore, 0};
    case absl::StatusCode::kFailedPrecondition:
      return {PeerVerdict::kRetry, 0};
    case absl::StatusCode::kInvalidArgument:
      return hopeful ? Judgement{PeerVerdict::kRetry, 0}
                     : Judgement{PeerVerdict::kBar, 0};
    default:
      return {PeerVerdict::kBar, 0};
  }
}

}  // namespace

Judgement Judge(Fault fault, absl::StatusCode code, bool hopeful) {
  switch (fault) {
    case Fault::kProof:
      return JudgeProof(code, hopeful);
    case Fault::kFeeds:
      return {PeerVerdict::kDrop, 100};
    case Fault::kPush:
      return {PeerVerdict::kIgnore, 1};
    case Fault::kFrame:
      return {PeerVerdict::kDrop, 100};
    case Fault::kLimit:
      return {PeerVerdict::kDrop, 20};
    case Fault::kStall:
      return {PeerVerdict::kRetry, 5};
  }
  return {PeerVerdict::kDrop, 100};
}

}  // namespace weft
