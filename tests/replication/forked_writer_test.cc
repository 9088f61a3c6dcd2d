// A live copy of a stock writer's log that is truncated again and again. A stock peer
// keeps quiet about a block that it takes us to hold, and an old one goes on taking us
// to hold what it has truncated itself.

#include <gtest/gtest.h>

#include "tests/replication/liar.h"

namespace weft {
namespace {

using std::chrono::seconds;

struct ForkedWriter : testing::Test {
  void SetUp() override {
    Download live = Download::Whole();
    live.live = true;
    bob.mode = live;
    truth = ada.Writer("notes", 40);
    copy = bob.Reader(*truth);
    writer = std::make_unique<Liar>(world, bob, *truth);
    Serve();
    ASSERT_EQ(copy->held_blocks(), 40U);
  }
  void TellLengthOnly() {
    SyncMessage sync = SyncOf(*truth);
    sync.remote_length = copy->fork() == truth->fork() ? copy->length() : 0;
    Bytes body;
    Encode(sync, &body);
    writer->raw->SendBody(writer->channel, CoreMessage::kSync, body);
    writer->raw->Flush();
  }
  void Truncate(std::uint64_t length) {
    const std::uint64_t old_length = truth->length();
    ASSERT_TRUE(truth->Truncate(length).ok());
    writer->raw->Send(writer->channel, CoreMessage::kRange,
                      RangeMessage{true, length, old_length - length});
    TellLengthOnly();
  }
  // Blocks that no other fork has, of which the writer tells nothing but its length.
  void Append(std::uint64_t blocks) {
    for (std::uint64_t i = 0; i < blocks; ++i) {
      const std::string text =
          absl::StrFormat("block %d of fork %d", truth->length(), truth->fork());
      const ByteView block = AsBytes(text);
      ASSERT_TRUE(truth->Append({&block, 1}).ok());
    }
    TellLengthOnly();
  }
  // Answers requests and wants until none come.
  void Serve() {
    for (;;) {
      const auto heard = std::exchange(writer->raw->heard, {});
      if (heard.empty()) return;
      for (const auto& one : heard) {
        Bytes body;
        if (one.type == CoreMessage::kRequest) {
          const RequestMessage request = *DecodeRequest(one.body);
          EncodeData(request.id, request.fork, *truth->Prove(request.parts), &body);
          writer->raw->SendBody(writer->channel, CoreMessage::kData, body);
        } else if (one.type == CoreMessage::kWant) {
          Encode(RangeMessage{false, 0, truth->length()}, &body);
          writer->raw->SendBody(writer->channel, CoreMessage::kRange, body);
        } else if (one.type == CoreMessage::kRange && DecodeRange(one.body)->drop) {
          dropped.push_back(*DecodeRange(one.body));
        }
      }
      writer->raw->Flush();
    }
  }

  Peer ada{1};
  Peer bob{2};
  World world;
  std::shared_ptr<Hypercore> truth, copy;
  std::unique_ptr<Liar> writer;
  std::vector<RangeMessage> dropped;  // what we told to hold no more
};

TEST_F(ForkedWriter, EveryForkIsFollowedThoughNobodyTellsOfItsBlocks) {
  Truncate(20);
  Append(2);
  Serve();
  ExpectSame(*copy, *truth);
  Truncate(0);
  Serve();
  Append(3);
  Serve();
  ExpectSame(*copy, *truth);
  EXPECT_EQ(copy->fork(), 2U);
}

TEST_F(ForkedWriter, ItHearsThatWhatItTruncatedIsNotHeldAnyMore) {
  Truncate(20);
  Append(2);
  Serve();
  ASSERT_FALSE(dropped.empty());
  EXPECT_EQ(dropped.front().start, 20U);
  EXPECT_EQ(dropped.front().length, 20U);
}

TEST_F(ForkedWriter, BlocksOfTheSameForkThatNobodyTellsOfAreAskedForAWhileLater) {
  Truncate(20);
  Append(2);
  Serve();
  Append(3);
  Serve();
  world.RunFor(seconds(6));
  Serve();
  ExpectSame(*copy, *truth);
}

}  // namespace
}  // namespace weft
