// The rules of a store about who may have what: for everybody, for the logs of one
// base, for the peers of one host. All that apply must allow.

#pragma once

#include <map>
#include <optional>
#include <string>

#include "crdt/identity.h"
#include "replication/connection_policy.h"
#include "replication/session.h"

namespace weft {

// Not thread-safe: on the strand of the store.
class NodePolicy {
 public:
  void SetAll(FeedRule rule) { all_ = std::move(rule); }
  void SetBase(const BaseId& base, std::optional<FeedRule> rule);
  // `host` is an address without its port, as PeerStatus shows it.
  void SetHost(const std::string& host, std::optional<FeedRule> rule);

  // `base`: the one whose log it is, or null.
  FeedPermission Of(const Session& session, const CoreKey& key,
                    const BaseId* base) const;
  // Nothing at all may pass of the base.
  bool Closed(const BaseId& base) const;

 private:
  FeedRule all_;
  std::map<BaseId, FeedRule> bases_;
  std::map<std::string, FeedRule> hosts_;
};

// "1.2.3.4:4000" and "[::1]:4000" without the port; others as they are.
std::string HostOfPeer(const std::string& peer);

}  // namespace weft
