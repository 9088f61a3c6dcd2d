// A workload: what people and bad luck do to a world, drawn from its seed.
//
// Everybody writes to few keys, so that they meet: values, rows of a table, groups that
// are written together. Meanwhile hosts die at any point, also inside a write to their
// disk, lines are cut or go silent, clocks step and disks fill up. After every step
// somebody reads, and the checker looks on.

#pragma once

#include <set>
#include <string>

#include "tests/sim/checker.h"
#include "tests/sim/world.h"

namespace weft::sim {

struct WorkloadOptions {
  std::size_t writes = 150;
  bool crashes = true;
  bool partitions = true;
  bool disk_faults = true;
  bool clock_steps = true;
  // Some batches of several blocks; then nobody dies inside a write, where only the
  // names of batches of one block can be guessed.
  bool fat_batches = false;
};

class Workload {
 public:
  // Neither is owned.
  Workload(World* world, Checker* checker, const WorkloadOptions& options)
      : world_(world), checker_(checker), options_(options), random_(world->random()) {}

  // Writes until so many writes were tried, or a problem was found.
  void Run();

 private:
  void Step();
  void Misfortune();
  void Recover();
  void CutSome();
  void Write(std::size_t peer);
  Batch NextBatch(std::size_t peer);
  void AddPut(std::size_t peer, Batch& batch);
  void AddDelete(std::size_t peer, Batch& batch);
  void AddRecordOp(std::size_t peer, Batch& batch);
  void AddGroup(std::size_t peer, Batch& batch);
  Datum NextValue(std::size_t peer);
  std::string NextKey();
  std::optional<Entry> Read(std::size_t peer, const std::string& key) const;
  std::size_t SomePeer() { return random_.Below(world_->size()); }
  std::optional<std::size_t> SomePeerUp();
  std::size_t CountUp() const;

  World* world_;
  Checker* checker_;
  WorkloadOptions options_;
  SimRandom& random_;
  std::set<std::string> used_;  // keys of the batch that is being made
  std::size_t tried_ = 0;
  std::size_t granted_ = 0;
  std::uint64_t tokens_ = 0;
  bool cut_ = false;
};

// A world with one workload from start to end; the same seed gives the same.
struct RunOptions {
  WorldOptions world;
  WorkloadOptions workload;
  bool late_reader = false;  // one more peer joins at the end, and must end equal
};
struct RunResult {
  std::vector<std::string> problems;
  std::string trace_hash;
  std::string journal;
  std::uint64_t writes = 0;  // acknowledged
  std::uint64_t samples = 0;
  std::uint64_t conflicts = 0;  // keys with conflicts seen, over all samples
  std::uint64_t events = 0;
  std::uint64_t bytes = 0;  // over the network
  Nanos simulated{0};
};
// What a seed means: sizes and faults vary with it.
RunOptions OptionsOf(std::uint64_t seed);
RunResult Simulate(std::uint64_t seed, const RunOptions& options);

}  // namespace weft::sim
