// The simulator by command: `./dev sim --seeds N` runs seeds until one fails, and says
// how fast; `./dev sim --seed S` runs one and prints its journal; with `--minimise` the
// one that fails is made small first.
//
// Exit code 0: no problem found, 1: one seed failed (its journal is printed), 2: usage.

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <string>

#include "absl/strings/str_format.h"
#include "tests/sim/crowd.h"
#include "tests/sim/minimise.h"
#include "tests/sim/run.h"

namespace weft::sim {
namespace {

struct Command {
  std::uint64_t seeds = 100;
  std::uint64_t first = 1;
  std::uint64_t seed = 0;  // 0: many
  RunOrder order;
  std::string kind;
  std::string steps;
  std::string bug;
  bool is_short = false;
  bool minimise = false;
  bool twice = false;
  bool giant = false;
};

RunOrder OrderOf(std::uint64_t seed, const Command& command) {
  RunOrder order = command.order;
  order.seed = seed;
  order.size = command.is_short ? RunSize::kShort : RunSize::kLong;
  if (command.kind == "honest") order.kind = RunKind::kHonest;
  if (command.kind == "byzantine") order.kind = RunKind::kByzantine;
  if (!command.steps.empty()) order.steps = ParseSteps(command.steps);
  order.bug = BugOf(command.bug);
  return order;
}

int Fail(const RunOrder& order, const RunResult& result) {
  std::fputs(result.journal.c_str(), stdout);
  absl::PrintF("\nseed %d failed:\n", order.seed);
  for (const std::string& problem : result.problems) {
    absl::PrintF("  %s\n", problem);
  }
  absl::PrintF("rerun with %s\n", CommandOf(order));
  return 1;
}

int FailSmall(const RunOrder& order, const RunResult& result) {
  const Minimised small = Minimise(order);
  Fail(small.order, small.result);
  absl::PrintF("%d runs made %d peers and %d steps of %s\n     into %d peers and %d\n",
               small.runs, OptionsOf(order).world.peers, result.steps, CommandOf(order),
               OptionsOf(small.order).world.peers, small.result.steps);
  return 1;
}

void Add(const RunResult& result, RunResult* total) {
  total->writes += result.writes;
  total->samples += result.samples;
  total->conflicts += result.conflicts;
  total->forks += result.forks;
  total->events += result.events;
  total->bytes += result.bytes;
  total->simulated += result.simulated;
}

int Run(const Command& command) {
  using Seconds = std::chrono::duration<double>;
  const auto started = std::chrono::steady_clock::now();
  const std::uint64_t first = command.seed > 0 ? command.seed : command.first;
  const std::uint64_t count = command.seed > 0 ? 1 : command.seeds;
  RunResult total;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    const RunOrder order = OrderOf(seed, command);
    RunResult result = Simulate(order);
    const bool is_new = result.problems.empty();
    if (command.twice && is_new && Simulate(order).trace_hash != result.trace_hash) {
      result.problems.push_back("the same seed gave two traces");
    }
    if (!result.problems.empty()) {
      return command.minimise ? FailSmall(order, result) : Fail(order, result);
    }
    if (command.seed > 0) {
      std::fputs(result.journal.c_str(), stdout);
      absl::PrintF("trace %s\n", result.trace_hash);
    }
    Add(result, &total);
  }
  const double real = Seconds(std::chrono::steady_clock::now() - started).count();
  const double simulated = Seconds(total.simulated).count();
  absl::PrintF(
      "%d seeds without a problem: %d writes, %d samples with %d conflicts, %d forks, "
      "%d "
      "events, %d MiB carried\n",
      count, total.writes, total.samples, total.conflicts, total.forks, total.events,
      total.bytes >> 20);
  absl::PrintF("%.1f s, %.2f seeds/s, %.0f times faster than real time\n", real,
               static_cast<double>(count) / real, simulated / real);
  return 0;
}

// 300 nodes, 50 of them hostile, and 2 000 feeds.
int RunGiant(const Command& command) {
  using Seconds = std::chrono::duration<double>;
  CrowdOptions options;
  options.nodes = 250;
  options.hostile = 50;
  options.feeds = 2000;
  const std::uint64_t seed = command.seed > 0 ? command.seed : command.first;
  const auto started = std::chrono::steady_clock::now();
  const CrowdResult result = RunCrowd(seed, options);
  const double real = Seconds(std::chrono::steady_clock::now() - started).count();
  for (const std::string& problem : result.problems) absl::PrintF("  %s\n", problem);
  absl::PrintF(
      "seed %d: %s %.0f s after the network healed; %d blocks written, %d copied, %d "
      "MiB "
      "carried\n%d hostile dials, %d bans of hostile by honest nodes, at most %d "
      "points "
      "between honest ones\nat most per node: %d connections, %d KiB received and not "
      "stored, %d KiB to send\n%.1f s, trace %s\n",
      seed, result.level ? "level" : "not level", Seconds(result.level_after).count(),
      result.blocks, result.blocks_copied, result.bytes >> 20, result.hostile_dials,
      result.hostile_bans, result.points_most, result.connections_most,
      result.received_bytes_most >> 10, result.upload_bytes_most >> 10, real,
      result.trace_hash);
  if (command.twice && RunCrowd(seed, options).trace_hash != result.trace_hash) {
    absl::PrintF("the same seed gave two traces\n");
    return 1;
  }
  return result.problems.empty() ? 0 : 1;
}

}  // namespace
}  // namespace weft::sim

int main(int argc, char** argv) {
  weft::sim::Command command;
  CLI::App app("simulates clusters of stores, one per seed, and checks what must hold");
  app.add_option("--seeds", command.seeds, "how many seeds to run")
      ->check(CLI::PositiveNumber);
  app.add_option("--first", command.first, "the first of them");
  app.add_option("--seed", command.seed, "run this one only, and print its journal");
  app.add_flag("--short", command.is_short, "few peers, few writes, many seeds");
  app.add_option("--kind", command.kind, "all of one kind; else a third is byzantine")
      ->check(CLI::IsMember({"honest", "byzantine"}));
  app.add_option("--nodes", command.order.peers, "peers of each world (2 to 12)")
      ->check(CLI::Range(2, 12));
  app.add_option("--ops", command.order.writes, "writes tried in each world");
  app.add_option("--without", command.order.without,
                 "what shall not go wrong: names with commas between")
      ->delimiter(',')
      ->check(CLI::IsMember(weft::sim::FaultNames()));
  app.add_option("--steps", command.steps, "these steps of the workload only: 0-3,7")
      ->check([](const std::string& text) {
        return weft::sim::ParseSteps(text) ? std::string() : "steps look like 0-3,7";
      });
  app.add_option("--bug", command.bug, "plant a bug, which must be found")
      ->check(CLI::IsMember(weft::sim::BugNames()));
  app.add_flag("--minimise", command.minimise, "make the run that fails small");
  app.add_flag("--giant", command.giant,
               "one crowd of 300 nodes, 50 of them hostile, with 2 000 feeds");
  app.add_flag("--twice", command.twice, "run every seed twice and compare the traces");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return command.giant ? weft::sim::RunGiant(command) : weft::sim::Run(command);
}
