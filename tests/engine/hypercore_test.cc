// One core and its disk: append, read, seek, truncate, clear, damage and failure.

#include "engine/hypercore.h"

#include "tests/engine/core_fixture.h"

namespace weft {
namespace {

TEST(Hypercore, EveryBlockIsReadBackHoweverItWasAppendedAndReopened) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    SCOPED_TRACE(seed);
    TestStore store(seed);
    std::uint64_t length = 0;
    while (length < 2500) {
      const auto core = *store.cores->OpenNamed("notes");
      EXPECT_EQ(core->length(), length);
      for (int i = 0; i < 5; ++i) {
        const std::uint64_t more = 1 + store.random.Below(seed * 40);
        EXPECT_EQ(*AppendAll(*core, BlocksByRule(length, length + more)), length);
        length += more;
      }
      EXPECT_EQ(core->contiguous_length(), length);
      EXPECT_EQ(core->held_blocks(), length);
      EXPECT_EQ(*core->GetRange(0, length), BlocksByRule(0, length));
      store.Reopen();
    }
    const auto core = *store.cores->OpenNamed("notes");
    for (int i = 0; i < 200; ++i) {
      const std::uint64_t index = store.random.Below(length);
      EXPECT_EQ(*core->Get(index), BlockByRule(index));
    }
    MerkleTree tree;
    for (std::uint64_t i = 0; i < length; ++i) {
      EXPECT_EQ(*core->TreeHashAt(i), tree.hash());
      tree.AppendBlock(BlockByRule(i), [](const TreeNode&) {});
    }
    EXPECT_EQ(core->tree_hash(), tree.hash());
    EXPECT_EQ(core->TreeHashAt(length + 1).status().code(),
              absl::StatusCode::kOutOfRange);
  }
}

TEST(Hypercore, LargeAndEmptyBlocksAreKeptAndTooLargeOnesRefused) {
  TestStore store;
  const auto core = *store.cores->OpenNamed("notes");
  const std::vector<Bytes> blocks = {
      Bytes(),         Bytes(200000, 7),         Bytes(),
      Bytes(16384, 1), Bytes(kBlockBytesMax, 9), Bytes(1, 1)};
  ASSERT_TRUE(AppendAll(*core, blocks).ok());
  EXPECT_EQ(*core->GetRange(0, blocks.size()), blocks);
  const auto invalid = absl::StatusCode::kInvalidArgument;
  EXPECT_EQ(AppendAll(*core, {Bytes(kBlockBytesMax + 1)}).status().code(), invalid);
  EXPECT_EQ(AppendAll(*core, {}).status().code(), invalid);
  EXPECT_EQ(core->length(), blocks.size());
}

TEST(Hypercore, ASeekFindsTheBlockOfEveryByte) {
  TestStore store;
  const auto core = *store.cores->OpenNamed("notes");
  ASSERT_TRUE(AppendAll(*core, BlocksByRule(0, 77)).ok());
  std::uint64_t offset = 0;
  for (std::uint64_t i = 0; i < 77; ++i) {
    for (std::uint64_t j = 0; j < BlockByRule(i).size(); ++j) {
      EXPECT_EQ(*core->Seek(offset++), std::pair(i, j));
    }
  }
  EXPECT_EQ(offset, core->byte_length());
  EXPECT_EQ(*core->Seek(offset), std::pair(std::uint64_t{77}, std::uint64_t{0}));
  EXPECT_EQ(core->Seek(offset + 1).status().code(), absl::StatusCode::kOutOfRange);
}

TEST(Hypercore, ATruncatedCoreIsWhatItWouldBeHadTheRestNeverBeen) {
  for (const std::uint64_t cut : {0U, 1U, 31U, 32U, 33U, 100U, 1024U, 1999U, 2000U}) {
    SCOPED_TRACE(cut);
    TestStore store;
    auto core = *store.cores->OpenNamed("notes");
    ASSERT_TRUE(AppendAll(*core, BlocksByRule(0, 2000)).ok());
    EXPECT_EQ(core->Truncate(2001).code(), absl::StatusCode::kOutOfRange);
    ASSERT_TRUE(core->Truncate(cut).ok());
    EXPECT_EQ(core->fork(), 1U);
    EXPECT_EQ(core->held_blocks(), cut);
    EXPECT_EQ(core->Get(cut).status().code(), absl::StatusCode::kOutOfRange);
    ASSERT_TRUE(AppendAll(*core, BlocksByRule(5000, 5050)).ok());
    core.reset();
    store.Reopen();
    core = *store.cores->OpenNamed("notes");
    auto expected = BlocksByRule(0, cut);
    for (Bytes& block : BlocksByRule(5000, 5050)) expected.push_back(std::move(block));
    EXPECT_EQ(*core->GetRange(0, core->length()), expected);
    MerkleTree tree;
    for (const Bytes& block : expected) tree.AppendBlock(block, [](const TreeNode&) {});
    EXPECT_EQ(core->tree_hash(), tree.hash());
    for (std::uint64_t index = 0; index < 4100; ++index) {
      const bool complete = flat_tree::IsComplete(index, core->length());
      EXPECT_EQ(core->HasNode(index), complete) << index;
    }
  }
}

TEST(Hypercore, ClearedBlocksAreGoneFromTheDiskAndTheOthersStay) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE(seed);
    TestStore store(seed);
    auto core = *store.cores->OpenNamed("notes");
    std::vector<bool> held;
    for (int step = 0; step < 12; ++step) {
      const std::uint64_t more = 1 + store.random.Below(900);
      ASSERT_TRUE(AppendAll(*core, BlocksByRule(held.size(), held.size() + more)).ok());
      held.resize(held.size() + more, true);
      const std::uint64_t from = store.random.Below(held.size());
      const std::uint64_t to = from + store.random.Below(held.size() - from + 1);
      ASSERT_TRUE(core->Clear(from, to).ok());
      for (std::uint64_t i = from; i < to; ++i) held[i] = false;
      if (step % 3 == 2) {
        core.reset();
        store.Reopen();
        core = *store.cores->OpenNamed("notes");
      }
      const auto gap = std::ranges::find(held, false);
      EXPECT_EQ(core->contiguous_length(),
                static_cast<std::uint64_t>(gap - held.begin()));
      for (std::uint64_t i = 0; i < held.size(); ++i) {
        ASSERT_EQ(core->Has(i), held[i]) << i;
        if (i % 7 != 0) continue;
        if (held[i]) {
          ASSERT_EQ(*core->Get(i), BlockByRule(i));
        } else {
          ASSERT_EQ(core->Get(i).status().code(), absl::StatusCode::kNotFound);
        }
      }
    }
    std::size_t bytes = 0;
    for (const auto row = store.storage.Scan(Family::kBlocks, {}, nullptr);
         row->valid(); row->Next()) {
      bytes += row->value().size();
    }
    std::size_t kept = 0;
    for (std::uint64_t i = 0; i < held.size(); ++i) {
      if (held[i]) kept += BlockByRule(i).size() + 4;
    }
    EXPECT_LE(bytes, kept);
    EXPECT_EQ(core->Clear(0, held.size() + 1).code(), absl::StatusCode::kOutOfRange);
  }
}

TEST(Hypercore, AFailedCommitLeavesEverythingAsItWas) {
  FailingStorage storage;
  TestRandom random(1);
  auto cores = *Corestore::Open(&storage, &random);
  const auto core = *cores->OpenNamed("notes");
  ASSERT_TRUE(AppendAll(*core, BlocksByRule(0, 40)).ok());
  ASSERT_TRUE(core->Clear(3, 5).ok());
  const TreeHash hash = core->tree_hash();
  int events = 0;
  const auto handle = core->Observe([&events](const CoreEvent&) { ++events; });
  storage.failing = true;
  const auto full = absl::StatusCode::kResourceExhausted;
  EXPECT_EQ(AppendAll(*core, BlocksByRule(40, 90)).status().code(), full);
  EXPECT_EQ(core->Truncate(1).code(), full);
  EXPECT_EQ(core->Clear(0, 40).code(), full);
  EXPECT_EQ(cores->OpenNamed("other").status().code(), full);
  EXPECT_EQ(cores->Purge(core->key()).code(), full);
  EXPECT_EQ(cores->Remove(core->key()).code(), full);
  storage.failing = false;
  EXPECT_EQ(events, 0);
  EXPECT_EQ(core->tree_hash(), hash);
  EXPECT_EQ(core->fork(), 0U);
  EXPECT_EQ(core->held_blocks(), 38U);
  EXPECT_EQ(core->contiguous_length(), 3U);
  EXPECT_EQ(cores->size(), 1U);
  ASSERT_TRUE(AppendAll(*core, BlocksByRule(40, 90)).ok());
  EXPECT_EQ(*core->GetRange(5, 90), BlocksByRule(5, 90));
}

TEST(Hypercore, AnAppendIsOneCommit) {
  FailingStorage storage;
  TestRandom random(1);
  auto cores = *Corestore::Open(&storage, &random);
  const auto core = *cores->OpenNamed("notes");
  const int before = storage.commits;
  ASSERT_TRUE(AppendAll(*core, BlocksByRule(0, 5000)).ok());
  EXPECT_EQ(storage.commits, before + 1);
}

// Reads what a store holds of its only core; nullopt if it refuses with DATA_LOSS.
std::optional<std::vector<Bytes>> ReadAll(Storage& storage, const CoreKey& key) {
  TestRandom random(1);
  const auto refused = [](const absl::Status& status) {
    EXPECT_TRUE(absl::IsDataLoss(status) || absl::IsNotFound(status)) << status;
    return std::nullopt;
  };
  auto cores = Corestore::Open(&storage, &random);
  if (!cores.ok()) return refused(cores.status());
  const auto core = (*cores)->Open(key);
  if (!core.ok()) return refused(core.status());
  auto blocks = (*core)->GetRange(0, (*core)->length());
  if (!blocks.ok()) return refused(blocks.status());
  return *std::move(blocks);
}

TEST(Hypercore, ABitFlippedOnTheDiskIsRefusedAndNeverReadAsAnotherBlock) {
  TestStore store;
  auto core = *store.cores->OpenNamed("notes");
  ASSERT_TRUE(AppendAll(*core, BlocksByRule(0, 150)).ok());
  const CoreKey key = core->key();
  core.reset();
  const auto truth = BlocksByRule(0, 150);
  ASSERT_EQ(ReadAll(store.storage, key), truth);
  struct Record {
    Family family;
    Bytes key;
    Bytes value;
  };
  std::vector<Record> records;
  for (const Family family : {Family::kCores, Family::kBlocks}) {
    for (const auto cursor = store.storage.Scan(family, {}, nullptr); cursor->valid();
         cursor->Next()) {
      records.push_back({family, ToBytes(cursor->key()), ToBytes(cursor->value())});
    }
  }
  int refused = 0;
  for (const Record& record : records) {
    for (std::size_t bit = record.value.size() > 600 ? store.random.Below(64) : 0;
         bit<record.value.size() * 8; bit += record.value.size()> 600 ? 61 : 1) {
      Bytes damaged = record.value;
      damaged[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
      StorageBatch batch;
      batch.Put(record.family, record.key, damaged);
      ASSERT_TRUE(store.storage.Commit(batch, Durability::kSynced).ok());
      const auto read = ReadAll(store.storage, key);
      EXPECT_EQ(read.value_or(truth), truth) << "bit " << bit;
      refused += read ? 0 : 1;
    }
    StorageBatch batch;
    batch.Put(record.family, record.key, record.value);
    ASSERT_TRUE(store.storage.Commit(batch, Durability::kSynced).ok());
  }
  EXPECT_GT(refused, 1000);
}

}  // namespace
}  // namespace weft
