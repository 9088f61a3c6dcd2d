// Forked logs (part 7): what survives of them, and everything anew when that changes.
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

constexpr std::uint64_t kReadBlocks = 256;  // at a time
constexpr std::size_t kTurnsSpare = 256;    // for logs that are found on the way

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
  const auto found = forks.find(key);
  if (found == forks.end() || !found->second.other || to <= found->second.point) {
    return logs->Read(key, from, to);
  }
  Fork& fork = found->second;
  std::vector<Bytes> blocks;
  if (from < fork.point) {
    WEFT_ASSIGN_OR_RETURN(blocks, logs->Read(key, from, fork.point));
  }
  // A branch is one row of the store: it is read once, not for every piece.
  if (fork.rest.empty()) {
    WEFT_ASSIGN_OR_RETURN(
        fork.rest, logs->ReadBranch(key, fork.point, fork.cut, fork.hashes.back()));
    if (fork.rest.size() != fork.cut - fork.point) {
      return absl::DataLossError("a branch of a forked log is no longer held");
    }
  }
  for (std::uint64_t at = std::max(from, fork.point); at < to; ++at) {
    blocks.push_back(fork.rest[at - fork.point]);
  }
  return blocks;
}

// --- what survives (F2) ---

// Brings forks up to date with what was delivered, and everything with the forks.
absl::Status Indexer::State::SettleForks(IndexResult* result) {
  WEFT_ASSIGN_OR_RETURN(const bool moved, TakeNewForks(result));
  const bool thaws = std::any_of(forks.begin(), forks.end(), [](const auto& entry) {
    return entry.second.frozen && entry.second.frozen_anew;
  });
  return moved || thaws ? Rebuild(result) : absl::OkStatus();
}

// True if what was delivered rests on other forks, or on less of them, than are known.
absl::StatusOr<bool> Indexer::State::TakeNewForks(IndexResult* result) {
  for (;;) {
    WEFT_ASSIGN_OR_RETURN(const bool anew, AdoptProofs(result));
    WEFT_ASSIGN_OR_RETURN(const bool changed, UpdateForks());
    if (anew || changed) return true;
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
    const bool news = JudgeNames(&fork);
    if (!news && fork.found_at == authority_changes) continue;
    if (fork.frozen) {
      fork.frozen_anew = true;
      fork.found_at = authority_changes;
      continue;
    }
    WEFT_ASSIGN_OR_RETURN(const bool one, UpdateFork(log, &fork));
    changed = changed || one;
  }
  WEFT_RETURN_IF_ERROR(graph->status());
  return changed;
}

// Sorts out the names whose batch is whole by now. True if there is one more that may
// count.
bool Indexer::State::JudgeNames(Fork* fork) const {
  const std::size_t judged = fork->judged;
  std::size_t waiting = judged;  // they move up to here
  for (std::size_t i = judged; i < fork->names.size(); ++i) {
    const Fork::Name name = fork->names[i];
    BlockRecord record;
    if (name.position < graph->length(name.writer)) {
      record = graph->RecordOf(name.writer, name.position);
    }
    if (record.status == BlockStatus::kOpen) {
      fork->names[waiting++] = name;
      continue;
    }
    // A certificate uses no grant, whatever it cites (S2).
    const bool certifies = record.auth && record.op_count == 0;
    if (record.status != BlockStatus::kSound || record.batch_count == 0 || certifies ||
        authority->At(record.cited).role < GrantRole::kAdmin) {
      continue;
    }
    fork->names[waiting++] = name;
    std::swap(fork->names[fork->judged++], fork->names[waiting - 1]);
  }
  fork->names.resize(waiting);
  return fork->judged > judged;
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
  for (const Fork::Name& name : std::span(fork.names).first(fork.judged)) {
    const BlockRecord record = graph->RecordOf(name.writer, name.position);
    const Grant& cited = authority->At(record.cited);
    if (holder && !(cited.path < *holder)) continue;
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
  fork->found_at.reset();
  const std::optional<WriterNumber> writer = view->writers().Find(log);
  bool waits = !writer || graph->length(*writer) < fork->point;
  std::uint64_t cut = fork->point;
  std::vector<TreeHash> hashes;
  bool other = false;
  std::vector<Fork::Name> names;
  if (!waits) names = CountingNames(log, *fork);
  std::uint64_t longest = 0;
  for (const Fork::Name& name : names) longest = std::max(longest, name.length);
  if (!names.empty()) WEFT_RETURN_IF_ERROR(ReadHeld(log, longest, fork));
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
        waits = true;
        continue;
      }
      found.emplace(LogState(log));
      WEFT_RETURN_IF_ERROR(ReadPrefix(log, fork->point, &*found));
      Extend(&*found, blocks);
      CompleteBranch(&*found);
      branch = &*found;
    }
    if (branch->complete < more || branch->hashes[more - 1] != name.tree_hash) {
      waits = true;
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
  if (changed) fork->rest.clear();
  if (!waits) fork->found_at = authority_changes;
  return changed;
}

// Blocks [from, to) of what Read gives, some at a time.
absl::Status Indexer::State::ReadPieces(
    const CoreKey& log, std::uint64_t from, std::uint64_t to,
    const std::function<void(std::span<const Bytes>)>& take) {
  for (; from < to; from += kReadBlocks) {
    WEFT_ASSIGN_OR_RETURN(const std::vector<Bytes> blocks,
                          logs->Read(log, from, std::min(to, from + kReadBlocks)));
    take(blocks);
  }
  return absl::OkStatus();
}

// What comes before the branch.
absl::Status Indexer::State::ReadPrefix(const CoreKey& log, std::uint64_t point,
                                        Fork::Branch* branch) {
  return ReadPieces(log, 0, point, [&](std::span<const Bytes> blocks) {
    for (const Bytes& block : blocks) {
      DecodeBlock(branch->log, block, genesis.limits);
      branch->tree.AppendBlock(block, [](const TreeNode&) {});
    }
  });
}

// The branch that Read gives, as far as it is held and names reach.
absl::Status Indexer::State::ReadHeld(const CoreKey& log, std::uint64_t length,
                                      Fork* fork) {
  WEFT_ASSIGN_OR_RETURN(const LogInfo info, logs->Info(log));
  if (!fork->held) {
    fork->held.emplace(LogState(log));
    WEFT_RETURN_IF_ERROR(ReadPrefix(log, fork->point, &*fork->held));
  }
  const std::uint64_t read = fork->point + fork->held->hashes.size();
  const std::uint64_t held = info.fork == 0 ? std::min(length, info.length) : 0;
  WEFT_RETURN_IF_ERROR(ReadPieces(log, read, held, [&](std::span<const Bytes> blocks) {
    Extend(&*fork->held, blocks);
  }));
  CompleteBranch(&*fork->held);
  return absl::OkStatus();
}

void Indexer::State::Fork::Branch::Add(const BlockHeader& header) {
  deps.push_back(header.envelope ? header.envelope->deps : std::vector<Dep>());
  cited.push_back(header.envelope ? header.envelope->cite.dot() : Dot());
}

void Indexer::State::Extend(Fork::Branch* branch, std::span<const Bytes> blocks) const {
  for (const Bytes& block : blocks) {
    const DecodedBlock decoded = DecodeBlock(branch->log, block, genesis.limits);
    branch->tree.AppendBlock(block, [](const TreeNode&) {});
    branch->hashes.push_back(branch->tree.hash());
    branch->Add(decoded.header);
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

using Survivors = std::map<CoreKey, std::pair<std::uint64_t, std::optional<TreeHash>>>;

Survivors SurvivorsOf(const std::map<CoreKey, Indexer::State::Fork>& forks) {
  Survivors survivors;
  for (const auto& [log, fork] : forks) {
    std::optional<TreeHash> hash;
    if (!fork.hashes.empty()) hash = fork.hashes.back();
    survivors.emplace(log, std::pair(fork.cut, hash));
  }
  return survivors;
}

// The logs of which not every turn left the same; all, if there is none.
void FreezeMoving(std::span<const Survivors> turns,
                  std::map<CoreKey, Indexer::State::Fork>* forks) {
  bool any = false;
  for (auto& [log, fork] : *forks) {
    const auto first = turns.front().find(log);
    // Captured by name: clang 14 does not take a structured binding otherwise.
    const bool moves =
        std::any_of(turns.begin(), turns.end(), [&, &log = log](const auto& turn) {
          const auto then = turn.find(log);
          return first == turns.front().end() || then->second != first->second;
        });
    any = any || (moves && !fork.frozen);
    fork.frozen = fork.frozen || moves;
  }
  if (any) return;
  for (auto& [log, fork] : *forks) fork.frozen = true;
}

}  // namespace

// Everything from the logs, with what survives of the forked ones as the last turn left
// it, until a turn leaves it as it was. As a rule each turn settles one more log, in
// the order of seniority. Blocks that name each other in a circle may keep that from
// ending: then the answer is looked for from the fork points on, and the logs that come
// back to where they were are frozen, so that all who hold these logs end alike.
absl::Status Indexer::State::TakeTurns() {
  for (auto& [log, fork] : forks) fork.frozen = false;
  bool from_fork_points = false;
  std::vector<Survivors> turns;
  IndexResult inner;
  for (;;) {
    WEFT_RETURN_IF_ERROR(Clear(true));
    for (WriterNumber n = 0; n < writers.size(); ++n) Enqueue(n);
    WEFT_RETURN_IF_ERROR(DrainQueue(&inner));
    WEFT_ASSIGN_OR_RETURN(const bool moved, TakeNewForks(&inner));
    if (!moved) break;
    Survivors now = SurvivorsOf(forks);
    const auto seen = std::find(turns.begin(), turns.end(), now);
    if (seen == turns.end() && turns.size() <= 2 * forks.size() + kTurnsSpare) {
      turns.push_back(std::move(now));
      continue;
    }
    // All that moved, if it does not even come back.
    const auto circle = std::span(turns).subspan(
        seen == turns.end() ? 0 : static_cast<std::size_t>(seen - turns.begin()));
    if (from_fork_points) FreezeMoving(circle, &forks);
    from_fork_points = true;
    for (auto& [log, fork] : forks) fork.CountToPoint();
    turns.clear();
  }
  for (auto& [log, fork] : forks) fork.frozen_anew = false;
  return absl::OkStatus();
}

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
  const absl::Status status = TakeTurns();
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

}  // namespace weft
