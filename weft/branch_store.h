// What seniors have named of a forked log beyond the fork point, where the store holds
// another branch of it as the log itself (rule F2), and what others held of our own
// forked logs (rule F4): kept beside the log, for ever; of the latter not what is the
// beginning of another one.
//
// Records, family kMeta, numbers in keys big-endian:
//   "branch" number:u64 core:32 tree_hash:32            -> from:uint length:uint
//   "branch" number:u64 core:32 tree_hash:32 block:u64  -> (block:buffer)*  from that
//                                                          block on
// Blocks [from, length), in rows of 64 KiB and what the last block has more. One branch
// a name, those that do not count in the end too: which of two branches contains what
// is only known while both are held.

#pragma once

#include <limits>
#include <vector>

#include "engine/crypto.h"
#include "engine/status.h"
#include "engine/storage.h"

namespace weft {

// `blocks` are (block:buffer)*, from block `from` on. Durable when it returns.
// INVALID_ARGUMENT  they are not
absl::Status SaveBranch(Storage& storage, std::uint64_t base, const CoreKey& log,
                        std::uint64_t from, std::uint64_t length, const TreeHash& hash,
                        ByteView blocks);

// LogSource::ReadBranch; of the blocks no more than bring `bytes`, each counted with
// its length. Reads no other rows.  DATA_LOSS  a record is malformed or gone
absl::StatusOr<std::vector<Bytes>> ReadBranch(
    Storage& storage, std::uint64_t base, const CoreKey& log, std::uint64_t from,
    std::uint64_t length, const TreeHash& hash,
    std::size_t bytes = std::numeric_limits<std::size_t>::max());

// Durable when it returns.
absl::Status DropBranch(Storage& storage, std::uint64_t base, const CoreKey& log,
                        const TreeHash& hash);

// Blocks [from, length) of a branch that was saved.
struct SavedBranch {
  std::uint64_t from = 0;
  std::uint64_t length = 0;
  TreeHash tree_hash;
};
// Of a log; by where they part from what is held as the log itself.
// DATA_LOSS  a record is malformed
absl::StatusOr<std::vector<SavedBranch>> ListBranches(Storage& storage,
                                                      std::uint64_t base,
                                                      const CoreKey& log);

}  // namespace weft
