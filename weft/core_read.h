// Reading one block of a plain hypercore: by its index or by a byte it holds, from the
// store or, where it is not held, from a peer; decrypted if the reader has the key.

#pragma once

#include "engine/async_host.h"
#include "weft/node.h"

namespace weft {

struct CoreReadRequest {
  CoreKey key;
  // Either of the two.
  std::optional<std::uint64_t> block_index = {};
  std::optional<std::uint64_t> byte_offset = {};  // of the plaintext
  // "host:port" of a peer to ask for what is not held; empty: none. The core is made,
  // as a follower, if the store has none of this key.
  std::string connect = {};
  Nanos timeout{0};  // of asking the peer; zero: none
  std::optional<Hash32> encryption_key = {};
};

struct CoreReadResult {
  std::uint64_t block_index = 0;
  std::uint64_t offset = 0;  // of the byte asked for, within the block
  Bytes block;
};

// What is held, without asking a peer; on the strand. Errors as ReadCore.
absl::StatusOr<CoreReadResult> ReadHeldCore(Corestore& cores,
                                            const CoreReadRequest& request);
// The node must outlive the task.
// NOT_FOUND          no such core; the block is not held, and no peer gave it
// OUT_OF_RANGE       the block or the byte is beyond the log's end
// DATA_LOSS          the bytes on the disk are not those that were signed
// PERMISSION_DENIED  the blocks are not encrypted under that key
// UNAVAILABLE, DEADLINE_EXCEEDED  as Node::Clone
Task<absl::StatusOr<CoreReadResult>> ReadCore(Node* node, CoreReadRequest request);

}  // namespace weft
