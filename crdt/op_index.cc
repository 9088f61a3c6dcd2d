#include "crdt/op_index.h"

#include "engine/key_layout.h"

namespace weft {
namespace {

constexpr std::uint64_t kChunkOps = 64;

}  // namespace

OpIndex::OpIndex(Storage* storage, std::uint64_t base, std::uint64_t next)
    : storage_(storage), base_(base), next_(next) {}

absl::Status OpIndex::Load() {
  if (next_ % kChunkOps == 0) return absl::OkStatus();
  const std::uint64_t number = next_ / kChunkOps;
  WEFT_ASSIGN_OR_RETURN(const Bytes* chunk, Chunk(number));
  unsaved_[number] = *chunk;
  return absl::OkStatus();
}

std::uint64_t OpIndex::Add(const OpRow& row, ByteView key) {
  Bytes& chunk = unsaved_[next_ / kChunkOps];
  Writer out(&chunk);
  StoreOp(row.stamp.op, out);
  out.U64(row.stamp.hlc);
  out.U8(row.type);
  out.U8(row.flags);
  out.U16(row.lanes);
  out.Uint(row.previous ? next_ - *row.previous : 0);
  out.Buffer(key);
  return next_++;
}

absl::StatusOr<const Bytes*> OpIndex::Chunk(std::uint64_t number) {
  if (const auto found = unsaved_.find(number); found != unsaved_.end()) {
    return &found->second;
  }
  if (number == cached_number_) return &cached_;
  WEFT_ASSIGN_OR_RETURN(std::optional<Bytes> row,
                        storage_->Get(Family::kView, keys::OpChunk(base_, number)));
  if (!row) return absl::DataLossError("a chunk of the op index is missing");
  cached_ = *std::move(row);
  cached_number_ = number;
  return &cached_;
}

absl::StatusOr<std::pair<OpRow, std::string>> OpIndex::Read(std::uint64_t arrival) {
  if (arrival >= next_) return absl::NotFoundError("no op of this arrival number");
  WEFT_ASSIGN_OR_RETURN(const Bytes* chunk, Chunk(arrival / kChunkOps));
  const std::uint64_t first = arrival / kChunkOps * kChunkOps;
  Reader in(*chunk);
  std::pair<OpRow, std::string> found;
  for (std::uint64_t n = first; n <= arrival && in.ok(); ++n) {
    OpRow row;
    row.stamp.op = ReadOp(SIZE_MAX, in);
    row.stamp.hlc = in.U64();
    row.type = in.U8();
    row.flags = in.U8();
    row.lanes = in.U16();
    const std::uint64_t back = in.Uint();
    const ByteView key = in.Buffer();
    if (back > n) in.Fail();
    if (n < arrival) continue;
    if (back != 0) row.previous = n - back;
    found = {row, std::string(AsText(key))};
  }
  if (!in.ok()) return absl::DataLossError("a chunk of the op index is malformed");
  return found;
}

void OpIndex::Flush(StorageBatch* batch) {
  for (const auto& [number, chunk] : unsaved_) {
    batch->Put(Family::kView, keys::OpChunk(base_, number), chunk);
  }
  const std::uint64_t open = next_ / kChunkOps;
  unsaved_.erase(unsaved_.begin(), unsaved_.lower_bound(open));
  cached_number_ = UINT64_MAX;
}

}  // namespace weft
