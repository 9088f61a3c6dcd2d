// Vectors: tests/vectors/corestore.json, made by the real package.

#include "engine/corestore.h"

#include "engine/codec.h"
#include "engine/key_layout.h"
#include "engine/rocks_storage.h"
#include "tests/engine/core_fixture.h"
#include "tests/engine/temp_directory.h"

namespace weft {
namespace {

std::size_t CountRecords(Storage& storage) {
  std::size_t count = 0;
  for (const Family family : {Family::kCores, Family::kBlocks}) {
    for (const auto cursor = storage.Scan(family, {}, nullptr); cursor->valid();
         cursor->Next()) {
      ++count;
    }
  }
  return count;
}

TEST(Corestore, NamedKeysAreThoseOfTheVectors) {
  const auto json = VectorFile("corestore.json");
  const auto primary_key = HexFixed<Seed>(json["primaryKey"]);
  for (const auto& entry : json["cores"]) {
    Hash32 name_space;
    for (const std::string part : entry["namespacePath"]) {
      const Bytes bytes = part.starts_with("(") ? Bytes(32, 9) : ToBytes(part);
      name_space = ChildNamespace(name_space, bytes);
    }
    EXPECT_EQ(name_space, HexFixed<Hash32>(entry["namespace"]));
    const KeyPair pair =
        DeriveNamedKeyPair(primary_key, name_space, entry["name"].get<std::string>());
    EXPECT_EQ(pair.public_key, HexFixed<PublicKey>(entry["publicKey"]));
    EXPECT_EQ(pair.secret_key, HexFixed<SecretKey>(entry["secretKey"]));
    const CoreKey key = KeyOf(SingleSigner(pair.public_key));
    EXPECT_EQ(key, HexFixed<CoreKey>(entry["key"]));
    EXPECT_EQ(DiscoveryKeyOf(key), HexFixed<DiscoveryKey>(entry["discoveryKey"]));
  }
}

TEST(Corestore, ANameIsTheSameCoreInEveryProcessAndAnOpenCoreIsShared) {
  TestStore store;
  EXPECT_EQ(store.cores->OpenNamed("").status().code(),
            absl::StatusCode::kInvalidArgument);
  auto core = *store.cores->OpenNamed("notes");
  EXPECT_EQ(*store.cores->OpenNamed("notes"), core);
  EXPECT_EQ(*store.cores->Open(core->key()), core);
  EXPECT_EQ(*store.cores->Find(core->discovery_key()), core);
  EXPECT_NE((*store.cores->OpenNamed("other"))->key(), core->key());
  const CoreKey key = core->key();
  const Seed primary_key = store.cores->primary_key();
  ASSERT_TRUE(AppendAll(*core, BlocksByRule(0, 7)).ok());
  core.reset();
  store.Reopen();
  EXPECT_EQ(store.cores->primary_key(), primary_key);
  core = *store.cores->OpenNamed("notes");
  EXPECT_EQ(core->key(), key);
  EXPECT_EQ(core->length(), 7U);
  EXPECT_TRUE(core->writable());
}

TEST(Corestore, AReferenceToAKeyOutlivesTheMakingOfOtherCores) {
  TestStore store;
  const auto core = *store.cores->OpenNamed("notes");
  const CoreKey& key = core->key();
  const CoreKey copy = key;
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(store.cores->OpenNamed(std::to_string(i)).ok());
  }
  EXPECT_EQ(&core->key(), &key);
  EXPECT_EQ(key, copy);
}

TEST(Corestore, ListingSaysEverythingWithoutOpeningACore) {
  TestStore store;
  for (int i = 0; i < 20; ++i) {
    const auto core = *store.cores->OpenNamed(std::to_string(i));
    if (i == 0) continue;
    ASSERT_TRUE(AppendAll(*core, BlocksByRule(0, static_cast<std::uint64_t>(i))).ok());
  }
  const auto remote = *store.cores->OpenRemote(CoreKey{});
  EXPECT_FALSE(remote->writable());
  EXPECT_FALSE(remote->manifest());
  for (int round = 0; round < 2; ++round) {
    const auto list = store.cores->List();
    ASSERT_EQ(list.size(), 21U);
    EXPECT_EQ(store.cores->size(), 21U);
    for (std::size_t i = 0; i < 20; ++i) {
      EXPECT_EQ(list[i].length, i);
      EXPECT_EQ(list[i].contiguous_length, i);
      EXPECT_TRUE(list[i].writable);
      EXPECT_TRUE(store.cores->Contains(list[i].discovery_key));
    }
    EXPECT_FALSE(list[20].writable);
    EXPECT_FALSE(store.cores->Contains(DiscoveryKey{}));
    store.Reopen();
  }
}

TEST(Corestore, ARemovedCoreIsNeitherFoundNorLostAndComesBackWhenOpenedAgain) {
  TestStore store;
  auto core = *store.cores->OpenNamed("notes");
  ASSERT_TRUE(AppendAll(*core, BlocksByRule(0, 5)).ok());
  const CoreKey key = core->key();
  const DiscoveryKey discovery_key = core->discovery_key();
  ASSERT_TRUE(store.cores->Remove(key).ok());
  core.reset();
  store.Reopen();
  EXPECT_FALSE(store.cores->Contains(discovery_key));
  EXPECT_EQ(store.cores->Find(discovery_key).status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_TRUE(store.cores->List()[0].removed);
  EXPECT_EQ((*store.cores->Open(key))->length(), 5U);
  core = *store.cores->OpenRemote(key);
  EXPECT_TRUE(store.cores->Contains(discovery_key));
  EXPECT_EQ(*core->Get(4), BlockByRule(4));
  EXPECT_TRUE(core->writable());
  ASSERT_TRUE(AppendAll(*core, {BlockByRule(5)}).ok());
  EXPECT_EQ(store.cores->Remove(CoreKey{}).code(), absl::StatusCode::kNotFound);
}

TEST(Corestore, APurgedCoreLeavesNoRecordAndItsHandlesFail) {
  TestStore store;
  const auto other = *store.cores->OpenNamed("other");
  ASSERT_TRUE(AppendAll(*other, BlocksByRule(0, 100)).ok());
  const std::size_t before = CountRecords(store.storage);
  const auto core = *store.cores->OpenNamed("notes");
  ASSERT_TRUE(AppendAll(*core, BlocksByRule(0, 2000)).ok());
  ASSERT_TRUE(core->Clear(100, 200).ok());
  ASSERT_TRUE(store.cores->Purge(core->key()).ok());
  EXPECT_EQ(CountRecords(store.storage), before);
  const auto failed = absl::StatusCode::kFailedPrecondition;
  EXPECT_EQ(core->Get(0).status().code(), failed);
  EXPECT_EQ(AppendAll(*core, {BlockByRule(0)}).status().code(), failed);
  EXPECT_EQ(core->Apply(std::span<const Proof>()).status().code(), failed);
  EXPECT_EQ(store.cores->Open(core->key()).status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(store.cores->Purge(core->key()).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(*other->GetRange(0, 100), BlocksByRule(0, 100));
  store.Reopen();
  EXPECT_EQ(store.cores->size(), 1U);
}

TEST(Corestore, ManyRemoteCoresAreMadeInOneBatchAndThoseThatAreThereAreKept) {
  TestStore store;
  std::vector<CoreKey> keys;
  for (std::uint8_t i = 0; i < 50; ++i)
    keys.push_back(KeyOf(SingleSigner(PairOfSeed(i).public_key)));
  const auto known = *store.cores->OpenRemote(keys[7]);
  keys.push_back(keys[9]);  // named twice
  const auto cores = *store.cores->OpenRemotes(keys);
  ASSERT_EQ(cores.size(), 51U);
  EXPECT_EQ(cores[7], known);
  EXPECT_EQ(cores[50], cores[9]);
  for (std::size_t i = 0; i < cores.size(); ++i) {
    EXPECT_EQ(cores[i]->key(), keys[i]);
    EXPECT_EQ(cores[i]->length(), 0U);
  }
  EXPECT_EQ(store.cores->size(), 50U);
  store.Reopen();
  EXPECT_EQ(store.cores->size(), 50U);
  EXPECT_EQ((*store.cores->Open(keys[30]))->key(), keys[30]);
}

TEST(Corestore, AKeyThatWasRemoteBecomesOurOwnOnceThePairIsGiven) {
  TestStore store;
  const KeyPair pair = PairOfSeed(4);
  const Manifest manifest = SingleSigner(pair.public_key);
  const auto core = *store.cores->OpenRemote(KeyOf(manifest));
  EXPECT_EQ(AppendAll(*core, {BlockByRule(0)}).status().code(),
            absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(store.cores->OpenOwn(manifest, PairOfSeed(5)).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(*store.cores->OpenOwn(manifest, pair), core);
  EXPECT_TRUE(AppendAll(*core, {BlockByRule(0)}).ok());
}

TEST(Corestore, AStoreOfANewerFormatIsRefusedAndOneThatOlderReadersMayReadIsNot) {
  for (const std::uint64_t minimum_reader : {1U, 2U}) {
    MemoryStorage storage;
    StorageBatch batch;
    Bytes format;
    Writer writer(&format);
    writer.Uint(2);
    writer.Uint(minimum_reader);
    batch.Put(Family::kMeta, keys::Format(), format);
    ASSERT_TRUE(storage.Commit(batch, Durability::kSynced).ok());
    TestRandom random(1);
    EXPECT_EQ(Corestore::Open(&storage, &random).status().code(),
              minimum_reader == 1 ? absl::StatusCode::kOk
                                  : absl::StatusCode::kFailedPrecondition);
  }
}

TEST(Corestore, WhatIsLoggedIsDurableAfterSyncAndTheObserverHearsIt) {
  TestStore store;
  const auto core = *store.cores->OpenNamed("notes");
  std::vector<CoreEvent> events;
  const auto handle =
      core->Observe([&events](const CoreEvent& event) { events.push_back(event); });
  ASSERT_TRUE(AppendAll(*core, BlocksByRule(0, 3), Durability::kLogged).ok());
  EXPECT_EQ(core->durable_length(), 0U);
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(events[0].kind, CoreEvent::Kind::kLength);
  EXPECT_EQ(events[1].kind, CoreEvent::Kind::kBlocks);
  EXPECT_EQ(events[1].to, 3U);
  ASSERT_TRUE(store.cores->Sync().ok());
  EXPECT_EQ(core->durable_length(), 3U);
  ASSERT_EQ(events.size(), 3U);
  EXPECT_EQ(events[2].kind, CoreEvent::Kind::kDurable);
  ASSERT_TRUE(AppendAll(*core, BlocksByRule(3, 4)).ok());
  EXPECT_EQ(core->durable_length(), 4U);
}

TEST(Corestore, ACoreClosedBeforeSyncIsDurableAfterIt) {
  TestStore store;
  auto core = *store.cores->OpenNamed("notes");
  ASSERT_TRUE(AppendAll(*core, BlocksByRule(0, 3), Durability::kLogged).ok());
  core.reset();
  core = *store.cores->OpenNamed("notes");
  EXPECT_EQ(core->durable_length(), 0U);
  core.reset();
  ASSERT_TRUE(store.cores->Sync().ok());
  EXPECT_EQ((*store.cores->OpenNamed("notes"))->durable_length(), 3U);
}

TEST(Corestore, OnADiskEverythingIsThereAfterEachReopen) {
  const TempDirectory directory;
  const std::string path = directory.path("store");
  TestRandom random(3);
  std::vector<Bytes> expected;
  std::uint64_t fork = 0;
  for (int round = 0; round < 6; ++round) {
    auto storage = RocksStorage::Open(path, {.create = round == 0});
    ASSERT_TRUE(storage.ok()) << storage.status();
    auto cores = *Corestore::Open(storage->get(), &random);
    const auto core = *cores->OpenNamed("notes");
    EXPECT_EQ(core->fork(), fork);
    EXPECT_EQ(*core->GetRange(0, core->length()), expected);
    for (int i = 0; i < 4; ++i) {
      const std::uint64_t cut = random.Below(expected.size() + 1);
      ASSERT_TRUE(core->Truncate(cut).ok());
      ++fork;
      expected.resize(cut);
      const std::uint64_t first = random.Below(100000);
      const auto more = BlocksByRule(first, first + 1 + random.Below(400));
      ASSERT_TRUE(AppendAll(*core, more, Durability::kLogged).ok());
      expected.insert(expected.end(), more.begin(), more.end());
    }
    EXPECT_EQ(*core->GetRange(0, core->length()), expected);
    for (int i = 0; i < 50; ++i) {
      const std::uint64_t index = random.Below(expected.size());
      EXPECT_EQ(*core->Get(index), expected[index]);
    }
  }
}

}  // namespace
}  // namespace weft
