#include "apps/weft/remote_console.h"

#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "engine/status.h"

namespace weft::cli {

// Frames of what was written, when there is a piece of it or somebody flushes.
class RemoteConsole::OutBuffer final : public std::streambuf {
 public:
  OutBuffer(RemoteConsole* console, FrameType type) : console_(console), type_(type) {
    setp(piece_.data(), piece_.data() + piece_.size());
  }

 private:
  int_type overflow(int_type character) override {
    if (sync() != 0) return traits_type::eof();
    if (!traits_type::eq_int_type(character, traits_type::eof())) {
      *pptr() = traits_type::to_char_type(character);
      pbump(1);
    }
    return traits_type::not_eof(character);
  }
  int sync() override {
    const std::string_view text(pbase(), static_cast<std::size_t>(pptr() - pbase()));
    setp(piece_.data(), piece_.data() + piece_.size());
    return text.empty() || console_->Send(type_, AsBytes(text)) ? 0 : -1;
  }

  RemoteConsole* console_;
  FrameType type_;
  std::vector<char> piece_ = std::vector<char>(kPieceBytesMax);
};

// Stdin, asked for as it is read: what the command does not read stays with the person.
class RemoteConsole::InBuffer final : public std::streambuf {
 public:
  explicit InBuffer(RemoteConsole* console) : console_(console) {}
  const absl::Status& status() const { return status_; }

 private:
  int_type underflow() override {
    if (!status_.ok()) return traits_type::eof();
    const auto count = console_->Read(0, piece_.data(), piece_.size());
    if (!count.ok()) status_ = count.status();
    if (!count.ok() || *count == 0) return traits_type::eof();
    setg(piece_.data(), piece_.data(), piece_.data() + *count);
    return traits_type::to_int_type(piece_.front());
  }

  RemoteConsole* console_;
  std::vector<char> piece_ = std::vector<char>(kPieceBytesMax);
  absl::Status status_;
};

class RemoteInput final : public Input {
 public:
  RemoteInput(RemoteConsole* console, std::uint64_t source)
      : console_(console), source_(source) {}
  ~RemoteInput() override {
    if (source_ != 0) console_->Send(FrameType::kClose, EncodeSource(source_));
  }
  absl::StatusOr<std::size_t> Read(char* data, std::size_t size) override {
    return console_->Read(source_, data, size);
  }

 private:
  RemoteConsole* console_;
  std::uint64_t source_;
};

class RemoteStream final : public Stream {
 public:
  RemoteStream(RemoteConsole* console, std::uint64_t source)
      : console_(console), source_(source) {}
  ~RemoteStream() override {
    if (source_ != 0) console_->Send(FrameType::kClose, EncodeSource(source_));
  }
  absl::StatusOr<std::size_t> Read(char* data, std::size_t size) override {
    return console_->Read(source_, data, size);
  }
  absl::Status Write(ByteView bytes) override {
    while (!bytes.empty()) {
      const ByteView piece = bytes.first(std::min(bytes.size(), kPieceBytesMax / 2));
      Bytes body = EncodeSource(source_);
      Append(body, piece);
      if (!console_->Send(FrameType::kWrite, body)) {
        return absl::UnavailableError("the command's process is gone");
      }
      bytes = bytes.subspan(piece.size());
    }
    return absl::OkStatus();
  }
  // Nothing is read from the guest any more, who may still be written to.
  void Cancel() override { shutdown(console_->socket_, SHUT_RD); }

 private:
  RemoteConsole* console_;
  std::uint64_t source_;
};

RemoteConsole::RemoteConsole(int socket, Store store, bool err_is_terminal)
    : socket_(socket),
      store_(std::move(store)),
      err_is_terminal_(err_is_terminal),
      out_buffer_(std::make_unique<OutBuffer>(this, FrameType::kOut)),
      err_buffer_(std::make_unique<OutBuffer>(this, FrameType::kErr)),
      in_buffer_(std::make_unique<InBuffer>(this)),
      out_(std::make_unique<std::ostream>(out_buffer_.get())),
      err_(std::make_unique<std::ostream>(err_buffer_.get())),
      in_(std::make_unique<std::istream>(in_buffer_.get())) {
  *err_ << std::unitbuf;
}

RemoteConsole::~RemoteConsole() = default;

std::istream& RemoteConsole::in() {
  return *in_;
}
std::ostream& RemoteConsole::out() {
  return *out_;
}
std::ostream& RemoteConsole::err() {
  return *err_;
}

absl::Status RemoteConsole::in_status() {
  return in_buffer_->status();
}

absl::StatusOr<std::uint64_t> RemoteConsole::NewSource(FrameType type,
                                                       const std::string& text) {
  const std::lock_guard<std::mutex> lock(asking_);
  if (!Send(type, EncodeText(text))) {
    return absl::UnavailableError("the command's process is gone");
  }
  WEFT_ASSIGN_OR_RETURN(const Frame frame, ReceiveFrame(socket_, kPieceBytesMax));
  if (frame.type != FrameType::kOpened) {
    return absl::UnavailableError("the command's process broke the protocol");
  }
  WEFT_ASSIGN_OR_RETURN(const std::string error, DecodeText(frame.body));
  if (!error.empty()) return absl::UnavailableError(error);
  return ++sources_;
}

absl::StatusOr<std::unique_ptr<Input>> RemoteConsole::Open(const std::string& path) {
  if (path == "-") return std::make_unique<RemoteInput>(this, 0);
  WEFT_ASSIGN_OR_RETURN(const std::uint64_t source, NewSource(FrameType::kOpen, path));
  return std::make_unique<RemoteInput>(this, source);
}

absl::StatusOr<std::unique_ptr<Stream>> RemoteConsole::Stdio() {
  return std::make_unique<RemoteStream>(this, 0);
}

absl::StatusOr<std::unique_ptr<Stream>> RemoteConsole::Run(const std::string& command) {
  WEFT_ASSIGN_OR_RETURN(const std::uint64_t source,
                        NewSource(FrameType::kRun, command));
  return std::make_unique<RemoteStream>(this, source);
}

absl::StatusOr<std::size_t> RemoteConsole::Read(std::uint64_t source, char* data,
                                                std::size_t size) {
  const std::lock_guard<std::mutex> lock(asking_);
  const ReadWanted wanted{source, std::min(size, kPieceBytesMax)};
  if (!Send(FrameType::kRead, EncodeReadWanted(wanted))) {
    return absl::UnavailableError("the command's process is gone");
  }
  WEFT_ASSIGN_OR_RETURN(const Frame frame, ReceiveFrame(socket_, wanted.size + 16));
  if (frame.type == FrameType::kBroken) {
    WEFT_ASSIGN_OR_RETURN(const std::string error, DecodeText(frame.body));
    return absl::UnavailableError(error);
  }
  if (frame.type != FrameType::kBytes || frame.body.size() > wanted.size) {
    return absl::UnavailableError("the command's process broke the protocol");
  }
  if (!frame.body.empty()) std::memcpy(data, frame.body.data(), frame.body.size());
  return frame.body.size();
}

bool RemoteConsole::Send(FrameType type, ByteView body) {
  const std::lock_guard<std::mutex> lock(sending_);
  return SendFrame(socket_, type, body).ok();
}

void RemoteConsole::Finish(int code) {
  out_->flush();
  err_->flush();
  const std::uint8_t body[1] = {static_cast<std::uint8_t>(code)};
  Send(FrameType::kExit, body);
}

}  // namespace weft::cli
