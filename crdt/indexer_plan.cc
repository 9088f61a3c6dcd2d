// What a revocation would take away, before anybody writes it (6.4).
//
// More may follow from one than the grant shows: whom the holder let in by carrying a
// redemption, what stands because he had revoked somebody and kept something, or had
// accepted it. So the pass itself is asked, over a copy of all auth ops and the new
// ones behind them, and its answer is compared with what has effect now.

#include <algorithm>

#include "crdt/indexer_state.h"

namespace weft {
namespace {

// The logs of all who hold what a revoke of `grant` hits, and of all who carry a
// redemption of an invite among it.
std::vector<CoreKey> LogsHit(const Authority& authority, const Grant& grant,
                             bool subtree) {
  std::vector<CoreKey> logs;
  for (const GrantNumber number : authority.Below(grant.number, subtree)) {
    const Grant& hit = authority.At(number);
    if (hit.kind == Grant::Kind::kInvite) {
      for (const CoreKey& carrier : authority.CarriersOf(hit)) logs.push_back(carrier);
    } else {
      for (const CoreKey& log : authority.LogsOf(hit.identity)) logs.push_back(log);
    }
  }
  std::sort(logs.begin(), logs.end());
  logs.erase(std::unique(logs.begin(), logs.end()), logs.end());
  return logs;
}

// Adds the revocations to a copy of what is known, as their author would write them.
absl::Status Suppose(const CoreKey& self, std::uint64_t length,
                     std::span<const AuthOperation> revocations, Authority* copy) {
  CoreKey log = self;
  std::uint64_t position = length;
  if (copy->forks().contains(self)) {
    // He goes on in a log of its own, whose key nobody knows yet.
    log.bytes.fill(0xff);
    const std::vector<CoreKey> logs = copy->LogsOf(copy->IdentityOf(self));
    Incarnation begins;
    begins.identity = copy->IdentityOf(self);
    begins.number = copy->NumberOf(logs.back()) + 1;
    begins.prev_core = self;
    begins.prev_length = UINT64_MAX;
    copy->AddIncarnation(log, begins);
    position = 1;
    AuthorityChange unasked;
    copy->Evaluate(&unasked);
  }
  const auto resigns = [&](const AuthOperation& operation) {
    const auto* revoke = std::get_if<RevokeOp>(&operation);
    const Grant* grant = revoke == nullptr ? nullptr : copy->Find(revoke->grant);
    return grant != nullptr && grant->identity == copy->IdentityOf(self);
  };
  while (!revocations.empty()) {
    // Who resigns does so under each grant by itself.
    const std::size_t batch = resigns(revocations.front()) ? 1 : revocations.size();
    const auto ops = revocations.first(batch);
    WEFT_ASSIGN_OR_RETURN(const Grant* const cited, copy->ChooseGrant(log, ops));
    copy->Suppose(log, position++, cited->number, ops);
    revocations = revocations.subspan(batch);
  }
  return absl::OkStatus();
}

// Counts the writes that have effect here and have none in a copy of the authority.
class LostWrites {
 public:
  LostWrites(const Indexer::State* state, const Authority* after)
      : state_(state), after_(after) {}

  absl::StatusOr<std::uint64_t> Count(const AuthorityChange& change) {
    std::vector<TouchedRange> ranges = change.ranges;
    for (TouchedRange& range : ranges) range.ops = false;
    for (const TouchedRange& range : JoinRanges(std::move(ranges))) {
      WEFT_RETURN_IF_ERROR(CountBatches(range));
    }
    // What is hidden in batches that keep their effect: each op once.
    std::vector<TouchedRange> hidden;
    for (const TouchedRange& range : change.ranges) {
      if (range.ops) hidden.push_back(range);
    }
    for (const OpId& op : change.ops) {
      hidden.push_back({op.writer, op.position, op.position + 1, true});
    }
    for (const TouchedRange& range : JoinRanges(std::move(hidden))) {
      WEFT_RETURN_IF_ERROR(CountHidden(range));
    }
    return count_;
  }

 private:
  bool KeepsEffect(const CoreKey& log, std::uint64_t first, std::uint64_t end,
                   const BlockRecord& record) const {
    return after_->StandingOf(record.cited, log, first, end, record.batch_writes) ==
           Standing::kEffective;
  }

  absl::Status CountBatches(const TouchedRange& range) {
    const bool hides = state_->authority->HidesIn(range.log);
    return state_->VisitBatches(
        range,
        [&](WriterNumber writer, std::uint64_t first, std::uint64_t end,
            const BlockRecord& batch) -> absl::Status {
          if (!batch.effective || KeepsEffect(range.log, first, end, batch)) {
            return absl::OkStatus();
          }
          for (std::uint64_t position = first; position < end; ++position) {
            const BlockRecord record = state_->graph->RecordOf(writer, position);
            if (record.auth) continue;
            if (!hides) {
              count_ += record.op_count;
              continue;
            }
            WEFT_RETURN_IF_ERROR(
                VisitOps(range.log, position, record, [&](bool hidden, bool) {
                  if (!hidden) ++count_;
                }));
          }
          return absl::OkStatus();
        });
  }

  absl::Status CountHidden(const TouchedRange& range) {
    const std::optional<WriterNumber> writer = state_->view->writers().Find(range.log);
    if (!writer) return absl::OkStatus();
    const std::uint64_t to = std::min(range.to, state_->writers[*writer].closed);
    for (std::uint64_t position = range.from; position < to; ++position) {
      const BlockRecord record = state_->graph->RecordOf(*writer, position);
      if (record.status != BlockStatus::kSound || !record.effective || record.auth) {
        continue;
      }
      const std::uint64_t first = position - record.batch_index;
      if (!KeepsEffect(range.log, first, first + record.batch_count, record)) continue;
      WEFT_RETURN_IF_ERROR(
          VisitOps(range.log, position, record, [&](bool hidden, bool hidden_after) {
            if (!hidden && hidden_after) ++count_;
          }));
    }
    return state_->graph->status();
  }

  // Calls back for each op of a block with whether it is hidden, now and after.
  template <class Use>
  absl::Status VisitOps(const CoreKey& log, std::uint64_t position,
                        const BlockRecord& record, const Use& use) const {
    for (std::uint32_t index = 0; index < record.op_count; ++index) {
      WEFT_ASSIGN_OR_RETURN(const auto row,
                            state_->ops->Read(record.first_arrival + index));
      const OpId op{log, position, index};
      use(state_->authority->HiddenBy(record.cited, op, row.second).has_value(),
          after_->HiddenBy(record.cited, op, row.second).has_value());
    }
    return absl::OkStatus();
  }

  const Indexer::State* state_;  // not owned
  const Authority* after_;       // not owned
  std::uint64_t count_ = 0;
};

}  // namespace

std::vector<KeptLength> Indexer::KnownLengths(const Grant& grant, bool subtree) const {
  std::vector<KeptLength> lengths;
  for (const CoreKey& log : LogsHit(*state_->authority, grant, subtree)) {
    const std::optional<WriterNumber> number = state_->view->writers().Find(log);
    const std::uint64_t length = number ? state_->graph->length(*number) : 0;
    if (length > 0) lengths.push_back({log, length});
  }
  return lengths;
}

absl::StatusOr<Indexer::RevocationCost> Indexer::CostOf(
    const CoreKey& self, std::span<const AuthOperation> revocations) const {
  WEFT_ASSIGN_OR_RETURN(const std::unique_ptr<Authority> copy, state_->CopyAuthority());
  const std::optional<WriterNumber> own = state_->view->writers().Find(self);
  const std::uint64_t length = own ? state_->graph->length(*own) : 0;
  WEFT_RETURN_IF_ERROR(Suppose(self, length, revocations, copy.get()));
  AuthorityChange change;
  copy->Evaluate(&change);
  RevocationCost cost;
  const Authority& now = *state_->authority;
  for (std::size_t i = 0; i < now.grant_count(); ++i) {
    const auto number = static_cast<GrantNumber>(i);
    if (now.Stands(number) && !copy->Stands(number)) ++cost.grants;
  }
  WEFT_ASSIGN_OR_RETURN(cost.writes,
                        LostWrites(state_.get(), copy.get()).Count(change));
  return cost;
}

}  // namespace weft
