// What an auth op would do before anybody writes it. Of a verdict: the rules of 6.6 and
// P4, asked of an entry that would be the newest under its grant. Of a revocation, from
// which anything may follow: the pass itself, over a copy of the facts and one more.

#include <algorithm>

#include "crdt/authority.h"

namespace weft {

Authority::Effect Authority::EffectOn(AuthOpType type, const Grant& by,
                                      GrantNumber cited, const CoreKey& writer,
                                      std::uint64_t first, std::uint64_t end,
                                      bool writes) const {
  const GrantState& state = *grants_[cited];
  const Standing standing = StandingOf(cited, writer, first, end, writes);
  if (type == AuthOpType::kAdmit) {
    const Cut* const cut = CutOf(state, writer);
    if (standing != Standing::kQuarantined || cut == nullptr || !cut->counts) {
      return Effect::kNone;
    }
    const bool above =
        by.path < state.grant.path &&
        std::all_of(state.now.hits.begin(), state.now.hits.end(), [&](const Hit& hit) {
          if (Kept(state, hit, writer) >= end) return true;
          const Batch& batch = batches_[revocations_[hit.revocation].batch];
          return by.path <= grants_[batch.cited]->grant.path;
        });
    return above ? Effect::kSome : Effect::kOverruled;
  }
  const bool judged = standing == Standing::kPending ||
                      standing == Standing::kRejected ||
                      standing == Standing::kEffective;
  if (!judged || !writes || !IsModerated(state)) return Effect::kNone;
  if (by.path >= state.grant.path) return Effect::kOverruled;
  const ModerationEntry* const verdict = VerdictOn(state, writer, first);
  if (verdict == nullptr) return Effect::kSome;
  if (verdict->type == type) return Effect::kNone;
  return grants_[verdict->cited]->grant.path < by.path ? Effect::kOverruled
                                                       : Effect::kSome;
}

Authority::Effect Authority::EffectOnOp(bool hide, const Grant& by, GrantNumber cited,
                                        const OpId& op, std::string_view key) const {
  const GrantPath& path = grants_[cited]->grant.path;
  if (by.path >= path) return Effect::kOverruled;
  const ModerationEntry* const entry = moderation_.HidingOf(op, key);
  const bool counts = entry != nullptr && grants_[entry->cited]->grant.path < path;
  const bool hidden = counts && entry->type == AuthOpType::kHide;
  if (hidden == hide) return Effect::kNone;
  const bool overruled = counts && grants_[entry->cited]->grant.path < by.path;
  return overruled ? Effect::kOverruled : Effect::kSome;
}

void Authority::Suppose(const CoreKey& writer, std::uint64_t position,
                        GrantNumber cited, std::span<const AuthOperation> operations) {
  Batch batch;
  batch.writer = writer;
  batch.first = position;
  batch.end = position + 1;
  batch.cited = cited;
  std::vector<AuthOperation> named(operations.begin(), operations.end());
  std::vector<std::pair<OpId, const AuthOperation*>> ops;
  for (std::size_t i = 0; i < named.size(); ++i) {
    if (auto* revoke = std::get_if<RevokeOp>(&named[i])) revoke->named = UINT64_MAX;
    ops.emplace_back(OpId{writer, position, static_cast<std::uint32_t>(i)}, &named[i]);
  }
  AddBatch(std::move(batch), ops);
}

}  // namespace weft
