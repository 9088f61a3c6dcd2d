// How fast does one core of 100 000 blocks of 100 bytes travel through the engine: made
// into proofs by one side, verified and stored by the other?
//
// ratio_to_limit: against hashing each block and one parent, and committing the same
// bytes in records of 64 blocks; for upgrades against verifying one signature.

#include <benchmark/benchmark.h>

#include "bench/log_fixture.h"

namespace weft::bench {
namespace {

constexpr std::size_t kBlockBytes = 100;
constexpr std::uint64_t kLength = 100000;
constexpr std::uint64_t kBatch = 1000;

std::shared_ptr<Hypercore> Fill(LogFixture& log) {
  const auto core = *log.cores->OpenNamed("bench");
  const Bytes block(kBlockBytes, 7);
  for (std::uint64_t i = 0; i < kLength; i += kBatch) {
    WEFT_CHECK(core->Append(Repeated(block, kBatch), Durability::kLogged).ok());
  }
  return core;
}

Proof UpgradeOf(const Hypercore& core) {
  ProofRequest request;
  request.upgrade = UpgradeRequest{0, core.length()};
  request.manifest = true;
  return *core.Prove(request);
}

// What a reader that fetches in order has to ask for: the levels above block i that
// none of the blocks before it brought.
std::uint64_t NodesInOrder(std::uint64_t i) {
  for (const std::uint64_t root : flat_tree::FullRoots(kLength)) {
    if (!flat_tree::Contains(root, 2 * i)) continue;
    const std::uint64_t within = i - flat_tree::LeftSpan(root) / 2;
    return static_cast<std::uint64_t>(within == 0 ? flat_tree::Depth(root)
                                                  : std::countr_zero(within));
  }
  return 0;
}

double HashLimit() {
  return 1 / (1 / LeafHashRate(kBlockBytes) + 1 / ParentHashRate());
}

void BM_ProveInOrder(benchmark::State& state) {
  LogFixture log;
  const auto core = Fill(log);
  const double limit = HashLimit();
  for (auto _ : state) {
    for (std::uint64_t i = 0; i < kLength; ++i) {
      auto proof = core->Prove({.block = BlockRequest{i, NodesInOrder(i)}});
      benchmark::DoNotOptimize(proof);
    }
  }
  const double done = static_cast<double>(state.iterations()) * kLength;
  state.SetItemsProcessed(static_cast<std::int64_t>(done));
  state.counters["ratio_to_limit"] =
      benchmark::Counter(done / limit, benchmark::Counter::kIsRate);
}
BENCHMARK(BM_ProveInOrder)->UseRealTime()->Unit(benchmark::kMillisecond);

void BM_ApplyInOrder(benchmark::State& state) {
  LogFixture source;
  const auto core = Fill(source);
  std::vector<Proof> proofs;
  for (std::uint64_t i = 0; i < kLength; ++i) {
    proofs.push_back(*core->Prove({.block = BlockRequest{i, NodesInOrder(i)}}));
  }
  const Proof upgrade = UpgradeOf(*core);
  LogFixture target;
  const double commit =
      BatchRate(*target.storage, kBatch / 50, 50 * kBlockBytes, Durability::kLogged) *
      50;
  const double limit = 1 / (1 / HashLimit() + 1 / commit);
  for (auto _ : state) {
    state.PauseTiming();
    target.cores->Purge(core->key()).IgnoreError();
    const auto reader = *target.cores->OpenRemote(core->key());
    state.ResumeTiming();
    WEFT_CHECK(reader->Apply(std::span<const Proof>(&upgrade, 1))->at(0).ok());
    for (std::uint64_t i = 0; i < kLength; i += kBatch) {
      const auto results =
          reader->Apply(std::span<const Proof>(proofs).subspan(i, kBatch));
      WEFT_CHECK(results.ok());
      for (const absl::Status& status : *results) WEFT_CHECK(status.ok());
    }
    WEFT_CHECK(reader->contiguous_length() == kLength);
  }
  const double done = static_cast<double>(state.iterations()) * kLength;
  state.SetItemsProcessed(static_cast<std::int64_t>(done));
  state.counters["ratio_to_limit"] =
      benchmark::Counter(done / limit, benchmark::Counter::kIsRate);
}
BENCHMARK(BM_ApplyInOrder)->UseRealTime()->Unit(benchmark::kMillisecond);

// The first sync of small cores: one proof brings the tree of ten blocks.
void BM_ApplyFirstUpgrade(benchmark::State& state) {
  LogFixture source;
  LogFixture target;
  std::vector<CoreKey> keys;
  std::vector<Proof> proofs;
  const Bytes block(kBlockBytes, 7);
  for (int i = 0; i < 1500; ++i) {
    const auto core = *source.cores->OpenNamed(std::to_string(i));
    WEFT_CHECK(core->Append(Repeated(block, 10), Durability::kLogged).ok());
    keys.push_back(core->key());
    proofs.push_back(UpgradeOf(*core));
  }
  const double limit = VerifyRate();
  for (auto _ : state) {
    state.PauseTiming();
    for (const CoreKey& key : keys) target.cores->Purge(key).IgnoreError();
    state.ResumeTiming();
    for (std::size_t i = 0; i < keys.size(); ++i) {
      const auto reader = *target.cores->OpenRemote(keys[i]);
      WEFT_CHECK(reader->Apply(std::span<const Proof>(&proofs[i], 1))->at(0).ok());
    }
  }
  const double done = static_cast<double>(state.iterations()) * 1500;
  state.SetItemsProcessed(static_cast<std::int64_t>(done));
  state.counters["ratio_to_limit"] =
      benchmark::Counter(done / limit, benchmark::Counter::kIsRate);
}
BENCHMARK(BM_ApplyFirstUpgrade)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace weft::bench

BENCHMARK_MAIN();
