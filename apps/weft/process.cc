#include "apps/weft/process.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "absl/strings/str_format.h"
#include "engine/status.h"

extern char** environ;

namespace weft::cli {
namespace {

// Both ends close with the object; Take hands one over.
struct Pipe {
  std::array<int, 2> ends{-1, -1};
  Pipe() {
    if (pipe2(ends.data(), O_CLOEXEC) != 0) ends = {-1, -1};
  }
  ~Pipe() {
    Close(0);
    Close(1);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  bool ok() const { return ends[0] >= 0; }
  void Close(std::size_t end) {
    if (ends[end] >= 0) close(std::exchange(ends[end], -1));
  }
  int Take(std::size_t end) { return std::exchange(ends[end], -1); }
};

// Appends what is there; false at the end.
bool ReadSome(int file, std::string& text) {
  std::array<char, 65536> bytes;
  const ssize_t count = read(file, bytes.data(), bytes.size());
  if (count < 0) return errno == EINTR || errno == EAGAIN;
  text.append(bytes.data(), static_cast<std::size_t>(count));
  return count > 0;
}

// Feeds and drains all three streams at once, so that neither side waits for ever.
void Exchange(Pipe& in, Pipe& out, Pipe& err, std::string_view input, Ran& ran) {
  fcntl(in.ends[1], F_SETFL, O_NONBLOCK);
  if (input.empty()) in.Close(1);
  while (out.ends[0] >= 0 || err.ends[0] >= 0) {
    std::array<pollfd, 3> files{pollfd{in.ends[1], POLLOUT, 0},
                                pollfd{out.ends[0], POLLIN, 0},
                                pollfd{err.ends[0], POLLIN, 0}};
    if (poll(files.data(), files.size(), -1) < 0) continue;
    if (files[0].revents != 0) {
      const ssize_t count = write(in.ends[1], input.data(), input.size());
      if (count > 0) input.remove_prefix(static_cast<std::size_t>(count));
      const bool broken = count < 0 && errno != EAGAIN && errno != EINTR;
      if (broken || input.empty()) in.Close(1);
    }
    if (files[1].revents != 0 && !ReadSome(out.ends[0], ran.out)) out.Close(0);
    if (files[2].revents != 0 && !ReadSome(err.ends[0], ran.err)) err.Close(0);
  }
}

}  // namespace

absl::StatusOr<pid_t> Spawn(const std::vector<std::string>& command, int in, int out,
                            int err) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  const std::array<int, 3> streams{in, out, err};
  for (int i = 0; i < 3; ++i) {
    const int stream = streams[static_cast<std::size_t>(i)];
    if (stream >= 0) posix_spawn_file_actions_adddup2(&actions, stream, i);
  }
  std::vector<char*> arguments;
  for (const std::string& argument : command) {
    arguments.push_back(const_cast<char*>(argument.c_str()));
  }
  arguments.push_back(nullptr);
  pid_t process = -1;
  const int error = posix_spawnp(&process, arguments[0], &actions, nullptr,
                                 arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    return absl::UnavailableError(
        absl::StrFormat("%s: cannot be started: %s", command[0], std::strerror(error)));
  }
  return process;
}

int WaitFor(pid_t process) {
  int status = 0;
  while (waitpid(process, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void EndOf(pid_t process) {
  constexpr int kGraceMs = 2000;
  const int watch = static_cast<int>(syscall(SYS_pidfd_open, process, 0));
  for (const int signal : {SIGTERM, SIGKILL}) {
    pollfd ended{watch, POLLIN, 0};
    if (watch >= 0 && poll(&ended, 1, kGraceMs) > 0) break;
    kill(process, signal);
  }
  if (watch >= 0) close(watch);
  WaitFor(process);
}

absl::StatusOr<Ran> RunProgram(const std::vector<std::string>& command,
                               std::string_view input) {
  std::signal(SIGPIPE, SIG_IGN);
  Pipe in;
  Pipe out;
  Pipe err;
  if (!in.ok() || !out.ok() || !err.ok()) {
    return absl::UnavailableError("no pipe: too many open files");
  }
  WEFT_ASSIGN_OR_RETURN(const pid_t process,
                        Spawn(command, in.ends[0], out.ends[1], err.ends[1]));
  in.Close(0);
  out.Close(1);
  err.Close(1);
  Ran ran;
  Exchange(in, out, err, input, ran);
  in.Close(1);
  ran.exit_code = WaitFor(process);
  return ran;
}

absl::StatusOr<std::unique_ptr<Background>> Background::Start(
    const std::vector<std::string>& command) {
  Pipe out;
  if (!out.ok()) return absl::UnavailableError("no pipe: too many open files");
  WEFT_ASSIGN_OR_RETURN(const pid_t process, Spawn(command, -1, out.ends[1], -1));
  return std::unique_ptr<Background>(new Background(process, out.Take(0)));
}

Background::~Background() {
  kill(process_, SIGTERM);
  WaitFor(process_);
  close(out_);
}

std::string Background::ReadLine() {
  for (;;) {
    const std::size_t end = buffered_.find('\n');
    if (end != std::string::npos) {
      std::string line = buffered_.substr(0, end);
      buffered_.erase(0, end + 1);
      return line;
    }
    if (!ReadSome(out_, buffered_)) return std::exchange(buffered_, "");
  }
}

}  // namespace weft::cli
