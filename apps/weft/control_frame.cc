#include "apps/weft/control_frame.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_format.h"
#include "engine/codec.h"
#include "engine/status.h"

namespace weft::cli {
namespace {

constexpr std::uint8_t kErrIsTerminal = 1;
constexpr std::uint8_t kArgumentsNameStore = 2;

absl::Status Malformed(const char* what) {
  return absl::InvalidArgumentError(absl::StrFormat("%s: malformed", what));
}

absl::Status Gone() {
  return absl::UnavailableError("the other end of the socket is gone");
}

absl::Status ReceiveAll(int socket, std::uint8_t* data, std::size_t size) {
  while (size > 0) {
    const ssize_t count = recv(socket, data, size, 0);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return Gone();
    data += count;
    size -= static_cast<std::size_t>(count);
  }
  return absl::OkStatus();
}

}  // namespace

Bytes EncodeAsked(const Asked& asked) {
  Bytes body;
  Writer writer(&body);
  writer.U8(kControlVersion);
  writer.U8(static_cast<std::uint8_t>(
      (asked.err_is_terminal ? kErrIsTerminal : 0) |
      (asked.arguments_name_store ? kArgumentsNameStore : 0)));
  writer.Buffer(AsBytes(asked.store));
  writer.Uint(asked.arguments.size());
  for (const std::string& argument : asked.arguments) writer.Buffer(AsBytes(argument));
  return body;
}

absl::StatusOr<Asked> DecodeAsked(ByteView body) {
  Reader reader(body);
  const std::uint8_t version = reader.U8();
  if (reader.ok() && version != kControlVersion) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "the process that holds the store speaks version %d of its protocol, the "
        "command version %d",
        kControlVersion, version));
  }
  Asked asked;
  const std::uint8_t flags = reader.U8();
  asked.err_is_terminal = (flags & kErrIsTerminal) != 0;
  asked.arguments_name_store = (flags & kArgumentsNameStore) != 0;
  asked.store = std::string(AsText(reader.Buffer()));
  const std::size_t count = reader.Count(1);
  for (std::size_t i = 0; i < count; ++i) {
    asked.arguments.emplace_back(AsText(reader.Buffer()));
  }
  if (!reader.ok() || !reader.done()) return Malformed("asked");
  return asked;
}

Bytes EncodeReadWanted(const ReadWanted& wanted) {
  Bytes body;
  Writer writer(&body);
  writer.Uint(wanted.source);
  writer.Uint(wanted.size);
  return body;
}

absl::StatusOr<ReadWanted> DecodeReadWanted(ByteView body) {
  Reader reader(body);
  ReadWanted wanted;
  wanted.source = reader.Uint();
  wanted.size = reader.Uint();
  if (!reader.ok() || !reader.done() || wanted.size == 0 ||
      wanted.size > kPieceBytesMax) {
    return Malformed("read");
  }
  return wanted;
}

Bytes EncodeText(std::string_view text) {
  Bytes body;
  Writer(&body).Buffer(AsBytes(text));
  return body;
}

absl::StatusOr<std::string> DecodeText(ByteView body) {
  Reader reader(body);
  std::string text(AsText(reader.Buffer()));
  if (!reader.ok() || !reader.done()) return Malformed("text");
  return text;
}

Bytes EncodeSource(std::uint64_t source) {
  Bytes body;
  Writer(&body).Uint(source);
  return body;
}

absl::StatusOr<std::uint64_t> DecodeSource(ByteView body) {
  Reader reader(body);
  const std::uint64_t source = reader.Uint();
  if (!reader.ok() || !reader.done()) return Malformed("source");
  return source;
}

absl::Status SendFrame(int socket, FrameType type, ByteView body) {
  Bytes head;
  Writer writer(&head);
  writer.U32(static_cast<std::uint32_t>(body.size() + 1));
  writer.U8(static_cast<std::uint8_t>(type));
  std::array<iovec, 2> parts{
      iovec{head.data(), head.size()},
      iovec{const_cast<std::uint8_t*>(body.data()), body.size()}};
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  while (message.msg_iovlen > 0) {
    const ssize_t sent = sendmsg(socket, &message, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return Gone();
    auto left = static_cast<std::size_t>(sent);
    while (message.msg_iovlen > 0 && left >= message.msg_iov->iov_len) {
      left -= message.msg_iov->iov_len;
      ++message.msg_iov;
      --message.msg_iovlen;
    }
    if (message.msg_iovlen > 0) {
      message.msg_iov->iov_base = static_cast<char*>(message.msg_iov->iov_base) + left;
      message.msg_iov->iov_len -= left;
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Frame> ReceiveFrame(int socket, std::size_t body_bytes_max) {
  std::array<std::uint8_t, 5> head;
  WEFT_RETURN_IF_ERROR(ReceiveAll(socket, head.data(), head.size()));
  Reader reader(head);
  const std::uint32_t size = reader.U32();
  if (size == 0 || size - 1 > body_bytes_max) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "a frame of %d bytes, of which at most %d are taken", size, body_bytes_max));
  }
  Frame frame;
  frame.type = static_cast<FrameType>(reader.U8());
  frame.body.resize(size - 1);
  WEFT_RETURN_IF_ERROR(ReceiveAll(socket, frame.body.data(), frame.body.size()));
  return frame;
}

}  // namespace weft::cli
