// What a session does with peers that break the rules, by their numbers in the list of
// threats, and the small print of serving: ids, cancels, reasons.

#include <gmock/gmock.h>

#include <algorithm>

#include "engine/codec.h"
#include "tests/replication/liar.h"

namespace weft {
namespace {

using std::chrono::seconds;

struct HostileTest : testing::Test {
  Peer ada{1};
  Peer bob{2};
  World world;

  RequestMessage Block(std::uint64_t id, std::uint64_t block_index,
                       std::uint64_t nodes = 0) {
    RequestMessage request;
    request.id = id;
    request.parts.block = BlockRequest{block_index, nodes};
    return request;
  }
  // An upgrade to a length that the core does not have.
  RequestMessage Impossible(std::uint64_t id) {
    RequestMessage request;
    request.id = id;
    request.parts.upgrade = UpgradeRequest{9, 1};
    return request;
  }
};

TEST_F(HostileTest, Attack14_AWrongCapabilityLooksLikeAnUnknownCore) {
  const auto notes = ada.Writer("notes", 3);
  const auto raw = RawPeer::Connect(world, ada);
  raw->OpenCore(notes->key(), Hash32{});
  EXPECT_EQ(raw->refused, 1);
  EXPECT_TRUE(raw->heard.empty());
  CoreKey unknown;
  raw->OpenCore(unknown);
  EXPECT_EQ(raw->refused, 2);
  EXPECT_FALSE(raw->hung_up);
}

TEST_F(HostileTest, Attack15_ACapabilityOfAnotherConnectionOpensNothing) {
  const auto notes = ada.Writer("notes", 3);
  const auto first = RawPeer::Connect(world, ada);
  const Hash32 capability =
      Capability(first->mux->handshake_hash(), true, notes->key());
  const auto second = RawPeer::Connect(world, ada);
  second->OpenCore(notes->key(), capability);
  EXPECT_EQ(second->refused, 1);
  // Nor does our own side's, sent back to us.
  second->OpenCore(notes->key(),
                   Capability(second->mux->handshake_hash(), false, notes->key()));
  EXPECT_EQ(second->refused, 2);
}

TEST_F(HostileTest, RequestsAreAnsweredByTheirIdsZeroToo) {
  const auto notes = ada.Writer("notes", 8);
  const auto raw = RawPeer::Connect(world, ada);
  MuxChannel* channel = raw->OpenCore(notes->key());
  raw->heard.clear();
  raw->Send(channel, CoreMessage::kRequest, Block(0, 3));
  raw->Send(channel, CoreMessage::kRequest, Block(77, 4));
  const auto data = raw->Take(CoreMessage::kData);
  ASSERT_EQ(data.size(), 2U);
  EXPECT_EQ(DecodeData(data[0].body)->request_id, 0U);
  EXPECT_EQ(DecodeData(data[1].body)->request_id, 77U);
  EXPECT_EQ(DecodeData(data[1].body)->proof.block->value, ToBytes(BlockText(4)));
}

TEST_F(HostileTest, WhatCannotBeAnsweredIsRefusedWithItsReason) {
  const auto notes = ada.Writer("notes", 8);
  ASSERT_TRUE(notes->Clear(2, 3).ok());
  const auto raw = RawPeer::Connect(world, ada);
  MuxChannel* channel = raw->OpenCore(notes->key());
  const auto reason = [&](const RequestMessage& request) -> std::uint64_t {
    raw->heard.clear();
    raw->Send(channel, CoreMessage::kRequest, request);
    const auto refusals = raw->Take(CoreMessage::kNoData);
    if (refusals.size() != 1) return 99;
    EXPECT_EQ(DecodeNoData(refusals[0].body)->request_id, request.id);
    return DecodeNoData(refusals[0].body)->reason;
  };
  EXPECT_EQ(reason(Block(1, 2)), 1U) << "cleared";
  RequestMessage other_fork = Block(2, 1);
  other_fork.fork = 5;
  EXPECT_EQ(reason(other_fork), 1U);
  EXPECT_EQ(reason(Impossible(3)), 2U);
  EXPECT_EQ(reason(Block(4, 1'000'000)), 1U) << "beyond the end";
}

TEST_F(HostileTest, ACancelledRequestIsNotAnsweredAndARepeatedIdAnswersTheLater) {
  const auto notes = ada.Writer("notes", 8);
  const auto raw = RawPeer::Connect(world, ada);
  MuxChannel* channel = raw->OpenCore(notes->key());
  raw->heard.clear();
  Bytes one, two, three, cancel;
  Encode(Block(1, 1), &one);
  Encode(Block(2, 2), &two);
  Encode(Block(2, 3), &three);
  EncodeCancel(1, &cancel);
  raw->SendBody(channel, CoreMessage::kRequest, one);
  raw->SendBody(channel, CoreMessage::kRequest, two);
  raw->SendBody(channel, CoreMessage::kCancel, cancel);
  raw->SendBody(channel, CoreMessage::kRequest, three);
  raw->Flush();
  const auto data = raw->Take(CoreMessage::kData);
  ASSERT_EQ(data.size(), 1U);
  EXPECT_EQ(DecodeData(data[0].body)->request_id, 2U);
  EXPECT_EQ(DecodeData(data[0].body)->proof.block->block_index, 3U);
}

TEST_F(HostileTest, Attack26_MoreRequestsThanAnHonestPeerSendsEndTheConnection) {
  const auto notes = ada.Writer("notes", 8);
  const auto raw = RawPeer::Connect(world, ada);
  MuxChannel* channel = raw->OpenCore(notes->key());
  // Upgrades wait while the newest block is not durable.
  const ByteView block = AsBytes("not yet");
  ASSERT_TRUE(notes->Append({&block, 1}, Durability::kLogged).ok());
  for (std::uint64_t id = 1; id <= 4097; ++id) {
    EXPECT_FALSE(ada.ended.has_value()) << id;
    RequestMessage request;
    request.id = id;
    request.parts.upgrade = UpgradeRequest{0, 8};
    Bytes body;
    Encode(request, &body);
    raw->SendBody(channel, CoreMessage::kRequest, body);
    if (id % 512 == 0) raw->Flush();
  }
  raw->Flush();
  ASSERT_TRUE(ada.ended.has_value());
  EXPECT_EQ(ada.ended->code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(HostileTest, Attack26_ABlockAskedForManyTimesAtOnceIsGivenOnce) {
  const auto notes = ada.Writer("notes", 8);
  const auto raw = RawPeer::Connect(world, ada);
  MuxChannel* channel = raw->OpenCore(notes->key());
  raw->heard.clear();
  for (std::uint64_t id = 1; id <= 1000; ++id) {
    Bytes body;
    Encode(Block(id, 3), &body);
    raw->SendBody(channel, CoreMessage::kRequest, body);
  }
  raw->Flush();
  std::size_t data = 0, refused = 0;
  for (const auto& heard : raw->heard) {
    data += heard.type == CoreMessage::kData;
    refused += heard.type == CoreMessage::kNoData;
  }
  EXPECT_EQ(data + refused, 1000U) << "each is answered";
  EXPECT_LE(data, 8U);
  EXPECT_FALSE(ada.ended.has_value());
}

TEST_F(HostileTest, Attack26_RequestsOnAllCoresTogetherAreLimited) {
  std::vector<MuxChannel*> channels;
  const auto raw = RawPeer::Connect(world, ada);
  // Upgrades wait while the newest block is not durable.
  const ByteView block = AsBytes("not yet");
  for (int i = 0; i < 4; ++i) {
    const auto core = ada.Writer(absl::StrFormat("core %d", i), 8);
    channels.push_back(raw->OpenCore(core->key()));
    ASSERT_TRUE(core->Append({&block, 1}, Durability::kLogged).ok());
  }
  for (std::uint64_t id = 1; id <= 1150; ++id) {
    for (MuxChannel* const channel : channels) {
      RequestMessage request;
      request.id = id;
      request.parts.upgrade = UpgradeRequest{0, 8};
      Bytes body;
      Encode(request, &body);
      raw->SendBody(channel, CoreMessage::kRequest, body);
    }
  }
  raw->Flush();
  ASSERT_TRUE(ada.ended.has_value());
  EXPECT_EQ(ada.ended->code(), absl::StatusCode::kResourceExhausted);
}

// An old stock peer that asked for a fork of length 0 waits for the next sync.
TEST_F(HostileTest, AnUpgradeToALengthThatIsNoMoreIsRefusedAndTheNewOneTold) {
  const auto notes = ada.Writer("notes", 8);
  const auto raw = RawPeer::Connect(world, ada);
  MuxChannel* channel = raw->OpenCore(notes->key());
  raw->heard.clear();
  RequestMessage request;
  request.id = 1;
  request.parts.upgrade = UpgradeRequest{0, 0};
  raw->Send(channel, CoreMessage::kRequest, request);
  ASSERT_EQ(raw->heard.size(), 2U);
  EXPECT_EQ(raw->heard[0].type, CoreMessage::kNoData);
  EXPECT_EQ(raw->heard[1].type, CoreMessage::kSync);
  EXPECT_EQ(DecodeSync(raw->heard[1].body)->length, 8U);
}

TEST_F(HostileTest, SixtyFourRequestsThatNobodyCouldAnswerEndTheConnection) {
  const auto notes = ada.Writer("notes", 8);
  const auto raw = RawPeer::Connect(world, ada);
  MuxChannel* channel = raw->OpenCore(notes->key());
  for (std::uint64_t id = 1; id <= 63; ++id) {
    raw->Send(channel, CoreMessage::kRequest, Impossible(id));
  }
  EXPECT_FALSE(ada.ended.has_value());
  raw->Send(channel, CoreMessage::kRequest, Impossible(64));
  EXPECT_TRUE(ada.ended.has_value());
}

TEST_F(HostileTest, Attack21_AWrongBlockBarsThatCoreAndTheOthersFlow) {
  const auto notes = ada.Writer("notes", 8);
  const auto other = ada.Writer("other", 8);
  bob.mode = Download::Whole();
  const auto copy = bob.Reader(*notes);
  const auto other_copy = bob.Reader(*other);
  Liar liar(world, bob, *notes);
  ASSERT_EQ(liar.Answer([](Proof& proof) { proof.block->value[0] ^= 1; }), 1U);
  ASSERT_EQ(bob.faults.size(), 1U);
  EXPECT_EQ(bob.faults[0].code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(liar.raw->closed, 1);
  EXPECT_EQ(copy->length(), 0U);
  EXPECT_EQ(copy->held_blocks(), 0U);
  liar.raw->OpenCore(notes->key());
  EXPECT_EQ(liar.raw->refused, 1) << "barred on this connection";

  Liar honest(world, bob, *other, liar.raw);
  while (honest.Answer([](Proof&) {}) > 0) {
  }
  ExpectSame(*other_copy, *other);
}

TEST_F(HostileTest, Attack21_EveryWayToSpoilAProofIsFoundOut) {
  const std::vector<std::function<void(Proof&)>> ways = {
      [](Proof& p) { p.block->value.push_back(0); },
      [](Proof& p) { p.upgrade->signature[10] ^= 1; },
      [](Proof& p) { p.upgrade->signature.clear(); },
      [](Proof& p) { (*p.manifest)[40] ^= 1; },
      [](Proof& p) { p.manifest.reset(); },
      [](Proof& p) { p.block->nodes[0].hash.bytes[0] ^= 1; },
      [](Proof& p) { p.block->nodes[0].size += 1; },
      [](Proof& p) { p.block->nodes[0].tree_index += 2; },
      [](Proof& p) { p.block->nodes.pop_back(); },
      [](Proof& p) { p.block->nodes[0].size = kUintMax; },
      [](Proof& p) { p.block->block_index += 1; },
      [](Proof& p) { p.hash = HashProof{}; },
  };
  bob.mode = Download::Whole();
  for (std::size_t i = 0; i < ways.size(); ++i) {
    SCOPED_TRACE(i);
    const auto core = ada.Writer(absl::StrFormat("core %d", i), 8);
    const auto copy = bob.Reader(*core);
    bob.faults.clear();
    Liar liar(world, bob, *core);
    liar.Answer([&ways, i](Proof& proof) {
      if (proof.upgrade) ways[i](proof);
    });
    EXPECT_EQ(bob.faults.size(), 1U);
    EXPECT_EQ(copy->held_blocks(), 0U);
    EXPECT_EQ(copy->length(), 0U);
  }
}

TEST_F(HostileTest, E2_TheFourthFaultyFeedEndsTheConnection) {
  bob.mode = Download::Whole();
  std::shared_ptr<RawPeer> raw;
  for (int i = 0; i < 4; ++i) {
    EXPECT_FALSE(bob.ended.has_value());
    const auto core = ada.Writer(absl::StrFormat("core %d", i), 8);
    const auto copy = bob.Reader(*core);
    Liar liar(world, bob, *core, raw);
    raw = liar.raw;
    liar.Answer([](Proof& proof) { proof.block->value[0] ^= 1; });
  }
  ASSERT_TRUE(bob.ended.has_value());
  EXPECT_EQ(bob.ended->code(), absl::StatusCode::kDataLoss);
}

TEST_F(HostileTest, Attack27_DataThatNobodyAskedForIsIgnored) {
  const auto notes = ada.Writer("notes", 8);
  const auto copy = bob.Reader(*notes);
  Liar liar(world, bob, *notes);
  liar.SendUnasked({0, 1, 500});
  EXPECT_EQ(copy->length(), 0U);
  EXPECT_TRUE(bob.faults.empty());
}

TEST_F(HostileTest, Attack24_ClaimsOfEndlessRangesCostNothing) {
  const auto notes = ada.Writer("notes", 8);
  bob.mode = Download::Whole();
  const auto copy = bob.Reader(*notes);
  Liar liar(world, bob, *notes);
  liar.raw->Send(liar.channel, CoreMessage::kRange,
                 RangeMessage{false, 1, (std::uint64_t{1} << 52)});
  BitfieldMessage bits;
  bits.start = std::uint64_t{1} << 50;
  bits.words.assign(1000, 0x55555555);
  liar.raw->Send(liar.channel, CoreMessage::kBitfield, bits);
  SyncMessage far = SyncOf(*notes);
  far.length = std::uint64_t{1} << 50;
  liar.raw->Send(liar.channel, CoreMessage::kSync, far);
  EXPECT_FALSE(bob.ended.has_value());
  EXPECT_LE(liar.raw->Take(CoreMessage::kRequest).size(), 2U);
}

TEST_F(HostileTest, Attack24_ALengthThatNobodySignedIsAskedAboutSoFarAndNoFurther) {
  const auto notes = ada.Writer("notes", 3);
  bob.mode = Download::Whole();
  const auto copy = bob.Reader(*notes);
  const auto raw = RawPeer::Connect(world, bob);
  MuxChannel* channel = raw->OpenCore(notes->key());
  SyncMessage sync = SyncOf(*notes);
  sync.length = std::uint64_t{1} << 50;
  raw->Send(channel, CoreMessage::kSync, sync);
  raw->Send(channel, CoreMessage::kBitfield, BitfieldMessage{0, {0}});
  std::size_t windows = 0;
  for (int round = 0; round < 50; ++round) {
    std::vector<BitfieldMessage> answers;
    for (const RawPeer::Heard& one : raw->heard) {
      if (one.type != CoreMessage::kWant) continue;
      answers.push_back({DecodeWant(one.body)->start, {0}});
    }
    raw->heard.clear();
    if (answers.empty()) break;
    windows += answers.size();
    for (const BitfieldMessage& answer : answers) {
      raw->Send(channel, CoreMessage::kBitfield, answer);
    }
  }
  EXPECT_GT(windows, 0U);
  EXPECT_LE(windows, 8U) << "2^24 blocks";
  EXPECT_FALSE(raw->hung_up);
}

TEST_F(HostileTest, Attack25_AStormOfWantsIsAnsweredWithinBounds) {
  const auto notes = ada.Writer("notes", 300);
  ASSERT_TRUE(notes->Clear(0, 10).ok());
  const auto raw = RawPeer::Connect(world, ada);
  MuxChannel* channel = raw->OpenCore(notes->key());
  raw->heard.clear();
  Bytes body;
  Encode(WantMessage{0, 2097152, false}, &body);
  for (int i = 0; i < 10000; ++i) raw->SendBody(channel, CoreMessage::kWant, body);
  raw->Flush();
  EXPECT_FALSE(ada.ended.has_value());
  EXPECT_LE(raw->Take(CoreMessage::kBitfield).size(), 100U);
}

TEST_F(HostileTest, Attack28_APeerThatClaimsAndNeverGivesIsPassedOver) {
  const auto notes = ada.Writer("notes", 100);
  bob.mode = Download::Whole();
  const auto copy = bob.Reader(*notes);
  Liar mute(world, bob, *notes);
  EXPECT_GT(mute.raw->heard.size(), 0U) << "it was asked";
  const auto [a, b] = world.Connect(ada, bob);
  b->Replicate(copy, Download::Whole());
  world.RunFor(seconds(5));
  ExpectSame(*copy, *notes);
}

TEST_F(HostileTest, Attack28_BlocksThatAPeerKeepsToItselfAreAskedOfAnother) {
  const auto notes = ada.Writer("notes", 3000);
  bob.mode = Download::Whole();
  const auto copy = bob.Reader(*notes);
  Liar mute(world, bob, *notes);
  const auto honest = [](Proof&) {};
  ASSERT_EQ(mute.Answer(honest), 1U) << "the upgrade, and then not a word";
  const auto [a, b] = world.Connect(ada, bob);
  b->Replicate(copy, Download::Whole());
  world.RunFor(seconds(2));
  ExpectSame(*copy, *notes);
  world.RunFor(seconds(20));
  EXPECT_TRUE(bob.faults.empty());
}

std::size_t Cancelled(const RawPeer& peer) {
  return static_cast<std::size_t>(
      std::ranges::count(peer.heard, CoreMessage::kCancel, &RawPeer::Heard::type));
}

TEST_F(HostileTest, Attack36_AnUpgradeThatStandsBehindOtherDataOnASlowLineIsWaitedFor) {
  const auto notes = ada.Writer("notes", 20);
  bob.mode = Download::Whole();
  const auto copy = bob.Reader(*notes);
  Liar one(world, bob, *notes), two(world, bob, *notes);
  Bytes other;
  Encode(ExtensionMessage{"other", Bytes(400, 1)}, &other);
  for (int i = 0; i < 40; ++i) {
    for (Liar* liar : {&one, &two}) {
      liar->raw->SendBody(liar->channel, CoreMessage::kExtension, other);
      liar->raw->Flush();
    }
    world.RunFor(std::chrono::milliseconds(250));
  }
  EXPECT_EQ(Cancelled(*one.raw), 0U) << "ten seconds";
  one.Answer([](Proof&) {});
  EXPECT_EQ(copy->length(), 20U);
  EXPECT_EQ(bob.points, 0);
}

TEST_F(HostileTest, Attack36_NoUpgradeIsTakenFromAPeerWhileNobodyElseOffersOne) {
  const auto notes = ada.Writer("notes", 20);
  bob.mode = Download::Whole();
  const auto copy = bob.Reader(*notes);
  Liar slow(world, bob, *notes);
  Peer cyd{3};
  const auto [b, c] = world.Connect(bob, cyd);
  c->Replicate(cyd.Reader(*notes), Download::Whole());
  world.RunFor(seconds(9));
  EXPECT_EQ(Cancelled(*slow.raw), 0U);
  slow.Answer([](Proof&) {});
  EXPECT_EQ(copy->length(), 20U);
}

TEST_F(HostileTest, Attack28_WhatDoesNotComeIsCalledBack) {
  const auto notes = ada.Writer("notes", 100);
  bob.mode = Download::Whole();
  const auto copy = bob.Reader(*notes);
  Liar mute(world, bob, *notes);
  world.RunFor(seconds(11));
  EXPECT_GT(mute.raw->Take(CoreMessage::kCancel).size(), 0U);
}

TEST_F(HostileTest, Attack19_AMessageThatDoesNotDecodeEndsTheConnection) {
  const auto notes = ada.Writer("notes", 8);
  const auto raw = RawPeer::Connect(world, ada);
  MuxChannel* channel = raw->OpenCore(notes->key());
  raw->SendBody(channel, CoreMessage::kRequest, Bytes{1});
  raw->Flush();
  ASSERT_TRUE(ada.ended.has_value());
  EXPECT_EQ(ada.ended->code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(HostileTest, APeerThatSpeaksSomethingElseIsToldApartAtOnce) {
  auto [left, right] = sim::PipeWire::MakePair();
  world.Join(ada, std::move(right), false);
  asio::co_spawn(world.io, left->Write(ToBytes("GET / HTTP/1.1\r\nHost: weft\r\n\r\n")),
                 [](std::exception_ptr, const absl::Status&) {});
  world.Drain();
  ASSERT_TRUE(ada.ended.has_value());
  EXPECT_FALSE(ada.ended->ok());
}

TEST_F(HostileTest, Attack33_AStreamThatBreaksInTheMiddleLeavesWholeBlocksOnly) {
  const auto notes = ada.Writer("notes", 5000);
  const auto copy = bob.Reader(*notes);
  for (int attempt = 0; attempt < 50 && copy->held_blocks() < 5000; ++attempt) {
    const auto [a, b] = world.Connect(ada, bob);
    b->Replicate(copy, Download::Whole());
    for (int i = 0; i < 60; ++i) {
      world.io.restart();
      world.io.poll_one();
    }
    a->Close();
    world.Drain();
    for (std::uint64_t i = 0; i < copy->length(); i += 97) {
      if (copy->Has(i)) {
        EXPECT_TRUE(copy->Get(i).ok());
      }
    }
  }
  ExpectSame(*copy, *notes);
}

}  // namespace
}  // namespace weft
