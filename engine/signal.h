// Waiting on one strand without a timer: Suspend parks a coroutine until somebody
// calls its waker, Signal wakes all who wait. Both honour cancellation, so they can
// stand in `a || b` beside a Sleep.

#pragma once

#include <asio/associated_cancellation_slot.hpp>
#include <asio/associated_executor.hpp>
#include <asio/async_result.hpp>
#include <asio/error.hpp>
#include <asio/post.hpp>
#include <asio/use_awaitable.hpp>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "engine/async_host.h"

namespace weft {

using Waker = absl::AnyInvocable<void()>;

// Suspends the caller until the waker handed to `park` is called; it may be called
// later than the caller lives, and more than once, and then does nothing. Throws
// asio's operation_aborted if cancelled.
inline Task<void> Suspend(absl::AnyInvocable<void(Waker)> park) {
  // Named, because g++ 12 destroys a temporary closure of a co_await twice.
  auto initiate = [&park](auto handler) {
    auto executor = asio::get_associated_executor(handler);
    auto slot = asio::get_associated_cancellation_slot(handler);
    using Handler = decltype(handler);
    auto parked = std::make_shared<std::optional<Handler>>(std::move(handler));
    auto finish = [executor, parked](asio::error_code error) {
      if (!parked->has_value()) return;
      Handler taken = std::move(**parked);
      parked->reset();
      asio::post(executor, [taken = std::move(taken), error]() mutable {
        std::move(taken)(error);
      });
    };
    if (slot.is_connected()) {
      slot.assign([finish](asio::cancellation_type) {
        finish(asio::error::operation_aborted);
      });
    }
    park([finish] { finish({}); });
  };
  co_await asio::async_initiate<const asio::use_awaitable_t<>, void(asio::error_code)>(
      initiate, asio::use_awaitable);
}

// Not thread-safe: everybody is on one strand.
class Signal {
 public:
  // Returns after the next Notify.
  Task<void> Wait() { return WaitIn(waiting_); }

  void Notify() {
    auto woken = std::exchange(waiting_->wakers, {});
    for (auto& [id, waker] : woken) waker();
  }

 private:
  struct Waiting {
    std::uint64_t next = 0;
    std::map<std::uint64_t, Waker> wakers;  // in order of arrival
  };
  // Who was cancelled leaves nothing behind.
  struct Leave {
    std::shared_ptr<Waiting> waiting;
    std::uint64_t id;
    ~Leave() { waiting->wakers.erase(id); }
  };

  static Task<void> WaitIn(std::shared_ptr<Waiting> waiting) {
    const Leave leave{waiting, waiting->next++};
    // Both named, because g++ 12 destroys a temporary of a co_await twice.
    absl::AnyInvocable<void(Waker)> park = [waiting, id = leave.id](Waker waker) {
      waiting->wakers.emplace(id, std::move(waker));
    };
    Task<void> suspended = Suspend(std::move(park));
    co_await std::move(suspended);
  }

  std::shared_ptr<Waiting> waiting_ = std::make_shared<Waiting>();
};

}  // namespace weft
