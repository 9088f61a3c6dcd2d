// What a store says of itself on the local network, so that others who share a base
// with it find it. Nobody else learns more than that somebody listens there: a base is
// named by a tag that only who knows its id can make or tell, new in every beacon.
//
// beacon := "weft" version:u8(=1) port:u16(little-endian) instance:16 nonce:16 count:u8
//           tag:8[count]
// tag    := first 8 bytes of BLAKE2b-256(key = tag key, port instance nonce)
// tag key := BLAKE2b-256(key = base id, "weft/lan")
//
// A beacon is a hint and proves nothing: who dials does its handshake and shows that it
// knows the base as on any other connection. Anything longer, shorter or newer is
// ignored.

#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/crypto.h"

namespace weft {

inline constexpr std::size_t kLanTagsMax = 32;
inline constexpr std::size_t kLanBeaconBytesMax = 4 + 1 + 2 + 16 + 16 + 1 + 8 * 32;

struct LanBeacon {
  using Tag = std::array<std::uint8_t, 8>;

  std::uint16_t port = 0;                   // TCP, where the sender listens
  std::array<std::uint8_t, 16> instance{};  // of this run; one's own is ignored
  std::array<std::uint8_t, 16> nonce{};     // fresh in every beacon
  std::vector<Tag> tags;                    // at most kLanTagsMax
  bool operator==(const LanBeacon&) const = default;
};

// `base_id` is secret to those who do not know the base, and so is the result.
Hash32 LanTagKey(ByteView base_id);
LanBeacon::Tag LanTagOf(const Hash32& tag_key, const LanBeacon& beacon);
// True if the beacon carries the tag of any of the keys.
bool SharesBase(const LanBeacon& beacon, std::span<const Hash32> tag_keys);

Bytes EncodeLanBeacon(const LanBeacon& beacon);
// nullopt: not a beacon of this version.
std::optional<LanBeacon> DecodeLanBeacon(ByteView bytes);

}  // namespace weft
