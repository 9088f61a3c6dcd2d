// Whose log a fork proof shows its log to be, and which of two proofs of one log is
// kept.
//
// Block 0 in a proof may be that of a later incarnation (S2): its certificate names the
// identity also where nothing of the log survives.

#pragma once

#include <optional>
#include <utility>

#include "crdt/fork.h"
#include "crdt/genesis.h"
#include "crdt/identity.h"

namespace weft {

// The certificate in the proof's first block. Nothing of it was verified.
std::optional<Incarnation> ClaimIn(const ForkProof& proof, const Limits& limits);
// The same, if it holds; whether its block is of the log the proof says when verified.
std::optional<Incarnation> CertificateIn(const ForkProof& proof, const BaseId& base_id,
                                         const Genesis& genesis);

// The smaller of two proofs of one log is kept: the smaller fork point, then the
// smaller identity that it shows.
using ForkRank = std::pair<std::uint64_t, CoreKey>;
ForkRank RankOf(std::uint64_t fork_point, const std::optional<CoreKey>& shown);

}  // namespace weft
