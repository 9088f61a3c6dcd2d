#include "replication/admission.h"

#include "engine/check.h"

namespace weft {
namespace {

constexpr std::size_t kHostsMax = 65536;

}  // namespace

std::string_view ReasonOf(Welcome entry) {
  switch (entry) {
    case Welcome::kYes:
      return "welcome";
    case Welcome::kBanned:
      return "banned";
    case Welcome::kTooFast:
      return "connects too often";
    case Welcome::kTooManyHalfOpen:
      return "too many unfinished handshakes";
    case Welcome::kTooManyFromThere:
      return "too many connections from its address";
    case Welcome::kFull:
      return "too many connections";
  }
  return "";
}

// Null if the table is full of addresses that are all at it just now.
Admission::Host* Admission::HostOf(const IpPrefix& from, Nanos now) {
  const auto found = hosts_.find(from);
  if (found != hosts_.end()) return &found->second;
  if (hosts_.size() >= kHostsMax) {
    std::erase_if(hosts_, [now](const auto& entry) {
      Rate accepts = entry.second.accepts;
      return entry.second.half_open == 0 && accepts.Full(now);
    });
    if (hosts_.size() >= kHostsMax) return nullptr;
  }
  const Rate fresh(limits_.accepts_per_second, limits_.accepts_burst);
  return &hosts_.emplace(from, Host{fresh}).first->second;
}

Welcome Admission::Admit(const std::optional<IpPrefix>& from, std::size_t connections,
                         Nanos now) {
  if (from && bans_->IsBanned(*from, now)) return Welcome::kBanned;
  Host* host = nullptr;
  if (from) {
    host = HostOf(*from, now);
    if (host == nullptr || !host->accepts.Take(1, now)) return Welcome::kTooFast;
  }
  if (connections >= limits_.connections_max) return Welcome::kFull;
  const auto standing = standing_.find(from);
  if (standing != standing_.end() &&
      standing->second >= limits_.connections_per_ip_max) {
    return Welcome::kTooManyFromThere;
  }
  if (half_open_ >= limits_.half_open_max ||
      (host != nullptr && host->half_open >= limits_.half_open_per_ip_max)) {
    return Welcome::kTooManyHalfOpen;
  }
  ++half_open_;
  if (host != nullptr) ++host->half_open;
  ++standing_[from];
  return Welcome::kYes;
}

void Admission::Left(const std::optional<IpPrefix>& from) {
  const auto standing = standing_.find(from);
  WEFT_CHECK(standing != standing_.end());
  if (--standing->second == 0) standing_.erase(standing);
}

void Admission::Settled(const std::optional<IpPrefix>& from) {
  WEFT_CHECK(half_open_ > 0);
  --half_open_;
  if (!from) return;
  const auto found = hosts_.find(*from);
  WEFT_CHECK(found != hosts_.end() && found->second.half_open > 0);
  --found->second.half_open;
}

}  // namespace weft
