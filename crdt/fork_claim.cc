#include "crdt/fork_claim.h"

#include "crdt/batch.h"

namespace weft {

std::optional<Incarnation> ClaimIn(const ForkProof& proof, const Limits& limits) {
  if (proof.fork_point != 0 || proof.first_block.empty()) return std::nullopt;
  LogState log(proof.core);
  DecodedBlock block = DecodeBlock(log, proof.first_block, limits);
  if (block.header.state != BlockState::kValid) return std::nullopt;
  return std::move(block.incarnation);
}

std::optional<Incarnation> CertificateIn(const ForkProof& proof, const BaseId& base_id,
                                         const Genesis& genesis) {
  std::optional<Incarnation> claim = ClaimIn(proof, genesis.limits);
  if (!claim || !VerifyIncarnation(base_id, genesis.salt, proof.core, *claim).ok()) {
    return std::nullopt;
  }
  return claim;
}

ForkRank RankOf(std::uint64_t fork_point, const std::optional<CoreKey>& shown) {
  CoreKey none;
  none.bytes.fill(0xff);
  return {fork_point, shown.value_or(none)};
}

}  // namespace weft
