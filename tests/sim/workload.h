// A workload: what people and bad luck do to a world, drawn from its seed.
//
// Everybody writes to few keys, so that they meet: values, rows of a table, groups that
// are written together. Meanwhile hosts die at any point, also inside a write to their
// disk, lines are cut or go silent, clocks step and disks fill up. After every step
// somebody reads, and the checker looks on.

#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

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

  // Of Byzantine runs (tests/sim/byzantine.h).
  std::size_t liars = 0;  // so many of the peers, the last ones; 0: an honest run
  bool restores = true;   // their backups are put back
  bool copies = true;     // copies of their stores run beside them
  bool revocations = true;

  // Only these steps, whatever `writes` says: what the minimiser leaves.
  std::optional<std::vector<std::uint64_t>> steps;
};

// The steps of a run, one after the other. Each has randomness of its own, so that the
// others stay what they were when one is left out.
class Steps {
 public:
  Steps(std::uint64_t seed, const WorkloadOptions& options)
      : seed_(seed), options_(options) {}
  // The randomness of the next step; nullopt after the last, when so many writes were
  // tried.
  std::optional<SimRandom> Next(std::size_t tried);
  std::uint64_t done() const { return done_; }

 private:
  std::uint64_t seed_;
  const WorkloadOptions& options_;
  std::uint64_t done_ = 0;
};

// Uniform in [0, most).
Nanos Upto(SimRandom& random, Nanos most);

class Workload {
 public:
  // Neither is owned.
  Workload(World* world, Checker* checker, std::uint64_t seed,
           const WorkloadOptions& options)
      : world_(world), checker_(checker), options_(options), steps_(seed, options_) {}

  // Writes until so many writes were tried, or a problem was found.
  void Run();
  std::uint64_t steps() const { return steps_.done(); }

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
  Steps steps_;
  SimRandom random_{0};         // of the step that is being made
  std::set<std::string> used_;  // keys of the batch that is being made
  std::size_t tried_ = 0;
  std::size_t granted_ = 0;
  std::uint64_t tokens_ = 0;
  bool cut_ = false;
};

}  // namespace weft::sim
