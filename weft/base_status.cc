// What a base says of itself: its members, its root, what became of an op, how it is,
// and whether its view is what the logs say.

#include "absl/strings/str_format.h"
#include "crdt/block_stamp.h"
#include "weft/base_node.h"
#include "weft/convert.h"

namespace weft {
namespace {

// A step of a verification, and how many ops go between two looks at the clock.
constexpr Nanos kVerifyStepTime = std::chrono::milliseconds(2);
constexpr std::uint64_t kVerifiedOps = 64;

}  // namespace

std::vector<Member> BaseNode::Members() const {
  std::vector<Member> members;
  if (!indexer_) return members;
  const VersionVector settled = indexer_->Settled();
  for (const MemberInfo& info : indexer_->Members()) {
    Member member;
    member.identity = IdText(info.grant->identity);
    member.role = ToRole(info.grant->role);
    member.scope = AsText(info.grant->scope);
    if (!info.grant->is_genesis()) {
      member.granted_by = IdText(info.grant->issuer);
      member.grant = ToOpName(info.grant->id);
    }
    member.logs = LogsOf(info.grant->identity, settled);
    for (const MemberLog& log : member.logs) {
      member.length += log.length;
      member.forked = member.forked || log.forked;
    }
    member.is_self = info.grant->identity == record_.identity;
    member.revoked = info.grant->revoked;
    members.push_back(std::move(member));
  }
  return members;
}

absl::StatusOr<RootInfo> BaseNode::Root() {
  WEFT_RETURN_IF_ERROR(CheckUsable());
  WEFT_ASSIGN_OR_RETURN(const Hash32 root, indexer_->Root());
  return RootInfo{ToHex(indexer_->CurrentDigest().view()), ToHex(root.view())};
}

absl::StatusOr<Fate> BaseNode::FateOf(const OpName& op) {
  const std::optional<OpId> id = ToOpId(op);
  if (!id) {
    return absl::InvalidArgumentError(
        absl::StrFormat("op %s: the writer is not a core key", op.ToText()));
  }
  if (!indexer_) return Fate{};
  WEFT_ASSIGN_OR_RETURN(const OpFate fate, indexer_->FateOf(*id));
  return ToFate(fate);
}

// How far our last stamp is ahead of the wall; zero if that is no more than rule T1
// takes for an ordinary fault of clocks.
std::uint64_t BaseNode::OwnClockAheadMs() const {
  if (!own_ || own_->length() == 0) return 0;
  const auto block = own_->Get(own_->length() - 1);
  const std::optional<Hlc> last = block.ok() ? StampOf(*block) : std::nullopt;
  const auto wall_ms =
      static_cast<std::uint64_t>(host_->clock->Now() / std::chrono::milliseconds(1));
  return last && IsOwnClockAhead(*last, wall_ms) ? last->ms - wall_ms : 0;
}

BaseStatus BaseNode::Status() {
  BaseStatus status;
  status.name = record_.name;
  status.base_id = ToZBase32(record_.base_id.view());
  status.identity = IdText(record_.identity);
  if (!indexer_) return status;
  const std::vector<const Grant*> grants =
      indexer_->authority().GrantsOf(record_.identity);
  if (!grants.empty()) status.role = ToRole(grants.front()->role);
  const IndexerStatus indexed = indexer_->Status();
  status.writers = indexed.writers;
  status.blocks = indexed.blocks;
  status.keys = indexed.keys;
  status.conflicts = indexed.conflicts;
  status.clock_suspect = indexed.clock_suspect;
  TellOfOwnLogs(&status);
  status.own_length = own_->length();
  status.own_clock_ahead_ms = OwnClockAheadMs();
  for (const AckBook::Step& step : acks_.Steps(record_.log(), own_->length())) {
    status.acked.push_back({step.length, step.peers});
  }
  for (const MissingPrefix& missing : indexed.waiting) {
    status.waiting.push_back(absl::StrFormat(
        "writer %s waits for %s:%d%s", IdText(missing.waiting), IdText(missing.log),
        missing.length, missing.other_branch ? " (it had seen another branch)" : ""));
  }
  for (const ForkedLog& fork : indexer_->Forks()) {
    status.forks.push_back(absl::StrFormat(
        "writer %s has two branches from position %d on: %d blocks survive",
        IdText(fork.log), fork.fork_point, fork.cut));
  }
  for (const ParkedLog& parked : indexed.parked) {
    status.parked.push_back(absl::StrFormat("writer %s from position %d: %s",
                                            IdText(parked.writer), parked.position,
                                            parked.reason));
  }
  return status;
}

absl::StatusOr<bool> BaseNode::VerifySome(std::unique_ptr<Verification>* verification) {
  WEFT_RETURN_IF_ERROR(CheckUsable());
  if (*verification == nullptr) {
    WEFT_ASSIGN_OR_RETURN(*verification, Verification::Begin(indexer_.get()));
  }
  const Nanos until = host_->clock->Steady() + kVerifyStepTime;
  while (host_->clock->Steady() < until) {
    WEFT_ASSIGN_OR_RETURN(const bool done, (*verification)->Step(kVerifiedOps));
    if (done) return true;
  }
  return false;
}

}  // namespace weft
