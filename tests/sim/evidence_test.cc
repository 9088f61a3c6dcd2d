// What somebody who knows a base, and holds no grant in it, can make a store do by the
// evidence that he sends (attacks 17 and 26): it is asked here as a peer would be.

#include <gtest/gtest.h>

#include <asio/io_context.hpp>

#include "crdt/batch.h"
#include "engine/codec.h"
#include "engine/memory_storage.h"
#include "tests/crdt/fork_sides.h"
#include "tests/crdt/later_log.h"
#include "tests/engine/numbered_key.h"
#include "tests/sim/sim_clock.h"
#include "tests/sim/sim_network.h"
#include "tests/sim/sim_random.h"
#include "weft/base_people.h"
#include "weft/branch_fetch.h"
#include "weft/node.h"
#include "weft/waiting_forks.h"

namespace weft::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

PublicKey PeerOf(std::uint64_t number) {
  return NumberedKey<PublicKey>(number);
}

// A disk that counts what is asked of it.
class CountingStorage final : public Storage {
 public:
  absl::StatusOr<std::optional<Bytes>> Get(Family family, ByteView key,
                                           const StorageSnapshot* snapshot) override {
    Count(family);
    return memory_.Get(family, key, snapshot);
  }
  absl::StatusOr<std::vector<std::optional<Bytes>>> MultiGet(
      Family family, std::span<const Bytes> keys,
      const StorageSnapshot* snapshot) override {
    Count(family);
    return memory_.MultiGet(family, keys, snapshot);
  }
  std::unique_ptr<StorageCursor> Scan(Family family, const ScanRange& range,
                                      const StorageSnapshot* snapshot) override {
    Count(family);
    return memory_.Scan(family, range, snapshot);
  }
  std::shared_ptr<const StorageSnapshot> TakeSnapshot() override {
    return memory_.TakeSnapshot();
  }
  absl::Status Commit(const StorageBatch& batch, Durability durability) override {
    ++commits;
    return memory_.Commit(batch, durability);
  }
  absl::Status Sync() override { return memory_.Sync(); }
  absl::Status Flush() override { return memory_.Flush(); }

  std::size_t commits = 0;
  std::size_t block_reads = 0;

 private:
  void Count(Family family) {
    if (family == Family::kBlocks) ++block_reads;
  }
  MemoryStorage memory_;
};

// One branch of somebody's log, on a disk of its own.
struct Branch {
  Branch(const IdentityKeys& keys, std::uint64_t seed) : random(seed) {
    cores = *Corestore::Open(&storage, &random);
    core = *cores->OpenOwn(keys.manifest, keys.pair);
  }
  void Append(const std::string& text, std::size_t count, std::size_t bytes = 10) {
    std::vector<Bytes> blocks;
    for (std::size_t i = 0; i < count; ++i) {
      Bytes block = ToBytes(AsBytes(text + std::to_string(core->length() + i)));
      block.resize(std::max(block.size(), bytes));
      blocks.push_back(std::move(block));
    }
    const std::vector<ByteView> views(blocks.begin(), blocks.end());
    WEFT_CHECK(core->Append(views).ok());
  }
  ForkSide Side() const {
    ForkSide side;
    side.length = core->length();
    side.fork = core->fork();
    side.signature = ToBytes(core->signature());
    side.node = [held = core](std::uint64_t tree_index) -> std::optional<TreeNode> {
      const auto node = held->NodeAt(tree_index);
      if (!node.ok()) return std::nullopt;
      return *node;
    };
    return side;
  }
  // As evidence.
  Bytes Head(std::uint64_t from) const {
    Bytes head = {5};
    weft::Append(head, EncodeBranchHead(*MakeBranchHead(core->key(), Side(), from)));
    return head;
  }

  MemoryStorage storage;
  SimRandom random;
  std::unique_ptr<Corestore> cores;
  std::shared_ptr<Hypercore> core;
};

// Ada's store with a base of hers, and Bob's log in it, which he has forked.
class Evidence : public testing::Test {
 protected:
  Evidence() {
    view_ = network_.HostView("ada");
    NodeHost host;
    host.executor = io_.get_executor();
    host.storage = &storage_;
    host.clock = &clock_;
    host.random = &random_;
    host.network = view_.get();
    node_ = *Node::Open(host);
    node_->OnEvent([this](const std::string& line) { events_.push_back(line); });
    base_ = *node_->CreateBase("notes");
    keys_ = MakeIdentity(base_->record().salt, random_);
    one_ = std::make_unique<Branch>(keys_, 1);
    other_ = std::make_unique<Branch>(keys_, 2);
  }
  ~Evidence() override {
    node_.reset();
    clock_.Clear();
    io_.restart();
    io_.poll();
  }
  void RunFor(Nanos duration) {
    const Nanos until = clock_.Steady() + duration;
    do {
      io_.restart();
      io_.poll();
    } while (clock_.next() <= until && clock_.Step());
    clock_.AdvanceTo(until);
  }
  // Bob is let in, and Ada gets the first branch of his log.
  void Hold() {
    ASSERT_TRUE(base_->GrantLogged(keys_.id(), GrantRole::kWriter, "").ok());
    RunFor(milliseconds(50));
    const std::shared_ptr<Hypercore> here = base_->LogOf(keys_.id());
    ASSERT_TRUE(here != nullptr);
    const std::uint64_t length = one_->core->length();
    for (std::uint64_t at = 0; at < length; ++at) {
      ProofRequest request;
      if (at == 0) {
        request.upgrade = UpgradeRequest{0, length};
        request.manifest = true;
      }
      request.block = BlockRequest{at, at == 0 ? 0 : here->MissingNodes(at)};
      const auto proof = one_->core->Prove(request);
      ASSERT_TRUE(proof.ok()) << proof.status();
      const auto taken = here->Apply(std::span(&*proof, 1));
      ASSERT_TRUE(taken.ok() && taken->at(0).ok()) << taken->at(0) << " " << at;
    }
    RunFor(seconds(1));
    ASSERT_EQ(here->contiguous_length(), length);
    storage_.block_reads = 0;
  }
  std::optional<ForkedLog> Fork() { return base_->indexer()->ForkOf(keys_.id()); }
  // Evidence of a fork at the first block of the log of these keys.
  static Bytes ForkOf(const IdentityKeys& keys, const Bytes& first_block = {}) {
    const std::vector<Bytes> one = {first_block.empty() ? Bytes{1} : first_block};
    const std::vector<Bytes> other = {{2}};
    auto proof = FindFork(keys.manifest, MakeSide(keys.manifest, keys.pair, one),
                          MakeSide(keys.manifest, keys.pair, other));
    proof->first_block = first_block;
    return EncodeForkProof(*proof);
  }
  // Of somebody whom nobody knows.
  Bytes StrangersFork() { return ForkOf(MakeIdentity(base_->record().salt, random_)); }
  // The first block of a later log of Bob's.
  Bytes LaterBegin(const CoreKey& later) {
    const Incarnation certificate = CertifyLater(keys_, base_->base_id(), later);
    const Indexer& indexer = *base_->indexer();
    CommitHeader header;
    header.hlc.ms = 1'000'000;
    header.cite = indexer.authority().GrantsOf(keys_.id()).front()->id;
    const std::uint64_t length = header.cite.position + 1;
    header.deps.push_back({header.cite.writer, length,
                           *base_->LogOf(header.cite.writer)->TreeHashAt(length)});
    const auto begin = EncodeCertificate(LogState(later), header, certificate,
                                         indexer.genesis().limits);
    WEFT_CHECK(begin.ok());
    return begin->blocks.front();
  }
  auto Take(ByteView evidence, std::uint64_t peer = 1) {
    return base_->TakeEvidence(PeerOf(peer), evidence);
  }

  asio::io_context io_{1};
  SimClock clock_{Nanos(std::chrono::hours(1))};
  SimNetwork network_{&clock_, 7, {}};
  SimRandom random_{7};
  CountingStorage storage_;
  std::unique_ptr<Network> view_;
  std::unique_ptr<Node> node_;
  BaseNode* base_ = nullptr;
  std::vector<std::string> events_;
  IdentityKeys keys_;
  std::unique_ptr<Branch> one_, other_;
};

TEST_F(Evidence, Attack17_AHeadThatNobodySignedIsRefusedAndNothingIsReadForIt) {
  one_->Append("same", 600);
  Hold();
  other_->Append("same", 500);
  other_->Append("other", 100);
  Bytes forged = other_->Head(500);
  forged.back() ^= 1;
  EXPECT_TRUE(absl::IsDataLoss(Take(forged).status())) << Take(forged).status();
  // Of a log that nobody here wants.
  Branch strange(MakeIdentity(base_->record().salt, random_), 3);
  strange.Append("x", 5);
  EXPECT_TRUE(absl::IsNotFound(Take(strange.Head(0)).status()));
  EXPECT_EQ(storage_.block_reads, 0U);
  EXPECT_FALSE(Fork().has_value());
}

TEST_F(Evidence, Attack17_AForkOfALongLogIsFoundWithoutReadingItsBlocks) {
  one_->Append("same", 1'200);
  Hold();
  other_->Append("same", 700);
  other_->Append("other", 600);
  // Where they part lies below what the head shows: he is asked for a closer look.
  const auto asked = Take(other_->Head(other_->core->length()));
  ASSERT_TRUE(asked.ok()) << asked.status();
  ASSERT_EQ(asked->size(), 1U);
  EXPECT_EQ(asked->front()[0], 6);
  EXPECT_FALSE(Fork().has_value());
  ASSERT_TRUE(Take(other_->Head(700)).ok());
  EXPECT_EQ(storage_.block_reads, 0U);
  RunFor(seconds(1));
  ASSERT_TRUE(Fork().has_value());
  EXPECT_EQ(Fork()->fork_point, 700U);
  // Once it is known no head of it is of use, nor is one that extends ours.
  EXPECT_TRUE(absl::IsNotFound(Take(other_->Head(700)).status()));
  EXPECT_TRUE(absl::IsNotFound(Take(one_->Head(600)).status()));
}

TEST_F(Evidence, Attack26_WhatIsAskedOfALogCostsWhatIsTold) {
  one_->Append("same", 3'000);
  Hold();
  Bytes ask = {6};
  Writer out(&ask);
  out.Raw(keys_.id().view());
  out.Uint(1'000);
  // However often: who asks pays with his time, and nobody else does.
  for (std::uint64_t peer = 0; peer < 400; ++peer) {
    const auto head = Take(ask, peer);
    ASSERT_TRUE(head.ok()) << head.status();
    ASSERT_EQ(head->size(), 1U);
  }
  // Many say that they have settled something else, all at once.
  Bytes hashes = {7};
  Writer claims(&hashes);
  for (int i = 0; i < 500; ++i) {
    claims.Raw(keys_.id().view());
    claims.Uint(base_->Feeds().settled(keys_.id()));
    claims.Raw(TreeHash{}.view());
  }
  const auto heads = Take(hashes);
  ASSERT_TRUE(heads.ok()) << heads.status();
  EXPECT_LE(heads->size(), 16U);
  EXPECT_EQ(storage_.block_reads, 0U);
}

TEST_F(Evidence, Attack17_ForksOfStrangersKeepNoForkOfAMemberOut) {
  one_->Append("same", 3);
  Hold();
  for (int i = 0; i < 300; ++i) Take(StrangersFork(), 2).IgnoreError();
  ASSERT_TRUE(Take(ForkOf(keys_), 2).ok());
  RunFor(seconds(1));
  EXPECT_TRUE(Fork().has_value());
}

TEST_F(Evidence, F1_Attack17_AForkThatIsToldBeforeItsLogIsNamedIsRemembered) {
  for (int i = 0; i < 300; ++i) Take(StrangersFork(), 2).IgnoreError();
  RunFor(seconds(1));
  ASSERT_TRUE(Take(ForkOf(keys_), 3).ok());
  RunFor(seconds(1));
  EXPECT_FALSE(Fork().has_value());
  one_->Append("same", 3);
  Hold();
  ASSERT_TRUE(Fork().has_value());
  EXPECT_EQ(Fork()->cut, 0U);
}

TEST_F(Evidence, L16_ForksOfStrangersForWhichThereIsNoRoomAreOfNoUse) {
  const Bytes large(60'000, 1);
  const auto told = [&](std::uint64_t peer) {
    return Take(ForkOf(MakeIdentity(base_->record().salt, random_), large), peer);
  };
  const Bytes again = StrangersFork();
  EXPECT_TRUE(Take(again).ok());
  EXPECT_TRUE(absl::IsNotFound(Take(again).status())) << "he has told it";
  int kept = 0;
  while (told(2).ok()) ASSERT_LE(++kept, 100);
  EXPECT_GE(kept, 60);
  EXPECT_TRUE(absl::IsNotFound(told(2).status()));
  EXPECT_TRUE(told(3).ok()) << "who tells little";
}

TEST(WaitingForks, Attack17_WhoeverToldMostLosesWhatHeToldLast) {
  WaitingForks waiting;
  const auto fork = [](std::uint64_t number, std::size_t bytes = 100) {
    ProvenFork made;
    made.log = CoreKey{PeerOf(number).bytes};
    made.proof.resize(bytes, 7);
    return made;
  };
  ASSERT_TRUE(waiting.Keep(PeerOf(1), fork(1)));
  std::uint64_t next = 100;
  while (waiting.Keep(PeerOf(2), fork(next))) ++next;
  EXPECT_EQ(next - 100, WaitingForks::kBytesMax / WaitingForks::kBytesEach - 1);
  EXPECT_TRUE(waiting.Keep(PeerOf(3), fork(3, 50'000)));
  EXPECT_LE(waiting.bytes(), WaitingForks::kBytesMax);
  std::vector<CoreKey> taken;
  const auto taken_if = [&](const ProvenFork& one) {
    return one.log == fork(1).log || one.log == fork(3).log || one.log == fork(100).log;
  };
  for (const ProvenFork& one : waiting.TakeIf(taken_if)) taken.push_back(one.log);
  EXPECT_EQ(taken.size(), 3U);
  EXPECT_TRUE(waiting.TakeIf(taken_if).empty());
  waiting.TakeIf([](const ProvenFork&) { return true; });
  EXPECT_EQ(waiting.bytes(), 0U);
}

TEST_F(Evidence, S2_Attack17_AProofThatShowsWhoseTheLogIsIsNotCrowdedOut) {
  one_->Append("same", 3);
  Hold();
  const IdentityKeys later = MakeIdentity(base_->record().salt, random_);
  const Bytes begin = LaterBegin(later.id());
  auto proof = DecodeForkProof(ForkOf(later, begin));
  ASSERT_TRUE(proof.ok());
  proof->first_block.clear();
  for (int i = 0; i < 9; ++i) Take(EncodeForkProof(*proof)).IgnoreError();
  ASSERT_TRUE(Take(ForkOf(later, begin)).ok());
  RunFor(seconds(1));
  const auto known = base_->indexer()->ForkOf(later.id());
  ASSERT_TRUE(known.has_value());
  EXPECT_EQ(known->identity, keys_.id());
}

TEST_F(Evidence, L16_AProofThatShowsWhoseTheLogIsIsNewsOnce) {
  one_->Append("same", 3);
  Hold();
  const IdentityKeys later = MakeIdentity(base_->record().salt, random_);
  const Bytes proof = ForkOf(later, LaterBegin(later.id()));
  ASSERT_TRUE(Take(proof).ok());
  RunFor(seconds(1));
  ASSERT_TRUE(base_->indexer()->ForkOf(later.id()).has_value());
  storage_.commits = 0;
  for (std::uint64_t peer = 0; peer < 20; ++peer) {
    Take(proof, peer).IgnoreError();
    RunFor(Nanos(0));
    EXPECT_FALSE(base_->busy()) << "nothing has changed";
  }
  EXPECT_EQ(storage_.commits, 0U);
}

class ForkedLogHeld : public Evidence {
 protected:
  // 1 500 blocks of 1 KiB survive.
  void HoldForked() {
    one_->Append("same", 1'500, 1'024);
    other_->Append("same", 1'500, 1'024);
    one_->Append("one", 3);
    other_->Append("other", 3);
    Hold();
    const auto proof = FindFork(keys_.manifest, one_->Side(), other_->Side());
    ASSERT_TRUE(proof.has_value());
    const Bytes bytes = EncodeForkProof(*proof);
    base_->TakeForkProofs(std::span(&bytes, 1));
    RunFor(seconds(1));
    ASSERT_TRUE(Fork().has_value());
    ASSERT_EQ(Fork()->cut, 1'500U);
    storage_.block_reads = 0;
  }
  Bytes Ask(const BranchPlace& place) const {
    Bytes ask = {9};
    Writer out(&ask);
    WritePlace(place, out);
    return ask;
  }
};

TEST_F(ForkedLogHeld, Attack26_APieceOfABranchCostsItsOwnBlocks) {
  HoldForked();
  const TreeHash hash = *one_->core->TreeHashAt(1'500);
  const auto piece = Take(Ask({keys_.id(), 1'500, hash, 900, 700}));
  ASSERT_TRUE(piece.ok()) << piece.status();
  EXPECT_LE(storage_.block_reads, 6U);
  // What is not held, or does not survive, costs none at all.
  storage_.block_reads = 0;
  for (const BranchPlace& place :
       {BranchPlace{keys_.id(), 1'500, TreeHash{}, 0, 0},
        BranchPlace{keys_.id(), 1'503, one_->core->tree_hash(), 0, 0},
        BranchPlace{keys_.id(), 1'499, hash, 0, 0},
        BranchPlace{base_->record().identity, 1, hash, 0, 0}}) {
    EXPECT_TRUE(absl::IsNotFound(Take(Ask(place)).status()));
  }
  EXPECT_TRUE(absl::IsInvalidArgument(Take(Ask({keys_.id(), 5, hash, 5, 0})).status()));
  EXPECT_EQ(storage_.block_reads, 0U);
}

TEST_F(ForkedLogHeld, F2_ABranchIsFetchedPieceByPieceAndEachBlockReadOnce) {
  HoldForked();
  const TreeHash hash = *one_->core->TreeHashAt(1'500);
  BranchFetch fetch({keys_.id(), 0, 1'500, hash}, MerkleTree());
  std::optional<BranchPlace> next = fetch.Ask();
  std::optional<Bytes> branch;
  int pieces = 0;
  for (; next; ++pieces) {
    const auto piece = Take(Ask(*next));
    ASSERT_TRUE(piece.ok()) << piece.status();
    Reader in(ByteView(piece->front()).subspan(1));
    const BranchPlace place = ReadPlace(in);
    auto taken = fetch.Take(PeerOf(9), place, in.Rest());
    ASSERT_TRUE(taken.ok()) << taken.status();
    next = taken->ask;
    branch = std::move(taken->branch);
  }
  ASSERT_TRUE(branch.has_value());
  EXPECT_EQ(branch->size(), 1'500U * (1'024 + 3));
  EXPECT_EQ(pieces, 32);
  EXPECT_LE(storage_.block_reads, 1'500U / 16 + 2 * 32);
}

TEST_F(ForkedLogHeld, P10_WhatDoesNotSurviveIsGivenToItsOwnerAlone) {
  HoldForked();
  const BranchPlace place{keys_.id(), 1'503, one_->core->tree_hash(), 1'500, 0};
  const auto ask = [&](const IdentityKeys& keys, const PublicKey& asker) {
    Bytes signable = ToBytes("weft own branch");
    Writer out(&signable);
    out.Raw(base_->base_id().view());
    out.Raw(asker.view());
    out.Raw(place.log.view());
    out.U64(place.length);
    out.Raw(place.tree_hash.view());
    Bytes question = {10};
    Writer fields(&question);
    WritePlace(place, fields);
    fields.Buffer(EncodeManifest(keys.manifest));
    fields.Raw(Sign(keys.pair.secret_key, signable).view());
    return question;
  };
  const Bytes question = ask(keys_, PeerOf(1));
  const auto piece = Take(question);
  ASSERT_TRUE(piece.ok()) << piece.status();
  Reader in(ByteView(piece->front()).subspan(1));
  EXPECT_EQ(ReadPlace(in), place);
  for (std::uint64_t at = 1'500; at < 1'503; ++at) {
    EXPECT_TRUE(Equal(in.Buffer(), *one_->core->Get(at)));
  }
  EXPECT_TRUE(in.done());
  storage_.block_reads = 0;
  // By somebody else, and by a peer to whom the owner's question was told.
  const IdentityKeys other = MakeIdentity(base_->record().salt, random_);
  EXPECT_TRUE(absl::IsInvalidArgument(Take(ask(other, PeerOf(1))).status()));
  const IdentityKeys forged{keys_.manifest, other.pair};
  EXPECT_TRUE(absl::IsDataLoss(Take(ask(forged, PeerOf(1))).status()));
  EXPECT_TRUE(absl::IsDataLoss(Take(question, 2).status()));
  const Bytes cut_short(question.begin(), question.end() - 1);
  EXPECT_TRUE(absl::IsInvalidArgument(Take(cut_short).status()));
  EXPECT_EQ(storage_.block_reads, 0U);
}

TEST_F(Evidence, Attack17_PeopleWhoDoNotExistCostNeitherDiskNorLinesWithoutEnd) {
  const auto request = [](std::uint64_t number) {
    Bytes evidence = {3};
    Append(evidence, PeerOf(number).view());
    evidence.push_back(0);
    return evidence;
  };
  events_.clear();
  storage_.commits = 0;
  std::size_t refused = 0;
  for (std::uint64_t i = 0; i < 2'000; ++i) {
    const auto taken = Take(request(i));
    ASSERT_TRUE(taken.ok() || absl::IsNotFound(taken.status())) << taken.status();
    refused += taken.ok() ? 0 : 1;
  }
  EXPECT_EQ(refused, 2'000U - 257U);
  EXPECT_LE(storage_.commits, 256U + 2U);
  EXPECT_EQ(events_.size(), 256U + 1U);
  // The door is not shut: a second later there is a place again.
  RunFor(seconds(1));
  EXPECT_TRUE(Take(request(5'000)).ok());
  EXPECT_TRUE(base_->people().requests().contains(CoreKey{PeerOf(5'000).bytes}));
  EXPECT_EQ(base_->people().requests().size(), 256U);
  EXPECT_EQ(events_.size(), 256U + 1U);
}

}  // namespace
}  // namespace weft::sim
