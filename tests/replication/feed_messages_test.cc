// Vectors: tests/vectors/weft-feeds.json. The bytes of `weft/feeds` are frozen: a
// change here that needs a new vector needs a new protocol version.

#include "replication/feed_messages.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "replication/feed_walk.h"

namespace weft {
namespace {

template <class T>
T Filled(std::uint8_t first) {
  T value;
  for (std::size_t i = 0; i < T::kSize; ++i) {
    value.bytes[i] = static_cast<std::uint8_t>(first + i);
  }
  return value;
}

std::string Vector(const std::string& name) {
  std::ifstream file(std::string(WEFT_VECTORS_DIR) + "/weft-feeds.json");
  return nlohmann::json::parse(file).at(name).get<std::string>();
}

FeedOpen AnOpen() {
  return {kFeedVersion, Filled<Hash32>(1), true};
}

FeedDigest ADigest() {
  return {Filled<Hash32>(2), Filled<Hash32>(3), true, 700};
}

FeedAskNodes AnAsk() {
  return {9, {{}, {0xa}, {0xa, 0xb, 0xc}}};
}

FeedNodes SomeNodes() {
  return {9, {{{0xa}, {1, 2, 3}}, {{}, {}}}};
}

FeedHeads SomeHeads() {
  return {true, false, {{Filled<CoreKey>(4), 5}, {Filled<CoreKey>(5), 70000}}};
}

FeedHeads DurableHeads() {
  return {false, true, {{Filled<CoreKey>(4), 5}}};
}

std::vector<Bytes> SomeEvidence() {
  return {{1, 2, 3}, {4}};
}

FeedPeers SomePeers() {
  return {true, {{Filled<PublicKey>(9), "10.0.0.1:4000"}}};
}

std::vector<CoreKey> SomeDenied() {
  return {Filled<CoreKey>(6), Filled<CoreKey>(7)};
}

std::vector<FeedAck> SomeAcks() {
  return {{Filled<CoreKey>(8), 253}};
}

TEST(FeedMessages, EveryMessageHasTheBytesThatWereFrozen) {
  EXPECT_EQ(ToHex(EncodeFeedOpen(AnOpen())), Vector("open"));
  EXPECT_EQ(ToHex(EncodeFeedDigest(ADigest())), Vector("digest"));
  EXPECT_EQ(ToHex(EncodeFeedAskNodes(AnAsk())), Vector("ask_nodes"));
  EXPECT_EQ(ToHex(EncodeFeedNodes(SomeNodes())), Vector("nodes"));
  EXPECT_EQ(ToHex(EncodeFeedHeads(SomeHeads())), Vector("heads"));
  EXPECT_EQ(ToHex(EncodeFeedAcks(SomeAcks())), Vector("acks"));
  EXPECT_EQ(ToHex(EncodeFeedHeads(DurableHeads())), Vector("heads_durable"));
  EXPECT_EQ(ToHex(EncodeFeedEvidence(SomeEvidence())), Vector("evidence"));
  EXPECT_EQ(ToHex(EncodeFeedDeny(SomeDenied())), Vector("deny"));
  EXPECT_EQ(ToHex(EncodeFeedPeers(SomePeers())), Vector("peers"));
}

TEST(FeedMessages, CapabilityAndChannelIdAreThoseThatWereFrozen) {
  const BaseId base = Filled<BaseId>(9);
  EXPECT_EQ(ToHex(FeedCapability(Filled<Hash64>(10), true, base).view()),
            Vector("capability_initiator"));
  EXPECT_EQ(ToHex(FeedCapability(Filled<Hash64>(10), false, base).view()),
            Vector("capability_responder"));
  EXPECT_EQ(ToHex(FeedChannelId(base).view()), Vector("channel_id"));
}

// Feeds 1 to 20: key BLAKE2b-256 of one byte, as long as the byte says.
TEST(FeedMessages, TheTrieOfFeedsIsTheOneThatWasFrozen) {
  FeedMap map;
  for (std::uint8_t n = 1; n <= 20; ++n) {
    map.Set(CoreKey{Blake2b256({{&n, 1}}).bytes}, n);
  }
  EXPECT_EQ(ToHex(map.Root().view()), Vector("feeds_root"));
  EXPECT_EQ(ToHex(BranchAt(map, {})->bytes), Vector("feeds_top_branch"));
  const auto second =
      nlohmann::json::parse(
          std::ifstream(std::string(WEFT_VECTORS_DIR) + "/weft-feeds.json"))
          .at("feeds_lower_branches");
  EXPECT_FALSE(second.empty());
  for (const auto& [nibble, bytes] : second.items()) {
    const auto way = static_cast<std::uint8_t>(std::stoi(nibble, nullptr, 16));
    EXPECT_EQ(ToHex(BranchAt(map, {way})->bytes), bytes.get<std::string>());
  }
}

TEST(FeedMessages, DecodingGivesBackWhatWasEncoded) {
  EXPECT_EQ(*DecodeFeedOpen(EncodeFeedOpen(AnOpen())), AnOpen());
  EXPECT_EQ(*DecodeFeedDigest(EncodeFeedDigest(ADigest())), ADigest());
  EXPECT_EQ(*DecodeFeedAskNodes(EncodeFeedAskNodes(AnAsk())), AnAsk());
  EXPECT_EQ(*DecodeFeedNodes(EncodeFeedNodes(SomeNodes())), SomeNodes());
  EXPECT_EQ(*DecodeFeedHeads(EncodeFeedHeads(SomeHeads())), SomeHeads());
  EXPECT_EQ(*DecodeFeedAcks(EncodeFeedAcks(SomeAcks())), SomeAcks());
  EXPECT_EQ(*DecodeFeedHeads(EncodeFeedHeads(DurableHeads())), DurableHeads());
  EXPECT_EQ(*DecodeFeedEvidence(EncodeFeedEvidence(SomeEvidence())), SomeEvidence());
  EXPECT_EQ(*DecodeFeedDeny(EncodeFeedDeny(SomeDenied())), SomeDenied());
  EXPECT_EQ(*DecodeFeedPeers(EncodeFeedPeers(SomePeers())), SomePeers());
}

// Whatever is cut off, the rest is refused or means something shorter; never a read
// past the end.
TEST(FeedMessages, EveryTruncationIsRefused) {
  const Bytes heads = EncodeFeedHeads(SomeHeads());
  for (std::size_t size = 0; size < heads.size(); ++size) {
    EXPECT_FALSE(DecodeFeedHeads(ByteView(heads).first(size)).ok()) << size;
  }
  const Bytes nodes = EncodeFeedNodes(SomeNodes());
  for (std::size_t size = 0; size < nodes.size(); ++size) {
    EXPECT_FALSE(DecodeFeedNodes(ByteView(nodes).first(size)).ok()) << size;
  }
}

TEST(FeedMessages, Attack16_ACountThatCannotFitIsRefusedBeforeAllocation) {
  const Bytes heads = {0x00, 0xfe, 0xff, 0xff, 0xff, 0x7f, 1, 2, 3};
  EXPECT_FALSE(DecodeFeedHeads(heads).ok());
}

TEST(FeedMessages, F1_AProofOfMoreThan64KiBIsRefused) {
  EXPECT_TRUE(DecodeFeedEvidence(EncodeFeedEvidence({{Bytes(65536, 1)}})).ok());
  EXPECT_FALSE(DecodeFeedEvidence(EncodeFeedEvidence({{Bytes(65537, 1)}})).ok());
  EXPECT_TRUE(DecodeFeedEvidence(EncodeFeedEvidence(std::vector<Bytes>(64))).ok());
  EXPECT_FALSE(DecodeFeedEvidence(EncodeFeedEvidence(std::vector<Bytes>(65))).ok());
}

TEST(FeedMessages, APathHasOneFormAndFitsInAKey) {
  EXPECT_FALSE(DecodeFeedAskNodes(Bytes{9, 1, 1, 0xa1}).ok());  // a nibble left over
  Bytes longer = {9, 1, 65};
  longer.resize(3 + 33);
  EXPECT_FALSE(DecodeFeedAskNodes(longer).ok());
}

}  // namespace
}  // namespace weft
