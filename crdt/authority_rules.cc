#include "crdt/authority_rules.h"

#include "absl/strings/str_format.h"

namespace weft {
namespace {

bool Extends(ByteView key, ByteView scope) {
  return key.size() >= scope.size() && Equal(key.first(scope.size()), scope);
}

std::string RefuseRole(const Grant& cited, GrantRole least, const char* what) {
  if (cited.role >= least) return {};
  return absl::StrFormat("the cited grant is to a %s, who cannot %s",
                         RoleText(cited.role), what);
}

std::string RefuseGrant(const Grant& cited, const GrantOp& grant,
                        const Limits& limits) {
  std::string reason = RefuseRole(cited, GrantRole::kAdmin, "grant");
  if (!reason.empty()) return reason;
  if (grant.role > cited.role) {
    return absl::StrFormat("a %s cannot make a %s", RoleText(cited.role),
                           RoleText(grant.role));
  }
  if (!Extends(grant.scope, cited.scope)) {
    return "the scope does not extend that of the cited grant";
  }
  if (grant.role >= GrantRole::kModerator && !cited.may_delegate) {
    return absl::StrFormat("the cited grant may not delegate to a %s",
                           RoleText(grant.role));
  }
  if (cited.depth + 1 > limits.delegation_depth) {
    return absl::StrFormat("delegated more than %d deep", limits.delegation_depth);
  }
  return {};
}

std::string RefuseInvite(const Grant& cited, const InviteOp& invite,
                         const Limits& limits) {
  std::string reason = RefuseRole(cited, GrantRole::kAdmin, "invite");
  if (!reason.empty()) return reason;
  if (!Extends(invite.scope, cited.scope)) {
    return "the scope does not extend that of the cited grant";
  }
  // The grants made by its redemption are a step deeper still.
  if (cited.depth + 2 > limits.delegation_depth) {
    return absl::StrFormat("delegated more than %d deep", limits.delegation_depth);
  }
  return {};
}

}  // namespace

std::string RefuseData(const Grant& cited, const Operation& op) {
  if (cited.role < GrantRole::kModerated) return "a reader cannot write";
  if (!Extends(op.key, cited.scope)) {
    return absl::StrFormat("key \"%s\" is outside the scope \"%s\"",
                           AsText(op.key).substr(0, 32),
                           AsText(ByteView(cited.scope)).substr(0, 32));
  }
  return {};
}

std::string RefuseAuth(const Grant& cited, const AuthOperation& operation, bool resigns,
                       const Limits& limits) {
  switch (TypeOf(operation)) {
    case AuthOpType::kGrant:
      return RefuseGrant(cited, std::get<GrantOp>(operation), limits);
    case AuthOpType::kInvite:
      return RefuseInvite(cited, std::get<InviteOp>(operation), limits);
    case AuthOpType::kRevoke:
      return resigns ? std::string() : RefuseRole(cited, GrantRole::kAdmin, "revoke");
    case AuthOpType::kRedeem:
      return {};
    case AuthOpType::kAdmit:
      return RefuseRole(cited, GrantRole::kAdmin, "admit");
    default:
      return RefuseRole(cited, GrantRole::kModerator, "moderate");
  }
}

}  // namespace weft
