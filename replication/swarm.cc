#include "replication/swarm.h"

#include <algorithm>
#include <asio/cancellation_signal.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/experimental/awaitable_operators.hpp>

#include "absl/strings/str_format.h"
#include "replication/download_scheduler.h"

namespace weft {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

using asio::experimental::awaitable_operators::operator||;

// What a dial may take before the address counts as dead for now.
constexpr Nanos kDialLimit = seconds(10);
constexpr Nanos kBackOffMin = milliseconds(100);
constexpr Nanos kBackOffMax = seconds(30);
// A connection that lasted this long starts the back-off anew.
constexpr Nanos kStable = seconds(10);

}  // namespace

struct Swarm::State {
  SwarmOptions options;
  std::vector<Connection> connections;
  std::vector<std::shared_ptr<Listener>> listeners;
  std::shared_ptr<DownloadBook> book = std::make_shared<DownloadBook>();
  bool stopped = false;
  Signal changed;  // a session became ready or ended, or the swarm stopped

  std::shared_ptr<Session> NewSession(std::unique_ptr<Wire> wire, bool incoming) {
    SessionOptions session_options;
    session_options.is_initiator = !incoming;
    session_options.cores = options.cores;
    session_options.clock = options.clock;
    session_options.random = options.random;
    session_options.observer = options.observer;
    session_options.book = book;
    return Session::Create(std::move(wire), session_options);
  }
};

Swarm::Swarm(const SwarmOptions& options) : state_(std::make_shared<State>()) {
  state_->options = options;
}

Swarm::~Swarm() {
  Shutdown();
}

void Swarm::Shutdown() {
  if (state_->stopped) return;
  state_->stopped = true;
  for (const auto& listener : state_->listeners) listener->Close();
  for (const Connection& connection : std::vector(state_->connections)) {
    connection.session->Close();
  }
  state_->changed.Notify();
}

absl::StatusOr<std::string> Swarm::Listen(const std::string& address) {
  WEFT_ASSIGN_OR_RETURN(std::shared_ptr<Listener> listener,
                        state_->options.network->Listen(address));
  state_->listeners.push_back(listener);
  asio::co_spawn(state_->options.executor, AcceptLoop(state_, listener),
                 asio::detached);
  return listener->address();
}

void Swarm::Keep(const std::string& address) {
  asio::co_spawn(state_->options.executor, KeepLoop(state_, address), asio::detached);
}

Task<void> Swarm::AcceptLoop(std::shared_ptr<State> state,
                             std::shared_ptr<Listener> listener) {
  while (!state->stopped) {
    absl::StatusOr<std::unique_ptr<Wire>> wire = co_await listener->Accept();
    if (state->stopped || absl::IsCancelled(wire.status())) co_return;
    if (!wire.ok()) {
      // Out of file descriptors, say: the next one may fare better.
      co_await state->options.clock->Sleep(kBackOffMin);
      continue;
    }
    if (state->connections.size() >= state->options.connections_max) {
      (*wire)->Close();
      continue;
    }
    const std::shared_ptr<Session> session =
        state->NewSession(*std::move(wire), /*incoming=*/true);
    asio::co_spawn(state->options.executor, RunSession(state, session, true),
                   asio::detached);
  }
}

Task<absl::Status> Swarm::RunSession(std::shared_ptr<State> state,
                                     std::shared_ptr<Session> session, bool incoming) {
  // Spawned just before the swarm stopped, whose observer may be gone by now.
  if (state->stopped) co_return absl::CancelledError("the swarm has stopped");
  state->connections.push_back({session, incoming});
  absl::Status status = co_await Session::Run(session);
  std::erase_if(state->connections, [&session](const Connection& connection) {
    return connection.session == session;
  });
  state->changed.Notify();
  co_return status;
}

Task<void> Swarm::KeepLoop(std::shared_ptr<State> state, std::string address) {
  Nanos back_off = kBackOffMin;
  while (!state->stopped) {
    absl::StatusOr<std::unique_ptr<Wire>> wire =
        co_await DialWithin(state, address, kDialLimit);
    if (state->stopped) co_return;
    const Nanos started = state->options.clock->Steady();
    if (wire.ok()) {
      const std::shared_ptr<Session> session =
          state->NewSession(*std::move(wire), /*incoming=*/false);
      (co_await RunSession(state, session, false)).IgnoreError();
    }
    if (state->stopped) co_return;
    if (state->options.clock->Steady() - started >= kStable) back_off = kBackOffMin;
    const auto jitter = static_cast<std::uint64_t>(back_off.count()) / 2;
    const Nanos pause =
        back_off / 2 +
        Nanos(static_cast<std::int64_t>(state->options.random->U64() % (jitter + 1)));
    back_off = std::min(back_off * 2, kBackOffMax);
    co_await Pause(state, pause);
  }
}

// Sleeps, but no longer than the swarm lives.
Task<void> Swarm::Pause(std::shared_ptr<State> state, Nanos duration) {
  const Nanos until = state->options.clock->Steady() + duration;
  while (!state->stopped && state->options.clock->Steady() < until) {
    co_await (state->options.clock->Sleep(until - state->options.clock->Steady()) ||
              state->changed.Wait());
  }
}

Task<absl::StatusOr<std::unique_ptr<Wire>>> Swarm::DialWithin(
    std::shared_ptr<State> state, std::string address, Nanos limit) {
  auto dialled =
      co_await (state->options.network->Dial(address) || Pause(state, limit));
  if (dialled.index() == 0) co_return std::move(std::get<0>(dialled));
  co_return absl::UnavailableError(absl::StrFormat("%s: nobody answers", address));
}

Task<absl::StatusOr<std::shared_ptr<Session>>> Swarm::Dial(std::string address,
                                                           Nanos limit) {
  const std::shared_ptr<State> state = state_;
  WEFT_CO_ASSIGN_OR_RETURN(
      std::unique_ptr<Wire> wire,
      co_await DialWithin(state, address, std::min(limit, kDialLimit)));
  const std::shared_ptr<Session> session =
      state->NewSession(std::move(wire), /*incoming=*/false);
  auto ended = std::make_shared<std::optional<absl::Status>>();
  asio::co_spawn(state->options.executor, RunSession(state, session, false),
                 [state, ended](std::exception_ptr, const absl::Status& status) {
                   *ended = status;
                   state->changed.Notify();
                 });
  while (!session->ready() && !ended->has_value() && !state->stopped) {
    co_await state->options.clock->Sleep(milliseconds(1));
  }
  if (!ended->has_value() && !state->stopped) co_return session;
  if (ended->has_value() && !(*ended)->ok()) {
    const std::string said((*ended)->message());
    // Whatever the peer did wrong, the caller asked rightly.
    const absl::StatusCode code = absl::IsInvalidArgument(**ended)
                                      ? absl::StatusCode::kUnavailable
                                      : (*ended)->code();
    co_return absl::Status(code, absl::StrFormat("%s: %s", address, said));
  }
  co_return absl::UnavailableError(absl::StrFormat("%s: the peer hung up", address));
}

std::vector<Swarm::Connection> Swarm::connections() const {
  return state_->connections;
}

std::vector<std::shared_ptr<Session>> Swarm::Ready() const {
  std::vector<std::shared_ptr<Session>> ready;
  for (const Connection& connection : state_->connections) {
    if (connection.session->ready() && !connection.session->closed()) {
      ready.push_back(connection.session);
    }
  }
  return ready;
}

}  // namespace weft
