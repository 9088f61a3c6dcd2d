// What follows when authority changes its mind: who counts as a member, how far logs
// settle, and which ops the lanes show. Batches whose standing changed are found in
// the causal graph, their keys in the op index, and all these keys are computed anew
// and shown in one step.

#include <algorithm>
#include <tuple>

#include "absl/strings/str_format.h"
#include "crdt/indexer_state.h"

namespace weft {
std::vector<TouchedRange> JoinRanges(std::vector<TouchedRange> ranges) {
  std::sort(ranges.begin(), ranges.end(), [](const auto& a, const auto& b) {
    return std::tie(a.log, a.ops, a.from) < std::tie(b.log, b.ops, b.from);
  });
  std::vector<TouchedRange> joined;
  for (const TouchedRange& range : ranges) {
    const bool meets = !joined.empty() && joined.back().log == range.log &&
                       joined.back().ops == range.ops && range.from <= joined.back().to;
    if (meets) {
      joined.back().to = std::max(joined.back().to, range.to);
    } else {
      joined.push_back(range);
    }
  }
  return joined;
}

OpId Indexer::State::IdOf(const LocalOp& op) const {
  return {view->writers().key(op.writer), op.position, op.op_index};
}

void Indexer::State::Note(AuthEvent::Kind kind, const CoreKey& log, std::uint64_t from,
                          std::uint64_t to, IndexResult* result) const {
  if (!result->events.empty()) {
    AuthEvent& last = result->events.back();
    if (last.kind == kind && last.log == log && last.to == from) {
      last.to = to;
      return;
    }
  }
  AuthEvent event;
  event.kind = kind;
  event.log = log;
  event.from = from;
  event.to = to;
  result->events.push_back(std::move(event));
}

// Attack 66: a range with a tree hash that is not that of the log is of no effect. One
// that ends inside a batch is rounded inward (D8).
void Indexer::State::CheckRanges(std::span<DecodedBlock> batch) const {
  for (DecodedBlock& block : batch) {
    for (AuthOperation& operation : block.payload.auth_operations) {
      auto* verdict = std::get_if<VerdictOp>(&operation);
      if (verdict == nullptr) continue;
      const std::optional<WriterNumber> log = view->writers().Find(verdict->log);
      if (!log || verdict->named < verdict->to || graph->length(*log) < verdict->to ||
          graph->TreeHashAt(*log, verdict->to) != verdict->tree_hash) {
        verdict->named = 0;
        continue;
      }
      const BlockRecord last = graph->RecordOf(*log, verdict->to - 1);
      if (last.batch_index + 1 >= last.batch_count) continue;
      const std::uint64_t rounded = verdict->to - 1 - last.batch_index;
      if (rounded <= verdict->from) {
        verdict->named = 0;
      } else {
        verdict->to = rounded;
      }
    }
  }
}

// --- whose logs count, and how far ---

// The whole batches below the limit of the log.
void Indexer::State::UpdateKept(WriterNumber writer) {
  WriterState& state = writers[writer];
  if (state.closed <= state.limit) {
    state.kept = state.closed;
    return;
  }
  if (state.limit == 0) {
    state.kept = 0;
    return;
  }
  const std::uint64_t last = state.limit - 1;
  const BlockRecord record = graph->RecordOf(writer, last);
  const bool splits = record.status == BlockStatus::kSound &&
                      record.batch_index + 1 < record.batch_count;
  state.kept = splits ? last - record.batch_index : state.limit;
}

// True if the log settles to another length than before.
bool Indexer::State::UpdateLimit(WriterNumber writer) {
  WriterState& state = writers[writer];
  const std::uint64_t limit = authority->SettledLimit(view->writers().key(writer));
  if (limit == state.limit) return false;
  state.limit = limit;
  UpdateKept(writer);
  return graph->length(writer) > 0;
}

void Indexer::State::Pull(std::span<const std::uint64_t> vector) {
  for (std::size_t of = 0; of < vector.size(); ++of) {
    writers[of].pulled = std::max(writers[of].pulled, vector[of]);
  }
}

// How far logs settle because of others, from scratch. A version vector holds the whole
// past of its block, so one look at each log's last settled block is enough.
void Indexer::State::PullAgain() {
  for (WriterState& state : writers) state.pulled = 0;
  for (WriterNumber n = 0; n < writers.size(); ++n) {
    const std::uint64_t settled = std::min(graph->length(n), writers[n].limit);
    if (settled == 0) continue;
    if (settled == graph->length(n)) {
      Pull(graph->TipVector(n));
    } else {
      Pull(graph->VectorAt(n, settled - 1));
    }
  }
}

absl::Status Indexer::State::TakeChange(const AuthorityChange& change,
                                        IndexResult* result) {
  for (const CoreKey& identity : change.admitted) {
    const std::optional<WriterNumber> known = view->writers().Find(identity);
    const bool is_new = !known || !writers[*known].member();
    AddWriter(identity);
    auto& admitted = result->admitted;
    if (is_new &&
        std::find(admitted.begin(), admitted.end(), identity) == admitted.end()) {
      admitted.push_back(identity);
    }
  }
  for (const OpId& invite : change.overused) {
    AuthEvent event;
    event.kind = AuthEvent::Kind::kOverused;
    event.op = invite;
    result->events.push_back(std::move(event));
  }
  if (!change.holders.empty() || !change.ranges.empty()) ++authority_changes;
  bool moved = false;
  for (const CoreKey& identity : change.holders) {
    for (const CoreKey& log : authority->LogsOf(identity)) {
      const std::optional<WriterNumber> writer = view->writers().Find(log);
      if (writer) moved = UpdateLimit(*writer) || moved;
    }
  }
  ++deliveries;
  changed_since_flush = true;
  if (moved) {
    PullAgain();
    LearnHeads();
  }
  absl::flat_hash_set<std::string> keys;
  for (const TouchedRange& range : JoinRanges(change.ranges)) {
    WEFT_RETURN_IF_ERROR(Reconsider(range, &keys, result));
  }
  const absl::flat_hash_set<OpId> ops_named(change.ops.begin(), change.ops.end());
  for (const OpId& op : ops_named) {
    const std::optional<WriterNumber> writer = view->writers().Find(op.writer);
    if (!writer || op.position >= graph->length(*writer)) continue;
    BlockRecord record = graph->RecordOf(*writer, op.position);
    if (!record.effective || record.auth || op.op_index >= record.op_count) continue;
    record.first_arrival += op.op_index;
    record.op_count = 1;
    WEFT_RETURN_IF_ERROR(CollectKeys(record, &keys));
  }
  return RecomputeKeys(std::vector<std::string>(keys.begin(), keys.end()));
}

// --- standings that changed ---

absl::Status Indexer::State::CollectKeys(const BlockRecord& record,
                                         absl::flat_hash_set<std::string>* keys) {
  for (std::uint64_t i = 0; i < record.op_count; ++i) {
    WEFT_ASSIGN_OR_RETURN(const auto found, ops->Read(record.first_arrival + i));
    keys->insert(found.second);
  }
  return absl::OkStatus();
}

absl::Status Indexer::State::VisitBatches(
    const TouchedRange& range,
    const std::function<absl::Status(WriterNumber writer, std::uint64_t first,
                                     std::uint64_t end, const BlockRecord& record)>&
        use) const {
  const std::optional<WriterNumber> found = view->writers().Find(range.log);
  if (!found) return absl::OkStatus();
  const WriterNumber writer = *found;
  const std::uint64_t end = std::min(range.to, writers[writer].closed);
  std::uint64_t position = range.from;
  if (position < end) {
    const BlockRecord record = graph->RecordOf(writer, position);
    if (record.status == BlockStatus::kSound) position -= record.batch_index;
  }
  while (position < end) {
    const BlockRecord first = graph->RecordOf(writer, position);
    if (first.status != BlockStatus::kSound || first.batch_count == 0 ||
        (first.auth && first.op_count == 0)) {
      ++position;  // never has effect, or is a certificate, which always has
      continue;
    }
    const std::uint64_t batch_end = position + first.batch_count;
    WEFT_RETURN_IF_ERROR(use(writer, position, batch_end, first));
    position = batch_end;
  }
  return graph->status();
}

absl::Status Indexer::State::Reconsider(const TouchedRange& range,
                                        absl::flat_hash_set<std::string>* keys,
                                        IndexResult* result) {
  const auto look = [&](WriterNumber writer, std::uint64_t first, std::uint64_t end,
                        const BlockRecord& as) -> absl::Status {
    const bool effective =
        authority->StandingOf(as.cited, range.log, first, end, as.batch_writes) ==
        Standing::kEffective;
    const bool flips = effective != as.effective;
    if (flips) {
      Note(effective ? AuthEvent::Kind::kRestored : AuthEvent::Kind::kWithdrawn,
           range.log, first, end, result);
    }
    for (std::uint64_t position = first; position < end; ++position) {
      const BlockRecord record = graph->RecordOf(writer, position);
      if (flips) graph->SetEffective(writer, position, effective);
      if (record.auth || record.op_count == 0) continue;
      if (flips && effective) effective_ops += record.op_count;
      if (flips && !effective) effective_ops -= record.op_count;
      if (flips || (range.ops && effective)) {
        WEFT_RETURN_IF_ERROR(CollectKeys(record, keys));
      }
    }
    return absl::OkStatus();
  };
  return VisitBatches(range, look);
}

// Whether an op of the index is in the lanes.
bool Indexer::State::HasEffect(const OpRow& row, std::string_view key) const {
  const LocalOp& op = row.stamp.op;
  const BlockRecord record = graph->RecordOf(op.writer, op.position);
  if (!record.effective) return false;
  const CoreKey& log = view->writers().key(op.writer);
  return !authority->HidesIn(log) ||
         !authority->HiddenBy(record.cited, IdOf(op), key).has_value();
}

}  // namespace weft
