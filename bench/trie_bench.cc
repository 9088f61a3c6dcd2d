// What a Merkle root over a view costs: setting keys, hashing what changed, writing it
// out, and proving.
//
// ratio_to_limit: against hashing one parent a key.

#include <benchmark/benchmark.h>

#include <random>

#include "bench/limits.h"
#include "engine/memory_storage.h"
#include "engine/trie.h"
#include "engine/trie_proof.h"
#include "engine/trie_root.h"

namespace weft::bench {
namespace {

struct Entry {
  Bytes key;
  Hash32 leaf;
};

// Keys without order, as hashes are, or those of a table in the order of its rows.
std::vector<Entry> Entries(std::size_t count, bool random_keys) {
  std::mt19937_64 random(1);
  std::vector<Entry> entries(count);
  for (std::size_t i = 0; i < count; ++i) {
    if (random_keys) {
      entries[i].key.resize(16);
      for (std::uint8_t& byte : entries[i].key)
        byte = static_cast<std::uint8_t>(random());
    } else {
      entries[i].key = ToBytes("airports/" + std::to_string(i));
    }
    entries[i].leaf = TrieLeafHash(entries[i].key, {});
  }
  return entries;
}

void Report(benchmark::State& state, std::size_t keys) {
  const double seconds_limit = static_cast<double>(keys) / ParentHashRate();
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * keys));
  state.counters["ratio_to_limit"] =
      benchmark::Counter(seconds_limit * static_cast<double>(state.iterations()),
                         benchmark::Counter::kIsRate);
}

// Sets every key and asks once for the root.
void BM_TrieFill(benchmark::State& state) {
  const auto count = static_cast<std::size_t>(state.range(0));
  const auto entries = Entries(count, state.range(1) != 0);
  for (auto _ : state) {
    Trie trie;
    for (const Entry& entry : entries) {
      if (!trie.Set(entry.key, entry.leaf).ok()) state.SkipWithError("set");
    }
    benchmark::DoNotOptimize(trie.Root());
  }
  Report(state, count);
}
BENCHMARK(BM_TrieFill)
    ->Args({100'000, 1})
    ->Args({100'000, 0})
    ->Args({1'000'000, 1})
    ->ArgNames({"keys", "random"})
    ->Unit(benchmark::kMillisecond);

// Changes 1 000 of 100 000 keys and asks for the root.
void BM_TrieUpdate(benchmark::State& state) {
  const auto entries = Entries(100'000, true);
  Trie trie;
  for (const Entry& entry : entries) trie.Set(entry.key, entry.leaf).IgnoreError();
  trie.Root();
  std::mt19937_64 random(2);
  for (auto _ : state) {
    for (int i = 0; i < 1000; ++i) {
      Hash32 leaf = entries[random() % entries.size()].leaf;
      if (!trie.Set(entries[random() % entries.size()].key, leaf).ok()) {
        state.SkipWithError("set");
      }
    }
    benchmark::DoNotOptimize(trie.Root());
  }
  Report(state, 1000);
}
BENCHMARK(BM_TrieUpdate)->Unit(benchmark::kMillisecond);

// The same 100 000 keys, written out every 65 536, with few branches kept in memory.
void BM_TrieFillAndFlush(benchmark::State& state) {
  const auto entries = Entries(100'000, true);
  for (auto _ : state) {
    MemoryStorage storage;
    auto trie = *Trie::Open(
        &storage, {},
        {.resident_branches_max = static_cast<std::size_t>(state.range(0))});
    for (std::size_t i = 0; i < entries.size(); ++i) {
      if (!trie->Set(entries[i].key, entries[i].leaf).ok()) state.SkipWithError("set");
      if ((i + 1) % 65'536 != 0 && i + 1 != entries.size()) continue;
      StorageBatch batch;
      trie->Flush(&batch);
      storage.Commit(batch, Durability::kVolatile).IgnoreError();
    }
    benchmark::DoNotOptimize(trie->Root());
  }
  Report(state, entries.size());
}
BENCHMARK(BM_TrieFillAndFlush)
    ->Arg(65'536)
    ->Arg(4'096)
    ->ArgName("resident")
    ->Unit(benchmark::kMillisecond);

void BM_TrieRootOfSortedItems(benchmark::State& state) {
  auto entries = Entries(100'000, true);
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.key < b.key; });
  std::vector<TrieItem> items;
  for (const Entry& entry : entries) items.push_back({entry.key, entry.leaf});
  for (auto _ : state) benchmark::DoNotOptimize(TrieRoot(items));
  Report(state, items.size());
}
BENCHMARK(BM_TrieRootOfSortedItems)->Unit(benchmark::kMillisecond);

void BM_TrieProveAndCheck(benchmark::State& state) {
  const auto entries = Entries(100'000, true);
  Trie trie;
  for (const Entry& entry : entries) trie.Set(entry.key, entry.leaf).IgnoreError();
  const Hash32 root = trie.Root();
  std::size_t next = 0;
  for (auto _ : state) {
    const Bytes& key = entries[next++ % entries.size()].key;
    const auto proof = trie.Prove(key, [](ByteView) { return Bytes(); });
    if (!proof.ok() || !CheckTrieProof(root, key, *proof).ok()) {
      state.SkipWithError("proof");
    }
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_TrieProveAndCheck)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace weft::bench

BENCHMARK_MAIN();
