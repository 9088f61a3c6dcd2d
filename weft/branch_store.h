// What seniors have named of a forked log beyond the fork point, where the store holds
// another branch of it as the log itself (rule F2): kept beside it, for ever.
//
// Record, family kMeta: "branch" number:u64 core:32 tree_hash:32 ->
//   from:uint length:uint block:buffer*     blocks [from, length)
// One a name, those that do not count in the end too: which of two branches contains
// what is only known while both are held.

#pragma once

#include <vector>

#include "engine/crypto.h"
#include "engine/status.h"
#include "engine/storage.h"

namespace weft {

// Durable when it returns.
absl::Status SaveBranch(Storage& storage, std::uint64_t base, const CoreKey& log,
                        std::uint64_t from, const TreeHash& hash,
                        std::span<const Bytes> blocks);

// LogSource::ReadBranch.  DATA_LOSS  the record is malformed
absl::StatusOr<std::vector<Bytes>> ReadBranch(Storage& storage, std::uint64_t base,
                                              const CoreKey& log, std::uint64_t from,
                                              std::uint64_t length,
                                              const TreeHash& hash);

}  // namespace weft
