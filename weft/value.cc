#include "weft/value.h"

#include <array>
#include <charconv>

#include "absl/strings/str_format.h"
#include "engine/bytes.h"

namespace weft {
namespace {

const std::string& EmptyText() {
  static const std::string empty;
  return empty;
}

// As few digits as give the same number back.
std::string ShortestText(double value) {
  std::array<char, 32> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value);
  return {digits.data(), end.ptr};
}

}  // namespace

Datum Datum::Of(std::string_view value) {
  if (!IsUtf8(AsBytes(value))) return Bytes(value);
  return {Type::kText, std::string(value)};
}

bool Datum::as_bool() const {
  const bool* value = std::get_if<bool>(&value_);
  return value != nullptr && *value;
}

std::int64_t Datum::as_integer() const {
  const std::int64_t* value = std::get_if<std::int64_t>(&value_);
  return value == nullptr ? 0 : *value;
}

double Datum::as_real() const {
  const double* value = std::get_if<double>(&value_);
  return value == nullptr ? 0 : *value;
}

const std::string& Datum::as_string() const {
  const std::string* value = std::get_if<std::string>(&value_);
  return value == nullptr ? EmptyText() : *value;
}

std::string Datum::ToText() const {
  switch (type_) {
    case Type::kNull:
      return "null";
    case Type::kBool:
      return as_bool() ? "true" : "false";
    case Type::kInteger:
      return absl::StrFormat("%d", as_integer());
    case Type::kReal:
      return ShortestText(as_real());
    case Type::kText:
    case Type::kBytes:
      return as_string();
  }
  return {};
}

}  // namespace weft
