// Two cores: one proves, the other takes, in every order and with every bit at risk.

#include <numeric>

#include "tests/engine/core_fixture.h"

namespace weft {
namespace {

struct Pair {
  explicit Pair(std::uint64_t seed = 1) : random(seed), left(seed), right(seed + 1000) {
    source = *left.cores->OpenNamed("notes");
    reader = *right.cores->OpenRemote(source->key());
  }
  void ReopenReader() {
    const CoreKey key = reader->key();
    reader.reset();
    right.Reopen();
    reader = *right.cores->Open(key);
  }
  absl::Status Upgrade() {
    return ApplyOne(*reader, *source->Prove(RequestUpgrade(*reader, *source)));
  }

  TestRandom random;
  TestStore left;
  TestStore right;
  std::shared_ptr<Hypercore> source;
  std::shared_ptr<Hypercore> reader;
};

// Every node and block that the reader holds is the source's.
void ExpectTrue(const Hypercore& reader, const Hypercore& source) {
  for (std::uint64_t index = 0; index < 2 * reader.length(); ++index) {
    if (!reader.HasNode(index) || !flat_tree::IsComplete(index, reader.length())) {
      EXPECT_FALSE(reader.HasNode(index));
      continue;
    }
    const ProofRequest request{.hash = HashRequest{index, 0}};
    ASSERT_EQ(reader.Prove(request)->hash, source.Prove(request)->hash);
  }
  for (std::uint64_t i = 0; i < reader.length(); ++i) {
    if (!reader.Has(i)) continue;
    ASSERT_EQ(*reader.Get(i), *source.Get(i));
  }
  EXPECT_EQ(reader.tree_hash(), *source.TreeHashAt(reader.length()));
}

TEST(Apply, AWholeCoreIsTakenBlockByBlockInAnyOrderAndReopenedOnTheWay) {
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    SCOPED_TRACE(seed);
    Pair pair(seed);
    std::uint64_t length = 0;
    while (length < 700) {
      const std::uint64_t more = 1 + pair.random.Below(200);
      ASSERT_TRUE(AppendAll(*pair.source, BlocksByRule(length, length + more)).ok());
      length += more;
      ASSERT_TRUE(pair.Upgrade().ok());
      EXPECT_EQ(pair.reader->length(), length);
      for (int i = 0; i < 40; ++i) {
        const std::uint64_t block = pair.random.Below(length);
        const Proof proof = *pair.source->Prove(RequestBlock(*pair.reader, block));
        ASSERT_TRUE(ApplyOne(*pair.reader, proof).ok());
        EXPECT_TRUE(ApplyOne(*pair.reader, proof).ok());  // a duplicate is no fault
        EXPECT_EQ(pair.reader->MissingNodes(block), 0U);
      }
      ExpectTrue(*pair.reader, *pair.source);
      const std::uint64_t held = pair.reader->held_blocks();
      pair.ReopenReader();
      EXPECT_EQ(pair.reader->held_blocks(), held);
    }
    std::vector<std::uint64_t> order(length);
    std::iota(order.begin(), order.end(), 0U);
    for (std::size_t i = length; i-- > 1;)
      std::swap(order[i], order[pair.random.Below(i)]);
    std::vector<Proof> proofs;
    for (const std::uint64_t block : order) {
      if (pair.reader->Has(block)) continue;
      proofs.push_back(*pair.source->Prove(RequestBlock(*pair.reader, block)));
    }
    const auto results = *pair.reader->Apply(std::span<const Proof>(proofs));
    for (const auto& result : results) EXPECT_TRUE(result.ok()) << result;
    EXPECT_EQ(pair.reader->contiguous_length(), length);
    pair.ReopenReader();
    EXPECT_EQ(pair.reader->contiguous_length(), length);
    EXPECT_EQ(*pair.reader->GetRange(0, length), BlocksByRule(0, length));
    // A mirror serves what it took.
    Pair third(seed + 50);
    third.reader = *third.right.cores->OpenRemote(pair.source->key());
    third.source = pair.reader;
    ASSERT_TRUE(third.Upgrade().ok());
    ASSERT_TRUE(
        ApplyOne(*third.reader, *pair.reader->Prove(RequestBlock(*third.reader, 3)))
            .ok());
    EXPECT_EQ(*third.reader->Get(3), BlockByRule(3));
  }
}

TEST(Apply, BlockAndUpgradeTogetherNeedNothingElse) {
  Pair pair;
  ASSERT_TRUE(AppendAll(*pair.source, BlocksByRule(0, 10)).ok());
  ProofRequest request = RequestUpgrade(*pair.reader, *pair.source);
  request.block = BlockRequest{4, 0};
  ASSERT_TRUE(ApplyOne(*pair.reader, *pair.source->Prove(request)).ok());
  EXPECT_EQ(*pair.reader->Get(4), BlockByRule(4));
  EXPECT_EQ(pair.reader->held_blocks(), 1U);
  EXPECT_EQ(pair.reader->durable_length(), 0U);
  ASSERT_TRUE(pair.right.cores->Sync().ok());
  EXPECT_EQ(pair.reader->durable_length(), 10U);
}

TEST(Apply, AProofOfAnotherLengthOrAnOlderForkIsToBeAskedForAgain) {
  Pair pair;
  ASSERT_TRUE(AppendAll(*pair.source, BlocksByRule(0, 10)).ok());
  const Proof whole = *pair.source->Prove(RequestUpgrade(*pair.reader, *pair.source));
  ASSERT_TRUE(ApplyOne(*pair.reader, whole).ok());
  const auto again = absl::StatusCode::kFailedPrecondition;
  EXPECT_EQ(ApplyOne(*pair.reader, whole).code(), again);
  ASSERT_TRUE(pair.source->Truncate(5).ok());
  ASSERT_TRUE(pair.Upgrade().ok());
  EXPECT_EQ(pair.reader->fork(), 1U);
  EXPECT_EQ(ApplyOne(*pair.reader, whole).code(), again);
}

TEST(Apply, AMissingManifestOrAnothersIsRefused) {
  Pair pair;
  ASSERT_TRUE(AppendAll(*pair.source, BlocksByRule(0, 10)).ok());
  Proof proof = *pair.source->Prove(RequestUpgrade(*pair.reader, *pair.source));
  const auto manifest = proof.manifest;
  proof.manifest.reset();
  EXPECT_EQ(ApplyOne(*pair.reader, proof).code(), absl::StatusCode::kDataLoss);
  proof.manifest = EncodeManifest(SingleSigner(PairOfSeed(9).public_key));
  EXPECT_EQ(ApplyOne(*pair.reader, proof).code(), absl::StatusCode::kDataLoss);
  EXPECT_FALSE(pair.reader->manifest());
  EXPECT_EQ(pair.reader->length(), 0U);
  proof.manifest = manifest;
  EXPECT_TRUE(ApplyOne(*pair.reader, proof).ok());
}

TEST(Apply, ACompatCoreNeedsNoManifest) {
  Pair pair;
  const KeyPair keys = PairOfSeed(7);
  const CoreKey key{keys.public_key.bytes};
  pair.source = *pair.left.cores->OpenOwn(CompatManifest(key), keys);
  pair.reader = *pair.right.cores->OpenRemote(key);
  ASSERT_TRUE(AppendAll(*pair.source, BlocksByRule(0, 10)).ok());
  const Proof proof = *pair.source->Prove(RequestUpgrade(*pair.reader, *pair.source));
  EXPECT_FALSE(proof.manifest);
  EXPECT_EQ(proof.upgrade->signature.size(), 64U);
  ASSERT_TRUE(ApplyOne(*pair.reader, proof).ok());
  pair.ReopenReader();
  EXPECT_TRUE(pair.reader->manifest()->compat);
  EXPECT_EQ(pair.reader->length(), 10U);
}

TEST(Apply, AStaticCoreIsTakenByItsPrologueAlone) {
  Pair pair;
  ASSERT_TRUE(AppendAll(*pair.source, BlocksByRule(0, 6)).ok());
  Manifest manifest;
  manifest.quorum = 0;
  manifest.prologue = Prologue{pair.source->tree_hash(), 6};
  pair.reader = *pair.right.cores->OpenRemote(KeyOf(manifest));
  Proof proof = *pair.source->Prove(RequestUpgrade(*pair.reader, *pair.source));
  proof.manifest = EncodeManifest(manifest);
  proof.upgrade->signature.clear();
  ASSERT_TRUE(ApplyOne(*pair.reader, proof).ok());
  pair.ReopenReader();
  EXPECT_EQ(pair.reader->length(), 6U);
  EXPECT_TRUE(
      ApplyOne(*pair.reader, *pair.source->Prove(RequestBlock(*pair.reader, 2))).ok());
  // Whoever asks for less gets the whole prologue.
  const auto part = pair.reader->Prove({.upgrade = UpgradeRequest{1, 2}});
  EXPECT_EQ(part->upgrade->start, 0U);
  EXPECT_EQ(part->upgrade->length, 6U);
}

TEST(Apply, AHigherForkReplacesTheLogFromTheFirstDifferingRootOn) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    Pair pair(seed);
    const std::uint64_t old_length = 1 + pair.random.Below(300);
    ASSERT_TRUE(AppendAll(*pair.source, BlocksByRule(0, old_length)).ok());
    ASSERT_TRUE(pair.Upgrade().ok());
    for (std::uint64_t i = 0; i < old_length; ++i) {
      ASSERT_TRUE(
          ApplyOne(*pair.reader, *pair.source->Prove(RequestBlock(*pair.reader, i)))
              .ok());
    }
    const std::uint64_t cut = pair.random.Below(old_length + 1);
    ASSERT_TRUE(pair.source->Truncate(cut).ok());
    const std::uint64_t more = pair.random.Below(200);
    if (more > 0) {
      ASSERT_TRUE(AppendAll(*pair.source, BlocksByRule(9000, 9000 + more)).ok());
    }
    if (pair.source->length() == 0) continue;  // there is nothing to prove
    const Proof proof = *pair.source->Prove(RequestUpgrade(*pair.reader, *pair.source));
    const auto refused = *pair.reader->Apply(std::span<const Proof>(&proof, 1), false);
    EXPECT_EQ(refused[0].code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_EQ(pair.reader->fork(), 0U);
    std::vector<CoreEvent> events;
    const auto handle = pair.reader->Observe(
        [&events](const CoreEvent& event) { events.push_back(event); });
    ASSERT_TRUE(ApplyOne(*pair.reader, proof).ok());
    EXPECT_EQ(pair.reader->fork(), 1U);
    EXPECT_EQ(pair.reader->tree_hash(), pair.source->tree_hash());
    EXPECT_EQ(events.back().kind, CoreEvent::Kind::kLength);
    EXPECT_LE(events.back().from, cut);
    for (std::uint64_t i = 0; i < events.back().from; ++i) {
      EXPECT_TRUE(pair.reader->Has(i));
    }
    ExpectTrue(*pair.reader, *pair.source);
    pair.ReopenReader();
    for (std::uint64_t i = 0; i < pair.source->length(); ++i) {
      ASSERT_TRUE(
          ApplyOne(*pair.reader, *pair.source->Prove(RequestBlock(*pair.reader, i)))
              .ok());
    }
    ExpectTrue(*pair.reader, *pair.source);
    EXPECT_EQ(pair.reader->contiguous_length(), pair.source->length());
  }
}

TEST(Apply, ABlockOfTheForkBeforeIsNotKeptThoughItCameInTheSameCall) {
  Pair pair;
  ASSERT_TRUE(AppendAll(*pair.source, BlocksByRule(0, 6)).ok());
  std::vector<Proof> proofs = {
      *pair.source->Prove(RequestUpgrade(*pair.reader, *pair.source))};
  for (const std::uint64_t i : {3U, 4U, 5U}) {
    proofs.push_back(*pair.source->Prove({.block = BlockRequest{i, i == 3 ? 2U : 1U}}));
  }
  // The roots of length 6 stand for blocks 0 to 3, and for 4 and 5.
  ASSERT_TRUE(pair.source->Truncate(4).ok());
  ASSERT_TRUE(AppendAll(*pair.source, BlocksByRule(9000, 9003)).ok());
  proofs.push_back(*pair.source->Prove(RequestUpgrade(*pair.reader, *pair.source)));
  const auto results = *pair.reader->Apply(std::span<const Proof>(proofs), true);
  for (const absl::Status& status : results) EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(pair.reader->fork(), 1U);
  EXPECT_TRUE(pair.reader->Has(3));
  EXPECT_FALSE(pair.reader->Has(4));
  EXPECT_FALSE(pair.reader->Has(5));
  ExpectTrue(*pair.reader, *pair.source);
}

TEST(Apply, OneWrongProofCostsItselfOnlyAndLaterOnesMayHangOnEarlierOnes) {
  Pair pair;
  ASSERT_TRUE(AppendAll(*pair.source, BlocksByRule(0, 64)).ok());
  std::vector<Proof> proofs = {
      *pair.source->Prove(RequestUpgrade(*pair.reader, *pair.source))};
  for (std::uint64_t i = 0; i < 64; ++i) {
    // Each asks for what it needs once those before it have come.
    const std::uint64_t nodes =
        i == 0 ? 6 : static_cast<std::uint64_t>(std::countr_zero(i));
    proofs.push_back(*pair.source->Prove({.block = BlockRequest{i, nodes}}));
  }
  proofs[20].block->value.push_back(1);
  const auto results = *pair.reader->Apply(std::span<const Proof>(proofs));
  for (std::size_t i = 0; i < results.size(); ++i) {
    EXPECT_EQ(results[i].code(),
              i == 20 ? absl::StatusCode::kDataLoss : absl::StatusCode::kOk)
        << i;
  }
  EXPECT_EQ(pair.reader->held_blocks(), 63U);
  EXPECT_EQ(pair.reader->contiguous_length(), 19U);
}

TEST(Apply, SizesAPeerInventsAreNotStored) {
  Pair pair;
  ASSERT_TRUE(AppendAll(*pair.source, BlocksByRule(0, 8)).ok());
  ASSERT_TRUE(pair.Upgrade().ok());
  Proof proof = *pair.source->Prove({.hash = HashRequest{2, 3}});
  proof.hash->nodes[0].size += 1;
  proof.hash->nodes[1].size -= 1;
  ApplyOne(*pair.reader, proof).IgnoreError();
  ExpectTrue(*pair.reader, *pair.source);
}

// The places of a proof where a bit can be wrong, as bytes.
std::vector<std::span<std::uint8_t>> PlacesOf(Proof& proof) {
  std::vector<std::span<std::uint8_t>> places;
  const auto add = [&places](auto& value) {
    places.push_back({reinterpret_cast<std::uint8_t*>(&value), sizeof(value)});
  };
  const auto add_nodes = [&](std::vector<TreeNode>& nodes) {
    for (TreeNode& node : nodes) {
      add(node.tree_index);
      add(node.size);
      places.push_back(node.hash.bytes);
    }
  };
  add(proof.fork);
  if (proof.block) {
    add(proof.block->block_index);
    places.push_back(proof.block->value);
    add_nodes(proof.block->nodes);
  }
  if (proof.hash) {
    add(proof.hash->tree_index);
    add_nodes(proof.hash->nodes);
  }
  if (proof.seek) add_nodes(proof.seek->nodes);
  if (proof.upgrade) {
    add(proof.upgrade->start);
    add(proof.upgrade->length);
    add_nodes(proof.upgrade->nodes);
    add_nodes(proof.upgrade->additional_nodes);
    places.push_back(proof.upgrade->signature);
  }
  if (proof.manifest) places.push_back(*proof.manifest);
  std::erase_if(places, [](const auto& place) { return place.empty(); });
  return places;
}

ProofRequest RandomRequest(Pair& pair) {
  const std::uint64_t length = pair.source->length();
  ProofRequest request;
  if (pair.reader->length() < length) {
    request = RequestUpgrade(*pair.reader, *pair.source);
    if (pair.random.Below(3) == 0) {
      request.upgrade->length = 1 + pair.random.Below(request.upgrade->length);
    }
    const std::uint64_t end = request.upgrade->start + request.upgrade->length;
    const std::uint64_t index = pair.random.Below(end);
    if (pair.random.Below(2) == 0) {
      request.block = BlockRequest{index, pair.reader->MissingNodes(index)};
    } else if (pair.random.Below(2) == 0) {
      request.seek = SeekRequest{pair.random.Below(pair.source->byte_length()), 0};
    }
    return request;
  }
  const std::uint64_t index = pair.random.Below(length);
  if (pair.random.Below(3) == 0) {
    request.hash = HashRequest{2 * index, pair.reader->MissingNodes(index)};
  } else {
    request.block = BlockRequest{index, pair.reader->MissingNodes(index)};
  }
  return request;
}

TEST(Apply, AFlippedBitAnywhereInAProofNeverStoresAnythingFalse) {
  int refused = 0;
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    SCOPED_TRACE(seed);
    Pair pair(seed);
    std::uint64_t length = 0;
    for (int step = 0; step < 60; ++step) {
      if (pair.random.Below(3) == 0 || length == 0) {
        const std::uint64_t more = 1 + pair.random.Below(12);
        ASSERT_TRUE(AppendAll(*pair.source, BlocksByRule(length, length + more)).ok());
        length += more;
      }
      const auto honest = pair.source->Prove(RandomRequest(pair));
      if (!honest.ok()) continue;  // a seek and a block apart from each other
      for (int flips = 0; flips < 10; ++flips) {
        Proof altered = *honest;
        auto places = PlacesOf(altered);
        auto& place = places[pair.random.Below(places.size())];
        place[pair.random.Below(place.size())] ^=
            static_cast<std::uint8_t>(1U << pair.random.Below(8));
        const std::uint64_t before = pair.reader->held_blocks();
        const absl::Status status = ApplyOne(*pair.reader, altered);
        EXPECT_FALSE(status.ok() && pair.reader->held_blocks() > before &&
                     altered.block->value != honest->block->value);
        refused += status.ok() ? 0 : 1;
      }
      ApplyOne(*pair.reader, *honest).IgnoreError();
      ExpectTrue(*pair.reader, *pair.source);
      if (step % 20 == 19) pair.ReopenReader();
    }
    ExpectTrue(*pair.reader, *pair.source);
  }
  EXPECT_GT(refused, 3000);
}

TEST(Apply, EveryFlippedBitOfAFirstProofIsRefusedAndChangesNothing) {
  Pair pair;
  ASSERT_TRUE(AppendAll(*pair.source, BlocksByRule(0, 11)).ok());
  ProofRequest request = RequestUpgrade(*pair.reader, *pair.source);
  request.block = BlockRequest{9, 0};
  Proof proof = *pair.source->Prove(request);
  for (const auto& place : PlacesOf(proof)) {
    for (std::size_t bit = 0; bit < place.size() * 8; ++bit) {
      const auto mask = static_cast<std::uint8_t>(1U << (bit % 8));
      place[bit / 8] ^= mask;
      EXPECT_FALSE(ApplyOne(*pair.reader, proof).ok()) << "bit " << bit;
      EXPECT_EQ(pair.reader->length(), 0U);
      EXPECT_FALSE(pair.reader->manifest());
      place[bit / 8] ^= mask;
    }
  }
  EXPECT_TRUE(ApplyOne(*pair.reader, proof).ok());
}

TEST(Apply, ANeverHeldCoreProvesNothingAndAClearedBlockIsNotServed) {
  Pair pair;
  EXPECT_EQ(*pair.reader->Prove({.upgrade = UpgradeRequest{0, 1}}), Proof());
  ASSERT_TRUE(AppendAll(*pair.source, BlocksByRule(0, 10)).ok());
  ASSERT_TRUE(pair.source->Clear(2, 4).ok());
  EXPECT_EQ(pair.source->Prove({.block = BlockRequest{3, 0}}).status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_TRUE(pair.source->Prove({.hash = HashRequest{6, 1}}).ok());
  ASSERT_TRUE(pair.Upgrade().ok());
  EXPECT_EQ(pair.reader->Prove({.block = BlockRequest{3, 0}}).status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(pair.reader->Seek(3).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace weft
