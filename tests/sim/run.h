// One run of the simulator: a world, a workload and a checker, all from one seed.
//
// A run is honest, or Byzantine: then some peers write one log in several places
// (tests/sim/byzantine.h). It is long, for looking deep, or short, for looking at many.
// What the seed says of a run can be changed, by hand or by the minimiser, and every
// run can be told as the command line that repeats it.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tests/sim/workload.h"
#include "tests/sim/world.h"

namespace weft::sim {

enum class RunKind { kHonest, kByzantine };
enum class RunSize { kLong, kShort };

struct RunOptions {
  WorldOptions world;
  WorkloadOptions workload;
  bool late_reader = false;  // one more peer joins at the end, and must end equal
};

struct RunResult {
  std::vector<std::string> problems;
  std::string trace_hash;
  std::string journal;
  std::uint64_t steps = 0;   // of the workload
  std::uint64_t writes = 0;  // acknowledged
  std::uint64_t samples = 0;
  std::uint64_t conflicts = 0;  // keys with conflicts seen, over all samples
  std::uint64_t forks = 0;  // logs that the founder knows to have forked, in the end
  std::uint64_t events = 0;
  std::uint64_t bytes = 0;  // over the network
  Nanos simulated{0};
};

// What a seed means; a third of them are Byzantine.
RunKind KindOf(std::uint64_t seed);
RunOptions OptionsOf(std::uint64_t seed, RunSize size, RunKind kind);
// Of the same options the same run.
RunResult Simulate(std::uint64_t seed, const RunOptions& options);

// A run as a person asks for it.
struct RunOrder {
  std::uint64_t seed = 1;
  RunSize size = RunSize::kLong;
  std::optional<RunKind> kind;                      // absent: as the seed says
  std::size_t peers = 0;                            // 0: as the seed says
  std::size_t writes = 0;                           // 0: as the seed says
  std::vector<std::string> without;                 // names of FaultNames
  std::optional<std::vector<std::uint64_t>> steps;  // these only
  PlantedBug bug = PlantedBug::kNone;
};
RunOptions OptionsOf(const RunOrder& order);
inline RunResult Simulate(const RunOrder& order) {
  return Simulate(order.seed, OptionsOf(order));
}
// The command that repeats it.
std::string CommandOf(const RunOrder& order);

// What can go wrong in a run and can be switched off, one by one.
std::vector<std::string> FaultNames();
// Whether it can happen in a run of these options.
bool HasFault(const RunOptions& options, const std::string& name);

// The names of planted bugs on the command line; "" is no bug.
std::vector<std::string> BugNames();
PlantedBug BugOf(const std::string& name);

// "3-5,9" and [3, 4, 5, 9]; nullopt if it is no such text.
std::string StepsText(const std::vector<std::uint64_t>& steps);
std::optional<std::vector<std::uint64_t>> ParseSteps(const std::string& text);

}  // namespace weft::sim
