#include "engine/real_workers.h"

#include <algorithm>
#include <asio/associated_executor.hpp>
#include <asio/async_result.hpp>
#include <asio/post.hpp>
#include <asio/use_awaitable.hpp>
#include <thread>

namespace weft {
namespace {

std::size_t ThreadsOf(std::size_t threads) {
  if (threads > 0) return threads;
  return std::max(2U, std::thread::hardware_concurrency()) - 1;
}

}  // namespace

RealWorkers::RealWorkers(std::size_t threads) : pool_(ThreadsOf(threads)) {}

RealWorkers::~RealWorkers() {
  pool_.join();
}

Task<void> RealWorkers::Run(std::function<void()> work) {
  // Named, because g++ 12 destroys a temporary closure of a co_await twice.
  auto initiate = [this, &work](auto handler) {
    auto executor = asio::get_associated_executor(handler);
    asio::post(pool_, [work = std::move(work), executor,
                       handler = std::move(handler)]() mutable {
      work();
      asio::post(executor, std::move(handler));
    });
  };
  co_await asio::async_initiate<const asio::use_awaitable_t<>, void()>(
      initiate, asio::use_awaitable);
}

}  // namespace weft
