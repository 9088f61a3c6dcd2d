#include "crdt/dot.h"

#include <charconv>

#include "absl/strings/str_format.h"
#include "engine/codec.h"

namespace weft {
namespace {

// Decimal digits without sign or leading zero, at most `max`.
std::optional<std::uint64_t> ParseNumber(std::string_view text, std::uint64_t max) {
  if (text.empty() || (text.size() > 1 && text.front() == '0')) return std::nullopt;
  std::uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end || value > max) return std::nullopt;
  return value;
}

}  // namespace

std::string ToText(const OpId& id) {
  return absl::StrFormat("%s:%d.%d", ToZBase32(id.writer.view()), id.position,
                         id.op_index);
}

std::optional<OpId> ParseOpId(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const std::size_t dot = text.find('.', colon);
  if (dot == std::string_view::npos) return std::nullopt;
  const std::optional<Bytes> bytes = FromZBase32(text.substr(0, colon));
  if (!bytes.has_value()) return std::nullopt;
  const std::optional<CoreKey> writer = CoreKey::From(*bytes);
  const auto position = ParseNumber(text.substr(colon + 1, dot - colon - 1), kUintMax);
  const auto op_index = ParseNumber(text.substr(dot + 1), UINT32_MAX);
  if (!writer.has_value() || !position.has_value() || !op_index.has_value()) {
    return std::nullopt;
  }
  const OpId id{*writer, *position, static_cast<std::uint32_t>(*op_index)};
  // z-base-32 of 32 bytes has one form only if the case is fixed.
  if (ToText(id) != text) return std::nullopt;
  return id;
}

}  // namespace weft
