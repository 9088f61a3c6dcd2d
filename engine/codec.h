// compact-encoding: the primitives of every byte sequence in the project.
//
// uint    := n:u8 (n <= 0xfc) | fd u16 | fe u32 | ff u64, little-endian
// buffer  := length:uint byte*
// The Writer always writes the shortest form. The Reader accepts longer forms, as
// every Node peer does, refuses values above 2^53-1, and never runs past its end:
// after a failed read it is not ok(), every further read yields zeros or empty
// views, and the caller asks once at the end. Own canonical formats use
// CanonicalUint, which refuses longer forms, because what is hashed or signed must
// have one form only. Source: the wire specification, part 1.

#pragma once

#include <cstdint>

#include "engine/bytes.h"

namespace weft {

inline constexpr std::uint64_t kUintMax = (std::uint64_t{1} << 53) - 1;

class Writer {
 public:
  // Appends to `out`, which is not owned and must outlive the writer.
  explicit Writer(Bytes* out) : out_(out) {}

  void U8(std::uint8_t value) { out_->push_back(value); }
  void U16(std::uint16_t value) { Fixed(value, 2); }
  void U32(std::uint32_t value) { Fixed(value, 4); }
  void U64(std::uint64_t value) { Fixed(value, 8); }
  void Uint(std::uint64_t value) {
    if (value <= 0xfc) {
      U8(static_cast<std::uint8_t>(value));
    } else {
      LongUint(value);
    }
  }
  void Raw(ByteView view) { Append(*out_, view); }
  void Buffer(ByteView view) {
    Uint(view.size());
    Raw(view);
  }

  // Bytes that Uint(value) takes: 1, 3, 5 or 9.
  static std::size_t UintSize(std::uint64_t value);

 private:
  void Fixed(std::uint64_t value, int width);
  void LongUint(std::uint64_t value);

  Bytes* out_;  // not owned
};

class Reader {
 public:
  // Reads from `data`, which must outlive the reader and every view it returns.
  explicit Reader(ByteView data) : data_(data) {}

  std::uint8_t U8() { return static_cast<std::uint8_t>(Fixed(1)); }
  std::uint16_t U16() { return static_cast<std::uint16_t>(Fixed(2)); }
  std::uint32_t U32() { return static_cast<std::uint32_t>(Fixed(4)); }
  std::uint64_t U64() { return Fixed(8); }
  std::uint64_t Uint() {
    if (position_ < data_.size() && data_[position_] <= 0xfc) return data_[position_++];
    return LongUint();
  }
  // As Uint, but fails on a form longer than needed.
  std::uint64_t CanonicalUint();
  ByteView Raw(std::size_t size) {
    if (size > remaining()) {
      Fail();
      return {};
    }
    const ByteView view = data_.subspan(position_, size);
    position_ += size;
    return view;
  }
  ByteView Buffer() { return Raw(Count(1)); }
  ByteView Rest() { return Raw(remaining()); }

  // A count of items of at least `item_bytes_min` bytes each: fails, before
  // anything is allocated, if that many cannot be in what remains.
  std::size_t Count(std::size_t item_bytes_min);

  template <class T>
  T Fixed() {
    T value;
    const ByteView view = Raw(T::kSize);
    if (view.size() == T::kSize) std::memcpy(value.data(), view.data(), T::kSize);
    return value;
  }

  void Fail() {
    ok_ = false;
    position_ = data_.size();
  }
  bool ok() const { return ok_; }
  bool done() const { return position_ == data_.size(); }
  std::size_t position() const { return position_; }
  std::size_t remaining() const { return data_.size() - position_; }

 private:
  std::uint64_t Fixed(std::size_t width);
  std::uint64_t LongUint();

  ByteView data_;
  std::size_t position_ = 0;
  bool ok_ = true;
};

}  // namespace weft
