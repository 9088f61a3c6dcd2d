#include "replication/swarm.h"

#include <algorithm>
#include <asio/cancellation_signal.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/experimental/awaitable_operators.hpp>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_format.h"
#include "replication/back_off.h"
#include "replication/download_scheduler.h"
#include "replication/tcp_wire.h"

namespace weft {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

using asio::experimental::awaitable_operators::operator||;

// What a dial may take before the address counts as dead for now.
constexpr Nanos kDialLimit = seconds(10);
constexpr Nanos kUnwantedPause = seconds(5);
// Two keep-alives: a connection that has not been heard of for so long may be dead.
constexpr Nanos kSilent = seconds(10);
constexpr std::size_t kMeetingMax = 256;
constexpr int kMeetingFailures = 4;
constexpr Nanos kTellAgain = std::chrono::minutes(1);

}  // namespace

struct Swarm::State : std::enable_shared_from_this<Swarm::State> {
  explicit State(const SwarmOptions& given)
      : options(given),
        identity(given.identity ? *given.identity
                                : KeyPairFromSeed(RandomSeed(*given.random))),
        budget(std::make_shared<NetworkBudget>(given.limits)),
        door(given.limits, &bans) {}

  // A Dial that others may wait for.
  struct Dialling {
    Nanos deadline{};
    bool over = false;
    std::optional<absl::StatusOr<std::shared_ptr<Session>>> result;
  };

  SwarmOptions options;
  KeyPair identity;
  std::vector<Connection> connections;                        // oldest first
  std::map<std::string, std::shared_ptr<Dialling>> dialling;  // by address
  std::vector<std::shared_ptr<Listener>> listeners;
  std::shared_ptr<DownloadBook> book = std::make_shared<DownloadBook>();
  std::shared_ptr<NetworkBudget> budget;
  BanTable bans;
  Admission door;
  std::map<PublicKey, FeedRule> rules;
  std::set<const Session*> ourselves;  // that turned out to be
  std::set<std::string> meeting;       // addresses that Meet looks after
  std::set<const Session*> half_open;  // accepted, handshake not over
  std::set<const Session*> accepted;   // and not ended
  std::uint64_t turned_away = 0;       // since the last line about it
  std::optional<Nanos> turned_away_told;
  bool stopped = false;
  Signal changed;  // a session became ready or ended, or the swarm stopped

  Nanos now() const { return options.clock->Steady(); }

  std::shared_ptr<Session> NewSession(std::unique_ptr<Wire> wire, bool incoming) {
    SessionOptions session_options;
    session_options.is_initiator = !incoming;
    session_options.cores = options.cores;
    session_options.clock = options.clock;
    session_options.random = options.random;
    session_options.observer = options.observer;
    session_options.book = book;
    session_options.static_key = identity;
    session_options.limits = options.limits;
    session_options.budget = budget;
    session_options.workers = options.workers;
    // Weakly: a session may be kept by others for longer than the swarm lives.
    const std::weak_ptr<State> weak = weak_from_this();
    session_options.admit = [weak](const PublicKey& key) {
      const auto state = weak.lock();
      return state && !state->bans.IsBanned(key, state->now()) &&
             (!state->options.admit || state->options.admit(key));
    };
    session_options.on_secured = [weak](Session& session) {
      const auto state = weak.lock();
      if (!state) return absl::CancelledError("the swarm has stopped");
      return state->Secured(session);
    };
    session_options.on_ready = [weak] {
      if (const auto state = weak.lock()) state->changed.Notify();
    };
    session_options.permit = [weak](const Session& session, const CoreKey& key) {
      const auto state = weak.lock();
      return state ? state->PermissionOf(session, key) : FeedPermission{false, false};
    };
    session_options.on_fault = [weak](Session& session, Fault, int points) {
      if (const auto state = weak.lock()) state->Blame(session, points);
    };
    return Session::Create(std::move(wire), session_options);
  }

  FeedPermission PermissionOf(const Session& session, const CoreKey& key) const {
    FeedPermission permission;
    if (options.permit) permission = options.permit(session, key);
    const auto rule = rules.find(session.remote_static_key());
    return rule == rules.end() ? permission : Both(permission, rule->second.Of(key));
  }

  void Settle(const Session& session) {
    if (half_open.erase(&session) > 0) door.Settled(IpPrefixOf(session.peer()));
  }

  void Leave(const Session& session) {
    Settle(session);
    if (accepted.erase(&session) > 0) door.Left(IpPrefixOf(session.peer()));
  }

  void Tell(const std::string& line) {
    if (options.on_event && !stopped) options.on_event(line);
  }

  // Counts against the key that was shown, if any, and the address.
  void Blame(const Session& session, int points) {
    bool banned = false;
    if (session.secured()) {
      banned = bans.Add(session.remote_static_key(), points, now());
    }
    if (const auto from = IpPrefixOf(session.peer())) {
      banned = bans.Add(*from, points, now()) || banned;
    }
    if (!banned) return;
    if (!session.closed()) {
      const_cast<Session&>(session).Close(
          absl::PermissionDeniedError("banned for what it did"));
    }
    if (const_cast<Session&>(session).MayLog(64)) {
      Tell(absl::StrFormat("banned %s", session.peer()));
    }
  }

  // Both ends of one connection are ours.
  bool MeetsItself(Session& session) {
    for (const Connection& connection : std::vector(connections)) {
      Session& other = *connection.session;
      if (&other == &session || !other.secured() ||
          other.handshake_hash() != session.handshake_hash()) {
        continue;
      }
      ourselves.insert({&session, &other});
      other.Close(absl::AlreadyExistsError("the address is our own"));
      return true;
    }
    return false;
  }

  // The handshake is over: is this somebody new?
  absl::Status Secured(Session& session) {
    Settle(session);
    const PublicKey& key = session.remote_static_key();
    // Our key without being us is a copy of this store, which we must meet: that is how
    // it comes out.
    if (key == identity.public_key) {
      if (!MeetsItself(session)) return absl::OkStatus();
      return absl::AlreadyExistsError("the address is our own");
    }
    std::vector<std::shared_ptr<Session>> same;
    for (const Connection& connection : connections) {
      Session& other = *connection.session;
      if (&other != &session && other.ready() && !other.leaving() &&
          other.remote_static_key() == key) {
        same.push_back(connection.session);
      }
    }
    for (std::size_t i = 0; i < same.size(); ++i) {
      Session& other = *same[i];
      if (now() - other.last_heard() >= kSilent) {
        other.Close(absl::AlreadyExistsError("a newer connection took its place"));
        continue;
      }
      if (other.is_initiator() == session.is_initiator()) {
        if (session.is_initiator()) {
          return absl::AlreadyExistsError("connected to this peer already");
        }
        // Its dialler knows better than we which of them lives: the oldest, as long as
        // that does.
        if (i > 0) {
          other.Close(absl::AlreadyExistsError("more connections than two"));
        }
        continue;
      }
      const bool ours_stays = identity.public_key < key;
      if (session.is_initiator() != ours_stays) {
        return absl::AlreadyExistsError("connected to this peer already");
      }
      other.Close(absl::AlreadyExistsError("connected from both sides"));
    }
    return absl::OkStatus();
  }

  // The connection with this key that can be used; null: none.
  Connection* With(const PublicKey& key) {
    for (Connection& connection : connections) {
      Session& session = *connection.session;
      if (session.ready() && !session.leaving() && session.remote_static_key() == key) {
        return &connection;
      }
    }
    return nullptr;
  }

  std::shared_ptr<Session> Use(const PublicKey& key) {
    Connection* const connection = With(key);
    if (connection == nullptr) return nullptr;
    ++connection->uses;
    return connection->session;
  }

  // One line a minute, however many knock.
  void TurnedAway(const std::string& whom, Welcome why) {
    ++turned_away;
    if (turned_away_told && now() - *turned_away_told < kTellAgain) return;
    Tell(absl::StrFormat("turned away %s: %s (%d since last told)", whom, ReasonOf(why),
                         turned_away));
    turned_away_told = now();
    turned_away = 0;
  }
};

Swarm::Swarm(const SwarmOptions& options) : state_(std::make_shared<State>(options)) {}

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
  asio::co_spawn(state_->options.executor, KeepLoop(state_, address, 0),
                 asio::detached);
}

void Swarm::Meet(const std::string& address) {
  if (state_->meeting.size() >= kMeetingMax) return;
  if (!state_->meeting.insert(address).second) return;
  asio::co_spawn(
      state_->options.executor, KeepLoop(state_, address, kMeetingFailures),
      [state = state_, address](std::exception_ptr) { state->meeting.erase(address); });
}

std::uint16_t Swarm::listening_port() const {
  for (const auto& listener : state_->listeners) {
    const auto address = ParseAddress(listener->address());
    if (address.ok()) return address->port;
  }
  return 0;
}

Task<void> Swarm::AcceptLoop(std::shared_ptr<State> state,
                             std::shared_ptr<Listener> listener) {
  while (!state->stopped) {
    absl::StatusOr<std::unique_ptr<Wire>> wire = co_await listener->Accept();
    if (state->stopped || absl::IsCancelled(wire.status())) co_return;
    if (!wire.ok()) {
      // Out of file descriptors, say: the next one may fare better.
      co_await state->options.clock->Sleep(BackOff::kMin);
      continue;
    }
    const std::string whom = (*wire)->peer();
    const std::optional<IpPrefix> from = IpPrefixOf(whom);
    const Welcome welcome =
        state->door.Admit(from, state->connections.size(), state->now());
    if (welcome != Welcome::kYes) {
      (*wire)->Close();
      state->TurnedAway(whom, welcome);
      continue;
    }
    Connection connection;
    connection.session = state->NewSession(*std::move(wire), /*incoming=*/true);
    connection.incoming = true;
    state->half_open.insert(connection.session.get());
    state->accepted.insert(connection.session.get());
    asio::co_spawn(state->options.executor, RunSession(state, connection),
                   asio::detached);
  }
}

Task<absl::Status> Swarm::RunSession(std::shared_ptr<State> state,
                                     Connection connection) {
  const std::shared_ptr<Session> session = connection.session;
  // Spawned just before the swarm stopped, whose observer may be gone by now.
  if (state->stopped) co_return absl::CancelledError("the swarm has stopped");
  state->connections.push_back(connection);
  absl::Status status = co_await Session::Run(session);
  state->Leave(*session);
  if (connection.incoming || connection.dialled_once) {
    state->ourselves.erase(session.get());
  }
  std::erase_if(state->connections,
                [&session](const Connection& each) { return each.session == session; });
  state->changed.Notify();
  co_return status;
}

Task<void> Swarm::KeepLoop(std::shared_ptr<State> state, std::string address,
                           int failures_max) {
  BackOff back_off;
  int failures = 0;
  std::string told;  // why the last dial failed
  while (!state->stopped) {
    absl::StatusOr<std::unique_ptr<Wire>> wire =
        co_await DialWithin(state, address, kDialLimit);
    if (state->stopped) co_return;
    const Nanos started = state->options.clock->Steady();
    const std::string reason(wire.status().message());
    // Whoever only named an address to us knows why nobody is there.
    if (failures_max == 0 && reason != std::exchange(told, reason) && !wire.ok()) {
      state->Tell(absl::StrFormat("cannot connect to %s", reason));
    }
    if (wire.ok()) {
      Connection connection;
      connection.session = state->NewSession(*std::move(wire), /*incoming=*/false);
      (co_await RunSession(state, connection)).IgnoreError();
      if (state->stopped) co_return;
      // Another connection with that peer stands: no need of one more.
      while (connection.session->secured() &&
             connection.session->remote_static_key() != state->identity.public_key &&
             state->With(connection.session->remote_static_key()) != nullptr) {
        co_await state->changed.Wait();
        if (state->stopped) co_return;
      }
      if (state->ourselves.erase(connection.session.get()) > 0) {
        if (failures_max > 0) co_return;
        back_off.BeLongest();
      }
      while (connection.session->secured() && state->options.wanted &&
             !state->options.wanted(connection.session->remote_static_key())) {
        co_await Pause(state, kUnwantedPause);
        if (state->stopped) co_return;
      }
    }
    if (state->stopped) co_return;
    failures = state->now() - started >= BackOff::kStable ? 0 : failures + 1;
    if (failures_max > 0 && failures >= failures_max) co_return;
    co_await Pause(state,
                   back_off.After(state->now() - started, *state->options.random));
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
  const Nanos deadline = state->now() + std::min<Nanos>(limit, std::chrono::hours(24));
  for (;;) {
    const auto found = state->dialling.find(address);
    if (found == state->dialling.end()) break;
    const std::shared_ptr<State::Dialling> other = found->second;
    while (!other->over && !state->stopped && state->now() < deadline) {
      co_await (state->options.clock->Sleep(deadline - state->now()) ||
                state->changed.Wait());
    }
    if (!other->over || state->stopped) {
      co_return absl::UnavailableError(absl::StrFormat("%s: nobody answers", address));
    }
    if (!other->result) continue;
    if (other->result->ok()) {
      if (auto session = state->Use((**other->result)->remote_static_key())) {
        co_return session;
      }
    } else if (state->now() < other->deadline) {
      co_return other->result->status();  // and not for want of time
    }
  }
  auto mine = std::make_shared<State::Dialling>();
  mine->deadline = deadline;
  struct Over {
    ~Over() {
      mine->over = true;
      state->dialling.erase(address);
      if (!state->stopped) state->changed.Notify();
    }
    std::shared_ptr<State> state;
    std::shared_ptr<State::Dialling> mine;
    std::string address;
  };
  state->dialling.emplace(address, mine);
  const Over over{state, mine, address};
  do {
    mine->result = co_await DialOnce(state, address, limit, deadline);
  } while (absl::IsAlreadyExists(mine->result->status()) && !state->stopped &&
           state->now() < deadline);
  if (absl::IsAlreadyExists(mine->result->status())) {
    mine->result = absl::UnavailableError(mine->result->status().message());
  }
  co_return *mine->result;
}

Task<absl::StatusOr<std::shared_ptr<Session>>> Swarm::DialOnce(
    std::shared_ptr<State> state, std::string address, Nanos limit, Nanos deadline) {
  WEFT_CO_ASSIGN_OR_RETURN(
      std::unique_ptr<Wire> wire,
      co_await DialWithin(state, address,
                          std::min<Nanos>(deadline - state->now(), kDialLimit)));
  Connection connection;
  connection.session = state->NewSession(std::move(wire), /*incoming=*/false);
  connection.dialled_once = true;
  connection.uses = 1;
  const std::shared_ptr<Session> session = connection.session;
  auto ended = std::make_shared<std::optional<absl::Status>>();
  asio::co_spawn(state->options.executor, RunSession(state, connection),
                 [state, ended](std::exception_ptr, const absl::Status& status) {
                   *ended = status;
                   state->changed.Notify();
                 });
  while (!session->ready() && !ended->has_value() && !state->stopped) {
    if (state->options.clock->Steady() >= deadline) {
      session->Close();
      co_return absl::UnavailableError(
          absl::StrFormat("%s: connected, and nobody there speaks our protocol within "
                          "%d ms",
                          address, limit / milliseconds(1)));
    }
    co_await (state->options.clock->Sleep(deadline - state->options.clock->Steady()) ||
              state->changed.Wait());
  }
  if (!ended->has_value() && !state->stopped) co_return session;
  if (session->secured() && !state->stopped) {
    const bool ourselves = session->remote_static_key() == state->identity.public_key &&
                           ended->has_value() && absl::IsAlreadyExists(**ended);
    if (ourselves) {
      co_return absl::UnavailableError(
          absl::StrFormat("%s: the address is our own", address));
    }
    if (auto other = state->Use(session->remote_static_key())) co_return other;
  }
  if (ended->has_value() && !(*ended)->ok()) {
    std::string said((*ended)->message());
    for (const std::string& peer : {session->peer() + ": ", session->peer() + " "}) {
      if (said.starts_with(peer)) said.erase(0, peer.size());
    }
    if (!session->secured()) said = "nobody there speaks our protocol: " + said;
    // Whatever the peer did wrong, the caller asked rightly.
    const bool nobody =
        absl::IsInvalidArgument(**ended) || absl::IsDeadlineExceeded(**ended);
    const absl::StatusCode code =
        nobody ? absl::StatusCode::kUnavailable : (*ended)->code();
    co_return absl::Status(code, absl::StrFormat("%s: %s", address, said));
  }
  co_return absl::UnavailableError(absl::StrFormat("%s: the peer hung up", address));
}

std::shared_ptr<Session> Swarm::Use(const PublicKey& key) {
  return state_->Use(key);
}

bool Swarm::Release(const std::shared_ptr<Session>& session) {
  const auto found =
      std::ranges::find(state_->connections, session, &Connection::session);
  if (found == state_->connections.end() || found->uses == 0) return false;
  if (--found->uses > 0 || !found->dialled_once) return false;
  session->CloseWhenWritten();
  return true;
}

std::shared_ptr<Session> Swarm::Adopt(std::unique_ptr<Wire> wire, bool is_initiator) {
  Connection connection;
  connection.session = state_->NewSession(std::move(wire), !is_initiator);
  connection.incoming = !is_initiator;
  asio::co_spawn(state_->options.executor, RunSession(state_, connection),
                 asio::detached);
  return connection.session;
}

void Swarm::SetRule(const PublicKey& peer, std::optional<FeedRule> rule) {
  if (rule) {
    state_->rules.insert_or_assign(peer, *std::move(rule));
  } else {
    state_->rules.erase(peer);
  }
  for (const Connection& connection : std::vector(state_->connections)) {
    Session& session = *connection.session;
    if (session.ready() && session.remote_static_key() == peer) session.PolicyChanged();
  }
}

void Swarm::PolicyChanged() {
  for (const Connection& connection : std::vector(state_->connections)) {
    connection.session->PolicyChanged();
  }
}

const PublicKey& Swarm::key() const {
  return state_->identity.public_key;
}

const NetworkBudget& Swarm::budget() const {
  return *state_->budget;
}

const BanTable& Swarm::bans() const {
  return state_->bans;
}

void Swarm::Blame(const Session& session, int points) {
  state_->Blame(session, points);
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
