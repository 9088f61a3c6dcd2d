// What was cut off from our own logs, and writing it again (rule F4).
//
// A log that forked ends where the branches part, and a grant that was revoked takes
// effect from what cited it. What we had written beyond that is still in our store. It
// is found by reading our logs again, batch by batch, and is copied, batch by batch,
// into the log that we write to now, with stamps of now. A copy says in its own log
// what it is a copy of (crdt/copy_mark.h), so nothing is remembered besides: whether a
// batch was written again is seen from the logs, whatever died in between, and by every
// copy of the store that has them.

#include <algorithm>

#include "absl/strings/str_format.h"
#include "crdt/batch.h"
#include "crdt/copy_mark.h"
#include "weft/base_node.h"
#include "weft/convert.h"

namespace weft {
namespace {

constexpr std::uint64_t kBlocksPerRead = 64;
constexpr std::size_t kLeftKeysMax = 16;  // named of a range

// An edit of a text or list names the elements beside it, which are lost with it.
bool CanBeCopied(const Operation& op) {
  return op.lane != Lane::kText && op.lane != Lane::kList;
}

// Of one batch, and not of the disk or the whole log: the others may pass.
bool ConcernsTheBatch(const absl::Status& status) {
  return absl::IsPermissionDenied(status) || absl::IsInvalidArgument(status) ||
         absl::IsNotFound(status) || absl::IsOutOfRange(status);
}

}  // namespace

// A commit of ours, decoded.
struct BaseNode::OwnBatch {
  std::uint64_t from = 0;  // blocks [from, to)
  std::uint64_t to = 0;
  std::vector<DecodedBlock> blocks;
  std::vector<Operation> operations;   // that can be written again; into `blocks`
  std::size_t left = 0;                // that cannot
  std::vector<std::string> left_keys;  // of texts and lists, each once

  const Hlc& stamp() const { return blocks.front().header.envelope->hlc; }
  void Sort();
};

void BaseNode::OwnBatch::Sort() {
  operations.clear();
  left = 0;
  left_keys.clear();
  for (const DecodedBlock& block : blocks) {
    left += block.payload.auth_operations.size();
    for (const Operation& op : block.payload.operations) {
      if (CanBeCopied(op)) {
        operations.push_back(op);
        continue;
      }
      ++left;
      std::string key(AsText(op.key));
      if (std::find(left_keys.begin(), left_keys.end(), key) == left_keys.end()) {
        left_keys.push_back(std::move(key));
      }
    }
  }
}

// Calls back with each whole batch of the log as it is held now.
absl::Status BaseNode::VisitBatches(const CoreKey& key, const BatchVisitor& visit) {
  const std::shared_ptr<Hypercore> core = LogOf(key);
  if (core == nullptr) return absl::OkStatus();
  const std::uint64_t held = core->contiguous_length();
  LogState state(key);
  OwnBatch batch;
  for (std::uint64_t at = 0; at < held;) {
    const std::uint64_t end = std::min(held, at + kBlocksPerRead);
    WEFT_ASSIGN_OR_RETURN(const std::vector<Bytes> blocks, core->GetRange(at, end));
    for (const Bytes& bytes : blocks) {
      DecodedBlock block = DecodeBlock(state, bytes, indexer_->genesis().limits);
      if (block.header.breaks_open_batch || !block.header.in_batch)
        batch.blocks.clear();
      if (!block.header.in_batch) continue;
      if (batch.blocks.empty()) batch.from = block.header.position;
      batch.to = block.header.position + 1;
      const bool ends = block.header.ends_batch;
      batch.blocks.push_back(std::move(block));
      if (!ends) continue;
      batch.Sort();
      WEFT_RETURN_IF_ERROR(visit(batch));
      batch.blocks.clear();
    }
    at = end;
  }
  return absl::OkStatus();
}

// All that has lost its effect, in the order of our logs, less what was written again.
// Of two that say the same and have one mark either is as good as the other.
absl::StatusOr<std::vector<BaseNode::LostBatch>> BaseNode::FindLost() {
  using Copy = std::pair<std::uint32_t, Hash32>;
  std::map<Copy, std::size_t> copies;
  std::vector<LostBatch> lost;
  std::vector<Copy> wanted;  // by lost batch
  for (const CoreKey& log : indexer_->authority().LogsOf(record_.identity)) {
    const std::optional<ForkedLog> fork = indexer_->ForkOf(log);
    WEFT_RETURN_IF_ERROR(VisitBatches(log, [&](const OwnBatch& batch) -> absl::Status {
      if (batch.operations.empty() && batch.left == 0) return absl::OkStatus();
      if (batch.stamp().counter >= kCopyMarkMin) {
        ++copies[{batch.stamp().counter, DigestOf(batch.operations)}];
      }
      // The place is no name for a batch where another branch survives.
      const bool is_dead = fork && fork->other_branch && batch.to > fork->fork_point;
      OpFate fate;
      if (is_dead) {
        fate = AfterFork(fork->fork_point);
      } else {
        WEFT_ASSIGN_OR_RETURN(fate, indexer_->FateOf({log, batch.from, 0}));
      }
      if (fate.kind != OpFateKind::kQuarantined &&
          fate.kind != OpFateKind::kAfterFork) {
        return absl::OkStatus();
      }
      LostBatch found{log, batch.from, batch.to, fate};
      found.writes = batch.operations.size();
      found.left = batch.left;
      found.left_keys = batch.left_keys;
      wanted.emplace_back(CopyMark(log, batch.from, batch.stamp()),
                          DigestOf(batch.operations));
      lost.push_back(std::move(found));
      return absl::OkStatus();
    }));
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

HeldBackWrites BaseNode::Describe(const LostBatch& lost) const {
  HeldBackWrites range{
      IdText(lost.log),        IdText(record_.identity), lost.from,       lost.to,
      lost.writes + lost.left, FateText(lost.fate.kind), lost.fate.reason};
  range.left = lost.left;
  range.left_keys = lost.left_keys;
  return range;
}

absl::StatusOr<std::vector<HeldBackWrites>> BaseNode::Recoverable() {
  WEFT_RETURN_IF_ERROR(CheckUsable());
  WEFT_RETURN_IF_ERROR(CatchUp());
  WEFT_ASSIGN_OR_RETURN(const std::vector<LostBatch> lost, FindLost());
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
    for (std::string& key : range.left_keys) {
      if (std::find(whole.left_keys.begin(), whole.left_keys.end(), key) ==
          whole.left_keys.end()) {
        whole.left_keys.push_back(std::move(key));
      }
    }
  }
  for (HeldBackWrites& range : list) {
    range.left_keys.resize(std::min(range.left_keys.size(), kLeftKeysMax));
  }
  return list;
}

// One after the other, in their order. A crash leaves out the last of them, which are
// found to be missing the next time.
absl::StatusOr<Committed> BaseNode::RecoverLogged(Recovered* recovered) {
  WEFT_RETURN_IF_ERROR(ReadyToWrite());
  WEFT_RETURN_IF_ERROR(indexer_->authority().ChooseGrant(record_.identity).status());
  WEFT_ASSIGN_OR_RETURN(const std::vector<LostBatch> lost, FindLost());
  Committed last;
  auto next = lost.begin();
  for (const LostBatch& batch : lost) recovered->left += batch.left;
  while (next != lost.end()) {
    const CoreKey log = next->log;
    const auto copy = [&](const OwnBatch& batch) -> absl::Status {
      if (next == lost.end() || next->log != log || next->from != batch.from) {
        return absl::OkStatus();
      }
      const LostBatch& wanted = *next++;
      if (wanted.writes == 0) return absl::OkStatus();
      const auto prepared =
          indexer_->PrepareCopies(record_.log(), batch.operations,
                                  CopyMark(log, batch.from, batch.stamp()), WallMs());
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
    WEFT_RETURN_IF_ERROR(VisitBatches(log, copy));
    // What is no longer held as it was is not there to be copied.
    while (next != lost.end() && next->log == log) ++next;
  }
  return last;
}

}  // namespace weft
