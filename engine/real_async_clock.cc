#include "engine/real_async_clock.h"

#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>

namespace weft {

RealAsyncClock::RealAsyncClock(asio::any_io_executor executor)
    : executor_(std::move(executor)) {}

Task<void> RealAsyncClock::Sleep(Nanos duration) {
  asio::steady_timer timer(executor_, duration);
  co_await timer.async_wait(asio::use_awaitable);
}

}  // namespace weft
