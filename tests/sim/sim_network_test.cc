// The simulated network and clock, which everything in this folder trusts.

#include "tests/sim/sim_network.h"

#include <gtest/gtest.h>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>

#include "engine/check.h"

namespace weft::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Two hosts, ada and bob, and what each has read from the other.
class SimNetworkTest : public testing::Test {
 protected:
  void Use(NetworkFaults faults) {
    network_ = std::make_unique<SimNetwork>(&clock_, /*seed=*/7, faults);
    ada_ = network_->HostView("ada");
    bob_ = network_->HostView("bob");
  }

  void TearDown() override {
    ada_wire_.reset();
    bob_wire_.reset();
    listener_.reset();
    RunFor(seconds(10));
  }

  // Opens a stream from ada to bob.
  void Meet() {
    auto listener = bob_->Listen("bob:1");
    ASSERT_TRUE(listener.ok());
    listener_ = *std::move(listener);
    asio::co_spawn(io_, Accept(), asio::detached);
    asio::co_spawn(io_, Dial("bob:1"), asio::detached);
    RunFor(seconds(1));
    ASSERT_TRUE(dialled_.ok()) << dialled_;
    ASSERT_NE(bob_wire_, nullptr);
  }

  Task<void> Accept() {
    auto wire = co_await listener_->Accept();
    if (wire.ok()) bob_wire_ = *std::move(wire);
  }
  Task<void> Dial(std::string address) {
    auto wire = co_await ada_->Dial(address);
    dialled_ = wire.status();
    if (wire.ok()) ada_wire_ = *std::move(wire);
  }
  Task<void> ReadAll(Wire* wire, Bytes* read, absl::Status* ended) {
    for (;;) {
      auto bytes = co_await wire->Read();
      if (!bytes.ok()) *ended = bytes.status();
      if (!bytes.ok()) co_return;
      if (bytes->empty()) *ended = absl::CancelledError("end");
      if (bytes->empty()) co_return;
      Append(*read, *bytes);
    }
  }
  Task<void> Write(Wire* wire, Bytes bytes) {
    written_ = co_await wire->Write(std::move(bytes));
    ++writes_done_;
  }
  void StartReading() {
    asio::co_spawn(io_, ReadAll(bob_wire_.get(), &bob_read_, &bob_ended_),
                   asio::detached);
  }
  void StartWriting(Bytes bytes) {
    asio::co_spawn(io_, Write(ada_wire_.get(), std::move(bytes)), asio::detached);
  }

  void RunFor(Nanos duration) {
    const Nanos until = clock_.Steady() + duration;
    for (;;) {
      io_.restart();
      io_.poll();
      if (clock_.next() > until || !clock_.Step()) break;
    }
    clock_.AdvanceTo(until);
  }

  asio::io_context io_{1};
  SimClock clock_{seconds(1'000'000)};
  std::unique_ptr<SimNetwork> network_;
  std::unique_ptr<Network> ada_;
  std::unique_ptr<Network> bob_;
  std::unique_ptr<Listener> listener_;
  std::unique_ptr<Wire> ada_wire_;
  std::unique_ptr<Wire> bob_wire_;
  absl::Status dialled_;
  absl::Status written_;
  int writes_done_ = 0;
  Bytes bob_read_;
  absl::Status bob_ended_;
};

Bytes Counting(std::size_t size) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::uint8_t>(i % 251);
  return bytes;
}

TEST_F(SimNetworkTest, BytesArriveInOrderHoweverTheyAreCut) {
  NetworkFaults faults;
  faults.piece_bytes_max = 7;
  Use(faults);
  Meet();
  StartReading();
  StartWriting(Counting(5000));
  RunFor(seconds(60));
  EXPECT_EQ(bob_read_, Counting(5000));
  EXPECT_TRUE(bob_ended_.ok());
}

TEST_F(SimNetworkTest, AClosedStreamEndsAfterItsLastByte) {
  Use({});
  Meet();
  StartWriting(Counting(100));
  RunFor(Nanos(1));
  ada_wire_->Close();
  StartReading();
  RunFor(seconds(10));
  EXPECT_EQ(bob_read_.size(), 100U);
  EXPECT_TRUE(absl::IsCancelled(bob_ended_)) << bob_ended_;
}

TEST_F(SimNetworkTest, APartitionBreaksStreamsAndRefusesNewOnes) {
  Use({});
  Meet();
  StartReading();
  RunFor(seconds(1));
  network_->Partition("bob", "ada");
  RunFor(seconds(1));
  EXPECT_TRUE(absl::IsUnavailable(bob_ended_)) << bob_ended_;
  asio::co_spawn(io_, Dial("bob:1"), asio::detached);
  RunFor(seconds(10));
  EXPECT_TRUE(absl::IsUnavailable(dialled_)) << dialled_;
  network_->HealAll();
  asio::co_spawn(io_, Dial("bob:1"), asio::detached);
  RunFor(seconds(10));
  EXPECT_TRUE(dialled_.ok()) << dialled_;
}

TEST_F(SimNetworkTest, AStallHoldsBackOneDirectionUntilItIsHealed) {
  Use({});
  Meet();
  StartReading();
  network_->Stall("ada", "bob");
  StartWriting(Counting(1000));
  RunFor(seconds(100));
  EXPECT_TRUE(bob_read_.empty());
  EXPECT_TRUE(bob_ended_.ok());
  network_->HealAll();
  RunFor(seconds(1));
  EXPECT_EQ(bob_read_, Counting(1000));
}

TEST_F(SimNetworkTest, AWriterWaitsForAReaderThatIsTooSlow) {
  NetworkFaults faults;
  faults.window_bytes = 1000;
  Use(faults);
  Meet();
  StartWriting(Counting(1500));
  RunFor(seconds(1));
  StartWriting(Counting(10));
  RunFor(seconds(100));
  EXPECT_EQ(writes_done_, 1);
  StartReading();
  RunFor(seconds(1));
  EXPECT_EQ(writes_done_, 2);
  EXPECT_EQ(bob_read_.size(), 1510U);
}

TEST_F(SimNetworkTest, LossBreaksTheStreamInsteadOfLosingBytes) {
  NetworkFaults faults;
  faults.loss = 1;
  Use(faults);
  Meet();
  StartReading();
  StartWriting(Counting(10));
  RunFor(seconds(1));
  EXPECT_TRUE(bob_read_.empty());
  EXPECT_TRUE(absl::IsUnavailable(bob_ended_));
}

TEST_F(SimNetworkTest, ACrashIsNoticedUnlessItIsSilent) {
  Use({});
  Meet();
  StartReading();
  network_->Drop("ada");
  RunFor(seconds(5));
  EXPECT_TRUE(absl::IsUnavailable(bob_ended_)) << bob_ended_;
}

TEST_F(SimNetworkTest, ASilentCrashLeavesTheOtherSideWaiting) {
  NetworkFaults faults;
  faults.silent_crash = 1;
  Use(faults);
  Meet();
  StartReading();
  network_->Drop("ada");
  RunFor(seconds(500));
  EXPECT_TRUE(bob_ended_.ok()) << bob_ended_;
}

TEST_F(SimNetworkTest, AnAddressIsHostAndPort) {
  Use({});
  EXPECT_TRUE(absl::IsInvalidArgument(ada_->Listen("ada").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(ada_->Listen("bob:1").status()));
  const auto first = ada_->Listen("ada:1");
  EXPECT_TRUE(first.ok());
  EXPECT_TRUE(absl::IsUnavailable(ada_->Listen("ada:1").status()));
}

TEST(SimClock, TimeStepsToTheEarliestSleeperAndTiesKeepTheirOrder) {
  SimClock clock(seconds(10));
  std::string order;
  clock.After(milliseconds(5), [&] { order += 'c'; });
  clock.After(milliseconds(1), [&] { order += 'a'; });
  clock.After(milliseconds(1), [&] { order += 'b'; });
  EXPECT_EQ(clock.next(), seconds(10) + milliseconds(1));
  EXPECT_TRUE(clock.Step());
  EXPECT_EQ(order, "a");
  EXPECT_TRUE(clock.Step());
  EXPECT_TRUE(clock.Step());
  EXPECT_FALSE(clock.Step());
  EXPECT_EQ(order, "abc");
  EXPECT_EQ(clock.Now(), seconds(10) + milliseconds(5));
}

}  // namespace
}  // namespace weft::sim
