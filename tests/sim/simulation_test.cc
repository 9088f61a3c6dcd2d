// Whole clusters, from seeds: what must hold whatever goes wrong (threats, F1 and F4;
// invariants I1 to I3, I9, I11, I12). A seed that failed once gets a test of its own.

#include <gtest/gtest.h>

#include "absl/strings/str_format.h"
#include "tests/sim/model.h"
#include "tests/sim/run.h"

namespace weft::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

// So many seeds of the fast tier: half a minute on one core, in shards for several.
// Sanitizers take ten times as long.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::uint64_t kSeeds = 16;
#else
constexpr std::uint64_t kSeeds = 80;
#endif
constexpr std::uint64_t kShards = 8;

RunOrder HonestRun(std::uint64_t seed) {
  RunOrder order;
  order.seed = seed;
  order.kind = RunKind::kHonest;
  return order;
}

std::string Told(std::uint64_t seed, const RunResult& result) {
  std::string text = "rerun with " + CommandOf(HonestRun(seed)) + "\n";
  for (const std::string& problem : result.problems) text += problem + "\n";
  return text;
}

class ManySeeds : public testing::TestWithParam<std::uint64_t> {};

TEST_P(ManySeeds, StoresAgreeAndLoseNothingWhateverHappens) {
  for (std::uint64_t seed = 1 + GetParam(); seed <= kSeeds; seed += kShards) {
    const RunResult result = Simulate(HonestRun(seed));
    ASSERT_TRUE(result.problems.empty()) << Told(seed, result);
    // A run that tests nothing is no run.
    ASSERT_GT(result.writes, 20U) << Told(seed, result);
    ASSERT_GT(result.samples, 10U) << Told(seed, result);
  }
}

INSTANTIATE_TEST_SUITE_P(Simulation, ManySeeds,
                         testing::Range<std::uint64_t>(0, kShards),
                         [](const auto& shard) {
                           return absl::StrFormat("Shard%d", shard.param);
                         });

TEST(Simulation, ConflictsDoHappenInIt) {
  std::uint64_t conflicts = 0;
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    conflicts += Simulate(HonestRun(seed)).conflicts;
  }
  EXPECT_GT(conflicts, 20U);
}

TEST(Simulation, TheSameSeedGivesTheSameTraceAndAnotherSeedAnother) {
  std::set<std::string> traces;
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    const RunResult first = Simulate(HonestRun(seed));
    const RunResult second = Simulate(HonestRun(seed));
    EXPECT_EQ(first.trace_hash, second.trace_hash) << Told(seed, first);
    EXPECT_EQ(first.journal, second.journal) << Told(seed, first);
    traces.insert(first.trace_hash);
  }
  EXPECT_EQ(traces.size(), 4U);
}

// The canaries: a run in which nobody finds a planted bug is red.

std::uint64_t SeedsUntilFound(PlantedBug bug) {
  constexpr std::uint64_t kMost = 8;
  for (std::uint64_t seed = 1; seed <= kMost; ++seed) {
    RunOptions options = OptionsOf(HonestRun(seed));
    options.world.bug = bug;
    options.workload.crashes = true;
    if (!Simulate(seed, options).problems.empty()) return seed;
  }
  return UINT64_MAX;
}

TEST(SimulationCanary, ADiskThatLiesAboutSyncingIsFoundWithinEightSeeds) {
  EXPECT_LE(SeedsUntilFound(PlantedBug::kSyncLies), 8U);
}

TEST(SimulationCanary, ABatchThatLosesItsLastOpIsFoundWithinEightSeeds) {
  EXPECT_LE(SeedsUntilFound(PlantedBug::kLastOpOfBatchLost), 8U);
}

// Scenarios of their own.

void Write(World& world, std::size_t peer, const std::string& key,
           const std::string& value) {
  Batch batch;
  batch.Put(key, value);
  const absl::Status written = world.Commit(peer, batch);
  ASSERT_TRUE(written.ok()) << written << "\n" << world.Journal();
}

void ExpectEqualInTheEnd(World& world) {
  Checker checker(&world);
  world.Heal();
  EXPECT_TRUE(world.RunUntilLevel(minutes(10))) << world.Journal();
  checker.CheckEnd();
  for (const std::string& problem : world.problems()) ADD_FAILURE() << problem;
  if (!world.problems().empty()) std::puts(world.Journal().c_str());
}

TEST(Simulation, I12_TwoHalvesThatWereApartForLongEndEqual) {
  WorldOptions options;
  options.peers = 6;
  options.dials = 6;
  World world(1, options);
  ASSERT_TRUE(world.StartGranted().ok());
  ASSERT_TRUE(world.RunUntilLevel(minutes(1)));
  for (std::size_t a = 0; a < 3; ++a) {
    for (std::size_t b = 3; b < 6; ++b) world.Partition(a, b);
  }
  for (int round = 0; round < 200; ++round) {
    const std::size_t peer = world.random().Below(6);
    Write(world, peer, absl::StrFormat("key/%d", round % 17),
          absl::StrFormat("%s %d", world.NameOf(peer), round));
    world.RunFor(seconds(30));
  }
  const auto root = [&](std::size_t peer) { return world.base(peer)->Root()->root; };
  EXPECT_EQ(root(0), root(2));
  EXPECT_EQ(root(3), root(5));
  EXPECT_NE(root(0), root(5));
  ExpectEqualInTheEnd(world);
  const auto entries = world.Dump(0);
  ASSERT_TRUE(entries.ok());
  EXPECT_GT(std::count_if(entries->begin(), entries->end(),
                          [](const Entry& entry) { return entry.has_conflicts(); }),
            5);
}

TEST(Simulation, A1_OurOwnHeadIsToldToNobodyBeforeItIsOnTheDisk) {
  WorldOptions options;
  options.peers = 2;
  World world(3, options);
  ASSERT_TRUE(world.StartGranted().ok());
  ASSERT_TRUE(world.RunUntilLevel(minutes(1)));
  BaseNode& ada = *world.base(0);
  const CoreKey own = ada.record().identity;
  const std::uint64_t told = ada.Feeds().settled(own);
  Batch batch;
  batch.Put("k", Datum::Of(std::string_view("v")));
  ASSERT_TRUE(ada.CommitLogged(batch).ok());
  // The view has it, and a peer that comes now hears neither of it nor that this is
  // all.
  EXPECT_EQ(ada.Feeds().settled(own), told);
  EXPECT_FALSE(ada.Digest()->durable);
  ASSERT_TRUE(world.node(0)->cores().Sync().ok());
  world.RunFor(milliseconds(50));
  EXPECT_EQ(ada.Feeds().settled(own), told + 1);
  EXPECT_TRUE(ada.Digest()->durable);
}

TEST(Simulation, Attack29_ALogThatIsLongerElsewhereIsShownUntilItIsHere) {
  WorldOptions options;
  options.peers = 2;
  World world(4, options);
  ASSERT_TRUE(world.StartGranted().ok());
  ASSERT_TRUE(world.RunUntilLevel(minutes(1)));
  // Bob is told how long Ada's log is, and given none of what is new.
  Node& bob = *world.node(1);
  const auto behind = [&] { return bob.StatusOf(*world.base(1)).behind; };
  EXPECT_TRUE(behind().empty());
  FeedRule serves_only;
  serves_only.download = false;
  bob.policy().SetAll(serves_only);
  bob.PolicyChanged();
  const std::uint64_t here = world.base(1)->Feeds().settled(world.WriterOf(0));
  for (int i = 0; i < 3; ++i) Write(world, 0, "title", absl::StrFormat("draft %d", i));
  world.RunFor(seconds(30));
  ASSERT_EQ(behind().size(), 1U) << world.Journal();
  const std::string said =
      absl::StrFormat("%d blocks are here, a connected peer has %d", here, here + 3);
  EXPECT_NE(behind()[0].find(said), std::string::npos) << behind()[0];
  EXPECT_FALSE(world.Dump(1)->size() > 0) << "nothing was taken on trust";
  bob.policy().SetAll(FeedRule());
  bob.PolicyChanged();
  ExpectEqualInTheEnd(world);
  EXPECT_TRUE(behind().empty());
}

TEST(Simulation, APeerThatCrashesInTheMiddleOfItsFirstSyncResumesAndEndsEqual) {
  WorldOptions options;
  options.peers = 3;
  options.network.piece_bytes_max = 512;
  World world(2, options);
  ASSERT_TRUE(world.StartGranted().ok());
  ASSERT_TRUE(world.RunUntilLevel(minutes(1)));
  for (int i = 0; i < 150; ++i) {
    Write(world, static_cast<std::size_t>(i % 3), absl::StrFormat("key/%d", i),
          std::string(2000, 'x'));
  }
  ASSERT_TRUE(world.RunUntilLevel(minutes(1)));
  const absl::StatusOr<std::size_t> late = world.AddReader();
  ASSERT_TRUE(late.ok()) << late.status();
  const auto held = [&] {
    std::uint64_t blocks = 0;
    for (const FeedHead& head : world.base(*late)->HeldLengths())
      blocks += head.settled;
    return blocks;
  };
  std::uint64_t most = 0;
  int crashes = 0;
  for (int i = 0; i < 2000 && crashes < 5; ++i) {
    world.RunFor(milliseconds(20));
    if (held() <= most || held() >= 150) continue;
    most = held();
    ++crashes;
    world.Crash(*late);
    world.Restart(*late);
  }
  EXPECT_GE(crashes, 2) << world.Journal();
  ExpectEqualInTheEnd(world);
}

TEST(Simulation, AFullDiskLeavesAPeerReadableAndLosesNothingAcknowledged) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE(absl::StrFormat("seed %d", seed));
    WorldOptions options;
    options.peers = 3;
    World world(seed, options);
    ASSERT_TRUE(world.StartGranted().ok());
    ASSERT_TRUE(world.RunUntilLevel(minutes(1)));
    const std::size_t victim = 1;
    world.FailDisk(victim, 1 + world.random().Below(60), DiskFault::kFull);
    bool refused = false;
    for (int i = 0; i < 40; ++i) {
      Batch batch;
      batch.Put(absl::StrFormat("key/%d", i), absl::StrFormat("before %d", i));
      refused = !world.Commit(victim, batch).ok() || refused;
      Write(world, 2, absl::StrFormat("other/%d", i), "there");
      world.RunFor(milliseconds(200));
    }
    EXPECT_TRUE(refused) << world.Journal();
    // Reads go on, and show all that was acknowledged.
    const auto entries = world.Dump(victim);
    ASSERT_TRUE(entries.ok()) << entries.status();
    const Model model(world.writes(), world.base(victim)->indexer()->Settled());
    EXPECT_EQ(Difference(model, *entries), "");
    for (const WriteRecord& write : world.writes()) {
      if (write.peer != victim) continue;
      if (write.state != WriteRecord::State::kAcknowledged) continue;
      EXPECT_NE(model.Find(write.ops[0]), nullptr);
    }
    ExpectEqualInTheEnd(world);
  }
}

}  // namespace
}  // namespace weft::sim
