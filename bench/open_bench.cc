// How long until the lengths of all cores of a store are known? Cores of 10 blocks of
// 100 bytes; the store is closed and opened again each time.
//
// ratio_to_limit: against opening the database and walking the records of the heads
// without looking at them.

#include <benchmark/benchmark.h>

#include "bench/log_fixture.h"
#include "engine/key_layout.h"

namespace weft::bench {
namespace {

void Fill(LogFixture& log, std::int64_t count) {
  const Bytes block(100, 7);
  for (std::int64_t i = 0; i < count; ++i) {
    const auto core = *log.cores->OpenNamed(std::to_string(i));
    WEFT_CHECK(core->Append(Repeated(block, 10), Durability::kLogged).ok());
  }
  log.Close();
}

void BM_OpenStore(benchmark::State& state) {
  LogFixture log;
  Fill(log, state.range(0));
  const std::string path = log.directory.path() + "/store";
  const double limit = RateOf([&path] {
    const auto storage = *RocksStorage::Open(path, {});
    std::size_t bytes = 0;
    for (const auto cursor = storage->Scan(Family::kCores, keys::AllHeads(), nullptr);
         cursor->valid(); cursor->Next()) {
      bytes += cursor->value().size();
    }
    benchmark::DoNotOptimize(bytes);
  });
  for (auto _ : state) {
    log.Open();
    WEFT_CHECK(log.cores->size() == static_cast<std::size_t>(state.range(0)));
    state.PauseTiming();
    log.Close();
    state.ResumeTiming();
  }
  state.counters["cores"] = static_cast<double>(state.range(0));
  state.counters["ratio_to_limit"] = benchmark::Counter(
      static_cast<double>(state.iterations()) / limit, benchmark::Counter::kIsRate);
}
BENCHMARK(BM_OpenStore)
    ->Arg(320)
    ->Arg(1500)
    ->Arg(10000)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace weft::bench

BENCHMARK_MAIN();
