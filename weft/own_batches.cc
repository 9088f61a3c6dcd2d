#include "weft/own_batches.h"

#include <algorithm>
#include <set>
#include <utility>

#include "engine/flat_tree.h"
#include "engine/merkle_tree.h"
#include "weft/branch_store.h"
#include "weft/convert.h"

namespace weft {
namespace {

constexpr std::uint64_t kBlocksPerRead = 64;
constexpr std::size_t kBytesPerRead = 1024 * 1024;  // of a branch

using Visit = std::function<absl::Status(const OwnBatch&)>;
using Branches = std::set<std::pair<std::uint64_t, TreeHash>>;  // lengths and hashes

// An edit of a text or list names the elements beside it, which are lost with it.
bool CanBeCopied(const Operation& op) {
  return op.lane != Lane::kText && op.lane != Lane::kList;
}

void Sort(OwnBatch* batch) {
  batch->operations.clear();
  batch->left = 0;
  batch->left_keys.clear();
  for (const DecodedBlock& block : batch->blocks) {
    batch->left += block.payload.auth_operations.size();
    for (const Operation& op : block.payload.operations) {
      if (CanBeCopied(op)) {
        batch->operations.push_back(op);
        continue;
      }
      ++batch->left;
      std::string key(AsText(op.key));
      std::vector<std::string>& keys = batch->left_keys;
      if (std::ranges::find(keys, key) == keys.end()) keys.push_back(std::move(key));
    }
  }
}

// Reads the log itself, or one branch of it, from block 0 on.
class BatchReader {
 public:
  // Tells of batches that end beyond `tells_after`, unless they were told.
  BatchReader(const OwnLog& log, const Limits& limits, std::uint64_t tells_after,
              Branches* told, const Visit& visit)
      : log_(log),
        limits_(limits),
        tells_after_(tells_after),
        told_(told),
        visit_(visit),
        state_(log.key) {}

  absl::Status Take(std::span<const Bytes> blocks) {
    for (const Bytes& bytes : blocks) {
      if (state_.position() == log_.fork_point) WEFT_RETURN_IF_ERROR(PlantTree());
      if (state_.position() >= log_.fork_point) {
        tree_.AppendBlock(bytes, [](const TreeNode&) {});
      }
      DecodedBlock block = DecodeBlock(state_, bytes, limits_);
      if (block.header.breaks_open_batch || !block.header.in_batch) open_.clear();
      if (!block.header.in_batch) continue;
      const bool ends = block.header.ends_batch;
      open_.push_back(std::move(block));
      if (ends) WEFT_RETURN_IF_ERROR(Tell(std::exchange(open_, {})));
    }
    return absl::OkStatus();
  }
  // Of the log as it is held, up to block `to`.
  absl::Status TakeHeld(std::uint64_t to) {
    for (std::uint64_t at = 0; at < to;) {
      const std::uint64_t end = std::min(to, at + kBlocksPerRead);
      WEFT_ASSIGN_OR_RETURN(const std::vector<Bytes> blocks,
                            log_.core->GetRange(at, end));
      WEFT_RETURN_IF_ERROR(Take(blocks));
      at = end;
    }
    return absl::OkStatus();
  }

 private:
  // Of what every branch begins with.
  absl::Status PlantTree() {
    std::vector<TreeNode> roots;
    for (const std::uint64_t root : flat_tree::FullRoots(log_.fork_point)) {
      WEFT_ASSIGN_OR_RETURN(const TreeNode node, log_.core->NodeAt(root));
      roots.push_back(node);
    }
    std::optional<MerkleTree> tree = MerkleTree::FromRoots(roots);
    if (!tree) return absl::DataLossError("the tree of a log is malformed");
    tree_ = *std::move(tree);
    return absl::OkStatus();
  }

  absl::Status Tell(std::vector<DecodedBlock> blocks) {
    OwnBatch batch;
    batch.from = blocks.front().header.position;
    batch.to = blocks.back().header.position + 1;
    if (batch.to <= tells_after_) return absl::OkStatus();
    if (batch.to > log_.fork_point) {
      batch.branch = tree_.hash();
      if (!told_->emplace(batch.to, *batch.branch).second) return absl::OkStatus();
    }
    batch.blocks = std::move(blocks);
    Sort(&batch);
    return visit_(batch);
  }

  const OwnLog& log_;
  const Limits& limits_;
  std::uint64_t tells_after_;
  Branches* told_;  // beyond the fork point; not owned
  const Visit& visit_;
  LogState state_;
  MerkleTree tree_;                 // of the blocks read, once the branches part
  std::vector<DecodedBlock> open_;  // of the batch that is not whole yet
};

}  // namespace

absl::Status VisitBatches(const OwnLog& log, Storage& storage, const Limits& limits,
                          const Visit& visit) {
  Branches told;
  const std::uint64_t length = log.core->contiguous_length();
  BatchReader held(log, limits, 0, &told, visit);
  WEFT_RETURN_IF_ERROR(held.TakeHeld(length));
  if (log.fork_point == UINT64_MAX) return absl::OkStatus();
  WEFT_ASSIGN_OR_RETURN(const std::vector<SavedBranch> branches,
                        ListBranches(storage, log.base, log.key));
  for (const SavedBranch& branch : branches) {
    if (branch.from > length) continue;  // what it goes on from is not here
    BatchReader reader(log, limits, branch.from, &told, visit);
    WEFT_RETURN_IF_ERROR(reader.TakeHeld(branch.from));
    for (std::uint64_t at = branch.from; at < branch.length;) {
      WEFT_ASSIGN_OR_RETURN(const std::vector<Bytes> blocks,
                            ReadBranch(storage, log.base, log.key, at, branch.length,
                                       branch.tree_hash, kBytesPerRead));
      if (blocks.empty()) return absl::DataLossError("a branch is no longer held");
      WEFT_RETURN_IF_ERROR(reader.Take(blocks));
      at += blocks.size();
    }
  }
  return absl::OkStatus();
}

}  // namespace weft
