// Forked logs (part 7): which proofs are known, what survives, and everything anew when
// that changes.
//
// A fork is learned rarely, and it may change what any block had seen. So the base is
// indexed anew from the logs with the fork known; if seniors turn out to have built
// upon more than what both branches share (F2), once more with that known. What
// survives of a log hangs on grants that are senior to its holder's alone, so the turns
// end: after each one more log, in the order of its holder's seniority, has its answer
// for good.
//
// Of a forked log nothing beyond what survives is taken in: a grant on a dead branch is
// nobody's, whether that branch is held or not.

#include <algorithm>

#include "absl/strings/str_format.h"
#include "crdt/indexer_state.h"
#include "engine/key_layout.h"

namespace weft {
namespace {

constexpr std::size_t kUnplacedProofsMax = 256;
constexpr std::uint64_t kPrefixBlocks = 256;  // read at a time

// Of two proofs of one log the smaller is kept: the smaller fork point, then the
// smaller identity that its first block shows.
std::pair<std::uint64_t, CoreKey> RankOf(std::uint64_t point,
                                         const std::optional<Incarnation>& shown) {
  CoreKey none;
  none.bytes.fill(0xff);
  return {point, shown ? shown->identity : none};
}

// What block 0 in the proof says, if it is a certificate that holds.
std::optional<Incarnation> CertificateIn(const ForkProof& proof, const BaseId& base_id,
                                         const Genesis& genesis) {
  if (proof.first_block.empty()) return std::nullopt;
  LogState log(proof.core);
  DecodedBlock block = DecodeBlock(log, proof.first_block, genesis.limits);
  if (!block.incarnation || block.header.state != BlockState::kValid) {
    return std::nullopt;
  }
  if (!VerifyIncarnation(base_id, genesis.salt, proof.core, *block.incarnation).ok()) {
    return std::nullopt;
  }
  return std::move(block.incarnation);
}

}  // namespace

const Indexer::State::Fork* Indexer::State::ForkOf(const CoreKey& log) const {
  if (forks.empty()) return nullptr;
  const auto found = forks.find(log);
  return found == forks.end() ? nullptr : &found->second;
}

// --- reading a log that may be forked ---

// So many blocks of the log are there to be taken in.
absl::StatusOr<std::uint64_t> Indexer::State::HeldBlocks(WriterNumber writer,
                                                         const LogInfo& info) {
  const Fork* fork = ForkOf(view->writers().key(writer));
  if (fork == nullptr) return info.length;
  if (fork->other && info.length >= fork->point) return fork->cut;
  return std::min(info.length, fork->other ? fork->point : fork->cut);
}

absl::StatusOr<std::vector<Bytes>> Indexer::State::ReadBlocks(WriterNumber writer,
                                                              std::uint64_t from,
                                                              std::uint64_t to) {
  const CoreKey& key = view->writers().key(writer);
  const Fork* fork = ForkOf(key);
  if (fork == nullptr || !fork->other || to <= fork->point) {
    return logs->Read(key, from, to);
  }
  std::vector<Bytes> blocks;
  if (from < fork->point) {
    WEFT_ASSIGN_OR_RETURN(blocks, logs->Read(key, from, fork->point));
  }
  const std::uint64_t start = std::max(from, fork->point);
  WEFT_ASSIGN_OR_RETURN(std::vector<Bytes> rest,
                        logs->ReadBranch(key, start, fork->cut, fork->hashes.back()));
  if (rest.size() != fork->cut - start) {
    return absl::DataLossError("a branch of a forked log is no longer held");
  }
  rest.resize(to - start);
  for (Bytes& block : rest) blocks.push_back(std::move(block));
  return blocks;
}

// --- proofs ---

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

// Keeps the proofs of logs that are known by now. True if there was one.
absl::StatusOr<bool> Indexer::State::AdoptProofs() {
  bool adopted = false;
  for (auto at = unplaced_proofs.begin(); at != unplaced_proofs.end();) {
    const ForkProof& proof = at->second;
    std::optional<Incarnation> shown = CertificateIn(proof, base_id, genesis);
    const bool known = view->writers().Find(proof.core).has_value() ||
                       (shown && authority->IsNamed(shown->identity));
    if (!known) {
      ++at;
      continue;
    }
    StorageBatch batch;
    batch.Put(Family::kMeta, keys::ForkProof(options.base_number, proof.core),
              EncodeForkProof(proof));
    WEFT_RETURN_IF_ERROR(storage->Commit(batch, Durability::kSynced));
    Fork fork;
    fork.point = proof.fork_point;
    fork.cut = proof.fork_point;
    fork.certificate = std::move(shown);
    forks[proof.core] = std::move(fork);
    AddWriter(proof.core);
    adopted = true;
    at = unplaced_proofs.erase(at);
  }
  return adopted;
}

absl::StatusOr<IndexResult> Indexer::TakeForkProof(ByteView bytes) {
  IndexResult result;
  WEFT_ASSIGN_OR_RETURN(ForkProof proof, DecodeForkProof(bytes));
  State& state = *state_;
  const auto rank =
      RankOf(proof.fork_point, CertificateIn(proof, state.base_id, state.genesis));
  if (const State::Fork* known = state.ForkOf(proof.core)) {
    if (RankOf(known->point, known->certificate) <= rank) return result;
  }
  WEFT_RETURN_IF_ERROR(VerifyForkProof(proof));
  const auto waiting = state.unplaced_proofs.find(proof.core);
  if (waiting != state.unplaced_proofs.end()) {
    const ForkProof& other = waiting->second;
    if (RankOf(other.fork_point, CertificateIn(other, state.base_id, state.genesis)) <=
        rank) {
      return result;
    }
    state.unplaced_proofs.erase(waiting);
  }
  const CoreKey core = proof.core;
  state.unplaced_proofs.emplace(core, std::move(proof));
  WEFT_RETURN_IF_ERROR(state.Drain(&result));
  if (state.unplaced_proofs.size() > kUnplacedProofsMax) {
    state.unplaced_proofs.erase(core);
  }
  return result;
}

// --- what survives (F2) ---

// Brings forks up to date with what was delivered, and everything with the forks.
absl::Status Indexer::State::SettleForks(IndexResult* result) {
  WEFT_ASSIGN_OR_RETURN(const bool moved, TakeNewForks(result));
  return moved ? Rebuild(result) : absl::OkStatus();
}

// True if what was delivered rests on other forks, or on less of them, than are known.
absl::StatusOr<bool> Indexer::State::TakeNewForks(IndexResult* result) {
  for (;;) {
    WEFT_ASSIGN_OR_RETURN(const bool adopted, AdoptProofs());
    WEFT_ASSIGN_OR_RETURN(const bool changed, UpdateForks());
    if (adopted || changed) return true;
    // What a named branch waits for may have been found just now.
    if (queue.empty()) return false;
    WEFT_RETURN_IF_ERROR(DrainQueue(result));
  }
}

// True if more, less, or something else survives of some log than was taken for
// granted.
absl::StatusOr<bool> Indexer::State::UpdateForks() {
  bool changed = false;
  for (auto& [log, fork] : forks) {
    WEFT_ASSIGN_OR_RETURN(const bool one, UpdateFork(log, &fork));
    changed = changed || one;
  }
  WEFT_RETURN_IF_ERROR(graph->status());
  return changed;
}

// The names that count if what they name is held, in the order of F2.
std::vector<Indexer::State::Fork::Name> Indexer::State::CountingNames(
    const CoreKey& log, const Fork& fork) const {
  // What the proof shows, whatever of the log is here: or cut and holder chase each
  // other.
  const CoreKey& identity =
      fork.certificate ? fork.certificate->identity : authority->IdentityOf(log);
  const GrantPath* holder = authority->SeniorPath(identity);
  struct Counting {
    GrantNumber cited = 0;
    Fork::Name name;
  };
  std::vector<Counting> counting;
  for (const Fork::Name& name : fork.names) {
    if (name.position >= graph->length(name.writer)) continue;  // waits for more
    const BlockRecord record = graph->RecordOf(name.writer, name.position);
    // A certificate uses no grant, whatever it cites (S2).
    if (record.status != BlockStatus::kSound || record.batch_count == 0 ||
        (record.auth && record.op_count == 0)) {
      continue;
    }
    const Grant& cited = authority->At(record.cited);
    if (cited.role < GrantRole::kAdmin || (holder && !(cited.path < *holder))) continue;
    const std::uint64_t first = name.position - record.batch_index;
    const Standing standing =
        authority->StandingOf(record.cited, view->writers().key(name.writer), first,
                              first + record.batch_count, false);
    if (standing == Standing::kEffective) counting.push_back({record.cited, name});
  }
  std::sort(counting.begin(), counting.end(), [&](const auto& a, const auto& b) {
    if (a.cited != b.cited) {
      return authority->At(a.cited).path < authority->At(b.cited).path;
    }
    if (a.name.length != b.name.length) return a.name.length > b.name.length;
    return a.name.tree_hash < b.name.tree_hash;
  });
  std::vector<Fork::Name> names;
  for (Counting& entry : counting) {
    const bool again = !names.empty() && names.back().length == entry.name.length &&
                       names.back().tree_hash == entry.name.tree_hash;
    if (!again) names.push_back(entry.name);
  }
  return names;
}

absl::StatusOr<bool> Indexer::State::UpdateFork(const CoreKey& log, Fork* fork) {
  fork->wanted.clear();
  const std::optional<WriterNumber> writer = view->writers().Find(log);
  std::uint64_t cut = fork->point;
  std::vector<TreeHash> hashes;
  bool other = false;
  std::vector<Fork::Name> names;
  if (writer && graph->length(*writer) >= fork->point) {
    names = CountingNames(log, *fork);
  }
  if (!names.empty()) {
    WEFT_ASSIGN_OR_RETURN(const LogInfo info, logs->Info(log));
    if (!fork->held) {
      fork->held.emplace(LogState(log));
      WEFT_RETURN_IF_ERROR(ReadPrefix(log, fork->point, &*fork->held));
    }
    const std::uint64_t read = fork->point + fork->held->hashes.size();
    if (info.fork == 0 && info.length > read) {
      WEFT_ASSIGN_OR_RETURN(const std::vector<Bytes> more,
                            logs->Read(log, read, info.length));
      Extend(&*fork->held, more);
    }
    CompleteBranch(&*fork->held);
  }
  for (const Fork::Name& name : names) {
    if (name.length <= cut) continue;  // contains nothing beyond what counts already
    const std::size_t more = name.length - fork->point;
    std::optional<Fork::Branch> found;
    const Fork::Branch* branch = &*fork->held;
    const bool is_held =
        branch->hashes.size() >= more && branch->hashes[more - 1] == name.tree_hash;
    if (!is_held) {
      WEFT_ASSIGN_OR_RETURN(
          const std::vector<Bytes> blocks,
          logs->ReadBranch(log, fork->point, name.length, name.tree_hash));
      if (blocks.size() != more) {
        fork->wanted.push_back({log, fork->point, name.length, name.tree_hash});
        continue;
      }
      found.emplace(LogState(log));
      WEFT_RETURN_IF_ERROR(ReadPrefix(log, fork->point, &*found));
      Extend(&*found, blocks);
      CompleteBranch(&*found);
      branch = &*found;
    }
    if (branch->complete < more || branch->hashes[more - 1] != name.tree_hash) {
      if (branch->complete == branch->deps.size()) continue;
      for (const Dep& dep : branch->deps[branch->complete]) {
        if (!IsMet(dep)) AddWriter(dep.writer);
      }
      continue;
    }
    if (!hashes.empty() && branch->hashes[hashes.size() - 1] != hashes.back()) continue;
    cut = name.length;
    hashes.assign(branch->hashes.begin(),
                  branch->hashes.begin() + static_cast<std::ptrdiff_t>(more));
    other = !is_held;
  }
  const bool changed = cut != fork->cut || hashes != fork->hashes;
  fork->cut = cut;
  fork->hashes = std::move(hashes);
  fork->other = other;
  return changed;
}

// What comes before the branch.
absl::Status Indexer::State::ReadPrefix(const CoreKey& log, std::uint64_t point,
                                        Fork::Branch* branch) {
  for (std::uint64_t from = 0; from < point; from += kPrefixBlocks) {
    WEFT_ASSIGN_OR_RETURN(const std::vector<Bytes> blocks,
                          logs->Read(log, from, std::min(point, from + kPrefixBlocks)));
    for (const Bytes& block : blocks) {
      DecodeBlock(branch->log, block, genesis.limits);
      branch->tree.AppendBlock(block, [](const TreeNode&) {});
    }
  }
  return absl::OkStatus();
}

void Indexer::State::Extend(Fork::Branch* branch, std::span<const Bytes> blocks) const {
  for (const Bytes& block : blocks) {
    const DecodedBlock decoded = DecodeBlock(branch->log, block, genesis.limits);
    branch->tree.AppendBlock(block, [](const TreeNode&) {});
    branch->hashes.push_back(branch->tree.hash());
    branch->deps.push_back(decoded.header.envelope ? decoded.header.envelope->deps
                                                   : std::vector<Dep>());
  }
}

// Whether what the dep names is here and complete, or counts as if (C2, F3).
bool Indexer::State::IsMet(const Dep& dep) const {
  const std::optional<WriterNumber> number = view->writers().Find(dep.writer);
  if (!number) return false;
  const Fork* fork = ForkOf(dep.writer);
  if (fork != nullptr && dep.length > fork->point) {
    return graph->length(*number) >= fork->point;
  }
  return graph->length(*number) >= dep.length &&
         graph->TreeHashAt(*number, dep.length) == dep.tree_hash;
}

void Indexer::State::CompleteBranch(Fork::Branch* branch) const {
  while (branch->complete < branch->deps.size() &&
         std::all_of(branch->deps[branch->complete].begin(),
                     branch->deps[branch->complete].end(),
                     [this](const Dep& dep) { return IsMet(dep); })) {
    ++branch->complete;
  }
}

// --- everything anew ---

namespace {

// Which blocks had effect, by writer and position.
std::vector<std::vector<bool>> EffectOf(const CausalGraph& graph, std::size_t writers) {
  std::vector<std::vector<bool>> effect(writers);
  for (std::size_t n = 0; n < writers; ++n) {
    const auto writer = static_cast<WriterNumber>(n);
    for (std::uint64_t at = 0; at < graph.length(writer); ++at) {
      effect[n].push_back(graph.RecordOf(writer, at).effective);
    }
  }
  return effect;
}

}  // namespace

absl::Status Indexer::State::Rebuild(IndexResult* result) {
  const std::vector<std::vector<bool>> had_effect = EffectOf(*graph, writers.size());
  std::vector<bool> was_member;
  for (const WriterState& writer : writers) was_member.push_back(writer.member());
  if (filter) {
    const auto scan = view->Scan("", std::nullopt, false, false);
    while (std::optional<ViewEntry> entry = scan->Next()) {
      if (filter(entry->key)) before.try_emplace(entry->key, *std::move(entry));
    }
    WEFT_RETURN_IF_ERROR(scan->status());
  }
  view->BeginAnew();
  absl::Status status;
  IndexResult inner;
  for (std::size_t turns = 0; status.ok(); ++turns) {
    status = Clear(true);
    if (!status.ok()) break;
    for (WriterNumber n = 0; n < writers.size(); ++n) Enqueue(n);
    status = DrainQueue(&inner);
    if (!status.ok()) break;
    const absl::StatusOr<bool> moved = TakeNewForks(&inner);
    status = moved.status();
    if (!status.ok() || !*moved) break;
    // Each turn settles one more fork, in the order of seniority.
    if (turns > 2 * forks.size() + kUnplacedProofsMax) {
      status = absl::InternalError("forked logs have no answer");
    }
  }
  view->EndAnew();
  WEFT_RETURN_IF_ERROR(status);
  for (WriterNumber n = 0; n < writers.size(); ++n) {
    const CoreKey& key = view->writers().key(n);
    const bool is_known = n < was_member.size();
    if (writers[n].member() && (!is_known || !was_member[n])) {
      result->admitted.push_back(key);
    }
    const std::uint64_t had = is_known ? had_effect[n].size() : 0;
    const std::uint64_t has = graph->length(n);
    if (ForkOf(key) != nullptr && has < had) {
      AuthEvent event;
      event.kind = AuthEvent::Kind::kForked;
      event.log = key;
      event.from = event.to = has;
      result->events.push_back(std::move(event));
    }
    for (std::uint64_t at = 0; at < std::max(had, has); ++at) {
      const bool old_effect = at < had && had_effect[n][at];
      const bool new_effect = at < has && graph->RecordOf(n, at).effective;
      if (old_effect == new_effect) continue;
      // What comes anew with the rebuilding is no event.
      if (new_effect && at >= had) continue;
      Note(new_effect ? AuthEvent::Kind::kRestored : AuthEvent::Kind::kWithdrawn, key,
           at, at + 1, result);
    }
  }
  return graph->status();
}

// --- what is told ---

ForkedLog Indexer::State::Describe(const CoreKey& log, const Fork& fork) const {
  ForkedLog told;
  told.log = log;
  told.identity = authority->IdentityOf(log);
  told.fork_point = fork.point;
  told.cut = fork.cut;
  told.other_branch = fork.other;
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
