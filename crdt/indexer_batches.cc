// Blocks into batches, whole batches to the judge, and the heads that an author names
// (rules D8 and S4).

#include <algorithm>

#include "absl/strings/str_format.h"
#include "crdt/indexer_state.h"

namespace weft {
namespace {

constexpr std::size_t kOpenBytesKept = 64 * 1024 * 1024;  // of all open batches

// What a decoded block takes in memory, its bytes aside.
std::size_t DecodedSize(const DecodedBlock& block) {
  return block.size + block.payload.operations.size() * sizeof(Operation) +
         block.payload.cells.size() * sizeof(CellWrite) +
         block.payload.auth_operations.size() * sizeof(AuthOperation);
}

BlockRecord RecordOfPlace(const BlockHeader& header) {
  BlockRecord record;
  record.payload_offset = static_cast<std::uint32_t>(header.payload_offset);
  if (header.in_batch) {
    record.batch_index = static_cast<std::uint32_t>(header.envelope->batch_index);
    record.batch_count = static_cast<std::uint32_t>(header.envelope->batch_count);
  }
  return record;
}

}  // namespace

// The block takes its place in the batch that is open. Of a batch that is too long
// already nothing but the headers is kept.
void Indexer::State::Open(WriterNumber writer, DecodedBlock block) {
  WriterState& state = writers[writer];
  if (state.open.empty()) {
    state.open_ops = 0;
    state.open_size = 0;
    state.open_since = ops->next() + 1;
    state.cited = authority->Cited(block.header.envelope->cite,
                                   block.header.envelope->cite_named);
  }
  state.open_ops +=
      block.payload.operations.size() + block.payload.auth_operations.size();
  state.open_size += block.size;
  const Limits& limits = genesis.limits;
  if (state.open_ops > limits.batch_ops || state.open_size > limits.batch_bytes) {
    if (block.header.state == BlockState::kValid) {
      block.header.state = BlockState::kInvalid;
      block.header.reason =
          absl::StrFormat("a batch of more than %d operations or %d bytes",
                          limits.batch_ops, limits.batch_bytes);
    }
    block.payload = {};
  } else if (open_bytes > kOpenBytesKept && !block.header.ends_batch &&
             block.payload.auth_operations.empty()) {
    block.payload = {};  // read again when the batch is whole
  }
  open_bytes += DecodedSize(block);
  state.open.push_back(std::move(block));
}

void Indexer::State::DropOpen(WriterState* state) {
  for (const DecodedBlock& block : state->open) {
    open_bytes -= std::min(open_bytes, DecodedSize(block));
  }
  state->open.clear();
  state->late = false;
}

// A block that was in the graph when the view was loaded: what is left to do is to fill
// the batch that was open then.
absl::Status Indexer::State::Replay(WriterNumber writer, DecodedBlock block) {
  WriterState& state = writers[writer];
  if (block.header.state == BlockState::kParked) {
    if (state.park_reason.empty()) state.park_reason = block.header.reason;
    DropOpen(&state);
    return absl::OkStatus();
  }
  if (block.header.position < state.closed || !block.header.in_batch) {
    return absl::OkStatus();
  }
  Open(writer, std::move(block));
  state.open_since = 0;
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
    BlockRecord parked;
    parked.status = BlockStatus::kParked;
    for (const DecodedBlock& open : state.open) {
      // A cut that goes through its batch too is said of it (D8).
      BlockRecord place = RecordOfPlace(open.header);
      place.status = BlockStatus::kParked;
      graph->SetRecord(writer, open.header.position, place, header.reason);
    }
    DropOpen(&state);
    graph->SetRecord(writer, position, parked, header.reason);
    // `closed` stays: nobody shall build on what he cannot read.
    state.open_taught.clear();
    return absl::OkStatus();
  }
  if (header.breaks_open_batch) CloseInvalid(writer, "its batch was never completed");
  if (!header.in_batch) {
    BlockRecord record;
    record.status = BlockStatus::kInvalid;
    graph->SetRecord(writer, position, record, header.reason);
    state.closed = position + 1;
    BecomeHead(writer);
    return absl::OkStatus();
  }
  const bool ends = header.ends_batch;
  graph->SetRecord(writer, position, RecordOfPlace(header));
  std::optional<Incarnation> certificate = std::move(block.incarnation);
  Open(writer, std::move(block));
  if (certificate && state.open.back().header.state == BlockState::kValid) {
    return TakeCertificate(writer, *certificate, result);
  }
  return ends ? CloseBatch(writer, result) : absl::OkStatus();
}

void Indexer::State::CloseInvalid(WriterNumber writer, std::string_view reason) {
  WriterState& state = writers[writer];
  for (const DecodedBlock& block : state.open) {
    BlockRecord record = RecordOfPlace(block.header);
    record.status = BlockStatus::kInvalid;
    graph->SetRecord(writer, block.header.position, record,
                     block.header.state == BlockState::kInvalid
                         ? std::string_view(block.header.reason)
                         : reason);
    state.closed = block.header.position + 1;
  }
  DropOpen(&state);
  UpdateKept(writer);
}

// Rule S2: block 0 makes the core a log of the identity it names, or nobody's.
absl::Status Indexer::State::TakeCertificate(WriterNumber writer,
                                             const Incarnation& certificate,
                                             IndexResult* result) {
  WriterState& state = writers[writer];
  const CoreKey key = view->writers().key(writer);
  const absl::Status proof = VerifyIncarnation(base_id, genesis.salt, key, certificate);
  if (!proof.ok()) {
    CloseInvalid(writer, std::string(proof.message()));
    BecomeHead(writer);
    return absl::OkStatus();
  }
  BlockRecord record = RecordOfPlace(state.open.front().header);
  record.status = BlockStatus::kSound;
  record.effective = true;
  record.auth = true;
  graph->SetRecord(writer, 0, record);
  DropOpen(&state);
  state.closed = 1;
  authority->AddIncarnation(key, certificate);
  AuthorityChange change;
  change.holders.push_back(certificate.identity);
  if (ForkOf(key) != nullptr) {
    // One more forked incarnation: the person may be moderated now (F5).
    for (const CoreKey& log : authority->LogsOf(certificate.identity)) {
      change.ranges.push_back({log, 0, UINT64_MAX, false});
    }
  }
  authority->Evaluate(&change);
  WEFT_RETURN_IF_ERROR(TakeChange(change, result));
  UpdateKept(writer);
  BecomeHead(writer);
  return absl::OkStatus();
}

absl::Status Indexer::State::CloseBatch(WriterNumber writer, IndexResult* result) {
  WriterState& state = writers[writer];
  for (DecodedBlock& block : state.open) {
    WEFT_RETURN_IF_ERROR(Rehydrate(writer, &block));
  }
  const CoreKey key = view->writers().key(writer);
  const Verdict verdict = authority->Check(key, state.open, state.cited);
  const bool sound = verdict.kind == Verdict::Kind::kSound;
  const std::uint64_t first = state.open.front().header.position;
  const std::uint64_t end = state.open.back().header.position + 1;
  bool writes = false;
  bool auth = false;
  for (const DecodedBlock& block : state.open) {
    writes = writes || !block.payload.operations.empty();
    auth = auth || !block.payload.auth_operations.empty();
  }
  const Standing standing =
      sound ? authority->StandingOf(verdict.cited, key, first, end, writes)
            : Standing::kNotAllowed;
  const bool effective = sound && standing == Standing::kEffective;
  RecordBatch(writer, verdict, effective);
  std::vector<DecodedBlock> batch = std::move(state.open);
  state.open.clear();
  for (const DecodedBlock& block : batch) {
    open_bytes -= std::min(open_bytes, DecodedSize(block));
  }
  const bool late = std::exchange(state.late, false);
  state.closed = end;
  if (sound) {
    WEFT_RETURN_IF_ERROR(Apply(writer, batch, effective, late, result));
    if (standing == Standing::kPending) {
      Note(AuthEvent::Kind::kPending, key, first, end, result);
    }
  }
  if (sound && auth) {
    CheckRanges(batch);
    authority->DropUnproven(key, batch);
    authority->Add(key, batch, verdict.cited);
    AuthorityChange change;
    authority->Evaluate(&change);
    WEFT_RETURN_IF_ERROR(TakeChange(change, result));
  }
  UpdateKept(writer);
  BecomeHead(writer);
  return absl::OkStatus();
}

// Writes down what became of each block of the batch that is about to close.
void Indexer::State::RecordBatch(WriterNumber writer, const Verdict& verdict,
                                 bool effective) {
  const std::vector<DecodedBlock>& open = writers[writer].open;
  const bool writes = std::any_of(open.begin(), open.end(), [](const auto& block) {
    return !block.payload.operations.empty();
  });
  std::uint64_t arrival = ops->next();
  for (const DecodedBlock& block : open) {
    BlockRecord record = RecordOfPlace(block.header);
    std::string_view reason = verdict.reason;
    switch (verdict.kind) {
      case Verdict::Kind::kSound:
        record.status = BlockStatus::kSound;
        record.effective = effective;
        record.auth = !block.payload.auth_operations.empty();
        record.batch_writes = writes;
        record.cited = verdict.cited;
        record.first_arrival = arrival;
        arrival += block.payload.operations.size();
        record.op_count = static_cast<std::uint32_t>(
            block.payload.operations.size() + block.payload.auth_operations.size());
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
  if (state.kept == state.closed) {
    for (const CausalGraph::Edge& edge : state.open_taught) {
      WriterState& seen = writers[edge.writer];
      if (seen.is_head && edge.length >= seen.kept) {
        seen.is_head = false;
        seen.dirty = true;
      }
    }
    state.is_head = true;
    state.dirty = true;
  }
  state.open_taught.clear();
}

// The heads from scratch: after who is a member, or where a log is cut, has changed.
void Indexer::State::LearnHeads() {
  std::vector<std::uint64_t> seen(writers.size(), 0);
  for (WriterNumber n = 0; n < writers.size(); ++n) {
    if (writers[n].kept == 0) continue;
    const std::vector<std::uint64_t> vector = graph->VectorAt(n, writers[n].kept - 1);
    for (std::size_t of = 0; of < vector.size(); ++of) {
      seen[of] = std::max(seen[of], vector[of]);
    }
  }
  for (WriterNumber n = 0; n < writers.size(); ++n) {
    WriterState& state = writers[n];
    const bool is_head = state.kept > seen[n];
    if (state.is_head == is_head) continue;
    state.is_head = is_head;
    state.dirty = true;
  }
}

}  // namespace weft
