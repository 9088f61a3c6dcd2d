// Logs of blocks that our own encoder wrote and the input then changed, which reach
// deeper than noise: whatever a block holds, the log advances by one, and what it saves
// can be restored.

#include "crdt/batch.h"
#include "engine/check.h"
#include "engine/codec.h"

namespace {

weft::CoreKey Writer(std::uint8_t seed) {
  weft::CoreKey key;
  key.bytes.fill(seed);
  return key;
}

void ReadOne(weft::LogState& log, weft::ByteView block) {
  const std::uint64_t position = log.position();
  const weft::DecodedBlock decoded = weft::DecodeBlock(log, block, weft::Limits());
  WEFT_CHECK(decoded.header.position == position && log.position() == position + 1);
  const bool valid = decoded.header.state == weft::BlockState::kValid;
  WEFT_CHECK(valid || decoded.payload.operations.empty());
  WEFT_CHECK(valid || !decoded.header.reason.empty());
  WEFT_CHECK(weft::LogState::Restore(log.writer(), log.Save()).ok());
}

weft::Bytes Written(weft::Reader& reader, const weft::LogState& log) {
  const weft::Bytes key = weft::ToBytes(reader.Raw(1 + reader.U8() % 8));
  const weft::Bytes column = weft::ToBytes(reader.Raw(1 + reader.U8() % 4));
  if (!reader.ok()) return {};
  const weft::CellWrite cell = weft::UnsetCell(column);
  const weft::Operation operations[] = {
      weft::RecordOp(key, {&cell, 1}),
      weft::DelOp(key, 1),
  };
  const weft::CommitHeader header{
      .hlc = {log.last_hlc().ms + 1, 0},
      .cite = weft::GenesisGrantId(0),
      .deps = {{Writer(2), std::uint64_t{1} + reader.U8() % 5, weft::TreeHash()}}};
  const auto batch = weft::EncodeBatch(log, header, operations, weft::Limits());
  return batch.ok() ? batch->blocks[0] : weft::Bytes();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  weft::Reader reader(weft::ByteView(data, size));
  weft::LogState log(Writer(1));
  for (int i = 0; i < 8 && reader.ok() && !reader.done(); ++i) {
    const std::uint8_t mode = reader.U8();
    if (mode % 2 == 0) {
      ReadOne(log, reader.Raw(reader.U16() % (reader.remaining() + 1)));
      continue;
    }
    weft::Bytes block = Written(reader, log);
    if (block.empty()) continue;
    for (int change = 0; change < mode / 64; ++change) {
      block[reader.U8() % block.size()] = reader.U8();
    }
    ReadOne(log, block);
  }
  ReadOne(log, weft::ByteView(data, size));
  return 0;
}
