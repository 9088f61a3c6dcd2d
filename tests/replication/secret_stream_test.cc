// Vectors: tests/vectors/secretstream.json, and raw-session.json decrypted offline.

#include "replication/secret_stream.h"

#include "tests/replication/vectors.h"

namespace weft {
namespace {

TEST(StreamCipher, FramesAreThoseOfTheVectors) {
  const auto vectors = LoadVectors("secretstream.json");
  for (const auto& entry : vectors["cases"]) {
    const Bytes raw = Hex(entry["header"]);
    StreamCipher::Header header;
    std::copy(raw.begin(), raw.end(), header.begin());
    const Hash32 key = Key<Hash32>(entry["tx"]);
    StreamCipher push(key, header);
    StreamCipher pull(key, header);
    EXPECT_EQ(
        ToHex(
            StreamId(Key<Hash64>(entry["handshakeHash"]), entry["isInitiator"]).view()),
        entry["streamId"]);
    for (const auto& frame : entry["frames"]) {
      if (!frame.contains("plaintext")) continue;
      const Bytes plaintext = Hex(frame["plaintext"]);
      Bytes sealed;
      AppendFramePrefix(plaintext.size() + kStreamOverheadBytes, &sealed);
      push.Seal(plaintext, &sealed);
      EXPECT_EQ(ToHex(sealed), frame["frame"]);
      Bytes opened;
      ASSERT_TRUE(pull.Open(ByteView(sealed).subspan(kFramePrefixBytes), &opened));
      EXPECT_EQ(opened, plaintext);
    }
  }
}

// Two ends joined by hand.
struct Ends {
  ScriptedRandom ada_random{1};
  ScriptedRandom bob_random{101};
  SecretStream ada{true, KeyPairFromSeed(RandomSeed(ada_random)), &ada_random};
  SecretStream bob{false, KeyPairFromSeed(RandomSeed(bob_random)), &bob_random};
  std::vector<std::string> heard_by_ada;
  std::vector<std::string> heard_by_bob;

  absl::Status ToBob(const Bytes& bytes, Bytes* answer) {
    return bob.Receive(bytes, answer, [this](ByteView message) {
      heard_by_bob.emplace_back(AsText(message));
      return absl::OkStatus();
    });
  }
  absl::Status ToAda(const Bytes& bytes, Bytes* answer) {
    return ada.Receive(bytes, answer, [this](ByteView message) {
      heard_by_ada.emplace_back(AsText(message));
      return absl::OkStatus();
    });
  }
  void Shake() {
    Bytes first, second, third, nothing;
    ada.Start(&first);
    ASSERT_TRUE(ToBob(first, &second).ok());
    ASSERT_TRUE(ToAda(second, &third).ok());
    Bytes header;
    ASSERT_TRUE(ToBob(third, &header).ok());
    ASSERT_TRUE(ToAda(header, &nothing).ok());
    ASSERT_TRUE(nothing.empty());
    ASSERT_TRUE(ada.established() && bob.established());
  }
};

TEST(SecretStream, MessagesArriveHoweverTheirBytesAreCut) {
  Ends ends;
  ends.Shake();
  Bytes wire;
  ends.ada.Seal(AsBytes("one"), &wire);
  ends.ada.Seal({}, &wire);  // keep-alive: heard by nobody
  ends.ada.Seal(AsBytes("two"), &wire);
  for (const std::uint8_t byte : wire) {
    Bytes answer;
    ASSERT_TRUE(ends.ToBob({byte}, &answer).ok());
  }
  EXPECT_EQ(ends.heard_by_bob, (std::vector<std::string>{"one", "two"}));
}

TEST(SecretStream, TheInitiatorsFirstMessageMayFollowItsHeaderAtOnce) {
  Ends ends;
  Bytes first, second, third, answer;
  ends.ada.Start(&first);
  ASSERT_TRUE(ends.ToBob(first, &second).ok());
  ASSERT_TRUE(ends.ToAda(second, &third).ok());
  ASSERT_TRUE(ends.ada.can_send());
  ends.ada.Seal(AsBytes("early"), &third);
  ASSERT_TRUE(ends.ToBob(third, &answer).ok());
  EXPECT_EQ(ends.heard_by_bob, (std::vector<std::string>{"early"}));
}

TEST(SecretStream, Attack01_AFrameClaimingMuchBeforeTheHandshakeIsRefused) {
  Ends ends;
  Bytes answer;
  EXPECT_EQ(ends.ToBob({0x00, 0x00, 0xff}, &answer).code(),
            absl::StatusCode::kResourceExhausted);
}

TEST(SecretStream, Attack01_TheHeaderFrameIsUnderTheSameCap) {
  Ends ends;
  Bytes first, second, third, answer;
  ends.ada.Start(&first);
  ASSERT_TRUE(ends.ToBob(first, &second).ok());
  ASSERT_TRUE(ends.ToAda(second, &third).ok());
  third.resize(64 + kFramePrefixBytes);  // without the header
  Append(third, Bytes{0x00, 0x10, 0x00});
  EXPECT_EQ(ends.ToBob(third, &answer).code(), absl::StatusCode::kResourceExhausted);
}

TEST(SecretStream, Attack07_TamperedRepeatedAndReorderedMessagesEndTheStream) {
  for (const int what : {0, 1, 2}) {
    Ends ends;
    ends.Shake();
    Bytes one, two, answer;
    ends.ada.Seal(AsBytes("one"), &one);
    ends.ada.Seal(AsBytes("two"), &two);
    if (what == 0) {
      one.back() ^= 1;
      EXPECT_FALSE(ends.ToBob(one, &answer).ok());
    } else if (what == 1) {
      EXPECT_TRUE(ends.ToBob(one, &answer).ok());
      EXPECT_FALSE(ends.ToBob(one, &answer).ok());
    } else {
      EXPECT_FALSE(ends.ToBob(two, &answer).ok());
    }
  }
}

TEST(SecretStream, AHeaderOfTheWrongRoleEndsTheStream) {
  Ends ends;
  Bytes first, second, third, answer;
  ends.ada.Start(&first);
  ASSERT_TRUE(ends.ToBob(first, &second).ok());
  ASSERT_TRUE(ends.ToAda(second, &third).ok());
  third[64 + 2 * kFramePrefixBytes] ^= 1;  // the first byte of the id
  EXPECT_EQ(ends.ToBob(third, &answer).code(), absl::StatusCode::kInvalidArgument);
}

TEST(SecretStream, ARecordedSessionDecryptsWithItsKeysFromBothSides) {
  const auto session = LoadVectors("raw-session.json");
  for (const bool as_initiator : {true, false}) {
    ScriptedRandom random;
    random.Push(
        Hex(session[as_initiator ? "ephemeralInitiator" : "ephemeralResponder"]));
    const auto& seed =
        session[as_initiator ? "initiatorStaticSeed" : "responderStaticSeed"];
    SecretStream stream(as_initiator, KeyPairFromSeed(Key<Seed>(seed)), &random);
    Bytes sent;
    stream.Start(&sent);
    std::size_t messages = 0;
    for (const auto& chunk : session["raw"]) {
      if ((chunk["from"] == "initiator") == as_initiator) continue;
      const auto status = stream.Receive(Hex(chunk["bytes"]), &sent, [&](ByteView) {
        ++messages;
        return absl::OkStatus();
      });
      ASSERT_TRUE(status.ok()) << status;
    }
    EXPECT_EQ(ToHex(stream.handshake().handshake_hash().view()),
              session["handshakeHash"]);
    EXPECT_GT(messages, 3U);
    // What we sent in the handshake is what the real peer sent.
    Bytes theirs;
    for (const auto& chunk : session["raw"]) {
      if ((chunk["from"] == "initiator") == as_initiator) {
        Append(theirs, Hex(chunk["bytes"]));
      }
    }
    const std::size_t plain = sent.size() - kStreamHeaderBytes;  // the header is random
    EXPECT_TRUE(Equal(ByteView(sent).first(plain), ByteView(theirs).first(plain)));
  }
}

TEST(FrameReader, KeepsNoMoreThanItWasFed) {
  FrameReader reader;
  reader.Feed(Bytes{0xff, 0xff, 0xff, 1, 2, 3});
  const auto next = reader.Next();
  ASSERT_TRUE(next.ok());
  EXPECT_FALSE(next->has_value());
  EXPECT_EQ(reader.buffered(), 6U);
}

}  // namespace
}  // namespace weft
