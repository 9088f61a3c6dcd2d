// How fast do many writers' ops become one view with a root? 100 000 ops in all, put
// under 100 000 random keys, read from cores in RocksDB and merged into RocksDB.
//
// Each writer commits blocks of so many ops; every fourth block names the newest block
// of somebody else. ratio_to_limit: against committing one record of the value's size
// an op, in logged batches of 1 000 under ascending keys.

#include <benchmark/benchmark.h>

#include <random>

#include "absl/strings/str_format.h"
#include "bench/limits.h"
#include "crdt/indexer.h"
#include "engine/check.h"
#include "engine/corestore.h"
#include "engine/merkle_tree.h"
#include "engine/real_host.h"
#include "engine/rocks_storage.h"

namespace weft::bench {
namespace {

constexpr std::size_t kOps = 100'000;
constexpr std::size_t kValueBytes = 100;

class SteadyRandom final : public Random {
 public:
  void Fill(std::span<std::uint8_t> out) override {
    for (std::uint8_t& byte : out) byte = static_cast<std::uint8_t>(engine());
  }
  std::mt19937_64 engine{7};
};

struct WriterLog {
  explicit WriterLog(const IdentityKeys& identity)
      : keys(identity), log(identity.id()) {}
  IdentityKeys keys;
  LogState log;
  MerkleTree tree;
  std::vector<Bytes> blocks;
};

// The logs of one base, written in memory and then stored as cores.
class Logs {
 public:
  Logs(std::size_t writers, std::size_t ops_per_block) {
    genesis_.salt = RandomSalt(random_);
    for (std::size_t i = 0; i < writers; ++i) {
      writers_.emplace_back(MakeIdentity(genesis_.salt, random_));
    }
    genesis_.founders.push_back(writers_[0].keys.manifest);
    Admit();
    for (std::size_t done = 0; done < kOps;) {
      for (std::size_t i = 0; i < writers && done < kOps; ++i) {
        const std::size_t count = std::min(ops_per_block, kOps - done);
        Write(writers_[i], count, done / ops_per_block);
        done += count;
      }
    }
  }

  const Genesis& genesis() const { return genesis_; }

  void Store(Corestore* cores) const {
    for (const WriterLog& writer : writers_) {
      const auto core = *cores->OpenOwn(writer.keys.manifest, writer.keys.pair);
      std::vector<ByteView> views(writer.blocks.begin(), writer.blocks.end());
      WEFT_CHECK(core->Append(views, Durability::kLogged).ok());
    }
  }

 private:
  void Admit() {
    std::vector<AuthOperation> grants;
    for (std::size_t i = 1; i < writers_.size(); ++i) {
      GrantOp grant;
      grant.identity = writers_[i].keys.id();
      grant.role = GrantRole::kWriter;
      grants.push_back(grant);
    }
    const CommitHeader header{{1, 0}, GenesisGrantId(0), {}};
    auto batch = EncodeBatch(writers_[0].log, header,
                             std::span<const AuthOperation>(grants), genesis_.limits);
    WEFT_CHECK(batch.ok());
    for (std::size_t i = 0; i + 1 < writers_.size(); ++i) {
      grants_.push_back(batch->IdOf(writers_[0].keys.id(), i));
    }
    admitted_ = batch->blocks.size();
    Take(writers_[0], *std::move(batch));
  }

  void Write(WriterLog& writer, std::size_t count, std::size_t number) {
    CommitHeader header;
    header.hlc = {2 + number, 0};
    header.cite = GenesisGrantId(0);
    if (&writer != &writers_[0]) {
      header.cite = grants_[static_cast<std::size_t>(&writer - &writers_[0] - 1)];
      if (writer.log.position() == 0) {
        header.deps.push_back(HeadOf(writers_[0], admitted_));
      }
    }
    WriterLog& other = writers_[random_.engine() % writers_.size()];
    if (writer.log.position() % 4 == 1 && &other != &writer && !other.blocks.empty()) {
      header.deps = {HeadOf(other, other.blocks.size())};
    }
    std::vector<std::string> texts;
    for (std::size_t i = 0; i < count; ++i) {
      texts.push_back(absl::StrFormat("key/%08d", random_.engine() % kOps));
      texts.push_back(std::string(kValueBytes, static_cast<char>('a' + i % 26)));
    }
    std::vector<Operation> operations;
    for (std::size_t i = 0; i < count; ++i) {
      operations.push_back(
          PutOp(AsBytes(texts[2 * i]), {ValueType::kText, AsBytes(texts[2 * i + 1])}));
    }
    auto batch = EncodeBatch(writer.log, header, std::span<const Operation>(operations),
                             genesis_.limits);
    WEFT_CHECK(batch.ok());
    Take(writer, *std::move(batch));
  }

  void Take(WriterLog& writer, EncodedBatch batch) {
    for (Bytes& block : batch.blocks) {
      writer.log.Read(block, genesis_.limits);
      writer.tree.AppendBlock(block, [](const TreeNode&) {});
      heads_[writer.keys.id()].push_back(writer.tree.hash());
      writer.blocks.push_back(std::move(block));
    }
  }

  Dep HeadOf(const WriterLog& writer, std::size_t length) const {
    return {writer.keys.id(), length, heads_.at(writer.keys.id())[length - 1]};
  }

  SteadyRandom random_;
  Genesis genesis_;
  std::vector<WriterLog> writers_;
  std::vector<OpId> grants_;
  std::size_t admitted_ = 0;  // length of the founder's log with all grants
  absl::flat_hash_map<CoreKey, std::vector<TreeHash>> heads_;
};

void BM_Merge(benchmark::State& state) {
  const Logs logs(static_cast<std::size_t>(state.range(0)),
                  static_cast<std::size_t>(state.range(1)));
  const RealClock clock;
  double limit = 0;
  for (auto _ : state) {
    state.PauseTiming();
    const TemporaryDirectory directory;
    auto storage = *RocksStorage::Open(directory.path() + "/store", {.create = true});
    SteadyRandom random;
    auto cores = *Corestore::Open(storage.get(), &random);
    logs.Store(cores.get());
    if (limit == 0) limit = BatchRate(*storage, 1000, kValueBytes, Durability::kLogged);
    CoreLogs source([&](const CoreKey& key) -> std::shared_ptr<Hypercore> {
      auto core = cores->Open(key);
      return core.ok() ? *std::move(core) : nullptr;
    });
    state.ResumeTiming();
    auto indexer = *Indexer::Open(storage.get(), &source, &clock, logs.genesis(), {});
    const auto result = indexer->IndexAll();
    WEFT_CHECK(result.ok() && result->effective_ops == kOps);
    WEFT_CHECK(indexer->Root().ok());
    state.PauseTiming();
    indexer.reset();
    cores.reset();
    storage.reset();
    state.ResumeTiming();
  }
  const double done = static_cast<double>(state.iterations()) * kOps;
  state.SetItemsProcessed(static_cast<std::int64_t>(done));
  state.counters["ratio_to_limit"] =
      benchmark::Counter(done / limit, benchmark::Counter::kIsRate);
}
BENCHMARK(BM_Merge)
    ->ArgNames({"writers", "ops_per_block"})
    ->ArgsProduct({{10, 100, 1000}, {1, 10, 100}})
    ->Unit(benchmark::kMillisecond)
    ->MinTime(0.01)
    ->UseRealTime();

}  // namespace
}  // namespace weft::bench

BENCHMARK_MAIN();
