// Attacks 11 to 20: the mux, channels, and who may know what. The attacker has a real
// handshake and writes mux frames by hand.

#include <gtest/gtest.h>

#include "engine/codec.h"
#include "tests/replication/raw_peer.h"

namespace weft {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct ChannelAttack : testing::Test {
  Peer ada{1};
  Peer bob{2};
  World world;
};

DiscoveryKey Unknown(std::uint64_t number) {
  DiscoveryKey key;
  for (std::size_t i = 0; i < 8; ++i) {
    key.bytes[i] = static_cast<std::uint8_t>(number >> (8 * i));
  }
  return key;
}

// Opens of protocol and ids, as one batch.
Bytes Opens(std::string_view protocol, std::uint64_t first, std::uint64_t count) {
  Bytes frame;
  Writer writer(&frame);
  writer.Uint(0);
  writer.Uint(0);
  writer.Uint(0);
  for (std::uint64_t id = first; id < first + count; ++id) {
    Bytes item;
    Writer open(&item);
    open.Uint(1);
    open.Uint(id);
    open.Buffer(AsBytes(protocol));
    open.Buffer(Unknown(id).view());
    Bytes handshake;
    Encode(CoreHandshake{}, &handshake);
    open.Raw(handshake);
    writer.Uint(item.size());
    writer.Raw(item);
  }
  return frame;
}

TEST_F(ChannelAttack, Attack11_AMillionOpensAreRefusedSlowlyAndThenEndIt) {
  NetworkLimits limits;
  const auto raw = RawPeer::Connect(world, ada, limits);
  raw->ignore_frames = true;
  std::uint64_t opened = 0;
  for (; opened < 1'000'000 && !ada.ended.has_value(); opened += 1000) {
    raw->SendFrame(Opens("whatever", opened + 1, 1000));
  }
  ASSERT_TRUE(ada.ended.has_value());
  EXPECT_EQ(ada.ended->code(), absl::StatusCode::kResourceExhausted);
  EXPECT_LE(opened, 101'000U) << "L10: 100 000 in a minute";
  EXPECT_EQ(ada.points, 20) << "an overrun, not a malformed frame";
  EXPECT_EQ(ada.opened, 0);
}

TEST_F(ChannelAttack, Attack11_IdsAreBoundedOverTheLifeOfAConnectionToo) {
  NetworkLimits limits;
  limits.opens_max = 5000;
  limits.refusals_per_second = 1000;
  const auto raw = RawPeer::Connect(world, ada, limits);
  raw->ignore_frames = true;
  for (std::uint64_t opened = 0; opened <= 5000; opened += 100) {
    EXPECT_FALSE(ada.ended.has_value());
    raw->SendFrame(Opens("whatever", opened + 1, 100));
    world.RunFor(seconds(1));
  }
  ASSERT_TRUE(ada.ended.has_value());
  EXPECT_EQ(ada.ended->code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(ChannelAttack, Attack12_MessagesOnChannelsThatAreNotOpenReachNobody) {
  const auto notes = ada.Writer("notes", 3);
  const auto raw = RawPeer::Connect(world, ada);
  for (const std::uint64_t id : {1, 2, 77, 1'000'000}) {
    Bytes frame;
    Writer writer(&frame);
    writer.Uint(id);
    writer.Uint(1);
    writer.Raw(Bytes(20, 0));
    raw->SendFrame(frame);
  }
  EXPECT_FALSE(ada.ended.has_value());
  MuxChannel* channel = raw->OpenCore(notes->key());
  channel->Close();
  raw->Flush();
  Bytes late;
  Writer writer(&late);
  writer.Uint(1);
  writer.Uint(1);
  raw->SendFrame(late);
  EXPECT_FALSE(ada.ended.has_value()) << "in flight when the channel closed";
  raw->OpenCore(notes->key());
  EXPECT_EQ(raw->opened, 2) << "the id may be used again";
}

TEST_F(ChannelAttack, Attack12_AHandshakeTwiceEndsTheConnection) {
  const auto notes = ada.Writer("notes", 3);
  const auto raw = RawPeer::Connect(world, ada);
  raw->OpenCore(notes->key());
  ASSERT_EQ(ada.opened, 1);
  Bytes handshake;
  Encode(CoreHandshake{}, &handshake);
  Bytes frame;
  Writer writer(&frame);
  writer.Uint(0);
  writer.Uint(1);
  writer.Uint(1);  // the id that is in use
  writer.Buffer(AsBytes(kHypercoreProtocol));
  writer.Buffer(notes->discovery_key().view());
  writer.Raw(handshake);
  raw->SendFrame(frame);
  ASSERT_TRUE(ada.ended.has_value());
  EXPECT_EQ(ada.ended->code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ada.opened, 1);
}

TEST_F(ChannelAttack, Attack13_UnknownKeysAreAnsweredFromMemoryAndThenWithDelay) {
  const auto notes = ada.Writer("notes", 3);
  NetworkLimits limits;
  limits.refusals_at_once = 500;
  const auto raw = RawPeer::Connect(world, ada, limits);
  raw->ignore_frames = true;
  ada.finds = 0;
  raw->SendFrame(Opens(kHypercoreProtocol, 1, 2500));
  EXPECT_EQ(ada.finds, 0) << "nothing was opened or read";
  EXPECT_FALSE(ada.ended.has_value());
  EXPECT_EQ(raw->session->mux().held_refusals(), 2000U);
  world.RunFor(milliseconds(1050));
  EXPECT_EQ(raw->session->mux().held_refusals(), 1000U) << "a thousand a second";
  world.RunFor(seconds(2));
  EXPECT_EQ(raw->session->mux().held_refusals(), 0U);
  EXPECT_EQ(ada.points, 0) << "a stock corestore does that";
}

TEST_F(ChannelAttack, Attack13_OpensOfWhatWeHoldAreNeverHeldBack) {
  NetworkLimits limits;
  limits.refusals_at_once = 0;
  limits.refusals_per_second = 0;
  std::vector<std::shared_ptr<Hypercore>> copies;
  auto [left, right] = sim::PipeWire::MakePair();
  const auto a = world.Join(ada, std::move(left), true, limits);
  const auto b = world.Join(bob, std::move(right), false, limits);
  for (int i = 0; i < 200; ++i) {
    const auto core = ada.Writer(absl::StrFormat("core %d", i), 2);
    copies.push_back(bob.Reader(*core));
    b->Replicate(copies.back(), Download::Whole());
  }
  world.RunFor(seconds(1));
  for (const auto& copy : copies) EXPECT_EQ(copy->length(), 2U);
}

TEST_F(ChannelAttack, Attack14_WhoKnowsOnlyTheDiscoveryKeyMakesUsOpenNothing) {
  const auto notes = ada.Writer("notes", 3);
  const auto raw = RawPeer::Connect(world, ada);
  ada.finds = 0;
  raw->OpenCore(notes->key(), Hash32{});
  EXPECT_EQ(raw->refused, 1);
  EXPECT_EQ(ada.finds, 0) << "the disk is not read for who did not prove the key";
  const std::uint64_t sent = raw->session->bytes_sent();
  CoreKey unknown;
  raw->OpenCore(unknown, Hash32{});
  EXPECT_EQ(raw->refused, 2);
  EXPECT_EQ(ada.finds, 0);
  // Both answers have the same length.
  const std::uint64_t second = raw->session->bytes_sent() - sent;
  raw->OpenCore(notes->key(), Hash32{});
  EXPECT_EQ(raw->session->bytes_sent() - sent, 2 * second);
}

TEST_F(ChannelAttack, Attack18_AManifestThatNobodyNeedSignIsRefusedThoughItIsTheKeys) {
  Manifest none;
  none.quorum = 0;
  Manifest twice = SingleSigner(KeyPairFromSeed(RandomSeed(ada.random)).public_key);
  twice.signers.push_back(twice.signers[0]);
  twice.quorum = 2;
  Manifest more = SingleSigner(KeyPairFromSeed(RandomSeed(ada.random)).public_key);
  more.quorum = 3;
  for (const Manifest& manifest : {none, twice, more}) {
    const CoreKey key = KeyOf(manifest);
    const auto copy = *bob.store->OpenRemote(key);
    bob.faults.clear();
    bob.mode = Download::Whole();
    const auto raw = RawPeer::Connect(world, bob);
    MuxChannel* channel = raw->OpenCore(key);
    SyncMessage sync;
    sync.length = 1;
    sync.can_upgrade = sync.uploading = sync.has_manifest = true;
    raw->Send(channel, CoreMessage::kSync, sync);
    raw->Send(channel, CoreMessage::kRange, RangeMessage{false, 0, 1});
    const auto requests = raw->Take(CoreMessage::kRequest);
    ASSERT_EQ(requests.size(), 1U);
    const RequestMessage request = *DecodeRequest(requests[0].body);
    Proof proof;
    MerkleTree tree;
    std::vector<TreeNode> nodes;
    tree.AppendBlock(AsBytes("lies"),
                     [&](const TreeNode& node) { nodes.push_back(node); });
    proof.block = BlockProof{0, ToBytes("lies"), {}};
    proof.upgrade = UpgradeProof{};
    proof.upgrade->length = 1;
    proof.upgrade->signature = Bytes{0, 0};  // a container of nothing
    proof.manifest = EncodeManifest(manifest);
    Bytes body;
    EncodeData(request.id, 0, proof, &body);
    raw->SendBody(channel, CoreMessage::kData, body);
    raw->Flush();
    EXPECT_EQ(bob.faults.size(), 1U);
    EXPECT_EQ(copy->length(), 0U);
    raw->session->Close();
    world.Drain();
  }
}

TEST_F(ChannelAttack, Attack18_ClaimsOfSignersThatAreNotThereCostNothing) {
  Bytes bomb;
  Writer writer(&bomb);
  writer.Uint(1);
  writer.Uint(0);
  writer.Uint(0);
  writer.Uint(1);
  writer.Uint(std::uint64_t{1} << 32);
  EXPECT_EQ(DecodeManifest(bomb).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(ChannelAttack, Attack19_NumbersThatAreTornOrTooLargeEndTheConnection) {
  const std::vector<Bytes> numbers = {
      {0xfd, 0x01},                                            // torn
      {0xfe, 1, 2, 3},                                         //
      {0xff, 1, 2, 3, 4, 5, 6, 7},                             //
      {0xff, 0, 0, 0, 0, 0, 0, 0x20, 0},                       // 2^53
      {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},  // 2^64 - 1
  };
  for (const Bytes& number : numbers) {
    Peer cyd{3};
    const auto notes = cyd.Writer("notes", 3);
    const auto raw = RawPeer::Connect(world, cyd);
    MuxChannel* channel = raw->OpenCore(notes->key());
    raw->SendBody(channel, CoreMessage::kCancel, number);
    raw->Flush();
    ASSERT_TRUE(cyd.ended.has_value());
    EXPECT_EQ(cyd.ended->code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(cyd.points, 100);
  }
}

TEST_F(ChannelAttack, Attack20_AnExtensionBeyond64KiBReachesNobody) {
  const auto notes = ada.Writer("notes", 3);
  const auto raw = RawPeer::Connect(world, ada);
  MuxChannel* channel = raw->OpenCore(notes->key());
  Bytes small, large;
  Encode(ExtensionMessage{"chat", Bytes(1000, '[')}, &small);
  Encode(ExtensionMessage{"chat", Bytes(10'000'000, '[')}, &large);
  raw->SendBody(channel, CoreMessage::kExtension, large);
  raw->Flush();
  EXPECT_TRUE(ada.extensions.empty());
  raw->SendBody(channel, CoreMessage::kExtension, small);
  raw->Flush();
  EXPECT_EQ(ada.extensions.size(), 1U);
  EXPECT_FALSE(ada.ended.has_value());
}

}  // namespace
}  // namespace weft
