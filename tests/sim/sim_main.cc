// The simulator by command: `./dev sim --seeds N` runs seeds until one fails, and says
// how fast; `./dev sim --seed S` runs one and prints its journal.
//
// Exit code 0: no problem found, 1: one seed failed (its journal is printed), 2: usage.

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <string>

#include "absl/strings/str_format.h"
#include "tests/sim/crowd.h"
#include "tests/sim/workload.h"

namespace weft::sim {
namespace {

struct Command {
  std::uint64_t seeds = 100;
  std::uint64_t first = 1;
  std::uint64_t seed = 0;  // 0: many
  std::size_t nodes = 0;   // 0: as the seed says
  std::size_t ops = 0;     // 0: as the seed says
  std::string bug;
  bool twice = false;
  bool giant = false;
};

RunOptions OptionsFor(std::uint64_t seed, const Command& command) {
  RunOptions options = OptionsOf(seed);
  if (command.nodes > 0) options.world.peers = command.nodes;
  if (command.ops > 0) options.workload.writes = command.ops;
  if (command.bug == "sync-lies") options.world.bug = PlantedBug::kSyncLies;
  if (command.bug == "half-batch") options.world.bug = PlantedBug::kLastOpOfBatchLost;
  return options;
}

int Fail(std::uint64_t seed, const RunResult& result) {
  std::fputs(result.journal.c_str(), stdout);
  absl::PrintF("\nseed %d failed:\n", seed);
  for (const std::string& problem : result.problems) {
    absl::PrintF("  %s\n", problem);
  }
  absl::PrintF("rerun with ./dev sim --seed %d\n", seed);
  return 1;
}

int Run(const Command& command) {
  using Seconds = std::chrono::duration<double>;
  const auto started = std::chrono::steady_clock::now();
  const std::uint64_t first = command.seed > 0 ? command.seed : command.first;
  const std::uint64_t count = command.seed > 0 ? 1 : command.seeds;
  RunResult total;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    RunResult result = Simulate(seed, OptionsFor(seed, command));
    if (command.twice &&
        Simulate(seed, OptionsFor(seed, command)).trace_hash != result.trace_hash) {
      result.problems.push_back("the same seed gave two traces");
    }
    if (!result.problems.empty()) return Fail(seed, result);
    if (command.seed > 0) {
      std::fputs(result.journal.c_str(), stdout);
      absl::PrintF("trace %s\n", result.trace_hash);
    }
    total.writes += result.writes;
    total.samples += result.samples;
    total.conflicts += result.conflicts;
    total.events += result.events;
    total.bytes += result.bytes;
    total.simulated += result.simulated;
  }
  const double real = Seconds(std::chrono::steady_clock::now() - started).count();
  const double simulated = Seconds(total.simulated).count();
  absl::PrintF(
      "%d seeds without a problem: %d writes, %d samples with %d conflicts, %d events, "
      "%d MiB carried\n",
      count, total.writes, total.samples, total.conflicts, total.events,
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
  app.add_option("--nodes", command.nodes, "peers of each world (2 to 12)")
      ->check(CLI::Range(2, 12));
  app.add_option("--ops", command.ops, "writes tried in each world");
  app.add_option("--bug", command.bug, "plant a bug, which must be found")
      ->check(CLI::IsMember({"sync-lies", "half-batch"}));
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
