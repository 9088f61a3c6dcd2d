#include "replication/peer_host.h"

#include <algorithm>
#include <charconv>
#include <span>
#include <vector>

namespace weft {
namespace {

using Groups = std::vector<std::uint16_t>;

bool ParseNumber(std::string_view text, int base, unsigned most, unsigned* value) {
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), *value, base);
  return error == std::errc() && end == text.data() + text.size() && *value <= most;
}

std::optional<std::array<std::uint8_t, 4>> ParseV4(std::string_view text) {
  std::array<std::uint8_t, 4> bytes{};
  for (std::size_t i = 0; i < 4; ++i) {
    const std::size_t dot = i < 3 ? text.find('.') : text.size();
    if (dot == std::string_view::npos) return std::nullopt;
    unsigned value = 0;
    if (!ParseNumber(text.substr(0, dot), 10, 255, &value)) return std::nullopt;
    bytes[i] = static_cast<std::uint8_t>(value);
    text.remove_prefix(std::min(dot + 1, text.size()));
  }
  return bytes;
}

// Groups of hex digits, the last of which may be an IPv4 address.
bool ParseGroups(std::string_view text, Groups* groups) {
  while (!text.empty()) {
    const std::size_t colon = std::min(text.find(':'), text.size());
    const std::string_view group = text.substr(0, colon);
    unsigned value = 0;
    if (const auto v4 = ParseV4(group); v4 && colon == text.size()) {
      groups->push_back(static_cast<std::uint16_t>((*v4)[0] << 8 | (*v4)[1]));
      groups->push_back(static_cast<std::uint16_t>((*v4)[2] << 8 | (*v4)[3]));
    } else if (group.size() <= 4 && ParseNumber(group, 16, 0xffff, &value)) {
      groups->push_back(static_cast<std::uint16_t>(value));
    } else {
      return false;
    }
    text.remove_prefix(std::min(colon + 1, text.size()));
  }
  return true;
}

std::optional<std::array<std::uint16_t, 8>> ParseV6(std::string_view text) {
  text = text.substr(0, text.find('%'));  // the zone says which cable, not who
  const std::size_t gap = text.find("::");
  Groups head, tail;
  if (gap == std::string_view::npos) {
    if (!ParseGroups(text, &head) || head.size() != 8) return std::nullopt;
  } else if (!ParseGroups(text.substr(0, gap), &head) ||
             !ParseGroups(text.substr(gap + 2), &tail) ||
             head.size() + tail.size() > 7) {
    return std::nullopt;
  }
  std::array<std::uint16_t, 8> groups{};
  std::copy(head.begin(), head.end(), groups.begin());
  std::copy_backward(tail.begin(), tail.end(), groups.end());
  return groups;
}

std::optional<IpPrefix> PrefixOfV4(std::span<const std::uint8_t, 4> address) {
  if (address[0] == 127) return std::nullopt;
  IpPrefix prefix;
  std::copy(address.begin(), address.end(), prefix.bytes.begin());
  return prefix;
}

std::optional<IpPrefix> PrefixOfV6(const std::array<std::uint16_t, 8>& groups) {
  const bool high_zero = std::all_of(groups.begin(), groups.begin() + 5,
                                     [](std::uint16_t group) { return group == 0; });
  if (high_zero && groups[5] == 0xffff) {  // IPv4 in disguise
    const std::array<std::uint8_t, 4> v4 = {static_cast<std::uint8_t>(groups[6] >> 8),
                                            static_cast<std::uint8_t>(groups[6]),
                                            static_cast<std::uint8_t>(groups[7] >> 8),
                                            static_cast<std::uint8_t>(groups[7])};
    return PrefixOfV4(v4);
  }
  if (high_zero && groups[5] == 0 && groups[6] == 0 && groups[7] == 1) {
    return std::nullopt;
  }
  IpPrefix prefix;
  prefix.is_v6 = true;
  for (std::size_t i = 0; i < 4; ++i) {
    prefix.bytes[2 * i] = static_cast<std::uint8_t>(groups[i] >> 8);
    prefix.bytes[2 * i + 1] = static_cast<std::uint8_t>(groups[i]);
  }
  return prefix;
}

}  // namespace

std::optional<IpPrefix> IpPrefixOf(std::string_view peer) {
  std::string_view host = peer;
  if (host.starts_with('[')) {
    host = host.substr(1, host.find(']') - 1);
  } else if (std::count(host.begin(), host.end(), ':') == 1) {
    host = host.substr(0, host.find(':'));
  }
  if (const auto v4 = ParseV4(host)) return PrefixOfV4(*v4);
  if (host.find(':') == std::string_view::npos) return std::nullopt;
  const auto v6 = ParseV6(host);
  return v6 ? PrefixOfV6(*v6) : std::nullopt;
}

}  // namespace weft
