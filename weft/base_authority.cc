// The part of Base that is about people: grants, invites, removals, moderation.

#include <algorithm>

#include "absl/strings/str_format.h"
#include "weft/base.h"
#include "weft/base_people.h"
#include "weft/convert.h"
#include "weft/store_impl.h"

namespace weft {
namespace {

// The fate of ops in a batch of this standing; what is effective is not held back.
OpFateKind ToFateKind(Standing standing) {
  switch (standing) {
    case Standing::kEffective:
      break;
    case Standing::kPending:
      return OpFateKind::kPending;
    case Standing::kRejected:
      return OpFateKind::kRejected;
    case Standing::kQuarantined:
      return OpFateKind::kQuarantined;
    case Standing::kNotAllowed:
      return OpFateKind::kNotAllowed;
    case Standing::kAfterFork:
      return OpFateKind::kAfterFork;
  }
  return OpFateKind::kUnknown;
}

absl::Status CheckIndexer(const BaseNode& node) {
  if (node.indexer() != nullptr) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrFormat(
      "base %s: no peer has given its genesis yet; sync with one first", node.name()));
}

// Those of the grants that we can revoke: what is below ours, and our own but for that
// of the first founder.
absl::StatusOr<std::vector<const Grant*>> OnlyBelow(const Authority& authority,
                                                    const BaseNode& node,
                                                    std::vector<const Grant*> grants,
                                                    std::string_view who) {
  const CoreKey self = node.record().identity;
  const Grant* ours = nullptr;
  for (const Grant* grant : authority.GrantsOf(self)) {
    const bool rules = grant->role >= GrantRole::kAdmin && !grant->revoked;
    if (rules && ours == nullptr) ours = grant;
  }
  const GrantPath& first = authority.grants().begin()->first;
  bool own = false;
  std::erase_if(grants, [&](const Grant* grant) {
    own = own || grant->identity == self;
    if (grant->identity == self) return grant->path == first;
    return ours == nullptr || grant->path <= ours->path;
  });
  if (!grants.empty()) return grants;
  if (own) return absl::PermissionDeniedError("the first founder cannot resign");
  if (ours == nullptr) {
    return absl::PermissionDeniedError("only an admin can revoke a grant");
  }
  return absl::PermissionDeniedError(
      absl::StrFormat("%s: only a more senior member can revoke that", who));
}

absl::StatusOr<KeyPair> InvitePairOf(const BaseNode& node, std::string_view invite) {
  WEFT_ASSIGN_OR_RETURN(const Link link, ParseLink(invite));
  if (!link.invite_secret || link.base_id != node.base_id()) {
    return absl::InvalidArgumentError("the link is no invite to this base");
  }
  return KeyPairFromSeed(*link.invite_secret);
}

// The grants that `who` names and that we can revoke.
absl::StatusOr<std::vector<const Grant*>> GrantsToRevoke(const BaseNode& node,
                                                         std::string_view who) {
  WEFT_RETURN_IF_ERROR(CheckIndexer(node));
  const Authority& authority = node.indexer()->authority();
  if (const std::optional<OpName> name = OpName::Parse(who)) {
    const std::optional<OpId> id = ToOpId(*name);
    const Grant* grant = id ? authority.Find(*id) : nullptr;
    if (grant != nullptr) return OnlyBelow(authority, node, {grant}, who);
    return absl::NotFoundError(
        absl::StrFormat("%s: there is no grant or invite of this name", who));
  }
  if (who.starts_with("weft:")) {
    WEFT_ASSIGN_OR_RETURN(const KeyPair pair, InvitePairOf(node, who));
    const Grant* const invite = authority.FindInvite(pair.public_key);
    if (invite != nullptr) return OnlyBelow(authority, node, {invite}, "the invite");
    return absl::NotFoundError("there is no such invite in this base");
  }
  WEFT_ASSIGN_OR_RETURN(const CoreKey identity, ParseId("identity", who));
  std::vector<const Grant*> grants = authority.GrantsOf(identity);
  if (grants.empty()) {
    return absl::NotFoundError(absl::StrFormat("%s: holds no grant", who));
  }
  return OnlyBelow(authority, node, std::move(grants), who);
}

std::vector<KeptLength> KeepOf(const BaseNode& node, const Grant& grant,
                               const RevokeOptions& options) {
  if (options.keep_nothing) return {};
  return node.indexer()->KnownLengths(grant, options.subtree);
}

// What to write to revoke all that `who` names. `options` must outlive it.
absl::StatusOr<std::vector<AuthOperation>> RevocationsOf(const BaseNode& node,
                                                         std::string_view who,
                                                         const RevokeOptions& options) {
  WEFT_ASSIGN_OR_RETURN(auto grants, GrantsToRevoke(node, who));
  // The most junior first: a commit needs a grant that still stands.
  std::sort(grants.begin(), grants.end(),
            [](const auto* a, const auto* b) { return b->path < a->path; });
  std::vector<AuthOperation> operations;
  for (const Grant* grant : grants) {
    RevokeOp revoke;
    revoke.grant = grant->id;
    // Of a resignation no keep list counts.
    if (grant->identity != node.record().identity) {
      revoke.keep = KeepOf(node, *grant, options);
    }
    revoke.subtree = options.subtree;
    revoke.reason = AsBytes(options.reason);
    operations.emplace_back(std::move(revoke));
  }
  return operations;
}

// Of revocations of grants in one hand.
bool IsResignation(const BaseNode& node, std::span<const AuthOperation> revocations) {
  const auto& revoke = std::get<RevokeOp>(revocations.front());
  const Grant* const grant = node.indexer()->authority().Find(revoke.grant);
  return grant != nullptr && grant->identity == node.record().identity;
}

absl::StatusOr<std::vector<OpId>> ToOpIds(const std::vector<OpName>& names) {
  std::vector<OpId> ids;
  for (const OpName& name : names) {
    const std::optional<OpId> id = ToOpId(name);
    if (!id) {
      return absl::InvalidArgumentError(
          absl::StrFormat("op %s: the writer is not a core key", name.ToText()));
    }
    ids.push_back(*id);
  }
  if (ids.empty()) return absl::InvalidArgumentError("no op is named");
  return ids;
}

absl::StatusOr<OpName> CommitOne(BaseImpl* impl, const AuthOperation& operation) {
  return FirstOp(impl->store->CommitDurably(
      impl->node, [&] { return impl->node->AuthLogged(std::span(&operation, 1)); }));
}

// The same for a verdict, which is not written if it would change nothing.
absl::StatusOr<OpName> CommitVerdict(BaseImpl* impl, const AuthOperation& operation) {
  return FirstOp(
      impl->store->CommitDurably(impl->node, [&]() -> absl::StatusOr<Committed> {
        WEFT_RETURN_IF_ERROR(CheckIndexer(*impl->node));
        WEFT_RETURN_IF_ERROR(
            impl->node->indexer()->CheckEffect(impl->node->record().log(), operation));
        return impl->node->AuthLogged(std::span(&operation, 1));
      }));
}

absl::StatusOr<OpName> Judge(BaseImpl* impl, AuthOpType type, std::string_view writer,
                             std::uint64_t from, std::uint64_t to) {
  VerdictOp verdict;
  verdict.type = type;
  WEFT_ASSIGN_OR_RETURN(verdict.log, ParseId("writer", writer));
  verdict.from = from;
  verdict.to = to;
  return CommitVerdict(impl, verdict);
}

}  // namespace

absl::StatusOr<OpName> Base::Grant(std::string_view identity, Role role,
                                   std::string_view scope, bool may_delegate) {
  GrantOp grant;
  WEFT_ASSIGN_OR_RETURN(grant.identity, ParseId("identity", identity));
  if (role == Role::kFounder) {
    return absl::InvalidArgumentError("role founder: a base's genesis alone makes one");
  }
  grant.role = ToGrantRole(role);
  grant.scope = AsBytes(scope);
  grant.may_delegate = may_delegate;
  return CommitOne(impl_.get(), grant);
}

absl::StatusOr<std::string> Base::Invite(const InviteOptions& options) {
  if (options.role > Role::kWriter) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "role %s: an invite makes readers, moderated members and writers",
        std::string(RoleName(options.role))));
  }
  InviteOp invite;
  invite.role = ToGrantRole(options.role);
  invite.scope = AsBytes(options.scope);
  invite.uses = options.uses;
  Link link = impl_->store->Run([&] { return impl_->node->MakeLink(); });
  link.addresses = options.addresses;
  for (const std::string& address : link.addresses) {
    if (!IsAddress(address)) {
      return absl::InvalidArgumentError(
          absl::StrFormat("%s: not an address, which is host:port", address));
    }
  }
  link.invite_secret = impl_->store->Run([&] { return impl_->node->NewSecret(); });
  invite.key = KeyPairFromSeed(*link.invite_secret).public_key;
  WEFT_RETURN_IF_ERROR(CommitOne(impl_.get(), invite).status());
  return ToText(link);
}

absl::StatusOr<OpName> Base::Redeem(std::string_view invite,
                                    std::string_view identity) {
  WEFT_ASSIGN_OR_RETURN(const KeyPair pair, InvitePairOf(*impl_->node, invite));
  WEFT_ASSIGN_OR_RETURN(const CoreKey who, ParseId("identity", identity));
  const Signature signature =
      Sign(pair.secret_key, RedeemSignable(impl_->node->base_id().view(), who));
  return FirstOp(impl_->store->CommitDurably(impl_->node, [&] {
    return impl_->node->RedeemLogged(pair.public_key, who, signature);
  }));
}

std::vector<JoinRequest> Base::Requests() const {
  return impl_->store->Run([&] {
    std::vector<JoinRequest> requests;
    if (impl_->node->indexer() == nullptr) return requests;
    for (const auto& [identity, note] : impl_->node->people().requests()) {
      if (impl_->node->indexer()->authority().IsNamed(identity)) continue;
      requests.push_back({IdText(identity), note});
    }
    return requests;
  });
}

absl::StatusOr<OpName> Base::Approve(std::string_view identity, Role role,
                                     std::string_view scope) {
  WEFT_ASSIGN_OR_RETURN(const OpName grant, Grant(identity, role, scope));
  WEFT_ASSIGN_OR_RETURN(const CoreKey key, ParseId("identity", identity));
  impl_->store->Run([&] {
    impl_->node->people().Forget(key);
    return true;
  });
  return grant;
}

absl::StatusOr<RevokePlan> Base::PlanRevoke(std::string_view who,
                                            const RevokeOptions& options) const {
  return impl_->store->Run([&]() -> absl::StatusOr<RevokePlan> {
    const BaseNode& node = *impl_->node;
    WEFT_ASSIGN_OR_RETURN(const auto revocations, RevocationsOf(node, who, options));
    WEFT_ASSIGN_OR_RETURN(const auto cost,
                          node.indexer()->CostOf(node.record().log(), revocations));
    return RevokePlan{cost.grants, cost.writes};
  });
}

absl::StatusOr<OpName> Base::Revoke(std::string_view who,
                                    const RevokeOptions& options) {
  return FirstOp(
      impl_->store->CommitDurably(impl_->node, [&]() -> absl::StatusOr<Committed> {
        WEFT_ASSIGN_OR_RETURN(const auto revocations,
                              RevocationsOf(*impl_->node, who, options));
        return IsResignation(*impl_->node, revocations)
                   ? impl_->node->ResignLogged(revocations)
                   : impl_->node->AuthLogged(revocations);
      }));
}

absl::StatusOr<std::vector<HeldBackWrites>> Base::Recoverable() const {
  return impl_->store->Run([&] { return impl_->node->Recoverable(); });
}

absl::StatusOr<Recovered> Base::Recover() {
  Recovered recovered;
  WEFT_RETURN_IF_ERROR(
      impl_->store
          ->CommitDurably(impl_->node,
                          [&] { return impl_->node->RecoverLogged(&recovered); })
          .status());
  return recovered;
}

std::vector<HeldBackWrites> Base::HeldBack(std::size_t max) const {
  return impl_->store->Run([&] {
    std::vector<HeldBackWrites> list;
    const Indexer* indexer = impl_->node->indexer();
    if (indexer == nullptr) return list;
    for (const struct HeldBack& held : indexer->ListHeldBack(max)) {
      list.push_back(
          {IdText(held.log), IdText(indexer->authority().IdentityOf(held.log)),
           held.from, held.to, held.ops,
           FateText(held.hidden ? OpFateKind::kHidden : ToFateKind(held.standing)),
           held.reason});
    }
    return list;
  });
}

absl::StatusOr<OpName> Base::Accept(std::string_view writer, std::uint64_t from,
                                    std::uint64_t to) {
  return Judge(impl_.get(), AuthOpType::kAccept, writer, from, to);
}

absl::StatusOr<OpName> Base::Reject(std::string_view writer, std::uint64_t from,
                                    std::uint64_t to) {
  return Judge(impl_.get(), AuthOpType::kReject, writer, from, to);
}

absl::StatusOr<OpName> Base::Admit(std::string_view writer, std::uint64_t from,
                                   std::uint64_t to) {
  return Judge(impl_.get(), AuthOpType::kAdmit, writer, from, to);
}

absl::StatusOr<OpName> Base::Hide(const std::vector<OpName>& ops) {
  HideOp hide;
  WEFT_ASSIGN_OR_RETURN(hide.ops, ToOpIds(ops));
  hide.ops_named.resize(hide.ops.size());
  return CommitVerdict(impl_.get(), hide);
}

absl::StatusOr<OpName> Base::Unhide(const std::vector<OpName>& ops) {
  HideOp hide;
  hide.hide = false;
  WEFT_ASSIGN_OR_RETURN(hide.ops, ToOpIds(ops));
  hide.ops_named.resize(hide.ops.size());
  return CommitVerdict(impl_.get(), hide);
}

absl::StatusOr<OpName> Base::Rollback(std::string_view writer, std::uint64_t from,
                                      std::uint64_t to, std::string_view prefix) {
  HideOp hide;
  WEFT_ASSIGN_OR_RETURN(hide.log, ParseId("writer", writer));
  hide.from = from;
  hide.to = to;
  hide.prefix = AsBytes(prefix);
  return CommitVerdict(impl_.get(), hide);
}

}  // namespace weft
