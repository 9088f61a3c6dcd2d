// The pass of 6.4: from facts to verdicts.
//
// A grant is looked at when all that can decide about it, which has a smaller path, is
// settled. What its own batches then say may make others dirty, with larger paths only.

#include <algorithm>

#include "crdt/authority.h"
#include "engine/check.h"

namespace weft {

void Authority::Evaluate(AuthorityChange* change) {
  if (!all_dirty_) {
    RunHeap(change);
    DecideRedemptions(change);
  }
  if (all_dirty_) EvaluateAll(change);
}

// From nothing. Only the difference to what was told before is a change.
void Authority::EvaluateAll(AuthorityChange* change) {
  all_dirty_ = false;
  in_full_pass_ = true;
  dirty_.clear();
  by_path_.clear();
  beyond_limit_ = 0;
  granted_ = 0;
  for (const auto& state : grants_) {
    state->now = {};
    state->grant.revoked = false;
    state->judged = 0;
    state->listed = false;
  }
  for (Batch& batch : batches_) batch.passes = false;
  for (Redemption& redemption : redemptions_) redemption.counts = false;
  std::vector<bool> was_active;
  for (ModerationNumber i = 0; i < moderation_.size(); ++i) {
    was_active.push_back(moderation_.At(i).active);
  }
  moderation_.Deactivate();
  for (const auto& state : grants_) {
    if (state->grant.is_genesis()) SetEffective(state.get(), true);
  }
  RunHeap(change);
  redemptions_dirty_ = true;
  DecideRedemptions(change);
  in_full_pass_ = false;
  for (const auto& state : grants_) Report(state.get(), change);
  for (ModerationNumber i = 0; i < moderation_.size(); ++i) {
    const ModerationEntry& entry = moderation_.At(i);
    if (entry.active != was_active[i]) ReportEntry(entry, change);
  }
}

void Authority::RunHeap(AuthorityChange* change) {
  while (!dirty_.empty()) {
    const GrantNumber number = *dirty_.begin();
    dirty_.erase(dirty_.begin());
    EvaluateGrant(number, change);
    if (all_dirty_ && !in_full_pass_) return;
  }
}

void Authority::MarkDirty(GrantNumber number) {
  const GrantState& state = *grants_[number];
  if (state.grant.kind == Grant::Kind::kRedeemed) {
    redemptions_dirty_ = true;
  } else if (state.now.effective || state.listed) {
    dirty_.insert(number);
  }
}

void Authority::MarkSubtree(GrantNumber number) {
  std::vector<GrantNumber> todo = {number};
  while (!todo.empty()) {
    const GrantNumber next = todo.back();
    todo.pop_back();
    MarkDirty(next);
    const auto& children = grants_[next]->children;
    todo.insert(todo.end(), children.begin(), children.end());
  }
}

GrantPath Authority::PathOf(const GrantState& state) const {
  if (state.grant.is_genesis()) return state.grant.path;
  const GrantState& parent = *grants_[state.parent];
  GrantPath path = parent.grant.path;
  if (state.grant.kind == Grant::Kind::kRedeemed) {
    path.steps.push_back({0, 0, state.grant.identity, 0, 0});
    return path;
  }
  const OpId& id = state.grant.id;
  const Cut* cut = CutOf(parent, id.writer);
  const bool late = cut != nullptr && id.position >= cut->late_from;
  path.steps.push_back({static_cast<std::uint8_t>(late ? 1 : 0), NumberOf(id.writer),
                        id.writer, id.position, id.op_index});
  return path;
}

// Its op is, or is no longer, effective.
void Authority::SetEffective(GrantState* state, bool effective) {
  if (state->now.effective == effective) return;
  // In dirty_ a grant lies by its path, which must not change under it.
  dirty_.erase(state->grant.number);
  state->now.effective = effective;
  state->judged = 0;
  if (effective) state->grant.path = PathOf(*state);
  if (state->grant.kind != Grant::Kind::kRedeemed) dirty_.insert(state->grant.number);
}

// Rule S7: a base has so many effective grants at most, the most senior ones. Those
// made by redemption are counted where they are decided.
bool Authority::IsWithinLimit(const GrantState& state) {
  if (state.listed || state.grant.kind == Grant::Kind::kRedeemed) return true;
  if (granted_ < limits_.members) return true;
  if (in_full_pass_) return false;
  const auto last = by_path_.rbegin();
  const bool is_last =
      last->second->kind != Grant::Kind::kRedeemed && last->first < state.grant.path;
  if (!is_last) all_dirty_ = true;
  return false;
}

// Into by_path_, or out of it.
void Authority::List(GrantState* state) {
  const bool wanted = state->now.effective && state->grant.kind != Grant::Kind::kInvite;
  if (wanted == state->listed) return;
  state->listed = wanted;
  if (wanted) {
    by_path_.emplace(state->grant.path, &state->grant);
  } else {
    by_path_.erase(state->grant.path);
  }
  if (state->grant.kind == Grant::Kind::kRedeemed) return;
  if (wanted) {
    ++granted_;
  } else {
    --granted_;
  }
  if (in_full_pass_) return;
  // Those made by redemption make room, or there is room again.
  if (wanted && by_path_.size() > limits_.members) redemptions_dirty_ = true;
  if (!wanted && limit_met_) redemptions_dirty_ = true;
  if (!wanted && beyond_limit_ > 0) all_dirty_ = true;
}

void Authority::EvaluateGrant(GrantNumber number, AuthorityChange* change) {
  GrantState& state = *grants_[number];
  if (state.now.effective && state.grant.kind != Grant::Kind::kInvite &&
      !IsWithinLimit(state)) {
    if (all_dirty_) return;
    state.now.effective = false;
    state.now.beyond_limit = true;
    ++beyond_limit_;
  }
  List(&state);
  std::vector<Hit> hits;
  std::vector<Cut> cuts;
  if (state.now.effective) {
    FindHits(state, &hits);
    FindCuts(state, &hits, &cuts);
    if (!in_full_pass_ && MovesRank(state, cuts)) {
      all_dirty_ = true;
      return;
    }
  }
  if (hits != state.now.hits || cuts != state.now.cuts) {
    // What is below may be hit by a subtree, and a redemption by its invite's fate.
    const bool below = hits != state.now.hits;
    state.now.hits = std::move(hits);
    state.now.cuts = std::move(cuts);
    state.grant.revoked = !state.now.hits.empty();
    state.judged = 0;
    if (below && !in_full_pass_ && state.grant.kind != Grant::Kind::kRedeemed) {
      for (const GrantNumber child : state.children) MarkDirty(child);
    }
  }
  if (state.grant.kind == Grant::Kind::kInvite && !state.children.empty()) {
    redemptions_dirty_ = true;
  }
  for (; state.judged < state.batches.size(); ++state.judged) {
    Judge(&state, state.batches[state.judged], change);
  }
  if (!in_full_pass_) Report(&state, change);
}

// Would grants that are there take another rank?
bool Authority::MovesRank(const GrantState& state, std::span<const Cut> cuts) const {
  const auto late_from = [](std::span<const Cut> of, const CoreKey& log) {
    const Cut* cut = CutIn(of, log);
    return cut == nullptr ? std::uint64_t{UINT64_MAX} : cut->late_from;
  };
  bool same = true;
  for (const Cut& cut : cuts) {
    same = same && cut.late_from == late_from(state.now.cuts, cut.log);
  }
  for (const Cut& cut : state.now.cuts) {
    same = same && cut.late_from == late_from(cuts, cut.log);
  }
  if (same) return false;
  // Also those that are going to be judged anew.
  for (const BatchNumber number : state.batches) {
    const Batch& batch = batches_[number];
    if (!batch.passes) continue;
    for (const GrantNumber made : batch.made) {
      const std::uint64_t position = grants_[made]->grant.id.position;
      if ((position >= late_from(state.now.cuts, batch.writer)) !=
          (position >= late_from(cuts, batch.writer))) {
        return true;
      }
    }
  }
  return false;
}

// The effective revocations of the grant and, with `subtree`, of what is above it;
// resignations of the grant itself are found with its cuts.
void Authority::FindHits(const GrantState& state, std::vector<Hit>* hits) const {
  for (const std::uint32_t index : state.revocations) {
    const Revocation& revocation = revocations_[index];
    const Batch& batch = batches_[revocation.batch];
    if (revocation.resignation || !batch.passes) continue;
    if (grants_[batch.cited]->grant.path < state.grant.path) hits->push_back({index});
  }
  GrantNumber above = state.grant.number;
  while (grants_[above]->parent != above) {
    above = grants_[above]->parent;
    for (const Hit& hit : grants_[above]->now.hits) {
      const Revocation& revocation = revocations_[hit.revocation];
      if (revocation.subtree && revocation.target == above) hits->push_back(hit);
    }
  }
}

// What an effective revocation of the grant keeps of a log (6.4, P2).
std::uint64_t Authority::Kept(const GrantState& state, const Hit& hit,
                              const CoreKey& log) const {
  const Revocation& revocation = revocations_[hit.revocation];
  if (revocation.resignation && revocation.target == state.grant.number) {
    const Batch& batch = batches_[revocation.batch];
    if (log == batch.writer) return batch.end;
    const auto order = std::make_pair(NumberOf(log), log) <=>
                       std::make_pair(NumberOf(batch.writer), batch.writer);
    return order > 0 ? 0 : UINT64_MAX;
  }
  if (revocation.resignation) return 0;  // of what is below: its keep list is ignored
  const auto found = revocation.keep.find(log);
  return found == revocation.keep.end() ? 0 : found->second;
}

void Authority::FindCuts(const GrantState& state, std::vector<Hit>* hits,
                         std::vector<Cut>* cuts) const {
  if (state.grant.kind == Grant::Kind::kInvite) return;
  const CoreKey& identity = state.grant.identity;
  std::vector<std::uint32_t> resignations;
  for (const std::uint32_t index : state.revocations) {
    if (revocations_[index].resignation) resignations.push_back(index);
  }
  const std::vector<CoreKey> logs = LogsOf(identity);
  const bool plain = hits->empty() && resignations.empty() && logs.size() == 1 &&
                     !forks_.contains(identity);
  if (plain) return;
  for (const CoreKey& log : logs) {
    Cut cut;
    cut.log = log;
    cut.length = ForkCut(log);
    for (const Hit& hit : *hits)
      cut.length = std::min(cut.length, Kept(state, hit, log));
    cut.counts = cut.length > 0;
    if (cut.counts) {
      for (const std::uint32_t index : resignations) {
        const Batch& batch = batches_[revocations_[index].batch];
        if (batch.writer != log || batch.end > ForkCut(log)) continue;
        if (batch.end > cut.length &&
            !IsAdmitted(state, *hits, log, batch.first, batch.end)) {
          continue;
        }
        cut.length = std::min(cut.length, batch.end);
        hits->push_back({index});
      }
    }
    cuts->push_back(cut);
  }
  std::size_t counting = 0;
  for (Cut& cut : *cuts) {
    if (!cut.counts) continue;
    cut.by_limit = ++counting > kIncarnationsCounted;
    cut.counts = !cut.by_limit;
  }
  FindLate(identity, cuts);
  std::sort(cuts->begin(), cuts->end(),
            [](const Cut& a, const Cut& b) { return a.log < b.log; });
}

// Rule S2: which rank-creating ops are late.
void Authority::FindLate(const CoreKey& identity, std::vector<Cut>* cuts) const {
  const auto later = incarnations_.find(identity);
  if (later == incarnations_.end()) return;
  absl::flat_hash_map<CoreKey, std::size_t> places;
  for (std::size_t i = 0; i < cuts->size(); ++i) places.emplace((*cuts)[i].log, i);
  // cuts[i + 1] is of later->second[i]: both are in order of incarnations.
  std::size_t before = SIZE_MAX;  // the one before that counts
  for (std::size_t i = 0; i < later->second.size(); ++i) {
    const IncarnationState& incarnation = later->second[i];
    if (!(*cuts)[i + 1].counts) continue;
    const auto prev = places.find(incarnation.prev_core);
    if (prev != places.end() && prev->second < i + 1) {
      std::uint64_t& late_from = (*cuts)[prev->second].late_from;
      late_from = std::min(late_from, incarnation.prev_length);
    }
    // Those of one number stand together.
    if (before != SIZE_MAX && later->second[before].number == incarnation.number) {
      (*cuts)[before + 1].late_from = 0;
      (*cuts)[i + 1].late_from = 0;
    }
    before = i;
  }
}

const Authority::Cut* Authority::CutIn(std::span<const Cut> cuts, const CoreKey& log) {
  const auto found = std::lower_bound(
      cuts.begin(), cuts.end(), log,
      [](const Cut& cut, const CoreKey& key) { return cut.log < key; });
  return found == cuts.end() || found->log != log ? nullptr : &*found;
}

// Rule P4: by an admit whose cite is senior to the grant and not junior to that of any
// revocation that cuts the batch off.
bool Authority::IsAdmitted(const GrantState& state, std::span<const Hit> hits,
                           const CoreKey& writer, std::uint64_t first,
                           std::uint64_t end) const {
  // If any does, the most senior one does.
  const ModerationEntry* admit = moderation_.AdmitOf(writer, first);
  if (admit == nullptr) return false;
  const GrantPath& by = grants_[admit->cited]->grant.path;
  if (by >= state.grant.path) return false;
  return std::all_of(hits.begin(), hits.end(), [&](const Hit& hit) {
    if (Kept(state, hit, writer) >= end) return true;
    const Batch& batch = batches_[revocations_[hit.revocation].batch];
    return by <= grants_[batch.cited]->grant.path;
  });
}

bool Authority::Passes(const GrantState& state, const Batch& batch) const {
  if (!state.now.effective || batch.end > ForkCut(batch.writer)) return false;
  const Cut* cut = CutOf(state, batch.writer);
  if (cut == nullptr) return true;
  if (!cut->counts) return false;
  return batch.end <= cut->length ||
         IsAdmitted(state, state.now.hits, batch.writer, batch.first, batch.end);
}

void Authority::Judge(GrantState* state, BatchNumber number, AuthorityChange* change) {
  Batch& batch = batches_[number];
  const bool passes = Passes(*state, batch);
  if (passes == batch.passes) return;
  batch.passes = passes;
  Toggle(*state, number, change);
}

// The batch took effect, or lost it.
void Authority::Toggle(const GrantState& state, BatchNumber number,
                       AuthorityChange* change) {
  const Batch& batch = batches_[number];
  for (const GrantNumber made : batch.made) {
    GrantState& child = *grants_[made];
    if (child.now.beyond_limit) {
      child.now.beyond_limit = false;
      --beyond_limit_;
    }
    SetEffective(&child, batch.passes);
  }
  for (const std::uint32_t index : batch.revocations) {
    const Revocation& revocation = revocations_[index];
    const GrantState& target = *grants_[revocation.target];
    if (revocation.resignation || in_full_pass_) continue;
    if (target.grant.kind == Grant::Kind::kRedeemed) redemptions_dirty_ = true;
    if (!target.now.effective || target.grant.path <= state.grant.path) continue;
    // What is below it follows when the target's hits change.
    MarkDirty(revocation.target);
  }
  // What was not decided yet is going to be.
  if (!batch.redemptions.empty() && batch.late < late_judged_) {
    redemptions_dirty_ = true;
  }
  if (!batch.moderation.empty()) ToggleModeration(batch, change);
}

// Whether what is said under the grant may count for something in the log. A grant of
// its holder that has effect only later is reported whole then.
bool Authority::IsSeniorToSome(GrantNumber cited, const CoreKey& log) const {
  constexpr std::size_t kLookedAt = 64;  // of more grants in one hand: perhaps
  const auto held = by_holder_.find(IdentityOf(log));
  if (held == by_holder_.end()) return false;
  const GrantPath& path = grants_[cited]->grant.path;
  return held->second.size() > kLookedAt ||
         std::any_of(held->second.begin(), held->second.end(), [&](GrantNumber number) {
           const GrantState& state = *grants_[number];
           return (state.now.effective || state.told.effective) &&
                  path < state.grant.path;
         });
}

void Authority::ReportEntry(const ModerationEntry& entry,
                            AuthorityChange* change) const {
  for (const OpId& op : entry.ops) {
    if (IsSeniorToSome(entry.cited, op.writer)) change->ops.push_back(op);
  }
  if (!entry.ops.empty() || !IsSeniorToSome(entry.cited, entry.log)) return;
  const bool hides =
      entry.type == AuthOpType::kHide || entry.type == AuthOpType::kUnhide;
  change->ranges.push_back({entry.log, entry.from, entry.to, hides});
}

void Authority::ToggleModeration(const Batch& batch, AuthorityChange* change) {
  for (const ModerationNumber number : batch.moderation) {
    moderation_.SetActive(number, batch.passes);
    const ModerationEntry& entry = moderation_.At(number);
    if (in_full_pass_) {
      if (entry.type != AuthOpType::kAdmit) continue;
    } else {
      ReportEntry(entry, change);
    }
    if (entry.type != AuthOpType::kAdmit) continue;
    // Auth batches in the range may have effect again.
    const auto found = by_log_.find(entry.log);
    if (found == by_log_.end()) continue;
    const auto& list = found->second;
    auto at = std::lower_bound(
        list.begin(), list.end(), entry.from,
        [&](BatchNumber a, std::uint64_t from) { return batches_[a].first < from; });
    for (; at != list.end() && batches_[*at].end <= entry.to; ++at) {
      GrantState& target = *grants_[batches_[*at].cited];
      target.judged = 0;
      if (target.grant.path > grants_[entry.cited]->grant.path) {
        MarkDirty(target.grant.number);
      }
    }
  }
}

void Authority::Report(GrantState* state, AuthorityChange* change) {
  if (state->now == state->told) return;
  const Outcome before = std::exchange(state->told, state->now);
  const Outcome& now = state->told;
  if (state->grant.kind == Grant::Kind::kInvite) return;
  const CoreKey& identity = state->grant.identity;
  change->holders.push_back(identity);
  if (now.effective && !before.effective) change->admitted.push_back(identity);
  const auto cut_of = [](const Outcome& outcome, const CoreKey& log) {
    const Cut* cut = CutIn(outcome.cuts, log);
    return cut == nullptr ? Cut() : *cut;
  };
  for (const CoreKey& log : LogsOf(identity)) {
    const Cut old_cut = cut_of(before, log);
    const Cut new_cut = cut_of(now, log);
    const bool whole =
        now.effective != before.effective || old_cut.counts != new_cut.counts;
    const std::uint64_t from = whole ? 0 : std::min(old_cut.length, new_cut.length);
    // Beyond both cuts an admit may stand against other revocations than before.
    const std::uint64_t to = whole || now.hits != before.hits
                                 ? UINT64_MAX
                                 : std::max(old_cut.length, new_cut.length);
    if (from < to) change->ranges.push_back({log, from, to, false});
  }
}

// --- redemptions (P8) ---

// In an order in which each follows its past: a batch is added after all it had seen.
void Authority::DecideRedemptions(AuthorityChange* change) {
  if (all_dirty_ && !in_full_pass_) return;
  const auto decide_rest = [&] {
    while (late_judged_ < late_batches_.size()) {
      DecideLateBatch(late_batches_[late_judged_], change);
      ++late_judged_;
      if (all_dirty_ && !in_full_pass_) return;
    }
  };
  if (!redemptions_dirty_) {
    decide_rest();
    if (!redemptions_dirty_) return;
  }
  // Quietly: who was effective and is again has not changed.
  for (const GrantNumber number : redeemed_grants_) {
    GrantState& state = *grants_[number];
    state.now = {};
    state.grant.revoked = false;
    state.judged = 0;
    if (state.listed) by_path_.erase(state.grant.path);
    state.listed = false;
    state.counted.clear();
    grants_[state.parent]->used.clear();
    grants_[state.parent]->used_up.clear();
    for (const BatchNumber batch : state.batches) batches_[batch].passes = false;
  }
  for (Redemption& redemption : redemptions_) redemption.counts = false;
  limit_met_ = false;
  full_.clear();
  late_judged_ = 0;
  const bool was_full = std::exchange(in_full_pass_, true);
  decide_rest();
  in_full_pass_ = was_full;
  redemptions_dirty_ = false;
  if (in_full_pass_) return;
  for (const GrantNumber number : redeemed_grants_) {
    Report(grants_[number].get(), change);
  }
}

void Authority::DecideLateBatch(BatchNumber number, AuthorityChange* change) {
  GrantState& cited = *grants_[batches_[number].cited];
  if (cited.grant.kind == Grant::Kind::kRedeemed && cited.now.effective) {
    EvaluateGrant(cited.grant.number, change);
  }
  const std::vector<std::uint32_t> redemptions = batches_[number].redemptions;
  for (const std::uint32_t index : redemptions) DecideRedemption(index, change);
}

// Whether a redemption that made the grant, and counts, lies in the past of this one:
// with its whole batch, or before it in the same batch.
bool Authority::CountsBefore(GrantNumber grant, const Redemption& redemption) const {
  const auto& list = grants_[grant]->counted;
  return std::any_of(list.begin(), list.end(), [&](std::uint32_t index) {
    const Redemption& other = redemptions_[index];
    if (other.batch == redemption.batch) return other.id < redemption.id;
    const Batch& theirs = batches_[other.batch];
    return theirs.end <=
           past_(redemption.id.writer, redemption.id.position, theirs.writer);
  });
}

bool Authority::Counts(const Redemption& redemption) {
  const Batch& batch = batches_[redemption.batch];
  if (!batch.passes) return false;
  if (grants_[batch.cited]->grant.kind == Grant::Kind::kRedeemed &&
      !CountsBefore(batch.cited, redemption)) {
    return false;
  }
  GrantState& invite = *grants_[grants_[redemption.grant]->parent];
  if (!invite.now.effective) return false;
  for (const Hit& hit : invite.now.hits) {
    if (Kept(invite, hit, batch.writer) < batch.end) return false;
  }
  const bool has_used_it = grants_[redemption.grant]->now.effective;
  if (invite.used.size() - (has_used_it ? 1U : 0U) < invite.grant.uses) return true;
  if (!has_used_it && invite.used_up.contains(batch.writer)) return false;
  std::uint64_t used = 0;
  for (const GrantNumber other : invite.used) {
    if (other == redemption.grant || !CountsBefore(other, redemption)) continue;
    if (++used < invite.grant.uses) continue;
    // The past of a log only grows.
    if (!has_used_it) invite.used_up.insert(batch.writer);
    return false;
  }
  return true;
}

// Rule S7: whether the grants that no redemption made and the redeemed ones in the past
// leave room for this one.
bool Authority::HasRoom(const Redemption& redemption) {
  const Batch& batch = batches_[redemption.batch];
  const bool is_there = grants_[redemption.grant]->now.effective;
  if (by_path_.size() - (is_there ? 1U : 0U) < limits_.members) return true;
  limit_met_ = true;
  if (!is_there && full_.contains(batch.writer)) return false;
  std::uint64_t taken = granted_;
  for (const GrantNumber other : redeemed_grants_) {
    if (taken >= limits_.members) break;
    const GrantState& state = *grants_[other];
    if (other == redemption.grant || !state.now.effective) continue;
    if (CountsBefore(other, redemption)) ++taken;
  }
  if (taken < limits_.members) return true;
  if (!is_there) full_.insert(batch.writer);
  return false;
}

void Authority::DecideRedemption(std::uint32_t index, AuthorityChange* change) {
  Redemption& redemption = redemptions_[index];
  if (redemption.counts || !Counts(redemption)) return;
  GrantState& state = *grants_[redemption.grant];
  Grant& grant = state.grant;
  if (!HasRoom(redemption)) {
    state.now.beyond_limit = !state.now.effective;
    if (!in_full_pass_) Report(&state, change);
    return;
  }
  redemption.counts = true;
  const bool from_this_log =
      std::any_of(state.counted.begin(), state.counted.end(), [&](std::uint32_t other) {
        return redemptions_[other].id.writer == redemption.id.writer;
      });
  if (!from_this_log) state.counted.push_back(index);
  const bool first = !state.now.effective;
  state.now.beyond_limit = false;
  if (first || redemption.id < grant.id) {
    grant.id = redemption.id;
    grant.issuer = redemption.id.writer;
    grant.batch_end = batches_[redemption.batch].end;
  }
  if (!first) return;
  SetEffective(&state, true);
  EvaluateGrant(grant.number, change);
  grants_[state.parent]->used.push_back(grant.number);
  const Grant& invite = grants_[state.parent]->grant;
  if (UsesOf(invite) > invite.uses && overused_.insert(invite.id).second) {
    change->overused.push_back(invite.id);
  }
}

}  // namespace weft
