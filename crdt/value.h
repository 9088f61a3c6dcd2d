// Typed values (rule S9): what a put, a cell or a set element carries.
//
// canonical := type:u8 bytes
//   0 null (no bytes) | 1 bool (00 or 01) | 2 int64 (8 bytes, little-endian, two's
//   complement) | 3 float64 (8 bytes, IEEE 754 bits, little-endian, opaque) |
//   4 text (UTF-8) | 5 bytes | 6 reserved for a blob reference
// Values are never compared by the semantics except for equality of these bytes.

#pragma once

#include <cstdint>
#include <string_view>

#include "engine/crypto.h"
#include "engine/status.h"

namespace weft {

enum class ValueType : std::uint8_t {
  kNull = 0,
  kBool = 1,
  kInt64 = 2,
  kFloat64 = 3,
  kText = 4,
  kBytes = 5,
  kBlobReference = 6,  // reserved: a block that carries one parks
};

// Borrowed: `bytes` belong to somebody else.
struct ValueView {
  ValueType type = ValueType::kNull;
  ByteView bytes;

  bool operator==(const ValueView& other) const {
    return type == other.type && Equal(bytes, other.bytes);
  }
};

struct Value {
  ValueType type = ValueType::kNull;
  Bytes bytes;

  static Value Null() { return {}; }
  static Value Bool(bool value);
  static Value Int64(std::int64_t value);
  static Value Float64(double value);
  // `text` must be UTF-8: what is not becomes an invalid value that no encoder accepts.
  static Value Text(std::string_view text);
  static Value Blob(ByteView bytes);
  // What `put` stores: text where the input is UTF-8, else bytes.
  static Value FromInput(ByteView input);

  ValueView view() const { return {type, bytes}; }
  bool operator==(const Value&) const = default;
};

inline Value ToValue(ValueView view) {
  return {view.type, ToBytes(view.bytes)};
}

// The read-outs require the matching type and checked bytes.
bool BoolOf(ValueView value);
std::int64_t Int64Of(ValueView value);
double Float64Of(ValueView value);

// The size that the type fixes, or nullopt for text and bytes.
std::optional<std::size_t> FixedValueSize(ValueType type);

// Type known and built, bytes of the right size and content; sizes against limits are
// the caller's.
// INVALID_ARGUMENT  names the fact
absl::Status CheckValue(ValueView value);

// canonical, as above.
Bytes CanonicalValue(ValueView value);
void AppendCanonicalValue(Bytes& out, ValueView value);
// BLAKE2b-256 of canonical.
Hash32 ValueHash(ValueView value);

}  // namespace weft
