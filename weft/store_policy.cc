// Store and Base: who may have what, who is near, and how busy the store's thread is.

#include "replication/discovery.h"
#include "weft/convert.h"
#include "weft/store.h"
#include "weft/store_impl.h"

namespace weft {
namespace {

absl::StatusOr<FeedRule> ToFeedRule(const ReplicationRule& rule) {
  FeedRule made;
  made.upload = rule.upload;
  made.download = rule.download;
  switch (rule.which) {
    case ReplicationRule::Which::kAll:
      made.which = FeedRule::Which::kAll;
      break;
    case ReplicationRule::Which::kNone:
      made.which = FeedRule::Which::kNone;
      break;
    case ReplicationRule::Which::kList:
      made.which = FeedRule::Which::kList;
      break;
    case ReplicationRule::Which::kPredicate:
      made.which = FeedRule::Which::kPredicate;
      break;
  }
  for (const std::string& core : rule.cores) {
    WEFT_ASSIGN_OR_RETURN(const CoreKey key, ParseCoreKey(core));
    made.list.insert(key);
  }
  if (rule.accepts) {
    made.accepts = [accepts = rule.accepts](const CoreKey& key) {
      return accepts(IdText(key));
    };
  }
  return made;
}

}  // namespace

absl::Status Store::SetRule(const ReplicationRule& rule) {
  WEFT_ASSIGN_OR_RETURN(FeedRule made, ToFeedRule(rule));
  impl_->Run([&] {
    impl_->node().policy().SetAll(std::move(made));
    impl_->node().PolicyChanged();
    return true;
  });
  return absl::OkStatus();
}

absl::Status Store::SetHostRule(std::string_view host,
                                const std::optional<ReplicationRule>& rule) {
  std::optional<FeedRule> made;
  if (rule) {
    WEFT_ASSIGN_OR_RETURN(made, ToFeedRule(*rule));
  }
  impl_->Run([&] {
    impl_->node().policy().SetHost(std::string(host), std::move(made));
    impl_->node().PolicyChanged();
    return true;
  });
  return absl::OkStatus();
}

absl::Status Base::SetRule(const std::optional<ReplicationRule>& rule) {
  std::optional<FeedRule> made;
  if (rule) {
    WEFT_ASSIGN_OR_RETURN(made, ToFeedRule(*rule));
  }
  impl_->store->Run([&] {
    Node& node = impl_->store->node();
    node.policy().SetBase(impl_->node->base_id(), std::move(made));
    node.PolicyChanged();
    return true;
  });
  return absl::OkStatus();
}

absl::Status Store::DiscoverOnLan(std::string_view interface_address) {
  return impl_->Run(
      [&] { return impl_->DiscoverOnLan(std::string(interface_address)); });
}

LoopStatus Store::Loop() const {
  const StallMeter& meter = impl_->stalls();
  LoopStatus status;
  status.steps = meter.steps();
  status.long_steps = meter.long_steps();
  status.longest_us = static_cast<std::uint64_t>(meter.longest().count()) / 1000;
  return status;
}

absl::Status StoreImpl::DiscoverOnLan(std::string interface_address) {
  LanOptions options;
  options.executor = io_.get_executor();
  options.clock = &clock_;
  options.random = &random_;
  options.interface_address = std::move(interface_address);
  LanDiscovery::Host host;
  host.port = [this] { return node_->swarm().listening_port(); };
  host.tag_keys = [this] {
    std::vector<Hash32> keys;
    for (const auto& base : node_->bases()) {
      keys.push_back(LanTagKey(base->base_id().view()));
    }
    return keys;
  };
  host.found = [this](const std::string& address) { node_->swarm().Meet(address); };
  WEFT_ASSIGN_OR_RETURN(lan_, LanDiscovery::Start(options, std::move(host)));
  return absl::OkStatus();
}

}  // namespace weft
