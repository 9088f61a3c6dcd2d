// Attacks 1 to 10: what comes before and below the channels. The attacker is bare
// bytes, or a handshake made by hand.

#include <gtest/gtest.h>

#include <cstring>

#include "engine/crypto_stream.h"
#include "tests/replication/raw_end.h"
#include "tests/replication/raw_peer.h"
#include "tests/replication/swarm_world.h"

namespace weft {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct TransportAttack : testing::Test {
  Peer ada{1};
  World world;
  sim::SimRandom random{77};
  KeyPair FreshPair() { return KeyPairFromSeed(RandomSeed(random)); }
};

Bytes HexBytes(std::string_view hex) {
  return *FromHex(hex);
}

// Points of the curve that share no secret: the identity, points of order 2, 4 and 8,
// and numbers that are no canonical point at all.
std::vector<Bytes> BadPoints() {
  std::vector<Bytes> points = {
      HexBytes("0100000000000000000000000000000000000000000000000000000000000000"),
      HexBytes("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
      HexBytes("0000000000000000000000000000000000000000000000000000000000000000"),
      HexBytes("0000000000000000000000000000000000000000000000000000000000000080"),
      HexBytes("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
      HexBytes("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
      HexBytes("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
      HexBytes("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
      HexBytes("ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"),
  };
  return points;
}

TEST_F(TransportAttack, Attack01_AClaimOf16MiBBeforeAuthenticationCostsItsSender) {
  for (int i = 0; i < 100; ++i) {
    Peer bob(100 + static_cast<std::uint64_t>(i));
    const auto raw = RawEnd::Connect(world, bob);
    raw->Send(Bytes{0xff, 0xff, 0xff});
    EXPECT_TRUE(raw->hung_up);
    ASSERT_TRUE(bob.ended.has_value());
    EXPECT_EQ(bob.ended->code(), absl::StatusCode::kResourceExhausted);
    EXPECT_EQ(bob.points, 20);
    EXPECT_TRUE(raw->received.empty());
  }
}

TEST_F(TransportAttack, Attack01_WithinTheLimitNothingIsHeldButWhatCame) {
  NetworkLimits limits;
  ada.session_options.budget = std::make_shared<NetworkBudget>(limits);
  std::vector<std::shared_ptr<RawEnd>> ends;
  for (int i = 0; i < 50; ++i) {
    ends.push_back(RawEnd::Connect(world, ada));
    ends.back()->Send(Bytes{0x00, 0x04, 0x00, 1, 2, 3});  // claims 1024
  }
  EXPECT_EQ(ada.session_options.budget->received->bytes(), 50U * 6);
}

TEST_F(TransportAttack, Attack02_AHandshakeByteByByteEndsAtItsDeadline) {
  const auto raw = RawEnd::Connect(world, ada);
  for (int i = 0; i < 6 && !raw->hung_up; ++i) {
    EXPECT_FALSE(ada.ended.has_value()) << i << " s";
    raw->Send(Bytes{i == 0 ? std::uint8_t{32} : std::uint8_t{0}});
    world.RunFor(seconds(1));
  }
  EXPECT_TRUE(raw->hung_up);
  ASSERT_TRUE(ada.ended.has_value());
  EXPECT_EQ(ada.ended->code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(TransportAttack, Attack02_AFrameThatNeverGrowsEndsTheConnectionAfterwardsToo) {
  const auto raw = RawPeer::Connect(world, ada);
  raw->SendRaw(Bytes{0, 0, 0x10});  // a mebibyte is to follow
  int alive = 0;
  for (; alive < 20 && !ada.ended.has_value(); ++alive) {
    raw->SendRaw(Bytes{7});
    world.RunFor(seconds(10));
  }
  ASSERT_TRUE(ada.ended.has_value());
  EXPECT_EQ(ada.ended->code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_GE(alive, 6);
  EXPECT_LE(alive, 7);
}

TEST_F(TransportAttack, Attack02_ASlowButHonestFrameGetsThrough) {
  const auto notes = ada.Writer("notes", 3);
  const auto raw = RawPeer::Connect(world, ada);
  Bytes sealed;
  raw->stream.Seal(Bytes(64 * 1024, 0xfc), &sealed);
  for (std::size_t at = 0; at < sealed.size(); at += 1024) {
    const std::size_t size = std::min<std::size_t>(1024, sealed.size() - at);
    raw->SendRaw(ToBytes(ByteView(sealed).subspan(at, size)));
    world.RunFor(seconds(5));
  }
  EXPECT_FALSE(ada.ended.has_value());
}

TEST(SwarmAttack, Attack03_AFloodOfHandshakesKeepsNobodyElseOut) {
  SwarmWorld world;
  SwarmPeer& ada = world.Add("10.0.0.1");
  SwarmPeer& bob = world.Add("10.0.0.2");
  ada.Listen();
  const auto flood = world.network.HostView("10.0.0.66");
  std::vector<std::unique_ptr<Wire>> wires;
  for (int i = 0; i < 500; ++i) world.DialRaw(*flood, ada.address, &wires);
  world.RunFor(milliseconds(900));
  EXPECT_EQ(wires.size(), 500U);
  EXPECT_LE(ada.swarm->connections().size(), 16U) << "L1, by address";
  bob.swarm->Keep(ada.address);
  world.RunFor(seconds(2));
  EXPECT_EQ(bob.swarm->Ready().size(), 1U);
  world.RunFor(seconds(10));
  EXPECT_EQ(ada.swarm->connections().size(), 1U) << "the deadline took the others";
  EXPECT_LT(ada.lines.size(), 5U) << "one line a minute, however many knock";
  world.Forget(&wires);
}

TEST(SwarmAttack, Attack03_FreshKeysFromOneAddressKeepNobodyElseOut) {
  SwarmWorld world;
  NetworkLimits limits;
  limits.connections_max = 40;
  SwarmPeer& ada = world.Add("10.0.0.1", limits);
  SwarmPeer& bob = world.Add("10.0.0.2");
  ada.Listen();
  Peer eve(66);
  const auto flood = world.network.HostView("10.0.0.66");
  std::vector<std::shared_ptr<Session>> sessions;
  for (int i = 0; i < 60; ++i) {
    world.DialSession(*flood, ada.address, &eve,
                      KeyPairFromSeed(RandomSeed(eve.random)), &sessions);
    world.RunFor(milliseconds(100));
  }
  EXPECT_EQ(ada.swarm->connections().size(), 10U);
  bob.swarm->Keep(ada.address);
  world.RunFor(seconds(2));
  EXPECT_EQ(bob.swarm->Ready().size(), 1U);
  for (const auto& session : sessions) session->Close();
  world.RunFor(seconds(2));
  EXPECT_EQ(ada.swarm->connections().size(), 1U);
}

TEST(Swarm, AnAddressWhereNobodyAnswersIsToldOnceForEachReason) {
  SwarmWorld world;
  SwarmPeer& ada = world.Add("10.0.0.1");
  SwarmPeer& bob = world.Add("10.0.0.2");
  ada.swarm->Keep(bob.address);
  world.RunFor(seconds(60));
  ASSERT_EQ(ada.lines.size(), 1U);
  EXPECT_EQ(ada.lines[0].find("cannot connect to 10.0.0.2:1: "), 0U) << ada.lines[0];
  bob.Listen();
  world.RunFor(seconds(60));
  EXPECT_EQ(ada.swarm->Ready().size(), 1U);
  EXPECT_EQ(ada.lines.size(), 1U);
  bob.swarm->Shutdown();
  world.RunFor(seconds(60));
  EXPECT_EQ(ada.lines.size(), 2U);
}

TEST_F(TransportAttack, Attack04_AClientSideThatWasRecordedOpensNothingAgain) {
  // A connection of an honest peer, recorded.
  Bytes recorded;
  {
    Peer bob{2};
    auto [left, right] = sim::PipeWire::MakePair();
    const auto session = world.Join(bob, std::move(right), /*is_initiator=*/true);
    SecretStream responder(false, FreshPair(), &random);
    std::shared_ptr<Wire> wire = std::move(left);
    asio::co_spawn(
        world.io,
        [](std::shared_ptr<Wire> in, SecretStream* stream, Bytes* copy) -> Task<void> {
          while (!stream->established()) {
            const absl::StatusOr<Bytes> bytes = co_await in->Read();
            if (!bytes.ok() || bytes->empty()) co_return;
            Append(*copy, *bytes);
            Bytes out;
            const auto status = stream->Receive(
                *bytes, &out, [](ByteView) { return absl::OkStatus(); });
            if (!status.ok()) co_return;
            if (!out.empty()) (void)co_await in->Write(std::move(out));
          }
        }(wire, &responder, &recorded),
        asio::detached);
    world.Drain();
    ASSERT_TRUE(session->ready());
    session->Close();
    world.Drain();
  }
  ASSERT_GT(recorded.size(), 100U);
  const auto raw = RawEnd::Connect(world, ada);
  raw->Send(recorded);
  ASSERT_TRUE(ada.ended.has_value());
  EXPECT_EQ(ada.ended->code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ada.ready, 0) << "nobody heard of it";
  EXPECT_FALSE(raw->session->secured());
}

TEST_F(TransportAttack, Attack05_PointsThatShareNoSecretFailAsEphemeral) {
  for (const Bytes& point : BadPoints()) {
    SCOPED_TRACE(ToHex(point));
    Peer bob{5};
    const auto raw = RawEnd::Connect(world, bob);
    raw->SendFrame(point);
    ASSERT_TRUE(bob.ended.has_value());
    EXPECT_EQ(bob.ended->code(), absl::StatusCode::kInvalidArgument);
    EXPECT_TRUE(raw->received.empty()) << "not a byte in answer";
  }
}

// An initiator whose steps are done one by one.
struct HandMade {
  explicit HandMade(const KeyPair& pair) : ephemeral(pair) {}

  KeyPair ephemeral;
  NoiseState state;
  PublicKey remote_ephemeral;
  PublicKey remote_static;

  Bytes Message1() {
    state.MixHash(ephemeral.public_key.view());
    state.EncryptAndHash({});
    return ToBytes(ephemeral.public_key.view());
  }
  bool ReadMessage2(ByteView message) {
    remote_ephemeral = *PublicKey::From(message.first(32));
    state.MixHash(remote_ephemeral.view());
    state.MixKey(*EdwardsDh(ephemeral.secret_key, remote_ephemeral));
    const auto key = state.DecryptAndHash(message.subspan(32, 48));
    if (!key) return false;
    remote_static = *PublicKey::From(*key);
    state.MixKey(*EdwardsDh(ephemeral.secret_key, remote_static));
    return state.DecryptAndHash(message.last(16)).has_value();
  }
  // With any static key; `secret` makes the tag, which cannot be right for a bad point.
  Bytes Message3(ByteView static_key, const SecretKey& secret, ByteView tail = {}) {
    Bytes out = state.EncryptAndHash(static_key);
    state.MixKey(*EdwardsDh(secret, remote_ephemeral));
    Append(out, state.EncryptAndHash(tail));
    return out;
  }
};

TEST_F(TransportAttack, Attack05_PointsThatShareNoSecretFailAsStatic) {
  for (const Bytes& point : BadPoints()) {
    SCOPED_TRACE(ToHex(point));
    Peer bob{5};
    const auto raw = RawEnd::Connect(world, bob);
    HandMade hand(FreshPair());
    raw->SendFrame(hand.Message1());
    ASSERT_EQ(raw->Frames().size(), 1U);
    ASSERT_TRUE(hand.ReadMessage2(raw->Frames()[0]));
    raw->SendFrame(hand.Message3(point, FreshPair().secret_key));
    ASSERT_TRUE(bob.ended.has_value());
    EXPECT_EQ(bob.ended->code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(bob.ready, 0);
  }
}

TEST_F(TransportAttack, Attack06_AnotherPrologueOrPayloadOrLengthFailsClosed) {
  const auto attack = [&](const std::function<void(RawEnd&, HandMade&)>& how) {
    Peer bob{6};
    const auto raw = RawEnd::Connect(world, bob);
    HandMade hand(FreshPair());
    how(*raw, hand);
    ASSERT_TRUE(bob.ended.has_value());
    EXPECT_EQ(bob.ended->code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(bob.ready, 0);
    EXPECT_TRUE(raw->hung_up);
  };
  attack([](RawEnd& raw, HandMade& hand) {
    Bytes message = hand.Message1();
    message.push_back(0);
    raw.SendFrame(message);
  });
  attack([](RawEnd& raw, HandMade&) { raw.SendFrame({}); });
  attack([&](RawEnd& raw, HandMade& hand) {
    raw.SendFrame(hand.Message1());
    hand.ReadMessage2(raw.Frames()[0]);
    const KeyPair pair = FreshPair();
    raw.SendFrame(hand.Message3(pair.public_key.view(), pair.secret_key, Bytes{1}));
  });
  attack([&](RawEnd& raw, HandMade& hand) {
    hand.state.MixHash(AsBytes("a prologue"));
    raw.SendFrame(hand.Message1());
    EXPECT_FALSE(hand.ReadMessage2(raw.Frames()[0]));
    const KeyPair pair = FreshPair();
    raw.SendFrame(hand.Message3(pair.public_key.view(), pair.secret_key));
  });
  // A right handshake, and then a header for another direction.
  attack([&](RawEnd& raw, HandMade& hand) {
    raw.SendFrame(hand.Message1());
    hand.ReadMessage2(raw.Frames()[0]);
    const KeyPair pair = FreshPair();
    raw.SendFrame(hand.Message3(pair.public_key.view(), pair.secret_key));
    raw.SendFrame(raw.Frames().at(1));
  });
}

TEST_F(TransportAttack, Attack07_ATamperedReorderedOrRepeatedFrameEndsTheConnection) {
  const auto attack = [&](const std::function<Bytes(SecretStream&)>& make) {
    Peer bob{7};
    const auto raw = RawPeer::Connect(world, bob);
    raw->SendRaw(make(raw->stream));
    ASSERT_TRUE(bob.ended.has_value());
    EXPECT_EQ(bob.ended->code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(bob.points, 100);
  };
  const Bytes message = {9, 9};
  for (const std::size_t place : {3U, 4U, 10U, 20U}) {
    attack([&](SecretStream& stream) {
      Bytes out;
      stream.Seal(message, &out);
      out[place] ^= 0x80;
      return out;
    });
  }
  attack([&](SecretStream& stream) {
    Bytes first, second;
    stream.Seal(message, &first);
    stream.Seal(message, &second);
    Append(second, first);
    return second;
  });
  attack([&](SecretStream& stream) {
    Bytes out;
    stream.Seal(message, &out);
    const Bytes again = out;
    Append(out, again);
    return out;
  });
  attack([](SecretStream&) {
    return Bytes{16, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
  });
}

TEST_F(TransportAttack, Attack07_AStreamCutInAFrameDoesNotLookLikeItsEnd) {
  const auto raw = RawPeer::Connect(world, ada);
  Bytes sealed;
  raw->stream.Seal(Bytes(100, 9), &sealed);
  raw->SendRaw(ToBytes(ByteView(sealed).first(50)));
  raw->wire->Close();
  world.Drain();
  ASSERT_TRUE(ada.ended.has_value());
  EXPECT_EQ(ada.ended->code(), absl::StatusCode::kUnavailable);
}

TEST(StreamAttack, Attack08_TheKeyRenewsItselfBeforeTheCounterRunsOut) {
  Hash32 key;
  key.bytes[0] = 1;
  const StreamCipher::Header header{};
  StreamCipher push(key, header);
  StreamCipher pull(key, header);
  // The counter stands behind the key in libsodium's state; close to its end now.
  static_assert(sizeof(StreamCipher) == 64);
  for (StreamCipher* cipher : {&push, &pull}) {
    const std::uint32_t close_to_the_end = 0xfffffffd;
    std::memcpy(reinterpret_cast<std::uint8_t*>(cipher) + 32, &close_to_the_end, 4);
  }
  Bytes first_key(32);
  std::memcpy(first_key.data(), reinterpret_cast<std::uint8_t*>(&push), 32);
  for (std::uint8_t i = 0; i < 10; ++i) {
    Bytes sealed, opened;
    push.Seal(Bytes{i}, &sealed);
    ASSERT_TRUE(pull.Open(sealed, &opened)) << int{i};
    EXPECT_EQ(opened, Bytes{i});
  }
  Bytes later_key(32);
  std::memcpy(later_key.data(), reinterpret_cast<std::uint8_t*>(&push), 32);
  EXPECT_NE(first_key, later_key);
}

TEST(SwarmAttack, Attack09_ADialToOurselvesEndsAndIsNotTriedAllTheTime) {
  SwarmWorld world;
  SwarmPeer& ada = world.Add("10.0.0.1");
  ada.Listen();
  ada.swarm->Keep(ada.address);
  world.RunFor(seconds(1));
  EXPECT_TRUE(ada.swarm->connections().empty());
  const std::uint64_t dials = world.network.streams_opened();
  EXPECT_EQ(dials, 1U);
  world.RunFor(seconds(60));
  EXPECT_LE(world.network.streams_opened(), dials + 5);
  EXPECT_EQ(ada.ready, 0);
}

TEST(SwarmAttack, Attack09_ACopyOfAStoreIsNotTakenForTheStoreItself) {
  SwarmWorld world;
  const KeyPair identity = KeyPairFromSeed(RandomSeed(world.random));
  SwarmPeer& ada = world.Add("10.0.0.1", {}, identity);
  SwarmPeer& copy = world.Add("10.0.0.2", {}, identity);
  ada.Listen();
  copy.swarm->Keep(ada.address);
  world.RunFor(seconds(30));
  EXPECT_EQ(ada.swarm->Ready().size(), 1U);
  EXPECT_EQ(copy.swarm->Ready().size(), 1U);
}

TEST(SwarmAttack, Attack09_OfConnectionsFromBothSidesBothKeepTheSame) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    SwarmWorld world(seed);
    SwarmPeer& ada = world.Add("10.0.0.1");
    SwarmPeer& bob = world.Add("10.0.0.2");
    ada.Listen();
    bob.Listen();
    ada.swarm->Keep(bob.address);
    bob.swarm->Keep(ada.address);
    bool more_than_two = false;
    for (int i = 0; i < 100; ++i) {
      world.RunFor(milliseconds(50));
      more_than_two |= ada.swarm->Ready().size() > 2 || bob.swarm->Ready().size() > 2;
    }
    EXPECT_FALSE(more_than_two);
    ASSERT_EQ(ada.swarm->Ready().size(), 1U);
    ASSERT_EQ(bob.swarm->Ready().size(), 1U);
    EXPECT_NE(ada.swarm->Ready()[0]->is_initiator(),
              bob.swarm->Ready()[0]->is_initiator())
        << "two ends of one connection";
    EXPECT_EQ(ada.swarm->Ready()[0]->is_initiator(),
              ada.swarm->key() < bob.swarm->key());
    const std::uint64_t dials = world.network.streams_opened();
    world.RunFor(seconds(120));
    EXPECT_EQ(world.network.streams_opened(), dials) << "nobody dials on";
    EXPECT_EQ(ada.points + bob.points, 0);
  }
}

TEST(SwarmAttack, Attack09_AManyTimesDialledPeerIsConnectedOnce) {
  SwarmWorld world;
  SwarmPeer& ada = world.Add("10.0.0.1");
  SwarmPeer& bob = world.Add("10.0.0.2");
  ada.Listen();
  for (int i = 0; i < 5; ++i) bob.swarm->Keep(ada.address);
  world.RunFor(seconds(5));
  EXPECT_EQ(bob.swarm->Ready().size(), 1U);
  EXPECT_EQ(ada.swarm->Ready().size(), 1U);
}

TEST(SwarmAttack, Attack09_APeerThatIgnoresTheRuleHoldsTwoAtMost) {
  SwarmWorld world;
  SwarmPeer& ada = world.Add("10.0.0.1");
  ada.Listen();
  const auto mallory = world.network.HostView("10.0.0.66");
  const KeyPair identity = KeyPairFromSeed(RandomSeed(world.random));
  Peer store{66};
  std::vector<std::shared_ptr<Session>> sessions;
  for (int i = 0; i < 6; ++i) {
    world.DialSession(*mallory, ada.address, &store, identity, &sessions);
    world.RunFor(seconds(1));
    EXPECT_LE(ada.swarm->Ready().size(), 2U);
  }
  for (const auto& session : sessions) session->Close();
  world.RunFor(seconds(1));
}

TEST(SwarmAttack, Attack09_AConnectionThatFellSilentGivesWayAtOnce) {
  SwarmWorld world;
  SwarmPeer& ada = world.Add("10.0.0.1");
  SwarmPeer& bob = world.Add("10.0.0.2");
  ada.Listen();
  bob.Listen();
  bob.swarm->Keep(ada.address);
  world.RunFor(seconds(2));
  ASSERT_EQ(ada.swarm->Ready().size(), 1U);
  const auto old = ada.swarm->Ready()[0];
  world.network.Stall("10.0.0.2", "10.0.0.1");
  world.RunFor(seconds(20));
  ASSERT_EQ(ada.swarm->Ready().size(), 1U) << "silent for less than a minute";
  world.network.HealAll();
  world.network.Stall("10.0.0.2", "10.0.0.9");
  ada.swarm->Keep(bob.address);
  world.RunFor(seconds(10));
  EXPECT_EQ(ada.swarm->Ready().size(), 1U);
  EXPECT_EQ(bob.swarm->Ready().size(), 1U);
}

TEST_F(TransportAttack, Attack10_AKeyIsShownOnlyInsideTheEncryption) {
  const KeyPair identity = FreshPair();
  ada.session_options.static_key = identity;
  const auto raw = RawEnd::Connect(world, ada);
  HandMade hand(FreshPair());
  raw->SendFrame(hand.Message1());
  const ByteView seen = raw->received;
  const ByteView key = identity.public_key.view();
  EXPECT_EQ(std::search(seen.begin(), seen.end(), key.begin(), key.end()), seen.end());
  ASSERT_TRUE(hand.ReadMessage2(raw->Frames()[0]));
  EXPECT_EQ(hand.remote_static, identity.public_key) << "to who did the exchange";
}

TEST_F(TransportAttack, Attack10_WhoIsNotOnTheListNeverSeesTheKeyOfWhoDials) {
  const KeyPair friendly = FreshPair();
  ada.session_options.admit = [&](const PublicKey& key) {
    return key == friendly.public_key;
  };
  for (const bool is_friend : {false, true}) {
    ada.ended.reset();
    const auto raw = RawEnd::Connect(world, ada, /*victim_dials=*/true);
    const KeyPair shown = is_friend ? friendly : FreshPair();
    NoiseHandshake responder(false, shown, FreshPair());
    const auto answer = responder.Receive(raw->Frames().at(0));
    ASSERT_TRUE(answer.ok());
    raw->SendFrame(*answer);
    // Message 3 has the key of the dialler in it, sealed for the responder.
    EXPECT_EQ(raw->Frames().size() > 1, is_friend);
    EXPECT_EQ(ada.ended.has_value(), !is_friend);
    if (is_friend) raw->session->Close();
    world.Drain();
  }
  EXPECT_EQ(ada.points, 0);
}

}  // namespace
}  // namespace weft
