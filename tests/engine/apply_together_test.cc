// Proofs of several cores in one commit: what it saves, and that no core pays for the
// faults of another.

#include "absl/strings/str_format.h"
#include "engine/key_layout.h"
#include "tests/engine/core_fixture.h"

namespace weft {
namespace {

constexpr std::size_t kCores = 5;
constexpr std::uint64_t kBlocks = 10;

// Five logs of somebody else's, and a store that knows their keys.
struct Shelf {
  Shelf() {
    for (std::size_t i = 0; i < kCores; ++i) {
      sources.push_back(*left.cores->OpenNamed(absl::StrFormat("core %d", i)));
      EXPECT_TRUE(AppendAll(*sources[i], BlocksByRule(0, kBlocks)).ok());
      readers.push_back(*cores->OpenRemote(sources[i]->key()));
      ProofRequest request = RequestUpgrade(*readers[i], *sources[i]);
      request.block = BlockRequest{0, 0};
      proofs.push_back({*sources[i]->Prove(request)});
    }
  }
  std::vector<Hypercore::Results> Take(absl::Status* committed = nullptr) {
    std::vector<std::vector<const Proof*>> pointers(kCores);
    std::vector<Hypercore::Proofs> all;
    for (std::size_t i = 0; i < kCores; ++i) {
      for (const Proof& proof : proofs[i]) pointers[i].push_back(&proof);
      all.push_back({readers[i].get(), pointers[i], true});
    }
    return Hypercore::ApplyTogether(all, committed);
  }
  void ExpectTaken(const Hypercore& core) const {
    EXPECT_EQ(core.length(), kBlocks);
    EXPECT_EQ(core.held_blocks(), 1U);
    EXPECT_EQ(*core.Get(0), BlockByRule(0));
  }

  TestStore left;
  FailingStorage storage;
  TestRandom random{7};
  std::unique_ptr<Corestore> cores = *Corestore::Open(&storage, &random);
  std::vector<std::shared_ptr<Hypercore>> sources;
  std::vector<std::shared_ptr<Hypercore>> readers;
  std::vector<std::vector<Proof>> proofs;
};

TEST(ApplyTogether, ManyCoresAreOneCommitAndTheirObserversHearOfItAfterwards) {
  Shelf shelf;
  std::vector<std::shared_ptr<void>> handles;
  int told = 0;
  for (const auto& reader : shelf.readers) {
    handles.push_back(reader->Observe([&](const CoreEvent&) {
      ++told;
      for (const auto& any : shelf.readers) shelf.ExpectTaken(*any);
    }));
  }
  const int before = shelf.storage.commits;
  for (const auto& results : shelf.Take()) {
    ASSERT_TRUE(results.ok());
    for (const absl::Status& result : *results) EXPECT_TRUE(result.ok()) << result;
  }
  EXPECT_EQ(shelf.storage.commits, before + 1);
  EXPECT_EQ(told, static_cast<int>(2 * kCores));  // a length, and a block
  for (const auto& reader : shelf.readers) EXPECT_EQ(reader->durable_length(), 0U);
  ASSERT_TRUE(shelf.cores->Sync().ok());
  for (const auto& reader : shelf.readers) {
    EXPECT_EQ(reader->durable_length(), kBlocks);
  }
}

TEST(ApplyTogether, AWrongSignatureCostsItsOwnCoreOnly) {
  Shelf shelf;
  shelf.proofs[2][0].upgrade->signature[9] ^= 1;
  const auto results = shelf.Take();
  for (std::size_t i = 0; i < kCores; ++i) {
    ASSERT_TRUE(results[i].ok());
    const absl::Status& result = results[i]->at(0);
    if (i == 2) {
      EXPECT_TRUE(absl::IsDataLoss(result)) << result;
      EXPECT_EQ(shelf.readers[i]->length(), 0U);
    } else {
      EXPECT_TRUE(result.ok()) << result;
      shelf.ExpectTaken(*shelf.readers[i]);
    }
  }
}

TEST(ApplyTogether, OnAFullDiskNoCoreHasMovedAndNobodyIsTold) {
  Shelf shelf;
  std::vector<std::shared_ptr<void>> handles;
  int told = 0;
  for (const auto& reader : shelf.readers) {
    handles.push_back(reader->Observe([&](const CoreEvent&) { ++told; }));
  }
  shelf.storage.failing = true;
  for (const auto& results : shelf.Take()) {
    EXPECT_TRUE(absl::IsResourceExhausted(results.status())) << results.status();
  }
  EXPECT_EQ(told, 0);
  for (const auto& reader : shelf.readers) {
    EXPECT_EQ(reader->length(), 0U);
    EXPECT_EQ(reader->held_blocks(), 0U);
    EXPECT_FALSE(reader->manifest());
  }
  shelf.storage.failing = false;
  for (const auto& results : shelf.Take()) EXPECT_TRUE(results->at(0).ok());
  for (const auto& reader : shelf.readers) shelf.ExpectTaken(*reader);
}

TEST(ApplyTogether, ACoreThatCannotBeReadCostsItselfOnlyAndIsNoErrorOfTheCommit) {
  Shelf shelf;
  shelf.Take();
  shelf.readers.clear();
  StorageBatch damage;
  damage.Put(Family::kCores, keys::TreePage(1, 0, 0), {1, 2, 3});
  ASSERT_TRUE(shelf.storage.Commit(damage, Durability::kSynced).ok());
  shelf.cores = *Corestore::Open(&shelf.storage, &shelf.random);
  for (std::size_t i = 0; i < kCores; ++i) {
    shelf.readers.push_back(*shelf.cores->OpenRemote(shelf.sources[i]->key()));
    ProofRequest request;
    request.block = BlockRequest{5, 3};
    shelf.proofs[i] = {*shelf.sources[i]->Prove(request)};
  }
  absl::Status committed = absl::UnknownError("not said");
  const auto results = shelf.Take(&committed);
  EXPECT_TRUE(committed.ok()) << committed;
  EXPECT_TRUE(absl::IsDataLoss(results[0].status())) << results[0].status();
  for (std::size_t i = 1; i < kCores; ++i) {
    ASSERT_TRUE(results[i].ok());
    EXPECT_TRUE(results[i]->at(0).ok()) << results[i]->at(0);
    EXPECT_EQ(shelf.readers[i]->held_blocks(), 2U);
  }
}

TEST(ApplyTogether, APurgedCoreIsRefusedAndTheOthersAreStored) {
  Shelf shelf;
  ASSERT_TRUE(shelf.cores->Purge(shelf.readers[1]->key()).ok());
  const auto results = shelf.Take();
  EXPECT_EQ(results[1].status().code(), absl::StatusCode::kFailedPrecondition);
  for (const std::size_t i : {0U, 2U, 3U, 4U}) shelf.ExpectTaken(*shelf.readers[i]);
}

// The signature of a head is checked once for the same bytes, and again for others.
TEST(Corestore, AHeadThatChangedOnTheDiskSinceItWasCheckedIsRefused) {
  TestStore store;
  std::shared_ptr<Hypercore> core = *store.cores->OpenNamed("notes");
  ASSERT_TRUE(AppendAll(*core, BlocksByRule(0, kBlocks)).ok());
  const CoreKey key = core->key();
  for (int i = 0; i < 2; ++i) {
    core.reset();
    core = *store.cores->Open(key);
  }
  core.reset();
  const Bytes signature = ToBytes((*store.cores->Open(key))->signature());
  Bytes head = **store.storage.Get(Family::kCores, keys::Head(1), nullptr);
  const auto place = std::ranges::search(head, signature);
  ASSERT_FALSE(place.empty());
  *place.begin() ^= 1;
  StorageBatch damage;
  damage.Put(Family::kCores, keys::Head(1), head);
  ASSERT_TRUE(store.storage.Commit(damage, Durability::kSynced).ok());
  EXPECT_TRUE(absl::IsDataLoss(store.cores->Open(key).status()));
}

}  // namespace
}  // namespace weft
