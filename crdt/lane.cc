#include "crdt/lane.h"

namespace weft {

void WriteOpId(const LocalOp& op, const WriterTable& writers, Writer& out) {
  out.Raw(writers.key(op.writer).view());
  out.Uint(op.position);
  out.Uint(op.op_index);
}

void WriteLive(const LaneWrite& write, const WriterTable& writers, Writer& out) {
  constexpr std::size_t kInlineMax = 32;
  WriteOpId(write.stamp.op, writers, out);
  out.Uint(write.stamp.hlc >> 16);
  out.Uint(write.stamp.hlc & 0xffff);
  const ByteView value = AsBytes(write.value);
  const ByteView content = value.subspan(1);
  out.U8(value[0]);
  out.Uint(content.size());
  if (content.size() <= kInlineMax) {
    out.Raw(content);
  } else {
    out.Raw(Blake2b256(value).view());
  }
}

void StoreOp(const LocalOp& op, Writer& out) {
  out.Uint(op.writer);
  out.Uint(op.position);
  out.Uint(op.op_index);
}

LocalOp ReadOp(std::size_t writers, Reader& in) {
  LocalOp op;
  const std::uint64_t writer = in.Uint();
  if (writer >= writers) in.Fail();
  op.writer = static_cast<WriterNumber>(writer);
  op.position = in.Uint();
  op.op_index = static_cast<std::uint32_t>(in.Uint());
  return op;
}

void StoreStamp(const Stamp& stamp, Writer& out) {
  StoreOp(stamp.op, out);
  out.U64(stamp.hlc);
}

Stamp ReadStamp(std::size_t writers, Reader& in) {
  Stamp stamp;
  stamp.op = ReadOp(writers, in);
  stamp.hlc = in.U64();
  return stamp;
}

void StoreOps(std::span<const LocalOp> ops, Writer& out) {
  out.Uint(ops.size());
  for (const LocalOp& op : ops) StoreOp(op, out);
}

std::vector<LocalOp> ReadOps(std::size_t writers, Reader& in) {
  constexpr std::size_t kOpBytesMin = 3;
  std::vector<LocalOp> ops;
  for (std::size_t n = in.Count(kOpBytesMin); n > 0 && in.ok(); --n) {
    ops.push_back(ReadOp(writers, in));
  }
  return ops;
}

void StoreWrite(const LaneWrite& write, Writer& out) {
  StoreOp(write.stamp.op, out);
  out.U64(write.stamp.hlc);
  out.U8(write.is_set ? 1 : 0);
  if (write.is_set) out.Buffer(AsBytes(write.value));
}

LaneWrite ReadWrite(std::size_t writers, Reader& in) {
  LaneWrite write;
  write.stamp.op = ReadOp(writers, in);
  write.stamp.hlc = in.U64();
  write.is_set = in.U8() == 1;
  if (write.is_set) {
    write.value = std::string(AsText(in.Buffer()));
    if (write.value.empty()) in.Fail();
  }
  return write;
}

}  // namespace weft
