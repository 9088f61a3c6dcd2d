#include "engine/key_layout.h"


namespace weft::keys {
namespace {

constexpr std::uint8_t kHead = 1;
constexpr std::uint8_t kSecretKey = 2;
constexpr std::uint8_t kTreePage = 3;
constexpr std::uint8_t kBitfieldPage = 4;

void PutU64(Bytes& key, std::uint64_t value) {
  for (int shift = 56; shift >= 0; shift -= 8) {
    key.push_back(static_cast<std::uint8_t>(value >> shift));
  }
}

std::uint64_t U64At(ByteView key, std::size_t at) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < 8; ++i) value = (value << 8) | key[at + i];
  return value;
}

Bytes OfCore(std::uint8_t kind, std::uint64_t core) {
  Bytes key;
  key.reserve(18);
  key.push_back(kind);
  PutU64(key, core);
  return key;
}

}  // namespace

Bytes Format() { return ToBytes("format"); }
Bytes PrimaryKey() { return ToBytes("primary-key"); }

Bytes Head(std::uint64_t core) { return OfCore(kHead, core); }

ScanRange AllHeads() { return {.from = {kHead}, .to = Bytes{kHead + 1}}; }

std::optional<std::uint64_t> CoreOfHead(ByteView key) {
  if (key.size() != 9 || key[0] != kHead) return std::nullopt;
  return U64At(key, 1);
}

Bytes SecretKeyOf(std::uint64_t core) { return OfCore(kSecretKey, core); }

Bytes TreePage(std::uint64_t core, std::uint8_t level, std::uint64_t page) {
  Bytes key = OfCore(kTreePage, core);
  key.push_back(level);
  PutU64(key, page);
  return key;
}

Bytes BitfieldPage(std::uint64_t core, std::uint64_t page) {
  Bytes key = OfCore(kBitfieldPage, core);
  PutU64(key, page);
  return key;
}

ScanRange BitfieldPages(std::uint64_t core, std::uint64_t first_page) {
  return {.from = BitfieldPage(core, first_page), .to = OfCore(kBitfieldPage, core + 1)};
}

std::optional<std::uint64_t> PageOfBitfield(ByteView key) {
  if (key.size() != 17 || key[0] != kBitfieldPage) return std::nullopt;
  return U64At(key, 9);
}

Bytes BlockRow(std::uint64_t core, std::uint64_t first_block) {
  Bytes key;
  key.reserve(16);
  PutU64(key, core);
  PutU64(key, first_block);
  return key;
}

std::optional<std::uint64_t> FirstOfBlockRow(ByteView key) {
  if (key.size() != 16) return std::nullopt;
  return U64At(key, 8);
}

}  // namespace weft::keys
