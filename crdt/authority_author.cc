// For the author: which of his grants a commit should cite.

#include <algorithm>

#include "absl/strings/str_format.h"
#include "crdt/authority.h"
#include "crdt/authority_rules.h"
#include "engine/text.h"

namespace weft {
namespace {

constexpr std::string_view kDoesNotCount = "this log does not count for the grant";

std::string ShortName(const CoreKey& key) {
  return ToZBase32(key.view()).substr(0, 8);
}

absl::Status Refused(const CoreKey& identity, std::string_view reason) {
  return absl::PermissionDeniedError(
      absl::StrFormat("identity %s: %s", ShortName(identity), reason));
}

}  // namespace

// Rule S2: whether a block in the log may have effect under the grant.
bool Authority::CountsFor(const Grant& grant, const CoreKey& writer) const {
  const Cut* cut = CutOf(*grants_[grant.number], writer);
  return cut == nullptr || cut->counts;
}

std::size_t Authority::IncarnationsLeft(const CoreKey& identity) const {
  std::size_t most = 0;
  for (const Grant* grant : GrantsOf(identity)) {
    const std::vector<Cut>& cuts = grants_[grant->number]->now.cuts;
    const auto counting = static_cast<std::size_t>(std::count_if(
        cuts.begin(), cuts.end(), [](const Cut& cut) { return cut.counts; }));
    // Without cuts there is one log, which counts.
    most = std::max(most, kIncarnationsCounted - (cuts.empty() ? 1 : counting));
  }
  return most;
}

absl::StatusOr<const Grant*> Authority::ChooseGrant(
    const CoreKey& writer, std::span<const Operation> operations) const {
  const CoreKey& identity = IdentityOf(writer);
  const Grant* pending = nullptr;
  std::string refusal = "holds no grant here";
  for (const Grant* grant : GrantsOf(identity)) {
    std::string reason;
    for (const Operation& op : operations) {
      reason = RefuseData(*grant, op);
      if (!reason.empty()) break;
    }
    if (!CountsFor(*grant, writer)) reason = kDoesNotCount;
    if (!reason.empty()) {
      refusal = std::move(reason);
    } else if (!IsModerated(*grants_[grant->number])) {
      return grant;
    } else if (pending == nullptr) {
      pending = grant;
    }
  }
  if (pending != nullptr) return pending;
  return Refused(identity, refusal);
}

absl::StatusOr<const Grant*> Authority::ChooseGrant(
    const CoreKey& writer, std::span<const AuthOperation> operations) const {
  const CoreKey& identity = IdentityOf(writer);
  std::string refusal = "holds no grant here";
  // To resign, the grant itself is cited.
  if (const auto* revoke = operations.size() == 1
                               ? std::get_if<RevokeOp>(&operations.front())
                               : nullptr) {
    const Grant* target = Find(revoke->grant);
    if (target != nullptr && target->identity == identity && !target->revoked) {
      if (CountsFor(*target, writer)) return target;
      refusal = kDoesNotCount;
    }
  }
  for (const Grant* grant : GrantsOf(identity)) {
    std::string reason;
    if (!CountsFor(*grant, writer)) {
      refusal = kDoesNotCount;
      continue;
    }
    for (const AuthOperation& operation : operations) {
      reason = RefuseAuth(*grant, operation, false, limits_);
      if (reason.empty()) {
        if (const auto* revoke = std::get_if<RevokeOp>(&operation)) {
          const Grant* target = Find(revoke->grant);
          if (target == nullptr) {
            reason = "there is no such grant";
          } else if (target->path <= grant->path) {
            reason = "only a more senior member can revoke that grant";
          }
        }
      }
      if (!reason.empty()) break;
    }
    const auto made = static_cast<std::size_t>(
        std::count_if(operations.begin(), operations.end(), [](const auto& operation) {
          return std::holds_alternative<GrantOp>(operation);
        }));
    if (reason.empty() && by_path_.size() + made > limits_.members) {
      reason = absl::StrFormat("the base has %d grants, and the limit is %d",
                               by_path_.size(), limits_.members);
      return Refused(identity, reason);
    }
    if (reason.empty()) return grant;
    refusal = std::move(reason);
  }
  return Refused(identity, refusal);
}

absl::StatusOr<const Grant*> Authority::ChooseGrant(const CoreKey& writer) const {
  const std::vector<const Grant*> held = GrantsOf(IdentityOf(writer));
  if (!held.empty()) return held.front();
  return Refused(IdentityOf(writer), "holds no grant here");
}

std::uint64_t Authority::DepNeeded(const Grant& grant, const LogState& log,
                                   bool auth_block) {
  if (grant.is_genesis() || grant.issuer == log.writer()) return 0;
  const bool named = log.named(grant.issuer) >= grant.batch_end;
  return named && !auth_block ? 0 : grant.batch_end;
}

}  // namespace weft
