// Stored records of a core, as a damaged disk may give them back: the head, a page of
// tree nodes, a page of the bitfield. The first byte chooses.

#include "engine/check.h"
#include "engine/core_record.h"
#include "engine/tree_pages.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const weft::ByteView bytes(data + 1, size - 1);
  switch (data[0] % 3) {
    case 0: {
      const auto summary = weft::DecodeSummary(1, bytes);
      const auto head = weft::DecodeHead(1, bytes);
      if (!head.ok()) return 0;
      WEFT_CHECK(summary.ok() && summary->key == head->summary.key);
      const auto again = weft::DecodeHead(
          1, weft::EncodeHead(head->summary, head->tip, head->manifest));
      WEFT_CHECK(again.ok() && again->summary.length == head->summary.length);
      return 0;
    }
    case 1: {
      const std::uint64_t level = data[0] / 3 % 9;
      const auto page = weft::TreePage::Decode(level, bytes);
      if (!page.ok()) return 0;
      WEFT_CHECK(weft::TreePage::Decode(level, page->Encode(level)).ok());
      return 0;
    }
    default: {
      const auto page = weft::DecodeBitfieldPage(bytes);
      if (!page.ok()) return 0;
      WEFT_CHECK(weft::DecodeBitfieldPage(weft::EncodeBitfieldPage(*page)).ok());
      return 0;
    }
  }
}
