#include "query/snapshot.h"

namespace weft {
namespace {

std::unique_ptr<ViewScan> Open(const Indexer& indexer, const KeyRange& range,
                               bool conflicts_only) {
  std::optional<std::string_view> to;
  if (range.to) to = *range.to;
  return indexer.ScanView(range.from, to, range.reverse, conflicts_only, range.limit);
}

}  // namespace

SnapshotScan SnapshotScan::Entries(const Indexer& indexer, const KeyRange& range) {
  return {Open(indexer, range, /*conflicts_only=*/false), range.limit};
}

SnapshotScan SnapshotScan::Conflicts(const Indexer& indexer, const KeyRange& range) {
  return {Open(indexer, range, /*conflicts_only=*/true), range.limit};
}

std::optional<ViewEntry> SnapshotScan::Next() {
  if (left_ == 0) return std::nullopt;
  --left_;
  return scan_->Next();
}

}  // namespace weft
