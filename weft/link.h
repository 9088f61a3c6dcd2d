// Links: how a person hands a base to another.
//
// link := "weft://" base_id:z-base-32[52] ["?" parameter *("&" parameter)]
// parameter := "a=" address | "s=" salt:z-base-32[52] | "i=" secret:z-base-32[52] |
//              unknown
// address := host ":" port | "[" ipv6 "]" ":" port
// Unknown parameters are ignored, `a` may repeat, `i` makes the link an invite. With
// `s`, the salt of the genesis, a joiner makes his identity before he has met a peer;
// the genesis is held against it when it comes. The
// base_id is the secret that lets one read: a link is as secret as the data.

#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "crdt/identity.h"
#include "engine/status.h"

namespace weft {

struct Link {
  BaseId base_id;
  std::vector<std::string> addresses;  // host:port, in order
  std::optional<Salt> salt;
  std::optional<Seed> invite_secret;

  bool operator==(const Link&) const = default;
};

std::string ToText(const Link& link);

// INVALID_ARGUMENT  one line that names the link and the fact
absl::StatusOr<Link> ParseLink(std::string_view text);

// `host:port` with a port of 1 to 65535 and a host without spaces or link syntax.
bool IsAddress(std::string_view address);

}  // namespace weft
