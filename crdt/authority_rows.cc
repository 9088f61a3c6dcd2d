// The facts as rows of a stored view, so that authority need not be read from the logs
// again.
//
//   fact        := 00 batch | 01 incarnation
//   batch       := writer:32 first:uint end:uint cite:op_id block*
//   block       := position:uint named:[uint] payload:buffer
//   incarnation := writer:32 certificate:buffer
// `named` has one number for each op that speaks of a log, and one for each op that a
// hide lists; the rest is as in docs/formats.md.

#include "crdt/authority.h"
#include "engine/check.h"
#include "engine/codec.h"

namespace weft {
namespace {

constexpr std::uint8_t kBatchFact = 0;
constexpr std::uint8_t kIncarnationFact = 1;

// Calls `visit` with every `named` of the op, in one order.
template <class Visit>
void VisitNamed(AuthOperation& operation, const Visit& visit) {
  if (auto* revoke = std::get_if<RevokeOp>(&operation)) {
    visit(revoke->named);
  } else if (auto* redeem = std::get_if<RedeemOp>(&operation)) {
    visit(redeem->named);
  } else if (auto* verdict = std::get_if<VerdictOp>(&operation)) {
    visit(verdict->named);
  } else if (auto* hide = std::get_if<HideOp>(&operation)) {
    visit(hide->named);
    for (std::uint64_t& named : hide->ops_named) visit(named);
  }
}

}  // namespace

Bytes Authority::EncodeFact(const Batch& batch, const OpId& cite,
                            std::span<const DecodedBlock> blocks) {
  Bytes fact;
  Writer out(&fact);
  out.U8(kBatchFact);
  out.Raw(batch.writer.view());
  out.Uint(batch.first);
  out.Uint(batch.end);
  out.Raw(cite.writer.view());
  out.Uint(cite.position);
  out.Uint(cite.op_index);
  for (const DecodedBlock& block : blocks) {
    if (block.payload.auth_operations.empty()) continue;
    std::vector<std::uint64_t> numbers;
    std::vector<AuthOperation> operations = block.payload.auth_operations;
    for (AuthOperation& operation : operations) {
      VisitNamed(operation, [&](std::uint64_t named) { numbers.push_back(named); });
    }
    out.Uint(block.header.position);
    out.Uint(numbers.size());
    for (const std::uint64_t named : numbers) out.Uint(named);
    out.Buffer(EncodePayload(std::span<const AuthOperation>(operations)));
  }
  return fact;
}

Bytes Authority::EncodeIncarnationFact(const CoreKey& writer,
                                       const Incarnation& certificate) {
  Bytes fact;
  Writer out(&fact);
  out.U8(kIncarnationFact);
  out.Raw(writer.view());
  out.Buffer(EncodeIncarnation(certificate));
  return fact;
}

std::vector<Bytes> Authority::TakeNewFacts() {
  return std::exchange(new_facts_, {});
}

absl::Status Authority::RestoreFact(ByteView saved) {
  const auto damaged = absl::DataLossError("authority: a saved fact is damaged");
  Reader in(saved);
  const std::uint8_t kind = in.U8();
  const auto writer = in.Fixed<CoreKey>();
  if (kind == kIncarnationFact) {
    const auto certificate = DecodeIncarnation(in.Buffer());
    if (!in.ok() || !in.done() || !certificate.ok()) return damaged;
    restoring_ = true;
    AddIncarnation(writer, *certificate);
    restoring_ = false;
    return absl::OkStatus();
  }
  Batch batch;
  batch.writer = writer;
  batch.first = in.Uint();
  batch.end = in.Uint();
  OpId cite;
  cite.writer = in.Fixed<CoreKey>();
  cite.position = in.Uint();
  cite.op_index = static_cast<std::uint32_t>(in.Uint());
  const auto cited = by_id_.find(cite);
  if (kind != kBatchFact || !in.ok() || cited == by_id_.end()) return damaged;
  batch.cited = cited->second;
  std::vector<Payload> payloads;
  std::vector<std::pair<OpId, const AuthOperation*>> ops;
  while (in.ok() && !in.done()) {
    const std::uint64_t position = in.Uint();
    std::vector<std::uint64_t> numbers(in.Count(1));
    for (std::uint64_t& number : numbers) number = in.Uint();
    Limits none;
    payloads.push_back(DecodePayload(BlockKind::kAuth, in.Buffer(), none));
    Payload& payload = payloads.back();
    std::size_t next = 0;
    for (AuthOperation& operation : payload.auth_operations) {
      VisitNamed(operation, [&](std::uint64_t& named) {
        if (next < numbers.size()) named = numbers[next];
        ++next;
      });
    }
    if (payload.state != BlockState::kValid || next != numbers.size()) return damaged;
    for (std::size_t i = 0; i < payload.auth_operations.size(); ++i) {
      ops.emplace_back(OpId{writer, position, static_cast<std::uint32_t>(i)},
                       &payload.auth_operations[i]);
    }
  }
  if (!in.ok()) return damaged;
  restoring_ = true;
  AddBatch(std::move(batch), ops);
  restoring_ = false;
  return absl::OkStatus();
}

}  // namespace weft
