// What a log says, op by op, read again from its blocks.

#include "crdt/batch.h"
#include "crdt/indexer_state.h"

namespace weft {
namespace {

// What the others hold nobody was to read.
bool HoldsOps(const BlockRecord& record) {
  return record.status == BlockStatus::kSound ||
         record.status == BlockStatus::kNotAllowed;
}

}  // namespace

absl::Status Indexer::VisitOps(const OpId& first, const Payload& payload,
                               bool after_fork, const UseOp& use) {
  LoggedOp op{first, nullptr, nullptr, after_fork};
  for (const Operation& operation : payload.operations) {
    op.operation = &operation;
    WEFT_RETURN_IF_ERROR(use(op));
    ++op.id.op_index;
  }
  op.operation = nullptr;
  for (const AuthOperation& operation : payload.auth_operations) {
    op.auth_operation = &operation;
    WEFT_RETURN_IF_ERROR(use(op));
    ++op.id.op_index;
  }
  return absl::OkStatus();
}

// Blocks [from, to) of the graph.
absl::Status Indexer::State::VisitLog(WriterNumber writer, std::uint64_t from,
                                      std::uint64_t to, const UseOp& use) {
  if (from >= to) return absl::OkStatus();
  WEFT_ASSIGN_OR_RETURN(const std::vector<Bytes> blocks, ReadBlocks(writer, from, to));
  if (blocks.size() != to - from) return absl::InternalError("a log gave no blocks");
  for (std::uint64_t position = from; position < to; ++position) {
    const BlockRecord record = graph->RecordOf(writer, position);
    const ByteView block(blocks[position - from]);
    if (!HoldsOps(record) || record.payload_offset > block.size()) continue;
    const Payload payload =
        DecodePayload(record.auth ? BlockKind::kAuth : BlockKind::kData,
                      block.subspan(record.payload_offset), genesis.limits);
    WEFT_RETURN_IF_ERROR(
        VisitOps({view->writers().key(writer), position, 0}, payload, false, use));
  }
  return graph->status();
}

// Blocks [from, to) of what is held of a forked log and does not survive. What they are
// is only known from all before them.
absl::Status Indexer::State::VisitDead(const CoreKey& log, std::uint64_t from,
                                       std::uint64_t to, const UseOp& use) {
  if (from >= to) return absl::OkStatus();
  LogState state(log);
  // Which needs no reading if no more of the log was taken in.
  const std::optional<WriterNumber> writer = view->writers().Find(log);
  const Fork* const fork = ForkOf(log);
  if (writer && fork != nullptr && !fork->other &&
      writers[*writer].log.position() <= from) {
    state = writers[*writer].log;
  }
  absl::Status used;
  const auto take = [&](std::span<const Bytes> blocks) {
    for (const Bytes& bytes : blocks) {
      const DecodedBlock block = DecodeBlock(state, bytes, genesis.limits);
      if (block.header.position < from || !used.ok()) continue;
      used = VisitOps({log, block.header.position, 0}, block.payload, true, use);
    }
  };
  WEFT_RETURN_IF_ERROR(ReadPieces(log, state.position(), to, take));
  return used;
}

absl::StatusOr<std::uint64_t> Indexer::ReadOps(const CoreKey& log, std::uint64_t from,
                                               std::uint64_t to, const UseOp& use) {
  const std::optional<WriterNumber> number = state_->view->writers().Find(log);
  if (!number) return absl::NotFoundError("there is no such log here");
  const std::uint64_t alive = state_->graph->length(*number);
  std::uint64_t held = 0;
  std::uint64_t dead_from = 0;
  if (const State::Fork* const fork = state_->ForkOf(log)) {
    WEFT_ASSIGN_OR_RETURN(const LogInfo info, state_->logs->Info(log));
    held = info.length;
    dead_from = fork->dead_from();
  }
  to = std::min(to, std::max(alive, held));
  if (from >= to) return from;
  WEFT_RETURN_IF_ERROR(state_->VisitLog(*number, from, std::min(to, alive), use));
  WEFT_RETURN_IF_ERROR(
      state_->VisitDead(log, std::max(from, dead_from), std::min(to, held), use));
  state_->logs->Rest();
  return to;
}

}  // namespace weft
