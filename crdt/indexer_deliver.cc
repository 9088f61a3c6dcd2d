// Blocks into the causal graph, one log at a time as far as it goes, and whole batches
// to the judge.
//
// A block is delivered when every dep of it is: held, and with the tree hash that the
// block names (C2). A log keeps one cursor and the one dep its next block waits for;
// whoever delivers a block wakes those who waited for that length.

#include "absl/strings/str_format.h"
#include "crdt/indexer_state.h"
#include "engine/check.h"

namespace weft {
namespace {

constexpr std::uint64_t kReadBlocks = 64;                 // at a time
constexpr std::size_t kPendingBytesKept = 16 * 1024;      // of a block that waits
constexpr std::size_t kAheadBytesKept = 64 * 1024;        // of a log that waits
constexpr std::size_t kOpenBytesKept = 64 * 1024 * 1024;  // of all open batches

}  // namespace

void Indexer::State::Enqueue(WriterNumber writer) {
  if (writers[writer].queued) return;
  writers[writer].queued = true;
  queue.push_back(writer);
}

absl::Status Indexer::State::Drain(IndexResult* result) {
  while (!queue.empty()) {
    const WriterNumber writer = queue.front();
    queue.pop_front();
    writers[writer].queued = false;
    WEFT_RETURN_IF_ERROR(Advance(writer, result));
  }
  logs->Rest();
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
  return AdvanceTo(writer, info.length, result);
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
    if (ops_since_flush >= options.flush_ops) WEFT_RETURN_IF_ERROR(Flush());
  }
}

absl::Status Indexer::State::ReadAhead(WriterNumber writer, std::uint64_t held) {
  WriterState& state = writers[writer];
  const std::uint64_t from = state.log.position();
  const std::uint64_t to = std::min(held, from + kReadBlocks);
  WEFT_ASSIGN_OR_RETURN(std::vector<Bytes> blocks,
                        logs->Read(view->writers().key(writer), from, to));
  if (blocks.size() != to - from) return absl::InternalError("a log gave no blocks");
  for (Bytes& block : blocks) state.ahead.push_back(std::move(block));
  return absl::OkStatus();
}

// A log that waits keeps little in memory; the rest is read again.
void Indexer::State::DropLargeBuffers(WriterState* state) {
  if (state->pending->block.size > kPendingBytesKept) {
    state->pending->bytes = {};
    state->pending->block.payload = {};
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
  const bool has_payload = header.state == BlockState::kValid &&
                           (header.envelope->kind == BlockKind::kData ||
                            header.envelope->kind == BlockKind::kAuth);
  if (!has_payload || !block->payload.operations.empty() ||
      !block->payload.auth_operations.empty()) {
    return absl::OkStatus();
  }
  WEFT_ASSIGN_OR_RETURN(
      const std::vector<Bytes> blocks,
      logs->Read(view->writers().key(writer), header.position, header.position + 1));
  block->payload =
      DecodePayload(header.envelope->kind,
                    ByteView(blocks[0]).subspan(header.payload_offset), genesis.limits);
  return absl::OkStatus();
}

absl::Status Indexer::State::Deliver(WriterNumber writer, IndexResult* result) {
  WriterState& state = writers[writer];
  Pending pending = *std::move(state.pending);
  state.pending.reset();
  if (pending.bytes.size() != pending.block.size) {
    const std::uint64_t position = pending.block.header.position;
    WEFT_ASSIGN_OR_RETURN(
        std::vector<Bytes> blocks,
        logs->Read(view->writers().key(writer), position, position + 1));
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
  }
  state.open_taught.insert(state.open_taught.end(), taught.begin(), taught.end());
  if (pending.block.header.envelope) {
    seen_ms = std::max(seen_ms, pending.block.header.envelope->hlc.ms);
  }
  state.dirty = true;
  changed_since_flush = true;
  ++deliveries;
  ++result->blocks;
  WEFT_RETURN_IF_ERROR(TakePlace(writer, std::move(pending.block), result));

  while (!state.waiters.empty() &&
         state.waiters.begin()->first <= graph->length(writer)) {
    Enqueue(state.waiters.begin()->second);
    state.waiters.erase(state.waiters.begin());
  }
  return absl::OkStatus();
}

// A block that was in the graph when the view was loaded: what is left to do is to fill
// the batch that was open then.
absl::Status Indexer::State::Replay(WriterNumber writer, DecodedBlock block) {
  WriterState& state = writers[writer];
  if (block.header.state == BlockState::kParked) {
    if (state.park_reason.empty()) state.park_reason = block.header.reason;
    state.open.clear();
    return absl::OkStatus();
  }
  if (block.header.position < state.closed || !block.header.in_batch) {
    return absl::OkStatus();
  }
  open_bytes += block.size;
  state.open.push_back(std::move(block));
  return absl::OkStatus();
}

// The block finds its place in a batch of its log (D8).
absl::Status Indexer::State::TakePlace(WriterNumber writer, DecodedBlock block,
                                       IndexResult* result) {
  WriterState& state = writers[writer];
  const BlockHeader& header = block.header;
  const std::uint64_t position = header.position;
  if (header.state == BlockState::kParked) {
    if (state.park_reason.empty()) state.park_reason = header.reason;
    for (const DecodedBlock& open : state.open) {
      open_bytes -= open.size;
      graph->SetRecord(writer, open.header.position, {.status = BlockStatus::kParked},
                       header.reason);
    }
    state.open.clear();
    graph->SetRecord(writer, position, {.status = BlockStatus::kParked}, header.reason);
    return absl::OkStatus();  // `closed` stays: nobody shall build on what he cannot
                              // read
  }
  if (header.breaks_open_batch) CloseInvalid(writer, "its batch was never completed");
  if (!header.in_batch) {
    graph->SetRecord(writer, position, {.status = BlockStatus::kInvalid},
                     header.reason);
    state.closed = position + 1;
    BecomeHead(writer);
    return absl::OkStatus();
  }
  const bool ends = header.ends_batch;
  open_bytes += block.size;
  if (open_bytes > kOpenBytesKept && !ends) block.payload = {};
  state.open.push_back(std::move(block));
  return ends ? CloseBatch(writer, result) : absl::OkStatus();
}

void Indexer::State::CloseInvalid(WriterNumber writer, std::string_view reason) {
  WriterState& state = writers[writer];
  for (const DecodedBlock& block : state.open) {
    open_bytes -= block.size;
    graph->SetRecord(writer, block.header.position, {.status = BlockStatus::kInvalid},
                     block.header.state == BlockState::kInvalid
                         ? std::string_view(block.header.reason)
                         : reason);
    state.closed = block.header.position + 1;
  }
  state.open.clear();
  state.late = false;
}

absl::Status Indexer::State::CloseBatch(WriterNumber writer, IndexResult* result) {
  WriterState& state = writers[writer];
  for (DecodedBlock& block : state.open) {
    WEFT_RETURN_IF_ERROR(Rehydrate(writer, &block));
  }
  const std::uint64_t first = state.open.front().header.position;
  const Verdict verdict = authority->Judge(
      view->writers().key(writer), state.open, [&](const CoreKey& key) {
        const std::optional<WriterNumber> of = view->writers().Find(key);
        return of ? graph->Seen(writer, first, *of) : 0;
      });
  RecordBatch(writer, verdict);
  std::vector<DecodedBlock> batch = std::move(state.open);
  state.open.clear();
  const bool late = state.late;
  state.late = false;
  for (const DecodedBlock& block : batch) open_bytes -= block.size;
  state.closed = batch.back().header.position + 1;
  if (verdict.kind == Verdict::Kind::kEffective) {
    WEFT_RETURN_IF_ERROR(Apply(writer, batch, late, result));
  }
  AdmitMembers(verdict.granted, result);
  BecomeHead(writer);
  return absl::OkStatus();
}

// Writes down what became of each block of the batch that is about to close.
void Indexer::State::RecordBatch(WriterNumber writer, const Verdict& verdict) {
  std::uint64_t arrival = ops->next();
  for (const DecodedBlock& block : writers[writer].open) {
    BlockRecord record;
    record.payload_offset = static_cast<std::uint32_t>(block.header.payload_offset);
    std::string_view reason = verdict.reason;
    switch (verdict.kind) {
      case Verdict::Kind::kEffective:
        record.status = block.payload.auth_operations.empty()
                            ? BlockStatus::kEffective
                            : BlockStatus::kEffectiveAuth;
        record.first_arrival = arrival;
        arrival += block.payload.operations.size();
        record.op_count = static_cast<std::uint32_t>(
            block.payload.operations.size() + block.payload.auth_operations.size());
        reason = {};
        break;
      case Verdict::Kind::kPending:
        record.status = BlockStatus::kPending;
        break;
      case Verdict::Kind::kNotAllowed:
        record.status = BlockStatus::kNotAllowed;
        break;
      case Verdict::Kind::kInvalid:
        record.status = BlockStatus::kInvalid;
        if (block.header.state == BlockState::kInvalid) reason = block.header.reason;
        break;
    }
    graph->SetRecord(writer, block.header.position, record, reason);
  }
}

// What an author's next block has to name. Heads are logs up to their last whole batch:
// to have seen an op that takes effect only later would remove it unread. For the same
// reason a parked block is nobody's head.
void Indexer::State::BecomeHead(WriterNumber writer) {
  WriterState& state = writers[writer];
  if (state.relearn_heads) {
    state.relearn_heads = false;
    state.open_taught.clear();
    LearnHeads();
    return;
  }
  if (state.member) {
    for (const CausalGraph::Edge& edge : state.open_taught) {
      WriterState& seen = writers[edge.writer];
      if (seen.is_head && edge.length >= seen.closed) {
        seen.is_head = false;
        seen.dirty = true;
      }
    }
    state.is_head = true;
    state.dirty = true;
  }
  state.open_taught.clear();
}

// The heads from scratch: after a log that had blocks became a member's.
void Indexer::State::LearnHeads() {
  std::vector<std::uint64_t> seen(writers.size(), 0);
  for (WriterNumber n = 0; n < writers.size(); ++n) {
    if (!writers[n].member || writers[n].closed == 0) continue;
    const std::vector<std::uint64_t> vector = graph->VectorAt(n, writers[n].closed - 1);
    for (std::size_t of = 0; of < vector.size(); ++of) {
      seen[of] = std::max(seen[of], vector[of]);
    }
  }
  for (WriterNumber n = 0; n < writers.size(); ++n) {
    WriterState& state = writers[n];
    const bool is_head = state.member && state.closed > seen[n];
    if (state.is_head == is_head) continue;
    state.is_head = is_head;
    state.dirty = true;
  }
}

}  // namespace weft
