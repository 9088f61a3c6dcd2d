// The machine's clock and randomness, as far as a test can say anything of them.

#include "engine/real_host.h"

#include <gtest/gtest.h>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/experimental/awaitable_operators.hpp>
#include <asio/io_context.hpp>

#include "engine/real_async_clock.h"

namespace weft {
namespace {

TEST(SystemRandom, FillsEveryByteAndNeverTwiceAlike) {
  SystemRandom random;
  std::array<std::uint8_t, 64> a{};
  std::array<std::uint8_t, 64> b{};
  random.Fill(a);
  random.Fill(b);
  EXPECT_NE(a, b);
  EXPECT_NE(a, (std::array<std::uint8_t, 64>{}));
}

TEST(RealAsyncClock, ASleeperWakesNoEarlierThanItAsked) {
  asio::io_context io;
  RealAsyncClock clock(io.get_executor());
  const Nanos start = clock.Steady();
  Nanos woke{};
  asio::co_spawn(
      io,
      [&]() -> Task<void> {
        co_await clock.Sleep(std::chrono::milliseconds(2));
        woke = clock.Steady();
      },
      asio::detached);
  io.run();
  EXPECT_GE(woke - start, std::chrono::milliseconds(2));
}

TEST(RealAsyncClock, ASleepThatLosesARaceEndsWithIt) {
  using namespace asio::experimental::awaitable_operators;
  asio::io_context io;
  RealAsyncClock clock(io.get_executor());
  std::size_t winner = 99;
  asio::co_spawn(
      io,
      [&]() -> Task<void> {
        const auto result = co_await (clock.Sleep(std::chrono::hours(24)) ||
                                      clock.Sleep(std::chrono::milliseconds(1)));
        winner = result.index();
      },
      asio::detached);
  io.run();  // would take a day if the long sleep ignored its cancellation
  EXPECT_EQ(winner, 1U);
}

}  // namespace
}  // namespace weft
