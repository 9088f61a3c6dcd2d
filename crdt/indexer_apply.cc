// Ops into the lanes: the whole batch under one hold of the view's lock.
//
// Ops come in an order in which each follows its past, with one exception: somebody may
// have seen a part of a batch whose rest came later. The ops of such a batch are put
// into the op index, and their keys are computed anew from all that was ever written
// to them.

#include <algorithm>

#include "crdt/apply_op.h"
#include "crdt/indexer_state.h"

namespace weft {
namespace {

std::uint64_t Packed(Hlc hlc) {
  return (hlc.ms << 16) | hlc.counter;
}

}  // namespace

absl::Status Indexer::State::Apply(WriterNumber writer,
                                   std::span<const DecodedBlock> batch, bool late,
                                   IndexResult* result) {
  std::vector<std::string_view> keys;
  for (const DecodedBlock& block : batch) {
    for (const Operation& op : block.payload.operations) keys.push_back(AsText(op.key));
  }
  if (keys.empty()) return absl::OkStatus();
  WEFT_RETURN_IF_ERROR(view->Load(keys));

  const auto wall_ms = static_cast<std::uint64_t>(std::max<std::int64_t>(
      0, std::chrono::duration_cast<std::chrono::milliseconds>(clock->Now()).count()));
  std::vector<View::Entry*> touched;
  const absl::MutexLock lock(&view->mutex());
  for (const DecodedBlock& block : batch) {
    const Hlc hlc = block.header.envelope->hlc;
    const std::vector<Operation>& operations = block.payload.operations;
    if (IsClockSuspect(hlc, wall_ms)) clock_suspect += operations.size();
    for (std::size_t i = 0; i < operations.size(); ++i) {
      const Operation& op = operations[i];
      const Stamp stamp{{writer, static_cast<std::uint32_t>(i), block.header.position},
                        Packed(hlc)};
      View::Entry* entry = view->Touch(AsText(op.key));
      RememberBefore(entry);
      OpRow row{stamp, static_cast<std::uint8_t>(op.type), op.flags, LanesOf(op), {}};
      if (entry->state.last_op != 0) row.previous = entry->state.last_op - 1;
      entry->state.last_op = ops->Add(row, op.key) + 1;
      if (late) {
        touched.push_back(entry);
      } else {
        if (!ApplyOp(op, stamp, *graph, ApplyMode::kArrival, &entry->state)) {
          touched.push_back(entry);
        }
        view->Changed(entry);
      }
    }
    result->effective_ops += operations.size();
    ops_since_flush += operations.size();
  }
  std::sort(touched.begin(), touched.end());
  touched.erase(std::unique(touched.begin(), touched.end()), touched.end());
  for (View::Entry* entry : touched) {
    WEFT_RETURN_IF_ERROR(Recompute(entry));
    view->Changed(entry);
  }
  return absl::OkStatus();
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
  const BlockRecord record = graph->RecordOf(op.writer, op.position);
  WEFT_ASSIGN_OR_RETURN(
      const std::vector<Bytes> blocks,
      logs->Read(view->writers().key(op.writer), op.position, op.position + 1));
  if (blocks.size() != 1 || record.payload_offset > blocks[0].size()) {
    return absl::DataLossError("a block of the log is not what was indexed");
  }
  StoredOp stored;
  stored.row = row;
  stored.payload =
      DecodePayload(BlockKind::kData,
                    ByteView(blocks[0]).subspan(record.payload_offset), genesis.limits);
  if (op.op_index >= stored.payload.operations.size()) {
    return absl::DataLossError("a block of the log is not what was indexed");
  }
  stored.operation = &stored.payload.operations[op.op_index];
  return stored;
}

// The lanes of a key from the whole chain of its ops, in an order that follows
// happens-before: the size of the past grows along it.
absl::Status Indexer::State::Recompute(View::Entry* entry) {
  struct Placed {
    std::uint64_t past = 0;
    OpRow row;
  };
  std::vector<Placed> chain;
  std::optional<std::uint64_t> arrival;
  if (entry->state.last_op != 0) arrival = entry->state.last_op - 1;
  while (arrival) {
    WEFT_ASSIGN_OR_RETURN(const auto found, ops->Read(*arrival));
    const LocalOp& op = found.first.stamp.op;
    chain.push_back({graph->PastSize(op.writer, op.position), found.first});
    arrival = found.first.previous;
  }
  std::sort(chain.begin(), chain.end(), [](const Placed& a, const Placed& b) {
    const LocalOp& left = a.row.stamp.op;
    const LocalOp& right = b.row.stamp.op;
    return std::tie(a.past, left.writer, left.position, left.op_index) <
           std::tie(b.past, right.writer, right.position, right.op_index);
  });
  KeyState state;
  state.last_op = entry->state.last_op;
  for (const Placed& placed : chain) {
    WEFT_ASSIGN_OR_RETURN(const StoredOp stored, ReadOperation(placed.row));
    ApplyOp(*stored.operation, placed.row.stamp, *graph, ApplyMode::kReplay, &state);
  }
  entry->state = std::move(state);
  return graph->status();
}

}  // namespace weft
