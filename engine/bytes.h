// Bytes: the vocabulary of everything below.
//
// A ByteView is borrowed, Bytes are owned; text is std::string_view and becomes
// bytes only through AsBytes. Comparison of bytes is unsigned and lexicographic.

#pragma once

#include <algorithm>
#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weft {

using ByteView = std::span<const std::uint8_t>;
using Bytes = std::vector<std::uint8_t>;

inline ByteView AsBytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

inline std::string_view AsText(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

inline Bytes ToBytes(ByteView view) {
  return {view.begin(), view.end()};
}
inline Bytes ToBytes(std::string_view text) {
  return ToBytes(AsBytes(text));
}

inline void Append(Bytes& out, ByteView view) {
  out.insert(out.end(), view.begin(), view.end());
}

inline bool Equal(ByteView a, ByteView b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size()) == 0);
}

// memcmp order, then length: the order of every key in the project.
inline std::strong_ordering Compare(ByteView a, ByteView b) {
  const std::size_t common = std::min(a.size(), b.size());
  const int order = common == 0 ? 0 : std::memcmp(a.data(), b.data(), common);
  if (order != 0) return order <=> 0;
  return a.size() <=> b.size();
}

// Lower-case hex.
std::string ToHex(ByteView bytes);
// nullopt if the text is not an even number of hex digits of either case.
std::optional<Bytes> FromHex(std::string_view text);

// z-base-32 without padding: 32 bytes are 52 characters. Bits are taken most
// significant first. Source: the wire specification, 3.2.
std::string ToZBase32(ByteView bytes);
// nullopt if a character is foreign, or a bit left over is not zero.
std::optional<Bytes> FromZBase32(std::string_view text);

// True if the bytes are well-formed UTF-8 (RFC 3629: no surrogates, shortest form).
bool IsUtf8(ByteView bytes);

// A fixed number of bytes that is its own type, so that a key is never passed
// where a hash is meant. `Tag` only tells the types apart.
template <std::size_t N, class Tag>
struct FixedBytes {
  static constexpr std::size_t kSize = N;
  std::array<std::uint8_t, N> bytes{};

  // The first N bytes of `view`, which must hold exactly N.
  static std::optional<FixedBytes> From(ByteView view) {
    if (view.size() != N) return std::nullopt;
    FixedBytes result;
    std::memcpy(result.bytes.data(), view.data(), N);
    return result;
  }

  ByteView view() const { return bytes; }
  std::uint8_t* data() { return bytes.data(); }
  const std::uint8_t* data() const { return bytes.data(); }

  auto operator<=>(const FixedBytes&) const = default;
  bool operator==(const FixedBytes&) const = default;

  template <class H>
  friend H AbslHashValue(H state, const FixedBytes& value) {
    return H::combine_contiguous(std::move(state), value.bytes.data(), N);
  }
};

}  // namespace weft
