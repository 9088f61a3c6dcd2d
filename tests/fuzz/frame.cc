// A stream cut into frames is the same however it arrives, and nothing is buffered
// beyond what came.

#include "replication/frame.h"

#include <vector>

#include "engine/check.h"

namespace {

std::vector<weft::Bytes> Read(weft::ByteView bytes, std::size_t step, bool& refused) {
  weft::FrameReader reader(4096);
  std::vector<weft::Bytes> frames;
  while (!bytes.empty() && !refused) {
    const std::size_t count = std::min(step, bytes.size());
    reader.Feed(bytes.first(count));
    bytes = bytes.subspan(count);
    for (;;) {
      const auto frame = reader.Next();
      if (!frame.ok()) {
        refused = true;
        break;
      }
      if (!frame->has_value()) break;
      frames.push_back(weft::ToBytes(**frame));
    }
    WEFT_CHECK(reader.buffered() <= 4096 + weft::kFramePrefixBytes + step);
  }
  return frames;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  bool refused_whole = false;
  bool refused_bytewise = false;
  const auto whole = Read({data, size}, 65536, refused_whole);
  const auto bytewise = Read({data, size}, 1, refused_bytewise);
  WEFT_CHECK(whole == bytewise && refused_whole == refused_bytewise);
  return 0;
}
