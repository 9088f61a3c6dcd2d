// A datagram from anybody on the local network: what is taken for a beacon is written
// back byte for byte.

#include "replication/lan_beacon.h"

#include "engine/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const weft::ByteView bytes(data, size);
  const auto beacon = weft::DecodeLanBeacon(bytes);
  if (!beacon) return 0;
  WEFT_CHECK(weft::Equal(weft::EncodeLanBeacon(*beacon), bytes));
  const weft::Hash32 key;
  weft::SharesBase(*beacon, {&key, 1});
  return 0;
}
