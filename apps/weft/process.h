// Other programs as child processes: one that is waited for, one that stays.

#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace weft::cli {

// Starts the program with these files as its stdin, stdout and stderr; -1: ours.
// UNAVAILABLE  it cannot be started
absl::StatusOr<pid_t> Spawn(const std::vector<std::string>& command, int in, int out,
                            int err);
// Waits for a child that has been told to end: asks it by SIGTERM after two seconds,
// and takes no answer after two more.
void EndOf(pid_t process);
// The exit code of a child, or 128 + the signal that ended it.
int WaitFor(pid_t process);

struct Ran {
  int exit_code = 0;  // 128 + the signal if one ended it
  std::string out;
  std::string err;
};

// Runs the program to its end. UNAVAILABLE  it cannot be started
absl::StatusOr<Ran> RunProgram(const std::vector<std::string>& command,
                               std::string_view input = "");

// A program that stays until this object is gone, which ends it by SIGTERM and waits.
class Background {
 public:
  // UNAVAILABLE  it cannot be started
  static absl::StatusOr<std::unique_ptr<Background>> Start(
      const std::vector<std::string>& command);
  ~Background();
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

  // The next line of its stdout, without the end of line; empty at the end of it.
  std::string ReadLine();

 private:
  Background(pid_t process, int out) : process_(process), out_(out) {}

  pid_t process_;
  int out_;
  std::string buffered_;
};

}  // namespace weft::cli
