#include "weft/branch_store.h"

#include "engine/codec.h"
#include "engine/key_layout.h"

namespace weft {

absl::Status SaveBranch(Storage& storage, std::uint64_t base, const CoreKey& log,
                        std::uint64_t from, const TreeHash& hash,
                        std::span<const Bytes> blocks) {
  Bytes row;
  Writer out(&row);
  out.Uint(from);
  out.Uint(from + blocks.size());
  for (const Bytes& block : blocks) out.Buffer(block);
  StorageBatch batch;
  batch.Put(Family::kMeta, keys::ForkBranch(base, log, hash), std::move(row));
  return storage.Commit(batch, Durability::kSynced);
}

absl::StatusOr<std::vector<Bytes>> ReadBranch(Storage& storage, std::uint64_t base,
                                              const CoreKey& log, std::uint64_t from,
                                              std::uint64_t length,
                                              const TreeHash& hash) {
  WEFT_ASSIGN_OR_RETURN(
      const std::optional<Bytes> row,
      storage.Get(Family::kMeta, keys::ForkBranch(base, log, hash), nullptr));
  std::vector<Bytes> blocks;
  if (!row) return blocks;
  Reader in(*row);
  const std::uint64_t start = in.Uint();
  const std::uint64_t end = in.Uint();
  if (!in.ok() || end < start) return absl::DataLossError("a branch is malformed");
  if (end != length || from < start) return blocks;
  for (std::uint64_t position = start; position < end; ++position) {
    const ByteView block = in.Buffer();
    if (!in.ok()) return absl::DataLossError("a branch is malformed");
    if (position >= from) blocks.push_back(ToBytes(block));
  }
  return blocks;
}

}  // namespace weft
