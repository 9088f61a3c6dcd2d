// Node: fetching a plain core from one peer, beside whatever else goes over the
// connection with it.

#include <algorithm>
#include <asio/experimental/awaitable_operators.hpp>
#include <tuple>

#include "absl/strings/str_format.h"
#include "replication/back_off.h"
#include "weft/node.h"

namespace weft {
namespace {

using asio::experimental::awaitable_operators::operator||;

// Of one dial after the connection ended; a person's signal waits as long.
constexpr Nanos kRedialLimit = std::chrono::seconds(3);

Download DownloadOf(const Node::CloneRequest& request) {
  if (!request.seeks.empty()) return Download::Bytes(request.seeks);
  if (request.blocks) return Download::Blocks({*request.blocks});
  return Download::Whole();
}

// Those that are wanted of a core of this length.
BlockRange WantedOf(const Node::CloneRequest& request, std::uint64_t length) {
  if (!request.blocks) return {0, length};
  const std::uint64_t from = std::min(request.blocks->from, length);
  return {from, std::clamp(request.blocks->to, from, length)};
}

bool Holds(const Hypercore& core, const Node::CloneRequest& request,
           std::uint64_t length) {
  if (request.what_there_is || !request.seeks.empty()) return true;
  const BlockRange wanted = WantedOf(request, length);
  return core.bitfield().Count(wanted.from, wanted.to) == wanted.to - wanted.from;
}

// Tells of each change once.
class Teller {
 public:
  explicit Teller(const Node::CloneRequest& request) : request_(request) {}
  void Tell(const Hypercore& core, bool lost) {
    if (!request_.progress) return;
    const BlockRange wanted = WantedOf(request_, core.length());
    const std::tuple now{core.bitfield().Count(wanted.from, wanted.to),
                         wanted.to - wanted.from, lost};
    if (shown_ != now) {
      request_.progress({std::get<0>(now), std::get<1>(now), std::get<2>(now)});
    }
    shown_ = now;
  }

 private:
  const Node::CloneRequest& request_;
  std::optional<std::tuple<std::uint64_t, std::uint64_t, bool>> shown_;
};

// When a peer that was lost is dialled.
class Redial {
 public:
  Redial(AsyncClock* clock, Random* random) : clock_(clock), random_(random) {}
  // A connection stands.
  void OnConnected() {
    since_ = clock_->Steady();
    due_.reset();
  }
  // It has ended. True if it is time.
  bool IsDue() {
    const Nanos now = clock_->Steady();
    if (!due_) due_ = now + back_off_.After(now - since_, *random_);
    return now >= *due_;
  }
  void OnFailed() { due_ = clock_->Steady() + back_off_.Next(*random_); }

 private:
  AsyncClock* clock_;  // not owned
  Random* random_;     // not owned
  BackOff back_off_;
  Nanos since_{};
  std::optional<Nanos> due_;
};

}  // namespace

// Whether the peer has what is wanted is asked anew.
std::shared_ptr<const Session::Wish> Node::WishFor(Session& session,
                                                   std::shared_ptr<Hypercore> core,
                                                   const CloneRequest& request) {
  const auto refused = refused_.find(&session);
  if (refused != refused_.end()) refused->second.erase(core->key());
  return session.Want(std::move(core), DownloadOf(request));
}

// What ends it now, if anything but the end of the connection does. `arrived`: the
// blocks are here, or were.
std::optional<absl::Status> Node::EndOfClone(const CloneRequest& request,
                                             const Line& line, bool arrived) const {
  const bool live = static_cast<bool>(request.live_until);
  if (arrived && !live) return absl::OkStatus();
  if (live && request.live_until()) {
    if (arrived) return absl::OkStatus();
    return absl::DeadlineExceededError(absl::StrFormat(
        "%s: stopped before all blocks came; what came is kept", line.address));
  }
  if (!arrived && IsRefused(*line.session, request.key)) {
    return absl::UnavailableError(
        absl::StrFormat("%s: the peer does not have the core", line.address));
  }
  if (!arrived && host_.clock->Steady() >= line.deadline) {
    return absl::DeadlineExceededError(
        absl::StrFormat("%s: not all blocks came in %d ms; what came is kept",
                        line.address, request.timeout / std::chrono::milliseconds(1)));
  }
  return std::nullopt;
}

Task<absl::Status> Node::RunClone(Line& line, std::shared_ptr<Hypercore> core,
                                  const CloneRequest& request) {
  const std::weak_ptr<bool> alive = alive_;
  const std::shared_ptr<Signal> changed = changed_;
  auto wish = WishFor(*line.session, core, request);
  Teller teller(request);
  Redial redial(host_.clock, host_.random);
  redial.OnConnected();
  const bool live = static_cast<bool>(request.live_until);
  bool given = false;  // the peer has had the core
  bool lost = false;
  bool arrived = false;
  for (;;) {
    teller.Tell(*core, lost);
    given = given || line.session->Remote(request.key).has_value();
    arrived = arrived || (wish->met_at() && Holds(*core, request, *wish->met_at()));
    if (const auto end = EndOfClone(request, line, arrived)) co_return *end;
    if (line.session->closed()) {
      const std::shared_ptr<Session> before = line.session;
      const bool goes_on = co_await GoesOn(line);
      if (alive.expired()) co_return absl::CancelledError("the store was closed");
      if (!goes_on && !(live && given)) {
        co_return absl::UnavailableError(absl::StrFormat(
            "%s: the peer hung up, or does not have the core", line.address));
      }
      lost = !goes_on;
      if (lost && redial.IsDue()) {
        auto dialled = co_await swarm_->Dial(line.address, kRedialLimit);
        if (alive.expired()) co_return absl::CancelledError("the store was closed");
        if (dialled.ok()) {
          line.session = *std::move(dialled);
          line.closed_since.reset();
          lost = false;
        } else {
          redial.OnFailed();
        }
      }
      if (line.session != before) {
        redial.OnConnected();
        wish = WishFor(*line.session, core, request);
        continue;
      }
    }
    co_await (changed->Wait() || host_.clock->Sleep(kLookAgain));
    if (alive.expired()) co_return absl::CancelledError("the store was closed");
  }
}

Task<absl::Status> Node::Clone(std::string address, CloneRequest request) {
  if (blocked_->contains(request.key)) {
    co_return absl::FailedPreconditionError(absl::StrFormat(
        "core %s: is blocked in this store", ToHex(request.key.view())));
  }
  WEFT_CO_ASSIGN_OR_RETURN(const std::shared_ptr<Hypercore> core,
                           cores_->OpenRemote(request.key));
  const std::weak_ptr<bool> alive = alive_;
  const bool limited = request.timeout > Nanos(0);
  Line line{
      address, limited ? host_.clock->Steady() + request.timeout : Nanos::max(), {}};
  WEFT_CO_ASSIGN_OR_RETURN(
      line.session,
      co_await swarm_->Dial(address, limited ? request.timeout : Nanos::max()));
  if (alive.expired()) co_return absl::CancelledError("the store was closed");
  const absl::Status status = co_await RunClone(line, core, request);
  if (alive.expired()) co_return status;
  swarm_->Release(line.session);
  const absl::Status synced = cores_->Sync();
  WEFT_CO_RETURN_IF_ERROR(status);
  WEFT_CO_RETURN_IF_ERROR(synced);
  const bool ends_before = request.blocks && !request.what_there_is &&
                           !request.live_until &&
                           request.blocks->from >= core->length();
  if (ends_before) {
    co_return absl::OutOfRangeError(absl::StrFormat(
        "block %d is beyond the log's %d", request.blocks->from, core->length()));
  }
  co_return absl::OkStatus();
}

}  // namespace weft
