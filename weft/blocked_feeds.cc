#include "weft/blocked_feeds.h"

#include "absl/strings/str_format.h"
#include "engine/codec.h"
#include "engine/status.h"

namespace weft {
namespace {

constexpr std::string_view kPrefix = "blocked";

Bytes RecordKey(const CoreKey& key) {
  Bytes record;
  record.reserve(kPrefix.size() + CoreKey::kSize);
  Writer writer(&record);
  writer.Raw(AsBytes(kPrefix));
  writer.Raw(key.view());
  return record;
}

}  // namespace

absl::StatusOr<BlockedFeeds> BlockedFeeds::Load(Storage* storage) {
  BlockedFeeds feeds(storage);
  const ScanRange range{ToBytes(kPrefix), PrefixEnd(AsBytes(kPrefix)), false};
  const std::unique_ptr<StorageCursor> cursor = storage->Scan(Family::kMeta, range);
  for (; cursor->valid(); cursor->Next()) {
    const auto key = CoreKey::From(cursor->key().subspan(kPrefix.size()));
    if (key) feeds.keys_.insert(*key);
  }
  WEFT_RETURN_IF_ERROR(cursor->status());
  return feeds;
}

absl::Status BlockedFeeds::Add(const CoreKey& key) {
  if (contains(key)) return absl::OkStatus();
  StorageBatch batch;
  batch.Put(Family::kMeta, RecordKey(key), {});
  WEFT_RETURN_IF_ERROR(storage_->Commit(batch, Durability::kSynced));
  keys_.insert(key);
  return absl::OkStatus();
}

absl::Status BlockedFeeds::Remove(const CoreKey& key) {
  if (!contains(key)) {
    return absl::NotFoundError(
        absl::StrFormat("core %s: is not blocked", ToHex(key.view())));
  }
  StorageBatch batch;
  batch.Delete(Family::kMeta, RecordKey(key));
  WEFT_RETURN_IF_ERROR(storage_->Commit(batch, Durability::kSynced));
  keys_.erase(key);
  return absl::OkStatus();
}

}  // namespace weft
