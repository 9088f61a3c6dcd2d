// What the pass says of a batch or an op, and whose doing it is.

#include <algorithm>

#include "absl/strings/str_format.h"
#include "crdt/authority.h"
#include "crdt/fate.h"
#include "engine/text.h"

namespace weft {
namespace {

constexpr std::uint64_t kForksForgiven = 3;  // beyond those the granter knew (F5)

}  // namespace

// Why a grant that is not effective is not.
Standing Authority::StandingOfGrant(const GrantState& state) const {
  for (const GrantState* at = &state;; at = grants_[at->parent].get()) {
    if (at->now.beyond_limit) return Standing::kNotAllowed;
    if (at->grant.kind == Grant::Kind::kRedeemed) {
      const GrantState& invite = *grants_[at->parent];
      const bool refused = std::any_of(
          at->redemptions.begin(), at->redemptions.end(), [&](std::uint32_t index) {
            const Batch& batch = batches_[redemptions_[index].batch];
            return invite.now.effective && batch.passes &&
                   std::all_of(invite.now.hits.begin(), invite.now.hits.end(),
                               [&](const Hit& hit) {
                                 return Kept(invite, hit, batch.writer) >= batch.end;
                               });
          });
      if (refused) return Standing::kNotAllowed;
    }
    if (at->parent == at->grant.number) return Standing::kQuarantined;
  }
}

// Rules 6.1 and F5.
bool Authority::IsModerated(const GrantState& state) const {
  if (state.grant.role == GrantRole::kModerated) return true;
  // No op made it, to say how many were known; nobody could make it anew, or accept.
  if (state.grant.is_genesis()) return false;
  return ForkedLogsOf(state.grant.identity) >= state.grant.forks + kForksForgiven;
}

std::uint32_t Authority::ForkedLogsOf(const CoreKey& identity) const {
  const auto found = forked_logs_.find(identity);
  return found == forked_logs_.end() ? 0 : static_cast<std::uint32_t>(found->second);
}

// The accept or reject that decides about a batch, if its cite is senior (6.6).
const ModerationEntry* Authority::VerdictOn(const GrantState& state,
                                            const CoreKey& writer,
                                            std::uint64_t first) const {
  const ModerationEntry* entry = moderation_.VerdictOn(writer, first);
  if (entry == nullptr) return nullptr;
  return grants_[entry->cited]->grant.path < state.grant.path ? entry : nullptr;
}

Standing Authority::StandingOf(GrantNumber cited, const CoreKey& writer,
                               std::uint64_t first, std::uint64_t end,
                               bool writes) const {
  const GrantState& state = *grants_[cited];
  if (end > ForkCut(writer)) return Standing::kAfterFork;
  if (!state.now.effective) return StandingOfGrant(state);
  if (const Cut* cut = CutOf(state, writer)) {
    if (!cut->counts) {
      return cut->by_limit ? Standing::kNotAllowed : Standing::kQuarantined;
    }
    if (end > cut->length && !IsAdmitted(state, state.now.hits, writer, first, end)) {
      return Standing::kQuarantined;
    }
  }
  if (!writes || !IsModerated(state)) return Standing::kEffective;
  const ModerationEntry* verdict = VerdictOn(state, writer, first);
  if (verdict == nullptr) return Standing::kPending;
  return verdict->type == AuthOpType::kAccept ? Standing::kEffective
                                              : Standing::kRejected;
}

// Names the revocation that cuts a log at or before `end`.
void Authority::BlameCut(const GrantState& state, const CoreKey& log, std::uint64_t end,
                         Blame* blame) const {
  const Revocation* found = nullptr;
  for (const Hit& hit : state.now.hits) {
    const Revocation& revocation = revocations_[hit.revocation];
    if (Kept(state, hit, log) >= end) continue;
    if (found == nullptr || revocation.id < found->id) found = &revocation;
  }
  if (found == nullptr) {
    blame->reason = "its log does not count for the grant";
    return;
  }
  blame->by = found->id;
  blame->reason = found->resignation && found->target == state.grant.number
                      ? "its author had resigned"
                      : "its grant was revoked";
  if (!found->reason.empty()) blame->reason += ": " + found->reason;
}

void Authority::BlameGrant(const GrantState& state, Blame* blame) const {
  const GrantState* at = &state;
  while (at->parent != at->grant.number && !grants_[at->parent]->now.effective &&
         !at->now.beyond_limit) {
    at = grants_[at->parent].get();
  }
  if (at->now.beyond_limit) {
    blame->reason = absl::StrFormat("more than %d grants", limits_.members);
    return;
  }
  if (at->grant.kind == Grant::Kind::kRedeemed) {
    if (StandingOfGrant(*at) == Standing::kNotAllowed) {
      blame->reason = "the invite was used up";
      return;
    }
    const GrantState& invite = *grants_[at->parent];
    const std::uint32_t smallest =
        *std::min_element(at->redemptions.begin(), at->redemptions.end(),
                          [&](std::uint32_t a, std::uint32_t b) {
                            return redemptions_[a].id < redemptions_[b].id;
                          });
    const Batch& batch = batches_[redemptions_[smallest].batch];
    if (!invite.now.hits.empty()) {
      BlameCut(invite, batch.writer, batch.end, blame);
    } else {
      BlameCut(*grants_[batch.cited], batch.writer, batch.end, blame);
    }
    return;
  }
  if (at->batch == kNone) return;
  const Batch& batch = batches_[at->batch];
  if (batch.end > ForkCut(batch.writer)) {
    blame->reason = "its grant stands after a fork";
    return;
  }
  BlameCut(*grants_[at->parent], batch.writer, batch.end, blame);
  blame->reason = "its grant came after a cut; " + blame->reason;
}

Authority::Blame Authority::WhyNot(GrantNumber cited, const CoreKey& writer,
                                   std::uint64_t first, std::uint64_t end,
                                   bool writes) const {
  Blame blame;
  const GrantState& state = *grants_[cited];
  switch (StandingOf(cited, writer, first, end, writes)) {
    case Standing::kEffective:
      break;
    case Standing::kPending:
      blame.reason = "waits for a moderator";
      break;
    case Standing::kRejected:
      blame.reason = "a moderator rejected it";
      blame.by = VerdictOn(state, writer, first)->id;
      break;
    case Standing::kAfterFork:
      blame.reason = AfterFork(forks_.at(writer).fork_point).reason;
      break;
    case Standing::kQuarantined:
    case Standing::kNotAllowed:
      if (!state.now.effective) {
        BlameGrant(state, &blame);
      } else if (const Cut* cut = CutOf(state, writer);
                 cut != nullptr && cut->by_limit) {
        blame.reason = "more than 64 incarnations count";
      } else {
        BlameCut(state, writer, end, &blame);
      }
      break;
  }
  return blame;
}

std::optional<OpId> Authority::HiddenBy(GrantNumber cited, const OpId& op,
                                        std::string_view key) const {
  if (!moderation_.HidesIn(op.writer)) return std::nullopt;
  const ModerationEntry* entry = moderation_.HidingOf(op, key);
  if (entry == nullptr || entry->type != AuthOpType::kHide) return std::nullopt;
  const bool counts = grants_[entry->cited]->grant.path < grants_[cited]->grant.path;
  return counts ? std::optional<OpId>(entry->id) : std::nullopt;
}

std::vector<TouchedRange> Authority::HideRanges() const {
  std::vector<TouchedRange> ranges;
  for (ModerationNumber i = 0; i < moderation_.size(); ++i) {
    const ModerationEntry& entry = moderation_.At(i);
    if (!entry.active || entry.type != AuthOpType::kHide) continue;
    if (entry.ops.empty()) ranges.push_back({entry.log, entry.from, entry.to, true});
    for (const OpId& op : entry.ops) {
      ranges.push_back({op.writer, op.position, op.position + 1, true});
    }
  }
  return ranges;
}

}  // namespace weft
