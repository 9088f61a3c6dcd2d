#include "engine/block_rows.h"

#include "absl/strings/str_format.h"
#include "engine/codec.h"
#include "engine/key_layout.h"

namespace weft {
namespace {

constexpr std::size_t kReadAheadBytes = 64 * 1024;

absl::Status Missing(std::uint64_t core, std::uint64_t block_index) {
  return absl::DataLossError(
      absl::StrFormat("core %d: block %d is not on the disk", core, block_index));
}

}  // namespace

ByteView BlockRow::Block(std::uint64_t block_index) const {
  const std::size_t at = block_index - first_;
  const std::size_t from = at == 0 ? 0 : ends_[at - 1];
  return ByteView(bytes_).subspan(from, ends_[at] - from);
}

absl::Status BlockRow::Extend(ByteView stored) {
  Reader reader(stored);
  const std::size_t count = reader.Count(1);
  std::size_t end = bytes_.size();
  ends_.reserve(ends_.size() + count);
  for (std::size_t i = 0; i < count && reader.ok(); ++i) {
    const std::uint64_t length = reader.CanonicalUint();
    if (length > stored.size()) reader.Fail();
    end += length;
    ends_.push_back(end);
  }
  const ByteView bytes = reader.Rest();
  if (!reader.ok() || bytes.size() != end - bytes_.size()) {
    return absl::DataLossError(absl::StrFormat("row of %d bytes at block %d is damaged",
                                               stored.size(), first_));
  }
  Append(bytes_, bytes);
  return absl::OkStatus();
}

std::shared_ptr<const BlockRow> BlockRowCache::Get(std::uint64_t core) {
  const auto place = places_.find(core);
  if (place == places_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, place->second);
  return place->second->second;
}

void BlockRowCache::Put(std::uint64_t core, std::shared_ptr<const BlockRow> row) {
  EraseCore(core);
  entries_.emplace_front(core, std::move(row));
  places_.emplace(core, entries_.begin());
  if (entries_.size() > capacity_) {
    places_.erase(entries_.back().first);
    entries_.pop_back();
  }
}

void BlockRowCache::EraseCore(std::uint64_t core) {
  const auto place = places_.find(core);
  if (place == places_.end()) return;
  entries_.erase(place->second);
  places_.erase(place);
}

absl::StatusOr<std::shared_ptr<BlockRow>> BlockRows::Read(
    std::uint64_t block_index) const {
  if (block_index == 0) return ReadFirst();
  const auto cursor =
      storage_->Scan(Family::kBlocks, {.from = keys::BlockRow(core_, 0),
                                       .to = keys::BlockRow(core_, block_index + 1),
                                       .reverse = true});
  WEFT_RETURN_IF_ERROR(cursor->status());
  if (!cursor->valid()) return Missing(core_, block_index);
  const auto first = keys::FirstOfBlockRow(cursor->key());
  if (!first) return Missing(core_, block_index);
  auto row = std::make_shared<BlockRow>(*first);
  WEFT_RETURN_IF_ERROR(row->Extend(cursor->value()));
  if (!row->Contains(block_index)) return Missing(core_, block_index);
  return row;
}

// Nothing is in front of it: no need to search for where its row begins.
absl::StatusOr<std::shared_ptr<BlockRow>> BlockRows::ReadFirst() const {
  WEFT_ASSIGN_OR_RETURN(const auto stored,
                        storage_->Get(Family::kBlocks, keys::BlockRow(core_, 0)));
  if (!stored) return Missing(core_, 0);
  auto row = std::make_shared<BlockRow>(0);
  WEFT_RETURN_IF_ERROR(row->Extend(*stored));
  if (!row->Contains(0)) return Missing(core_, 0);
  return row;
}

absl::StatusOr<std::shared_ptr<BlockRow>> BlockRows::ReadAhead(
    std::uint64_t first) const {
  auto row = std::make_shared<BlockRow>(first);
  const auto cursor = storage_->Scan(
      Family::kBlocks,
      {.from = keys::BlockRow(core_, first), .to = keys::BlockRow(core_ + 1, 0)});
  for (; cursor->valid() && row->bytes() < kReadAheadBytes; cursor->Next()) {
    if (keys::FirstOfBlockRow(cursor->key()) != row->end()) break;
    if (row->end() != first &&
        row->bytes() + cursor->value().size() > 2 * kReadAheadBytes) {
      break;
    }
    WEFT_RETURN_IF_ERROR(row->Extend(cursor->value()));
  }
  WEFT_RETURN_IF_ERROR(cursor->status());
  return row;
}

absl::StatusOr<std::shared_ptr<const BlockRow>> BlockRows::Find(
    std::uint64_t block_index) const {
  const auto cached = cache_->Get(core_);
  if (cached && cached->Contains(block_index)) return cached;
  std::shared_ptr<BlockRow> row;
  if (cached && cached->end() == block_index) {
    WEFT_ASSIGN_OR_RETURN(row, ReadAhead(block_index));
  }
  if (!row || !row->Contains(block_index)) {
    WEFT_ASSIGN_OR_RETURN(row, Read(block_index));
  }
  if (row->bytes() <= 2 * kReadAheadBytes) {
    cache_->Put(core_, row);
  } else {
    cache_->EraseCore(core_);
  }
  return std::shared_ptr<const BlockRow>(std::move(row));
}

void BlockRows::Stage(std::uint64_t first, std::span<const ByteView> blocks,
                      StorageBatch* batch) const {
  for (std::size_t from = 0; from < blocks.size();) {
    std::size_t to = from;
    std::size_t bytes = 0;
    while (to < blocks.size() && to - from < kRowBlocksMax &&
           (to == from || bytes + blocks[to].size() <= kRowBytesMax)) {
      bytes += blocks[to++].size();
    }
    Bytes row;
    row.reserve(9 + 9 * (to - from) + bytes);
    Writer writer(&row);
    writer.Uint(to - from);
    for (std::size_t i = from; i < to; ++i) writer.Uint(blocks[i].size());
    for (std::size_t i = from; i < to; ++i) writer.Raw(blocks[i]);
    batch->Put(Family::kBlocks, keys::BlockRow(core_, first + from), std::move(row));
    from = to;
  }
}

absl::Status BlockRows::StageClear(std::uint64_t from, std::uint64_t to,
                                   StorageBatch* batch) const {
  // The rows that the two ends cut through; the same one, if it spans the whole.
  std::shared_ptr<BlockRow> cut[2];
  const std::uint64_t inner[2] = {from, to};
  for (int i = 0; i < 2; ++i) {
    if (inner[i] == 0) continue;
    auto row = Read(inner[i] - 1);
    // Where no row holds both neighbours of an end, the end cuts none.
    if (!row.ok() && !absl::IsDataLoss(row.status())) return row.status();
    if (row.ok() && (*row)->Contains(inner[i])) cut[i] = *std::move(row);
  }
  batch->DeleteRange(Family::kBlocks, keys::BlockRow(core_, from),
                     keys::BlockRow(core_, to));
  const auto keep = [&](const BlockRow& row, std::uint64_t first, std::uint64_t last) {
    std::vector<ByteView> blocks;
    for (std::uint64_t i = first; i < last; ++i) blocks.push_back(row.Block(i));
    Stage(first, blocks, batch);
  };
  if (cut[0]) keep(*cut[0], cut[0]->first(), from);
  if (cut[1]) keep(*cut[1], to, cut[1]->end());
  return absl::OkStatus();
}

}  // namespace weft
