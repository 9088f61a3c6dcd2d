#include "crdt/value.h"

#include <bit>

#include "absl/strings/str_format.h"
#include "engine/check.h"
#include "engine/codec.h"

namespace weft {
namespace {

Value Fixed64(ValueType type, std::uint64_t bits) {
  Value value{type, {}};
  Writer(&value.bytes).U64(bits);
  return value;
}

std::uint64_t Bits64(ValueView value) {
  WEFT_CHECK(value.bytes.size() == 8);
  return Reader(value.bytes).U64();
}

}  // namespace

Value Value::Bool(bool value) {
  return {ValueType::kBool, {static_cast<std::uint8_t>(value ? 1 : 0)}};
}

Value Value::Int64(std::int64_t value) {
  return Fixed64(ValueType::kInt64, static_cast<std::uint64_t>(value));
}

Value Value::Float64(double value) {
  return Fixed64(ValueType::kFloat64, std::bit_cast<std::uint64_t>(value));
}

Value Value::Text(std::string_view text) {
  return {ValueType::kText, ToBytes(text)};
}

Value Value::Blob(ByteView bytes) {
  return {ValueType::kBytes, ToBytes(bytes)};
}

Value Value::FromInput(ByteView input) {
  return {IsUtf8(input) ? ValueType::kText : ValueType::kBytes, ToBytes(input)};
}

bool BoolOf(ValueView value) {
  WEFT_CHECK(value.type == ValueType::kBool && value.bytes.size() == 1);
  return value.bytes[0] != 0;
}

std::int64_t Int64Of(ValueView value) {
  WEFT_CHECK(value.type == ValueType::kInt64);
  return static_cast<std::int64_t>(Bits64(value));
}

double Float64Of(ValueView value) {
  WEFT_CHECK(value.type == ValueType::kFloat64);
  return std::bit_cast<double>(Bits64(value));
}

std::optional<std::size_t> FixedValueSize(ValueType type) {
  switch (type) {
    case ValueType::kNull:
      return 0;
    case ValueType::kBool:
      return 1;
    case ValueType::kInt64:
    case ValueType::kFloat64:
      return 8;
    case ValueType::kText:
    case ValueType::kBytes:
    case ValueType::kBlobReference:
      break;
  }
  return std::nullopt;
}

absl::Status CheckValue(ValueView value) {
  if (value.type >= ValueType::kBlobReference) {
    return absl::InvalidArgumentError(
        absl::StrFormat("value: type %d is not built", static_cast<int>(value.type)));
  }
  const std::optional<std::size_t> size = FixedValueSize(value.type);
  if (size.has_value() && value.bytes.size() != *size) {
    return absl::InvalidArgumentError(
        absl::StrFormat("value: type %d has %d bytes, not %d",
                        static_cast<int>(value.type), value.bytes.size(), *size));
  }
  if (value.type == ValueType::kBool && value.bytes[0] > 1) {
    return absl::InvalidArgumentError(
        absl::StrFormat("value: a bool of byte %d", value.bytes[0]));
  }
  if (value.type == ValueType::kText && !IsUtf8(value.bytes)) {
    return absl::InvalidArgumentError("value: text that is not UTF-8");
  }
  return absl::OkStatus();
}

void AppendCanonicalValue(Bytes& out, ValueView value) {
  out.push_back(static_cast<std::uint8_t>(value.type));
  Append(out, value.bytes);
}

Bytes CanonicalValue(ValueView value) {
  Bytes out;
  out.reserve(1 + value.bytes.size());
  AppendCanonicalValue(out, value);
  return out;
}

Hash32 ValueHash(ValueView value) {
  const std::uint8_t type = static_cast<std::uint8_t>(value.type);
  return Blake2b256({ByteView(&type, 1), value.bytes});
}

}  // namespace weft
