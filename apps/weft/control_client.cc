#include "apps/weft/control_client.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_format.h"
#include "apps/weft/command.h"
#include "apps/weft/console.h"
#include "apps/weft/signals.h"
#include "engine/text.h"

namespace weft::cli {
namespace {

// All of it, whatever the file takes at once.
bool WriteAll(int file, ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t count = write(file, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) {
      pollfd room{file, POLLOUT, 0};
      poll(&room, 1, -1);
      continue;
    }
    if (count < 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return true;
}

class Client {
 public:
  Client(const Holder& holder, const Asked& asked, bool holds_signals)
      : socket_(holder.socket.get()), asked_(asked), holds_signals_(holds_signals) {}

  std::optional<int> Run() {
    if (holds_signals_) HoldSignals();
    // If that fails the holder has hung up, and may have said why.
    SendFrame(socket_, FrameType::kAsked, EncodeAsked(asked_)).IgnoreError();
    const Descriptor signals(holds_signals_ ? SignalFile() : -1);
    while (!code_ && !again_) {
      std::array<pollfd, 3> files{
          pollfd{socket_, POLLIN, 0}, pollfd{signals.get(), POLLIN, 0},
          pollfd{wanted_ ? SourceFile(wanted_->source) : -1, POLLIN, 0}};
      if (poll(files.data(), files.size(), -1) < 0) continue;
      if (files[1].revents != 0 && !stopped_) {
        // Half closed: the command hears of it and still has the last word.
        stopped_ = true;
        SignalPending();
        ReleaseSignals();  // a second one is meant for this process
        shutdown(socket_, SHUT_WR);
      }
      if (files[2].revents != 0) Answer();
      if (files[0].revents != 0) Take();
    }
    return again_ ? std::nullopt : code_;
  }

 private:
  void Take() {
    const auto frame = ReceiveFrame(socket_, kPieceBytesMax);
    if (!frame.ok()) return Lost();
    switch (frame->type) {
      case FrameType::kOut:
        if (!WriteAll(STDOUT_FILENO, frame->body)) {
          code_ = Fail(kWorld, "stdout: cannot be written");
        }
        return;
      case FrameType::kErr:
        // Nobody to tell if that fails.
        WriteAll(STDERR_FILENO, frame->body);
        return;
      case FrameType::kOpen:
        return Open(frame->body);
      case FrameType::kRead: {
        const auto wanted = DecodeReadWanted(frame->body);
        if (!wanted.ok() || wanted_ || SourceFile(wanted->source) < 0) return Lost();
        wanted_ = *wanted;
        return;
      }
      case FrameType::kClose: {
        const auto source = DecodeSource(frame->body);
        if (source.ok()) files_.erase(*source);
        return;
      }
      case FrameType::kExit:
        code_ = frame->body.size() == 1 ? int{frame->body[0]} : int{kWorld};
        return;
      case FrameType::kAgain:
        again_ = true;
        return;
      default:
        return Lost();
    }
  }

  void Lost() {
    code_ = Fail(kWorld, asked_.store +
                             ": the process that holds the store ended before the "
                             "command was done");
  }

  // A holder has no say about files that the person did not name.
  bool IsNamed(const std::string& path) const {
    return std::any_of(asked_.arguments.begin(), asked_.arguments.end(),
                       [&path](const std::string& argument) {
                         return argument == path || argument.ends_with("=" + path);
                       });
  }

  void Open(ByteView body) {
    const auto path = DecodeText(body);
    if (!path.ok()) return Lost();
    std::string error = *path + ": is not among the arguments";
    if (IsNamed(*path)) {
      auto opened = Console::OfProcess().Open(*path);
      if (opened.ok()) {
        error.clear();
        files_[++sources_] = *std::move(opened);
      } else {
        error = std::string(ToStd(opened.status().message()));
      }
    }
    SendFrame(socket_, FrameType::kOpened, EncodeText(error)).IgnoreError();
  }

  int SourceFile(std::uint64_t source) const {
    if (source == 0) return STDIN_FILENO;
    const auto found = files_.find(source);
    return found == files_.end() ? -1 : found->second->file();
  }

  // What was asked for is there to be read, or never will be.
  void Answer() {
    const ReadWanted wanted = *std::exchange(wanted_, std::nullopt);
    const int file = SourceFile(wanted.source);
    Bytes bytes(wanted.size);
    ssize_t count = -1;
    do {
      count = read(file, bytes.data(), bytes.size());
    } while (count < 0 && errno == EINTR);
    if (count < 0 && errno == EAGAIN) {
      wanted_ = wanted;
    } else if (count < 0) {
      const std::string error =
          absl::StrFormat("%s: cannot be read: %s",
                          wanted.source == 0 ? "stdin" : "file", std::strerror(errno));
      SendFrame(socket_, FrameType::kBroken, EncodeText(error)).IgnoreError();
    } else {
      bytes.resize(static_cast<std::size_t>(count));
      SendFrame(socket_, FrameType::kBytes, bytes).IgnoreError();
    }
  }

  const int socket_;
  const Asked& asked_;
  const bool holds_signals_;
  bool stopped_ = false;
  bool again_ = false;
  std::optional<int> code_;
  std::optional<ReadWanted> wanted_;
  std::uint64_t sources_ = 0;
  std::map<std::uint64_t, std::unique_ptr<Input>> files_;
};

}  // namespace

std::optional<int> RunThroughHolder(const Holder& holder, const Asked& asked,
                                    bool holds_signals) {
  return Client(holder, asked, holds_signals).Run();
}

}  // namespace weft::cli
