// What the owner of a core does to it: append, truncate, clear.

#include "absl/strings/str_format.h"
#include "engine/codec.h"
#include "engine/hypercore.h"
#include "engine/hypercore_state.h"

namespace weft {
namespace {

absl::Status CheckBlocks(const MerkleTree& tree, std::span<const ByteView> blocks) {
  if (blocks.empty()) return absl::InvalidArgumentError("append: no block");
  std::uint64_t bytes = 0;
  for (const ByteView block : blocks) {
    if (block.size() > kBlockBytesMax) {
      return absl::InvalidArgumentError(
          absl::StrFormat("append: a block of %d bytes, and the most is %d",
                          block.size(), kBlockBytesMax));
    }
    bytes += block.size();
  }
  if (!tree.CanHold(blocks.size(), bytes)) {
    return absl::InvalidArgumentError("append: the log is as long as a log can be");
  }
  return absl::OkStatus();
}

void SignTip(const Hypercore::State& state, CoreTip* tip) {
  tip->signature = SignTree(*state.manifest, state.summary().key, *state.secret_key,
                            tip->tree.hash(), tip->tree.length(), tip->fork);
}

}  // namespace

absl::StatusOr<std::uint64_t> Hypercore::Append(std::span<const ByteView> blocks,
                                                Durability durability) {
  WEFT_RETURN_IF_ERROR(state_->CheckWritable());
  WEFT_RETURN_IF_ERROR(CheckBlocks(state_->tip.tree, blocks));
  CoreEdit edit(*state_);
  const std::uint64_t first = length();
  absl::Status status;
  for (const ByteView block : blocks) {
    edit.tip.tree.AppendBlock(block, [&](const TreeNode& node) {
      if (status.ok()) status = edit.nodes.Put(node);
    });
  }
  WEFT_RETURN_IF_ERROR(status);
  const std::uint64_t end = edit.tip.tree.length();
  state_->rows.Stage(first, blocks, &edit.batch);
  edit.runs.push_back({first, end, true});
  SignTip(*state_, &edit.tip);
  WEFT_RETURN_IF_ERROR(state_->Commit(std::move(edit), durability));
  const CoreEvent events[] = {{CoreEvent::Kind::kLength, first, end},
                              {CoreEvent::Kind::kBlocks, first, end}};
  state_->Notify(events);
  return first;
}

absl::Status Hypercore::Truncate(std::uint64_t new_length) {
  WEFT_RETURN_IF_ERROR(state_->CheckWritable());
  const std::uint64_t old_length = length();
  if (new_length > old_length) {
    return absl::OutOfRangeError(absl::StrFormat(
        "truncate: length %d is beyond the log's %d", new_length, old_length));
  }
  if (fork() >= kUintMax) {
    return absl::OutOfRangeError("truncate: the fork is as high as it can be");
  }
  std::vector<TreeNode> roots;
  for (const std::uint64_t root : flat_tree::FullRoots(new_length)) {
    WEFT_ASSIGN_OR_RETURN(const TreeNode node, RequireNode(state_->nodes, root));
    roots.push_back(node);
  }
  auto tree = MerkleTree::FromRoots(roots);
  if (!tree) return absl::DataLossError("truncate: the stored tree is damaged");
  CoreEdit edit(*state_);
  edit.tip.tree = *std::move(tree);
  edit.tip.fork += 1;
  edit.kept_length = new_length;
  WEFT_RETURN_IF_ERROR(edit.nodes.Truncate(new_length));
  WEFT_RETURN_IF_ERROR(state_->rows.StageClear(new_length, old_length, &edit.batch));
  edit.runs.push_back({new_length, old_length, false});
  SignTip(*state_, &edit.tip);
  WEFT_RETURN_IF_ERROR(state_->Commit(std::move(edit), Durability::kSynced));
  const CoreEvent events[] = {{CoreEvent::Kind::kCleared, new_length, old_length},
                              {CoreEvent::Kind::kLength, new_length, new_length}};
  state_->Notify(events);
  return absl::OkStatus();
}

absl::Status Hypercore::Clear(std::uint64_t from, std::uint64_t to) {
  WEFT_RETURN_IF_ERROR(state_->CheckUsable());
  if (from > to || to > length()) {
    return absl::OutOfRangeError(absl::StrFormat(
        "clear: blocks %d to %d are beyond the log's %d", from, to, length()));
  }
  if (!state_->bitfield.FirstSet(from, to)) return absl::OkStatus();
  CoreEdit edit(*state_);
  WEFT_RETURN_IF_ERROR(state_->rows.StageClear(from, to, &edit.batch));
  edit.runs.push_back({from, to, false});
  WEFT_RETURN_IF_ERROR(state_->Commit(std::move(edit), Durability::kSynced));
  const CoreEvent event{CoreEvent::Kind::kCleared, from, to};
  state_->Notify({&event, 1});
  return absl::OkStatus();
}

}  // namespace weft
