#include "apps/weft/command.h"

#include <charconv>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <thread>
#include <utility>

#include "absl/strings/str_format.h"
#include "apps/weft/console.h"
#include "apps/weft/control_client.h"
#include "apps/weft/control_server.h"
#include "apps/weft/control_socket.h"
#include "apps/weft/json.h"
#include "engine/bytes.h"
#include "engine/text.h"

namespace weft::cli {
namespace {

Exit CodeOf(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kInvalidArgument:
      return kUsage;
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kOutOfRange:
      return kNotSo;
    default:
      return kWorld;
  }
}

// Help for people: the arguments as the design writes them, not CLI11's own names.
class Help : public CLI::Formatter {
 public:
  explicit Help(std::string usage) : usage_(std::move(usage)) { column_width(28); }
  std::string make_usage(const CLI::App*, std::string) const override {
    return "usage: " + usage_ + "\n";
  }
  std::string make_positionals(const CLI::App*) const override { return ""; }

 private:
  std::string usage_;
};

// How long a command waits for another that holds the store and takes no guests.
constexpr std::chrono::seconds kLockPatience(5);

// What the one command of this process and the store it opens have to know.
struct Process {
  bool stays = false;
  ControlServer::Run run;
  std::unique_ptr<ControlServer> server;
  // Why the store could not be opened: another process holds it.
  std::optional<std::string> in_use;
};
Process process;

const char* StoreOfEnvironment() {
  const char* store = std::getenv("WEFT_STORE");
  return store != nullptr && *store != '\0' ? store : nullptr;
}

}  // namespace

std::string Printable(std::string_view bytes) {
  const bool text = weft::IsUtf8(AsBytes(bytes));
  std::string out;
  bool after_c2 = false;  // 0xc2 and 0x80 to 0x9f are the second set of control codes
  for (const char character : bytes) {
    const auto byte = static_cast<unsigned char>(character);
    if (after_c2 && byte < 0xa0) {
      out.pop_back();
      out += absl::StrFormat("\\xc2\\x%02x", byte);
      after_c2 = false;
      continue;
    }
    after_c2 = text && byte == 0xc2;
    if (character == '\\') {
      out += "\\\\";
    } else if (character == '\n') {
      out += "\\n";
    } else if (character == '\t') {
      out += "\\t";
    } else if (byte < 0x20 || byte == 0x7f || (byte >= 0x80 && !text)) {
      out += absl::StrFormat("\\x%02x", byte);
    } else {
      out += character;
    }
  }
  return out;
}

std::string Counted(std::uint64_t count, std::string_view thing) {
  return absl::StrFormat("%d %s%s", count, thing, count == 1 ? "" : "s");
}

std::optional<std::pair<std::uint64_t, std::uint64_t>> ParseBlocks(
    const std::string& text) {
  const std::size_t dots = text.find("..");
  if (dots == std::string::npos) return std::nullopt;
  std::pair<std::uint64_t, std::uint64_t> blocks;
  const char* const middle = text.data() + dots;
  const char* const end = text.data() + text.size();
  const auto first = std::from_chars(text.data(), middle, blocks.first);
  const auto second = std::from_chars(middle + 2, end, blocks.second);
  if (first.ec != std::errc() || first.ptr != middle || second.ec != std::errc() ||
      second.ptr != end || blocks.first >= blocks.second) {
    return std::nullopt;
  }
  return blocks;
}

int Fail(Exit code, std::string_view message) {
  std::string line(message);
  for (char& character : line) {
    // A key or a file's name may hold what a terminal would obey.
    if (static_cast<unsigned char>(character) < 0x20) character = ' ';
  }
  Out().flush();
  Err() << "weft: " << line << '\n';
  return code;
}

int Fail(const absl::Status& status, std::string_view what) {
  std::string message(ToStd(status.message()));
  if (!what.empty()) message = std::string(what) + ": " + message;
  return Fail(CodeOf(status.code()), message);
}

int FailOfPeer(const absl::Status& status) {
  return Fail(kWorld, ToStd(status.message()));
}

void AddCount(CLI::App* app, const std::string& name, std::uint64_t& count,
              std::uint64_t least, const std::string& help) {
  app->add_option_function<std::string>(
         name,
         [&count](const std::string& text) {
           std::from_chars(text.data(), text.data() + text.size(), count);
         },
         help)
      ->check([least](const std::string& text) -> std::string {
        std::uint64_t value = 0;
        const char* const end = text.data() + text.size();
        const auto [rest, error] = std::from_chars(text.data(), end, value);
        if (error == std::errc() && rest == end && value >= least) return "";
        return absl::StrFormat("'%s' is no whole number from %d to %d", text, least,
                               UINT64_MAX);
      });
}

void AddTimeout(CLI::App* app, double& seconds) {
  constexpr double kYear = 366.0 * 24 * 3600;
  app->add_option("--timeout", seconds,
                  absl::StrFormat("seconds; default: %d", static_cast<int>(seconds)))
      ->check([](const std::string& text) -> std::string {
        double value = 0;
        // No comparison holds for what is no number.
        const bool fits =
            CLI::detail::lexical_cast(text, value) && value >= 0.001 && value <= kYear;
        return fits ? "" : "'" + text + "' is no time between 0.001 s and a year";
      });
}

struct CommandLine::Command {
  CommandSpec spec;
  Run run;
  CLI::App* app = nullptr;
  std::vector<std::string> arguments;  // DIR too
  bool json = false;
  std::string base;
  // Of another process, which has found its store by itself.
  const Asked* asked = nullptr;

  // Splits the directory off. Empty: an error, said in `error`.
  std::optional<Invocation> Resolve(std::string& error) const;
  // Whether the arguments begin (or end) with the directory, or WEFT_STORE has it.
  bool NamesDirectory() const;
};

bool CommandLine::Command::NamesDirectory() const {
  const std::size_t count = arguments.size();
  if (StoreOfEnvironment() == nullptr) return true;
  if (count > spec.count_max) return true;
  if (count <= spec.count_min) return false;
  // A variable number of arguments: a directory that is there is meant as one.
  std::error_code error;
  return std::filesystem::is_directory(spec.directory == CommandSpec::Directory::kLast
                                           ? arguments.back()
                                           : arguments.front(),
                                       error);
}

std::optional<Invocation> CommandLine::Command::Resolve(std::string& error) const {
  Invocation call{.store = "", .arguments = arguments, .json = json, .base = base};
  if (spec.directory != CommandSpec::Directory::kNone) {
    const bool named =
        asked != nullptr ? asked->arguments_name_store : NamesDirectory();
    if (!named) {
      call.store = asked != nullptr ? asked->store : StoreOfEnvironment();
    } else if (arguments.empty()) {
      error = "names no store; give its directory or set WEFT_STORE";
      return std::nullopt;
    } else if (spec.directory == CommandSpec::Directory::kFirst) {
      call.store = arguments.front();
      call.arguments.erase(call.arguments.begin());
    } else {
      call.store = arguments.back();
      call.arguments.pop_back();
    }
    if (call.store.empty()) {
      error = "the directory of the store is empty";
      return std::nullopt;
    }
  }
  if (call.arguments.size() < spec.count_min ||
      call.arguments.size() > spec.count_max) {
    error = "takes " +
            std::string(*spec.arguments != '\0' ? spec.arguments : "no argument") +
            " beside the store";
    if (spec.directory == CommandSpec::Directory::kNone) {
      error = "takes " + std::string(spec.arguments);
    }
    return std::nullopt;
  }
  return call;
}

CommandLine::CommandLine()
    : app_("A database that many people write to at once, online or not.", "weft") {
  app_.formatter(std::make_shared<Help>("weft COMMAND ..."));
  app_.require_subcommand(1);
  app_.set_version_flag("--version", "weft 0.1.0");
  app_.footer(
      "DIR is the store, a directory; WEFT_STORE stands in where it is left out.\n"
      "Every command takes --json and --help. What follows `--` is no option.\n"
      "Exit code: 0 done, 1 what was asked is not so, 2 usage, 3 an error of the "
      "world.");
}

CommandLine::~CommandLine() = default;

CLI::App* CommandLine::Group(const char* name, const char* help) {
  CLI::App* group = app_.add_subcommand(name, help);
  group->group(topic_);
  group->formatter(
      std::make_shared<Help>("weft " + std::string(name) + " COMMAND ..."));
  group->require_subcommand(1);
  return group;
}

CLI::App* CommandLine::Add(const CommandSpec& spec, Run run) {
  return AddTo(&app_, spec, std::move(run));
}

CLI::App* CommandLine::AddTo(CLI::App* group, const CommandSpec& spec, Run run) {
  using Directory = CommandSpec::Directory;
  auto command = std::make_unique<Command>();
  command->spec = spec;
  command->run = std::move(run);
  CLI::App* app = group->add_subcommand(spec.name, spec.help);
  if (group == &app_) app->group(topic_);
  command->app = app;

  std::string usage = group == &app_ ? "weft " : "weft " + group->get_name() + " ";
  usage += spec.name;
  if (spec.directory == Directory::kFirst) usage += " DIR";
  if (*spec.arguments != '\0') usage += " " + std::string(spec.arguments);
  if (spec.directory == Directory::kLast) usage += " DIR";
  app->formatter(std::make_shared<Help>(usage + " [OPTIONS]"));

  const std::size_t directories = spec.directory == Directory::kNone ? 0 : 1;
  if (spec.count_max == CommandSpec::kAnyNumber) {
    app->add_option("arguments", command->arguments);
  } else {
    // One option each: a single list would take `[a,b]` apart.
    for (std::size_t i = 0; i < spec.count_max + directories; ++i) {
      app->add_option_function<std::string>(
          "argument" + std::to_string(i),
          [target = command.get()](const std::string& value) {
            target->arguments.push_back(value);
          });
    }
  }
  app->add_flag("--json", command->json, "one JSON object on stdout");
  if (spec.has_base) {
    app->add_option("--base", command->base, "the base, where the store has several");
  }
  commands_.push_back(std::move(command));
  return app;
}

namespace {

// How help for the command, or for the group of them, is asked for.
std::string HelpFor(const CLI::App* app) {
  std::string words = "--help";
  for (; app->get_parent() != nullptr; app = app->get_parent()) {
    words = app->get_name() + " " + words;
  }
  return "weft " + words;
}

}  // namespace

std::string CommandLine::Complaint(const CLI::ParseError& error) {
  const CLI::App* app = &app_;
  for (bool deeper = true; deeper;) {
    const auto parsed = app->get_subcommands();
    deeper = !parsed.empty();
    if (deeper) app = parsed.front();
  }
  const std::string name = app == &app_ ? "" : app->get_name() + ": ";
  const std::string help = " (" + HelpFor(app) + ")";
  const auto verbs = app->get_subcommands([](const CLI::App*) { return true; });
  if (!verbs.empty() && dynamic_cast<const CLI::RequiredError*>(&error) != nullptr) {
    if (app == &app_) return "names no command" + help;
    std::string list;
    for (const CLI::App* verb : verbs) {
      list += (list.empty() ? "" : ", ") + verb->get_name();
    }
    return name + "needs one of " + list + help;
  }
  const std::vector<std::string> extra = app_.remaining(/*recurse=*/true);
  if (dynamic_cast<const CLI::ExtrasError*>(&error) == nullptr || extra.empty()) {
    return name + error.what() + help;
  }
  if (extra.front().starts_with('-')) {
    return name + "there is no option " + extra.front() + help;
  }
  return name + "'" + extra.front() + "' is one argument too many" + help;
}

// CLI11 says of a name that it does not know only that one is needed.
std::optional<std::string> CommandLine::UnknownName(int argc, const char* const* argv) {
  const CLI::App* app = &app_;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (app->get_subcommands([](const CLI::App*) { return true; }).empty()) break;
    if (word.starts_with('-')) continue;
    const auto named = app->get_subcommands(
        [&word](const CLI::App* candidate) { return candidate->get_name() == word; });
    if (named.empty()) {
      const std::string group = app == &app_ ? "" : " of " + app->get_name();
      return "'" + word + "' is no command" + group + " (" + HelpFor(app) + ")";
    }
    app = named.front();
  }
  return std::nullopt;
}

CommandLine::Command* CommandLine::Parse(int argc, const char* const* argv, int& code) {
  if (const auto name = UnknownName(argc, argv)) {
    code = Fail(kUsage, *name);
    return nullptr;
  }
  try {
    app_.parse(argc, argv);
  } catch (const CLI::CallForVersion& version) {
    Out() << version.what() << '\n';
    code = kDone;
    return nullptr;
  } catch (const CLI::Success& help) {
    code = app_.exit(help, Out(), Err());
    return nullptr;
  } catch (const CLI::ParseError& error) {
    code = Fail(kUsage, Complaint(error));
    return nullptr;
  }
  for (const auto& command : commands_) {
    if (command->app->parsed()) return command.get();
  }
  code = Fail(kUsage, "no command");
  return nullptr;
}

int CommandLine::Main(int argc, const char* const* argv,
                      std::function<std::unique_ptr<CommandLine>()> again) {
  int code = kDone;
  // `weft help WORDS` is what people type for `weft WORDS --help`.
  std::vector<const char*> words(argv, argv + argc);
  if (argc > 1 && std::string_view(argv[1]) == "help") {
    words.erase(words.begin() + 1);
    words.push_back("--help");
  }
  Command* const command = Parse(static_cast<int>(words.size()), words.data(), code);
  if (command == nullptr) return code;
  std::string error;
  const auto call = command->Resolve(error);
  if (!call) return Fail(kUsage, command->app->get_name() + ": " + error);
  process.stays = command->spec.stays;
  process.run = [make = std::move(again)](const Asked& asked) {
    return make()->RunAsked(asked);
  };
  if (command->spec.directory == CommandSpec::Directory::kNone) {
    code = command->run(*call);
  } else {
    Asked asked;
    asked.err_is_terminal = Console::OfProcess().err_is_terminal();
    asked.arguments_name_store = call->arguments.size() < command->arguments.size();
    asked.store = call->store;
    asked.arguments.assign(argv + 1, argv + argc);
    code = RunOnStore(*command, *call, std::move(asked));
  }
  process.server.reset();
  if (!Out().flush()) return Fail(kWorld, "stdout: cannot be written");
  return code;
}

int CommandLine::RunOnStore(Command& command, const Invocation& call, Asked asked) {
  const auto deadline = std::chrono::steady_clock::now() + kLockPatience;
  for (;;) {
    const auto holder = ConnectToHolder(call.store);
    if (!holder.ok()) return Fail(holder.status());
    if (holder->has_value()) {
      const Holder& held = **holder;
      if (command.spec.alone) {
        return Fail(kWorld, absl::StrFormat("%s: process %d serves it already",
                                            call.store, held.process));
      }
      const auto code = RunThroughHolder(held, asked, command.spec.holds_signals);
      if (code) return *code;
    } else {
      process.in_use.reset();
      const int code = command.run(call);
      if (!process.in_use) return code;
    }
    // It is being opened or closed by somebody, or a short command has it.
    if (StdinTouched() || std::chrono::steady_clock::now() >= deadline) {
      return Fail(kWorld, process.in_use.value_or(call.store +
                                                  ": is in use by another process"));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

int CommandLine::RunAsked(const Asked& asked) {
  std::vector<const char*> words{"weft"};
  for (const std::string& argument : asked.arguments) {
    // A string of C ends at its first zero, and no argument of a process holds one.
    if (argument.find('\0') != std::string::npos) {
      return Fail(kUsage, "an argument holds a zero byte");
    }
    words.push_back(argument.c_str());
  }
  int code = kDone;
  Command* const command = Parse(static_cast<int>(words.size()), words.data(), code);
  if (command == nullptr) return code;
  command->asked = &asked;
  std::string error;
  const auto call = command->Resolve(error);
  if (!call) return Fail(kUsage, command->app->get_name() + ": " + error);
  if (command->spec.alone || command->spec.directory == CommandSpec::Directory::kNone) {
    return Fail(kUsage, command->app->get_name() + ": needs no store that is in use");
  }
  return command->run(*call);
}

int ReportOp(const Invocation& call, const absl::StatusOr<OpName>& op) {
  if (!op.ok()) return Fail(op.status());
  if (call.json) {
    PrintJson(Json{{"op", op->ToText()}});
  } else {
    Out() << op->ToText() << '\n';
  }
  return kDone;
}

std::optional<Store> OpenStore(const std::string& directory, int& exit_code,
                               const StoreOptions& options) {
  if (const Store* held = Console::Current().held_store()) return *held;
  auto store = Store::Open(directory, options);
  if (!store.ok()) {
    const std::string why(ToStd(store.status().message()));
    // Main tries again, or says it.
    if (absl::IsUnavailable(store.status()) &&
        why.find("in use by another process") != std::string::npos) {
      process.in_use = why;
      exit_code = kWorld;
    } else {
      exit_code = Fail(kWorld, why);
    }
    return std::nullopt;
  }
  // Of whoever opened it; the commands of others that come through us have not.
  if (!store->notice().empty()) Fail(kDone, store->notice());
  if (process.stays) {
    auto server = ControlServer::Start(directory, *store, process.run);
    // Where nothing can be written a command that stays does its own work all the same.
    if (!server.ok() && !store->Writable().ok()) return *std::move(store);
    if (!server.ok()) {
      exit_code = Fail(kWorld, ToStd(server.status().message()));
      return std::nullopt;
    }
    process.server = *std::move(server);
  }
  return *std::move(store);
}

void ReopenStore(std::optional<Store>& store, const std::string& directory,
                 const StoreOptions& options, int& exit_code) {
  process.server.reset();
  store.reset();
  const auto deadline = std::chrono::steady_clock::now() + kLockPatience;
  for (;;) {
    process.in_use.reset();
    store = OpenStore(directory, exit_code, options);
    // A short command may have come in between.
    if (store || !process.in_use) return;
    if (std::chrono::steady_clock::now() >= deadline) {
      exit_code = Fail(kWorld, *std::exchange(process.in_use, std::nullopt));
      return;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

std::optional<Base> OpenBase(const Invocation& call, int& exit_code) {
  auto store = OpenStore(call.store, exit_code);
  if (!store) return std::nullopt;
  auto base = store->OpenBase(call.base);
  if (base.ok()) return *std::move(base);
  const bool unnamed = call.base.empty() && absl::IsInvalidArgument(base.status());
  exit_code =
      unnamed ? Fail(kUsage, std::string(ToStd(base.status().message())) + " by --base")
              : Fail(base.status());
  return std::nullopt;
}

MadeStore::MadeStore(std::string directory) : directory_(std::move(directory)) {
  kept_ = Console::Current().held_store() != nullptr;
  std::error_code error;
  existed_ = std::filesystem::exists(directory_, error);
  was_empty_ = !existed_ || (std::filesystem::is_empty(directory_, error) && !error);
}

MadeStore::~MadeStore() {
  // Without the lock the files are somebody else's, who was faster.
  const bool ours = store_.has_value();
  store_.reset();
  if (kept_ || !was_empty_ || !ours) return;
  process.server.reset();  // it has the store open too
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(directory_, ignored)) {
    std::filesystem::remove_all(entry.path(), ignored);
  }
  if (!existed_) std::filesystem::remove(directory_, ignored);
}

Store* MadeStore::Open(int& exit_code) {
  store_ = OpenStore(directory_, exit_code, {.create = true});
  return store_ ? &*store_ : nullptr;
}

}  // namespace weft::cli
