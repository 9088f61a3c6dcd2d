// Blocks into the causal graph, one log at a time as far as it goes.
//
// A block is delivered when every dep of it is: held, and with the tree hash that the
// block names (C2). A log keeps one cursor and the one dep its next block waits for;
// whoever delivers a block wakes those who waited for that length.

#include "absl/strings/str_format.h"
#include "crdt/indexer_state.h"

namespace weft {
namespace {

constexpr std::uint64_t kReadBlocks = 64;                 // at a time
constexpr std::uint64_t kFlushBytes = 256 * 1024 * 1024;  // of blocks
constexpr std::size_t kPendingBytesKept = 16 * 1024;      // of a block that waits
constexpr std::size_t kAheadBytesKept = 64 * 1024;        // of a log that waits

}  // namespace

void Indexer::State::Enqueue(WriterNumber writer) {
  if (writers[writer].queued) return;
  writers[writer].queued = true;
  queue.push_back(writer);
}

absl::Status Indexer::State::DeliverReady(IndexResult* result) {
  while (!queue.empty() && step_left > 0) {
    const WriterNumber writer = queue.front();
    queue.pop_front();
    writers[writer].queued = false;
    WEFT_RETURN_IF_ERROR(Advance(writer, result));
  }
  return absl::OkStatus();
}

absl::Status Indexer::State::DrainQueue(IndexResult* result) {
  for (;;) {
    WEFT_RETURN_IF_ERROR(DeliverReady(result));
    if (forks.empty()) return absl::OkStatus();
    WEFT_ASSIGN_OR_RETURN(const bool broken, BreakCycles(result));
    if (!broken) return absl::OkStatus();
  }
}

absl::Status Indexer::State::Drain(IndexResult* result) {
  WEFT_RETURN_IF_ERROR(DrainQueue(result));
  if (!forks.empty() || !unplaced_proofs.empty()) {
    WEFT_RETURN_IF_ERROR(SettleForks(result));
  }
  logs->Rest();
  for (auto& [log, fork] : forks) fork.rest.clear();
  payloads.clear();
  payload_bytes = 0;
  WEFT_RETURN_IF_ERROR(graph->status());
  CollectChanges(result);
  return absl::OkStatus();
}

absl::Status Indexer::State::Advance(WriterNumber writer, IndexResult* result) {
  WriterState& state = writers[writer];
  if (state.refused) return absl::OkStatus();
  WEFT_ASSIGN_OR_RETURN(const LogInfo info, logs->Info(view->writers().key(writer)));
  if (info.fork > 0) {
    state.refused = true;  // S3: a log that was rewritten is evidence, not history
    state.dirty = true;
    changed_since_flush = true;
    return absl::OkStatus();
  }
  WEFT_ASSIGN_OR_RETURN(const std::uint64_t held, HeldBlocks(writer, info));
  return AdvanceTo(writer, held, result);
}

absl::Status Indexer::State::AdvanceTo(WriterNumber writer, std::uint64_t held,
                                       IndexResult* result) {
  WriterState& state = writers[writer];
  for (;;) {
    if (!state.pending) {
      const std::uint64_t position = state.log.position();
      if (position >= held) return absl::OkStatus();
      if (state.ahead.empty()) WEFT_RETURN_IF_ERROR(ReadAhead(writer, held));
      Bytes bytes = std::move(state.ahead.front());
      state.ahead.pop_front();
      DecodedBlock block = DecodeBlock(state.log, bytes, genesis.limits);
      if (position < state.restored) {
        WEFT_RETURN_IF_ERROR(Replay(writer, std::move(block)));
        continue;
      }
      state.pending.emplace();
      state.pending->block = std::move(block);
      state.pending->bytes = std::move(bytes);
    }
    WEFT_ASSIGN_OR_RETURN(const bool met, MeetDeps(writer));
    if (!met) {
      DropLargeBuffers(&state);
      return absl::OkStatus();
    }
    WEFT_RETURN_IF_ERROR(Deliver(writer, result));
    if (ops_since_flush >= options.flush_ops || bytes_since_flush >= kFlushBytes) {
      WEFT_RETURN_IF_ERROR(Flush());
    }
    if (step_left == 0) {
      Enqueue(writer);
      return absl::OkStatus();
    }
  }
}

absl::Status Indexer::State::ReadAhead(WriterNumber writer, std::uint64_t held) {
  WriterState& state = writers[writer];
  const std::uint64_t from = state.log.position();
  const std::uint64_t to = std::min(held, from + kReadBlocks);
  WEFT_ASSIGN_OR_RETURN(std::vector<Bytes> blocks, ReadBlocks(writer, from, to));
  if (blocks.size() != to - from) return absl::InternalError("a log gave no blocks");
  for (Bytes& block : blocks) state.ahead.push_back(std::move(block));
  return absl::OkStatus();
}

// A log that waits keeps little in memory; the rest is read again.
void Indexer::State::DropLargeBuffers(WriterState* state) {
  if (state->pending->block.size > kPendingBytesKept) {
    state->pending->bytes = {};
    // Of auth ops more is known than the payload says: what the block names.
    if (state->pending->block.payload.auth_operations.empty()) {
      state->pending->block.payload = {};
    }
  }
  std::size_t bytes = 0;
  for (const Bytes& block : state->ahead) bytes += block.size();
  if (bytes > kAheadBytesKept) state->ahead.clear();
}

// Whether everything that the pending block had seen is here; if not, notes what is
// missing and who waits.
absl::StatusOr<bool> Indexer::State::MeetDeps(WriterNumber writer) {
  WriterState& state = writers[writer];
  Pending& pending = *state.pending;
  const std::optional<Wait> waited = std::exchange(state.wait, std::nullopt);
  if (!pending.block.header.envelope) return true;
  const std::vector<Dep>& deps = pending.block.header.envelope->deps;
  while (pending.deps_met < deps.size()) {
    const Dep& dep = deps[pending.deps_met];
    const WriterNumber number = AddWriter(dep.writer);
    const auto fork = forks.empty() ? forks.end() : forks.find(dep.writer);
    if (fork != forks.end() && dep.length > fork->second.point) {
      if (!MeetForkDep(writer, number, dep, &fork->second)) {
        if (waited != state.wait) {
          writers[number].waiters.emplace(state.wait->length, writer);
        }
        return false;
      }
      ++pending.deps_met;
      continue;
    }
    if (dep.length > graph->length(number)) {
      state.wait = Wait{number, dep.length, false};
      if (waited != state.wait) writers[number].waiters.emplace(dep.length, writer);
      return false;
    }
    if (graph->TreeHashAt(number, dep.length) != dep.tree_hash) {
      WEFT_RETURN_IF_ERROR(graph->status());
      state.wait = Wait{number, dep.length, true};
      return false;
    }
    pending.edges.push_back({number, dep.length});
    ++pending.deps_met;
  }
  return true;
}

// Brings back a payload that was dropped to save memory.
absl::Status Indexer::State::Rehydrate(WriterNumber writer, DecodedBlock* block) {
  const BlockHeader& header = block->header;
  const bool has_payload =
      header.state == BlockState::kValid && header.envelope->kind == BlockKind::kData;
  if (!has_payload || !block->payload.operations.empty()) return absl::OkStatus();
  WEFT_ASSIGN_OR_RETURN(const std::vector<Bytes> blocks,
                        ReadBlocks(writer, header.position, header.position + 1));
  block->payload =
      DecodePayload(header.envelope->kind,
                    ByteView(blocks[0]).subspan(header.payload_offset), genesis.limits);
  return absl::OkStatus();
}

absl::Status Indexer::State::Deliver(WriterNumber writer, IndexResult* result) {
  WriterState& state = writers[writer];
  Pending pending = *std::move(state.pending);
  state.pending.reset();
  const std::uint64_t position = pending.block.header.position;
  if (pending.bytes.size() != pending.block.size) {
    WEFT_ASSIGN_OR_RETURN(std::vector<Bytes> blocks,
                          ReadBlocks(writer, position, position + 1));
    pending.bytes = std::move(blocks[0]);
    WEFT_RETURN_IF_ERROR(Rehydrate(writer, &pending.block));
  }
  state.tree.AppendBlock(pending.bytes, [](const TreeNode&) {});
  const auto taught = graph->AddBlock(writer, pending.edges, state.tree.hash());
  for (const CausalGraph::Edge& edge : taught) {
    WriterState& seen = writers[edge.writer];
    // Not only while `open` holds blocks: after a restart it is filled when the log is
    // replayed, and that may be later.
    if (edge.length > seen.closed) seen.late = true;
    // What settles has seen it, so it settles too (C1).
    if (state.limit > position) seen.pulled = std::max(seen.pulled, edge.length);
  }
  bytes_since_flush += pending.block.size;
  state.open_taught.insert(state.open_taught.end(), taught.begin(), taught.end());
  if (pending.block.header.envelope) {
    seen_ms = std::max(seen_ms, pending.block.header.envelope->hlc.ms);
  }
  state.dirty = true;
  changed_since_flush = true;
  ++deliveries;
  ++result->blocks;
  SpendStep(1);
  WEFT_RETURN_IF_ERROR(TakePlace(writer, std::move(pending.block), result));

  while (!state.waiters.empty() &&
         state.waiters.begin()->first <= graph->length(writer)) {
    Enqueue(state.waiters.begin()->second);
    state.waiters.erase(state.waiters.begin());
  }
  return absl::OkStatus();
}

}  // namespace weft
