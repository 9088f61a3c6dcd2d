// A manifest that decodes is written back as bytes that decode to it again, and has a
// key.

#include "engine/manifest.h"

#include "engine/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto manifest = weft::DecodeManifest({data, size});
  if (!manifest.ok()) return 0;
  const auto again = weft::DecodeManifest(weft::EncodeManifest(*manifest));
  WEFT_CHECK(again.ok() && *again == *manifest);
  WEFT_CHECK(weft::KeyOf(*again) == weft::KeyOf(*manifest));
  return 0;
}
