// Two people's real editing history, typed anew by two writers with its true
// concurrency, ends with the text that they had, in whatever order it arrives.

#include "tests/crdt/text_trace.h"

#include <gtest/gtest.h>

#include <random>

namespace weft {
namespace {

TEST(TextTrace, D6_ARealHistoryEndsWithItsTextInEveryOneOfFiftyOrders) {
  const TextTrace trace =
      LoadTextTrace(std::string(WEFT_DATA_DIR) + "/friendsforever.json.gz");
  ASSERT_EQ(trace.txns.size(), 26'078U);
  const People people(2);
  auto replicas = people.Meet();
  TypeTrace(trace, "text", 16, *replicas[0], *replicas[1]);
  ASSERT_EQ(replicas[0]->Read("text").text, trace.end_content);
  ASSERT_EQ(replicas[1]->Read("text").text, trace.end_content);
  const Hash32 root = replicas[0]->Root();
  ASSERT_EQ(replicas[1]->Root(), root);

  const auto& logs = replicas[0]->logs().logs;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937_64 random(seed);
    IndexerOptions options;
    options.flush_ops = 500 + random() % 20'000;
    options.cache_keys_max = random() % 2;
    Replica reader(people.genesis, CoreKey{}, options);
    std::map<CoreKey, std::uint64_t> held;
    for (std::size_t behind = logs.size(); behind > 0;) {
      auto log = logs.begin();
      std::advance(log, random() % logs.size());
      std::uint64_t& length = held[log->first];
      if (length == log->second.size()) continue;
      length = std::min<std::uint64_t>(log->second.size(), length + 1 + random() % 900);
      behind -= length == log->second.size() ? 1 : 0;
      reader.Hold(log->first, log->second, length);
    }
    ASSERT_EQ(reader.Read("text").text, trace.end_content);
    ASSERT_EQ(reader.Root(), root);
  }
}

}  // namespace
}  // namespace weft
