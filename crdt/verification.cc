#include "crdt/verification.h"

#include "absl/strings/str_format.h"
#include "crdt/indexer_state.h"
#include "engine/key_layout.h"

namespace weft {

absl::StatusOr<std::unique_ptr<Verification>> Verification::Begin(Indexer* indexer) {
  std::unique_ptr<Verification> begun(new Verification(indexer));
  // The proofs that are known go first: each that came later would begin anew.
  WEFT_ASSIGN_OR_RETURN(const std::vector<Bytes> proofs, indexer->ForkProofs());
  StorageBatch batch;
  for (const Bytes& proof : proofs) {
    WEFT_ASSIGN_OR_RETURN(const ForkProof fork, DecodeForkProof(proof));
    batch.Put(Family::kMeta, keys::ForkProof(0, fork.core), proof);
  }
  WEFT_RETURN_IF_ERROR(begun->storage_.Commit(batch, Durability::kLogged));
  const Indexer::State& state = *indexer->state_;
  WEFT_ASSIGN_OR_RETURN(begun->fresh_, Indexer::Open(&begun->storage_, state.logs,
                                                     state.clock, state.genesis, {}));
  begun->FollowAll();
  return begun;
}

// Certificates do not stand in the logs that they make known.
void Verification::FollowAll() {
  const Indexer::State& state = *indexer_->state_;
  for (const Indexer::State::WriterState& writer : state.writers) {
    const CoreKey& log = writer.log.writer();
    if (state.authority->NumberOf(log) > 0) fresh_->Follow(log);
  }
}

absl::StatusOr<bool> Verification::Step(std::uint64_t ops) {
  WEFT_ASSIGN_OR_RETURN(bool level, fresh_->IndexSome(ops));
  if (level) {
    // With every log as long as it was when its turn came; with all of them as they
    // are now, if that takes no more than a step.
    FollowAll();
    if (fresh_->state_->forks.size() != indexer_->state_->forks.size()) {
      WEFT_ASSIGN_OR_RETURN(const std::vector<Bytes> proofs, indexer_->ForkProofs());
      WEFT_RETURN_IF_ERROR(fresh_->TakeForkProofs(proofs).status());
    }
    WEFT_ASSIGN_OR_RETURN(level, fresh_->IndexSome(ops));
  }
  if (level) {
    WEFT_RETURN_IF_ERROR(Compare());
    return true;
  }
  // Or it would all be left to the last step.
  WEFT_RETURN_IF_ERROR(fresh_->Root().status());
  return false;
}

absl::Status Verification::Compare() {
  WEFT_ASSIGN_OR_RETURN(const Hash32 root, indexer_->Root());
  WEFT_ASSIGN_OR_RETURN(const Hash32 expected, fresh_->Root());
  const Hash32 digest = indexer_->CurrentDigest();
  const Hash32 expected_digest = fresh_->CurrentDigest();
  if (digest != expected_digest) {
    return absl::DataLossError(
        absl::StrFormat("the view is of version %s, and the logs give %s",
                        ToHex(digest.view()), ToHex(expected_digest.view())));
  }
  if (root != expected) {
    return absl::DataLossError(
        absl::StrFormat("the view has the root %s, and the logs give %s",
                        ToHex(root.view()), ToHex(expected.view())));
  }
  return absl::OkStatus();
}

}  // namespace weft
