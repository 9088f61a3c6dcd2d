// The facts: what batches say, checked as far as it can be for ever. The pass over them
// is in crdt/authority_pass.cc.

#include "crdt/authority.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "crdt/authority_rules.h"
#include "engine/check.h"
#include "engine/codec.h"

namespace weft {
namespace {

// As RedeemOp::named: the invite key has not signed it.
constexpr std::uint64_t kUnproven = kUintMax;

}  // namespace

const char* RoleText(GrantRole role) {
  switch (role) {
    case GrantRole::kReader:
      return "reader";
    case GrantRole::kModerated:
      return "moderated writer";
    case GrantRole::kWriter:
      return "writer";
    case GrantRole::kModerator:
      return "moderator";
    case GrantRole::kAdmin:
      return "admin";
    case GrantRole::kFounder:
      return "founder";
  }
  return "unknown role";
}

bool Authority::PathLess::operator()(GrantNumber a, GrantNumber b) const {
  const auto& grants = authority->grants_;
  const auto order = grants[a]->grant.path <=> grants[b]->grant.path;
  return order != 0 ? order < 0 : a < b;
}

Authority::Authority(const Genesis& genesis, PastLength past)
    : limits_(genesis.limits),
      base_id_(BaseIdOf(EncodeGenesis(genesis))),
      past_(std::move(past)),
      dirty_(PathLess{this}) {
  for (std::size_t i = 0; i < genesis.founders.size(); ++i) {
    const auto index = static_cast<std::uint32_t>(i);
    Grant grant;
    grant.id = GenesisGrantId(index);
    grant.identity = KeyOf(genesis.founders[i]);
    grant.role = GrantRole::kFounder;
    grant.may_delegate = true;
    grant.path.founder = index;
    grant.issued_under = grant.id;
    GrantState& state =
        NewGrant(std::move(grant), static_cast<GrantNumber>(grants_.size()), kNone);
    SetEffective(&state, true);
  }
  AuthorityChange change;
  Evaluate(&change);
}

Authority::GrantState& Authority::NewGrant(Grant grant, GrantNumber parent,
                                           BatchNumber batch) {
  const auto number = static_cast<GrantNumber>(grants_.size());
  auto state = std::make_unique<GrantState>();
  state->grant = std::move(grant);
  state->grant.number = number;
  state->parent = parent;
  state->batch = batch;
  GrantState& made = *state;
  grants_.push_back(std::move(state));
  if (parent != number) grants_[parent]->children.push_back(number);
  if (made.grant.kind != Grant::Kind::kRedeemed) by_id_.emplace(made.grant.id, number);
  if (made.grant.kind != Grant::Kind::kInvite) {
    by_holder_[made.grant.identity].push_back(number);
  }
  return made;
}

// --- what a batch says ---

std::optional<GrantNumber> Authority::Cited(const OpId& cite,
                                            std::uint64_t cite_named) const {
  const auto found = by_id_.find(cite);
  if (found == by_id_.end()) return std::nullopt;
  const GrantState& state = *grants_[found->second];
  switch (state.grant.kind) {
    case Grant::Kind::kGenesis:
      return found->second;
    case Grant::Kind::kInvite:
      return std::nullopt;
    case Grant::Kind::kGranted:
      if (cite_named < state.grant.batch_end) return std::nullopt;
      return found->second;
    case Grant::Kind::kRedeemed: {
      const Redemption& redemption = redemptions_[redemption_by_id_.at(cite)];
      if (cite_named < batches_[redemption.batch].end) return std::nullopt;
      return found->second;
    }
  }
  return std::nullopt;
}

std::string Authority::RefuseBatch(const CoreKey& writer, const Grant& cited,
                                   std::span<const DecodedBlock> batch) const {
  if (cited.identity != IdentityOf(writer)) {
    return "the cited grant is somebody else's";
  }
  for (const DecodedBlock& block : batch) {
    for (std::size_t i = 0; i < block.payload.operations.size(); ++i) {
      std::string reason = RefuseData(cited, block.payload.operations[i]);
      if (!reason.empty()) return absl::StrFormat("op %d: %s", i, reason);
    }
    for (std::size_t i = 0; i < block.payload.auth_operations.size(); ++i) {
      const AuthOperation& op = block.payload.auth_operations[i];
      const auto* revoke = std::get_if<RevokeOp>(&op);
      bool resigns = false;
      if (revoke != nullptr) {
        // A redemption that is not named may be here or not yet.
        const auto target = by_id_.find(revoke->grant);
        resigns = target != by_id_.end() && target->second == cited.number &&
                  NamesRedemption(revoke->grant, revoke->named);
      }
      std::string reason = RefuseAuth(cited, op, resigns, limits_);
      if (!reason.empty()) return absl::StrFormat("op %d: %s", i, reason);
    }
  }
  return {};
}

Verdict Authority::Check(const CoreKey& writer, std::span<const DecodedBlock> batch,
                         std::optional<GrantNumber> cited) const {
  WEFT_CHECK(!batch.empty());
  if (absl::Status status = CheckBatch(batch, limits_); !status.ok()) {
    return {Verdict::Kind::kInvalid, std::string(status.message()), 0};
  }
  // A grant that is not named may be here or not yet: one reason for both.
  if (!cited) {
    return {Verdict::Kind::kNotAllowed, "does not name the grant that it cites", 0};
  }
  std::string reason = RefuseBatch(writer, grants_[*cited]->grant, batch);
  if (!reason.empty()) {
    return {Verdict::Kind::kNotAllowed, std::move(reason), *cited};
  }
  return {Verdict::Kind::kSound, {}, *cited};
}

void Authority::DropUnproven(const CoreKey& writer,
                             std::span<DecodedBlock> batch) const {
  // The invite may stand in the batch itself.
  absl::flat_hash_map<OpId, PublicKey> own;
  for (const DecodedBlock& block : batch) {
    const auto& operations = block.payload.auth_operations;
    for (std::size_t i = 0; i < operations.size(); ++i) {
      const auto* invite = std::get_if<InviteOp>(&operations[i]);
      if (invite == nullptr) continue;
      const auto index = static_cast<std::uint32_t>(i);
      own.emplace(OpId{writer, block.header.position, index}, invite->key);
    }
  }
  const auto key_of = [&](const OpId& id) -> const PublicKey* {
    if (const auto found = own.find(id); found != own.end()) return &found->second;
    const auto found = by_id_.find(id);
    if (found == by_id_.end()) return nullptr;
    const Grant& grant = grants_[found->second]->grant;
    return grant.kind == Grant::Kind::kInvite ? &grant.invite_key : nullptr;
  };
  for (DecodedBlock& block : batch) {
    for (AuthOperation& operation : block.payload.auth_operations) {
      auto* redeem = std::get_if<RedeemOp>(&operation);
      if (redeem == nullptr) continue;
      const PublicKey* key = key_of(redeem->invite);
      if (key == nullptr) continue;
      const Bytes message = RedeemSignable(base_id_.view(), redeem->identity);
      if (!Verify(*key, message, redeem->signature)) redeem->named = kUnproven;
    }
  }
}

void Authority::Add(const CoreKey& writer, std::span<const DecodedBlock> batch,
                    GrantNumber cited) {
  Batch added;
  added.writer = writer;
  added.first = batch.front().header.position;
  added.end = batch.back().header.position + 1;
  added.cited = cited;
  if (!restoring_) {
    new_facts_.push_back(EncodeFact(added, batch.front().header.envelope->cite, batch));
  }
  std::vector<std::pair<OpId, const AuthOperation*>> ops;
  for (const DecodedBlock& block : batch) {
    for (std::size_t i = 0; i < block.payload.auth_operations.size(); ++i) {
      ops.emplace_back(
          OpId{writer, block.header.position, static_cast<std::uint32_t>(i)},
          &block.payload.auth_operations[i]);
    }
  }
  AddBatch(std::move(added), ops);
}

void Authority::AddBatch(Batch batch,
                         std::span<const std::pair<OpId, const AuthOperation*>> ops) {
  const auto number = static_cast<BatchNumber>(batches_.size());
  const CoreKey writer = batch.writer;
  const GrantNumber cited = batch.cited;
  batches_.push_back(std::move(batch));
  // An op may speak of any other of its batch: what makes something comes first.
  const auto turn = [](const AuthOperation& operation) {
    if (std::holds_alternative<RedeemOp>(operation)) return 1;
    const bool makes = std::holds_alternative<GrantOp>(operation) ||
                       std::holds_alternative<InviteOp>(operation);
    return makes ? 0 : 2;
  };
  for (int now = 0; now < 3; ++now) {
    for (const auto& [id, operation] : ops) {
      if (turn(*operation) == now) AddOp(number, id, *operation);
    }
  }
  by_log_[writer].push_back(number);
  GrantState& state = *grants_[cited];
  state.batches.push_back(number);
  const bool redeemed = state.grant.kind == Grant::Kind::kRedeemed;
  if (redeemed || !batches_[number].redemptions.empty()) {
    batches_[number].late = late_batches_.size();
    late_batches_.push_back(number);
  }
  if (!redeemed && state.now.effective) dirty_.insert(cited);
}

// Whether the grant counts as named by an op of `batch` that names `named` blocks of
// the log of the grant.
bool Authority::NamesGrant(const Grant& grant, std::uint64_t named,
                           const Batch& batch) {
  if (grant.is_genesis() || grant.batch_end <= named) return true;
  return grant.issuer == batch.writer && grant.batch_end == batch.end;
}

// Whether whoever names `named` blocks of the log that carries a redemption names it;
// true of what is no redemption. `own`: the batch that does, if it was added.
bool Authority::NamesRedemption(const OpId& id, std::uint64_t named,
                                BatchNumber own) const {
  const auto found = redemption_by_id_.find(id);
  if (found == redemption_by_id_.end()) return true;
  const BatchNumber carrier = redemptions_[found->second].batch;
  return carrier == own || named >= batches_[carrier].end;
}

void Authority::AddOp(BatchNumber number, const OpId& id,
                      const AuthOperation& operation) {
  const GrantNumber cited = batches_[number].cited;
  Grant made;
  made.id = id;
  made.issued_under = grants_[cited]->grant.id;
  made.issuer = id.writer;
  made.batch_end = batches_[number].end;
  made.depth = grants_[cited]->grant.depth + 1;
  ModerationEntry entry;
  entry.type = TypeOf(operation);
  entry.cited = cited;
  entry.number = NumberOf(id.writer);
  entry.id = id;
  if (const auto* grant = std::get_if<GrantOp>(&operation)) {
    made.kind = Grant::Kind::kGranted;
    made.identity = grant->identity;
    made.role = grant->role;
    made.scope = ToBytes(grant->scope);
    made.may_delegate = grant->may_delegate;
    made.forks = grant->forks;
    batches_[number].made.push_back(
        NewGrant(std::move(made), cited, number).grant.number);
  } else if (const auto* invite = std::get_if<InviteOp>(&operation)) {
    made.kind = Grant::Kind::kInvite;
    made.role = invite->role;
    made.scope = ToBytes(invite->scope);
    made.invite_key = invite->key;
    made.uses = invite->uses;
    batches_[number].made.push_back(
        NewGrant(std::move(made), cited, number).grant.number);
  } else if (const auto* revoke = std::get_if<RevokeOp>(&operation)) {
    AddRevoke(number, id, *revoke);
  } else if (const auto* redeem = std::get_if<RedeemOp>(&operation)) {
    AddRedeem(number, id, *redeem);
  } else if (const auto* verdict = std::get_if<VerdictOp>(&operation)) {
    if (verdict->named < verdict->to) return;
    entry.log = verdict->log;
    entry.from = verdict->from;
    entry.to = verdict->to;
    batches_[number].moderation.push_back(moderation_.Add(std::move(entry)));
  } else if (const auto* hide = std::get_if<HideOp>(&operation)) {
    for (std::size_t i = 0; i < hide->ops.size(); ++i) {
      if (hide->ops_named[i] > hide->ops[i].position) entry.ops.push_back(hide->ops[i]);
    }
    if (hide->ops.empty()) {
      if (hide->named < hide->to) return;
      entry.log = hide->log;
      entry.from = hide->from;
      entry.to = hide->to;
      entry.prefix = ToBytes(hide->prefix);
    } else if (entry.ops.empty()) {
      return;
    }
    batches_[number].moderation.push_back(moderation_.Add(std::move(entry)));
  }
}

void Authority::AddRevoke(BatchNumber number, const OpId& id, const RevokeOp& op) {
  const auto found = by_id_.find(op.grant);
  if (found == by_id_.end()) return;
  const GrantNumber target = found->second;
  Batch& batch = batches_[number];
  const Grant& grant = grants_[target]->grant;
  if (grant.kind == Grant::Kind::kRedeemed) {
    if (!NamesRedemption(op.grant, op.named, number)) return;
  } else if (!NamesGrant(grant, op.named, batch) && target != batch.cited) {
    return;
  }
  // Genesis grant 0 cannot be revoked, not even by itself (P2).
  if (grant.id == GenesisGrantId(0)) return;
  // The keep lists of one batch for one grant are one list, the smaller length first.
  Revocation* joined = nullptr;
  if (const auto& all = grants_[target]->revocations; !all.empty()) {
    if (revocations_[all.back()].batch == number) joined = &revocations_[all.back()];
  }
  if (joined == nullptr) {
    const auto index = static_cast<std::uint32_t>(revocations_.size());
    batch.revocations.push_back(index);
    grants_[target]->revocations.push_back(index);
    joined = &revocations_.emplace_back();
    joined->batch = number;
    joined->id = id;
    joined->target = target;
    joined->resignation = target == batch.cited;
    joined->reason = std::string(
        AsText(op.reason.first(std::min(op.reason.size(), kReasonBytesMax))));
  }
  joined->subtree = joined->subtree || op.subtree;
  if (joined->resignation) return;  // its keep list means nothing
  for (const KeptLength& kept : op.keep) {
    const auto [entry, added] = joined->keep.try_emplace(kept.log, kept.length);
    if (!added) entry->second = std::min(entry->second, kept.length);
  }
}

void Authority::AddRedeem(BatchNumber number, const OpId& id, const RedeemOp& op) {
  redeems_.insert(id);
  const auto found = by_id_.find(op.invite);
  if (found == by_id_.end()) return;
  const GrantNumber invite = found->second;
  const Grant& from = grants_[invite]->grant;
  if (from.kind != Grant::Kind::kInvite || op.named == kUnproven ||
      !NamesGrant(from, op.named, batches_[number])) {
    return;
  }
  const auto [entry, added] =
      redeemed_.try_emplace({invite, op.identity}, GrantNumber{0});
  if (added) {
    Grant grant;
    grant.kind = Grant::Kind::kRedeemed;
    grant.id = id;
    grant.identity = op.identity;
    grant.role = from.role;
    grant.scope = from.scope;
    grant.issued_under = from.id;
    grant.issuer = id.writer;
    grant.batch_end = batches_[number].end;
    grant.depth = from.depth + 1;
    entry->second = NewGrant(std::move(grant), invite, kNone).grant.number;
    redeemed_grants_.push_back(entry->second);
  }
  const auto index = static_cast<std::uint32_t>(redemptions_.size());
  redemptions_.push_back({number, id, entry->second, false});
  batches_[number].redemptions.push_back(index);
  grants_[entry->second]->redemptions.push_back(index);
  redemption_by_id_.emplace(id, index);
  by_id_.emplace(id, entry->second);
}

// --- incarnations and forks ---

void Authority::AddIncarnation(const CoreKey& writer, const Incarnation& certificate) {
  if (!identities_.try_emplace(writer, certificate.identity, certificate.number)
           .second) {
    return;
  }
  if (!restoring_) new_facts_.push_back(EncodeIncarnationFact(writer, certificate));
  if (forks_.contains(writer)) {
    --forked_logs_[writer];
    ++forked_logs_[certificate.identity];
  }
  std::vector<IncarnationState>& logs = incarnations_[certificate.identity];
  const IncarnationState state{writer, certificate.number, certificate.prev_core,
                               certificate.prev_length};
  const auto place = std::upper_bound(
      logs.begin(), logs.end(), state, [](const auto& a, const auto& b) {
        return std::tie(a.number, a.log) < std::tie(b.number, b.log);
      });
  logs.insert(place, state);
  const auto held = by_holder_.find(certificate.identity);
  if (held == by_holder_.end()) return;
  for (const GrantNumber grant : held->second) MarkDirty(grant);
}

void Authority::SetFork(const CoreKey& writer, std::uint64_t fork_point,
                        std::uint64_t cut) {
  const auto [entry, added] = forks_.try_emplace(writer, ForkState{fork_point, cut});
  if (!added && entry->second.fork_point == fork_point && entry->second.cut == cut) {
    return;
  }
  if (added) ++forked_logs_[IdentityOf(writer)];
  entry->second = {fork_point, cut};
  all_dirty_ = true;
}

const CoreKey& Authority::IdentityOf(const CoreKey& writer) const {
  const auto found = identities_.find(writer);
  return found == identities_.end() ? writer : found->second.first;
}

std::uint64_t Authority::NumberOf(const CoreKey& writer) const {
  const auto found = identities_.find(writer);
  return found == identities_.end() ? 0 : found->second.second;
}

std::vector<CoreKey> Authority::LogsOf(const CoreKey& identity) const {
  std::vector<CoreKey> logs = {identity};
  const auto found = incarnations_.find(identity);
  if (found == incarnations_.end()) return logs;
  for (const IncarnationState& later : found->second) logs.push_back(later.log);
  return logs;
}

std::uint64_t Authority::ForkCut(const CoreKey& log) const {
  const auto found = forks_.find(log);
  return found == forks_.end() ? UINT64_MAX : found->second.cut;
}

// --- grants ---

const Grant* Authority::Find(const OpId& id) const {
  const auto found = by_id_.find(id);
  if (found == by_id_.end() || !grants_[found->second]->now.effective) return nullptr;
  return &grants_[found->second]->grant;
}

std::vector<const Grant*> Authority::GrantsOf(const CoreKey& identity) const {
  std::vector<const Grant*> held;
  const auto found = by_holder_.find(identity);
  if (found == by_holder_.end()) return held;
  for (const GrantNumber number : found->second) {
    const GrantState& state = *grants_[number];
    if (state.now.effective && state.now.hits.empty()) held.push_back(&state.grant);
  }
  std::sort(held.begin(), held.end(),
            [](const Grant* a, const Grant* b) { return a->path < b->path; });
  return held;
}

std::vector<const Grant*> Authority::Invites() const {
  std::vector<const Grant*> invites;
  for (const auto& state : grants_) {
    if (state->grant.kind == Grant::Kind::kInvite && state->now.effective) {
      invites.push_back(&state->grant);
    }
  }
  return invites;
}

const Grant* Authority::FindInvite(const PublicKey& invite_key) const {
  for (const Grant* const invite : Invites()) {
    if (invite->invite_key == invite_key) return invite;
  }
  return nullptr;
}

std::vector<GrantNumber> Authority::Below(GrantNumber number, bool subtree) const {
  std::vector<GrantNumber> found = {number};
  for (std::size_t i = 0; subtree && i < found.size(); ++i) {
    for (const GrantNumber child : grants_[found[i]]->children) {
      if (grants_[child]->now.effective) found.push_back(child);
    }
  }
  return found;
}

std::vector<CoreKey> Authority::CarriersOf(const Grant& invite) const {
  std::vector<CoreKey> carriers;
  for (const GrantNumber child : grants_[invite.number]->children) {
    for (const std::uint32_t index : grants_[child]->redemptions) {
      carriers.push_back(redemptions_[index].id.writer);
    }
  }
  return carriers;
}

std::uint64_t Authority::UsesOf(const Grant& invite) const {
  return grants_[invite.number]->used.size();
}

bool Authority::IsMember(const CoreKey& identity) const {
  const auto found = by_holder_.find(identity);
  if (found == by_holder_.end()) return false;
  return std::any_of(found->second.begin(), found->second.end(),
                     [&](GrantNumber number) {
                       const Outcome& now = grants_[number]->now;
                       return now.effective && now.hits.empty();
                     });
}

bool Authority::IsNamed(const CoreKey& writer) const {
  const auto found = by_holder_.find(IdentityOf(writer));
  if (found == by_holder_.end()) return false;
  return std::any_of(
      found->second.begin(), found->second.end(),
      [&](GrantNumber number) { return grants_[number]->now.effective; });
}

const GrantPath* Authority::SeniorPath(const CoreKey& identity) const {
  const GrantPath* senior = nullptr;
  const auto found = by_holder_.find(identity);
  if (found == by_holder_.end()) return nullptr;
  for (const GrantNumber number : found->second) {
    const GrantState& state = *grants_[number];
    if (!state.now.effective || state.grant.kind == Grant::Kind::kRedeemed) continue;
    if (senior == nullptr || state.grant.path < *senior) senior = &state.grant.path;
  }
  return senior;
}

std::uint64_t Authority::SettledLimit(const CoreKey& writer) const {
  if (const auto fork = forks_.find(writer); fork != forks_.end()) {
    return fork->second.cut;
  }
  const auto found = by_holder_.find(IdentityOf(writer));
  if (found == by_holder_.end()) return 0;
  std::uint64_t limit = 0;
  for (const GrantNumber number : found->second) {
    const GrantState& state = *grants_[number];
    if (!state.now.effective) continue;
    if (state.now.hits.empty()) return UINT64_MAX;
    if (const Cut* cut = CutOf(state, writer)) limit = std::max(limit, cut->length);
  }
  return limit;
}

bool Authority::RedemptionCounts(const OpId& op) const {
  const auto found = redemption_by_id_.find(op);
  return found != redemption_by_id_.end() && redemptions_[found->second].counts;
}

}  // namespace weft
