// How fast does one core grow? Blocks of 100 bytes in batches, logged and synced.
//
// ratio_to_limit: against hashing each block and one parent, signing each batch, and
// committing the same bytes in records of 64 blocks.

#include <benchmark/benchmark.h>

#include "bench/log_fixture.h"

namespace weft::bench {
namespace {

constexpr std::size_t kBlockBytes = 100;

double LimitOf(Storage& storage, std::size_t batch, Durability durability) {
  const std::size_t per_record = std::min<std::size_t>(batch, 64);
  const std::size_t records = (batch + per_record - 1) / per_record;
  const double commits =
      BatchRate(storage, records, per_record * kBlockBytes, durability) /
      static_cast<double>(records);
  const double blocks = static_cast<double>(batch);
  const double seconds = blocks / LeafHashRate(kBlockBytes) +
                         blocks / ParentHashRate() + 1 / SignRate() + 1 / commits;
  return blocks / seconds;
}

void BM_Append(benchmark::State& state) {
  const auto batch = static_cast<std::size_t>(state.range(0));
  const Durability durability =
      state.range(1) != 0 ? Durability::kSynced : Durability::kLogged;
  LogFixture log;
  const auto core = *log.cores->OpenNamed("bench");
  const Bytes block(kBlockBytes, 7);
  const std::vector<ByteView> blocks = Repeated(block, batch);
  const double limit = LimitOf(*log.storage, batch, durability);
  for (auto _ : state) WEFT_CHECK(core->Append(blocks, durability).ok());
  const double done = static_cast<double>(state.iterations() * state.range(0));
  state.SetItemsProcessed(static_cast<std::int64_t>(done));
  state.counters["ratio_to_limit"] =
      benchmark::Counter(done / limit, benchmark::Counter::kIsRate);
}
BENCHMARK(BM_Append)
    ->ArgNames({"batch", "synced"})
    ->ArgsProduct({{1, 100, 1000}, {0, 1}})
    ->UseRealTime();

}  // namespace
}  // namespace weft::bench

BENCHMARK_MAIN();
