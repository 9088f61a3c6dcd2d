// A Byzantine workload: a world in which some write one log in several places.
//
// The last peers of the world are liars: their stores are backed up and put back, and
// copies of them run beside them, so that one log gets branches, of any length, told to
// different peers while these are apart. Meanwhile an admin and the founder remove
// writers and let them in again beside their writes, hosts crash, and clocks jump by
// ten years. All programs are the real one: what is dishonest is what their disks went
// through.
//
// In the end all hosts, those of the liars too, must agree on everything (I1, I12,
// I13), each view must be what the logs alone give (I2), nobody may have found a fork
// in the log of an honest peer (I4), and what an honest peer wrote that was never
// removed must stand or be overruled by what has effect itself (I3, G1).

#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/sim/checker.h"
#include "tests/sim/workload.h"
#include "tests/sim/world.h"

namespace weft::sim {

class Byzantine {
 public:
  // None is owned.
  Byzantine(World* world, Checker* checker, std::uint64_t seed,
            const WorkloadOptions& options);

  // Writes until so many writes were tried, or a problem was found.
  void Run();
  // After World::RunUntilLevel.
  void CheckEnd();

  std::uint64_t steps() const { return steps_.done(); }
  std::uint64_t writes() const { return writes_.size(); }

 private:
  // A commit that was acknowledged.
  struct Said {
    std::size_t person = 0;
    std::vector<OpName> ops;
  };

  void LetIn();
  void Step();
  void Misfortune();
  void Recover();
  void Split(std::set<std::size_t> side);
  void PutBack(std::size_t liar);
  bool IsHeadAloneOf(std::size_t liar) const;
  void CopyHost(std::size_t liar);
  void ChangeRights();
  void Revoke(std::size_t by, std::size_t whom);
  void LetInAgain(std::size_t by, std::size_t whom);
  void CannotHoldToIt(std::size_t person);

  void Write(std::size_t host);
  Batch NextBatch(std::size_t host);
  void AddGroup(std::size_t host, Batch& batch);
  bool IsReadable(std::size_t host, const std::string& key) const;
  void CheckRefusal(std::size_t host, const absl::Status& why);

  std::string FateText(std::size_t host, const OpName& op);
  void CheckFates();
  void CheckPromise(const Said& said);

  bool IsLiar(std::size_t person) const { return person >= first_liar_; }
  std::size_t SomeLiar() { return first_liar_ + random_.Below(people_ - first_liar_); }
  std::optional<std::size_t> SomeHostUp();

  World* world_;
  Checker* checker_;
  WorkloadOptions options_;
  Steps steps_;
  SimRandom random_{0};  // of the step that is being made
  std::size_t people_ = 0;
  std::size_t first_liar_ = 0;
  std::vector<std::size_t> person_of_;          // by host
  std::set<std::size_t> backed_up_;             // hosts
  std::set<std::size_t> let_in_by_admin_;       // people
  std::set<std::size_t> removed_;               // people, ever
  std::map<std::size_t, std::uint64_t> wrote_;  // hosts, in which of their lives
  std::vector<Said> writes_;
  std::uint64_t tokens_ = 0;
  std::size_t refused_ = 0;
  bool split_ = false;
};

}  // namespace weft::sim
