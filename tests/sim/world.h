// A world: whole stores with names, each on a disk of its own that survives its
// crashes, on one simulated network, under one clock, in one thread, from one seed.
//
// The first peer founds a base, the others join by link and are granted the writer
// role. Writes take the path of the public API: logged, synced, told, acknowledged, and
// the process may die between any two of these. The world remembers every write and
// what its author had seen, which is what the checker (tests/sim/checker.h) compares
// the stores with. What happens is written into a journal for people and into a hash:
// same seed, same hash, on every build.

#pragma once

#include <asio/io_context.hpp>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "crdt/version.h"
#include "tests/sim/mortal_storage.h"
#include "tests/sim/sim_clock.h"
#include "tests/sim/sim_network.h"
#include "tests/sim/sim_random.h"
#include "tests/sim/sim_storage.h"
#include "weft/node.h"

namespace weft::sim {

// Bugs that the checker must find, planted here and not in the product.
enum class PlantedBug {
  kNone,
  kSyncLies,           // disks say that they have synced and have not
  kLastOpOfBatchLost,  // readers miss the last op of others' batches
  kForkProofsLost,     // proofs of forks are not kept, and so not passed on
};

struct WorldOptions {
  std::size_t peers = 5;
  NetworkFaults network;
  // How many of the peers before it a peer dials; at least one, at most all.
  std::size_t dials = 2;
  Nanos skew_max{0};  // wall clocks are off by up to this, either way
  // What runs takes up to this long now and then. What falls due meanwhile has its turn
  // before what that has posted; else nothing falls due while anything is to be run.
  Nanos late_max{0};
  PlantedBug bug = PlantedBug::kNone;
  // Nobody cheats, so that whoever finds fault with any feed is wrong. Otherwise only
  // who finds fault with the log of an honest peer.
  bool honest = true;
};

// One commit, as its author and the world remember it.
struct WriteRecord {
  enum class State {
    kAcknowledged,  // never lost
    kUnknown,       // the author died before it could say; kept or not, but whole
    kLost,          // the author came back without it
  };
  std::size_t peer = 0;
  CoreKey writer;
  Batch batch;
  std::vector<LaneMask> removed_lanes;  // by change: what a delete names
  std::vector<OpName> ops;              // by change
  std::uint64_t first = 0;              // blocks [first, end) of the log
  std::uint64_t end = 0;
  VersionVector seen;  // the whole batches that the author had indexed
  Nanos wall{0};       // on the author's wall clock
  State state = State::kUnknown;
};

// Where the author of a write dies.
enum class DeathPoint { kNever, kBeforeSync, kBeforeTelling, kBeforeAnswer };

// Whether a world may give a peer this name; a colon may stand behind it.
bool IsPeerName(std::string_view word);

class World {
 public:
  World(std::uint64_t seed, const WorldOptions& options);
  ~World();
  World(const World&) = delete;

  // Everybody has joined the founder's base; nobody may write in it yet.
  absl::Status Start();
  // The founder grants the peer the writer role, durably; the peer need not know yet.
  // UNAVAILABLE  the founder is down
  absl::Status Grant(std::size_t peer);
  // Start, and grant them all.
  absl::Status StartGranted();

  // --- time ---
  void RunFor(Nanos duration);
  Nanos now() const { return clock_.Now(); }

  // --- peers, by number; the founder is 0 ---
  std::size_t size() const { return peers_.size(); }
  const std::string& NameOf(std::size_t peer) const { return peers_[peer]->name; }
  bool IsUp(std::size_t peer) const { return peers_[peer]->life != nullptr; }
  // How often it was started.
  std::uint64_t LivesOf(std::size_t peer) const { return peers_[peer]->lives; }
  // Null while it is down.
  Node* node(std::size_t peer) const;
  BaseNode* base(std::size_t peer) const;
  const CoreKey& WriterOf(std::size_t peer) const { return peers_[peer]->writer; }
  // One more, which follows the base and is granted nothing.
  absl::StatusOr<std::size_t> AddReader();

  // --- writing ---
  // OK only if the write is acknowledged.
  // PERMISSION_DENIED  the author does not know of its grant yet
  absl::Status Commit(std::size_t peer, const Batch& batch,
                      DeathPoint death = DeathPoint::kNever);
  const std::vector<WriteRecord>& writes() const { return writes_; }
  // Blocks of its own log that the peer has acknowledged to somebody.
  std::uint64_t AckedLength(std::size_t peer) const { return peers_[peer]->acked; }

  // --- reading ---
  // What a forward scan of everything shows.
  absl::StatusOr<std::vector<Entry>> Dump(std::size_t peer) const;
  bool plants_a_bug_in_reads() const {
    return options_.bug == PlantedBug::kLastOpOfBatchLost;
  }

  // --- faults ---
  void Crash(std::size_t peer);
  // Closes the store in order: nothing is lost, and peers hear of it.
  void Stop(std::size_t peer);
  // Writes back the view; unless `settled`, a crash may still lose it.
  void FlushView(std::size_t peer, bool settled);
  // Dies in its n-th write to the disk from now.
  void CrashInWrite(std::size_t peer, std::uint64_t n, bool taken);
  void Restart(std::size_t peer);
  void Partition(std::size_t a, std::size_t b);
  void Stall(std::size_t from, std::size_t to);
  void StepClock(std::size_t peer, Nanos by);
  // The disk fails from its n-th write on until the peer is crashed and started again.
  void FailDisk(std::size_t peer, std::uint64_t n, DiskFault fault);
  std::optional<DiskFault> DiskFaultOf(std::size_t peer) const {
    return peers_[peer]->disk_fault;
  }
  // Keeps the disk as it is now, to be put back later over all that came since.
  void BackUp(std::size_t peer);
  void RestoreBackup(std::size_t peer);
  // One more host, on a copy of that disk: it has the same identity.
  absl::StatusOr<std::size_t> CloneHost(std::size_t peer);
  // Durable writes outside the world's memory and the checker's: their author may fork,
  // or be removed.
  absl::StatusOr<Committed> Say(std::size_t peer, const Batch& batch);
  absl::StatusOr<Committed> Say(std::size_t peer,
                                std::span<const AuthOperation> operations);
  absl::StatusOr<OpName> Say(std::size_t peer, const std::string& key,
                             const std::string& value);
  // Its log was not written in two places, as far as the world knows.
  bool IsHonest(std::size_t peer) const { return peers_[peer]->honest; }
  // Ends all partitions, stalls, losses and disk faults, and starts all who are down.
  void Heal();
  // Runs until all who are up have one digest and nothing to do, and all who are
  // connected have told each other so. False if that took longer than `limit`.
  bool RunUntilLevel(Nanos limit);
  // Of everybody, in one line.
  std::string Digests() const;
  // What everybody knows of every log, into the journal.
  void NoteVersions();

  // --- what happened ---
  SimRandom& random() { return random_; }
  SimNetwork& network() { return network_; }
  void Note(const std::string& line);
  // Something that must never be.
  void Problem(const std::string& what);
  const std::vector<std::string>& problems() const { return problems_; }
  std::string Journal() const;
  std::string TraceHash() const { return ToHex(trace_.view()); }
  std::uint64_t events() const { return events_; }

 private:
  // The clock on the wall of one peer, which may be wrong and may step.
  class WallClock final : public AsyncClock {
   public:
    WallClock(SimClock* clock, Nanos skew) : clock_(clock), skew_(skew) {}
    Nanos Now() const override { return clock_->Now() + skew_; }
    Nanos Steady() const override { return clock_->Steady(); }
    Task<void> Sleep(Nanos duration) override { return clock_->Sleep(duration); }
    void Step(Nanos by) { skew_ += by; }

   private:
    SimClock* clock_;
    Nanos skew_;
  };

  // From one start to the next crash. What the process left on the executor may touch
  // these later, so that they are kept; only the node goes.
  struct Life {
    Life(Storage* disk, std::uint64_t seed) : storage(disk), random(seed) {}
    MortalStorage storage;
    SimRandom random;
    std::unique_ptr<Network> network;
    std::unique_ptr<Node> node;
    bool dying = false;
  };

  struct Peer {
    std::string name;
    std::unique_ptr<SimStorage> disk;
    std::unique_ptr<SimStorage> backup;
    std::unique_ptr<WallClock> clock;
    std::vector<std::string> dials;
    CoreKey writer;
    std::uint64_t acked = 0;  // blocks of its log
    std::optional<DiskFault> disk_fault;
    bool honest = true;
    bool granted = false;      // by the founder
    bool knows_grant = false;  // in this life: it has written
    std::uint64_t lives = 0;
    std::unique_ptr<Life> life;
  };

  absl::Status AddPeer();
  absl::Status Boot(std::size_t number);
  absl::Status JoinByLink(Peer& peer);
  void Connect(Peer& peer);
  void CheckRecovered(std::size_t number);
  // What the author's next block will name: logs up to their last whole batch.
  VersionVector SeenBy(std::size_t number) const;
  // What is known of a write before it is made; its names and its end are guesses.
  WriteRecord Remember(std::size_t number, const Batch& batch) const;
  absl::Status Finish(std::size_t number, WriteRecord record, DeathPoint death);
  absl::Status Die(std::size_t number, WriteRecord record);
  absl::Status Refused(Peer& peer, const absl::Status& why);
  absl::StatusOr<Committed> Told(std::size_t number,
                                 absl::StatusOr<Committed> committed,
                                 const std::string& what);
  void CheckFault(const std::string& name, const std::string& line);
  void Poll();
  void PollUntil(Nanos until);
  void BeLate(Nanos until);
  bool AllHaveTold() const;
  void Trace(std::string_view kind, std::string_view who, ByteView what);

  WorldOptions options_;
  SimRandom random_;
  SimRandom late_random_;  // its own: the rest of a seed is as it is without lateness
  asio::io_context io_{1};
  SimClock clock_;
  SimNetwork network_;
  std::vector<std::unique_ptr<SimStorage>> old_disks_;  // whose lives are buried
  std::vector<std::unique_ptr<Life>> buried_;
  std::vector<std::unique_ptr<Peer>> peers_;
  std::optional<Link> link_;
  std::vector<WriteRecord> writes_;
  std::vector<std::string> journal_;
  std::vector<std::string> problems_;
  Hash32 trace_;
  std::uint64_t events_ = 0;
};

// The view anew from the logs, against the one that the base has.
absl::Status Verify(BaseNode& base);

}  // namespace weft::sim
