// The indexer over real cores: signed, stored, opened again.

#include "crdt/log_source.h"

#include <gtest/gtest.h>

#include "crdt/indexer.h"
#include "engine/corestore.h"
#include "engine/memory_storage.h"
#include "tests/crdt/replica.h"

namespace weft {
namespace {

TEST(CoreLogs, C5_ACommitToARealCoreIsReadBackAndSurvivesAReopening) {
  MemoryStorage storage;
  sim::SimRandom random(5);
  FixedClock clock;
  Genesis genesis;
  genesis.salt = RandomSalt(random);
  const IdentityKeys founder = MakeIdentity(genesis.salt, random);
  genesis.founders.push_back(founder.manifest);
  Hash32 root;
  for (int session = 0; session < 2; ++session) {
    auto cores = Corestore::Open(&storage, &random);
    ASSERT_TRUE(cores.ok());
    auto core = (*cores)->OpenOwn(founder.manifest, founder.pair);
    ASSERT_TRUE(core.ok());
    int opened = 0;
    CoreLogs logs([&](const CoreKey& key) {
      ++opened;
      return key == founder.id() ? *core : nullptr;
    });
    auto indexer = Indexer::Open(&storage, &logs, &clock, genesis, {});
    ASSERT_TRUE(indexer.ok());
    ASSERT_TRUE((*indexer)->IndexAll().ok());
    if (session == 0) {
      for (int n = 0; n < 100; ++n) {
        const Mutation put = Put("key", n == 99 ? "last" : "earlier");
        const auto commit =
            (*indexer)->Prepare(founder.id(), std::span(&put, 1), 1'000'000);
        ASSERT_TRUE(commit.ok());
        const std::vector<ByteView> blocks(commit->blocks.begin(),
                                           commit->blocks.end());
        ASSERT_TRUE((*core)->Append(blocks).ok());
        ASSERT_TRUE((*indexer)->Index(founder.id()).ok());
        if (n == 70) {
          ASSERT_TRUE((*indexer)->Flush().ok());
        }
      }
      root = *(*indexer)->Root();
      continue;
    }
    const auto entry = (*indexer)->Get("key");
    ASSERT_TRUE(entry.ok() && entry->value);
    EXPECT_EQ(AsText(entry->value->live[0].view().bytes), "last");
    EXPECT_EQ(*(*indexer)->Root(), root);
    EXPECT_EQ((*indexer)->CurrentVersion().writers.at(founder.id()).tree_hash,
              (*core)->tree_hash());
    EXPECT_LE(opened, 3) << "a handle is kept while there is work";
    EXPECT_TRUE(Verify(indexer->get()).ok());
  }
}

TEST(CoreLogs, ALogThatIsNotInTheStoreIsEmpty) {
  CoreLogs logs([](const CoreKey&) { return nullptr; });
  const auto info = logs.Info(CoreKey{});
  ASSERT_TRUE(info.ok());
  EXPECT_EQ(info->length, 0U);
  EXPECT_TRUE(absl::IsNotFound(logs.Read(CoreKey{}, 0, 1).status()));
}

}  // namespace
}  // namespace weft
