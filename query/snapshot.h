// A snapshot scan: the entries of one moment, in a range, either way, up to a limit.
// What is indexed meanwhile is not in it. Any one thread at a time.

#pragma once

#include <memory>
#include <optional>

#include "crdt/indexer.h"
#include "query/key_range.h"

namespace weft {

class SnapshotScan {
 public:
  // The moment is that of this call; `indexer` must outlive the scan.
  static SnapshotScan Entries(const Indexer& indexer, const KeyRange& range);
  // Only entries that have conflicts, by the index of them.
  static SnapshotScan Conflicts(const Indexer& indexer, const KeyRange& range);

  // The next entry; nullopt at the end, at the limit, or after an error.
  std::optional<ViewEntry> Next();
  absl::Status status() const { return scan_->status(); }

 private:
  SnapshotScan(std::unique_ptr<ViewScan> scan, std::uint64_t limit)
      : scan_(std::move(scan)), left_(limit) {}

  std::unique_ptr<ViewScan> scan_;
  std::uint64_t left_;
};

}  // namespace weft
