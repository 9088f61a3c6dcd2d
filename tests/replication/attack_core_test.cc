// Attacks 21 to 38: proofs, claims, requests, and who serves what. The attacker has a
// real handshake and mux, and messages of his own making.

#include <gtest/gtest.h>

#include <numeric>

#include "engine/codec.h"
#include "tests/replication/liar.h"

namespace weft {
namespace {

using std::chrono::seconds;

struct CoreAttack : testing::Test {
  Peer ada{1};
  Peer bob{2};
  World world;
};

// Serves many cores on one connection, each from a copy of its own.
struct ManyFeeds {
  using Spoil = std::function<void(Proof&)>;
  struct Feed {
    std::shared_ptr<Hypercore> truth;
    Spoil spoil;
  };

  ManyFeeds(World& world, Peer& victim) : raw(RawPeer::Connect(world, victim)) {}

  void Serve(std::shared_ptr<Hypercore> core, Spoil spoil = {}) {
    MuxChannel* channel = raw->OpenCore(core->key());
    Bytes sync, range;
    Encode(SyncOf(*core), &sync);
    Encode(RangeMessage{false, 0, core->length()}, &range);
    raw->SendBody(channel, CoreMessage::kSync, sync);
    raw->SendBody(channel, CoreMessage::kRange, range);
    feeds[channel] = {std::move(core), std::move(spoil)};
  }
  // Until nobody asks any more.
  void Answer() {
    for (;;) {
      raw->Flush();
      const auto requests = raw->Take(CoreMessage::kRequest);
      if (requests.empty()) return;
      for (const auto& heard : requests) {
        const auto feed = feeds.find(heard.channel);
        const RequestMessage request = *DecodeRequest(heard.body);
        absl::StatusOr<Proof> proof = feed->second.truth->Prove(request.parts);
        if (!proof.ok()) continue;
        if (feed->second.spoil) feed->second.spoil(*proof);
        Bytes body;
        EncodeData(request.id, request.fork, *proof, &body);
        raw->SendBody(heard.channel, CoreMessage::kData, body);
      }
    }
  }

  std::shared_ptr<RawPeer> raw;
  std::map<MuxChannel*, Feed> feeds;
};

// Attack 21 and part 6 of the issue: one bad apple of three hundred.
TEST_F(CoreAttack, Attack21_OnePoisonedFeedOfThreeHundredCostsThatFeedAlone) {
  const std::map<std::string, ManyFeeds::Spoil> poisons = {
      {"a bad signature",
       [](Proof& proof) {
         if (proof.upgrade) proof.upgrade->signature[20] ^= 1;
       }},
      {"a bad proof",
       [](Proof& proof) {
         if (proof.block && !proof.block->nodes.empty()) {
           proof.block->nodes[0].hash.bytes[5] ^= 1;
         }
       }},
      {"a truncated log",
       [](Proof& proof) {
         if (proof.upgrade)
           proof.upgrade->nodes.resize(proof.upgrade->nodes.size() / 2);
         if (proof.block) proof.block->nodes.clear();
       }},
  };
  for (const auto& [name, spoil] : poisons) {
    SCOPED_TRACE(name);
    Peer eve(9), victim(10);
    victim.mode = Download::Whole();
    ManyFeeds server(world, victim);
    std::vector<std::shared_ptr<Hypercore>> truths, copies;
    for (int i = 0; i < 300; ++i) {
      truths.push_back(eve.Writer(absl::StrFormat("feed %d", i), 10));
      copies.push_back(victim.Reader(*truths.back()));
    }
    for (int i = 0; i < 300; ++i) {
      server.Serve(truths[static_cast<std::size_t>(i)],
                   i == 137 ? spoil : ManyFeeds::Spoil{});
    }
    server.Answer();
    for (std::size_t i = 0; i < 300; ++i) {
      if (i == 137) continue;
      ExpectSame(*copies[i], *truths[i]);
    }
    EXPECT_EQ(copies[137]->held_blocks(), 0U);
    EXPECT_EQ(victim.faults.size(), 1U);
    EXPECT_FALSE(victim.ended.has_value()) << "the connection stays up";
    EXPECT_EQ(victim.points, 0) << "one feed scores nothing";
    const auto one_more = eve.Writer("one more", 3);
    const auto copy = victim.Reader(*one_more);
    server.Serve(one_more);
    server.Answer();
    ExpectSame(*copy, *one_more);
    EXPECT_FALSE(victim.ended.has_value());
    server.raw->session->Close();
    world.Drain();
  }
}

TEST_F(CoreAttack, Attack21_TheSpoiledBlockIsAskedOfAnother) {
  const auto notes = ada.Writer("notes", 50);
  bob.mode = Download::Whole();
  const auto copy = bob.Reader(*notes);
  Liar liar(world, bob, *notes);
  liar.Answer([](Proof& proof) { proof.block->value[0] ^= 1; });
  ASSERT_EQ(bob.faults.size(), 1U);
  const auto [a, b] = world.Connect(ada, bob);
  b->Replicate(copy, Download::Whole());
  world.Drain();
  ExpectSame(*copy, *notes);
}

// A writer turned bad signs what cannot be.
struct Forger {
  explicit Forger(sim::SimRandom& random)
      : pair(KeyPairFromSeed(RandomSeed(random))),
        manifest(SingleSigner(pair.public_key)),
        key(KeyOf(manifest)) {}

  // Two blocks of four bytes below a root that says `size`.
  Proof Upgrade(std::uint64_t size) const {
    const TreeNode left{0, 4, LeafHash(AsBytes("left"))};
    const TreeNode right{2, 4, LeafHash(AsBytes("rite"))};
    const TreeNode root{1, size, ParentHash(left, right)};
    Proof proof;
    proof.upgrade = UpgradeProof{};
    proof.upgrade->length = 2;
    proof.upgrade->nodes = {root};
    proof.upgrade->signature =
        SignTree(manifest, key, pair.secret_key, RootsHash({&root, 1}), 2, 0);
    proof.manifest = EncodeManifest(manifest);
    return proof;
  }
  Proof Block() const {
    Proof proof;
    proof.block = BlockProof{0, ToBytes("left"), {{2, 4, LeafHash(AsBytes("rite"))}}};
    return proof;
  }

  KeyPair pair;
  Manifest manifest;
  CoreKey key;
};

TEST_F(CoreAttack, Attack22_SizesThatDoNotAddUpOrOverflowAreRefusedThoughSigned) {
  const Forger mallory(ada.random);
  const auto copy = *bob.store->OpenRemote(mallory.key);
  for (const std::uint64_t size :
       {std::uint64_t{1} << 53, std::uint64_t{1} << 63, UINT64_MAX}) {
    const std::vector<Proof> proofs = {mallory.Upgrade(size)};
    const auto results = copy->Apply(proofs);
    ASSERT_TRUE(results.ok());
    EXPECT_FALSE((*results)[0].ok()) << size;
    EXPECT_EQ(copy->length(), 0U);
  }
  // A size within bounds is the writer's to sign, but no block ever fits under it.
  const std::vector<Proof> proofs = {mallory.Upgrade(10), mallory.Block()};
  const auto results = copy->Apply(proofs);
  ASSERT_TRUE(results.ok());
  EXPECT_TRUE((*results)[0].ok());
  EXPECT_EQ((*results)[1].code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(copy->held_blocks(), 0U);
}

TEST_F(CoreAttack, Attack23_ProofsOfAMillionNodesOrAbsurdLengthsAreRefusedAtOnce) {
  const std::vector<std::function<void(Proof&)>> bombs = {
      [](Proof& p) { p.block->nodes.resize(400'000); },
      [](Proof& p) {
        if (p.upgrade) p.upgrade->additional_nodes.resize(400'000);
      },
      [](Proof& p) {
        if (p.upgrade) p.upgrade->length = std::uint64_t{1} << 40;
      },
      [](Proof& p) {
        if (p.upgrade) p.upgrade->length = kUintMax;
      },
  };
  bob.mode = Download::Whole();
  for (std::size_t i = 0; i < bombs.size(); ++i) {
    SCOPED_TRACE(i);
    const auto core = ada.Writer(absl::StrFormat("core %d", i), 8);
    const auto copy = bob.Reader(*core);
    bob.faults.clear();
    Liar liar(world, bob, *core);
    liar.Answer(bombs[i]);
    EXPECT_TRUE(bob.faults.size() == 1 || bob.ended.has_value());
    EXPECT_EQ(copy->held_blocks(), 0U);
    bob.ended.reset();
    liar.raw->session->Close();
    world.Drain();
  }
}

TEST_F(CoreAttack, Attack23_ABombThatNobodyAskedForIsNotEvenDecoded) {
  const auto notes = ada.Writer("notes", 8);
  const auto raw = RawPeer::Connect(world, ada);
  MuxChannel* channel = raw->OpenCore(notes->key());
  Bytes body;
  Writer writer(&body);
  writer.Uint(2);        // a hash part
  writer.Uint(1);        // request
  writer.Uint(0);        // fork
  writer.Uint(3);        // tree index
  writer.Uint(1048577);  // nodes
  raw->SendBody(channel, CoreMessage::kData, body);
  raw->Flush();
  EXPECT_FALSE(ada.ended.has_value());
  EXPECT_EQ(ada.points, 1) << "it was pushed";
  EXPECT_FALSE(DecodeData(body).ok());
}

// A core whose prologue is its proof may bring any signature.
TEST_F(CoreAttack, Attack23_AnAnswerThatOutgrowsAFrameIsRefused) {
  const auto huge = *ada.store->OpenNamed("huge");
  const Bytes large(9 * kMiB, 7);
  const ByteView block(large);
  ASSERT_TRUE(huge->Append({&block, 1}).ok());
  Manifest manifest;
  manifest.quorum = 0;
  manifest.prologue = Prologue{huge->tree_hash(), 1};
  ProofRequest parts;
  parts.block = BlockRequest{0, 0};
  parts.upgrade = UpgradeRequest{0, 1};
  Proof proof = *huge->Prove(parts);
  proof.manifest = EncodeManifest(manifest);
  proof.upgrade->signature = Bytes(8 * kMiB, 1);
  const auto core = *bob.store->OpenRemote(KeyOf(manifest));
  const auto results = core->Apply(std::span<const Proof>(&proof, 1));
  ASSERT_TRUE(results.ok() && results->at(0).ok());
  const auto raw = RawPeer::Connect(world, bob);
  MuxChannel* channel = raw->OpenCore(core->key());
  RequestMessage request;
  request.id = 1;
  request.parts = parts;
  raw->Send(channel, CoreMessage::kRequest, request);
  EXPECT_EQ(raw->Take(CoreMessage::kNoData).size(), 1U);
  request.parts.upgrade.reset();
  raw->Send(channel, CoreMessage::kRequest, request);
  EXPECT_EQ(raw->Take(CoreMessage::kData).size(), 1U) << "the block alone";
  Bytes body;
  EncodeData(1, 0, proof, &body);
  EXPECT_FALSE(DecodeData(body).ok());
  proof.upgrade->signature.resize(kSignatureBytesMax);
  body.clear();
  EncodeData(1, 0, proof, &body);
  EXPECT_TRUE(DecodeData(body).ok());
}

TEST_F(CoreAttack, Attack24_ClaimsOverManyCoresAreBoundedAsWell) {
  NetworkLimits limits;
  limits.claims_bytes_per_peer = 4 * kMiB;
  const auto raw = RawPeer::Connect(world, ada, limits);
  // Every other block of 2 million, on core after core.
  BitfieldMessage bits;
  bits.words.assign(65536, 0x55555555);
  int cores = 0;
  for (; cores < 200 && !ada.ended.has_value(); ++cores) {
    const auto core = ada.Writer(absl::StrFormat("core %d", cores), 1);
    MuxChannel* channel = raw->OpenCore(core->key());
    raw->Send(channel, CoreMessage::kBitfield, bits);
  }
  ASSERT_TRUE(ada.ended.has_value());
  EXPECT_EQ(ada.ended->code(), absl::StatusCode::kResourceExhausted);
  EXPECT_GT(cores, 5);
  EXPECT_LT(cores, 30);
  EXPECT_EQ(ada.points, 20);
}

TEST_F(CoreAttack, Attack27_DataThatNobodyAskedForCountsAndIsNotChecked) {
  const auto notes = ada.Writer("notes", 8);
  const auto copy = bob.Reader(*notes);
  Liar liar(world, bob, *notes);
  std::vector<std::uint64_t> ids(10);
  std::iota(ids.begin(), ids.end(), 1000);
  liar.SendUnasked(ids);
  EXPECT_EQ(copy->length(), 0U);
  EXPECT_EQ(bob.points, 10);
  EXPECT_FALSE(bob.ended.has_value());
}

// A clock on which every look takes 40 ms, so that work costs time.
class BusyClock final : public AsyncClock {
 public:
  explicit BusyClock(sim::SimClock* clock) : clock_(clock) {}
  Nanos Now() const override { return clock_->Now(); }
  Nanos Steady() const override {
    spent_ += std::chrono::milliseconds(40);
    return clock_->Steady() + spent_;
  }
  Task<void> Sleep(Nanos duration) override { return clock_->Sleep(duration); }

 private:
  sim::SimClock* clock_;
  mutable Nanos spent_{};
};

TEST_F(CoreAttack, Attack27_WhoMakesUsCheckInVainHasAQuarterOfAProcessor) {
  BusyClock clock(&world.clock);
  bob.mode = Download::Whole();
  bob.session_options.workers = nullptr;
  std::shared_ptr<RawPeer> raw;
  world.busy_clock = &clock;
  raw = RawPeer::Connect(world, bob);
  world.busy_clock = nullptr;
  // Three feeds with wrong proofs, the most that a connection survives.
  std::size_t checked = 0;
  for (int i = 0; i < 3; ++i) {
    const auto core = ada.Writer(absl::StrFormat("core %d", i), 8);
    bob.Reader(*core);
    Liar liar(world, bob, *core, raw);
    liar.Answer([](Proof& proof) { proof.block->value[0] ^= 1; });
    checked = bob.faults.size();
  }
  EXPECT_EQ(checked, 3U);
  EXPECT_FALSE(bob.ended.has_value());
}

TEST_F(CoreAttack, Attack27_WhileNothingIsCheckedForItAPeerCostsNoTurns) {
  BusyClock clock(&world.clock);
  bob.mode = Download::Whole();
  NetworkLimits limits;
  limits.useless_work_per_second = std::chrono::milliseconds(1);
  world.busy_clock = &clock;
  const auto raw = RawPeer::Connect(world, bob, limits);
  world.busy_clock = nullptr;
  const auto spoilt = ada.Writer("spoilt", 1);
  bob.Reader(*spoilt);
  Liar(world, bob, *spoilt, raw).Answer([](Proof& proof) {
    proof.block->value[0] ^= 1;
  });
  ASSERT_EQ(bob.faults.size(), 1U);
  const auto notes = ada.Writer("notes", 1);
  const auto copy = bob.Reader(*notes);
  Liar(world, bob, *notes, raw).Answer([](Proof&) {});
  EXPECT_EQ(copy->held_blocks(), 0U) << "it waits";
  world.RunFor(std::chrono::minutes(5));
  EXPECT_EQ(copy->held_blocks(), 1U);
}

TEST_F(CoreAttack, Attack28_SilenceOnClaimedBlocksCountsOnceAMinute) {
  const auto notes = ada.Writer("notes", 100);
  bob.mode = Download::Whole();
  bob.Reader(*notes);
  Liar mute(world, bob, *notes);
  for (int i = 0; i < 36; ++i) {
    mute.raw->SendFrame({});  // it lives
    world.RunFor(seconds(5));
  }
  EXPECT_GE(bob.points, 5);
  EXPECT_LE(bob.points, 20) << "three minutes";
  EXPECT_FALSE(bob.ended.has_value());
}

TEST_F(CoreAttack, Attack29_AStaleLogDoesNoHarmAndTheLongerOneWins) {
  const auto notes = ada.Writer("notes", 10);
  const auto stale = bob.Reader(*notes);
  Peer cyd{3};
  const auto copy = cyd.Reader(*notes);
  {
    const auto [a, b] = world.Connect(ada, bob);
    b->Replicate(stale, Download::Whole());
    world.Drain();
    a->Close();
    world.Drain();
  }
  ada.AppendTo(*notes, 10);
  const auto [b, c] = world.Connect(bob, cyd);
  c->Replicate(copy, Download::Whole());
  world.Drain();
  EXPECT_EQ(copy->length(), 10U);
  EXPECT_TRUE(c->IsLevel(copy->key())) << "with that peer";
  const auto [a, c2] = world.Connect(ada, cyd);
  c2->Replicate(copy, Download::Whole());
  world.Drain();
  ExpectSame(*copy, *notes);
  EXPECT_TRUE(cyd.faults.empty());
}

TEST_F(CoreAttack, Attack31_OfTwoBranchesACopyKeepsTheFirstAndNeverMixes) {
  // One key, two stores: the same writer writes two histories.
  Peer twin{1};
  const auto one = ada.Writer("notes", 5);
  const auto other = twin.Writer("notes", 3);
  ASSERT_EQ(one->key(), other->key());
  const ByteView different = AsBytes("another fourth");
  ASSERT_TRUE(other->Append({&different, 1}).ok());
  twin.AppendTo(*other, 6);
  bob.allow_fork = false;
  const auto copy = bob.Reader(*one);
  const auto [a, b] = world.Connect(ada, bob);
  b->Replicate(copy, Download::Whole());
  world.Drain();
  ExpectSame(*copy, *one);
  const TreeHash before = copy->tree_hash();
  const auto [t, b2] = world.Connect(twin, bob);
  b2->Replicate(copy, Download::Whole());
  world.RunFor(seconds(60));
  EXPECT_EQ(copy->length(), 5U);
  EXPECT_EQ(copy->tree_hash(), before);
  EXPECT_EQ(bob.faults.size(), 1U) << "that feed on that connection";
  EXPECT_FALSE(b2->closed());
  EXPECT_EQ(*copy->Get(3), ToBytes(BlockText(3)));
}

TEST_F(CoreAttack, Attack36_OneHonestPeerAmongTenIsEnough) {
  const auto notes = ada.Writer("notes", 200);
  bob.mode = Download::Whole();
  const auto copy = bob.Reader(*notes);
  std::vector<std::unique_ptr<Liar>> liars;
  for (int i = 0; i < 9; ++i) {
    liars.push_back(std::make_unique<Liar>(world, bob, *notes));
  }
  for (std::size_t i = 0; i < liars.size(); i += 2) {
    liars[i]->Answer([](Proof& proof) {
      if (proof.block) proof.block->value[0] ^= 1;
    });
  }
  const auto [a, b] = world.Connect(ada, bob);
  b->Replicate(copy, Download::Whole());
  world.RunFor(seconds(120));
  ExpectSame(*copy, *notes);
}

TEST_F(CoreAttack, Attack36_TwoMutesThatAlwaysSayMoreDoNotKeepTheUpgradeToThemselves) {
  const auto notes = ada.Writer("notes", 20);
  bob.mode = Download::Whole();
  const auto copy = bob.Reader(*notes);
  Liar one(world, bob, *notes), two(world, bob, *notes);
  const auto [a, b] = world.Connect(ada, bob);
  b->Replicate(copy, Download::Whole());
  const auto run = [&](int quarters) {
    for (int i = 0; i < quarters; ++i) {
      SyncMessage more = SyncOf(*notes);
      more.length += 1;
      more.remote_length = copy->length();
      Bytes sync;
      Encode(more, &sync);
      for (Liar* liar : {&one, &two}) {
        liar->raw->SendBody(liar->channel, CoreMessage::kSync, sync);
        liar->raw->Flush();
      }
      world.RunFor(std::chrono::milliseconds(250));
    }
  };
  run(40);
  ExpectSame(*copy, *notes);
  EXPECT_EQ(bob.points, 0) << "they may be slow";
  run(200);
  EXPECT_GE(bob.points, 10) << "each was asked thrice, lives, and did not answer";
  EXPECT_LE(bob.points, 20);
  const Bytes block = ToBytes("one more");
  const ByteView blocks[] = {block};
  ASSERT_TRUE(notes->Append(blocks).ok());
  run(200);
  ExpectSame(*copy, *notes);
}

// Of two answers to one question the later is of no use, and nobody is to blame.
TEST_F(CoreAttack, L16_AProofThatLostARaceIsNotCharged) {
  BusyClock clock(&world.clock);
  const auto notes = ada.Writer("notes", 1);
  bob.mode = Download::Whole();
  const auto copy = bob.Reader(*notes);
  NetworkLimits limits;
  limits.useless_work_per_second = std::chrono::milliseconds(1);
  world.busy_clock = &clock;
  Liar late(world, bob, *notes, RawPeer::Connect(world, bob, limits));
  world.busy_clock = nullptr;
  // Meanwhile the same comes by another way.
  ProofRequest request;
  request.upgrade = UpgradeRequest{0, 1};
  request.manifest = true;
  const Proof proof = *notes->Prove(request);
  const auto results = copy->Apply(std::span<const Proof>(&proof, 1));
  ASSERT_TRUE(results.ok() && results->at(0).ok());
  EXPECT_EQ(late.Answer([](Proof&) {}), 1U);
  // It is asked again for what is still missing, and heard.
  late.Answer([](Proof&) {});
  EXPECT_EQ(copy->held_blocks(), 1U);
  EXPECT_TRUE(bob.faults.empty());
}

TEST_F(CoreAttack, Attack27_AnUpgradeFromAnotherLengthThanAskedForIsNoAnswer) {
  const auto notes = ada.Writer("notes", 4);
  bob.mode = Download::Whole();
  bob.Reader(*notes);
  Liar liar(world, bob, *notes);
  liar.Answer([](Proof& proof) { proof.upgrade->start = 1; });
  EXPECT_EQ(bob.faults.size(), 1U);
}

TEST_F(CoreAttack, Attack38_ABlockOf15MiBIsTakenAndTheMemoryGivenBack) {
  const auto notes = *ada.store->OpenNamed("huge");
  const Bytes huge(kBlockBytesMax, 7);
  const ByteView block(huge);
  ASSERT_TRUE(notes->Append({&block, 1}).ok());
  NetworkLimits limits;
  bob.session_options.budget = std::make_shared<NetworkBudget>(limits);
  const auto copy = bob.Reader(*notes);
  const auto [a, b] = world.Connect(ada, bob);
  b->Replicate(copy, Download::Whole());
  world.Drain();
  EXPECT_EQ(copy->held_blocks(), 1U);
  EXPECT_EQ(copy->byte_length(), kBlockBytesMax);
  EXPECT_EQ(bob.session_options.budget->received->bytes(), 0U);
  EXPECT_EQ(bob.points + ada.points, 0);
}

TEST_F(CoreAttack, L7_WhatWaitsForAnEarlierAnswerIsBounded) {
  // Blocks look small at first and are large in truth; the first answer never comes.
  const auto notes = ada.Writer("notes", 1);
  const auto copy = bob.Reader(*notes);
  {
    const auto [a, b] = world.Connect(ada, bob);
    b->Replicate(copy, Download::Whole());
    world.Drain();
    a->Close();
    world.Drain();
  }
  bob.ended.reset();
  const Bytes large(1024 * 1024, 7);
  const std::vector<ByteView> blocks(60, ByteView(large));
  ASSERT_TRUE(notes->Append(blocks).ok());
  bob.mode = Download::Whole();
  Liar liar(world, bob, *notes);
  // It is told the new length, then asked for blocks; the first of these is kept back.
  std::vector<RequestMessage> asked;
  for (int round = 0; round < 4; ++round) {
    for (const auto& heard : liar.raw->Take(CoreMessage::kRequest)) {
      const RequestMessage request = *DecodeRequest(heard.body);
      if (!request.parts.upgrade) {
        asked.push_back(request);
        continue;
      }
      Bytes body;
      EncodeData(request.id, 0, *notes->Prove(request.parts), &body);
      liar.raw->SendBody(liar.channel, CoreMessage::kData, body);
    }
    liar.raw->Flush();
  }
  std::size_t sent = 0;
  for (std::size_t i = 1; i < asked.size() && !bob.ended.has_value(); ++i, ++sent) {
    Bytes body;
    EncodeData(asked[i].id, 0, *notes->Prove(asked[i].parts), &body);
    liar.raw->SendBody(liar.channel, CoreMessage::kData, body);
    liar.raw->Flush();
  }
  EXPECT_LE(sent, 34U) << "MiB: the limit of one peer";
}

TEST_F(CoreAttack, L7_WhatAnswersHoldBesideTheirBlocksCountsToo) {
  const auto notes = ada.Writer("notes", 2000);
  bob.mode = Download::Whole();
  bob.Reader(*notes);
  NetworkLimits limits;
  limits.received_bytes_per_peer = 2 * kMiB;
  Liar liar(world, bob, *notes, RawPeer::Connect(world, bob, limits));
  liar.Answer([](Proof&) {});  // the upgrade
  bool first = true;
  for (const auto& heard : liar.raw->Take(CoreMessage::kRequest)) {
    if (std::exchange(first, false)) continue;  // all others wait for it
    const RequestMessage request = *DecodeRequest(heard.body);
    Proof proof = *notes->Prove(request.parts);
    proof.block->nodes.resize(kProofNodesMax);
    Bytes body;
    EncodeData(request.id, 0, proof, &body);
    liar.raw->SendBody(liar.channel, CoreMessage::kData, body);
    liar.raw->Flush();
  }
  ASSERT_TRUE(bob.ended.has_value());
  EXPECT_EQ(bob.ended->code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(CoreAttack, AWantOfWhatIsNotGivenMakesNoWorkAndIsAnsweredOnceItIs) {
  const auto notes = ada.Writer("notes", 10);
  ada.rule.upload = false;
  const auto raw = RawPeer::Connect(world, ada);
  MuxChannel* channel = raw->OpenCore(notes->key());
  raw->Send(channel, CoreMessage::kWant, WantMessage{0, 2097152, false});
  EXPECT_TRUE(raw->Take(CoreMessage::kRange).empty());
  ada.rule.upload = true;
  raw->session->PolicyChanged();
  world.Drain();
  EXPECT_FALSE(raw->Take(CoreMessage::kRange).empty());
}

}  // namespace
}  // namespace weft
