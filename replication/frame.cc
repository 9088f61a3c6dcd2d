#include "replication/frame.h"

#include "absl/strings/str_format.h"
#include "engine/check.h"

namespace weft {
namespace {

constexpr std::size_t kKeptBytes = 512 * 1024;

}  // namespace

void AppendFramePrefix(std::size_t size, Bytes* out) {
  WEFT_CHECK(size <= kFrameBytesMax);
  out->push_back(static_cast<std::uint8_t>(size));
  out->push_back(static_cast<std::uint8_t>(size >> 8));
  out->push_back(static_cast<std::uint8_t>(size >> 16));
}

void FrameReader::Feed(ByteView bytes) {
  if (position_ == buffer_.size()) {
    buffer_.clear();
    position_ = 0;
    // One large frame must not cost its memory for ever.
    if (buffer_.capacity() > kKeptBytes) buffer_ = Bytes();
  } else if (position_ > buffer_.size() / 2) {
    // Moves less than it has handed out, so each byte moves once on average.
    buffer_.erase(buffer_.begin(),
                  buffer_.begin() + static_cast<std::ptrdiff_t>(position_));
    position_ = 0;
  }
  Append(buffer_, bytes);
}

absl::StatusOr<std::optional<ByteView>> FrameReader::Next() {
  if (buffered() < kFramePrefixBytes) return std::nullopt;
  const std::uint8_t* at = buffer_.data() + position_;
  const std::size_t size = static_cast<std::size_t>(at[0]) |
                           static_cast<std::size_t>(at[1]) << 8 |
                           static_cast<std::size_t>(at[2]) << 16;
  if (size > body_bytes_max_) {
    return absl::ResourceExhaustedError(absl::StrFormat(
        "frame claims %d bytes, %d are allowed", size, body_bytes_max_));
  }
  if (buffered() - kFramePrefixBytes < size) return std::nullopt;
  position_ += kFramePrefixBytes + size;
  return ByteView(at + kFramePrefixBytes, size);
}

}  // namespace weft
