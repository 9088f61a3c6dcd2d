// Our logs read again, commit by commit: as they are held, and the branches of them
// that peers held (weft/own_branches.h).

#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "crdt/batch.h"
#include "crdt/limits.h"
#include "engine/hypercore.h"
#include "engine/storage.h"

namespace weft {

// A commit of ours, decoded.
struct OwnBatch {
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
  std::uint64_t base = 0;                 // the number of its rows
};

// Calls back with each whole batch of the log, in order, and then with those of each
// saved branch of it beyond what is held as the log; once with each. The order depends
// on what is stored alone.  What `visit` returned;  DATA_LOSS;  the disk's
absl::Status VisitBatches(const OwnLog& log, Storage& storage, const Limits& limits,
                          const std::function<absl::Status(const OwnBatch&)>& visit);

}  // namespace weft
