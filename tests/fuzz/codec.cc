// Reads the input as a program of reads: the reader must stay inside its bytes, stay
// failed once it failed, and agree with the writer on what it accepted.

#include "engine/codec.h"

#include "engine/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using weft::Bytes;
  using weft::ByteView;
  using weft::Reader;
  Reader reader(ByteView(data, size));
  while (reader.ok() && !reader.done()) {
    const std::size_t before = reader.remaining();
    switch (reader.U8() % 7) {
      case 0:
        reader.Uint();
        break;
      case 1:
        reader.CanonicalUint();
        break;
      case 2:
        reader.Buffer();
        break;
      case 3:
        reader.U64();
        break;
      case 4:
        reader.Count(3);
        break;
      case 5:
        reader.Raw(reader.U16());
        break;
      default:
        reader.U32();
        break;
    }
    WEFT_CHECK(reader.remaining() < before);
  }
  Reader again(ByteView(data, size));
  const std::uint64_t value = again.CanonicalUint();
  if (again.ok()) {
    Bytes bytes;
    weft::Writer(&bytes).Uint(value);
    WEFT_CHECK(bytes.size() == size - again.remaining());
    WEFT_CHECK(std::equal(bytes.begin(), bytes.end(), data));
  }
  return 0;
}
