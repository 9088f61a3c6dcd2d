#include "weft/own_batches.h"

#include <algorithm>
#include <deque>

#include "engine/merkle_tree.h"
#include "weft/branch_fetch.h"
#include "weft/branch_store.h"
#include "weft/convert.h"

namespace weft {
namespace {

constexpr std::uint64_t kBlocksPerRead = 64;
constexpr std::size_t kBytesPerRead = 1024 * 1024;  // of a branch

// An edit of a text or list names the elements beside it, which are lost with it.
bool CanBeCopied(const Operation& op) {
  return op.lane != Lane::kText && op.lane != Lane::kList;
}

void Sort(OwnBatch* batch) {
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

}  // namespace

// A log as it is held, or one branch of it.
class OwnBatches::Source {
 public:
  Source(const OwnBatches* reader, std::size_t number, const OwnLog& log,
         std::optional<SavedBranch> branch)
      : reader_(reader),
        number_(number),
        log_(log),
        branch_(branch),
        parts_at_(branch ? branch->from : log.core->contiguous_length()),
        end_(branch ? branch->length : parts_at_),
        state_(log.key) {}

  // The next batch, which Pop takes; null at the end.
  absl::StatusOr<const OwnBatch*> Peek() {
    while (!next_ && state_.position() < end_) WEFT_RETURN_IF_ERROR(ReadOne());
    return next_ ? &*next_ : nullptr;
  }
  OwnBatch Pop() { return *std::exchange(next_, std::nullopt); }

 private:
  absl::StatusOr<std::vector<Bytes>> Read(std::uint64_t at) const {
    if (at < parts_at_) {
      return log_.core->GetRange(at, std::min(parts_at_, at + kBlocksPerRead));
    }
    WEFT_ASSIGN_OR_RETURN(
        std::vector<Bytes> blocks,
        ReadBranch(reader_->storage_, reader_->base_, log_.key, at, branch_->length,
                   branch_->tree_hash, kBytesPerRead));
    if (blocks.empty()) return absl::DataLossError("a branch is no longer held");
    return blocks;
  }

  absl::Status ReadOne() {
    if (read_.empty()) {
      WEFT_ASSIGN_OR_RETURN(std::vector<Bytes> blocks, Read(state_.position()));
      read_.assign(std::make_move_iterator(blocks.begin()),
                   std::make_move_iterator(blocks.end()));
    }
    if (state_.position() == log_.fork_point) {
      WEFT_ASSIGN_OR_RETURN(tree_, PrefixTree(*log_.core, log_.fork_point));
    }
    if (state_.position() >= log_.fork_point) {
      tree_.AppendBlock(read_.front(), [](const TreeNode&) {});
    }
    DecodedBlock block = DecodeBlock(state_, read_.front(), reader_->limits_);
    read_.pop_front();
    if (block.header.breaks_open_batch || !block.header.in_batch) open_.clear();
    if (!block.header.in_batch) return absl::OkStatus();
    const bool ends = block.header.ends_batch;
    open_.push_back(std::move(block));
    if (ends) Close(std::exchange(open_, {}));
    return absl::OkStatus();
  }

  void Close(std::vector<DecodedBlock> blocks) {
    OwnBatch batch;
    batch.source = number_;
    batch.log = log_.key;
    batch.from = blocks.front().header.position;
    batch.to = blocks.back().header.position + 1;
    // The log itself tells what comes before.
    if (branch_ && batch.to <= std::max(branch_->from, log_.fork_point)) return;
    if (batch.to > log_.fork_point) batch.branch = tree_.hash();
    batch.blocks = std::move(blocks);
    Sort(&batch);
    next_ = std::move(batch);
  }

  const OwnBatches* reader_;  // owns it
  std::size_t number_;
  OwnLog log_;
  std::optional<SavedBranch> branch_;
  std::uint64_t parts_at_;  // what comes before is read from the log itself
  std::uint64_t end_;
  LogState state_;
  std::deque<Bytes> read_;
  MerkleTree tree_;                 // of the blocks read, from the fork point on
  std::vector<DecodedBlock> open_;  // of the batch that is not whole yet
  std::optional<OwnBatch> next_;
};

OwnBatches::OwnBatches(Storage& storage, std::uint64_t base, const Limits& limits)
    : storage_(storage), base_(base), limits_(limits) {}

OwnBatches::~OwnBatches() = default;

absl::Status OwnBatches::Add(const OwnLog& log) {
  sources_.push_back(
      std::make_unique<Source>(this, sources_.size(), log, std::nullopt));
  if (log.fork_point == UINT64_MAX) return absl::OkStatus();
  WEFT_ASSIGN_OR_RETURN(const std::vector<SavedBranch> branches,
                        ListBranches(storage_, base_, log.key));
  for (const SavedBranch& branch : branches) {
    // What it goes on from may not be here.
    if (branch.from > log.core->contiguous_length()) continue;
    sources_.push_back(std::make_unique<Source>(this, sources_.size(), log, branch));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<OwnBatch>> OwnBatches::Next() {
  for (;;) {
    Source* first = nullptr;
    Hlc least;
    for (const std::unique_ptr<Source>& source : sources_) {
      WEFT_ASSIGN_OR_RETURN(const OwnBatch* const batch, source->Peek());
      if (batch == nullptr || (first != nullptr && !(batch->stamp() < least))) continue;
      first = source.get();
      least = batch->stamp();
    }
    if (first == nullptr) return std::nullopt;
    OwnBatch batch = first->Pop();
    if (batch.branch && !told_.emplace(batch.log, *batch.branch).second) continue;
    return std::optional<OwnBatch>(std::move(batch));
  }
}

}  // namespace weft
