// Reads the input as the blocks of a log, one after the other, and as every other thing
// that crdt/ decodes: whatever is accepted must be within the limits, and canonical
// where there is one form only.

#include "crdt/batch.h"
#include "crdt/genesis.h"
#include "engine/check.h"

namespace {

using weft::ByteView;

void ReadAsLog(ByteView data) {
  const weft::Limits limits;
  weft::LogState log(weft::CoreKey{});
  while (data.size() >= 2) {
    const std::size_t wanted = data[0] + 256U * data[1];
    const std::size_t size = std::min(data.size() - 2, wanted);
    const auto block = weft::DecodeBlock(log, data.subspan(2, size), limits);
    WEFT_CHECK(block.header.state != weft::BlockState::kParked || log.parked());
    for (const auto& op : block.payload.operations) {
      WEFT_CHECK(weft::CheckOperation(op, limits).ok());
    }
    data = data.subspan(2 + size);
  }
  const auto again = weft::LogState::Restore(log.writer(), log.Save());
  WEFT_CHECK(again.ok() && again->Save() == log.Save());
}

void ReadAsPayload(weft::BlockKind kind, ByteView data) {
  const weft::Limits limits;
  const auto payload = weft::DecodePayload(kind, data, limits);
  for (const auto& op : payload.operations) {
    WEFT_CHECK(weft::CheckOperation(op, limits).ok());
  }
  for (const auto& op : payload.auth_operations) {
    WEFT_CHECK(weft::CheckOperation(op, limits).ok());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView bytes(data, size);
  ReadAsLog(bytes);
  ReadAsPayload(weft::BlockKind::kData, bytes);
  ReadAsPayload(weft::BlockKind::kAuth, bytes);
  if (const auto genesis = weft::DecodeGenesis(bytes); genesis.ok()) {
    WEFT_CHECK(weft::Equal(weft::EncodeGenesis(*genesis), bytes));
  }
  if (const auto incarnation = weft::DecodeIncarnation(bytes); incarnation.ok()) {
    WEFT_CHECK(weft::Equal(weft::EncodeIncarnation(*incarnation), bytes));
  }
  if (const auto id = weft::ParseOpId(weft::AsText(bytes)); id.has_value()) {
    WEFT_CHECK(weft::ToText(*id) == weft::AsText(bytes));
  }
  return 0;
}
