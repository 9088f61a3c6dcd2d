// Addresses, and the loopback of this machine.

#include "replication/tcp_wire.h"

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <netdb.h>

#include <asio/bind_cancellation_slot.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <condition_variable>
#include <mutex>

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

Task<void> DialInVain(TcpNetwork* network, std::string address,
                      absl::Status* said = nullptr) {
  const auto dialled = co_await network->Dial(address);
  EXPECT_FALSE(dialled.ok());
  if (said != nullptr) *said = dialled.status();
}

// Dials one after the other, in this order; each may be given up.
struct Dials {
  void Begin(const std::string& address) {
    one.push_back(std::make_unique<One>());
    One* const dial = one.back().get();
    asio::co_spawn(
        io, DialInVain(&network, address, &dial->said),
        asio::bind_cancellation_slot(
            dial->give_up.slot(), [dial](std::exception_ptr) { dial->over = true; }));
  }
  struct One {
    asio::cancellation_signal give_up;
    absl::Status said;
    bool over = false;
  };
  asio::io_context io;
  TcpNetwork network{io.get_executor()};
  std::vector<std::unique_ptr<One>> one;
};

// The system answers for these when it may.
struct SlowNames {
  std::mutex mutex;
  std::condition_variable changed;
  bool may_answer = false;
  std::vector<std::string> asked;
} slow_names;

TEST(TcpNetwork, ADialByNameThatIsGivenUpEndsAtOnceAndItsNameIsNotLookedUp) {
  slow_names.may_answer = false;
  slow_names.asked.clear();
  Dials dials;
  for (const char* name : {"one.slow:1", "two.slow:1", "three.slow:1", "four.slow:1"}) {
    dials.Begin(name);
  }
  dials.io.poll();
  {
    std::unique_lock<std::mutex> lock(slow_names.mutex);
    slow_names.changed.wait(lock, [] { return !slow_names.asked.empty(); });
  }
  for (const std::size_t i : {0U, 1U, 2U}) {
    dials.one[i]->give_up.emit(asio::cancellation_type::terminal);
  }
  dials.io.poll();
  EXPECT_TRUE(dials.one[0]->over && dials.one[1]->over && dials.one[2]->over);
  EXPECT_FALSE(dials.one[3]->over);
  {
    const std::lock_guard<std::mutex> lock(slow_names.mutex);
    slow_names.may_answer = true;
    slow_names.changed.notify_all();
  }
  dials.io.restart();
  dials.io.run();
  EXPECT_TRUE(dials.one[3]->over);
  EXPECT_EQ(slow_names.asked, (std::vector<std::string>{"one.slow", "four.slow"}));
}

TEST(TcpNetwork, Attack16_OnlySoManyNamesAreLookedUpAtOnce) {
  Dials dials;
  for (int i = 0; i < 40; ++i) dials.Begin("localhost:1");
  dials.io.run();
  std::size_t refused = 0;
  for (const auto& dial : dials.one) {
    EXPECT_EQ(dial->said.code(), absl::StatusCode::kUnavailable);
    refused += dial->said.message().find("looked up") != std::string::npos ? 1 : 0;
  }
  EXPECT_EQ(refused, 40U - 16U);
  // And there is a place again.
  dials.Begin("localhost:1");
  dials.io.restart();
  dials.io.run();
  EXPECT_EQ(dials.one.back()->said.message().find("looked up"), std::string::npos);
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

bool AnswersSlowly(const char* name) {
  const std::string text = name == nullptr ? "" : name;
  if (!text.ends_with(".slow")) return false;
  std::unique_lock<std::mutex> lock(slow_names.mutex);
  slow_names.asked.push_back(text);
  slow_names.changed.notify_all();
  slow_names.changed.wait(lock, [] { return slow_names.may_answer; });
  return true;
}

}  // namespace
}  // namespace weft

// In place of the system's, which answers for all other names.
extern "C" int getaddrinfo(const char* name, const char* service, const addrinfo* hints,
                           addrinfo** found) {
  if (weft::AnswersSlowly(name)) return EAI_NONAME;
  static const auto system =
      reinterpret_cast<decltype(&getaddrinfo)>(dlsym(RTLD_NEXT, "getaddrinfo"));
  return system(name, service, hints, found);
}
