#include "weft/link.h"

#include <algorithm>
#include <charconv>

#include "absl/strings/str_format.h"

namespace weft {
namespace {

constexpr std::string_view kScheme = "weft://";
constexpr std::size_t kKeyCharacters = 52;  // 32 bytes in z-base-32
constexpr std::size_t kLinkBytesMax = 4096;

// A link is a secret and may be anything: show its head only, and only printable.
std::string Shown(std::string_view text) {
  std::string shown(text.substr(0, 24));
  std::replace_if(
      shown.begin(), shown.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return text.size() > 24 ? shown + "..." : shown;
}

absl::Status Refuse(std::string_view link, std::string_view fact) {
  return absl::InvalidArgumentError(
      absl::StrFormat("link \"%s\": %s", Shown(link), fact));
}

absl::StatusOr<Bytes> ParseKey(std::string_view link, std::string_view what,
                               std::string_view text) {
  if (text.size() != kKeyCharacters) {
    return Refuse(link, absl::StrFormat("%s has %d characters, not %d", what,
                                        text.size(), kKeyCharacters));
  }
  std::optional<Bytes> bytes = FromZBase32(text);
  if (!bytes.has_value() || ToZBase32(*bytes) != text) {
    return Refuse(link, absl::StrFormat("%s is not z-base-32", what));
  }
  return *std::move(bytes);
}

absl::Status ParseParameter(std::string_view link, std::string_view parameter,
                            Link& result) {
  if (parameter.starts_with("a=")) {
    const std::string_view address = parameter.substr(2);
    if (!IsAddress(address)) {
      return Refuse(link,
                    absl::StrFormat("address \"%s\" is not host:port", Shown(address)));
    }
    result.addresses.emplace_back(address);
  } else if (parameter.starts_with("s=")) {
    if (result.salt.has_value()) return Refuse(link, "two salts");
    WEFT_ASSIGN_OR_RETURN(const Bytes salt,
                          ParseKey(link, "salt", parameter.substr(2)));
    result.salt = Salt::From(salt);
  } else if (parameter.starts_with("i=")) {
    if (result.invite_secret.has_value()) return Refuse(link, "two invite secrets");
    WEFT_ASSIGN_OR_RETURN(const Bytes secret,
                          ParseKey(link, "invite secret", parameter.substr(2)));
    result.invite_secret = Seed::From(secret);
  }
  return absl::OkStatus();
}

}  // namespace

bool IsAddress(std::string_view address) {
  const std::size_t colon = address.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  std::string_view host = address.substr(0, colon);
  const std::string_view port = address.substr(colon + 1);
  unsigned number = 0;
  const auto [stop, error] =
      std::from_chars(port.data(), port.data() + port.size(), number);
  if (error != std::errc() || stop != port.data() + port.size() || number == 0 ||
      number > 65'535 || port.front() == '0') {
    return false;
  }
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  return host.size() <= 255 && std::all_of(host.begin(), host.end(), [&](char c) {
           const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                              (c >= 'A' && c <= 'Z') || c == '.' || c == '-' ||
                              c == '_';
           return plain || (bracketed && (c == ':' || c == '%'));
         });
}

std::string ToText(const Link& link) {
  std::string text = std::string(kScheme) + ToZBase32(link.base_id.view());
  char separator = '?';
  for (const std::string& address : link.addresses) {
    text += separator + ("a=" + address);
    separator = '&';
  }
  if (link.salt.has_value()) {
    text += separator + ("s=" + ToZBase32(link.salt->view()));
    separator = '&';
  }
  if (link.invite_secret.has_value()) {
    text += separator + ("i=" + ToZBase32(link.invite_secret->view()));
  }
  return text;
}

absl::StatusOr<Link> ParseLink(std::string_view text) {
  if (!text.starts_with(kScheme)) return Refuse(text, "does not begin with weft://");
  if (text.size() > kLinkBytesMax) return Refuse(text, "is longer than 4096 bytes");
  std::string_view rest = text.substr(kScheme.size());
  const std::size_t question = rest.find('?');
  WEFT_ASSIGN_OR_RETURN(const Bytes base_id,
                        ParseKey(text, "base id", rest.substr(0, question)));
  Link link;
  link.base_id = *BaseId::From(base_id);
  if (question == std::string_view::npos) return link;
  rest = rest.substr(question + 1);
  for (;;) {
    const std::size_t ampersand = rest.find('&');
    WEFT_RETURN_IF_ERROR(ParseParameter(text, rest.substr(0, ampersand), link));
    if (ampersand == std::string_view::npos) return link;
    rest = rest.substr(ampersand + 1);
  }
}

}  // namespace weft
