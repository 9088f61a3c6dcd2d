// What is written back, and what is read at the start.
//
// Everything goes out in one volatile commit: view, ops, graph, trie, writers, and the
// state row that says what they reflect. What was not flushed when the process ended is
// read again from the logs. A view that shows more than the logs hold is thrown away.

#include "crdt/indexer_state.h"
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
                             clock_suspect, seen_ms}));
  WEFT_RETURN_IF_ERROR(graph->status());
  WEFT_RETURN_IF_ERROR(storage->Commit(batch, Durability::kVolatile));
  view->MarkFlushed(options.cache_keys_max);
  ops_since_flush = 0;
  bytes_since_flush = 0;
  changed_since_flush = false;
  return absl::OkStatus();
}

absl::Status Indexer::State::Clear() {
  const ScanRange all = keys::ViewOf(options.base_number);
  StorageBatch batch;
  batch.DeleteRange(Family::kView, all.from, *all.to);
  WEFT_RETURN_IF_ERROR(storage->Commit(batch, Durability::kVolatile));
  const std::uint64_t base = options.base_number;
  const std::size_t siblings = genesis.limits.siblings_reported;
  view = std::make_unique<View>(storage, base, siblings, true, View::Counts());
  graph = std::make_unique<CausalGraph>(storage, base);
  ops = std::make_unique<OpIndex>(storage, base, 0);
  WEFT_ASSIGN_OR_RETURN(trie, Trie::Open(storage, keys::TriePrefix(base)));
  authority = MakeAuthority();
  writers.clear();
  queue.clear();
  payloads.clear();
  open_bytes = 0;
  stored_facts = 0;
  effective_ops = 0;
  clock_suspect = 0;
  seen_ms = 0;
  for (const Manifest& founder : genesis.founders) {
    AddWriter(KeyOf(founder));
  }
  return absl::OkStatus();
}

absl::Status Indexer::State::Load() {
  WEFT_ASSIGN_OR_RETURN(const bool loaded, LoadRows());
  if (!loaded) WEFT_RETURN_IF_ERROR(Clear());
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

std::unique_ptr<Authority> Indexer::State::MakeAuthority() {
  return std::make_unique<Authority>(
      genesis,
      [this](const CoreKey& writer, std::uint64_t position, const CoreKey& of) {
        const std::optional<WriterNumber> from = view->writers().Find(writer);
        const std::optional<WriterNumber> to = view->writers().Find(of);
        return from && to ? graph->Seen(*from, position, *to) : std::uint64_t{0};
      });
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
  if (!row->refused && info.length < row->tree.length()) return false;
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
