// Stories of two peers that exchange feeds over pipes: what is said, and what it costs.

#include "replication/feed_exchange.h"

#include <gtest/gtest.h>

#include "tests/engine/numbered_key.h"
#include "tests/replication/peers.h"

namespace weft {
namespace {

CoreKey KeyOf(std::uint64_t number) {
  return NumberedKey<CoreKey>(number);
}

// A base that is nothing but its feeds; its view is its feeds, mostly.
class Club final : public FeedSource {
 public:
  explicit Club(bool has_genesis = true) {
    id_.bytes[0] = 1;
    if (has_genesis) genesis_ = Bytes{1, 2, 3};
  }
  const BaseId& base_id() const override { return id_; }
  std::optional<Bytes> Genesis() const override { return genesis_; }
  absl::Status TakeGenesis(ByteView genesis) override {
    genesis_ = ToBytes(genesis);
    return absl::OkStatus();
  }
  std::optional<FeedDigest> Digest() override {
    if (!genesis_) return std::nullopt;
    return FeedDigest{map.Root(), view == Hash32() ? map.Root() : view, true,
                      map.size()};
  }
  FeedMap& Feeds() override { return map; }
  std::shared_ptr<Hypercore> Wanted(const CoreKey& core, std::uint64_t) override {
    asked.push_back(core);
    const auto found = cores.find(core);
    return found == cores.end() ? nullptr : found->second;
  }
  int RankOf(const CoreKey& core) override { return senior.contains(core) ? 0 : 1; }
  std::uint64_t MostHeld(const CoreKey& core) override {
    const auto own_log = own.find(core);
    return own_log == own.end() ? FeedSource::MostHeld(core) : own_log->second;
  }
  void OnDurable(const PublicKey&, std::span<const FeedAck> acks) override {
    for (const FeedAck& ack : acks) durable[ack.core] = ack.durable;
  }
  void OnLevel(const PublicKey&) override { ++level; }
  std::vector<Bytes> Evidence() override { return evidence; }
  std::vector<Bytes> RequestsTo(const PublicKey&) override { return requests; }
  std::vector<Bytes> SameFeedsEvidence() override {
    ++compared;
    return {};
  }
  absl::StatusOr<std::vector<Bytes>> TakeEvidence(const PublicKey& peer,
                                                  ByteView proof) override {
    evidence_taken.push_back(ToBytes(proof));
    evidence_from.insert(peer);
    if (!evidence_verdict.ok()) return evidence_verdict;
    return answers;
  }
  void OnPeers(const FeedExchange&, const FeedPeers& told) override { peers = told; }

  FeedMap map;
  std::map<CoreKey, std::shared_ptr<Hypercore>> cores;
  std::map<CoreKey, std::uint64_t> own;  // lengths
  std::set<CoreKey> senior;
  std::vector<CoreKey> asked;
  std::map<CoreKey, std::uint64_t> durable;
  std::vector<Bytes> evidence, evidence_taken, requests;
  absl::Status evidence_verdict;
  std::vector<Bytes> answers;
  Hash32 view;  // if it is not that of its feeds alone
  std::set<PublicKey> evidence_from;
  FeedPeers peers;
  int level = 0;
  int compared = 0;

 private:
  BaseId id_;
  std::optional<Bytes> genesis_;
};

class FeedExchangeTest : public testing::Test {
 protected:
  FeedExchangeTest() : ada_peer(1), bob_peer(2) {}

  void Connect(FeedSource& ada, FeedSource& bob) {
    auto [left, right] = world.Connect(ada_peer, bob_peer);
    ada_session = left;
    bob_session = right;
    world.Drain();
    ASSERT_TRUE(left->ready() && right->ready());
    handshake_bytes = BytesSent();
    ada_exchange = FeedExchange::Start(left.get(), &ada, [](FeedExchange&) {});
    bob_exchange = FeedExchange::Start(right.get(), &bob, [](FeedExchange&) {});
    world.Drain();
  }
  std::uint64_t BytesSent() const {
    return ada_session->bytes_sent() + bob_session->bytes_sent();
  }

  World world;
  Peer ada_peer, bob_peer;
  std::shared_ptr<Session> ada_session, bob_session;
  std::shared_ptr<FeedExchange> ada_exchange, bob_exchange;
  std::uint64_t handshake_bytes = 0;
};

TEST_F(FeedExchangeTest, LevelPeersWithTenThousandFeedsSayOneDigestAndOpenNoChannel) {
  Club ada, bob;
  for (std::uint64_t i = 0; i < 10'000; ++i) {
    ada.map.Set(KeyOf(i), 10);
    bob.map.Set(KeyOf(i), 10);
  }
  Connect(ada, bob);
  EXPECT_TRUE(ada_exchange->IsLevel());
  EXPECT_TRUE(bob_exchange->IsLevel());
  EXPECT_EQ(ada.level, 1);
  EXPECT_LT(BytesSent(), 4096U);  // the handshake included
  EXPECT_EQ(ada_peer.opened + bob_peer.opened, 0);
  EXPECT_TRUE(ada_exchange->feeds().empty());
  EXPECT_EQ(ada_exchange->DurableThere(KeyOf(5)), 10U);
}

TEST_F(FeedExchangeTest, AReconnectCostsWhatHasChanged) {
  Club ada, bob;
  for (std::uint64_t i = 0; i < 10'000; ++i) {
    ada.map.Set(KeyOf(i), 10);
    bob.map.Set(KeyOf(i), i % 1000 == 0 ? 9 : 10);
  }
  Connect(ada, bob);
  EXPECT_EQ(bob.asked.size(), 10U);
  EXPECT_LT(BytesSent() - handshake_bytes, 30'000U);
  EXPECT_EQ(ada_exchange->DurableThere(KeyOf(1000)), 9U);
}

TEST_F(FeedExchangeTest, ANewcomerIsToldAllHeadsOnceInBatches) {
  Club ada, bob(/*has_genesis=*/false);
  for (std::uint64_t i = 0; i < 5'000; ++i) ada.map.Set(KeyOf(i), 10);
  Connect(bob, ada);
  EXPECT_EQ(bob.asked.size(), 5'000U);
  EXPECT_LT(BytesSent() - handshake_bytes, 5'000U * 35);
  EXPECT_EQ(bob_exchange->nodes_exchanged(), 0U);  // no walk was needed
}

TEST_F(FeedExchangeTest, ANewcomerThatWasDialledLearnsAllTheSame) {
  Club ada, bob(/*has_genesis=*/false);
  for (std::uint64_t i = 0; i < 5'000; ++i) ada.map.Set(KeyOf(i), 10);
  Connect(ada, bob);
  EXPECT_EQ(bob.asked.size(), 5'000U);
}

TEST_F(FeedExchangeTest, Attack16_MoreFeedsThanOnePeerMayAnnounceComeInTurns) {
  Club ada, bob;
  const std::uint64_t feeds = kFeedsPerPeerMax + 500;
  for (std::uint64_t i = 0; i < feeds; ++i) ada.map.Set(KeyOf(i), 1);
  Connect(ada, bob);
  EXPECT_EQ(bob_exchange->feeds().size(), kFeedsPerPeerMax);
  EXPECT_EQ(bob.asked.size(), kFeedsPerPeerMax);
  // What was asked for has come; then the rest is told.
  for (const CoreKey& core : bob.asked) bob.map.Set(core, 1);
  bob_exchange->TellDigest(*bob.Digest());
  world.Drain();
  EXPECT_EQ(bob.asked.size(), feeds);
}

TEST_F(FeedExchangeTest, ChangesAreToldAsTheyComeAndAnAckComesBack) {
  Club ada, bob;
  for (std::uint64_t i = 0; i < 100; ++i) {
    ada.map.Set(KeyOf(i), 10);
    bob.map.Set(KeyOf(i), 10);
  }
  Connect(ada, bob);
  const FeedChange grown{{KeyOf(3), 11}, 10};
  ada.map.Set(KeyOf(3), 11);
  ada_exchange->TellChanges({&grown, 1});
  ada_exchange->TellDigest(*ada.Digest());
  world.Drain();
  EXPECT_EQ(bob.asked, std::vector<CoreKey>{KeyOf(3)});
  EXPECT_EQ(bob_exchange->nodes_exchanged(), 0U);  // no walk for what was told
  EXPECT_FALSE(ada_exchange->IsLevel());
  EXPECT_FALSE(ada.durable.contains(KeyOf(3)));
  bob.map.Set(KeyOf(3), 11);
  bob_exchange->TellChanges({&grown, 1});
  bob_exchange->TellDigest(*bob.Digest());
  world.Drain();
  EXPECT_EQ(ada.durable[KeyOf(3)], 11U);
  EXPECT_EQ(ada_exchange->DurableThere(KeyOf(3)), 11U);
  EXPECT_TRUE(ada_exchange->IsLevel());
}

TEST_F(FeedExchangeTest, BlocksThatWaitForOthersAreAcknowledgedToo) {
  Club ada, bob;
  ada.map.Set(KeyOf(1), 10);
  Connect(ada, bob);
  const FeedAck held{KeyOf(1), 7};
  bob_exchange->TellDurable({&held, 1});
  world.Drain();
  EXPECT_EQ(ada.durable[KeyOf(1)], 7U);
}

TEST_F(FeedExchangeTest, Attack17_NobodyHoldsBlocksThatAreNotWrittenYet) {
  Club ada, bob;
  ada.map.Set(KeyOf(1), 10);
  ada.own[KeyOf(1)] = 12;
  Connect(ada, bob);
  const FeedAck lie{KeyOf(1), (std::uint64_t{1} << 53) - 1};
  bob_exchange->TellDurable({&lie, 1});
  world.Drain();
  EXPECT_EQ(ada.durable[KeyOf(1)], 12U);
  EXPECT_EQ(ada_exchange->DurableThere(KeyOf(1)), 12U);
  ada.own[KeyOf(1)] = 13;
  const FeedChange head{{KeyOf(1), (std::uint64_t{1} << 53) - 1}, 0};
  bob_exchange->TellChanges({&head, 1});
  world.Drain();
  EXPECT_EQ(ada.durable[KeyOf(1)], 13U);
  EXPECT_EQ(ada_exchange->DurableThere(KeyOf(1)), 13U);
}

TEST_F(FeedExchangeTest, F1_EvidenceTravelsBeforeHeadsAndOnlyToAPeerWithAnotherView) {
  Club ada, bob;
  ada.evidence.push_back({9, 9, 9});
  ada.map.Set(KeyOf(1), 10);
  Connect(ada, bob);
  EXPECT_EQ(bob.evidence_taken, ada.evidence);
  EXPECT_EQ(bob.evidence_from, std::set<PublicKey>{bob_session->remote_static_key()});
  bob.map.Set(KeyOf(1), 10);
  bob.evidence_taken.clear();
  Connect(ada, bob);
  EXPECT_TRUE(bob.evidence_taken.empty());
}

TEST_F(FeedExchangeTest, F1_EvidenceIsToldAgainWhereViewsStayApart) {
  Club ada, bob;
  ada.evidence.push_back({9, 9, 9});
  ada.map.Set(KeyOf(1), 10);
  Connect(ada, bob);
  bob.evidence_taken.clear();  // and forgotten
  for (int i = 0; i < 3; ++i) {
    ada_exchange->CompareWhenQuiet();
    world.RunFor(std::chrono::seconds(5));
  }
  EXPECT_EQ(bob.evidence_taken, ada.evidence);
}

TEST_F(FeedExchangeTest, WhoAsksToBeLetInIsHeardByALevelPeerToo) {
  Club ada, bob;
  ada.requests.push_back({3, 1});
  Connect(ada, bob);
  EXPECT_EQ(bob.evidence_taken, ada.requests);
}

TEST_F(FeedExchangeTest, Attack17_APeerThatGoesOnSendingFalseProofsIsCutOff) {
  Club ada, bob;
  bob.evidence_verdict = absl::DataLossError("it proves nothing");
  for (std::uint8_t i = 0; i < 20; ++i) ada.evidence.push_back({i});
  ada.map.Set(KeyOf(1), 10);
  Connect(ada, bob);
  EXPECT_TRUE(bob_session->closed());
}

TEST_F(FeedExchangeTest, Attack17_EvidenceOfNoUseIsNotLookedAtForLong) {
  Club ada, bob;
  Connect(ada, bob);
  bob.evidence_verdict = absl::NotFoundError("of no use");
  const std::vector<Bytes> proofs(5'000, Bytes{2});
  ada_exchange->TellEvidence(proofs);
  world.Drain();
  // A quarter of a second's worth.
  EXPECT_LE(bob.evidence_taken.size(), 251U);
  EXPECT_FALSE(bob_session->closed());
}

TEST_F(FeedExchangeTest, Attack16_WhatFeedsHoldIsToldEverMoreSeldom) {
  Club ada, bob;
  ada.map.Set(KeyOf(1), 10);
  Connect(ada, bob);
  // He says something else every ten seconds, for an hour.
  for (std::uint64_t i = 0; i < 360; ++i) {
    bob.map.Set(KeyOf(2), i + 1);
    bob_exchange->TellDigest(*bob.Digest());
    world.RunFor(std::chrono::seconds(5));
    ada_exchange->CompareWhenQuiet();
    world.RunFor(std::chrono::seconds(5));
    EXPECT_TRUE(ada_exchange->CompareWhenQuiet() || ada.compared > 0);
  }
  EXPECT_GE(ada.compared, 6);
  EXPECT_LE(ada.compared, 12);
  // Of his last word she finds out all that there is, in the end.
  world.RunFor(std::chrono::minutes(10));
  while (ada_exchange->CompareWhenQuiet()) world.RunFor(std::chrono::seconds(5));
  const int compared = ada.compared;
  world.RunFor(std::chrono::minutes(20));
  EXPECT_FALSE(ada_exchange->CompareWhenQuiet());
  EXPECT_EQ(ada.compared, compared);
}

TEST_F(FeedExchangeTest, Attack16_FeedsOfOneLengthAreNotComparedAtEachDigest) {
  Club ada, bob;
  ada.map.Set(KeyOf(1), 10);
  bob.map.Set(KeyOf(1), 10);
  Connect(ada, bob);
  for (std::uint8_t i = 1; i <= 100; ++i) {
    ada.view.bytes[0] = i;
    ada_exchange->TellDigest(*ada.Digest());
    world.Drain();
  }
  EXPECT_EQ(ada.compared, 1);
  EXPECT_EQ(bob.compared, 1);
}

TEST_F(FeedExchangeTest, WhatEvidenceIsAnsweredWithGoesToWhoBroughtItAlone) {
  Club ada, bob;
  Connect(ada, bob);
  bob.answers.push_back({6, 6});
  const std::vector<Bytes> asked{{5}};
  ada_exchange->TellEvidence(asked);
  world.Drain();
  EXPECT_EQ(ada.evidence_taken, bob.answers);
}

// A peer of a base that sends what a test tells it.
class Babbler final : public ChannelHandler {
 public:
  Babbler(Session* session, const BaseId& base_id) : session_(session) {
    open_.capability = FeedCapability(session->mux().handshake_hash(),
                                      session->is_initiator(), base_id);
    open_.has_genesis = true;
    id_ = FeedChannelId(base_id);
  }
  void Open() {
    // Ours, and so it must not own us in turn.
    channel = *session_->mux().Open(
        kFeedProtocol, id_.view(), EncodeFeedOpen(open_),
        std::shared_ptr<ChannelHandler>(std::shared_ptr<void>(), this));
  }
  absl::Status OnOpen(MuxChannel&, ByteView) override { return absl::OkStatus(); }
  absl::Status OnMessage(MuxChannel&, std::uint64_t type, ByteView) override {
    if (type == static_cast<std::uint64_t>(FeedMessageType::kNodes)) ++nodes;
    return absl::OkStatus();
  }
  void OnClose(MuxChannel&, bool) override { channel = nullptr; }

  MuxChannel* channel = nullptr;
  int nodes = 0;

 private:
  Session* session_;
  FeedOpen open_;
  DiscoveryKey id_;
};

TEST_F(FeedExchangeTest, Attack16_AWalkThatNeverEndsIsNotFollowedOnAnyChannel) {
  Club ada;
  for (std::uint64_t i = 0; i < 5'000; ++i) ada.map.Set(KeyOf(i), 10);
  auto [left, right] = world.Connect(ada_peer, bob_peer);
  world.Drain();
  const auto exchange = FeedExchange::Start(left.get(), &ada, [](FeedExchange&) {});
  Babbler eve(right.get(), ada.base_id());
  // The top of a trie with children that nobody has, different each time.
  const auto babble = [&](std::uint64_t from) {
    FeedNodes nodes;
    TrieBranch top;
    for (std::uint8_t nibble = 0; nibble < 8; ++nibble) {
      top.child_map |= static_cast<std::uint16_t>(1 << nibble);
      top.children.push_back(FeedLeafHash(KeyOf(from + nibble), 1));
    }
    nodes.nodes.push_back({{}, EncodeTrieBranch(top)});
    eve.channel->Send(static_cast<std::uint64_t>(FeedMessageType::kNodes),
                      EncodeFeedNodes(nodes));
    world.Drain();
  };
  std::uint64_t seen = 0;
  for (std::uint64_t round = 0; round < 4; ++round) {
    eve.Open();
    world.Drain();
    ASSERT_NE(eve.channel, nullptr);
    for (std::uint64_t i = 0; i < 100; ++i) babble(1'000'000 + 8 * (100 * round + i));
    if (round == 0) seen = exchange->nodes_exchanged();
    eve.channel->Close();
    world.Drain();
  }
  EXPECT_LT(seen, 200U);
  EXPECT_EQ(exchange->nodes_exchanged(), seen) << "a new channel begins nothing anew";
  exchange->Stop();
}

TEST_F(FeedExchangeTest, Attack16_QuestionsWithoutEndAreAnsweredForAsLongAsAWalkTakes) {
  Club ada;
  for (std::uint64_t i = 0; i < 1'000; ++i) ada.map.Set(KeyOf(i), 10);
  auto [left, right] = world.Connect(ada_peer, bob_peer);
  world.Drain();
  const auto exchange = FeedExchange::Start(left.get(), &ada, [](FeedExchange&) {});
  Babbler eve(right.get(), ada.base_id());
  eve.Open();
  world.Drain();
  ASSERT_NE(eve.channel, nullptr);
  FeedAskNodes ask;
  for (std::uint8_t i = 0; i < 64; ++i)
    ask.paths.push_back({static_cast<std::uint8_t>(i % 16)});
  for (int i = 0; i < 100; ++i) {
    eve.channel->Send(static_cast<std::uint64_t>(FeedMessageType::kAskNodes),
                      EncodeFeedAskNodes(ask));
  }
  world.Drain();
  EXPECT_GT(exchange->steps_asked(), 1'000U);
  EXPECT_LT(exchange->steps_asked(), 8'000U) << "and 100 000 were asked for";
  eve.channel->Close();
  world.Drain();
  exchange->Stop();
}

TEST_F(FeedExchangeTest, Attack16_RoomForMoreFeedsIsNotLookedForAtEachDigest) {
  Club ada, bob;
  for (std::uint64_t i = 0; i < kFeedsPerPeerMax + 500; ++i) ada.map.Set(KeyOf(i), 1);
  // All of them are wanted, and none comes.
  const auto log = bob_peer.Writer("log", 1);
  for (std::uint64_t i = 0; i < kFeedsPerPeerMax + 500; ++i) bob.cores[KeyOf(i)] = log;
  Connect(ada, bob);
  const std::size_t asked = bob.asked.size();
  for (std::uint8_t i = 0; i < 20; ++i) {
    FeedDigest digest = *ada.Digest();
    digest.version_digest.bytes[0] = i;
    ada_exchange->TellDigest(digest);
    world.Drain();
  }
  EXPECT_LE(bob.asked.size(), asked + kFeedsPerPeerMax) << "once, not twenty times";
}

TEST_F(FeedExchangeTest, LogsThatHoldGrantsAreFetchedFirst) {
  Club ada, bob;
  for (std::uint64_t i = 0; i < 10; ++i) ada.map.Set(KeyOf(i), 10);
  bob.senior = {KeyOf(4), KeyOf(8)};
  Connect(ada, bob);
  ASSERT_EQ(bob.asked.size(), 10U);
  EXPECT_TRUE(bob.senior.contains(bob.asked[0]));
  EXPECT_TRUE(bob.senior.contains(bob.asked[1]));
}

TEST_F(FeedExchangeTest, WhatAPolicyRefusesIsDeniedAndNotSpokenOfAgain) {
  Club ada, bob;
  for (std::uint64_t i = 0; i < 10; ++i) ada.map.Set(KeyOf(i), 10);
  bob_peer.rule.which = FeedRule::Which::kList;
  bob_peer.rule.list = {KeyOf(1)};
  Connect(ada, bob);
  EXPECT_EQ(bob.asked, std::vector<CoreKey>{KeyOf(1)});
  const std::uint64_t before = BytesSent();
  std::vector<FeedChange> grown;
  for (std::uint64_t i = 2; i < 10; ++i) grown.push_back({{KeyOf(i), 11}, 10});
  ada_exchange->TellChanges(grown);
  world.Drain();
  EXPECT_EQ(BytesSent(), before);
}

TEST_F(FeedExchangeTest, ABaseThatDoesNotDownloadStillTellsWhatItHas) {
  Club ada, bob;
  ada.map.Set(KeyOf(1), 10);
  bob.map.Set(KeyOf(2), 10);
  ada_peer.rule.download = false;
  Connect(ada, bob);
  EXPECT_TRUE(ada.asked.empty());
  EXPECT_EQ(bob.asked, std::vector<CoreKey>{KeyOf(1)});
}

TEST_F(FeedExchangeTest, PeersOfTheBaseAreToldToPeersOfTheBase) {
  Club ada, bob;
  Connect(ada, bob);
  FeedPeers others;
  others.enough = true;
  others.peers.push_back({PublicKey{}, "10.0.0.1:4000"});
  ada_exchange->TellPeers(others);
  world.Drain();
  EXPECT_EQ(bob.peers, others);
}

TEST_F(FeedExchangeTest, BlocksOfAToldFeedAreFetched) {
  Club ada, bob;
  const auto core = ada_peer.Writer("notes", 25);
  ada.map.Set(core->key(), 25);
  const auto copy = bob_peer.Reader(*core);
  bob.cores[core->key()] = copy;
  Connect(ada, bob);
  ExpectSame(*copy, *core);
}

TEST_F(FeedExchangeTest, Attack14_WhoDoesNotKnowTheBaseLearnsNothingOfIt) {
  Club ada;
  ada.map.Set(KeyOf(1), 10);
  Peer eve(3);
  auto [left, right] = world.Connect(ada_peer, eve);
  world.Drain();
  const auto exchange = FeedExchange::Start(left.get(), &ada, [](FeedExchange&) {});
  struct Spy final : ChannelHandler {
    absl::Status OnOpen(MuxChannel&, ByteView) override { return absl::OkStatus(); }
    absl::Status OnMessage(MuxChannel&, std::uint64_t, ByteView) override {
      ++heard;
      return absl::OkStatus();
    }
    void OnClose(MuxChannel&, bool) override { closed = true; }
    int heard = 0;
    bool closed = false;
  };
  const auto spy = std::make_shared<Spy>();
  FeedOpen open;  // a capability of zeros
  const auto id = FeedChannelId(ada.base_id());
  ASSERT_TRUE(
      right->mux().Open(kFeedProtocol, id.view(), EncodeFeedOpen(open), spy).ok());
  world.Drain();
  EXPECT_TRUE(spy->closed);
  EXPECT_EQ(spy->heard, 0);
  EXPECT_TRUE(exchange->refused());
  EXPECT_FALSE(left->closed());
}

}  // namespace
}  // namespace weft
