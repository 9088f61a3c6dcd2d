// Columns of a payload, read from their start and used up exactly (rule S5). For the
// parsers of payloads alone.

#pragma once

#include <cstdint>
#include <span>

#include "flatbuffers/flatbuffers.h"

namespace weft {

template <class T>
std::span<const T> Column(const flatbuffers::Vector<T>* vector) {
  if (vector == nullptr) return {};
  return {vector->data(), vector->size()};
}

// A column that is read from its start and must be used up. A read past the end yields
// zero and is seen in `exact`.
template <class T>
class Stream {
 public:
  explicit Stream(std::span<const T> column) : column_(column) {}

  T Next() {
    if (used_ == column_.size()) {
      short_ = true;
      return T{};
    }
    return column_[used_++];
  }
  std::span<const T> Take(std::uint64_t count) {
    if (count > column_.size() - used_) {
      short_ = true;
      return {};
    }
    const auto taken = column_.subspan(used_, static_cast<std::size_t>(count));
    used_ += static_cast<std::size_t>(count);
    return taken;
  }
  std::span<const T> rest() const { return column_.subspan(used_); }
  std::size_t left() const { return column_.size() - used_; }
  bool ok() const { return !short_; }
  bool exact() const { return !short_ && used_ == column_.size(); }

 private:
  std::span<const T> column_;
  std::size_t used_ = 0;
  bool short_ = false;
};

}  // namespace weft
