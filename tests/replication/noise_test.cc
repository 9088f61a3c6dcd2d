// Vectors: tests/vectors/noise.json, two handshakes of the real packages.

#include "replication/noise.h"

#include "replication/hypercore_messages.h"
#include "replication/secret_stream.h"
#include "tests/replication/vectors.h"

namespace weft {
namespace {

KeyPair PairOf(const nlohmann::json& seed) {
  return KeyPairFromSeed(Key<Seed>(seed));
}

// Frames in the vectors carry their three bytes of length.
Bytes Body(const nlohmann::json& frame) {
  const Bytes bytes = Hex(frame);
  return ToBytes(ByteView(bytes).subspan(kFramePrefixBytes));
}

TEST(Noise, SharedSecretsOnTheEdwardsCurveAreThoseOfTheVectors) {
  const auto vectors = LoadVectors("noise.json");
  for (const auto& entry : vectors["dh"]) {
    const KeyPair secret = PairOf(entry["secretSeed"]);
    const auto shared =
        EdwardsDh(secret.secret_key, Key<PublicKey>(entry["publicKey"]));
    ASSERT_TRUE(shared.has_value());
    EXPECT_EQ(ToHex(shared->view()), entry["dh"]);
  }
}

// Replays one side's trace operation by operation.
void CheckTrace(const nlohmann::json& trace) {
  NoiseState state;
  for (const auto& step : trace) {
    const std::string op = step["op"];
    if (op == "mixHash") {
      state.MixHash(Hex(step["data"]));
    } else if (op == "mixKey") {
      state.MixKey(Key<Hash32>(step["dh"]));
    } else if (op == "encryptAndHash") {
      EXPECT_EQ(ToHex(state.EncryptAndHash(Hex(step["plaintext"]))), step["out"]);
    } else {
      const auto plaintext = state.DecryptAndHash(Hex(step["ciphertext"]));
      ASSERT_TRUE(plaintext.has_value());
      EXPECT_EQ(ToHex(*plaintext), step["out"]);
    }
    EXPECT_EQ(ToHex(state.hash().view()), step["h"]) << op;
    EXPECT_EQ(ToHex(state.chaining_key().view()), step["ck"]) << op;
  }
}

TEST(Noise, EveryStepOfARecordedHandshakeHasTheRecordedHashAndKey) {
  const auto vectors = LoadVectors("noise.json");
  for (const auto& entry : vectors["handshakes"]) {
    EXPECT_EQ(ToHex(NoiseState().hash().view()), entry["afterInitialise"]["h"]);
    CheckTrace(entry["traceInitiator"]);
    CheckTrace(entry["traceResponder"]);
  }
}

TEST(Noise, MessagesKeysAndIdsAreThoseOfTheVectors) {
  const auto vectors = LoadVectors("noise.json");
  for (const auto& entry : vectors["handshakes"]) {
    const auto& i = entry["initiator"];
    const auto& r = entry["responder"];
    NoiseHandshake ada(true, PairOf(i["staticSeed"]), PairOf(i["ephemeralSeed"]));
    NoiseHandshake bob(false, PairOf(r["staticSeed"]), PairOf(r["ephemeralSeed"]));
    const Bytes first = ada.Start();
    EXPECT_EQ(first, Body(entry["framesOnTheWire"][0]["frame"]));
    const auto second = bob.Receive(first);
    ASSERT_TRUE(second.ok());
    EXPECT_EQ(*second, Body(entry["framesOnTheWire"][1]["frame"]));
    const auto third = ada.Receive(*second);
    ASSERT_TRUE(third.ok());
    EXPECT_EQ(*third, Body(entry["framesOnTheWire"][2]["frame"]));
    ASSERT_TRUE(bob.Receive(*third).ok());
    ASSERT_TRUE(ada.done() && bob.done());

    EXPECT_EQ(ToHex(ada.handshake_hash().view()), entry["handshakeHash"]);
    EXPECT_EQ(ada.handshake_hash(), bob.handshake_hash());
    EXPECT_EQ(ToHex(ada.send_key().view()), entry["initiatorTx"]);
    EXPECT_EQ(ToHex(ada.receive_key().view()), entry["initiatorRx"]);
    EXPECT_EQ(ToHex(bob.send_key().view()), entry["responderTx"]);
    EXPECT_EQ(ToHex(bob.receive_key().view()), entry["responderRx"]);
    EXPECT_EQ(ToHex(ada.remote_static_key().view()), r["staticPublicKey"]);
    EXPECT_EQ(ToHex(bob.remote_static_key().view()), i["staticPublicKey"]);

    const Hash64& hash = ada.handshake_hash();
    EXPECT_EQ(ToHex(StreamId(hash, true).view()), entry["streamIdInitiator"]);
    EXPECT_EQ(ToHex(StreamId(hash, false).view()), entry["streamIdResponder"]);
    const auto& capability = entry["capabilityForKey55"];
    const CoreKey key = Key<CoreKey>(capability["key"]);
    EXPECT_EQ(ToHex(Capability(hash, true, key).view()), capability["initiatorSends"]);
    EXPECT_EQ(ToHex(Capability(hash, false, key).view()), capability["responderSends"]);
  }
}

KeyPair Pair(std::uint8_t byte) {
  Seed seed;
  seed.bytes.fill(byte);
  return KeyPairFromSeed(seed);
}

TEST(Noise, Attack04_AReplayedInitiatorFailsAtItsLastMessage) {
  NoiseHandshake ada(true, Pair(1), Pair(2));
  NoiseHandshake bob(false, Pair(3), Pair(4));
  const Bytes first = ada.Start();
  const Bytes third = *ada.Receive(*bob.Receive(first));
  NoiseHandshake again(false, Pair(3), Pair(5));
  ASSERT_TRUE(again.Receive(first).ok());
  EXPECT_FALSE(again.Receive(third).ok());
  EXPECT_FALSE(again.done());
}

TEST(Noise, Attack05_PointsOfSmallOrderAndOffTheCurveFailTheHandshake) {
  std::vector<Bytes> points(4, Bytes(32, 0));
  points[1][0] = 1;             // the identity
  points[2] = Bytes(32, 0xff);  // not canonical
  points[3] = *FromHex(         // of order 8
      "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05");
  for (const Bytes& point : points) {
    NoiseHandshake bob(false, Pair(3), Pair(4));
    EXPECT_EQ(bob.Receive(point).status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_FALSE(bob.Receive(Pair(1).public_key.view()).ok()) << "failed for good";
  }
}

TEST(Noise, Attack06_EveryFlippedBitAndEveryOtherSizeFails) {
  NoiseHandshake bob(false, Pair(3), Pair(4));
  const Bytes first = NoiseHandshake(true, Pair(1), Pair(2)).Start();
  const Bytes second = *bob.Receive(first);
  for (std::size_t at = 0; at < second.size(); ++at) {
    Bytes bad = second;
    bad[at] ^= 0x10;
    NoiseHandshake ada(true, Pair(1), Pair(2));
    ada.Start();
    EXPECT_FALSE(ada.Receive(bad).ok()) << at;
  }
  for (const std::size_t size : {0, 31, 95, 97, 128}) {
    Bytes bad = second;
    bad.resize(size);
    NoiseHandshake ada(true, Pair(1), Pair(2));
    ada.Start();
    EXPECT_FALSE(ada.Receive(bad).ok()) << size;
  }
}

}  // namespace
}  // namespace weft
