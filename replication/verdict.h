// What becomes of a peer that did something wrong: one table, so that it can be read
// and judged in one place. Source: threats E.2.
//
// A wrong proof costs the feed it is of, on this connection, and nothing else: not
// before the fourth feed is the peer itself to blame.

#pragma once

#include "engine/status.h"

namespace weft {

enum class PeerVerdict {
  kIgnore,  // nothing; the peer is well
  kRetry,   // ask again: the world moved on, nobody is to blame
  kBar,     // close this feed's channel and bar it on this connection
  kDrop,    // end the connection
};

enum class Fault {
  kProof,  // the status of one applied proof
  kFeeds,  // as many feeds with wrong proofs as kFaultyFeedsMax
  kPush,   // data that was not asked for at all
  kFrame,  // what the stream or the mux said of a frame
  kLimit,  // more than the limits allow
  kStall,  // claimed blocks and gave none
};

struct Judgement {
  PeerVerdict verdict = PeerVerdict::kIgnore;
  int score = 0;  // at kBanScore (replication/ban_table.h) the peer is banned
};

// From this many distinct feeds with wrong proofs on, the peer itself is the fault.
inline constexpr std::size_t kFaultyFeedsMax = 4;

// `hopeful` proofs were asked for on the strength of answers still to come, so that
// one which hangs on nothing says nothing about the peer.
Judgement Judge(Fault fault, absl::StatusCode code, bool hopeful = false);

}  // namespace weft
