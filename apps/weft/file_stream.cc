#include "apps/weft/file_stream.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "apps/weft/process.h"
#include "engine/status.h"

namespace weft::cli {
namespace {

constexpr std::size_t kPieceBytes = 64 * 1024;

absl::Status NoMoreFiles() {
  return absl::UnavailableError(
      absl::StrFormat("no more files can be opened: %s", std::strerror(errno)));
}

absl::StatusOr<std::array<Descriptor, 2>> SocketPair() {
  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return NoMoreFiles();
  }
  return std::array<Descriptor, 2>{Descriptor(ends[0]), Descriptor(ends[1])};
}

}  // namespace

FileStream::FileStream(std::string name, int in, int out, Descriptor cancelled)
    : name_(std::move(name)), in_(in), out_(out), cancelled_(std::move(cancelled)) {}

absl::StatusOr<std::unique_ptr<FileStream>> FileStream::Of(std::string name, int in,
                                                           int out) {
  Descriptor cancelled(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!cancelled.ok()) return NoMoreFiles();
  return std::unique_ptr<FileStream>(
      new FileStream(std::move(name), in, out, std::move(cancelled)));
}

absl::StatusOr<std::size_t> FileStream::Read(char* data, std::size_t size) {
  for (;;) {
    std::array<pollfd, 2> files{pollfd{cancelled_.get(), POLLIN, 0},
                                pollfd{in_, POLLIN, 0}};
    if (poll(files.data(), files.size(), -1) < 0) continue;
    if (files[0].revents != 0) return absl::UnavailableError(name_ + ": closed");
    const ssize_t count = read(in_, data, size);
    if (count >= 0) return static_cast<std::size_t>(count);
    if (errno == EINTR || errno == EAGAIN) continue;
    return absl::UnavailableError(
        absl::StrFormat("%s: cannot be read: %s", name_, std::strerror(errno)));
  }
}

absl::Status FileStream::Write(ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t count = write(out_, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) {
      pollfd room{out_, POLLOUT, 0};
      poll(&room, 1, -1);
      continue;
    }
    if (count < 0) {
      return absl::UnavailableError(
          absl::StrFormat("%s: cannot be written: %s", name_, std::strerror(errno)));
    }
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return absl::OkStatus();
}

void FileStream::Cancel() {
  const std::uint64_t one = 1;
  // Fails only when the counter is full, and then it says the same.
  [[maybe_unused]] const ssize_t count = write(cancelled_.get(), &one, sizeof(one));
}

ShellStream::ShellStream(const std::string& command, Descriptor socket,
                         Descriptor cancelled, pid_t process)
    : FileStream(command, socket.get(), socket.get(), std::move(cancelled)),
      socket_(std::move(socket)),
      process_(process) {}

absl::StatusOr<std::unique_ptr<ShellStream>> ShellStream::Start(
    const std::string& command) {
  WEFT_ASSIGN_OR_RETURN(auto ends, SocketPair());
  Descriptor cancelled(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!cancelled.ok()) return NoMoreFiles();
  WEFT_ASSIGN_OR_RETURN(const pid_t process,
                        Spawn({"sh", "-c", command}, ends[1].get(), ends[1].get(), -1));
  return std::unique_ptr<ShellStream>(
      new ShellStream(command, std::move(ends[0]), std::move(cancelled), process));
}

ShellStream::~ShellStream() {
  shutdown(socket_.get(), SHUT_RDWR);
  EndOf(process_);
}

class Pump::State {
 public:
  State(std::unique_ptr<Stream> stream, Descriptor ours, Descriptor theirs)
      : stream_(std::move(stream)),
        ours_(std::move(ours)),
        theirs_(theirs.Release()),
        inward_([this] { Inward(); }),
        outward_([this] { Outward(); }) {}
  ~State() {
    if (theirs_ >= 0) close(theirs_);
    outward_.join();
    stream_->Cancel();
    shutdown(ours_.get(), SHUT_RDWR);
    inward_.join();
  }

  int TakeSocket() { return std::exchange(theirs_, -1); }

 private:
  void Inward() {
    std::vector<char> piece(kPieceBytes);
    for (;;) {
      const auto count = stream_->Read(piece.data(), piece.size());
      if (!count.ok() || *count == 0) break;
      std::string_view rest(piece.data(), *count);
      while (!rest.empty()) {
        const ssize_t sent = send(ours_.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0) return;
        rest.remove_prefix(static_cast<std::size_t>(sent));
      }
    }
    shutdown(ours_.get(), SHUT_WR);
  }

  // Of what goes to a stream that takes no more, nothing: what it said before it left
  // is still on its way, and its end ends the session.
  void Outward() {
    Bytes piece(kPieceBytes);
    bool taken = true;
    for (;;) {
      const ssize_t count = recv(ours_.get(), piece.data(), piece.size(), 0);
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return;
      const ByteView bytes(piece.data(), static_cast<std::size_t>(count));
      taken = taken && stream_->Write(bytes).ok();
    }
  }

  const std::unique_ptr<Stream> stream_;
  const Descriptor ours_;
  int theirs_;
  std::thread inward_;
  std::thread outward_;
};

Pump::Pump(std::unique_ptr<State> state) : state_(std::move(state)) {}

Pump::~Pump() = default;

absl::StatusOr<std::unique_ptr<Pump>> Pump::Start(std::unique_ptr<Stream> stream) {
  WEFT_ASSIGN_OR_RETURN(auto ends, SocketPair());
  return std::unique_ptr<Pump>(new Pump(std::make_unique<State>(
      std::move(stream), std::move(ends[0]), std::move(ends[1]))));
}

int Pump::TakeSocket() {
  return state_->TakeSocket();
}

}  // namespace weft::cli
