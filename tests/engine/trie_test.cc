// The Merkle trie against a naive recomputation from a sorted map. Rules V1 and V2.

#include "engine/trie.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "engine/memory_storage.h"
#include "engine/trie_proof.h"
#include "engine/trie_root.h"
#include "tests/engine/trie_model.h"

namespace weft {
namespace {

Hash32 LeafOf(const std::string& key, std::uint64_t value) {
  return TrieLeafHash(AsBytes(key), AsBytes(std::to_string(value)));
}

// Sets, overwrites and erases in `steps` steps; the model keeps what should remain.
void Churn(std::mt19937_64& random, const std::vector<std::string>& keys, int steps,
           Trie& trie, TrieModel& model) {
  for (int step = 0; step < steps; ++step) {
    const std::string& key = keys[random() % keys.size()];
    if (random() % 3 == 0) {
      ASSERT_TRUE(trie.Erase(AsBytes(key)).ok());
      model.erase(key);
    } else {
      const Hash32 leaf = LeafOf(key, random() % 4);
      ASSERT_TRUE(trie.Set(AsBytes(key), leaf).ok());
      model[key] = leaf;
    }
  }
}

TEST(Trie, V1_AnEmptyTrieIsTheHashOfOneZeroByte) {
  const Bytes zero = {0};
  EXPECT_EQ(Trie().Root(), Blake2b256(zero));
  EXPECT_EQ(Trie().Root(), TrieRoot({}));
}

TEST(Trie, V1_ATrieOfOneKeyIsItsLeaf) {
  Trie trie;
  ASSERT_TRUE(trie.Set(AsBytes("ada"), LeafOf("ada", 1)).ok());
  EXPECT_EQ(trie.Root(), LeafOf("ada", 1));
  ASSERT_TRUE(trie.Erase(AsBytes("ada")).ok());
  EXPECT_TRUE(trie.empty());
  EXPECT_EQ(trie.Root(), EmptyTrieRoot());
}

TEST(Trie, AKeyMayBeThePrefixOfAnother) {
  Trie trie;
  TrieModel model;
  for (const std::string key : {"ab", "abc", "a", "", "abcd"}) {
    ASSERT_TRUE(trie.Set(AsBytes(key), LeafOf(key, 1)).ok());
    model[key] = LeafOf(key, 1);
    EXPECT_EQ(trie.Root(), NaiveRoot(model));
  }
  for (const std::string key : {"abc", "", "a", "abcd"}) {
    ASSERT_TRUE(trie.Erase(AsBytes(key)).ok());
    model.erase(key);
    EXPECT_EQ(trie.Root(), NaiveRoot(model));
    EXPECT_EQ(*trie.Get(AsBytes(key)), std::nullopt);
  }
  EXPECT_EQ(*trie.Get(AsBytes("ab")), LeafOf("ab", 1));
}

TEST(Trie, AChangeThatIsNoneLeavesTheRoot) {
  Trie trie;
  ASSERT_TRUE(trie.Set(AsBytes("ada"), LeafOf("ada", 1)).ok());
  ASSERT_TRUE(trie.Set(AsBytes("bob"), LeafOf("bob", 1)).ok());
  const Hash32 root = trie.Root();
  for (const char* absent : {"", "a", "ad", "adam", "ada1", "c", "b\x01"}) {
    ASSERT_TRUE(trie.Erase(AsBytes(absent)).ok());
    EXPECT_EQ(*trie.Get(AsBytes(absent)), std::nullopt);
  }
  ASSERT_TRUE(trie.Set(AsBytes("ada"), LeafOf("ada", 1)).ok());
  EXPECT_EQ(trie.Root(), root);
}

TEST(TrieProperty, V1_EveryHistoryOfASetEndsInTheRootOfTheSet) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937_64 random(seed);
    const auto keys = TrieKeys(random, 1 + random() % 60);
    Trie trie;
    TrieModel model;
    for (int round = 0; round < 6; ++round) {
      Churn(random, keys, 30, trie, model);
      ASSERT_EQ(trie.Root(), NaiveRoot(model));
      ASSERT_EQ(TrieRoot(ItemsOf(model)), NaiveRoot(model));
    }
    for (const std::string& key : keys) {
      const auto expected = model.find(key);
      const auto found = trie.Get(AsBytes(key));
      ASSERT_TRUE(found.ok());
      ASSERT_EQ(found->has_value(), expected != model.end());
      if (found->has_value()) {
        ASSERT_EQ(**found, expected->second);
      }
    }
  }
}

TEST(TrieProperty, V1_DifferentSetsHaveDifferentRoots) {
  std::mt19937_64 random(7);
  std::map<Hash32, TrieModel> seen;
  for (int i = 0; i < 2000; ++i) {
    TrieModel model;
    for (const std::string& key : TrieKeys(random, random() % 5)) {
      model[key] = LeafOf(key, random() % 2);
    }
    const auto [entry, is_new] = seen.try_emplace(TrieRoot(ItemsOf(model)), model);
    if (!is_new) {
      ASSERT_EQ(entry->second, model);
    }
  }
}

TEST(TrieProperty, AStoredTrieIsTheSameAfterEveryFlushDropAndReopen) {
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937_64 random(seed);
    const auto keys = TrieKeys(random, 1 + random() % 80);
    MemoryStorage storage;
    const Trie::Options options{.resident_branches_max = random() % 12};
    auto trie = *Trie::Open(&storage, ToBytes("t/"), options);
    TrieModel model;
    for (int round = 0; round < 8; ++round) {
      Churn(random, keys, 20, *trie, model);
      if (random() % 4 == 0) continue;
      StorageBatch batch;
      trie->Flush(&batch);
      ASSERT_TRUE(storage.Commit(batch, Durability::kVolatile).ok());
      EXPECT_LE(trie->resident_branches(), options.resident_branches_max);
      EXPECT_EQ(trie->Root(), NaiveRoot(model));
      if (random() % 3 == 0) {
        trie = *Trie::Open(&storage, ToBytes("t/"), options);
        EXPECT_EQ(trie->resident_branches(), 0U);
      }
    }
    ASSERT_EQ(trie->Root(), NaiveRoot(model));
  }
}

TEST(TrieProperty, WhatIsStoredDependsOnTheSetAlone) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937_64 random(seed);
    const auto keys = TrieKeys(random, 1 + random() % 40);
    MemoryStorage storage;
    auto trie = *Trie::Open(&storage, ToBytes("t/"));
    TrieModel model;
    for (int round = 0; round < 5; ++round) {
      Churn(random, keys, 25, *trie, model);
      StorageBatch batch;
      trie->Flush(&batch);
      ASSERT_TRUE(storage.Commit(batch, Durability::kVolatile).ok());
    }
    MemoryStorage fresh;
    auto once = *Trie::Open(&fresh, ToBytes("t/"));
    for (const auto& [key, leaf] : model)
      ASSERT_TRUE(once->Set(AsBytes(key), leaf).ok());
    StorageBatch batch;
    once->Flush(&batch);
    ASSERT_TRUE(fresh.Commit(batch, Durability::kVolatile).ok());
    if (model.empty()) {  // a trie that has become empty says so
      EXPECT_LE(Rows(storage).size(), 1U);
      continue;
    }
    ASSERT_EQ(Rows(storage), Rows(fresh));
  }
}

TEST(Trie, ADamagedBranchIsRefusedWhenItIsLoaded) {
  MemoryStorage storage;
  StorageBatch batch;
  auto trie = *Trie::Open(&storage, ToBytes("t/"));
  for (const char* key : {"ada", "bob", "eve"}) {
    ASSERT_TRUE(trie->Set(AsBytes(key), LeafOf(key, 1)).ok());
  }
  trie->Flush(&batch);
  ASSERT_TRUE(storage.Commit(batch, Durability::kVolatile).ok());
  for (const auto& [key, value] : Rows(storage)) {
    if (key.back() == 0xff) continue;
    for (std::size_t byte = 0; byte < value.size(); ++byte) {
      Bytes damaged = value;
      damaged[byte] ^= 0x10;
      batch.Clear();
      batch.Put(Family::kView, key, damaged);
      ASSERT_TRUE(storage.Commit(batch, Durability::kVolatile).ok());
      trie = *Trie::Open(&storage, ToBytes("t/"));
      const Hash32 root = trie->Root();
      const absl::Status status = trie->Set(AsBytes("cid"), LeafOf("cid", 1));
      // A leaf's path is outside of the hash: damage to it shows as another key.
      if (!status.ok()) {
        EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
        EXPECT_EQ(trie->Root(), root);
      }
    }
  }
}

}  // namespace
}  // namespace weft
