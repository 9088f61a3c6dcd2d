// Addresses, and the loopback of this machine.

#include "replication/tcp_wire.h"

#include <gtest/gtest.h>

#include <asio/bind_cancellation_slot.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>

namespace weft {
namespace {

TEST(Address, HasAHostAndAPort) {
  EXPECT_EQ(ParseAddress("127.0.0.1:4000")->port, 4000);
  EXPECT_EQ(ParseAddress("example.org:1")->host, "example.org");
  EXPECT_EQ(ParseAddress("[::1]:0")->host, "::1");
  for (const char* bad : {"", ":", "host", "host:", ":4000", "host:65536", "host:-1",
                          "host:4x", "::1:4000", "[]:1", "[::1:4", "host:4000 "}) {
    EXPECT_EQ(ParseAddress(bad).status().code(), absl::StatusCode::kInvalidArgument)
        << bad;
  }
}

// Runs a task to its end on an io_context of its own.
template <class Body>
void RunTask(asio::io_context& io, Body body) {
  bool done = false;
  asio::co_spawn(io, body(), [&done](std::exception_ptr error) {
    EXPECT_EQ(error, nullptr);
    done = true;
  });
  io.restart();
  while (!done) io.run_one();
}

TEST(TcpNetwork, BytesAndTheEndOfThemArrive) {
  asio::io_context io;
  TcpNetwork network(io.get_executor());
  auto listener = network.Listen("127.0.0.1:0");
  ASSERT_TRUE(listener.ok());
  EXPECT_NE(ParseAddress((*listener)->address())->port, 0);
  RunTask(io, [&]() -> Task<void> {
    auto dialled = co_await network.Dial((*listener)->address());
    auto accepted = co_await (*listener)->Accept();
    EXPECT_TRUE(dialled.ok() && accepted.ok());
    EXPECT_EQ((*dialled)->peer(), (*listener)->address());
    const Bytes sent = ToBytes("abc");
    EXPECT_TRUE((co_await (*dialled)->Write(sent)).ok());
    const auto bytes = co_await (*accepted)->Read();
    EXPECT_EQ(*bytes, sent);
    (*dialled)->Close();
    const auto end = co_await (*accepted)->Read();
    EXPECT_TRUE(end.ok() && end->empty());
  });
}

Task<void> DialInVain(TcpNetwork* network) {
  (void)co_await network->Dial("localhost:1");
}

// However long the system takes to look up the name.
TEST(TcpNetwork, ADialByNameThatIsGivenUpEndsAtOnce) {
  asio::io_context io;
  TcpNetwork network(io.get_executor());
  asio::cancellation_signal give_up;
  bool over = false;
  asio::co_spawn(io, DialInVain(&network),
                 asio::bind_cancellation_slot(
                     give_up.slot(), [&over](std::exception_ptr) { over = true; }));
  io.poll_one();
  give_up.emit(asio::cancellation_type::terminal);
  io.poll();
  EXPECT_TRUE(over);
  io.restart();
  io.run();  // the answer comes, and nobody waits for it
}

TEST(TcpNetwork, NobodyThereIsUnavailableAndAClosedListenerIsCancelled) {
  asio::io_context io;
  TcpNetwork network(io.get_executor());
  auto listener = network.Listen("127.0.0.1:0");
  const std::string address = (*listener)->address();
  EXPECT_EQ(network.Listen(address).status().code(), absl::StatusCode::kUnavailable);
  RunTask(io, [&]() -> Task<void> {
    (*listener)->Close();
    const auto accepted = co_await (*listener)->Accept();
    EXPECT_EQ(accepted.status().code(), absl::StatusCode::kCancelled);
    const auto dialled = co_await network.Dial(address);
    EXPECT_EQ(dialled.status().code(), absl::StatusCode::kUnavailable);
    const auto zero = co_await network.Dial("127.0.0.1:0");
    EXPECT_EQ(zero.status().code(), absl::StatusCode::kInvalidArgument);
  });
}

TEST(TcpNetwork, ClosingEndsAReadThatWaits) {
  asio::io_context io;
  TcpNetwork network(io.get_executor());
  auto listener = network.Listen("127.0.0.1:0");
  RunTask(io, [&]() -> Task<void> {
    auto dialled = co_await network.Dial((*listener)->address());
    Wire* wire = dialled->get();
    asio::post(io, [wire] { wire->Close(); });
    const auto bytes = co_await wire->Read();
    EXPECT_TRUE(!bytes.ok() || bytes->empty());
  });
}

}  // namespace
}  // namespace weft
