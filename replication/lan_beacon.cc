#include "replication/lan_beacon.h"

#include <algorithm>

#include "engine/check.h"
#include "engine/codec.h"

namespace weft {
namespace {

constexpr std::string_view kMagic = "weft";
constexpr std::uint8_t kVersion = 1;
constexpr std::string_view kContext = "weft/lan";

std::array<std::uint8_t, 2> PortBytes(std::uint16_t port) {
  return {static_cast<std::uint8_t>(port), static_cast<std::uint8_t>(port >> 8)};
}

}  // namespace

Hash32 LanTagKey(ByteView base_id) {
  return KeyedBlake2b256(base_id, {AsBytes(kContext)});
}

LanBeacon::Tag LanTagOf(const Hash32& tag_key, const LanBeacon& beacon) {
  const Hash32 hash = KeyedBlake2b256(
      tag_key.view(), {PortBytes(beacon.port), beacon.instance, beacon.nonce});
  LanBeacon::Tag tag;
  std::copy_n(hash.bytes.begin(), tag.size(), tag.begin());
  return tag;
}

bool SharesBase(const LanBeacon& beacon, std::span<const Hash32> tag_keys) {
  return std::ranges::any_of(tag_keys, [&beacon](const Hash32& key) {
    return std::ranges::find(beacon.tags, LanTagOf(key, beacon)) != beacon.tags.end();
  });
}

Bytes EncodeLanBeacon(const LanBeacon& beacon) {
  WEFT_CHECK(beacon.tags.size() <= kLanTagsMax);
  Bytes bytes = ToBytes(kMagic);
  bytes.push_back(kVersion);
  Append(bytes, PortBytes(beacon.port));
  Append(bytes, beacon.instance);
  Append(bytes, beacon.nonce);
  bytes.push_back(static_cast<std::uint8_t>(beacon.tags.size()));
  for (const LanBeacon::Tag& tag : beacon.tags) Append(bytes, tag);
  return bytes;
}

std::optional<LanBeacon> DecodeLanBeacon(ByteView bytes) {
  Reader reader(bytes);
  if (!Equal(reader.Raw(kMagic.size()), AsBytes(kMagic))) return std::nullopt;
  if (reader.U8() != kVersion) return std::nullopt;
  LanBeacon beacon;
  const unsigned low = reader.U8();
  beacon.port = static_cast<std::uint16_t>(low | unsigned{reader.U8()} << 8);
  for (std::uint8_t& byte : beacon.instance) byte = reader.U8();
  for (std::uint8_t& byte : beacon.nonce) byte = reader.U8();
  const std::size_t count = reader.U8();
  if (!reader.ok() || beacon.port == 0 || count > kLanTagsMax ||
      reader.remaining() != count * sizeof(LanBeacon::Tag)) {
    return std::nullopt;
  }
  for (std::size_t i = 0; i < count; ++i) {
    LanBeacon::Tag tag;
    for (std::uint8_t& byte : tag) byte = reader.U8();
    beacon.tags.push_back(tag);
  }
  return beacon;
}

}  // namespace weft
