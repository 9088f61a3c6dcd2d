#include "apps/weft/control_client.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_format.h"
#include "apps/weft/command.h"
#include "apps/weft/console.h"
#include "apps/weft/signals.h"
#include "engine/codec.h"
#include "engine/text.h"

namespace weft::cli {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kWaitingBytesMax = 256 * 1024;
constexpr std::chrono::seconds kLookAgain(1);
// A holder that was stopped, and says nothing for so long, is not waited for.
constexpr std::chrono::seconds kStoppedPatience(5);
// The other end of a stream that has ended, and takes nothing for so long, is not
// waited for.
constexpr int kStreamPatienceMs = 2000;

// Whether the process was stopped by a signal or a debugger; false if nobody can say.
bool IsStopped(pid_t process) {
  std::ifstream file(absl::StrFormat("/proc/%d/stat", process));
  std::string text;
  std::getline(file, text);
  // The name before the state may hold anything.
  const std::size_t name_end = text.rfind(')');
  if (name_end == std::string::npos || name_end + 2 >= text.size()) return false;
  return text[name_end + 2] == 'T' || text[name_end + 2] == 't';
}

// What waits to be written to a file. Never writes more than the file takes at once: a
// process that only wrote could wait for ever for one that does the same.
class Sink {
 public:
  explicit Sink(int file) : file_(file) {
    struct stat about {};
    // A pipe with any room takes this much whole; a plain file takes everything.
    if (fstat(file, &about) != 0 || !S_ISREG(about.st_mode)) at_once_ = PIPE_BUF;
  }

  int file() const { return file_; }
  std::size_t waiting() const { return bytes_.size() - written_; }
  void Add(ByteView bytes) {
    if (waiting() == 0) {
      bytes_.clear();
      written_ = 0;
    }
    Append(bytes_, bytes);
  }
  // Once the file takes bytes. False if it never will again.
  bool WriteSome() {
    const std::size_t size = std::min(waiting(), at_once_);
    const ssize_t count = write(file_, bytes_.data() + written_, size);
    if (count < 0) return errno == EINTR || errno == EAGAIN;
    written_ += static_cast<std::size_t>(count);
    return true;
  }
  // False too if there was no room for so long; -1: waits without end.
  bool WriteAll(int patience_ms = -1) {
    while (waiting() > 0) {
      pollfd room{file_, POLLOUT, 0};
      if (poll(&room, 1, patience_ms) == 0 || !WriteSome()) return false;
    }
    return true;
  }

 private:
  int file_;
  std::size_t at_once_ = SIZE_MAX;
  Bytes bytes_;
  std::size_t written_ = 0;
};

class Client {
 public:
  Client(const Holder& holder, const Asked& asked, bool holds_signals)
      : socket_(holder.socket.get()),
        process_(holder.process),
        asked_(asked),
        holds_signals_(holds_signals) {}

  std::optional<int> Run() {
    if (holds_signals_) HoldSignals();
    // If that fails the holder has hung up, and may have said why.
    SendFrame(socket_, FrameType::kAsked, EncodeAsked(asked_)).IgnoreError();
    const Descriptor signals(holds_signals_ ? SignalFile() : -1);
    while (!code_ && !again_) Step(signals.get());
    if (again_) return std::nullopt;
    if (!out_.WriteAll()) return StdoutFailed();
    EndStream();
    return code_;
  }

 private:
  // Waits until something can be done, and does it.
  void Step(int signals) {
    const bool full =
        out_.waiting() + (stream_ ? stream_->waiting() : 0) > kWaitingBytesMax;
    std::array<pollfd, 5> files{
        pollfd{full ? -1 : socket_, POLLIN, 0}, pollfd{signals, POLLIN, 0},
        pollfd{wanted_ ? SourceFile(wanted_->source) : -1, POLLIN, 0},
        pollfd{out_.waiting() > 0 ? out_.file() : -1, POLLOUT, 0},
        pollfd{stream_ && stream_->waiting() > 0 ? stream_->file() : -1, POLLOUT, 0}};
    const int ready = poll(files.data(), files.size(), kLookAgain / milliseconds(1));
    if (ready == 0) LookAtHolder();
    if (ready <= 0) return;
    if (files[1].revents != 0 && !stopped_) {
      // Half closed: the command hears of it and still has the last word.
      stopped_ = true;
      SignalPending();
      ReleaseSignals();  // a second one is meant for this process
      shutdown(socket_, SHUT_WR);
    }
    if (files[2].revents != 0) Answer();
    if (files[3].revents != 0 && !out_.WriteSome()) code_ = StdoutFailed();
    // What the other end does not take it has no use for; that it is gone is seen by
    // reading, when all it said before is read.
    if (files[4].revents != 0 && !stream_->WriteSome()) stream_.reset();
    if (files[0].revents != 0) Take();
  }

  // Nothing has come for a while: a holder that works may take its time.
  void LookAtHolder() {
    const auto now = std::chrono::steady_clock::now();
    if (!IsStopped(process_)) {
      stopped_since_.reset();
    } else if (!stopped_since_) {
      stopped_since_ = now;
    } else if (now - *stopped_since_ >= kStoppedPatience) {
      code_ = Fail(kWorld, absl::StrFormat("%s: process %d, which holds the store, is "
                                           "stopped; `kill -CONT %d` lets it go on",
                                           asked_.store, process_, process_));
    }
  }

  int StdoutFailed() const { return Fail(kWorld, "stdout: cannot be written"); }

  void Take() {
    const auto frame = ReceiveFrame(socket_, kPieceBytesMax);
    stopped_since_.reset();
    if (!frame.ok()) return Lost();
    switch (frame->type) {
      case FrameType::kOut:
        return out_.Add(frame->body);
      case FrameType::kErr: {
        if (!out_.WriteAll()) code_ = StdoutFailed();
        Sink err(STDERR_FILENO);
        err.Add(frame->body);
        err.WriteAll();  // nobody to tell if that fails
        return;
      }
      case FrameType::kOpen:
      case FrameType::kRun:
        return Open(frame->type, frame->body);
      case FrameType::kWrite: {
        Reader reader(frame->body);
        if (reader.Uint() != stream_source_ || !reader.ok()) return Lost();
        if (stream_source_ == 0 && !std::exchange(stdout_streams_, true)) {
          stream_.emplace(STDOUT_FILENO);
        }
        if (stream_) stream_->Add(reader.Rest());
        return;
      }
      case FrameType::kRead: {
        const auto wanted = DecodeReadWanted(frame->body);
        if (!wanted.ok() || wanted_ || SourceFile(wanted->source) < 0) return Lost();
        wanted_ = *wanted;
        return;
      }
      case FrameType::kClose: {
        const auto source = DecodeSource(frame->body);
        if (!source.ok()) return Lost();
        if (*source == stream_source_) EndStream();
        files_.erase(*source);
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

  // What was said last is still said, to who listens.
  void EndStream() {
    if (stream_) stream_->WriteAll(kStreamPatienceMs);
    stream_.reset();
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

  void Open(FrameType type, ByteView body) {
    const auto text = DecodeText(body);
    if (!text.ok() || (type == FrameType::kRun && stream_source_ != 0)) return Lost();
    std::string error = *text + ": is not among the arguments";
    if (IsNamed(*text)) {
      auto opened = Make(type, *text);
      if (opened.ok()) {
        error.clear();
        files_[++sources_] = *std::move(opened);
        if (type == FrameType::kRun) {
          stream_source_ = sources_;
          stream_.emplace(files_[sources_]->file());
        }
      } else {
        error = std::string(ToStd(opened.status().message()));
      }
    }
    SendFrame(socket_, FrameType::kOpened, EncodeText(error)).IgnoreError();
  }

  static absl::StatusOr<std::unique_ptr<Input>> Make(FrameType type,
                                                     const std::string& text) {
    if (type == FrameType::kOpen) return Console::OfProcess().Open(text);
    auto stream = Console::OfProcess().Run(text);
    if (!stream.ok()) return stream.status();
    return std::unique_ptr<Input>(*std::move(stream));
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
  const pid_t process_;
  const Asked& asked_;
  const bool holds_signals_;
  bool stopped_ = false;
  std::optional<std::chrono::steady_clock::time_point> stopped_since_;  // the holder
  bool again_ = false;
  std::optional<int> code_;
  std::optional<ReadWanted> wanted_;
  Sink out_{STDOUT_FILENO};
  // The one stream there may be: to a command, or to stdout.
  std::optional<Sink> stream_;
  std::uint64_t stream_source_ = 0;
  bool stdout_streams_ = false;
  std::uint64_t sources_ = 0;
  std::map<std::uint64_t, std::unique_ptr<Input>> files_;
};

}  // namespace

std::optional<int> RunThroughHolder(const Holder& holder, const Asked& asked,
                                    bool holds_signals) {
  return Client(holder, asked, holds_signals).Run();
}

}  // namespace weft::cli
