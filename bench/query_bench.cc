// Point gets and ordered scans on the merged view, beside bare RocksDB holding as many
// keys of the same size in the same run.

#include <benchmark/benchmark.h>

#include <memory>
#include <random>

#include "absl/strings/str_format.h"
#include "bench/limits.h"
#include "engine/rocks_storage.h"
#include "weft/store.h"

namespace weft::bench {
namespace {

constexpr std::size_t kKeys = 100'000;

std::string KeyOf(std::size_t i) {
  return absl::StrFormat("table/%08d", i);
}

// A base and a plain database with the same keys and values of 100 bytes.
struct Fixture {
  TemporaryDirectory directory;
  std::optional<Store> store;
  std::optional<Base> base;
  std::unique_ptr<RocksStorage> bare;

  Fixture() {
    store = *Store::Open(directory.path() + "/store");
    base = *store->CreateBase({.name = "bench"});
    bare = *RocksStorage::Open(directory.path() + "/bare", {.create = true});
    const std::string value(100, 'v');
    for (std::size_t first = 0; first < kKeys; first += 10'000) {
      Batch batch;
      StorageBatch rows;
      for (std::size_t i = first; i < first + 10'000; ++i) {
        batch.Put(KeyOf(i), value);
        rows.Put(Family::kBlocks, ToBytes(KeyOf(i)), ToBytes(value));
      }
      if (!base->Commit(batch).ok()) std::abort();
      if (!bare->Commit(rows, Durability::kLogged).ok()) std::abort();
    }
    if (!bare->Flush().ok()) std::abort();
  }
};

Fixture& Shared() {
  static Fixture fixture;
  return fixture;
}

void Get(benchmark::State& state) {
  Fixture& fixture = Shared();
  std::mt19937_64 random(1);
  const double limit = RateOf([&] {
    const Bytes key = ToBytes(KeyOf(random() % kKeys));
    benchmark::DoNotOptimize(fixture.bare->Get(Family::kBlocks, key, nullptr));
  });
  for (auto _ : state) {
    benchmark::DoNotOptimize(fixture.base->Get(KeyOf(random() % kKeys)));
  }
  state.SetItemsProcessed(state.iterations());
  state.counters["limit_per_s"] = limit;
  state.counters["ratio_to_limit"] = benchmark::Counter(
      static_cast<double>(state.iterations()) / limit, benchmark::Counter::kIsRate);
}
BENCHMARK(Get)->UseRealTime();

void Scan(benchmark::State& state) {
  Fixture& fixture = Shared();
  const double scans = RateOf([&] {
    const auto cursor = fixture.bare->Scan(Family::kBlocks, {}, nullptr);
    for (; cursor->valid(); cursor->Next()) benchmark::DoNotOptimize(cursor->value());
  });
  const double limit = scans * static_cast<double>(kKeys);
  std::size_t keys = 0;
  for (auto _ : state) {
    for (const Entry& entry : fixture.base->Scan(All())) {
      benchmark::DoNotOptimize(entry);
      ++keys;
    }
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(keys));
  state.counters["limit_per_s"] = limit;
  state.counters["ratio_to_limit"] = benchmark::Counter(
      static_cast<double>(keys) / limit, benchmark::Counter::kIsRate);
}
BENCHMARK(Scan)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace weft::bench

BENCHMARK_MAIN();
