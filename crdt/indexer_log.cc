// What a log says, op by op, read again from its blocks.

#include "absl/strings/str_format.h"
#include "crdt/indexer_state.h"

namespace weft {
namespace {

// What the others hold nobody was to read.
bool HoldsOps(const BlockRecord& record) {
  return record.status == BlockStatus::kSound ||
         record.status == BlockStatus::kNotAllowed;
}

}  // namespace

absl::StatusOr<std::uint64_t> Indexer::ReadOps(
    const CoreKey& log, std::uint64_t from, std::uint64_t to,
    const std::function<absl::Status(const LoggedOp&)>& use) {
  const std::optional<WriterNumber> number = state_->view->writers().Find(log);
  if (!number) return absl::NotFoundError("there is no such log here");
  to = std::min(to, state_->graph->length(*number));
  if (from >= to) return from;
  WEFT_ASSIGN_OR_RETURN(const std::vector<Bytes> blocks,
                        state_->ReadBlocks(*number, from, to));
  if (blocks.size() != to - from) return absl::InternalError("a log gave no blocks");
  for (std::uint64_t position = from; position < to; ++position) {
    const BlockRecord record = state_->graph->RecordOf(*number, position);
    const ByteView block(blocks[position - from]);
    if (!HoldsOps(record) || record.payload_offset > block.size()) continue;
    const Payload payload =
        DecodePayload(record.auth ? BlockKind::kAuth : BlockKind::kData,
                      block.subspan(record.payload_offset), state_->genesis.limits);
    LoggedOp op{{log, position, 0}, nullptr, nullptr};
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
  }
  WEFT_RETURN_IF_ERROR(state_->graph->status());
  return to;
}

}  // namespace weft
