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
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "apps/weft/control_frame.h"
#include "weft/store.h"

namespace weft::cli {

enum Exit : int { kDone = 0, kNotSo = 1, kUsage = 2, kWorld = 3 };

// For a person's terminal: what is no UTF-8 and what a terminal would obey (line ends,
// tabs, other control characters) is escaped, and so is the backslash.
std::string Printable(std::string_view bytes);

// "1 block", "2 blocks".
std::string Counted(std::uint64_t count, std::string_view thing);

// `A..B`: blocks from A to before B, and A is below B.
std::optional<std::pair<std::uint64_t, std::uint64_t>> ParseBlocks(
    const std::string& text);

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

// What a single change gives back: its op id, or why there is none. The exit code.
int ReportOp(const Invocation& call, const absl::StatusOr<OpName>& op);

struct CommandSpec {
  static constexpr std::size_t kAnyNumber = SIZE_MAX;

  const char* name;
  const char* arguments;  // for the help, without DIR
  const char* help;
  std::size_t count_min = 0;  // of arguments, without DIR
  std::size_t count_max = 0;
  enum class Directory { kFirst, kLast, kNone } directory = Directory::kFirst;
  bool has_base = true;  // takes --base
  // It must hold the store itself, and cannot act through another process.
  bool alone = false;
  // It may hold the store for long: meanwhile others act through its process.
  bool stays = false;
  // It ends in order on a signal (Console::HoldSignals).
  bool holds_signals = false;
};

// Adds an option that takes a whole number, from `least` on.
void AddCount(CLI::App* app, const std::string& name, std::uint64_t& count,
              std::uint64_t least, const std::string& help);
// Adds --timeout SECONDS, more than nothing and at most a year.
void AddTimeout(CLI::App* app, double& seconds);

// Gathers the commands, runs the one that was asked for.
class CommandLine {
 public:
  using Run = std::function<int(const Invocation&)>;

  CommandLine();
  ~CommandLine();

  // The heading in the help of the commands that are added from now on.
  void Topic(std::string heading) { topic_ = std::move(heading); }
  // Options are added to what this returns, before Main.
  CLI::App* Add(const CommandSpec& spec, Run run);
  // The same, below a group: `weft core get`.
  CLI::App* AddTo(CLI::App* group, const CommandSpec& spec, Run run);
  CLI::App* Group(const char* name, const char* help);

  // Runs the command on the store it names, or, if another process holds that, through
  // it. `again` makes a command line like this one, for the commands of other processes
  // that come through ours. The exit code of the process.
  int Main(int argc, const char* const* argv,
           std::function<std::unique_ptr<CommandLine>()> again);
  // Runs what another process asked for, on the console of this thread.
  int RunAsked(const Asked& asked);

 private:
  struct Command;

  // The command that the words ask for; null if there is none to run, with the exit
  // code in `code`.
  Command* Parse(int argc, const char* const* argv, int& code);
  // What is wrong with the first word that should name a command and does not.
  std::optional<std::string> UnknownName(int argc, const char* const* argv);
  // What CLI11 found wrong, in our words.
  std::string Complaint(const CLI::ParseError& error);
  int RunOnStore(Command& command, const Invocation& call, Asked asked);

  CLI::App app_;
  std::string topic_;
  std::vector<std::unique_ptr<Command>> commands_;
};

// Opens what is there and makes nothing, or gives the store that this process has open
// already. After a failure the code is in `exit_code`, which is to be returned at once:
// if another process holds the store the command is run again, so nothing may have been
// read from stdin before.
std::optional<Store> OpenStore(const std::string& directory, int& exit_code,
                               const StoreOptions& options = {.create = false});
// Closes the store that this process has opened, of which `store` is the last handle
// beside those of guests, and opens it anew. Null after a failure, with its code.
void ReopenStore(std::optional<Store>& store, const std::string& directory,
                 const StoreOptions& options, int& exit_code);
// The base of --base, or the only one of the store.
std::optional<Base> OpenBase(const Invocation& call, int& exit_code);

// A store that is made where there is none. What was made goes again unless Keep was
// called, so that a command that fails leaves everything as it was. Where the process
// has the store open already, that is what it gives.
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

struct ServeWish {
  std::string listen = {};                // empty: nowhere
  std::vector<std::string> connect = {};  // kept connected
  // Also finds peers on the local network, through the interface of that address if it
  // is not empty.
  std::optional<std::string> lan = std::nullopt;
};

// Stays with an open store until SIGINT or SIGTERM (HoldSignals was called before it
// was opened), in a command that is `alone`; prints the address and then one line per
// event. The caller keeps no handle of the store.
int Serve(Store store, const Invocation& call, ServeWish wish);

}  // namespace weft::cli
