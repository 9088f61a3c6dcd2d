// The simulated clock: time moves only when everybody sleeps.
//
// A run drains one io_context and then steps the clock to its next sleeper:
//   do { io.restart(); io.poll(); } while (clock.Step());
// so the same program and seed give the same run. Honours cancellation: `a ||
// Sleep(d)` ends when a does.

#pragma once

#include <algorithm>
#include <asio/associated_cancellation_slot.hpp>
#include <asio/associated_executor.hpp>
#include <asio/async_result.hpp>
#include <asio/error.hpp>
#include <asio/post.hpp>
#include <asio/use_awaitable.hpp>
#include <map>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "engine/async_host.h"

namespace weft::sim {

class SimClock final : public AsyncClock {
 public:
  explicit SimClock(Nanos start) : now_(start) {}

  Nanos Now() const override { return now_; }
  Nanos Steady() const override { return now_; }

  Task<void> Sleep(Nanos duration) override {
    co_await asio::async_initiate<const asio::use_awaitable_t<>,
                                  void(asio::error_code)>(
        [this, duration](auto handler) {
          const Key key{now_ + duration, ++sequence_};
          auto slot = asio::get_associated_cancellation_slot(handler);
          auto executor = asio::get_associated_executor(handler);
          if (slot.is_connected()) {
            slot.assign([this, key](asio::cancellation_type) {
              Wake(key, asio::error::operation_aborted);
            });
          }
          sleepers_.emplace(key, [executor, handler = std::move(handler)](
                                     asio::error_code error) mutable {
            asio::post(executor, [handler = std::move(handler), error]() mutable {
              std::move(handler)(error);
            });
          });
        },
        asio::use_awaitable);
  }

  // Calls `action` from Step once `delay` has passed; ties run in order of arrival.
  void After(Nanos delay, absl::AnyInvocable<void()> action) {
    sleepers_.emplace(
        Key{now_ + delay, ++sequence_},
        [action = std::move(action)](asio::error_code) mutable { action(); });
  }

  // When the earliest sleeper wants to wake; Nanos::max() if nobody sleeps.
  Nanos next() const {
    return sleepers_.empty() ? Nanos::max() : sleepers_.begin()->first.first;
  }

  // Moves time to the earliest sleeper and wakes it. False if nobody sleeps.
  bool Step() {
    if (sleepers_.empty()) return false;
    now_ = sleepers_.begin()->first.first;
    Wake(sleepers_.begin()->first, {});
    return true;
  }

  // Moves time to `moment` without waking anybody; nobody may sleep until before it.
  void AdvanceTo(Nanos moment) { now_ = std::max(now_, moment); }

  // Drops everybody who sleeps without waking them: the end of a world.
  void Clear() {
    // What is destroyed may ask to sleep again.
    while (!sleepers_.empty()) std::exchange(sleepers_, {}).clear();
  }

 private:
  using Key = std::pair<Nanos, std::uint64_t>;

  void Wake(Key key, asio::error_code error) {
    if (auto node = sleepers_.extract(key)) node.mapped()(error);
  }

  Nanos now_;
  std::uint64_t sequence_ = 0;
  std::map<Key, absl::AnyInvocable<void(asio::error_code)>> sleepers_;
};

}  // namespace weft::sim
