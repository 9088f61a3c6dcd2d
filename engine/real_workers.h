// A pool of threads as Workers: for programs, as opposed to simulations, where pure
// work runs where it is asked for.

#pragma once

#include <asio/thread_pool.hpp>

#include "engine/async_host.h"

namespace weft {

class RealWorkers final : public Workers {
 public:
  // 0: one less than the machine has processors, and at least one.
  explicit RealWorkers(std::size_t threads = 0);
  // Finishes what was begun. Whoever waits for it must still be there.
  ~RealWorkers() override;

  Task<void> Run(std::function<void()> work) override;

 private:
  asio::thread_pool pool_;
};

}  // namespace weft
