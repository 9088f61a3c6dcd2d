// The checker: what must hold of the stores of a world, at every moment and at the end.
// Everything it finds becomes a problem of the world (World::Problem), with the number
// of the rule or guarantee it breaks.
//
// At every moment, on one replica: it shows exactly what the model computes from the
// logs it has (D1, D8, D11, I11, G5, G8), never goes back (C5), shows groups of keys
// that are only written together as one, and has the same root as any replica that ever
// had its version (I1, G2); and no log has two contents of one length (I4).
// At the end: equal versions, roots and contents (I12), every acknowledged op has a
// fate that names what became of it (I3, G1), clocks of logs rise (I9), and the logs
// alone give the same view (I2).

#pragma once

#include <map>
#include <string>
#include <utility>

#include "tests/sim/model.h"
#include "tests/sim/world.h"

namespace weft::sim {

// Keys that are only ever put, with one token, or deleted, together: `group/G/I`.
inline constexpr std::size_t kGroupKeys = 4;
std::string GroupKey(std::uint64_t group, std::size_t place);

class Checker {
 public:
  explicit Checker(World* world) : world_(world) {}  // not owned

  // One peer that is up, now.
  void Sample(std::size_t peer);
  // The same without what needs the world to remember all writes, for Byzantine runs:
  // groups whole, all reads alike, one version, one root and content.
  void SampleByzantine(std::size_t peer);
  // Everybody who is up, after World::RunUntilLevel.
  void CheckEnd();

  std::uint64_t samples() const { return samples_; }
  // Keys with conflicts, over all samples.
  std::uint64_t conflicts() const { return conflicts_; }

 private:
  void CheckMonotonic(std::size_t peer, const VersionVector& held);
  void CheckGroups(std::size_t peer, const std::vector<Entry>& entries);
  void CheckOtherReads(std::size_t peer, const std::vector<Entry>& entries);
  void CheckPure(std::size_t peer, const std::vector<Entry>& entries);
  void CheckNoFork(std::size_t peer);
  void CheckFates(std::size_t peer);
  void CheckPutFate(std::size_t peer, const Model& model, const ModelOp& op,
                    const Fate& fate);
  void CheckClocks(std::size_t peer);
  void Problem(std::size_t peer, const std::string& what);

  struct Shown {
    std::string root;
    std::string text;
  };
  struct Progress {
    std::uint64_t life = 0;
    VersionVector held;
  };

  World* world_;
  std::map<std::size_t, Progress> progress_;                    // by peer
  std::map<std::string, Shown> shown_;                          // by version digest
  std::map<std::pair<CoreKey, std::uint64_t>, TreeHash> told_;  // by writer and length
  std::uint64_t samples_ = 0;
  std::uint64_t conflicts_ = 0;
};

}  // namespace weft::sim
