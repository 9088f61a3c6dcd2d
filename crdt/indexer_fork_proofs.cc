// Fork proofs: which are known, kept and told, and what a new one takes.
//
// Of a log of which nothing beyond the fork point was read a proof is a mark where it
// ends. Otherwise everything is computed anew (crdt/indexer_fork.cc); proofs that come
// together cost that once.

#include <algorithm>

#include "crdt/fork_claim.h"
#include "crdt/indexer_state.h"
#include "engine/key_layout.h"

namespace weft {
namespace {

constexpr std::size_t kUnplacedProofsMax = 256;

std::optional<CoreKey> IdentityIn(const std::optional<Incarnation>& certificate) {
  if (!certificate) return std::nullopt;
  return certificate->identity;
}

}  // namespace

// Proofs are verified when they come. What lies in the store was: its rows have the
// storage's own checksums, and whoever can write there has no need to forge a proof.
absl::Status Indexer::State::LoadProofs() {
  auto rows =
      storage->Scan(Family::kMeta, keys::ForkProofs(options.base_number), nullptr);
  for (; rows->valid(); rows->Next()) {
    WEFT_ASSIGN_OR_RETURN(ForkProof proof, DecodeForkProof(rows->value()));
    Fork fork;
    fork.point = proof.fork_point;
    fork.cut = proof.fork_point;
    fork.certificate = CertificateIn(proof, base_id, genesis);
    forks.emplace(proof.core, std::move(fork));
  }
  return rows->status();
}

// Keeps the proofs of logs that are known by now. True if what was delivered rests on
// what they cut off.
absl::StatusOr<bool> Indexer::State::AdoptProofs(IndexResult* result) {
  bool anew = false;
  std::vector<CoreKey> adopted;
  StorageBatch batch;
  for (auto at = unplaced_proofs.begin(); at != unplaced_proofs.end();) {
    const auto& [core, unplaced] = *at;
    const std::optional<WriterNumber> writer = view->writers().Find(core);
    if (!writer && !(unplaced.shown && authority->IsNamed(unplaced.shown->identity))) {
      ++at;
      continue;
    }
    batch.Put(Family::kMeta, keys::ForkProof(options.base_number, core),
              EncodeForkProof(unplaced.proof));
    Fork fork;
    fork.point = unplaced.proof.fork_point;
    fork.cut = fork.point;
    fork.certificate = unplaced.shown;
    // The log has read the pending block too. What is in the graph of other logs has
    // seen what is there of this one, and so nothing beyond either.
    const Fork* known = ForkOf(core);
    anew = anew || (writer && writers[*writer].log.position() > fork.point) ||
           (known != nullptr && known->certificate != fork.certificate);
    forks[core] = std::move(fork);
    AddWriter(core);
    adopted.push_back(core);
    at = unplaced_proofs.erase(at);
  }
  if (adopted.empty()) return false;
  WEFT_RETURN_IF_ERROR(storage->Commit(batch, Durability::kSynced));
  if (anew) return true;
  for (const CoreKey& core : adopted) WEFT_RETURN_IF_ERROR(CutUnread(core, result));
  return false;
}

// The log ends at its fork point, beyond which nothing was read.
absl::Status Indexer::State::CutUnread(const CoreKey& log, IndexResult* result) {
  const WriterNumber number = *view->writers().Find(log);
  const Fork& fork = forks.at(log);
  writers[number].ahead.clear();
  if (fork.certificate) authority->AddIncarnation(log, *fork.certificate);
  authority->SetFork(log, fork.point, fork.cut);
  AuthorityChange change;
  change.holders.push_back(authority->IdentityOf(log));
  // The person may be moderated now (F5).
  for (const CoreKey& other : authority->LogsOf(change.holders.front())) {
    change.ranges.push_back({other, 0, UINT64_MAX, false});
  }
  authority->Evaluate(&change);
  WEFT_RETURN_IF_ERROR(TakeChange(change, result));
  // Who waits for more of it need not wait any longer (F3).
  for (WriterNumber n = 0; n < writers.size(); ++n) {
    if (writers[n].wait && writers[n].wait->writer == number) Enqueue(n);
  }
  return absl::OkStatus();
}

absl::StatusOr<IndexResult> Indexer::TakeForkProofs(std::span<const Bytes> proofs) {
  IndexResult result;
  bool any_news = false;
  for (const Bytes& bytes : proofs) {
    absl::StatusOr<ForkProof> proof = DecodeForkProof(bytes);
    if (!proof.ok()) continue;
    const absl::StatusOr<bool> is_news = state_->TakeUnplaced(*std::move(proof));
    any_news = any_news || (is_news.ok() && *is_news);
  }
  if (any_news) WEFT_RETURN_IF_ERROR(state_->Drain(&result));
  state_->BoundUnplaced();
  return result;
}

// Verifies it, and puts it with those that wait to be kept. False if as much is known.
absl::StatusOr<bool> Indexer::State::TakeUnplaced(ForkProof proof) {
  std::optional<Incarnation> shown = CertificateIn(proof, base_id, genesis);
  const ForkRank rank = RankOf(proof.fork_point, IdentityIn(shown));
  if (const Fork* known = ForkOf(proof.core)) {
    if (RankOf(known->point, IdentityIn(known->certificate)) <= rank) return false;
  }
  WEFT_RETURN_IF_ERROR(VerifyForkProof(proof));
  const auto waiting = unplaced_proofs.find(proof.core);
  if (waiting != unplaced_proofs.end() &&
      RankOf(waiting->second.proof.fork_point, IdentityIn(waiting->second.shown)) <=
          rank) {
    return false;
  }
  const CoreKey core = proof.core;
  unplaced_proofs[core] = {std::move(proof), std::move(shown), ++proofs_taken};
  return true;
}

// Of logs that nobody has named only so many proofs are remembered, the first ones.
void Indexer::State::BoundUnplaced() {
  while (unplaced_proofs.size() > kUnplacedProofsMax) {
    unplaced_proofs.erase(std::max_element(
        unplaced_proofs.begin(), unplaced_proofs.end(),
        [](const auto& a, const auto& b) { return a.second.taken < b.second.taken; }));
  }
}

// --- what is told ---

ForkedLog Indexer::State::Describe(const CoreKey& log, const Fork& fork) const {
  ForkedLog told;
  told.log = log;
  told.identity = authority->IdentityOf(log);
  told.fork_point = fork.point;
  told.cut = fork.cut;
  told.other_branch = fork.other;
  told.shown = IdentityIn(fork.certificate);
  return told;
}

std::vector<ForkedLog> Indexer::Forks() const {
  std::vector<ForkedLog> forks;
  for (const auto& [log, fork] : state_->forks) {
    forks.push_back(state_->Describe(log, fork));
  }
  return forks;
}

std::optional<ForkedLog> Indexer::ForkOf(const CoreKey& log) const {
  const State::Fork* fork = state_->ForkOf(log);
  if (fork == nullptr) return std::nullopt;
  return state_->Describe(log, *fork);
}

std::optional<TreeHash> Indexer::SurvivorAt(const CoreKey& log,
                                            std::uint64_t length) const {
  const State::Fork* fork = state_->ForkOf(log);
  if (fork == nullptr || length <= fork->point || length > fork->cut) {
    return std::nullopt;
  }
  return fork->hashes[length - fork->point - 1];
}

absl::StatusOr<std::vector<Bytes>> Indexer::ForkProofs() const {
  std::vector<Bytes> proofs;
  auto rows = state_->storage->Scan(
      Family::kMeta, keys::ForkProofs(state_->options.base_number), nullptr);
  for (; rows->valid(); rows->Next()) proofs.push_back(ToBytes(rows->value()));
  WEFT_RETURN_IF_ERROR(rows->status());
  return proofs;
}

std::vector<Indexer::NamedBranch> Indexer::WantedBranches() const {
  std::vector<NamedBranch> wanted;
  for (const auto& [log, fork] : state_->forks) {
    wanted.insert(wanted.end(), fork.wanted.begin(), fork.wanted.end());
  }
  return wanted;
}

}  // namespace weft
