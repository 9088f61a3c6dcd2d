// What was cut off from our own logs, and writing it again (rule F4).
//
// A log that forked ends where the branches part, and a grant that was revoked takes
// effect from what cited it. What we had written beyond that is still in our store. It
// is found by reading our logs again, batch by batch, and is copied, batch by batch,
// into the log that we write to now, with stamps of now. How far a log was dealt with
// is remembered:
// key := "recovered" number:u64 (big-endian) core:32      row := length:uint

#include "absl/strings/str_format.h"
#include "crdt/batch.h"
#include "engine/codec.h"
#include "engine/key_layout.h"
#include "weft/base_node.h"
#include "weft/convert.h"

namespace weft {
namespace {

constexpr std::uint64_t kBlocksPerRead = 64;

Bytes RowKey(std::uint64_t base, const CoreKey& log) {
  Bytes key = keys::BaseRow("recovered", base);
  Append(key, log.view());
  return key;
}

// An edit of a text or list names the elements beside it, which are lost with it.
bool CanBeCopied(const Operation& op) {
  return op.lane != Lane::kText && op.lane != Lane::kList;
}

}  // namespace

absl::StatusOr<std::uint64_t> BaseNode::RecoveredLength(const CoreKey& log) const {
  WEFT_ASSIGN_OR_RETURN(
      const auto row, host_->storage->Get(Family::kMeta, RowKey(record_.number, log)));
  if (!row) return 0;
  Reader reader(*row);
  return reader.Uint();
}

// Calls back with each whole batch of the log that lost its effect, from `from` on.
absl::Status BaseNode::VisitLost(const CoreKey& key, std::uint64_t from,
                                 const LostVisitor& visit) {
  const auto log = logs_.find(key);
  if (log == logs_.end()) return absl::OkStatus();
  const std::shared_ptr<Hypercore> core = log->second.core;
  const std::uint64_t held = core->contiguous_length();
  LogState state(key);
  LostBatch batch;
  for (std::uint64_t at = 0; at < held;) {
    const std::uint64_t end = std::min(held, at + kBlocksPerRead);
    WEFT_ASSIGN_OR_RETURN(const std::vector<Bytes> blocks, core->GetRange(at, end));
    for (const Bytes& bytes : blocks) {
      DecodedBlock block = DecodeBlock(state, bytes, indexer_->genesis().limits);
      if (block.header.breaks_open_batch || !block.header.in_batch)
        batch.blocks.clear();
      if (!block.header.in_batch) continue;
      if (batch.blocks.empty()) batch.from = block.header.position;
      batch.to = block.header.position + 1;
      const bool ends = block.header.ends_batch;
      batch.blocks.push_back(std::move(block));
      if (!ends) continue;
      if (batch.from >= from) WEFT_RETURN_IF_ERROR(VisitIfLost(key, &batch, visit));
      batch.blocks.clear();
    }
    at = end;
  }
  return absl::OkStatus();
}

absl::Status BaseNode::VisitIfLost(const CoreKey& log, LostBatch* batch,
                                   const LostVisitor& visit) {
  batch->operations.clear();
  batch->left = 0;
  for (const DecodedBlock& block : batch->blocks) {
    batch->left += block.payload.auth_operations.size();
    for (const Operation& op : block.payload.operations) {
      if (CanBeCopied(op)) {
        batch->operations.push_back(op);
      } else {
        ++batch->left;
      }
    }
  }
  if (batch->operations.empty() && batch->left == 0) return absl::OkStatus();
  WEFT_ASSIGN_OR_RETURN(const OpFate fate, indexer_->FateOf({log, batch->from, 0}));
  if (fate.kind != OpFateKind::kQuarantined && fate.kind != OpFateKind::kAfterFork) {
    return absl::OkStatus();
  }
  batch->log = log;
  batch->fate = fate;
  return visit(*batch);
}

absl::StatusOr<std::vector<HeldBackWrites>> BaseNode::Recoverable() {
  std::vector<HeldBackWrites> list;
  WEFT_RETURN_IF_ERROR(CheckUsable());
  WEFT_RETURN_IF_ERROR(CatchUp());
  const std::string author = IdText(record_.identity);
  for (const CoreKey& log : indexer_->authority().LogsOf(record_.identity)) {
    WEFT_ASSIGN_OR_RETURN(const std::uint64_t from, RecoveredLength(log));
    WEFT_RETURN_IF_ERROR(VisitLost(log, from, [&](const LostBatch& lost) {
      const std::string state = FateText(lost.fate.kind);
      const std::uint64_t writes = lost.operations.size() + lost.left;
      const bool goes_on = !list.empty() && list.back().writer == IdText(log) &&
                           list.back().to == lost.from && list.back().state == state &&
                           list.back().reason == lost.fate.reason;
      if (goes_on) {
        list.back().to = lost.to;
        list.back().writes += writes;
      } else {
        list.push_back(
            {IdText(log), author, lost.from, lost.to, writes, state, lost.fate.reason});
      }
      return absl::OkStatus();
    }));
  }
  return list;
}

absl::StatusOr<Committed> BaseNode::RecoverLogged(Recovered* recovered) {
  WEFT_RETURN_IF_ERROR(ReadyToWrite());
  Committed last;
  for (const CoreKey& log : indexer_->authority().LogsOf(record_.identity)) {
    WEFT_ASSIGN_OR_RETURN(const std::uint64_t from, RecoveredLength(log));
    WEFT_RETURN_IF_ERROR(
        VisitLost(log, from, [&](const LostBatch& lost) -> absl::Status {
          recovered->left += lost.left;
          if (!lost.operations.empty()) {
            WEFT_ASSIGN_OR_RETURN(
                const PreparedCommit prepared,
                indexer_->PrepareCopies(record_.log(), lost.operations, WallMs()));
            WEFT_ASSIGN_OR_RETURN(last, AppendAndIndex(prepared));
            recovered->writes += lost.operations.size();
          }
          // Behind the copy in the log of the storage, so never without it.
          Bytes length;
          Writer(&length).Uint(lost.to);
          StorageBatch row;
          row.Put(Family::kMeta, RowKey(record_.number, log), std::move(length));
          return host_->storage->Commit(row, Durability::kLogged);
        }));
  }
  return last;
}

}  // namespace weft
