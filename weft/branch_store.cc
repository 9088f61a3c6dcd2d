#include "weft/branch_store.h"

#include <algorithm>

#include "engine/codec.h"
#include "engine/key_layout.h"

namespace weft {
namespace {

constexpr std::size_t kRowBytes = 64 * 1024;

Bytes RowKey(const Bytes& branch, std::uint64_t block) {
  Bytes key = branch;
  keys::PutU64(key, block);
  return key;
}

// The block that a row begins with.
std::uint64_t BlockOf(ByteView row_key) {
  return keys::U64At(row_key, row_key.size() - 8);
}

// The value of a branch's first row.
std::optional<SavedBranch> ReadHead(ByteView row, const TreeHash& hash) {
  Reader fields(row);
  const std::uint64_t from = fields.Uint();
  const std::uint64_t length = fields.Uint();
  if (!fields.ok() || !fields.done() || length < from) return std::nullopt;
  return SavedBranch{from, length, hash};
}

}  // namespace

absl::Status SaveBranch(Storage& storage, std::uint64_t base, const CoreKey& log,
                        std::uint64_t from, std::uint64_t length, const TreeHash& hash,
                        ByteView blocks) {
  const Bytes key = keys::ForkBranch(base, log, hash);
  StorageBatch batch;
  // Of the same with another fork point.
  batch.DeleteRange(Family::kMeta, key, *PrefixEnd(key));
  Bytes head;
  Writer out(&head);
  out.Uint(from);
  out.Uint(length);
  batch.Put(Family::kMeta, key, std::move(head));
  Reader in(blocks);
  std::uint64_t block = from;
  while (!in.done()) {
    const std::size_t start = in.position();
    const std::uint64_t first = block;
    for (; !in.done() && in.position() - start < kRowBytes; ++block) in.Buffer();
    if (!in.ok()) break;
    batch.Put(Family::kMeta, RowKey(key, first),
              ToBytes(blocks.subspan(start, in.position() - start)));
  }
  if (!in.ok() || block != length) {
    return absl::InvalidArgumentError("a branch is not the blocks that it should be");
  }
  return storage.Commit(batch, Durability::kSynced);
}

absl::StatusOr<std::vector<Bytes>> ReadBranch(Storage& storage, std::uint64_t base,
                                              const CoreKey& log, std::uint64_t from,
                                              std::uint64_t length,
                                              const TreeHash& hash, std::size_t bytes) {
  const auto malformed = absl::DataLossError("a branch is malformed");
  const Bytes key = keys::ForkBranch(base, log, hash);
  WEFT_ASSIGN_OR_RETURN(const std::optional<Bytes> head,
                        storage.Get(Family::kMeta, key));
  std::vector<Bytes> blocks;
  if (!head) return blocks;
  const std::optional<SavedBranch> saved = ReadHead(*head, hash);
  if (!saved) return malformed;
  const std::uint64_t start = saved->from;
  const std::uint64_t end = saved->length;
  if (end != length || from < start || from >= end) return blocks;
  ScanRange upto{RowKey(key, start), RowKey(key, from + 1)};
  upto.reverse = true;
  const auto last = storage.Scan(Family::kMeta, upto);
  WEFT_RETURN_IF_ERROR(last->status());
  if (!last->valid()) return malformed;
  const auto rows =
      storage.Scan(Family::kMeta, ScanRange{ToBytes(last->key()), PrefixEnd(key)});
  std::size_t brought = 0;
  std::uint64_t block = BlockOf(last->key());
  for (; rows->valid() && block < end && brought < bytes; rows->Next()) {
    if (BlockOf(rows->key()) != block) return malformed;
    Reader in(rows->value());
    for (; !in.done() && block < end && brought < bytes; ++block) {
      const std::size_t at = in.position();
      const ByteView next = in.Buffer();
      if (!in.ok()) return malformed;
      if (block < from) continue;
      blocks.push_back(ToBytes(next));
      brought += in.position() - at;
    }
  }
  WEFT_RETURN_IF_ERROR(rows->status());
  if (block < end && brought < bytes) return malformed;
  return blocks;
}

absl::Status DropBranch(Storage& storage, std::uint64_t base, const CoreKey& log,
                        const TreeHash& hash) {
  const Bytes key = keys::ForkBranch(base, log, hash);
  StorageBatch batch;
  batch.DeleteRange(Family::kMeta, key, *PrefixEnd(key));
  return storage.Commit(batch, Durability::kSynced);
}

absl::StatusOr<std::vector<SavedBranch>> ListBranches(Storage& storage,
                                                      std::uint64_t base,
                                                      const CoreKey& log) {
  const Bytes prefix = keys::ForkBranches(base, log);
  std::vector<SavedBranch> branches;
  ScanRange range{prefix, PrefixEnd(prefix)};
  for (;;) {
    // The first row of a branch; its blocks are passed over.
    const auto row = storage.Scan(Family::kMeta, range);
    WEFT_RETURN_IF_ERROR(row->status());
    if (!row->valid()) break;
    const ByteView key = row->key();
    const auto hash = TreeHash::From(key.subspan(prefix.size()));
    const std::optional<SavedBranch> branch =
        hash ? ReadHead(row->value(), *hash) : std::nullopt;
    if (!branch) return absl::DataLossError("a branch is malformed");
    branches.push_back(*branch);
    range.from = *PrefixEnd(key);
  }
  std::ranges::sort(branches, {}, &SavedBranch::from);
  return branches;
}

}  // namespace weft
