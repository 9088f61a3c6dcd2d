// Reads the input as a link: what is accepted is the same once written down and read.

#include "weft/link.h"

#include "engine/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const weft::ByteView bytes(data, size);
  if (const auto link = weft::ParseLink(weft::AsText(bytes)); link.ok()) {
    WEFT_CHECK(*weft::ParseLink(weft::ToText(*link)) == *link);
  }
  return 0;
}
