// Vectors: tests/vectors/protomux.json, what the real package writes and how it reacts.

#include "replication/protomux.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "engine/codec.h"
#include "replication/hypercore_messages.h"
#include "tests/replication/vectors.h"

namespace weft {
namespace {

using testing::ElementsAre;

constexpr bool kNever = false;

// Writes down what it hears. Messages and handshakes are compact strings.
class Recorder : public ChannelHandler {
 public:
  explicit Recorder(std::vector<std::string>* log, const bool* end_steps = &kNever)
      : log_(log), end_steps_(end_steps) {}
  absl::Status OnOpen(MuxChannel&, ByteView handshake) override {
    log_->push_back("open " + Text(handshake));
    return absl::OkStatus();
  }
  absl::Status OnMessage(MuxChannel& channel, std::uint64_t type,
                         ByteView body) override {
    if (type != 0) return absl::OkStatus();
    log_->push_back("message " + Text(body));
    if (*end_steps_) channel.mux().EndStep();
    if (Text(body) == "bye") channel.Close();
    return absl::OkStatus();
  }
  void OnClose(MuxChannel&, bool refused) override {
    log_->push_back(refused ? "refused" : "close remote=true");
  }

 private:
  static std::string Text(ByteView body) {
    Reader reader(body);
    return std::string(AsText(reader.Buffer()));
  }
  std::vector<std::string>* log_;
  const bool* end_steps_;
};

std::vector<std::string> Frames(Protomux& mux) {
  std::vector<std::string> frames;
  while (auto frame = mux.TakeFrame()) frames.push_back(ToHex(*frame));
  return frames;
}

Bytes Message(std::string_view text) {
  Bytes body;
  Writer(&body).Buffer(AsBytes(text));
  return body;
}

struct Fixture {
  Protomux mux{true, Hash64{}};
  std::vector<std::string> log;
  bool end_steps = false;  // after each message

  MuxChannel* Open(std::string_view protocol, ByteView id = {},
                   ByteView handshake = {}) {
    return *mux.Open(protocol, id, handshake,
                     std::make_shared<Recorder>(&log, &end_steps));
  }
  absl::Status Receive(std::string_view hex) { return mux.Receive(*FromHex(hex)); }
};

TEST(Protomux, WritesTheFramesOfTheVectors) {
  const auto vectors = LoadVectors("protomux.json")["cases"][0];
  const auto& steps = vectors["steps"];
  const auto expect = [&](Protomux& mux, std::size_t step) {
    EXPECT_EQ(Frames(mux), steps[step]["frames"].get<std::vector<std::string>>());
  };
  Fixture f;
  Bytes handshake;
  Encode(CoreHandshake{true, Key<Hash32>(vectors["capability"])}, &handshake);
  MuxChannel* first =
      f.Open(kHypercoreProtocol, Hex(vectors["discoveryKey"]), handshake);
  expect(f.mux, 0);
  first->Send(2, Bytes{7});
  expect(f.mux, 1);
  first->Send(2, Bytes{7});
  first->Send(2, Bytes{0xfd, 0x2c, 0x01});
  expect(f.mux, 2);
  MuxChannel* second = f.Open("second");
  expect(f.mux, 3);
  first->Send(2, Bytes{1});
  second->Send(0, Message("hello"));
  second->Send(0, Message("world"));
  first->Send(2, Bytes{2});
  expect(f.mux, 4);
  f.Open("third", Bytes{1, 2, 3});
  second->Close();
  expect(f.mux, 5);
  first->Close();
  expect(f.mux, 6);
}

TEST(Protomux, ReactsToTheFramesOfTheVectors) {
  const auto cases = LoadVectors("protomux.json")["cases"];
  Fixture f;
  f.mux.Register("known", [&](ByteView id, ByteView) {
    f.Open("known", id, Message("srv"));
    return true;
  });
  for (const auto& step : cases[1]["steps"]) {
    SCOPED_TRACE(step["step"].get<std::string>());
    f.log.clear();
    const absl::Status status = f.Receive(step["incoming"].get<std::string>());
    EXPECT_EQ(status.ok(), !step["destroyed"].get<bool>()) << status;
    EXPECT_EQ(Frames(f.mux), step["outgoing"].get<std::vector<std::string>>());
    EXPECT_EQ(f.log, step["log"].get<std::vector<std::string>>());
  }
  Fixture other;
  EXPECT_FALSE(other.Receive(cases[2]["steps"][0]["incoming"].get<std::string>()).ok());
}

TEST(Protomux, AFreedIdIsUsedAgainAndAnUnansweredOneIsNot) {
  Fixture f;
  MuxChannel* first = f.Open("a");
  ASSERT_TRUE(f.Receive("000101016100").ok());  // the peer opens "a" as its 1
  EXPECT_TRUE(first->is_open());
  first->Close();
  Frames(f.mux);
  MuxChannel* second = f.Open("b");
  EXPECT_THAT(Frames(f.mux), ElementsAre("000101016200"));  // id 1 again
  second->Close();                                          // the answer is not known
  Frames(f.mux);
  f.Open("c");
  EXPECT_THAT(Frames(f.mux), ElementsAre("000102016300"));  // so id 2
  f.log.clear();
  ASSERT_TRUE(f.Receive("000101016200").ok());  // the answer: swallowed
  EXPECT_TRUE(f.log.empty());
  f.Open("d");
  EXPECT_THAT(Frames(f.mux), ElementsAre("000101016400"));  // id 1 is free now
}

TEST(Protomux, ARefusedOpenClosesAndARefusalOfAClosedOneIsFine) {
  Fixture f;
  f.Open("a");
  ASSERT_TRUE(f.Receive("000201").ok());
  EXPECT_THAT(f.log, ElementsAre("refused"));
  MuxChannel* second = f.Open("b");
  second->Close();
  EXPECT_TRUE(f.Receive("000201").ok());
  EXPECT_FALSE(f.Receive("000201").ok()) << "refused once already";
}

TEST(Protomux, RejectsOfManyClosedChannelsFreeTheirIdsInAnyOrder) {
  constexpr std::uint64_t kChannels = 1000;
  Fixture here;
  const auto id_of = [](std::uint64_t number) {
    Bytes id;
    Writer(&id).U64(number);
    return id;
  };
  for (std::uint64_t i = 0; i < kChannels; ++i) here.Open("p", id_of(i % 900))->Close();
  const auto reject = [&](std::uint64_t local_id) {
    Bytes frame;
    Writer writer(&frame);
    writer.Uint(0);
    writer.Uint(2);
    writer.Uint(local_id);
    return here.mux.Receive(frame);
  };
  for (std::uint64_t id = kChannels; id > 0; --id) EXPECT_TRUE(reject(id).ok()) << id;
  EXPECT_FALSE(reject(1).ok()) << "it was answered";
  Frames(here.mux);
  here.Open("q");
  // Frame of an open: control, open, local id.
  EXPECT_EQ(Frames(here.mux).at(0).substr(0, 6), "000101") << "the last that was freed";
}

TEST(Protomux, AStepEndsWhereAHandlerSaysSo) {
  Fixture here, there;
  MuxChannel* const sender = there.Open("p");
  here.Open("p");
  for (const std::string& frame : Frames(there.mux))
    EXPECT_TRUE(here.Receive(frame).ok());
  for (int i = 0; i < 3; ++i) sender->Send(0, Message("again"));
  const Bytes frame = *there.mux.TakeFrame();
  here.end_steps = true;
  Protomux::Cursor cursor;
  int steps = 1;
  while (!*here.mux.ReceiveSome(frame, 100, &cursor)) ++steps;
  EXPECT_EQ(steps, 3);
  EXPECT_EQ(std::ranges::count(here.log, std::string("message again")), 3);
}

TEST(Protomux, AHandlerMayCloseItsChannelInTheMiddleOfABatch) {
  Fixture f;
  f.Open("a");
  ASSERT_TRUE(f.Receive("000101016100").ok());
  f.log.clear();
  // A batch on channel 1: "bye", then "no".
  ASSERT_TRUE(f.Receive("0000010500036279650400026e6f").ok());
  EXPECT_THAT(f.log, ElementsAre("message bye"));
  EXPECT_EQ(f.mux.channel_count(), 0U);
}

TEST(Protomux, Attack12_MessagesOnClosedAndUnknownChannelsAreIgnored) {
  Fixture f;
  EXPECT_TRUE(f.Receive("0500").ok());
  EXPECT_TRUE(f.Receive("000309").ok());
  f.Open("a");
  EXPECT_TRUE(f.Receive("0100026869").ok()) << "before its open";
  EXPECT_TRUE(f.log.empty());
}

TEST(Protomux, Attack12_ASecondOpenOfTheSamePairIsRefused) {
  Fixture f;
  f.Open("a");
  ASSERT_TRUE(f.Receive("000101016100").ok());
  Frames(f.mux);
  EXPECT_TRUE(f.Receive("000102016100").ok());
  EXPECT_THAT(Frames(f.mux), ElementsAre("000202"));
  EXPECT_FALSE(f.Receive("000101016100").ok()) << "id 1 is in use";
}

TEST(Protomux, Attack11_OpensWithoutEndEndTheConnection) {
  Protomux mux(true, Hash64{}, {.opens_max = 100});
  absl::Status status;
  for (std::uint64_t id = 1; id <= 101; ++id) {
    Bytes frame = {0, 1};
    Writer writer(&frame);
    writer.Uint(id);
    writer.Buffer(AsBytes("nope"));
    writer.Buffer({});
    status = mux.Receive(frame);
  }
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
}

TEST(Protomux, Attack11_AChannelBeyondTheLimitIsRefused) {
  Protomux mux(true, Hash64{}, {.channels_max = 1});
  std::vector<std::string> log;
  ASSERT_TRUE(mux.Open("a", {}, {}, std::make_shared<Recorder>(&log)).ok());
  EXPECT_EQ(mux.Open("b", {}, {}, std::make_shared<Recorder>(&log)).status().code(),
            absl::StatusCode::kResourceExhausted);
}

TEST(Protomux, EveryTruncationOfAFrameIsAnErrorOrIgnoredAndNeverMore) {
  const Bytes open = *FromHex("0001010f6879706572636f72652f616c706861022b0b01");
  const Bytes batch = *FromHex("000001040002616203000163");
  for (const Bytes& frame : {open, batch}) {
    for (std::size_t size = 0; size < frame.size(); ++size) {
      Fixture f;
      f.Open("a");
      f.Receive("000101016100").IgnoreError();
      f.mux.Receive(ByteView(frame).first(size)).IgnoreError();
    }
  }
}

TEST(Protomux, LargeOutputIsCutIntoFramesOfTheTargetSize) {
  Protomux mux(true, Hash64{}, {.frame_bytes_target = 1000});
  std::vector<std::string> log;
  MuxChannel* channel = *mux.Open("a", {}, {}, std::make_shared<Recorder>(&log));
  for (int i = 0; i < 100; ++i) channel->Send(0, Bytes(90, 1));
  std::size_t frames = 0;
  while (auto frame = mux.TakeFrame()) {
    EXPECT_LE(frame->size(), 1100U);
    ++frames;
  }
  EXPECT_GE(frames, 9U);
  EXPECT_FALSE(mux.has_output());
}

TEST(Protomux, WhenTheConnectionEndsEveryHandlerHearsItOnce) {
  Fixture f;
  f.Open("a");
  f.Open("b");
  f.mux.Abandon();
  f.mux.Abandon();
  EXPECT_THAT(f.log, ElementsAre("close remote=true", "close remote=true"));
}

}  // namespace
}  // namespace weft
