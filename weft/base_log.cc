// A writer's log as the API shows it: what each op says, and what became of it.

#include "absl/strings/str_format.h"
#include "weft/base.h"
#include "weft/branch_store.h"
#include "weft/convert.h"
#include "weft/own_batches.h"
#include "weft/store_impl.h"

namespace weft {
namespace {

constexpr std::uint64_t kBlocksPerPage = 64;

// Of ops and of cells, which have the same verbs.
LoggedChange ChangeOf(OpType type, Lane lane, std::uint8_t flags, ValueView value,
                      std::int64_t number) {
  switch (type) {
    case OpType::kPut:
      return {"put", ToDatum(value)};
    case OpType::kDel:
      return {"del", {}};
    case OpType::kRecord:
      return {"set", {}};
    case OpType::kInc:
      return {"inc", Datum::Integer(number)};
    case OpType::kReset:
      return {"reset", {}};
    case OpType::kAdd:
      return {"add", ToDatum(value)};
    case OpType::kRemove:
      return {"rem", ToDatum(value)};
    case OpType::kRaise:
      return {lane == Lane::kMax ? "max" : "min", Datum::Integer(number)};
    case OpType::kFlag:
      return {(flags & kFlagOn) != 0 ? "enable" : "disable", {}};
    case OpType::kInsert:
      return {"insert", ToDatum(value)};
    case OpType::kCut:
    case OpType::kMark:
      break;
  }
  return {"cut", {}};
}

void Describe(const Operation& operation, LoggedOp* logged) {
  logged->key = AsText(operation.key);
  logged->change = ChangeOf(operation.type, operation.lane, operation.flags,
                            operation.value, operation.number);
  if (operation.type == OpType::kCut && operation.edit != nullptr) {
    std::int64_t elements = 0;
    for (const ElementRange& range : operation.edit->ranges) {
      elements += static_cast<std::int64_t>(range.count);
    }
    logged->change.value = Datum::Integer(elements);
  }
  for (const CellWrite& cell : operation.cells) {
    LoggedChange change =
        ChangeOf(cell.verb, cell.lane, cell.flags, cell.value, cell.number);
    if (cell.verb == OpType::kPut) change.what = "set";
    if (cell.verb == OpType::kDel) change.what = "unset";
    logged->cells.emplace(AsText(cell.column), std::move(change));
  }
}

std::string Blocks(const CoreKey& log, std::uint64_t from, std::uint64_t to) {
  return absl::StrFormat("%s %d..%d", IdText(log), from, to);
}

std::string UnderScope(ByteView scope) {
  return scope.empty() ? "" : absl::StrFormat(" under %s", std::string(AsText(scope)));
}

void Describe(const GrantOp& grant, LoggedOp* logged) {
  logged->change.what = "grant";
  logged->about =
      absl::StrFormat("%s %s%s", IdText(grant.identity), RoleName(ToRole(grant.role)),
                      UnderScope(grant.scope));
}

void Describe(const RevokeOp& revoke, LoggedOp* logged) {
  logged->change.what = "revoke";
  logged->about = ToOpName(revoke.grant).ToText();
  if (!revoke.reason.empty()) {
    absl::StrAppendFormat(&logged->about, ": %s", std::string(AsText(revoke.reason)));
  }
}

void Describe(const InviteOp& invite, LoggedOp* logged) {
  logged->change.what = "invite";
  logged->about = absl::StrFormat("%s%s, for %d", RoleName(ToRole(invite.role)),
                                  UnderScope(invite.scope), invite.uses);
}

void Describe(const RedeemOp& redeem, LoggedOp* logged) {
  logged->change.what = "redeem";
  logged->about = absl::StrFormat("%s for %s", ToOpName(redeem.invite).ToText(),
                                  IdText(redeem.identity));
}

void Describe(const VerdictOp& verdict, LoggedOp* logged) {
  logged->change.what = verdict.type == AuthOpType::kAccept   ? "accept"
                        : verdict.type == AuthOpType::kReject ? "reject"
                                                              : "admit";
  logged->about = Blocks(verdict.log, verdict.from, verdict.to);
}

void Describe(const HideOp& hide, LoggedOp* logged) {
  logged->change.what = hide.hide ? "hide" : "unhide";
  if (hide.ops.empty()) {
    logged->about = Blocks(hide.log, hide.from, hide.to) + UnderScope(hide.prefix);
  }
  for (const OpId& op : hide.ops) {
    if (!logged->about.empty()) logged->about += ' ';
    logged->about += ToOpName(op).ToText();
  }
}

absl::StatusOr<LogPage> ReadPage(const BaseNode& node, const CoreKey& log,
                                 std::uint64_t from, std::uint64_t to) {
  Indexer* const indexer = node.indexer();
  LogPage page;
  const auto take = [&](const Indexer::LoggedOp& found) -> absl::Status {
    LoggedOp& logged = page.ops.emplace_back();
    logged.op = ToOpName(found.id);
    if (found.operation != nullptr) {
      Describe(*found.operation, &logged);
    } else {
      std::visit([&](const auto& operation) { Describe(operation, &logged); },
                 *found.auth_operation);
    }
    if (found.after_fork) {
      logged.fate.kind = FateKind::kAfterFork;
      logged.fate.reason = "its branch of the log does not survive";
      return absl::OkStatus();
    }
    WEFT_ASSIGN_OR_RETURN(const OpFate fate, indexer->FateOf(found.id));
    logged.fate = ToFate(fate);
    return absl::OkStatus();
  };
  WEFT_ASSIGN_OR_RETURN(page.next, indexer->ReadOps(log, from, to, take));
  WEFT_ASSIGN_OR_RETURN(const std::uint64_t further,
                        node.ReadBranchOps(log, from, to, take));
  page.next = std::max(page.next, further);
  return page;
}

}  // namespace

absl::StatusOr<std::uint64_t> BaseNode::ReadBranchOps(const CoreKey& key,
                                                      std::uint64_t from,
                                                      std::uint64_t to,
                                                      const Indexer::UseOp& use) const {
  const OwnLog log = OwnLogOf(key);
  WEFT_ASSIGN_OR_RETURN(const std::vector<SavedBranch> branches,
                        ListBranches(*host_->storage, record_.number, key));
  std::uint64_t begin = UINT64_MAX;
  std::uint64_t end = 0;
  for (const SavedBranch& branch : branches) {
    begin = std::min(begin, branch.from);
    end = std::max(end, branch.length);
  }
  if (log.core == nullptr || to <= begin || from >= end) return 0;
  OwnBatches batches(*host_->storage, record_.number, indexer_->genesis().limits);
  WEFT_RETURN_IF_ERROR(batches.Add(log));
  for (;;) {
    WEFT_ASSIGN_OR_RETURN(const std::optional<OwnBatch> batch, batches.Next());
    if (!batch) break;
    // What is held as the log is told of as such.
    if (batch->source == 0 || Survives(*batch)) continue;
    for (const DecodedBlock& block : batch->blocks) {
      const std::uint64_t at = block.header.position;
      if (at < from || at >= to) continue;
      WEFT_RETURN_IF_ERROR(Indexer::VisitOps({key, at, 0}, block.payload, true, use));
    }
  }
  return std::min(end, to);
}

absl::StatusOr<LogPage> Base::ReadLog(std::string_view writer, std::uint64_t from,
                                      std::uint64_t to) const {
  WEFT_ASSIGN_OR_RETURN(const CoreKey log, ParseId("writer", writer));
  to = std::min(to, from + std::min(kBlocksPerPage, UINT64_MAX - from));
  return impl_->store->Run([&]() -> absl::StatusOr<LogPage> {
    if (impl_->node->indexer() == nullptr) return LogPage{{}, from};
    absl::StatusOr<LogPage> page = ReadPage(*impl_->node, log, from, to);
    if (absl::IsNotFound(page.status())) {
      return absl::NotFoundError(
          absl::StrFormat("writer %s: no such log is followed here", writer));
    }
    return page;
  });
}

}  // namespace weft
