// Where a connection comes from, as far as limits and bans are concerned.
//
// IPv4 addresses count one by one, IPv6 addresses by their network of 64 bits, which
// one machine has to itself. Loopback, Unix sockets and pipes have no prefix: rules by
// address do not apply to them.

#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string_view>

namespace weft {

struct IpPrefix {
  bool is_v6 = false;
  std::array<std::uint8_t, 8> bytes{};  // of IPv4 the first four
  auto operator<=>(const IpPrefix&) const = default;
};

// Of Wire::peer(): "1.2.3.4:4000", "[fe80::1]:4000", or without the port; nullopt for
// the loopback of either kind and for whatever is not a numeric address.
std::optional<IpPrefix> IpPrefixOf(std::string_view peer);

}  // namespace weft
