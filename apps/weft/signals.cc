#include "apps/weft/signals.h"

#include <sys/signalfd.h>

#include <csignal>
#include <ctime>

namespace weft::cli {
namespace {

sigset_t Stops() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  return set;
}

}  // namespace

void HoldSignals() {
  const sigset_t set = Stops();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  // Whoever reads our output may go away while we serve.
  std::signal(SIGPIPE, SIG_IGN);
}

void ReleaseSignals() {
  const sigset_t set = Stops();
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

bool AwaitSignal(std::chrono::milliseconds patience) {
  const sigset_t set = Stops();
  timespec wait{};
  wait.tv_sec = patience.count() / 1000;
  wait.tv_nsec = patience.count() % 1000 * 1'000'000;
  return sigtimedwait(&set, nullptr, &wait) > 0;
}

bool SignalPending() {
  return AwaitSignal(std::chrono::milliseconds(0));
}

int SignalFile() {
  const sigset_t set = Stops();
  return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

}  // namespace weft::cli
