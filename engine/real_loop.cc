#include "engine/real_loop.h"

#include <ctime>

namespace weft {
namespace {

Nanos ThreadTime() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return std::chrono::seconds(now.tv_sec) + Nanos(now.tv_nsec);
}

}  // namespace

void RunMetered(asio::io_context& io, StallMeter& meter) {
  Nanos before = ThreadTime();
  while (io.run_one() > 0) {
    const Nanos after = ThreadTime();
    meter.Add(after - before);
    before = after;
  }
}

}  // namespace weft
