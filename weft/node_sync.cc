// Node: replicating with one peer until level with it, over a connection that is
// dialled or over any byte stream that is handed in.

#include <algorithm>
#include <asio/experimental/awaitable_operators.hpp>

#include "absl/strings/str_format.h"
#include "weft/node.h"
#include "weft/sync_meter.h"

namespace weft {
namespace {

using asio::experimental::awaitable_operators::operator||;

constexpr Nanos kHandshakeLimit = std::chrono::seconds(10);
constexpr Nanos kFarewellLimit = std::chrono::seconds(2);

}  // namespace

// The one sync there is: it holds what it needs of the node, and the node lives while
// `alive` does.
struct Node::SyncRun {
  // Begins before there is a connection: what comes with its first bytes counts.
  SyncRun(const Node& node, SyncRequest asked)
      : request(std::move(asked)), meter(node.bases_, node.swarm_->connections()) {
    line.deadline = node.host_.clock->Steady() + request.timeout;
  }
  void MoveFrom(const std::shared_ptr<Session>& session) {
    const SyncResult result = meter.Result(session);
    carried.blocks_received += result.blocks_received;
    carried.blocks_sent += result.blocks_sent;
    // Nobody hangs up a connection that was there for its own sake.
    answers = false;
  }

  Line line;
  SyncResult carried;  // by the sessions before this one
  std::string name;    // of the peer, for messages
  SyncRequest request;
  SyncMeter meter;
  // Level is not the end: the peer, who asked, hangs up when he is content.
  bool answers = false;
};

bool Node::AllLevel(const Exchanges& exchanges) {
  bool any = false;
  for (const auto& [base, exchange] : exchanges) {
    if (exchange->refused()) continue;
    // Of an exchange that has ended, too: the last that both said counts.
    const std::optional<FeedDigest> ours = base->Digest();
    const std::optional<FeedDigest>& theirs = exchange->remote_digest();
    if (base->busy() || !ours || !theirs || !ours->durable || !theirs->durable ||
        ours->version_digest != theirs->version_digest) {
      return false;
    }
    any = true;
  }
  return any;
}

// What ends a sync now, if anything does.
std::optional<absl::Status> Node::EndOf(const SyncRun& run,
                                        const Exchanges& exchanges) const {
  if (run.line.session->closed()) {
    const bool theirs = run.answers || !run.line.session->is_initiator();
    if (theirs && AllLevel(exchanges)) return absl::OkStatus();
    // What came last may not be on our disk yet.
    const bool any_busy = std::any_of(exchanges.begin(), exchanges.end(),
                                      [](const auto& e) { return e.first->busy(); });
    if (run.answers && any_busy && host_.clock->Steady() < run.line.deadline) {
      return std::nullopt;
    }
    return absl::UnavailableError(
        absl::StrFormat("%s: the connection ended before we were level", run.name));
  }
  const bool refused = !exchanges.empty() &&
                       std::all_of(exchanges.begin(), exchanges.end(),
                                   [](const auto& e) { return e.second->refused(); });
  if (refused) {
    return absl::NotFoundError(
        absl::StrFormat("%s: the peer has none of our bases", run.name));
  }
  if (run.request.cancelled && run.request.cancelled()) {
    return absl::CancelledError(
        absl::StrFormat("%s: stopped before we were level", run.name));
  }
  if (!run.answers && IsLevel(*run.line.session)) return absl::OkStatus();
  if (host_.clock->Steady() < run.line.deadline) return std::nullopt;
  if (run.answers && IsLevel(*run.line.session)) return absl::OkStatus();
  WEFT_RETURN_IF_ERROR(host_.storage->Writable());
  return absl::DeadlineExceededError(
      absl::StrFormat("%s: not level after %d ms; what came is kept", run.name,
                      run.request.timeout / std::chrono::milliseconds(1)));
}

// Two peers may dial each other at any time, and of two connections one stays: what was
// begun on the other goes on over that. The end that answered it may be told of its
// handshake's end a moment after the other connection is gone. And who dialled the one
// that stayed hangs up when he is content, which we may not be.
Task<bool> Node::GoesOn(Line& line) {
  if (!line.session->closed() || !line.session->secured()) co_return false;
  if (auto other = swarm_->Use(line.session->remote_static_key())) {
    line.session = std::move(other);
    line.closed_since.reset();
    co_return true;
  }
  const Nanos now = host_.clock->Steady();
  if (!line.closed_since) line.closed_since = now;
  const std::vector<Swarm::Connection> connections = swarm_->connections();
  const bool any_begins =
      std::any_of(connections.begin(), connections.end(), [](const auto& connection) {
        return !connection.session->ready() && !connection.session->closed();
      });
  if (any_begins &&
      now < std::min(line.deadline, *line.closed_since + kFarewellLimit)) {
    co_return true;
  }
  if (line.session->is_initiator() || line.address.empty() || now >= line.deadline) {
    co_return false;
  }
  const std::weak_ptr<bool> alive = alive_;
  absl::StatusOr<std::shared_ptr<Session>> dialled =
      co_await swarm_->Dial(line.address, line.deadline - now);
  if (alive.expired() || !dialled.ok()) co_return false;
  line.session = *std::move(dialled);
  line.closed_since.reset();
  co_return true;
}

Task<absl::StatusOr<SyncResult>> Node::RunSync(SyncRun& run) {
  const std::weak_ptr<bool> alive = alive_;
  const std::shared_ptr<Signal> changed = changed_;
  Exchanges exchanges;
  std::optional<absl::Status> end;
  for (;;) {
    // Once the session has ended nothing is known of it any more.
    if (!run.line.session->closed()) {
      exchanges = ExchangesOn(*run.line.session);
      if (run.request.progress) run.request.progress(run.meter.Measure(exchanges));
    }
    std::erase_if(exchanges, [this](const auto& entry) {
      return std::none_of(bases_.begin(), bases_.end(),
                          [&](const auto& base) { return base.get() == entry.first; });
    });
    end = EndOf(run, exchanges);
    if (end && end->ok()) break;
    if (end) {
      const std::shared_ptr<Session> before = run.line.session;
      const bool goes_on = co_await GoesOn(run.line);
      if (alive.expired()) co_return absl::CancelledError("the store was closed");
      if (!goes_on) break;
      if (run.line.session != before) run.MoveFrom(before);
      end.reset();
    }
    const Nanos left = run.line.deadline - host_.clock->Steady();
    co_await (changed->Wait() || host_.clock->Sleep(std::min(left, kLookAgain)));
    if (alive.expired()) co_return absl::CancelledError("the store was closed");
  }
  if (!end->ok()) co_return *end;
  SyncResult result = run.meter.Result(run.line.session);
  result.blocks_received += run.carried.blocks_received;
  result.blocks_sent += run.carried.blocks_sent;
  result.level = true;
  co_return result;
}

// Of a session that closes when all is written, which has its limit here. What the peer
// knows of us when we are gone says whether it is level too.
Task<void> Node::WaitClosed(std::shared_ptr<Session> session) {
  const std::weak_ptr<bool> alive = alive_;
  const std::shared_ptr<Signal> changed = changed_;
  const Nanos until = host_.clock->Steady() + kFarewellLimit;
  while (!session->closed() && host_.clock->Steady() < until) {
    co_await (changed->Wait() || host_.clock->Sleep(kLookAgain));
    if (alive.expired()) co_return;
  }
  session->Close();
}

Task<absl::StatusOr<SyncResult>> Node::Sync(std::string address, SyncRequest request) {
  SyncRun run(*this, std::move(request));
  run.name = address;
  run.line.address = address;
  if (bases_.empty()) co_return absl::NotFoundError("the store has no base");
  const std::weak_ptr<bool> alive = alive_;
  WEFT_CO_ASSIGN_OR_RETURN(run.line.session,
                           co_await swarm_->Dial(address, run.request.timeout));
  if (alive.expired()) co_return absl::CancelledError("the store was closed");
  absl::StatusOr<SyncResult> result = co_await RunSync(run);
  if (!alive.expired() && swarm_->Release(run.line.session)) {
    co_await WaitClosed(run.line.session);
  }
  co_return result;
}

Task<absl::StatusOr<SyncResult>> Node::SyncOver(std::unique_ptr<Wire> wire,
                                                bool is_initiator,
                                                SyncRequest request) {
  SyncRun run(*this, std::move(request));
  run.name = wire->peer();
  run.answers = !is_initiator;
  if (bases_.empty()) {
    wire->Close();
    co_return absl::NotFoundError("the store has no base");
  }
  const std::weak_ptr<bool> alive = alive_;
  const std::shared_ptr<Session> adopted = swarm_->Adopt(std::move(wire), is_initiator);
  run.line.session = adopted;
  const std::shared_ptr<Signal> changed = changed_;
  const Nanos handshake = std::min(
      run.line.deadline, host_.clock->Steady() + std::max(kHandshakeLimit, kLookAgain));
  bool begun = false;
  while (!begun && !adopted->ready() && host_.clock->Steady() < handshake) {
    co_await (changed->Wait() || host_.clock->Sleep(kLookAgain));
    if (alive.expired()) co_return absl::CancelledError("the store was closed");
    begun = adopted->closed();
  }
  if (!adopted->ready() || adopted->closed()) {
    // Connected with that peer in another way already: that will do.
    const std::shared_ptr<Session> other =
        adopted->secured() ? swarm_->Use(adopted->remote_static_key()) : nullptr;
    if (other == nullptr) {
      const std::string name = run.name;
      adopted->Close();
      co_return absl::UnavailableError(
          absl::StrFormat("%s: nobody there speaks our protocol", name));
    }
    run.line.session = other;
  }
  absl::StatusOr<SyncResult> result = co_await RunSync(run);
  if (alive.expired()) co_return result;
  if (run.line.session != adopted) swarm_->Release(run.line.session);
  adopted->CloseWhenWritten();
  co_await WaitClosed(adopted);
  co_return result;
}

}  // namespace weft
