// Our logs read again, commit by commit: as they are held, and the branches of them
// that are held beside (weft/branch_store.h). All of them together in the order of
// their stamps, in which they were written.

#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "crdt/batch.h"
#include "crdt/limits.h"
#include "engine/hypercore.h"
#include "engine/storage.h"

namespace weft {

// A commit of ours, decoded.
struct OwnBatch {
  std::size_t source = 0;  // of what was read: logs and branches, by number
  CoreKey log;
  std::uint64_t from = 0;  // blocks [from, to)
  std::uint64_t to = 0;
  // Of the first `to` blocks of the branch; what lies below the fork point has none: it
  // is in every branch.
  std::optional<TreeHash> branch;
  std::vector<DecodedBlock> blocks;
  std::vector<Operation> operations;   // that can be written again; into `blocks`
  std::size_t left = 0;                // that cannot
  std::vector<std::string> left_keys;  // of texts and lists, each once

  const Hlc& stamp() const { return blocks.front().header.envelope->hlc; }
};

struct OwnLog {
  CoreKey key;
  std::shared_ptr<Hypercore> core;
  std::uint64_t fork_point = UINT64_MAX;  // blocks; of a log that has not forked: none
};

// Reads as much as is held when it begins.
class OwnBatches {
 public:
  // `storage` and `limits` must outlive it; `base` is the number of its rows.
  OwnBatches(Storage& storage, std::uint64_t base, const Limits& limits);
  OwnBatches(const OwnBatches&) = delete;
  OwnBatches& operator=(const OwnBatches&) = delete;
  ~OwnBatches();

  // What is to be read; before the first Next.  DATA_LOSS;  the disk's
  absl::Status Add(const OwnLog& log);
  // The next batch, each once, whichever branches it is in; nullopt at the end. What is
  // read does not depend on what was written meanwhile.  DATA_LOSS;  the disk's
  absl::StatusOr<std::optional<OwnBatch>> Next();

 private:
  class Source;

  Storage& storage_;
  std::uint64_t base_;
  const Limits& limits_;
  std::vector<std::unique_ptr<Source>> sources_;
  std::set<std::pair<CoreKey, TreeHash>> told_;  // beyond fork points
};

}  // namespace weft
