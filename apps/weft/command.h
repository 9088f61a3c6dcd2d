// What every command of `weft` shares: its arguments, the store it works on, and the
// one way in which it fails.
//
// A command gives 0 when it did what was asked, 1 when what was asked is not so (not
// found, not allowed, not equal), 2 when it was asked wrongly, and 3 when the world
// was in the way (file, peer, lock, disk). Every failure is one line on stderr.

#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "weft/store.h"

namespace weft::cli {

enum Exit : int { kDone = 0, kNotSo = 1, kUsage = 2, kWorld = 3 };

// For a person's terminal: what is no UTF-8 and what a terminal would obey (line ends,
// tabs, other control characters) is escaped, and so is the backslash.
std::string Printable(std::string_view bytes);

// One line on stderr, whatever the message holds; gives back `code`.
int Fail(Exit code, std::string_view message);
// The code of a status that came from doing what was asked; `what` names the thing if
// the message alone does not.
int Fail(const absl::Status& status, std::string_view what = "");

// The same for what a peer did or said: it is of the world, whatever its code.
int FailOfPeer(const absl::Status& status);

// What a command is given.
struct Invocation {
  std::string store;                   // the directory; empty for commands without
  std::vector<std::string> arguments;  // those after the directory
  bool json = false;
  std::string base;  // of --base; empty: the only one
};

struct CommandSpec {
  static constexpr std::size_t kAnyNumber = SIZE_MAX;

  const char* name;
  const char* arguments;  // for the help, without DIR
  const char* help;
  std::size_t count_min = 0;  // of arguments, without DIR
  std::size_t count_max = 0;
  enum class Directory { kFirst, kLast, kNone } directory = Directory::kFirst;
  bool has_base = true;  // takes --base
};

// Gathers the commands, runs the one that was asked for.
class CommandLine {
 public:
  using Run = std::function<int(const Invocation&)>;

  CommandLine();
  ~CommandLine();

  // Options are added to what this returns, before Main.
  CLI::App* Add(const CommandSpec& spec, Run run);
  // The same, below a group: `weft core get`.
  CLI::App* AddTo(CLI::App* group, const CommandSpec& spec, Run run);
  CLI::App* Group(const char* name, const char* help);

  // The exit code of the process.
  int Main(int argc, const char* const* argv);

 private:
  struct Command;

  // The first word that should name a command and does not.
  std::optional<std::string> UnknownName(int argc, const char* const* argv);

  CLI::App app_;
  std::vector<std::unique_ptr<Command>> commands_;
};

// Opens what is there and makes nothing. After a failure the code is in `exit_code`.
std::optional<Store> OpenStore(const std::string& directory, int& exit_code,
                               bool create = false);
// The base of --base, or the only one of the store.
std::optional<Base> OpenBase(const Invocation& call, int& exit_code);

// A store that is made where there is none. What was made goes again unless Keep was
// called, so that a command that fails leaves everything as it was.
class MadeStore {
 public:
  explicit MadeStore(std::string directory);
  ~MadeStore();
  MadeStore(const MadeStore&) = delete;
  MadeStore& operator=(const MadeStore&) = delete;

  // Null after a failure; the code is in `exit_code`.
  Store* Open(int& exit_code);
  void Keep() { kept_ = true; }

 private:
  std::string directory_;
  bool existed_;
  bool was_empty_;
  bool kept_ = false;
  std::optional<Store> store_;
};

// Stays with an open store until SIGINT or SIGTERM (HoldSignals was called before it
// was opened); prints the address and then one line per event.
int Serve(Store store, const Invocation& call, const std::string& listen,
          const std::vector<std::string>& connect);

}  // namespace weft::cli
