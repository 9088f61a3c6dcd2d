#include "tests/sim/run.h"

#include <algorithm>
#include <charconv>
#include <iterator>

#include "absl/strings/str_format.h"
#include "tests/sim/byzantine.h"
#include "tests/sim/checker.h"

namespace weft::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

struct Fault {
  const char* name;
  bool (*is_on)(const RunOptions& options);
  void (*switch_off)(RunOptions& options);
};

constexpr Fault kFaults[] = {
    {"late-reader", [](const RunOptions& o) { return o.late_reader; },
     [](RunOptions& o) { o.late_reader = false; }},
    {"fat-batches", [](const RunOptions& o) { return o.workload.fat_batches; },
     [](RunOptions& o) { o.workload.fat_batches = false; }},
    {"disk-faults", [](const RunOptions& o) { return o.workload.disk_faults; },
     [](RunOptions& o) { o.workload.disk_faults = false; }},
    {"clock-steps", [](const RunOptions& o) { return o.workload.clock_steps; },
     [](RunOptions& o) { o.workload.clock_steps = false; }},
    {"skew", [](const RunOptions& o) { return o.world.skew_max > Nanos(0); },
     [](RunOptions& o) { o.world.skew_max = Nanos(0); }},
    {"lateness", [](const RunOptions& o) { return o.world.late_max > Nanos(0); },
     [](RunOptions& o) { o.world.late_max = Nanos(0); }},
    {"loss", [](const RunOptions& o) { return o.world.network.loss > 0; },
     [](RunOptions& o) { o.world.network.loss = 0; }},
    {"small-pieces",
     [](const RunOptions& o) {
       return o.world.network.piece_bytes_max < NetworkFaults().piece_bytes_max;
     },
     [](RunOptions& o) {
       o.world.network.piece_bytes_max = NetworkFaults().piece_bytes_max;
     }},
    {"silent-crashes",
     [](const RunOptions& o) { return o.world.network.silent_crash > 0; },
     [](RunOptions& o) { o.world.network.silent_crash = 0; }},
    {"partitions", [](const RunOptions& o) { return o.workload.partitions; },
     [](RunOptions& o) { o.workload.partitions = false; }},
    {"crashes", [](const RunOptions& o) { return o.workload.crashes; },
     [](RunOptions& o) { o.workload.crashes = false; }},
    {"revocations",
     [](const RunOptions& o) { return o.workload.liars > 0 && o.workload.revocations; },
     [](RunOptions& o) { o.workload.revocations = false; }},
    {"restores",
     [](const RunOptions& o) { return o.workload.liars > 0 && o.workload.restores; },
     [](RunOptions& o) { o.workload.restores = false; }},
    {"copies",
     [](const RunOptions& o) { return o.workload.liars > 0 && o.workload.copies; },
     [](RunOptions& o) { o.workload.copies = false; }},
};

const Fault* FindFault(const std::string& name) {
  const auto* const found =
      std::find_if(std::begin(kFaults), std::end(kFaults),
                   [&name](const Fault& fault) { return fault.name == name; });
  return found == std::end(kFaults) ? nullptr : found;
}

struct NamedBug {
  const char* name;
  PlantedBug bug;
};

constexpr NamedBug kBugs[] = {
    {"", PlantedBug::kNone},
    {"sync-lies", PlantedBug::kSyncLies},
    {"half-batch", PlantedBug::kLastOpOfBatchLost},
    {"fork-proofs", PlantedBug::kForkProofsLost},
};

void MakeByzantine(SimRandom& random, RunSize size, RunOptions* options) {
  WorkloadOptions& workload = options->workload;
  const bool is_short = size == RunSize::kShort;
  options->world.honest = false;
  options->world.peers = is_short ? 3 + random.Below(2) : 4 + random.Below(3);
  workload.liars = options->world.peers > 3 && random.Chance(0.4) ? 2 : 1;
  workload.writes = is_short ? 8 + random.Below(8) : 30 + random.Below(60);
  workload.disk_faults = false;
  workload.fat_batches = false;
  workload.revocations = random.Chance(0.6);
  workload.restores = random.Chance(0.8);
  workload.copies = !workload.restores || random.Chance(0.6);
}

RunResult ResultOf(World& world, const Checker& checker, Nanos started) {
  RunResult result;
  result.problems = world.problems();
  result.trace_hash = world.TraceHash();
  result.journal = world.Journal();
  result.samples = checker.samples();
  result.conflicts = checker.conflicts();
  const bool is_whole = world.IsUp(0) && world.base(0) != nullptr;
  if (is_whole) result.forks = world.base(0)->indexer()->Forks().size();
  result.events = world.events();
  result.bytes = world.network().bytes_carried();
  result.simulated = world.now() - started;
  return result;
}

// From the end of the workload on: everybody must become equal.
void LevelOut(World& world, const RunOptions& options) {
  if (!world.problems().empty()) return;
  world.Heal();
  if (options.late_reader) {
    const absl::StatusOr<std::size_t> reader = world.AddReader();
    if (!reader.ok()) world.Problem("late: " + reader.status().ToString());
  }
  if (world.problems().empty() && !world.RunUntilLevel(minutes(10))) {
    world.NoteVersions();
    world.Problem("I12: not level ten minutes after the last fault");
  }
}

}  // namespace

RunKind KindOf(std::uint64_t seed) {
  return seed % 3 == 0 ? RunKind::kByzantine : RunKind::kHonest;
}

RunOptions OptionsOf(std::uint64_t seed, RunSize size, RunKind kind) {
  // Apart from the world's own randomness, so that options may change without it.
  SimRandom random(seed ^ 0x9e3779b97f4a7c15);
  const bool is_short = size == RunSize::kShort;
  RunOptions options;
  options.world.peers = is_short ? 2 + random.Below(2) : 5 + random.Below(3);
  options.world.dials = 1 + random.Below(options.world.peers);
  options.world.network.delay_mean = milliseconds(1 + random.Below(40));
  options.world.network.loss = random.Chance(0.5) ? 0.005 : 0;
  options.world.network.piece_bytes_max = random.Chance(0.2) ? 100 : 4096;
  options.world.network.silent_crash = random.Chance(0.5) ? 0.5 : 0;
  options.world.skew_max = random.Chance(0.3) ? minutes(600) : seconds(2);
  options.workload.writes = is_short ? 6 + random.Below(7) : 100 + random.Below(201);
  options.workload.crashes = !random.Chance(0.1);
  options.workload.partitions = !random.Chance(0.1);
  options.workload.disk_faults = random.Chance(0.3);
  options.workload.fat_batches = random.Chance(is_short ? 0.02 : 0.1);
  options.late_reader = random.Chance(is_short ? 0.1 : 0.25);
  if (kind == RunKind::kByzantine) MakeByzantine(random, size, &options);
  SimRandom late(~seed);
  if (late.Chance(0.3)) options.world.late_max = milliseconds(1 + late.Below(10));
  return options;
}

RunResult Simulate(std::uint64_t seed, const RunOptions& options) {
  World world(seed, options.world);
  Checker checker(&world);
  const Nanos started = world.now();
  const absl::Status status = world.Start();
  if (!status.ok()) world.Problem("start: " + status.ToString());
  std::uint64_t steps = 0;
  std::uint64_t writes = 0;
  if (status.ok() && options.workload.liars > 0) {
    Byzantine byzantine(&world, &checker, seed, options.workload);
    byzantine.Run();
    LevelOut(world, options);
    if (world.problems().empty()) byzantine.CheckEnd();
    steps = byzantine.steps();
    writes = byzantine.writes();
  } else if (status.ok()) {
    Workload workload(&world, &checker, seed, options.workload);
    workload.Run();
    LevelOut(world, options);
    if (world.problems().empty()) checker.CheckEnd();
    steps = workload.steps();
    for (const WriteRecord& write : world.writes()) {
      writes += write.state == WriteRecord::State::kAcknowledged;
    }
  }
  RunResult result = ResultOf(world, checker, started);
  result.steps = steps;
  result.writes = writes;
  return result;
}

// --- orders ---

RunOptions OptionsOf(const RunOrder& order) {
  RunOptions options =
      OptionsOf(order.seed, order.size, order.kind.value_or(KindOf(order.seed)));
  if (order.peers > 0) options.world.peers = order.peers;
  if (options.workload.liars > 0) {
    options.world.peers = std::max<std::size_t>(options.world.peers, 2);
    options.workload.liars = std::min(options.workload.liars, options.world.peers - 1);
  }
  if (order.writes > 0) options.workload.writes = order.writes;
  for (const std::string& name : order.without) {
    if (const Fault* fault = FindFault(name)) fault->switch_off(options);
  }
  options.workload.steps = order.steps;
  options.world.bug = order.bug;
  return options;
}

std::string CommandOf(const RunOrder& order) {
  std::string command = absl::StrFormat("./dev sim --seed %d", order.seed);
  if (order.size == RunSize::kShort) command += " --short";
  if (order.kind) {
    command += *order.kind == RunKind::kHonest ? " --kind honest" : " --kind byzantine";
  }
  if (order.peers > 0) command += absl::StrFormat(" --nodes %d", order.peers);
  if (order.writes > 0) command += absl::StrFormat(" --ops %d", order.writes);
  for (std::size_t i = 0; i < order.without.size(); ++i) {
    command += (i == 0 ? " --without " : ",") + order.without[i];
  }
  if (order.steps) command += " --steps " + StepsText(*order.steps);
  for (const NamedBug& named : kBugs) {
    const bool is_it = order.bug == named.bug && named.bug != PlantedBug::kNone;
    if (is_it) command += std::string(" --bug ") + named.name;
  }
  return command;
}

std::vector<std::string> FaultNames() {
  std::vector<std::string> names;
  for (const Fault& fault : kFaults) names.emplace_back(fault.name);
  return names;
}

bool HasFault(const RunOptions& options, const std::string& name) {
  const Fault* const fault = FindFault(name);
  return fault != nullptr && fault->is_on(options);
}

std::vector<std::string> BugNames() {
  std::vector<std::string> names;
  for (const NamedBug& named : kBugs) names.emplace_back(named.name);
  return names;
}

PlantedBug BugOf(const std::string& name) {
  for (const NamedBug& named : kBugs) {
    if (name == named.name) return named.bug;
  }
  return PlantedBug::kNone;
}

std::string StepsText(const std::vector<std::uint64_t>& steps) {
  if (steps.empty()) return "none";
  std::string text;
  for (std::size_t i = 0; i < steps.size();) {
    std::size_t last = i;
    while (last + 1 < steps.size() && steps[last + 1] == steps[last] + 1) ++last;
    if (!text.empty()) text += ",";
    text += absl::StrFormat("%d", steps[i]);
    if (last > i) text += absl::StrFormat("-%d", steps[last]);
    i = last + 1;
  }
  return text;
}

std::optional<std::vector<std::uint64_t>> ParseSteps(const std::string& text) {
  constexpr std::uint64_t kMost = 1'000'000;
  std::vector<std::uint64_t> steps;
  if (text == "none") return steps;
  const char* at = text.data();
  const char* const end = at + text.size();
  const auto number = [&](std::uint64_t* value) {
    const auto read = std::from_chars(at, end, *value);
    at = read.ptr;
    return read.ec == std::errc() && *value < kMost;
  };
  for (;;) {
    std::uint64_t first = 0;
    if (!number(&first)) return std::nullopt;
    std::uint64_t last = first;
    if (at != end && *at == '-' && (++at, !number(&last))) return std::nullopt;
    if (last < first || (!steps.empty() && first <= steps.back())) return std::nullopt;
    for (std::uint64_t step = first; step <= last; ++step) steps.push_back(step);
    if (at == end) return steps;
    if (*at++ != ',') return std::nullopt;
  }
}

}  // namespace weft::sim
