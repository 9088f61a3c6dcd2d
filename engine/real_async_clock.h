// The machine's clock for coroutines: AsyncClock on asio's steady timer.

#pragma once

#include "engine/async_host.h"
#include "engine/real_host.h"

namespace weft {

// Thread-safe. `executor` is that of the io_context whose timers are used; a sleeper
// resumes on its own strand.
class RealAsyncClock final : public AsyncClock {
 public:
  explicit RealAsyncClock(asio::any_io_executor executor);

  Nanos Now() const override { return clock_.Now(); }
  Nanos Steady() const override { return clock_.Steady(); }
  Task<void> Sleep(Nanos duration) override;

 private:
  asio::any_io_executor executor_;
  RealClock clock_;
};

}  // namespace weft
