// The messages between a command and the process that holds its store: what the
// command is, and then its streams, piece by piece.
//
// frame   := size:u32 type:u8 body               size counts type and body
// asked   := 01 version:u8=1 flags:u8 store:buffer [argument:buffer]
//            flags: 1 stderr is a terminal, 2 the arguments name the store
// opened  := 02 error:buffer                     empty: the file is open
// bytes   := 03 byte*                            what was read; none: the end of it
// broken  := 04 error:buffer                     it could not be read
// out     := 11 byte*      err := 12 byte*       for stdout and for stderr
// open    := 13 path:buffer                      source n is the n-th that was opened
// read    := 14 source:varint size:varint        source 0 is stdin; one at a time
// close   := 15 source:varint
// exit    := 16 code:u8                          the last frame
// again   := 17                                  nothing was begun: it is closing
// run     := 18 command:buffer                   like open, and is written to too
// write   := 19 source:varint byte*              at most 64 KiB; 0 is stdout, of
//                                                a stream that it makes with stdin
//
// 01 to 04 go to the holder, the others come from it; `exit` and `again` are the last.
// Types in hexadecimal. Source: docs/formats.md, "A store in use".

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/bytes.h"

namespace weft::cli {

inline constexpr std::uint8_t kControlVersion = 1;
// Of bytes, out and err.
inline constexpr std::size_t kPieceBytesMax = 64 * 1024;
// Of an asked: no system takes longer arguments.
inline constexpr std::size_t kAskedBytesMax = 4 * 1024 * 1024;

enum class FrameType : std::uint8_t {
  kAsked = 0x01,
  kOpened = 0x02,
  kBytes = 0x03,
  kBroken = 0x04,
  kOut = 0x11,
  kErr = 0x12,
  kOpen = 0x13,
  kRead = 0x14,
  kClose = 0x15,
  kExit = 0x16,
  kAgain = 0x17,
  kRun = 0x18,
  kWrite = 0x19,
};

struct Frame {
  FrameType type = FrameType::kAsked;
  Bytes body;
};

struct Asked {
  bool err_is_terminal = false;
  bool arguments_name_store = false;
  std::string store;                   // as the person named it, for messages
  std::vector<std::string> arguments;  // without the program's name
};
Bytes EncodeAsked(const Asked& asked);
// INVALID_ARGUMENT  malformed;  FAILED_PRECONDITION  of another version
absl::StatusOr<Asked> DecodeAsked(ByteView body);

struct ReadWanted {
  std::uint64_t source = 0;
  std::size_t size = 0;  // 1 to kPieceBytesMax
};
Bytes EncodeReadWanted(const ReadWanted& wanted);
absl::StatusOr<ReadWanted> DecodeReadWanted(ByteView body);
Bytes EncodeText(std::string_view text);  // one buffer and nothing else
absl::StatusOr<std::string> DecodeText(ByteView body);
Bytes EncodeSource(std::uint64_t source);
absl::StatusOr<std::uint64_t> DecodeSource(ByteView body);

// Sends a frame on a connected socket; waits for as long as the other end does.
// UNAVAILABLE  the other end is gone
absl::Status SendFrame(int socket, FrameType type, ByteView body);
// The next frame. `body_bytes_max` bounds what is allocated for it.
// UNAVAILABLE       the other end is gone, or said nothing within the socket's timeout
// INVALID_ARGUMENT  it is too long or empty
absl::StatusOr<Frame> ReceiveFrame(int socket, std::size_t body_bytes_max);

}  // namespace weft::cli
