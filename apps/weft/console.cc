#include "apps/weft/console.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <iostream>

#include "absl/strings/str_format.h"
#include "apps/weft/file_stream.h"
#include "apps/weft/signals.h"
#include "engine/status.h"

namespace weft::cli {
namespace {

thread_local Console* current = nullptr;
bool stdin_touched = false;

absl::Status Trouble(const std::string& name, int error) {
  return absl::UnavailableError(
      absl::StrFormat("%s: cannot be read: %s", name, std::strerror(error)));
}

class FileInput final : public Input {
 public:
  FileInput(std::string name, int file, bool owned)
      : name_(std::move(name)), file_(file), owned_(owned) {}
  ~FileInput() override {
    if (owned_) close(file_);
  }

  absl::StatusOr<std::size_t> Read(char* data, std::size_t size) override {
    for (;;) {
      const ssize_t count = read(file_, data, size);
      if (count >= 0) return static_cast<std::size_t>(count);
      if (errno != EINTR) return Trouble(name_, errno);
    }
  }
  int file() const override { return file_; }

 private:
  std::string name_;
  int file_;
  bool owned_;
};

class ProcessConsole final : public Console {
 public:
  std::istream& in() override {
    stdin_touched = true;
    return std::cin;
  }
  std::ostream& out() override { return std::cout; }
  std::ostream& err() override { return std::cerr; }

  absl::Status in_status() override {
    // A directory, say: iostreams take an error of read for the end of the file.
    struct stat about {};
    if (std::cin.bad() || std::ferror(stdin) != 0 || fstat(STDIN_FILENO, &about) != 0 ||
        S_ISDIR(about.st_mode)) {
      return absl::UnavailableError("stdin: cannot be read");
    }
    return absl::OkStatus();
  }
  bool err_is_terminal() const override { return isatty(STDERR_FILENO) == 1; }

  absl::StatusOr<std::unique_ptr<Input>> Open(const std::string& path) override {
    if (path == "-") {
      stdin_touched = true;
      return std::make_unique<FileInput>("stdin", STDIN_FILENO, false);
    }
    const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) return Trouble(path, errno);
    auto input = std::make_unique<FileInput>(path, file, true);
    struct stat about {};
    if (fstat(file, &about) != 0) return Trouble(path, errno);
    if (S_ISDIR(about.st_mode)) return Trouble(path, EISDIR);
    return input;
  }

  absl::StatusOr<std::unique_ptr<Stream>> Stdio() override {
    stdin_touched = true;
    std::signal(SIGPIPE, SIG_IGN);
    return FileStream::Of("stdin and stdout", STDIN_FILENO, STDOUT_FILENO);
  }
  absl::StatusOr<std::unique_ptr<Stream>> Run(const std::string& command) override {
    std::signal(SIGPIPE, SIG_IGN);
    return ShellStream::Start(command);
  }

  void HoldSignals() override { cli::HoldSignals(); }
  bool StopAsked() override { return SignalPending(); }
};

}  // namespace

Console& Console::OfProcess() {
  static ProcessConsole console;
  return console;
}

Console& Console::Current() {
  return current == nullptr ? OfProcess() : *current;
}

Console::Use::Use(Console& console) : before_(current) {
  current = &console;
}

Console::Use::~Use() {
  current = before_;
}

absl::StatusOr<std::string> ReadAll(const std::string& path, std::size_t bytes_max) {
  WEFT_ASSIGN_OR_RETURN(const std::unique_ptr<Input> input,
                        Console::Current().Open(path));
  std::string bytes;
  char buffer[1 << 16];
  for (;;) {
    WEFT_ASSIGN_OR_RETURN(const std::size_t count, input->Read(buffer, sizeof(buffer)));
    if (count == 0) return bytes;
    if (bytes.size() + count > bytes_max) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "%s: is longer than %d bytes", path == "-" ? "stdin" : path, bytes_max));
    }
    bytes.append(buffer, count);
  }
}

bool StdinTouched() {
  return stdin_touched;
}

}  // namespace weft::cli
