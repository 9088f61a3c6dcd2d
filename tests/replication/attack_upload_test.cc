// Attacks 26 and 34: a peer asks for much and reads nothing. What it makes us hold is
// bounded for it and for all together, and others are served.

#include <gtest/gtest.h>

#include "engine/signal.h"
#include "tests/replication/liar.h"

namespace weft {
namespace {

using std::chrono::seconds;

// A wire that takes nothing until it is told to.
class StuckWire final : public Wire {
 public:
  explicit StuckWire(std::unique_ptr<Wire> inner) : inner_(std::move(inner)) {}
  Task<absl::StatusOr<Bytes>> Read() override { return inner_->Read(); }
  Task<absl::Status> Write(Bytes bytes) override {
    while (stuck && !closed_) co_await changed_.Wait();
    if (closed_) co_return absl::UnavailableError("closed");
    co_return co_await inner_->Write(std::move(bytes));
  }
  void Close() override {
    closed_ = true;
    changed_.Notify();
    inner_->Close();
  }
  std::string peer() const override { return "pipe"; }
  bool stuck = false;

 private:
  std::unique_ptr<Wire> inner_;
  Signal changed_;
  bool closed_ = false;
};

struct UploadAttack : testing::Test {
  // Ada serves a core of so many blocks of that size to a peer that takes no answers.
  void ServeToNobody(std::size_t block_count, std::size_t block_bytes) {
    notes = *ada.store->OpenNamed("large");
    const Bytes large(block_bytes, 7);
    const std::vector<ByteView> blocks(block_count, ByteView(large));
    ASSERT_TRUE(notes->Append(blocks).ok());
    ada.session_options.budget = std::make_shared<NetworkBudget>(limits);
    Connect();
  }
  // One more peer that takes no answers.
  void Connect() {
    StuckWire* stuck = nullptr;
    raw = RawPeer::Connect(world, ada, limits, [&](std::unique_ptr<Wire> inner) {
      auto outer = std::make_unique<StuckWire>(std::move(inner));
      stuck = outer.get();
      return outer;
    });
    channel = raw->OpenCore(notes->key());
    stuck->stuck = true;
    crowd.push_back(raw);
  }
  // Each of so many peers asks for one block, and no more.
  void Crowd(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      if (i > 0) Connect();
      Ask(1, 0);
      raw->Flush();
    }
  }
  void Ask(std::uint64_t id, std::uint64_t block_index) {
    RequestMessage request;
    request.id = id;
    request.parts.block = BlockRequest{block_index, 0};
    Bytes body;
    Encode(request, &body);
    raw->SendBody(channel, CoreMessage::kRequest, body);
  }
  std::uint64_t BlocksRead() const {
    std::uint64_t blocks = 0;
    for (const auto& peer : crowd) blocks += peer->session->blocks_sent();
    return blocks;
  }
  std::size_t Held() const { return ada.session_options.budget->upload->bytes(); }

  Peer ada{1};
  Peer bob{2};
  World world;
  NetworkLimits limits;
  std::shared_ptr<Hypercore> notes;
  std::shared_ptr<RawPeer> raw;  // of the crowd, the last
  MuxChannel* channel = nullptr;
  std::vector<std::shared_ptr<RawPeer>> crowd;
};

TEST_F(UploadAttack, Attack26_SmallRequestsForLargeBlocksWaitInOurMemoryWithinBounds) {
  ServeToNobody(40, 1024 * 1024);
  for (std::uint64_t id = 1; id <= 2000; ++id) {
    Ask(id, id % 40);
    if (id % 3 == 0) {
      Bytes cancel;
      EncodeCancel(id, &cancel);
      raw->SendBody(channel, CoreMessage::kCancel, cancel);
    }
  }
  raw->Flush();
  world.RunFor(seconds(30));
  EXPECT_FALSE(ada.ended.has_value());
  EXPECT_LE(ada.session_options.budget->upload->bytes(), limits.upload_bytes_per_peer);
  EXPECT_GT(ada.session_options.budget->upload->bytes(), 0U);
}

TEST_F(UploadAttack, Attack34_AReaderThatStopsReadingCostsItsBufferAndThenItsPlace) {
  ServeToNobody(512, 64 * 1024);
  for (std::uint64_t id = 1; id <= 512; ++id) Ask(id, id - 1);
  raw->Flush();
  EXPECT_LE(ada.session_options.budget->upload->bytes(), 2 * kMiB);
  // Others are not held up.
  const auto copy = bob.Reader(*notes);
  const auto [a, b] = world.Connect(ada, bob);
  b->Replicate(copy, Download::Whole());
  world.Drain();
  EXPECT_EQ(copy->held_blocks(), 512U);
  // It shows life, and reads nothing: five minutes.
  for (int i = 0; i < 40 && !raw->hung_up; ++i) {
    raw->SendFrame({});
    world.RunFor(seconds(10));
  }
  EXPECT_TRUE(raw->hung_up);
}

constexpr std::size_t kLargeBytes = 3 * kMiB / 2;

TEST_F(UploadAttack, Attack26_LargeBlocksThatNobodyReadsFillTheMemoryOfAllAndNoMore) {
  limits.upload_bytes_per_peer = kMiB;
  limits.upload_bytes_global = 4 * kMiB;
  ServeToNobody(2, kLargeBytes);
  Crowd(8);
  EXPECT_EQ(BlocksRead(), 2U) << "what may not be queued stays on the disk";
  EXPECT_GE(Held(), 2 * kLargeBytes);
  EXPECT_LE(Held(), limits.upload_bytes_global);
  // An honest reader waits its turn, and whoever reads nothing goes.
  const auto copy = bob.Reader(*notes);
  const auto [a, b] = world.Connect(ada, bob);
  b->Replicate(copy, Download::Whole());
  std::size_t most = 0;
  for (int second = 0; second < 100 && copy->held_blocks() < 2; ++second) {
    for (const auto& peer : crowd) {
      if (!peer->hung_up) peer->SendFrame({});  // alive
    }
    world.RunFor(seconds(1));
    most = std::max(most, Held());
  }
  EXPECT_EQ(copy->held_blocks(), 2U);
  EXPECT_LE(most, limits.upload_bytes_global);
  ASSERT_TRUE(ada.ended.has_value());
  EXPECT_EQ(ada.ended->code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(UploadAttack, Attack26_SmallAnswersGoOnWhileLargeOnesWait) {
  limits.upload_bytes_per_peer = kMiB;
  limits.upload_bytes_global = 2 * kMiB;
  ServeToNobody(1, kLargeBytes);
  Crowd(3);
  const auto small = ada.Writer("small", 500);
  const auto copy = bob.Reader(*small);
  const auto [a, b] = world.Connect(ada, bob);
  b->Replicate(copy, Download::Whole());
  world.Drain();
  ExpectSame(*copy, *small);
  EXPECT_FALSE(ada.ended.has_value());
}

TEST_F(UploadAttack, Attack26_WhoAsksForALargeBlockAndTakesItBackHoldsUpNobody) {
  limits.upload_bytes_per_peer = kMiB;
  limits.upload_bytes_global = 2 * kMiB;
  ServeToNobody(1, kLargeBytes);
  Crowd(2);
  Bytes cancel;
  EncodeCancel(1, &cancel);
  raw->SendBody(channel, CoreMessage::kCancel, cancel);
  raw->Flush();
  const auto copy = bob.Reader(*notes);
  const auto [a, b] = world.Connect(ada, bob);
  b->Replicate(copy, Download::Whole());
  world.Drain();
  EXPECT_EQ(copy->held_blocks(), 0U);
  crowd.front()->session->Close();
  world.Drain();
  EXPECT_EQ(copy->held_blocks(), 1U);
}

TEST_F(UploadAttack, Attack26_BlocksLargerThanAllTheMemoryThereIsGoOutOneByOne) {
  limits.upload_bytes_per_peer = kMiB / 2;
  limits.upload_bytes_global = kMiB;
  ServeToNobody(3, kLargeBytes);
  raw->session->Close();
  world.Drain();
  std::vector<std::shared_ptr<Hypercore>> copies;
  std::vector<std::unique_ptr<Peer>> readers;
  for (std::uint64_t i = 0; i < 3; ++i) {
    readers.push_back(std::make_unique<Peer>(10 + i));
    copies.push_back(readers.back()->Reader(*notes));
    const auto [a, b] = world.Connect(ada, *readers.back());
    b->Replicate(copies.back(), Download::Whole());
  }
  world.Drain();
  for (const auto& copy : copies) EXPECT_EQ(copy->held_blocks(), 3U);
  EXPECT_EQ(Held(), 0U);
}

}  // namespace
}  // namespace weft
