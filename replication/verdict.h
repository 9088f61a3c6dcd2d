// What becomes of a peer that did something wrong: one table, so that it can be read
// and judged in one place. Source: threats E.2.

#pragma once

#include "engine/status.h"

namespace weft {

enum class Verdict {
  kIgnore,  // nothing; the peer is well
  kRetry,   // ask again: the world moved on, nobody is to blame
  kBar,     // close this feed's channel and bar it on this connection
  kDrop,    // end the connection
};

enum class Fault {
  kProof,   // the status of one applied proof
  kAnswer,  // data that was not asked for in this form
  kFrame,   // what the stream or the mux said of a frame
  kLimit,   // more than the limits allow
  kStall,   // claimed blocks and gave none
};

struct Judgement {
  Verdict verdict = Verdict::kIgnore;
  int score = 0;  // at 100 an address is banned
};

// From this many distinct feeds with wrong proofs on, the peer itself is the fault.
inline constexpr std::size_t kFaultyFeedsMax = 4;

// `hopeful` proofs were asked for on the strength of answers still to come, so that
// one which hangs on nothing says nothing about the peer.
Judgement Judge(Fault fault, absl::StatusCode code, bool hopeful = false);

}  // namespace weft
