#include "crdt/batch.h"

#include <algorithm>

#include "absl/strings/str_format.h"

namespace weft {
namespace {

// The most an envelope takes: 64 deps on new writers, and a new grant.
constexpr std::size_t kEnvelopeBytesMax = 80 + 60 + 64 * (32 + 5 + 9 + 32);
// Blocks are kept small, so that one op can be read again without a megabyte of others,
// unless the batch then has too many of them.
constexpr std::size_t kBlockBytesWanted = 128 * 1024;
constexpr std::size_t kBlocksWanted = 128;

void Refuse(DecodedBlock& block, BlockState state, std::string reason) {
  block.header.state = state;
  block.header.reason = std::move(reason);
  if (state == BlockState::kParked) {
    block.header.breaks_open_batch = false;
    block.header.in_batch = false;
    block.header.ends_batch = false;
  }
}

// How much of each log that an auth op speaks of the block names (6.2).
void FillNamed(const LogState& log, std::uint64_t position, Payload& payload) {
  const auto named = [&](const CoreKey& writer) {
    return writer == log.writer() ? position : log.named(writer);
  };
  for (AuthOperation& operation : payload.auth_operations) {
    if (auto* revoke = std::get_if<RevokeOp>(&operation)) {
      revoke->named = named(revoke->grant.writer);
    } else if (auto* redeem = std::get_if<RedeemOp>(&operation)) {
      redeem->named = named(redeem->invite.writer);
    } else if (auto* verdict = std::get_if<VerdictOp>(&operation)) {
      verdict->named = named(verdict->log);
    } else if (auto* hide = std::get_if<HideOp>(&operation)) {
      hide->named = named(hide->log);
      for (std::size_t i = 0; i < hide->ops.size(); ++i) {
        hide->ops_named[i] = named(hide->ops[i].writer);
      }
    }
  }
}

void ReadPayload(LogState& log, ByteView bytes, const Limits& limits,
                 DecodedBlock& block) {
  switch (block.header.envelope->kind) {
    case BlockKind::kData:
    case BlockKind::kAuth:
      break;
    case BlockKind::kIncarnation: {
      auto incarnation = DecodeIncarnation(bytes);
      if (!incarnation.ok()) {
        Refuse(block, BlockState::kInvalid,
               std::string(incarnation.status().message()));
      } else if (block.header.envelope->batch_count != 1) {
        Refuse(block, BlockState::kInvalid,
               "a certificate in a batch with other blocks");
      } else {
        block.incarnation = *std::move(incarnation);
      }
      return;
    }
    default:  // an ack; other kinds have parked
      if (!bytes.empty()) {
        log.Park(block.header.position);
        Refuse(block, BlockState::kParked, "an ack with a payload");
      }
      return;
  }
  block.payload = DecodePayload(block.header.envelope->kind, bytes, limits);
  if (block.payload.state == BlockState::kValid) {
    const std::size_t auth_ops = block.payload.auth_operations.size();
    if (auth_ops == 0) return;
    if (log.CountAuthOps(auth_ops, limits)) {
      FillNamed(log, block.header.position, block.payload);
      return;
    }
    block.payload = {};
    Refuse(block, BlockState::kInvalid,
           absl::StrFormat("more than %d auth ops of one writer",
                           limits.auth_ops_per_writer));
    return;
  }
  if (block.payload.state == BlockState::kParked) log.Park(block.header.position);
  Refuse(block, block.payload.state, block.payload.reason);
}

std::size_t CellsOf(const Operation& op) {
  return op.cells.size();
}
std::size_t CellsOf(const AuthOperation&) {
  return 0;
}

// How many operations from the start of `operations` go into the next block.
template <class Op>
std::size_t TakeForBlock(std::span<const Op> operations, std::size_t bytes_wanted) {
  std::size_t size = kEnvelopeBytesMax + kPayloadBytesFixed;
  std::size_t cells = 0;
  for (std::size_t i = 0; i < operations.size(); ++i) {
    size += EncodedSizeMax(operations[i]);
    cells += CellsOf(operations[i]);
    if (i > 0 && (size > bytes_wanted || cells > kCellsPerBlockMax)) return i;
  }
  return operations.size();
}

template <class Op>
absl::StatusOr<std::vector<std::span<const Op>>> Split(std::span<const Op> operations,
                                                       const Limits& limits) {
  if (operations.empty()) {
    return absl::InvalidArgumentError("commit: nothing to write");
  }
  if (operations.size() > limits.batch_ops) {
    return absl::InvalidArgumentError(
        absl::StrFormat("commit: %d operations, and the limit is %d", operations.size(),
                        limits.batch_ops));
  }
  std::size_t total = 0;
  for (const Op& op : operations) {
    WEFT_RETURN_IF_ERROR(CheckOperation(op, limits));
    total += EncodedSizeMax(op);
  }
  const std::size_t wanted = std::min<std::size_t>(
      std::max(kBlockBytesWanted, total / kBlocksWanted), limits.block_bytes);
  std::vector<std::span<const Op>> parts;
  while (!operations.empty()) {
    const std::size_t count = TakeForBlock(operations, wanted);
    parts.push_back(operations.first(count));
    operations = operations.subspan(count);
  }
  if (parts.size() > limits.batch_blocks) {
    return absl::InvalidArgumentError(
        absl::StrFormat("commit: needs %d blocks, and the limit is %d", parts.size(),
                        limits.batch_blocks));
  }
  return parts;
}

Bytes EncodePart(std::span<const Operation> part, const CommitLayout& layout) {
  return EncodePayload(part, layout);
}
Bytes EncodePart(std::span<const AuthOperation> part, const CommitLayout&) {
  return EncodePayload(part);
}

absl::StatusOr<Hlc> StampAfter(Hlc hlc) {
  return NextHlc(hlc, 0, 0);
}

// One block of a batch, appended to `out`.
absl::Status EncodeOne(const LogState& log, const Envelope& envelope, ByteView payload,
                       const Limits& limits, EncodedBatch& out) {
  WEFT_ASSIGN_OR_RETURN(Bytes block, EncodeEnvelope(log, envelope, limits));
  Append(block, payload);
  if (block.size() > limits.block_bytes) {
    return absl::InvalidArgumentError(
        absl::StrFormat("commit: an operation needs a block of %d bytes, and the limit "
                        "is %d",
                        block.size(), limits.block_bytes));
  }
  out.blocks.push_back(std::move(block));
  return absl::OkStatus();
}

Envelope FirstEnvelope(BlockKind kind, const CommitHeader& header) {
  Envelope envelope;
  envelope.kind = kind;
  envelope.hlc = header.hlc;
  envelope.cite = header.cite;
  envelope.deps = header.deps;
  return envelope;
}

// A batch of one block that holds no operations.
absl::StatusOr<EncodedBatch> EncodeWithoutOps(const LogState& log,
                                              const CommitHeader& header,
                                              BlockKind kind, ByteView payload,
                                              const Limits& limits) {
  EncodedBatch out;
  out.first_position = log.position();
  WEFT_RETURN_IF_ERROR(
      EncodeOne(log, FirstEnvelope(kind, header), payload, limits, out));
  out.op_counts.push_back(0);
  return out;
}

template <class Op>
absl::StatusOr<EncodedBatch> Encode(const LogState& start, const CommitHeader& header,
                                    std::span<const Op> operations, BlockKind kind,
                                    const Limits& limits) {
  WEFT_ASSIGN_OR_RETURN(const auto parts, Split(operations, limits));
  EncodedBatch out;
  out.first_position = start.position();
  Envelope envelope = FirstEnvelope(kind, header);
  envelope.batch_count = parts.size();
  std::size_t bytes = 0;
  CommitLayout layout;
  layout.first_position = start.position();
  std::uint32_t first_op = 0;
  std::optional<LogState> ahead;  // the log as it will be, made only for a second block
  for (std::size_t i = 0; i < parts.size(); ++i) {
    envelope.batch_index = i;
    if (i > 0) {
      if (!ahead.has_value()) ahead = start;
      ahead->Read(out.blocks.back(), limits);
      WEFT_ASSIGN_OR_RETURN(envelope.hlc, StampAfter(envelope.hlc));
      // 6.2: each auth block names the grant it cites.
      std::erase_if(envelope.deps, [&](const Dep& dep) {
        return kind != BlockKind::kAuth || dep.writer != header.cite.writer;
      });
    }
    layout.first_ops.push_back(first_op);
    first_op += static_cast<std::uint32_t>(parts[i].size());
    WEFT_RETURN_IF_ERROR(EncodeOne(ahead.has_value() ? *ahead : start, envelope,
                                   EncodePart(parts[i], layout), limits, out));
    out.op_counts.push_back(static_cast<std::uint32_t>(parts[i].size()));
    bytes += out.blocks.back().size();
  }
  if (bytes > limits.batch_bytes) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "commit: %d bytes, and the limit is %d", bytes, limits.batch_bytes));
  }
  return out;
}

}  // namespace

DecodedBlock DecodeBlock(LogState& log, ByteView bytes, const Limits& limits) {
  DecodedBlock block;
  block.size = bytes.size();
  block.header = log.Read(bytes, limits);
  if (block.header.state == BlockState::kValid) {
    ReadPayload(log, bytes.subspan(block.header.payload_offset), limits, block);
  }
  return block;
}

absl::Status CheckBatch(std::span<const DecodedBlock> batch, const Limits& limits) {
  std::uint64_t ops = 0;
  std::uint64_t bytes = 0;
  for (const DecodedBlock& block : batch) {
    const BlockHeader& header = block.header;
    if (header.state != BlockState::kValid) {
      return absl::InvalidArgumentError(
          absl::StrFormat("block %d: %s", header.position, header.reason));
    }
    if (header.envelope->cite != batch.front().header.envelope->cite) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "block %d: cites another grant than its batch", header.position));
    }
    ops += block.payload.operations.size() + block.payload.auth_operations.size();
    bytes += block.size;
  }
  if (ops > limits.batch_ops || bytes > limits.batch_bytes) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "a batch of %d operations and %d bytes, and the limits are %d and %d", ops,
        bytes, limits.batch_ops, limits.batch_bytes));
  }
  return absl::OkStatus();
}

OpId EncodedBatch::IdOf(const CoreKey& writer, std::uint64_t n) const {
  std::size_t block = 0;
  while (n >= op_counts[block]) n -= op_counts[block++];
  return {writer, first_position + block, static_cast<std::uint32_t>(n)};
}

absl::StatusOr<EncodedBatch> EncodeBatch(const LogState& log,
                                         const CommitHeader& header,
                                         std::span<const Operation> operations,
                                         const Limits& limits) {
  return Encode(log, header, operations, BlockKind::kData, limits);
}

absl::StatusOr<EncodedBatch> EncodeBatch(const LogState& log,
                                         const CommitHeader& header,
                                         std::span<const AuthOperation> operations,
                                         const Limits& limits) {
  return Encode(log, header, operations, BlockKind::kAuth, limits);
}

absl::StatusOr<EncodedBatch> EncodeCertificate(const LogState& log,
                                               const CommitHeader& header,
                                               const Incarnation& certificate,
                                               const Limits& limits) {
  return EncodeWithoutOps(log, header, BlockKind::kIncarnation,
                          EncodeIncarnation(certificate), limits);
}

absl::StatusOr<EncodedBatch> EncodeAck(const LogState& log, const CommitHeader& header,
                                       const Limits& limits) {
  return EncodeWithoutOps(log, header, BlockKind::kAck, {}, limits);
}

}  // namespace weft
