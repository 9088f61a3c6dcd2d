// Vectors: tests/vectors/hypercore-messages.json, and every frame of transcripts.json.

#include "replication/hypercore_messages.h"

#include <random>

#include "engine/codec.h"
#include "tests/replication/vectors.h"

namespace weft {
namespace {

// Decodes and encodes again; the failure of either is an empty answer and a message.
Bytes Again(std::uint64_t type, ByteView body) {
  Bytes out;
  const auto encode = [&](const auto& message) {
    ASSERT_TRUE(message.ok()) << message.status();
    Encode(*message, &out);
  };
  switch (static_cast<CoreMessage>(type)) {
    case CoreMessage::kSync:
      encode(DecodeSync(body));
      break;
    case CoreMessage::kRequest:
      encode(DecodeRequest(body));
      break;
    case CoreMessage::kCancel:
      EncodeCancel(*DecodeCancel(body), &out);
      break;
    case CoreMessage::kData: {
      const auto data = DecodeData(body);
      EXPECT_TRUE(data.ok()) << data.status();
      if (data.ok()) EncodeData(data->request_id, data->proof.fork, data->proof, &out);
      break;
    }
    case CoreMessage::kNoData:
      encode(DecodeNoData(body));
      break;
    case CoreMessage::kWant:
    case CoreMessage::kUnwant:
      encode(DecodeWant(body));
      break;
    case CoreMessage::kBitfield:
      encode(DecodeBitfield(body));
      break;
    case CoreMessage::kRange:
      encode(DecodeRange(body));
      break;
    case CoreMessage::kExtension:
      encode(DecodeExtension(body));
      break;
  }
  return out;
}

TEST(HypercoreMessages, EveryVectorDecodesAndEncodesToTheSameBytes) {
  const auto vectors = LoadVectors("hypercore-messages.json");
  for (const auto& entry : vectors["messages"]) {
    SCOPED_TRACE(entry.dump());
    EXPECT_EQ(ToHex(Again(entry["type"], Hex(entry["body"]))), entry["body"]);
  }
}

TEST(HypercoreMessages, FieldsMeanWhatTheVectorsSay) {
  const auto sync = DecodeSync(*FromHex("1ffd2c01fe70110100fdfd00"));
  EXPECT_EQ(*sync, (SyncMessage{300, 70000, 253, true, true, true, true, true}));
  const auto request = DecodeRequest(*FromHex("0604000602fde80308"));
  EXPECT_EQ(request->id, 4U);
  EXPECT_EQ(request->parts.hash, (HashRequest{6, 2}));
  EXPECT_EQ(request->parts.seek, (SeekRequest{1000, 8}));
  const auto range = DecodeRange(*FromHex("03fd2c01"));
  EXPECT_TRUE(range->drop);
  EXPECT_EQ(range->start, 300U);
  EXPECT_EQ(range->length, 1U);
  EXPECT_EQ(DecodeNoData(*FromHex("07"))->reason, 0U) << "older peers leave flags out";
}

TEST(HypercoreMessages, OpensCarryTheCapabilitiesOfTheVectors) {
  const auto vectors = LoadVectors("hypercore-messages.json");
  for (const auto& entry : vectors["handshakes"]) {
    CoreHandshake handshake;
    handshake.seeks = true;
    handshake.capability = Capability(Key<Hash64>(entry["handshakeHash"]),
                                      entry["isInitiator"], Key<CoreKey>(entry["key"]));
    EXPECT_EQ(ToHex(handshake.capability.view()), entry["capability"]);
    Bytes body;
    Encode(handshake, &body);
    EXPECT_EQ(ToHex(body), entry["handshakeSeeks"]);
    EXPECT_FALSE(DecodeCoreHandshake(Hex(entry["handshakeNoSeeks"]))->seeks);
  }
}

// Calls `visit(type, body)` for each message of the hypercore channels in a frame.
template <class Visit>
void Walk(ByteView frame, Visit visit) {
  Reader reader(frame);
  std::uint64_t channel = reader.Uint();
  const std::uint64_t type = reader.Uint();
  if (channel != 0) return visit(type, reader.Rest());
  if (type != 0) return;
  channel = reader.Uint();
  while (reader.ok() && !reader.done()) {
    const std::uint64_t size = reader.Uint();
    if (size == 0) {
      channel = reader.Uint();
      continue;
    }
    Reader item(reader.Raw(size));
    const std::uint64_t item_type = item.Uint();
    if (channel != 0) visit(item_type, item.Rest());
  }
  EXPECT_TRUE(reader.ok());
}

TEST(HypercoreMessages, EveryMessageOfTheRecordedSessionsEncodesToItsOwnBytes) {
  std::size_t messages = 0;
  const auto vectors = LoadVectors("transcripts.json");
  for (const auto& session : vectors["sessions"]) {
    for (const auto& entry : session["frames"]) {
      Walk(Hex(entry["frame"]), [&](std::uint64_t type, ByteView body) {
        ++messages;
        EXPECT_EQ(ToHex(Again(type, body)), ToHex(body)) << entry.dump();
      });
    }
  }
  EXPECT_GT(messages, 150U);
}

TEST(HypercoreMessages, EveryTruncationIsRefusedOrReadShorterAndNeverMore) {
  const auto vectors = LoadVectors("hypercore-messages.json");
  for (const auto& entry : vectors["messages"]) {
    const Bytes body = Hex(entry["body"]);
    for (std::size_t size = 0; size < body.size(); ++size) {
      const ByteView cut = ByteView(body).first(size);
      DecodeSync(cut).IgnoreError();
      DecodeRequest(cut).IgnoreError();
      DecodeData(cut).IgnoreError();
      DecodeWant(cut).IgnoreError();
      DecodeBitfield(cut).IgnoreError();
      DecodeRange(cut).IgnoreError();
      DecodeExtension(cut).IgnoreError();
      DecodeNoData(cut).IgnoreError();
    }
  }
}

TEST(HypercoreMessages, Attack19_NumbersBeyondTheSafeRangeAreRefused) {
  EXPECT_FALSE(DecodeCancel(*FromHex("ffffffffffffffffff")).ok());
  EXPECT_FALSE(DecodeRange(*FromHex("00ffffffffffffff1f00ffffffffffffff1f00")).ok());
}

TEST(HypercoreMessages, Attack23_ListsOfNodesAreBoundedBeforeAnythingIsAllocated) {
  Bytes body = *FromHex(
      "01010000"
      "00");
  Writer(&body).Uint(1'000'000);
  body.resize(body.size() + 34);
  EXPECT_FALSE(DecodeData(body).ok());
  Bytes many = *FromHex("0101000000");
  Writer(&many).Uint(kProofNodesMax + 1);
  many.resize(many.size() + 34 * (kProofNodesMax + 1));
  EXPECT_FALSE(DecodeData(many).ok());
}

TEST(HypercoreMessages, RandomBytesNeverDecodeToMoreThanTheyAre) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 20000; ++i) {
    Bytes body(random() % 80);
    for (auto& byte : body) byte = static_cast<std::uint8_t>(random());
    const auto data = DecodeData(body);
    if (data.ok() && data->proof.block) {
      EXPECT_LE(data->proof.block->value.size(), body.size());
    }
    DecodeBitfield(body).IgnoreError();
    DecodeRequest(body).IgnoreError();
  }
}

}  // namespace
}  // namespace weft
