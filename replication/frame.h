// Frames: a byte stream cut into messages.
//
// frame := length:u24 (little-endian) body:u8[length]
//
// The buffer holds what was received and no more, whatever length a frame claims.
// Source: the wire specification, 4.1.

#pragma once

#include <optional>

#include "engine/bytes.h"
#include "engine/status.h"

namespace weft {

inline constexpr std::size_t kFrameBytesMax = 0xffffff;
inline constexpr std::size_t kFramePrefixBytes = 3;

// Appends the three bytes that go before a body of `size`, at most kFrameBytesMax.
void AppendFramePrefix(std::size_t size, Bytes* out);

// Not thread-safe.
class FrameReader {
 public:
  // A frame that claims more than `body_bytes_max` is refused.
  explicit FrameReader(std::size_t body_bytes_max = kFrameBytesMax)
      : body_bytes_max_(body_bytes_max) {}

  void SetLimit(std::size_t body_bytes_max) { body_bytes_max_ = body_bytes_max; }
  void Feed(ByteView bytes);
  // The body of the next whole frame, or nullopt if more bytes are needed; valid until
  // the next call of Feed.
  // RESOURCE_EXHAUSTED  the frame claims more than the limit
  absl::StatusOr<std::optional<ByteView>> Next();
  // Bytes received of frames not yet returned.
  std::size_t buffered() const { return buffer_.size() - position_; }

 private:
  std::size_t body_bytes_max_;
  Bytes buffer_;
  std::size_t position_ = 0;
};

}  // namespace weft
