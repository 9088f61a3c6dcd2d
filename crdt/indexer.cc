#include "crdt/indexer.h"

#include <algorithm>
#include <mutex>

#include "absl/strings/str_format.h"
#include "crdt/indexer_state.h"
#include "engine/key_layout.h"
#include "engine/trie_proof.h"

namespace weft {

Indexer::State::State(Storage* storage_in, LogSource* logs_in, const Clock* clock_in,
                      const Genesis& genesis_in, const IndexerOptions& options_in)
    : storage(storage_in),
      logs(logs_in),
      clock(clock_in),
      genesis(genesis_in),
      base_id(BaseIdOf(EncodeGenesis(genesis_in))),
      options(options_in) {}

WriterNumber Indexer::State::AddWriter(const CoreKey& key) {
  if (const auto known = view->writers().Find(key)) return *known;
  {
    const std::lock_guard<std::mutex> lock(view->mutex());
    view->writers().Add(key);
  }
  const auto number = static_cast<WriterNumber>(writers.size());
  writers.emplace_back(key);
  writers.back().limit = authority->SettledLimit(key);
  writers.back().dirty = true;
  changed_since_flush = true;
  graph->AddWriter();
  Enqueue(number);  // its log may be here already
  return number;
}

// Rule C1.
std::vector<std::uint64_t> Indexer::State::SettledLengths() const {
  std::vector<std::uint64_t> settled(writers.size(), 0);
  for (WriterNumber n = 0; n < writers.size(); ++n) {
    const WriterState& state = writers[n];
    // Of a forked log nothing else is taken in than what survives; a dep on it pulls
    // nothing.
    settled[n] = ForkOf(view->writers().key(n)) != nullptr
                     ? graph->length(n)
                     : std::min(graph->length(n), std::max(state.limit, state.pulled));
  }
  return settled;
}

std::vector<MissingPrefix> Indexer::State::Missing() const {
  std::vector<MissingPrefix> missing;
  for (WriterNumber n = 0; n < writers.size(); ++n) {
    const std::optional<Wait>& wait = writers[n].wait;
    if (!wait) continue;
    missing.push_back({view->writers().key(n), graph->length(n),
                       view->writers().key(wait->writer), wait->length,
                       wait->other_branch});
  }
  return missing;
}

Indexer::Indexer(std::unique_ptr<State> state) : state_(std::move(state)) {}
Indexer::~Indexer() = default;

absl::StatusOr<std::unique_ptr<Indexer>> Indexer::Open(Storage* storage,
                                                       LogSource* logs,
                                                       const Clock* clock,
                                                       const Genesis& genesis,
                                                       const IndexerOptions& options) {
  auto state = std::make_unique<State>(storage, logs, clock, genesis, options);
  WEFT_RETURN_IF_ERROR(state->Load());
  return std::unique_ptr<Indexer>(new Indexer(std::move(state)));
}

absl::StatusOr<IndexResult> Indexer::Index(const CoreKey& log) {
  const std::optional<WriterNumber> number = state_->view->writers().Find(log);
  if (number) state_->Enqueue(*number);
  IndexResult result;
  WEFT_RETURN_IF_ERROR(state_->Drain(&result));
  return result;
}

absl::StatusOr<IndexResult> Indexer::IndexAll() {
  for (WriterNumber n = 0; n < state_->writers.size(); ++n) state_->Enqueue(n);
  IndexResult result;
  WEFT_RETURN_IF_ERROR(state_->Drain(&result));
  return result;
}

absl::StatusOr<bool> Indexer::IndexSome(std::uint64_t ops) {
  if (state_->queue.empty()) {
    for (WriterNumber n = 0; n < state_->writers.size(); ++n) state_->Enqueue(n);
  }
  IndexResult result;
  state_->step_left = ops;
  const absl::Status status = state_->DeliverReady(&result);
  state_->step_left = UINT64_MAX;
  WEFT_RETURN_IF_ERROR(status);
  if (!state_->queue.empty()) return false;
  WEFT_RETURN_IF_ERROR(state_->Drain(&result));
  return true;
}

void Indexer::Follow(const CoreKey& log) {
  state_->AddWriter(log);
}

void Indexer::SetChangeFilter(std::function<bool(std::string_view key)> filter) {
  state_->filter = std::move(filter);
}

absl::Status Indexer::Flush() {
  return state_->Flush();
}

std::vector<CoreKey> Indexer::WantedLogs() const {
  std::vector<CoreKey> wanted;
  for (WriterNumber n = 0; n < state_->writers.size(); ++n) {
    wanted.push_back(state_->view->writers().key(n));
  }
  return wanted;
}

std::size_t Indexer::wanted_count() const {
  return state_->writers.size();
}

std::vector<MissingPrefix> Indexer::Missing() const {
  return state_->Missing();
}

Version Indexer::CurrentVersion() const {
  Version version;
  const std::vector<std::uint64_t> settled = state_->SettledLengths();
  for (WriterNumber n = 0; n < settled.size(); ++n) {
    if (settled[n] == 0) continue;
    const State::WriterState& writer = state_->writers[n];
    const CoreKey& key = state_->view->writers().key(n);
    const TreeHash hash = settled[n] == writer.tree.length()
                              ? writer.tree.hash()
                              : state_->graph->TreeHashAt(n, settled[n]);
    version.writers.emplace(key, SettledPrefix{settled[n], hash});
    const std::optional<std::uint64_t> parked = writer.log.parked();
    if (parked && *parked < settled[n]) version.parked.insert({key, *parked});
  }
  for (const auto& [log, fork] : state_->forks) {
    if (state_->authority->IsNamed(log)) version.forked.emplace(log, fork.point);
  }
  return version;
}

Hash32 Indexer::CurrentDigest() const {
  State::DigestCache& cache = state_->digest;
  if (cache.deliveries != state_->deliveries) {
    cache = {state_->deliveries, VersionDigest(CurrentVersion())};
  }
  return cache.digest;
}

VersionVector Indexer::Settled() const {
  VersionVector vector;
  const std::vector<std::uint64_t> settled = state_->SettledLengths();
  for (WriterNumber n = 0; n < settled.size(); ++n) {
    if (settled[n] > 0) vector.Raise(state_->view->writers().key(n), settled[n]);
  }
  return vector;
}

absl::StatusOr<ViewEntry> Indexer::Get(std::string_view key) const {
  return state_->view->Get(key);
}

absl::Status Indexer::ReadSequence(
    std::string_view key, Lane lane,
    const std::function<void(const SequenceLane&)>& use) const {
  return state_->view->ReadSequence(key, lane, use);
}

OpId Indexer::NameOf(const LocalOp& op) const {
  return {state_->view->writers().key(op.writer), op.position, op.op_index};
}

std::optional<LocalOp> Indexer::LocalOf(const OpId& op) const {
  const auto writer = state_->view->writers().Find(op.writer);
  if (!writer) return std::nullopt;
  return LocalOp{*writer, op.op_index, op.position};
}

std::unique_ptr<ViewScan> Indexer::ScanView(std::string_view from,
                                            std::optional<std::string_view> to,
                                            bool reverse, bool conflicts_only,
                                            std::uint64_t limit) const {
  return state_->view->Scan(from, to, reverse, conflicts_only, limit);
}

absl::StatusOr<Hash32> Indexer::Root() {
  WEFT_RETURN_IF_ERROR(state_->view->UpdateTrie(state_->trie.get()));
  return state_->trie->Root();
}

absl::StatusOr<Bytes> Indexer::LeafLanes(std::string_view key) {
  WEFT_RETURN_IF_ERROR(state_->view->Load(std::span(&key, 1)));
  const std::lock_guard<std::mutex> lock(state_->view->mutex());
  const View::Entry* entry = state_->view->Touch(key);
  if (!entry->state.readable()) return absl::NotFoundError("nothing is readable there");
  return LeafLanesOf(entry->state, state_->view->writers());
}

absl::StatusOr<TrieProof> Indexer::Prove(std::string_view key) {
  WEFT_RETURN_IF_ERROR(state_->view->UpdateTrie(state_->trie.get()));
  return state_->trie->Prove(AsBytes(key),
                             [&](ByteView found) { return LeafLanes(AsText(found)); });
}

const Authority& Indexer::authority() const {
  return *state_->authority;
}
const Genesis& Indexer::genesis() const {
  return state_->genesis;
}

std::vector<MemberInfo> Indexer::Members() const {
  const std::vector<std::uint64_t> settled = state_->SettledLengths();
  std::vector<MemberInfo> members;
  for (const auto& [path, grant] : state_->authority->grants()) {
    MemberInfo info{grant, 0};
    for (const CoreKey& log : state_->authority->LogsOf(grant->identity)) {
      const std::optional<WriterNumber> number = state_->view->writers().Find(log);
      if (number) info.settled_length += settled[*number];
      if (state_->ForkOf(log) != nullptr) ++info.forked_logs;
    }
    members.push_back(info);
  }
  return members;
}

IndexerStatus Indexer::Status() const {
  IndexerStatus status;
  const std::vector<std::uint64_t> settled = state_->SettledLengths();
  for (WriterNumber n = 0; n < settled.size(); ++n) {
    const State::WriterState& writer = state_->writers[n];
    const CoreKey& key = state_->view->writers().key(n);
    status.writers += settled[n] > 0 ? 1 : 0;
    status.blocks += settled[n];
    if (const auto parked = writer.log.parked(); parked && *parked < settled[n]) {
      status.parked.push_back({key, *parked, writer.park_reason});
    }
    if (writer.refused) status.refused.push_back(key);
  }
  const View::Counts counts = state_->view->counts();
  status.keys = counts.keys;
  status.conflicts = counts.conflicts;
  status.ops = state_->effective_ops;
  status.clock_suspect = state_->clock_suspect;
  status.waiting = state_->Missing();
  return status;
}

}  // namespace weft
