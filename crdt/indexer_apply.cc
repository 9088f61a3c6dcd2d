// Ops into the lanes: the whole batch under one hold of the view's lock.
//
// Ops come in an order in which each follows its past, with two exceptions: somebody
// may have seen a part of a batch whose rest came later, and what had no effect may get
// it, or lose it, when authority changes. Every sound op is in the op index, with
// effect or without, so that such keys can be computed anew from all that was written
// to them.

#include <algorithm>
#include <mutex>

#include "absl/container/flat_hash_set.h"
#include "crdt/apply_op.h"
#include "crdt/indexer_state.h"

namespace weft {
namespace {

constexpr std::size_t kPayloadBytesKept = 32 * 1024 * 1024;
constexpr std::size_t kReplayBytesKept = 64 * 1024 * 1024;

std::size_t ReplayBytes(const KeyState& state) {
  return state.record ? state.record->replay_bytes() : 0;
}

std::uint64_t Packed(Hlc hlc) {
  return (hlc.ms << 16) | hlc.counter;
}

}  // namespace

absl::Status Indexer::State::Apply(WriterNumber writer,
                                   std::span<const DecodedBlock> batch, bool effective,
                                   bool late, IndexResult* result) {
  std::vector<std::string_view> keys;
  for (const DecodedBlock& block : batch) {
    for (const Operation& op : block.payload.operations) keys.push_back(AsText(op.key));
  }
  if (keys.empty()) return absl::OkStatus();
  WEFT_RETURN_IF_ERROR(view->Load(keys));
  WEFT_ASSIGN_OR_RETURN(const bool again, effective&& late
                                              ? WasSeen(writer, batch)
                                              : absl::StatusOr<bool>(false));
  const auto wall_ms = static_cast<std::uint64_t>(std::max<std::int64_t>(
      0, std::chrono::duration_cast<std::chrono::milliseconds>(clock->Now()).count()));
  const bool hides = authority->HidesIn(view->writers().key(writer));
  {
    std::vector<View::Entry*> inexact;
    const std::lock_guard<std::mutex> lock(view->mutex());
    for (const DecodedBlock& block : batch) {
      const Hlc hlc = block.header.envelope->hlc;
      const std::vector<Operation>& operations = block.payload.operations;
      if (effective && IsClockSuspect(hlc, wall_ms)) clock_suspect += operations.size();
      for (std::size_t i = 0; i < operations.size(); ++i) {
        const Operation& op = operations[i];
        const Stamp stamp{
            {writer, static_cast<std::uint32_t>(i), block.header.position},
            Packed(hlc)};
        View::Entry* entry = view->Touch(AsText(op.key));
        if (effective) RememberBefore(entry);
        OpRow row{stamp, static_cast<std::uint8_t>(op.type), op.flags, LanesOf(op), {}};
        if (entry->state.last_op != 0) row.previous = entry->state.last_op - 1;
        entry->state.last_op = ops->Add(row, op.key) + 1;
        if (effective && !again && (!hides || HasEffect(row, entry->key))) {
          const std::size_t before_op = ReplayBytes(entry->state);
          if (!ApplyOp(op, stamp, *graph, view->writers(), ApplyMode::kArrival,
                       &entry->state)) {
            inexact.push_back(entry);
          }
          replay_bytes -= before_op;
          KeepReplay(&entry->state);
        }
        view->Changed(entry);
      }
      ops_since_flush += operations.size();
      SpendStep(operations.size());
      if (effective) result->effective_ops += operations.size();
      if (effective) effective_ops += operations.size();
    }
    // Under the lock all the same: the batch shows whole or not at all.
    std::sort(inexact.begin(), inexact.end());
    inexact.erase(std::unique(inexact.begin(), inexact.end()), inexact.end());
    for (View::Entry* entry : inexact) {
      replay_bytes -= ReplayBytes(entry->state);
      WEFT_ASSIGN_OR_RETURN(entry->state, Recompute(*entry, true));
      view->Changed(entry);
    }
  }
  if (!again) return absl::OkStatus();
  return RecomputeKeys(std::vector<std::string>(keys.begin(), keys.end()));
}

// Whether an op that is in the index already has one of this batch in its past. Only
// those that came after its first block can have, and who has seen a later op of the
// batch on the key has seen the first.
absl::StatusOr<bool> Indexer::State::WasSeen(WriterNumber writer,
                                             std::span<const DecodedBlock> batch) {
  const std::uint64_t since = writers[writer].open_since;
  absl::flat_hash_set<std::string_view> walked;
  for (const DecodedBlock& block : batch) {
    for (std::size_t i = 0; i < block.payload.operations.size(); ++i) {
      if (!walked.insert(AsText(block.payload.operations[i].key)).second) continue;
      const LocalOp op{writer, static_cast<std::uint32_t>(i), block.header.position};
      std::optional<std::uint64_t> arrival;
      {
        const std::lock_guard<std::mutex> lock(view->mutex());
        const std::uint64_t last =
            view->Touch(AsText(block.payload.operations[i].key))->state.last_op;
        if (last != 0) arrival = last - 1;
      }
      while (arrival && (since == 0 || *arrival + 1 >= since)) {
        WEFT_ASSIGN_OR_RETURN(const auto found, ops->Read(*arrival));
        if (graph->Before(op, found.first.stamp.op)) return true;
        arrival = found.first.previous;
      }
    }
  }
  return false;
}

void Indexer::State::RememberBefore(View::Entry* entry) {
  if (!filter || !filter(entry->key) || before.contains(entry->key)) return;
  before.emplace(entry->key, view->ResolveHeld(*entry));
}

void Indexer::State::CollectChanges(IndexResult* result) {
  for (auto& [key, entry] : before) {
    // The strand is the only one that changes entries, so no lock is needed to read.
    absl::StatusOr<ViewEntry> after = view->Get(key);
    if (!after.ok() || *after == entry) continue;
    result->changes.push_back({key, std::move(entry), *std::move(after)});
  }
  before.clear();
}

absl::StatusOr<Indexer::State::StoredOp> Indexer::State::ReadOperation(
    const OpRow& row) {
  const LocalOp& op = row.stamp.op;
  StoredOp stored;
  stored.row = row;
  const std::pair<WriterNumber, std::uint64_t> name{op.writer, op.position};
  if (const auto found = payloads.find(name); found != payloads.end()) {
    stored.payload = found->second;
  } else {
    const BlockRecord record = graph->RecordOf(op.writer, op.position);
    WEFT_ASSIGN_OR_RETURN(const std::vector<Bytes> blocks,
                          ReadBlocks(op.writer, op.position, op.position + 1));
    if (blocks.size() != 1 || record.payload_offset > blocks[0].size()) {
      return absl::DataLossError("a block of the log is not what was indexed");
    }
    stored.payload = std::make_shared<Payload>(DecodePayload(
        BlockKind::kData, ByteView(blocks[0]).subspan(record.payload_offset),
        genesis.limits));
    if (payload_bytes > kPayloadBytesKept) {
      payloads.clear();
      payload_bytes = 0;
    }
    payload_bytes +=
        blocks[0].size() + stored.payload->operations.size() * sizeof(Operation);
    payloads.emplace(name, stored.payload);
  }
  if (op.op_index >= stored.payload->operations.size()) {
    return absl::DataLossError("a block of the log is not what was indexed");
  }
  stored.operation = &stored.payload->operations[op.op_index];
  return stored;
}

// The lanes of a key from those in the chain of its ops that have effect, in an order
// that follows happens-before: the size of the past grows along it. `goes_on`: what it
// takes to apply the ops to come exactly is kept until the next flush, or each of them
// might have the key computed anew.
absl::StatusOr<KeyState> Indexer::State::Recompute(const View::Entry& entry,
                                                   bool goes_on) {
  struct Placed {
    std::uint64_t past = 0;
    OpRow row;
  };
  std::vector<Placed> chain;
  std::optional<std::uint64_t> arrival;
  if (entry.state.last_op != 0) arrival = entry.state.last_op - 1;
  while (arrival) {
    WEFT_ASSIGN_OR_RETURN(const auto found, ops->Read(*arrival));
    const LocalOp& op = found.first.stamp.op;
    if (HasEffect(found.first, entry.key)) {
      chain.push_back({graph->PastSize(op.writer, op.position), found.first});
    }
    arrival = found.first.previous;
  }
  std::sort(chain.begin(), chain.end(), [](const Placed& a, const Placed& b) {
    const LocalOp& left = a.row.stamp.op;
    const LocalOp& right = b.row.stamp.op;
    return std::tie(a.past, left.writer, left.position, left.op_index) <
           std::tie(b.past, right.writer, right.position, right.op_index);
  });
  KeyState state;
  state.last_op = entry.state.last_op;
  // A text or list whose rows are stored takes their place, also if it is empty now.
  if (entry.state.text) state.text = SequenceLane::Replacing(true);
  if (entry.state.list) state.list = SequenceLane::Replacing(false);
  for (const Placed& placed : chain) {
    WEFT_ASSIGN_OR_RETURN(const StoredOp stored, ReadOperation(placed.row));
    ApplyOp(*stored.operation, placed.row.stamp, *graph, view->writers(),
            ApplyMode::kReplay, &state);
  }
  if (goes_on) {
    KeepReplay(&state);
  } else if (state.record) {
    state.record->EndReplay();
  }
  WEFT_RETURN_IF_ERROR(graph->status());
  return state;
}

absl::StatusOr<std::optional<Hlc>> Indexer::LastWritten(std::string_view key) {
  WEFT_RETURN_IF_ERROR(state_->view->Load(std::span(&key, 1)));
  std::uint64_t next = 0;
  {
    const std::lock_guard<std::mutex> lock(state_->view->mutex());
    next = state_->view->Touch(key)->state.last_op;
  }
  std::optional<std::uint64_t> newest;
  while (next != 0) {
    WEFT_ASSIGN_OR_RETURN(const auto found, state_->ops->Read(next - 1));
    const OpRow& row = found.first;
    if (state_->HasEffect(row, key)) {
      newest = std::max(newest.value_or(0), row.stamp.hlc);
    }
    next = row.previous ? *row.previous + 1 : 0;
  }
  if (!newest) return std::optional<Hlc>();
  return std::optional<Hlc>(
      Hlc{*newest >> 16, static_cast<std::uint32_t>(*newest & 0xffff)});
}

// Unless that of all keys takes too much memory.
void Indexer::State::KeepReplay(KeyState* state) {
  const std::size_t bytes = ReplayBytes(*state);
  if (bytes == 0) return;
  if (replay_bytes + bytes > kReplayBytesKept) return state->record->EndReplay();
  replay_bytes += bytes;
}

// Nobody but this strand changes an entry, so what is read for the new states is read
// without the lock; readers see all of them change at once.
absl::Status Indexer::State::RecomputeKeys(std::vector<std::string> keys) {
  if (keys.empty()) return absl::OkStatus();
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  WEFT_RETURN_IF_ERROR(
      view->Load(std::vector<std::string_view>(keys.begin(), keys.end())));
  std::vector<std::pair<View::Entry*, KeyState>> states;
  states.reserve(keys.size());
  for (const std::string& key : keys) {
    View::Entry* entry = nullptr;
    {
      const std::lock_guard<std::mutex> lock(view->mutex());
      entry = view->Touch(key);
    }
    WEFT_ASSIGN_OR_RETURN(KeyState state, Recompute(*entry, false));
    states.emplace_back(entry, std::move(state));
  }
  const std::lock_guard<std::mutex> lock(view->mutex());
  for (auto& [entry, state] : states) {
    RememberBefore(entry);
    replay_bytes -= ReplayBytes(entry->state);
    entry->state = std::move(state);
    view->Changed(entry);
  }
  ops_since_flush += states.size();
  return absl::OkStatus();
}

}  // namespace weft
