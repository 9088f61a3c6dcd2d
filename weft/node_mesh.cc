// The mesh of a store: what a Node gives to each base's peer exchange
// (replication/peer_exchange.h).

#include <algorithm>

#include "weft/node.h"

namespace weft {
namespace {

constexpr Nanos kMeshDialLimit = std::chrono::seconds(5);

// An address of ours as others may dial it: one that listens everywhere is known by
// its port, and reached where the peer sees us.
std::optional<std::string> Dialable(const std::string& address) {
  if (address.compare(0, 5, "unix:") == 0) return std::nullopt;
  for (const std::string everywhere : {"0.0.0.0:", "[::]:"}) {
    if (address.compare(0, everywhere.size(), everywhere) == 0) {
      return address.substr(everywhere.size() - 1);
    }
  }
  return address;
}

}  // namespace

absl::StatusOr<std::string> Node::Listen(const std::string& address) {
  WEFT_ASSIGN_OR_RETURN(const std::string used, swarm_->Listen(address));
  if (auto dialable = Dialable(used)) listening_.push_back(*std::move(dialable));
  return used;
}

void Node::StartMesh(const MeshLimits& limits) {
  if (mesh_limits_) return;
  mesh_limits_ = limits;
  for (const auto& base : bases_) StartMeshOf(*base);
}

void Node::StartMeshOf(BaseNode& base) {
  PeerExchange::Host host;
  host.executor = host_.executor;
  host.clock = host_.clock;
  host.random = host_.random;
  host.self = swarm_->key();
  host.addresses = [this] { return listening_; };
  host.exchanges = [this, &base] { return ExchangesOf(base); };
  host.keep = [this, &base](const FeedExchange& exchange) {
    return MustStay(base, exchange);
  };
  host.dial = [this](std::string address) { return DialForMesh(std::move(address)); };
  host.drop = [](const FeedExchange& exchange) { exchange.session().Close(); };
  meshes_[&base] = PeerExchange::Start(std::move(host), *mesh_limits_);
}

Task<std::optional<PublicKey>> Node::DialForMesh(std::string address) {
  const std::weak_ptr<bool> alive = alive_;
  const absl::StatusOr<std::shared_ptr<Session>> session =
      co_await swarm_->Dial(address, kMeshDialLimit);
  if (!session.ok() || alive.expired()) co_return std::nullopt;
  mesh_sessions_.insert(session->get());
  co_return (*session)->remote_static_key();
}

bool Node::MustStay(const BaseNode& base, const FeedExchange& exchange) const {
  for (const Swarm::Connection& connection : swarm_->connections()) {
    if (connection.session.get() != &exchange.session()) continue;
    if (!connection.incoming && !mesh_sessions_.contains(connection.session.get())) {
      return true;
    }
  }
  // Another base may need it.
  const Exchanges& shared = ExchangesOn(exchange.session());
  return std::any_of(shared.begin(), shared.end(), [&](const auto& entry) {
    return entry.first != &base && entry.second->open() &&
           ExchangesOf(*entry.first).size() <= mesh_limits_->high;
  });
}

}  // namespace weft
