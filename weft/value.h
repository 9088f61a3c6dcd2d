// A Datum is one typed value as an application sees it: null, bool, integer, real,
// text or bytes. Text is UTF-8, checked when it is made; everything else that is a
// string of bytes is Bytes. Source: semantics, rule S9.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

namespace weft {

class Datum {
 public:
  enum class Type : std::uint8_t { kNull, kBool, kInteger, kReal, kText, kBytes };

  Datum() = default;  // null
  static Datum Null() { return {}; }
  static Datum Bool(bool value) { return {Type::kBool, value}; }
  static Datum Integer(std::int64_t value) { return {Type::kInteger, value}; }
  static Datum Real(double value) { return {Type::kReal, value}; }
  static Datum Bytes(std::string_view value) {
    return {Type::kBytes, std::string(value)};
  }
  // Text where the input is UTF-8, else bytes: what Put of a plain string stores.
  static Datum Of(std::string_view value);

  Type type() const { return type_; }
  bool is_null() const { return type_ == Type::kNull; }
  // Each of these is for its own type and gives false, 0 or "" for another.
  bool as_bool() const;
  std::int64_t as_integer() const;
  double as_real() const;
  const std::string& as_string() const;  // text and bytes

  // For a person: numbers and booleans in words, text and bytes as they are.
  std::string ToText() const;

  bool operator==(const Datum&) const = default;

 private:
  template <class T>
  Datum(Type type, T value) : type_(type), value_(std::move(value)) {}

  Type type_ = Type::kNull;
  std::variant<std::monostate, bool, std::int64_t, double, std::string> value_;
};

}  // namespace weft
