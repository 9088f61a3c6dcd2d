// Node: fetching a plain core from one peer, beside whatever else goes over the
// connection with it.

#include <algorithm>
#include <asio/experimental/awaitable_operators.hpp>

#include "absl/strings/str_format.h"
#include "weft/node.h"

namespace weft {
namespace {

using asio::experimental::awaitable_operators::operator||;

constexpr Nanos kLookAgain = std::chrono::milliseconds(100);

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
  void Tell(const Hypercore& core) {
    if (!request_.progress) return;
    const BlockRange wanted = WantedOf(request_, core.length());
    const std::pair now{core.bitfield().Count(wanted.from, wanted.to),
                        wanted.to - wanted.from};
    if (shown_ != now) request_.progress({now.first, now.second});
    shown_ = now;
  }

 private:
  const Node::CloneRequest& request_;
  std::optional<std::pair<std::uint64_t, std::uint64_t>> shown_;
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
  bool arrived = false;
  for (;;) {
    teller.Tell(*core);
    arrived = arrived || (wish->met_at() && Holds(*core, request, *wish->met_at()));
    if (const auto end = EndOfClone(request, line, arrived)) co_return *end;
    if (line.session->closed()) {
      const std::shared_ptr<Session> before = line.session;
      const bool goes_on = co_await GoesOn(line);
      if (alive.expired()) co_return absl::CancelledError("the store was closed");
      if (!goes_on) {
        co_return absl::UnavailableError(absl::StrFormat(
            "%s: the peer hung up, or does not have the core", line.address));
      }
      if (line.session != before) {
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
  co_return status.ok() ? synced : status;
}

}  // namespace weft
