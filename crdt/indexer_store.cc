// What is written back, and what is read at the start.
//
// Everything goes out in one volatile commit: view, ops, graph, trie, writers, and the
// state row that says what they reflect. What was not flushed when the process ended is
// read again from the logs. A view that shows more than the logs hold is thrown away.

#include "crdt/indexer_state.h"
#include "engine/codec.h"
#include "engine/key_layout.h"

namespace weft {

absl::Status Indexer::State::Flush() {
  WEFT_RETURN_IF_ERROR(view->UpdateTrie(trie.get()));
  if (!changed_since_flush) return absl::OkStatus();
  WEFT_RETURN_IF_ERROR(storage->Sync());
  const std::uint64_t base = options.base_number;
  StorageBatch batch;
  for (WriterNumber n = 0; n < writers.size(); ++n) {
    WriterState& state = writers[n];
    if (!state.dirty) continue;
    const WriterRow row{view->writers().key(n), state.closed, state.is_head,
                        state.refused, state.tree};
    batch.Put(Family::kView, keys::ViewWriter(base, n), EncodeWriterRow(row));
    // Between batches only: the rest of an open one is read again from its start.
    if (!state.pending && state.open.empty() &&
        state.restored <= state.log.position()) {
      batch.Put(Family::kView, keys::ViewLog(base, n), state.log.Save());
    }
    state.dirty = false;
  }
  for (Bytes& fact : authority->TakeNewFacts()) {
    batch.Put(Family::kView, keys::ViewGrant(base, stored_facts++), std::move(fact));
  }
  view->Flush(&batch);
  ops->Flush(&batch);
  graph->Flush(&batch);
  trie->Flush(&batch);
  const View::Counts counts = view->counts();
  batch.Put(Family::kView, keys::ViewState(base),
            EncodeViewState({kSemVersion, kEvaluator, writers.size(), stored_facts,
                             ops->next(), effective_ops, counts.keys, counts.conflicts,
                             clock_suspect, seen_ms, EncodeForks()}));
  WEFT_RETURN_IF_ERROR(graph->status());
  WEFT_RETURN_IF_ERROR(storage->Commit(batch, Durability::kVolatile));
  view->MarkFlushed(options.cache_keys_max);
  ops_since_flush = 0;
  replay_bytes = 0;
  bytes_since_flush = 0;
  changed_since_flush = false;
  return absl::OkStatus();
}

absl::Status Indexer::State::Clear(bool running) {
  const ScanRange all = keys::ViewOf(options.base_number);
  StorageBatch batch;
  batch.DeleteRange(Family::kView, all.from, *all.to);
  WEFT_RETURN_IF_ERROR(storage->Commit(batch, Durability::kVolatile));
  replay_bytes = 0;
  const std::uint64_t base = options.base_number;
  const std::size_t siblings = genesis.limits.siblings_reported;
  if (running) {
    view->Forget();
  } else {
    view = std::make_unique<View>(storage, base, siblings, true, View::Counts());
  }
  graph = std::make_unique<CausalGraph>(storage, base);
  ops = std::make_unique<OpIndex>(storage, base, 0);
  WEFT_ASSIGN_OR_RETURN(trie, Trie::Open(storage, keys::TriePrefix(base)));
  authority = MakeAuthority();
  for (auto& [log, fork] : forks) {
    fork.Forget();
    if (fork.certificate) {
      authority->AddIncarnation(log, *fork.certificate);
    }
  }
  AuthorityChange none;
  authority->Evaluate(&none);
  writers.clear();
  queue.clear();
  payloads.clear();
  payload_bytes = 0;
  demoted.clear();
  released.clear();
  open_bytes = 0;
  stored_facts = 0;
  effective_ops = 0;
  clock_suspect = 0;
  seen_ms = 0;
  ++deliveries;
  changed_since_flush = true;
  for (WriterNumber n = 0; n < view->writers().size(); ++n) {
    writers.emplace_back(view->writers().key(n));
    writers.back().limit = authority->SettledLimit(view->writers().key(n));
    writers.back().dirty = true;
    graph->AddWriter();
  }
  for (const Manifest& founder : genesis.founders) {
    AddWriter(KeyOf(founder));
  }
  for (const auto& [log, fork] : forks) AddWriter(log);
  return absl::OkStatus();
}

// forks := count:uint (log:32 point:uint cut:uint other:u8 hash:32* count:uint name*)*
// name  := writer:uint position:uint length:uint hash:32
Bytes Indexer::State::EncodeForks() const {
  Bytes bytes;
  Writer out(&bytes);
  out.Uint(forks.size());
  for (const auto& [log, fork] : forks) {
    out.Raw(log.view());
    out.Uint(fork.point);
    out.Uint(fork.cut);
    out.U8(fork.other ? 1 : 0);
    for (const TreeHash& hash : fork.hashes) out.Raw(hash.view());
    out.Uint(fork.names.size());
    for (const Fork::Name& name : fork.names) {
      out.Uint(name.writer);
      out.Uint(name.position);
      out.Uint(name.length);
      out.Raw(name.tree_hash.view());
    }
  }
  return bytes;
}

// False if the bytes are malformed, of other forks than are proven now, or what
// survives is no longer held.
absl::StatusOr<bool> Indexer::State::DecodeForks(ByteView bytes) {
  Reader in(bytes);
  std::map<CoreKey, Fork> stored;
  for (std::size_t n = in.Count(36); n > 0 && in.ok(); --n) {
    const auto log = in.Fixed<CoreKey>();
    Fork& fork = stored[log];
    fork.point = in.Uint();
    fork.cut = in.Uint();
    fork.other = in.U8() != 0;
    if (!in.ok() || fork.cut < fork.point || fork.cut - fork.point > bytes.size()) {
      return false;
    }
    for (std::uint64_t i = fork.point; i < fork.cut; ++i) {
      fork.hashes.push_back(in.Fixed<TreeHash>());
    }
    for (std::size_t names = in.Count(35); names > 0 && in.ok(); --names) {
      Fork::Name name;
      name.writer = static_cast<WriterNumber>(in.Uint());
      name.position = in.Uint();
      name.length = in.Uint();
      name.tree_hash = in.Fixed<TreeHash>();
      fork.names.push_back(name);
    }
  }
  if (!in.ok() || !in.done() || stored.size() != forks.size()) return false;
  for (auto& [log, fork] : stored) {
    const auto proven = forks.find(log);
    if (proven == forks.end() || proven->second.point != fork.point) return false;
    fork.certificate = proven->second.certificate;
    if (!fork.other) continue;
    if (fork.hashes.empty()) return false;
    WEFT_ASSIGN_OR_RETURN(
        const std::vector<Bytes> blocks,
        logs->ReadBranch(log, fork.point, fork.cut, fork.hashes.back()));
    if (blocks.size() != fork.cut - fork.point) return false;
  }
  forks = std::move(stored);
  return true;
}

absl::Status Indexer::State::Load() {
  WEFT_RETURN_IF_ERROR(LoadProofs());
  WEFT_ASSIGN_OR_RETURN(const bool loaded, LoadRows());
  if (!loaded) {
    for (auto& [log, fork] : forks) {
      fork.cut = fork.point;
      fork.hashes.clear();
      fork.other = false;
    }
    WEFT_RETURN_IF_ERROR(Clear(false));
  }
  for (WriterNumber n = 0; n < writers.size(); ++n) Enqueue(n);
  return absl::OkStatus();
}

// False if there is no stored view, or none that can be trusted.
absl::StatusOr<bool> Indexer::State::LoadRows() {
  const std::uint64_t base = options.base_number;
  WEFT_ASSIGN_OR_RETURN(const std::optional<Bytes> saved,
                        storage->Get(Family::kView, keys::ViewState(base), nullptr));
  if (!saved) return false;
  const absl::StatusOr<ViewStateRow> row = DecodeViewState(*saved);
  if (!row.ok() || row->sem_version != kSemVersion || row->evaluator != kEvaluator) {
    return false;
  }
  WEFT_ASSIGN_OR_RETURN(const bool same_forks, DecodeForks(row->forks));
  if (!same_forks) return false;

  view = std::make_unique<View>(storage, base, genesis.limits.siblings_reported, false,
                                View::Counts{row->keys, row->conflicts});
  graph = std::make_unique<CausalGraph>(storage, base);
  ops = std::make_unique<OpIndex>(storage, base, row->arrivals);
  authority = MakeAuthority();
  effective_ops = row->effective;
  if (!ops->Load().ok()) return false;
  auto opened = Trie::Open(storage, keys::TriePrefix(base));
  if (!opened.ok()) return false;
  trie = *std::move(opened);
  clock_suspect = row->clock_suspect;
  seen_ms = row->seen_ms;

  auto rows = storage->Scan(Family::kView, keys::ViewWriters(base), nullptr);
  for (; rows->valid(); rows->Next()) {
    WEFT_ASSIGN_OR_RETURN(
        const bool usable,
        LoadWriter(static_cast<WriterNumber>(writers.size()), rows->value()));
    if (!usable) return false;
  }
  WEFT_RETURN_IF_ERROR(rows->status());
  WEFT_ASSIGN_OR_RETURN(const bool facts, LoadFacts());
  if (!facts || writers.size() != row->writers || stored_facts != row->facts) {
    return false;
  }
  for (WriterNumber n = 0; n < writers.size(); ++n) {
    WriterState& state = writers[n];
    if (state.closed == graph->length(n)) continue;
    if (const auto parked = state.log.parked(); parked && *parked < graph->length(n)) {
      state.park_reason = graph->ReasonOf(n, *parked);
    }
    state.relearn_heads = true;
    for (WriterNumber other = 0; other < writers.size(); ++other) {
      if (other == n || graph->length(other) == 0) continue;
      const auto tip = graph->TipVector(other);
      if (n < tip.size() && tip[n] > state.closed) state.late = true;
    }
  }
  return graph->status().ok();
}

std::unique_ptr<Authority> Indexer::State::MakeAuthority() const {
  auto made = std::make_unique<Authority>(
      genesis,
      [this](const CoreKey& writer, std::uint64_t position, const CoreKey& of) {
        const std::optional<WriterNumber> from = view->writers().Find(writer);
        const std::optional<WriterNumber> to = view->writers().Find(of);
        return from && to ? graph->Seen(*from, position, *to) : std::uint64_t{0};
      });
  for (const auto& [log, fork] : forks) made->SetFork(log, fork.point, fork.cut);
  return made;
}

// One of the same facts, in which grants have the same numbers.
absl::StatusOr<std::unique_ptr<Authority>> Indexer::State::CopyAuthority() const {
  std::unique_ptr<Authority> copy = MakeAuthority();
  const ScanRange range = keys::ViewGrants(options.base_number);
  auto rows = storage->Scan(Family::kView, range, nullptr);
  for (; rows->valid(); rows->Next()) {
    WEFT_RETURN_IF_ERROR(copy->RestoreFact(rows->value()));
  }
  WEFT_RETURN_IF_ERROR(rows->status());
  for (const Bytes& fact : authority->new_facts()) {
    WEFT_RETURN_IF_ERROR(copy->RestoreFact(fact));
  }
  AuthorityChange change;
  copy->Evaluate(&change);
  return copy;
}

// The facts of authority, and what follows from them: the same as when they were
// stored.
absl::StatusOr<bool> Indexer::State::LoadFacts() {
  const ScanRange range = keys::ViewGrants(options.base_number);
  auto rows = storage->Scan(Family::kView, range, nullptr);
  for (; rows->valid(); rows->Next(), ++stored_facts) {
    if (!authority->RestoreFact(rows->value()).ok()) return false;
  }
  WEFT_RETURN_IF_ERROR(rows->status());
  AuthorityChange change;
  authority->Evaluate(&change);
  bool partial = false;
  for (WriterNumber n = 0; n < writers.size(); ++n) {
    writers[n].limit = authority->SettledLimit(view->writers().key(n));
    UpdateKept(n);
    partial = partial || (!writers[n].member() && graph->length(n) > 0);
  }
  if (partial) PullAgain();
  return true;
}

absl::StatusOr<bool> Indexer::State::LoadWriter(WriterNumber number, ByteView bytes) {
  absl::StatusOr<WriterRow> row = DecodeWriterRow(bytes);
  if (!row.ok()) return false;
  if (AddWriter(row->key) != number) return false;
  WriterState& state = writers[number];
  WEFT_ASSIGN_OR_RETURN(const LogInfo info, logs->Info(row->key));
  WEFT_ASSIGN_OR_RETURN(const std::uint64_t held, HeldBlocks(number, info));
  if (!row->refused && held < row->tree.length()) return false;
  WEFT_ASSIGN_OR_RETURN(
      const std::optional<Bytes> saved,
      storage->Get(Family::kView, keys::ViewLog(options.base_number, number), nullptr));
  if (saved) {
    absl::StatusOr<LogState> log = LogState::Restore(row->key, *saved);
    if (!log.ok()) return false;
    state.log = *std::move(log);
  }
  state.restored = row->tree.length();
  state.closed = row->closed;
  state.is_head = row->is_head;
  state.refused = row->refused;
  state.tree = std::move(row->tree);
  state.dirty = false;
  graph->RestoreLength(number, state.restored);
  return true;
}

}  // namespace weft
