// The causal graph against sets: what each block had seen, kept as pages and deltas.

#include "crdt/causal_graph.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

#include "engine/memory_storage.h"

namespace weft {
namespace {

using BlockId = std::pair<WriterNumber, std::uint64_t>;

TEST(CausalGraph, C3_DeltasAndPagesAnswerAsTheWholePastsDo) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937_64 random(seed);
    const auto writers = static_cast<WriterNumber>(2 + random() % 5);
    MemoryStorage storage;
    auto graph = std::make_unique<CausalGraph>(&storage, 1);
    for (WriterNumber n = 0; n < writers; ++n) graph->AddWriter();
    std::vector<std::vector<std::set<BlockId>>> pasts(writers);
    for (int step = 0; step < 600; ++step) {
      const auto writer = static_cast<WriterNumber>(random() % writers);
      std::set<BlockId> past;
      if (!pasts[writer].empty()) {
        past = pasts[writer].back();
        past.insert({writer, pasts[writer].size() - 1});
      }
      std::vector<CausalGraph::Edge> deps;
      for (WriterNumber other = 0; other < writers; ++other) {
        if (other == writer || pasts[other].empty() || random() % 5 != 0) continue;
        const std::uint64_t length = 1 + random() % pasts[other].size();
        deps.push_back({other, length});
        past.insert(pasts[other][length - 1].begin(), pasts[other][length - 1].end());
        past.insert({other, length - 1});
      }
      graph->AddBlock(writer, deps, TreeHash());
      pasts[writer].push_back(std::move(past));
      if (random() % 100 != 0) continue;
      StorageBatch batch;
      graph->Flush(&batch);
      ASSERT_TRUE(storage.Commit(batch, Durability::kVolatile).ok());
      graph = std::make_unique<CausalGraph>(&storage, 1);
      for (WriterNumber n = 0; n < writers; ++n) {
        graph->AddWriter();
        graph->RestoreLength(n, pasts[n].size());
      }
    }
    for (int probe = 0; probe < 3000; ++probe) {
      const auto a = static_cast<WriterNumber>(random() % writers);
      const auto b = static_cast<WriterNumber>(random() % writers);
      if (pasts[a].empty() || pasts[b].empty()) continue;
      const std::uint64_t i = random() % pasts[a].size();
      const std::uint64_t j = random() % pasts[b].size();
      ASSERT_EQ(graph->Before({a, 0, i}, {b, 0, j}), pasts[b][j].contains({a, i}));
      ASSERT_EQ(graph->PastSize(b, j), pasts[b][j].size());
    }
    ASSERT_TRUE(graph->status().ok());
  }
}

TEST(CausalGraph, APageThatIsMissingOnTheDiskIsAnErrorAndNoCrash) {
  MemoryStorage storage;
  CausalGraph graph(&storage, 1);
  graph.AddWriter();
  graph.RestoreLength(0, 100);
  graph.RecordOf(0, 70);
  EXPECT_FALSE(graph.status().ok());
}

}  // namespace
}  // namespace weft
