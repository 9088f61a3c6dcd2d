#include "weft/node_policy.h"

namespace weft {
namespace {

template <class Key>
void SetOrErase(std::map<Key, FeedRule>& rules, const Key& key,
                std::optional<FeedRule> rule) {
  if (rule) {
    rules.insert_or_assign(key, *std::move(rule));
  } else {
    rules.erase(key);
  }
}

}  // namespace

std::string HostOfPeer(const std::string& peer) {
  const std::size_t colon = peer.rfind(':');
  if (colon == std::string::npos ||
      peer.find_first_not_of("0123456789", colon + 1) != std::string::npos) {
    return peer;
  }
  return peer.substr(0, colon);
}

void NodePolicy::SetBase(const BaseId& base, std::optional<FeedRule> rule) {
  SetOrErase(bases_, base, std::move(rule));
}

void NodePolicy::SetHost(const std::string& host, std::optional<FeedRule> rule) {
  SetOrErase(hosts_, host, std::move(rule));
}

FeedPermission NodePolicy::Of(const Session& session, const CoreKey& key,
                              const BaseId* base) const {
  FeedPermission permission = all_.Of(key);
  if (base != nullptr) {
    const auto rule = bases_.find(*base);
    if (rule != bases_.end()) permission = Both(permission, rule->second.Of(key));
  }
  if (hosts_.empty()) return permission;
  const auto rule = hosts_.find(HostOfPeer(session.peer()));
  return rule == hosts_.end() ? permission : Both(permission, rule->second.Of(key));
}

bool NodePolicy::Closed(const BaseId& base) const {
  const auto rule = bases_.find(base);
  return rule != bases_.end() && (rule->second.which == FeedRule::Which::kNone ||
                                  (!rule->second.upload && !rule->second.download));
}

}  // namespace weft
