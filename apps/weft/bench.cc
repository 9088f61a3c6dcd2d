// bench: runs the benchmark programs that were built beside this one. Each answers one
// question and prints its ratio to the physical limit of the same run.

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <regex>

#include "apps/weft/commands.h"
#include "apps/weft/console.h"
#include "apps/weft/json.h"

namespace weft::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSuffix = "_bench";

// Of the build tree that holds this program.
fs::path BenchFolder() {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  return self.parent_path().parent_path().parent_path() / "bench";
}

// The programs there, by name.
std::vector<std::pair<std::string, std::string>> Programs() {
  std::vector<std::pair<std::string, std::string>> programs;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(BenchFolder(), error)) {
    const std::string name = entry.path().filename().string();
    if (!name.ends_with(kSuffix) || !entry.is_regular_file(error)) continue;
    if (access(entry.path().c_str(), X_OK) != 0) continue;
    programs.emplace_back(name.substr(0, name.size() - kSuffix.size()),
                          entry.path().string());
  }
  std::sort(programs.begin(), programs.end());
  return programs;
}

int List(const Invocation& call,
         const std::vector<std::pair<std::string, std::string>>& programs) {
  Json names = Json::array();
  for (const auto& [name, path] : programs) {
    if (call.json) {
      names.push_back(name);
    } else {
      Out() << name << '\n';
    }
  }
  if (call.json) PrintJson(Json{{"benchmarks", std::move(names)}});
  return kDone;
}

// Becomes the program; comes back only if that fails.
int RunBenchmark(const Invocation& call, const std::string& path) {
  std::vector<std::string> words{path};
  if (call.json) words.push_back("--benchmark_format=json");
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  execv(path.c_str(), arguments.data());
  return Fail(kWorld, path + ": cannot be started");
}

// Becomes the Node peers, which do what the replicate benchmark does and run that for
// comparison, or what the text benchmark does, after that; comes back only if it fails.
// Their packages are fetched at the first run.
int RunPeers(const Invocation& call) {
  const std::string what = call.arguments.empty() ? "replicate" : call.arguments[0];
  static const std::regex kWork(
      "([1-9][0-9]{0,8}x){2}[1-9][0-9]{0,8}(@[1-9][0-9]{0,3})?");
  if (what != "replicate" && what != "text" && !std::regex_match(what, kWork)) {
    return Fail(kUsage,
                "bench --peers: '" + what +
                    "' is neither replicate, text nor CORESxBLOCKSxBYTES[@PEERS]");
  }
  const std::string folder = (BenchFolder() / "peers").string();
  if (chdir(folder.c_str()) != 0) {
    return Fail(kWorld,
                folder + ": the peers' benchmark was not built beside this program");
  }
  const bool text = what == "text";
  const std::string script =
      std::string(
          "{ [ -d node_modules ] || "
          "npm ci --no-audit --no-fund --loglevel=error >&2; } && ") +
      (text ? "../text_bench && exec node text.mjs friendsforever.json.gz"
            : "exec node many_cores.mjs --weft ../replicate_bench \"$@\"");
  execlp("sh", "sh", "-c", script.c_str(), "sh",
         what == "replicate" ? nullptr : what.c_str(), nullptr);
  return Fail(kWorld, "sh: cannot be started");
}

int Bench(const Invocation& call, bool peers) {
  if (peers) return RunPeers(call);
  const auto programs = Programs();
  if (programs.empty()) {
    return Fail(kWorld, "bench: no benchmark was built beside this program");
  }
  if (call.arguments.empty()) return List(call, programs);
  for (const auto& [name, path] : programs) {
    if (name == call.arguments[0]) return RunBenchmark(call, path);
  }
  return Fail(kNotSo, "bench: there is no benchmark '" + call.arguments[0] + "'");
}

}  // namespace

void AddBenchCommand(CommandLine& line) {
  const auto peers = std::make_shared<bool>(false);
  CLI::App* const bench =
      line.Add({.name = "bench",
                .arguments = "[NAME]",
                .help = "runs a benchmark; alone: lists them",
                .count_min = 0,
                .count_max = 1,
                .directory = CommandSpec::Directory::kNone,
                .has_base = false},
               [peers](const Invocation& call) { return Bench(call, *peers); });
  bench->add_flag(
      "--peers", *peers,
      "the first sync of cores between Node peers, and ours beside it;"
      " NAME: replicate, one work of it as CORESxBLOCKSxBYTES[@PEERS], or text:"
      " the same text typed in ours, yjs, loro-crdt and automerge");
}

}  // namespace weft::cli
