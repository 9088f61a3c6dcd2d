// What was cut off from our own logs, and writing it again (rule F4).
//
// A log that forked ends where the branches part, a grant that was revoked takes effect
// from what cited it, and one on a branch that does not survive never was. What we had
// written beyond that is still in our store, or was in those of peers, from whom it has
// been fetched (weft/own_branches.h). It is found by reading our logs again, batch by
// batch, and is copied, batch by batch, in the order in which it was written, into the
// log that we write to now, with stamps of now. A copy says in its own log what it is a
// copy of (crdt/copy_mark.h), so nothing is remembered besides: whether a batch was
// written again is seen from the logs, whatever died in between, and by every copy of
// the store that has them.

#include <algorithm>

#include "absl/strings/str_format.h"
#include "crdt/batch.h"
#include "crdt/copy_mark.h"
#include "weft/base_node.h"
#include "weft/convert.h"
#include "weft/own_batches.h"

namespace weft {
namespace {

constexpr std::size_t kNamedKeysMax = 16;  // of a range

// Whether what it is written after counts no more.
bool Replaces(const Operation& op) {
  return op.lane == Lane::kNone || op.lane == Lane::kRegister ||
         op.lane == Lane::kRecord || op.lane == Lane::kFlag;
}

// Calls back with each lost batch that can be written again and what it says. Both come
// in the order in which they were written.
template <class LostBatches, class Use>
absl::Status VisitLost(OwnBatches& batches, LostBatches& lost, const Use& use) {
  for (auto next = lost.begin(); next != lost.end();) {
    WEFT_ASSIGN_OR_RETURN(const std::optional<OwnBatch> batch, batches.Next());
    if (!batch) break;
    if (next->source != batch->source || next->from != batch->from) continue;
    auto& found = *next++;
    if (found.writes > 0) WEFT_RETURN_IF_ERROR(use(found, *batch));
  }
  return absl::OkStatus();
}

void AddEach(std::vector<std::string> keys, std::vector<std::string>* all) {
  for (std::string& key : keys) {
    if (std::ranges::find(*all, key) == all->end()) all->push_back(std::move(key));
  }
}

// Of one batch, and not of the disk or the whole log: the others may pass.
bool ConcernsTheBatch(const absl::Status& status) {
  return absl::IsPermissionDenied(status) || absl::IsInvalidArgument(status) ||
         absl::IsNotFound(status) || absl::IsOutOfRange(status);
}

}  // namespace

// As it is held here; its core is null if it is not.
OwnLog BaseNode::OwnLogOf(const CoreKey& key) const {
  OwnLog log{key, LogOf(key)};
  if (const auto fork = indexer_->ForkOf(key)) log.fork_point = fork->fork_point;
  return log;
}

// Beyond the fork point its place is no name: that may be of another branch.
bool BaseNode::Survives(const OwnBatch& batch) const {
  return !batch.branch || indexer_->SurvivorAt(batch.log, batch.to) == batch.branch;
}

// A grant that was given on a branch which does not survive was never ours.
bool BaseNode::IsLost(const OwnBatch& batch, const OpFate& fate) const {
  if (fate.kind != OpFateKind::kNotAllowed) {
    return fate.kind == OpFateKind::kQuarantined || fate.kind == OpFateKind::kAfterFork;
  }
  const OpId& cite = batch.blocks.front().header.envelope->cite;
  const std::optional<ForkedLog> fork = indexer_->ForkOf(cite.writer);
  return fork && cite.position >= fork->fork_point;
}

// All our logs, from their beginnings.
absl::Status BaseNode::AddOwnLogs(OwnBatches* batches) const {
  for (const CoreKey& key : indexer_->authority().LogsOf(record_.identity)) {
    const OwnLog log = OwnLogOf(key);
    if (log.core != nullptr) WEFT_RETURN_IF_ERROR(batches->Add(log));
  }
  return absl::OkStatus();
}

// What has lost its effect, in the order in which it was written, less what was written
// again. Of two that say the same and have one mark either is as good as the other.
absl::StatusOr<std::vector<BaseNode::LostBatch>> BaseNode::FindLost() {
  using Copy = std::pair<std::uint32_t, Hash32>;
  std::map<Copy, std::size_t> copies;
  std::vector<LostBatch> lost;
  std::vector<Copy> wanted;  // by lost batch
  OwnBatches batches(*host_->storage, record_.number, indexer_->genesis().limits);
  WEFT_RETURN_IF_ERROR(AddOwnLogs(&batches));
  for (;;) {
    WEFT_ASSIGN_OR_RETURN(const std::optional<OwnBatch> batch, batches.Next());
    if (!batch) break;
    if (batch->operations.empty() && batch->left == 0) continue;
    if (batch->stamp().counter >= kCopyMarkMin) {
      ++copies[{batch->stamp().counter, DigestOf(batch->operations)}];
    }
    OpFate fate;
    if (Survives(*batch)) {
      WEFT_ASSIGN_OR_RETURN(fate, indexer_->FateOf({batch->log, batch->from, 0}));
    } else {
      fate = AfterFork(indexer_->ForkOf(batch->log)->fork_point);
    }
    if (!IsLost(*batch, fate)) continue;
    LostBatch found{batch->source, batch->log, batch->from, batch->to, fate};
    found.writes = batch->operations.size();
    found.left = batch->left;
    found.left_keys = batch->left_keys;
    wanted.emplace_back(CopyMark(batch->log, batch->from, batch->stamp()),
                        DigestOf(batch->operations));
    lost.push_back(std::move(found));
  }
  for (std::size_t i = 0; i < lost.size(); ++i) {
    const auto copy = copies.find(wanted[i]);
    if (lost[i].writes == 0 || copy == copies.end() || copy->second == 0) continue;
    --copy->second;
    lost[i].writes = 0;
  }
  std::erase_if(lost,
                [](const LostBatch& batch) { return batch.writes + batch.left == 0; });
  return lost;
}

// Of what FindLost has found: what a copy of it would be written over.
absl::Status BaseNode::FindNewer(std::vector<LostBatch>* lost) {
  std::map<std::string, std::optional<Hlc>> newest;
  OwnBatches batches(*host_->storage, record_.number, indexer_->genesis().limits);
  WEFT_RETURN_IF_ERROR(AddOwnLogs(&batches));
  const auto look = [&](LostBatch& found, const OwnBatch& batch) -> absl::Status {
    for (const Operation& op : batch.operations) {
      if (!Replaces(op)) continue;
      std::string key(AsText(op.key));
      const auto [known, added] = newest.try_emplace(key);
      if (added) {
        WEFT_ASSIGN_OR_RETURN(known->second, indexer_->LastWritten(key));
      }
      if (known->second && batch.stamp() < *known->second) {
        found.newer_keys.insert(std::move(key));
      }
    }
    return absl::OkStatus();
  };
  return VisitLost(batches, *lost, look);
}

HeldBackWrites BaseNode::Describe(const LostBatch& lost) const {
  HeldBackWrites range{
      IdText(lost.log),        IdText(record_.identity), lost.from,       lost.to,
      lost.writes + lost.left, FateText(lost.fate.kind), lost.fate.reason};
  range.left = lost.left;
  range.left_keys = lost.left_keys;
  range.newer_keys.assign(lost.newer_keys.begin(), lost.newer_keys.end());
  return range;
}

absl::StatusOr<std::vector<HeldBackWrites>> BaseNode::Recoverable() {
  WEFT_RETURN_IF_ERROR(CheckUsable());
  WEFT_RETURN_IF_ERROR(CatchUp());
  WEFT_ASSIGN_OR_RETURN(std::vector<LostBatch> lost, FindLost());
  WEFT_RETURN_IF_ERROR(FindNewer(&lost));
  std::ranges::stable_sort(lost, {}, &LostBatch::source);
  std::vector<HeldBackWrites> list;
  for (const LostBatch& batch : lost) {
    HeldBackWrites range = Describe(batch);
    const bool goes_on = !list.empty() && list.back().writer == range.writer &&
                         list.back().to == range.from &&
                         list.back().state == range.state &&
                         list.back().reason == range.reason;
    if (!goes_on) {
      list.push_back(std::move(range));
      continue;
    }
    HeldBackWrites& whole = list.back();
    whole.to = range.to;
    whole.writes += range.writes;
    whole.left += range.left;
    AddEach(std::move(range.left_keys), &whole.left_keys);
    AddEach(std::move(range.newer_keys), &whole.newer_keys);
  }
  for (HeldBackWrites& range : list) {
    range.left_keys.resize(std::min(range.left_keys.size(), kNamedKeysMax));
    range.newer_keys.resize(std::min(range.newer_keys.size(), kNamedKeysMax));
  }
  return list;
}

// One after the other, in their order. A crash leaves out the last of them, which are
// found to be missing the next time.
absl::StatusOr<Committed> BaseNode::RecoverLogged(Recovered* recovered) {
  WEFT_RETURN_IF_ERROR(ReadyToWrite());
  WEFT_RETURN_IF_ERROR(indexer_->authority().ChooseGrant(record_.identity).status());
  WEFT_ASSIGN_OR_RETURN(const std::vector<LostBatch> lost, FindLost());
  for (const LostBatch& batch : lost) recovered->left += batch.left;
  Committed last;
  OwnBatches batches(*host_->storage, record_.number, indexer_->genesis().limits);
  WEFT_RETURN_IF_ERROR(AddOwnLogs(&batches));
  const auto copy = [&](const LostBatch& wanted,
                        const OwnBatch& batch) -> absl::Status {
    const auto prepared = indexer_->PrepareCopies(
        record_.log(), batch.operations, CopyMark(batch.log, batch.from, batch.stamp()),
        WallMs());
    if (ConcernsTheBatch(prepared.status())) {
      HeldBackWrites refused = Describe(wanted);
      refused.writes = wanted.writes;
      refused.reason = std::string(prepared.status().message());
      recovered->refused.push_back(std::move(refused));
      return absl::OkStatus();
    }
    WEFT_RETURN_IF_ERROR(prepared.status());
    WEFT_ASSIGN_OR_RETURN(last, AppendAndIndex(*prepared));
    recovered->writes += batch.operations.size();
    return absl::OkStatus();
  };
  WEFT_RETURN_IF_ERROR(VisitLost(batches, lost, copy));
  return last;
}

}  // namespace weft
