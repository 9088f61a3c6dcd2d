// Batches: the blocks of one commit, from operations to bytes and back (rule D8).
//
// DecodeBlock is the only way from the bytes of a log to values, for our own blocks as
// for anybody's; the Encode functions are the only way back.

#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "crdt/envelope.h"
#include "crdt/identity.h"
#include "crdt/operation.h"

namespace weft {

struct DecodedBlock {
  BlockHeader header;    // state and reason cover the payload too
  Payload payload;       // empty unless header.state is kValid
  std::size_t size = 0;  // bytes of the block
  // Block 0 of a later incarnation; its signatures are not checked yet.
  std::optional<Incarnation> incarnation;
};

// Reads the next block of `log` and advances it.
DecodedBlock DecodeBlock(LogState& log, ByteView block, const Limits& limits);

// Whether the blocks of a whole batch (in order, from the one that opens it to the one
// with ends_batch) are valid together: each valid, one grant cited, ops and bytes
// within limits. INVALID_ARGUMENT  names the fact
absl::Status CheckBatch(std::span<const DecodedBlock> batch, const Limits& limits);

// What the author knows about the commit beside its operations.
struct CommitHeader {
  Hlc hlc;  // of the first block (NextHlc); each further block has the next stamp
  OpId cite;
  std::vector<Dep> deps;  // any order, one a writer
};

struct EncodedBatch {
  std::uint64_t first_position = 0;
  std::vector<Bytes> blocks;
  std::vector<std::uint32_t> op_counts;  // by block

  // The op id of the n-th operation of the commit.
  OpId IdOf(const CoreKey& writer, std::uint64_t n) const;
};

// The blocks that append `operations` to `log`, which must not have an open batch. The
// log is advanced by DecodeBlock, once they are stored.
// INVALID_ARGUMENT  no operation, one that CheckOperation refuses, more than 65 536
//                   operations, 64 MiB or 256 blocks, one that does not fit in a block,
//                   bad deps: names the fact
// OUT_OF_RANGE      the stamps reach the end of time
absl::StatusOr<EncodedBatch> EncodeBatch(const LogState& log,
                                         const CommitHeader& header,
                                         std::span<const Operation> operations,
                                         const Limits& limits);
// Each block repeats the dep on the log of the cited grant, as auth blocks must.
absl::StatusOr<EncodedBatch> EncodeBatch(const LogState& log,
                                         const CommitHeader& header,
                                         std::span<const AuthOperation> operations,
                                         const Limits& limits);
// Block 0 of a later incarnation, in its log, which must be empty.
absl::StatusOr<EncodedBatch> EncodeCertificate(const LogState& log,
                                               const CommitHeader& header,
                                               const Incarnation& certificate,
                                               const Limits& limits);
// A block that only merges heads.
absl::StatusOr<EncodedBatch> EncodeAck(const LogState& log, const CommitHeader& header,
                                       const Limits& limits);

}  // namespace weft
