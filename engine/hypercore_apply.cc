// Taking proofs from peers: each is verified whole before anything of it is staged,
// and all that passed are stored as one batch.

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "engine/hypercore.h"
#include "engine/hypercore_state.h"
#include "engine/proof_check.h"

namespace weft {
namespace {

// One call of Apply. Later proofs see what earlier ones staged.
class Applier {
 public:
  explicit Applier(Hypercore::State& state) : state_(state), edit_(state) {}

  // The status is an error of the disk.
  Hypercore::Results TakeAll(std::span<const Proof* const> proofs, bool allow_fork);
  // Adds what passed to the batch.
  void Stage(StorageBatch* batch);
  // The batch was committed, or not.
  void Finish(const absl::Status& stored);
  void Notify() { state_.Notify(events_); }

 private:
  // What the proof earns its sender. After an error of the disk disk_ is not OK.
  absl::Status Take(const Proof& proof, bool allow_fork);
  void StageBlocks();
  absl::Status CheckPlace(const Proof& proof, bool allow_fork) const;
  absl::Status CheckManifest(const Proof& proof,
                             std::optional<Manifest>* manifest) const;
  absl::Status CheckSignature(const Proof& proof, const Manifest& manifest) const;
  absl::Status CheckAnchor();
  absl::StatusOr<std::optional<TreeNode>> Node(std::uint64_t tree_index);
  // Cuts our log back to what it shares with the tree of a higher fork.
  absl::Status Replace(const MerkleTree& tree);
  absl::Status StageNodes();
  // Hands the error to the caller of Apply instead of to the sender of the proof.
  absl::Status Disk(absl::Status status) {
    if (!status.ok()) disk_ = status;
    return status;
  }

  Hypercore::State& state_;
  CoreEdit edit_;
  CheckedProof checked_;
  std::vector<std::pair<std::uint64_t, ByteView>> blocks_;
  absl::Status disk_;
  bool manifest_changed_ = false;
  bool tip_changed_ = false;
  std::optional<Hypercore::State::Staged> staged_;
  std::vector<CoreEvent> events_;
};

absl::Status Applier::CheckPlace(const Proof& proof, bool allow_fork) const {
  const CoreTip& tip = edit_.tip;
  const bool from_start = proof.upgrade && proof.upgrade->start == 0;
  if (proof.fork < tip.fork || (proof.fork > tip.fork && !(from_start && allow_fork))) {
    return absl::FailedPreconditionError(
        absl::StrFormat("proof: of fork %d, and ours is %d", proof.fork, tip.fork));
  }
  if (proof.fork == tip.fork && proof.upgrade &&
      proof.upgrade->start != tip.tree.length()) {
    return absl::FailedPreconditionError(
        absl::StrFormat("proof: upgrades length %d, and ours is %d",
                        proof.upgrade->start, tip.tree.length()));
  }
  if (proof.block && proof.block->value.size() > kBlockBytesMax) {
    return absl::InvalidArgumentError("proof: the block is too large");
  }
  return absl::OkStatus();
}

absl::Status Applier::CheckManifest(const Proof& proof,
                                    std::optional<Manifest>* manifest) const {
  *manifest = edit_.manifest;
  if (proof.manifest && !edit_.manifest) {
    WEFT_ASSIGN_OR_RETURN(*manifest, DecodeManifest(*proof.manifest));
    if (KeyOf(**manifest) != state_.summary().key) {
      return absl::DataLossError("proof: the manifest is not the key's");
    }
  } else if (!*manifest && proof.upgrade) {
    *manifest = CompatManifest(state_.summary().key);
  }
  return absl::OkStatus();
}

absl::Status Applier::CheckSignature(const Proof& proof,
                                     const Manifest& manifest) const {
  const UpgradeProof& upgrade = *proof.upgrade;
  const MerkleTree& tree = *checked_.upgraded;
  if (manifest.prologue && upgrade.start < manifest.prologue->length &&
      (upgrade.start != 0 || upgrade.length < manifest.prologue->length)) {
    return absl::InvalidArgumentError("proof: the upgrade does not reach the prologue");
  }
  if (upgrade.verified &&
      *upgrade.verified ==
          SignedTreeDigest(state_.summary().key, tree, proof.fork, upgrade.signature)) {
    return absl::OkStatus();
  }
  if (!VerifyTree(manifest, state_.summary().key, tree.roots(), tree.length(),
                  proof.fork, upgrade.signature)) {
    return absl::DataLossError(
        absl::StrFormat("proof: the signature does not cover length %d, fork %d",
                        tree.length(), proof.fork));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<TreeNode>> Applier::Node(std::uint64_t tree_index) {
  auto node = edit_.nodes.Find(tree_index);
  if (!node.ok()) return Disk(node.status());
  return node;
}

absl::Status Applier::CheckAnchor() {
  if (!checked_.anchor) return absl::OkStatus();
  const TreeNode& anchor = *checked_.anchor;
  WEFT_ASSIGN_OR_RETURN(const auto held, Node(anchor.tree_index));
  if (!held) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "proof: hangs on node %d, which is not held", anchor.tree_index));
  }
  if (*held != anchor) {
    return absl::DataLossError(absl::StrFormat(
        "proof: node %d has another hash than ours", anchor.tree_index));
  }
  return absl::OkStatus();
}

absl::Status Applier::Replace(const MerkleTree& tree) {
  const std::uint64_t old_length = edit_.tip.tree.length();
  std::uint64_t common = 0;
  for (const TreeNode& root : tree.roots()) {
    WEFT_ASSIGN_OR_RETURN(const auto ours, Node(root.tree_index));
    if (!ours || *ours != root) break;
    common += flat_tree::Leaves(root.tree_index);
  }
  if (common >= old_length) return absl::OkStatus();
  WEFT_RETURN_IF_ERROR(Disk(edit_.nodes.Truncate(common)));
  const std::uint64_t stored_length = state_.tip.tree.length();
  if (common < edit_.kept_length) {
    WEFT_RETURN_IF_ERROR(
        Disk(state_.rows.StageClear(common, stored_length, &edit_.batch)));
    edit_.runs.push_back({common, stored_length, false});
    edit_.kept_length = common;
  }
  std::erase_if(blocks_, [common](const auto& block) { return block.first >= common; });
  return absl::OkStatus();
}

absl::Status Applier::StageNodes() {
  for (const TreeNode& node : checked_.nodes) {
    if (!checked_.unproven.empty() &&
        std::ranges::find(checked_.unproven, node.tree_index) !=
            checked_.unproven.end()) {
      continue;
    }
    WEFT_RETURN_IF_ERROR(Disk(edit_.nodes.Put(node)));
  }
  return absl::OkStatus();
}

absl::Status Applier::Take(const Proof& proof, bool allow_fork) {
  WEFT_RETURN_IF_ERROR(CheckPlace(proof, allow_fork));
  std::optional<Manifest> manifest;
  const bool brings_manifest = !edit_.manifest && (proof.manifest || proof.upgrade);
  if (brings_manifest) WEFT_RETURN_IF_ERROR(CheckManifest(proof, &manifest));
  const bool replaces = proof.fork > edit_.tip.fork;
  WEFT_RETURN_IF_ERROR(
      CheckProof(replaces ? MerkleTree() : edit_.tip.tree, proof, &checked_));
  if (checked_.upgraded) {
    WEFT_RETURN_IF_ERROR(
        CheckSignature(proof, brings_manifest ? *manifest : *edit_.manifest));
    if (replaces && checked_.anchor) {
      return absl::InvalidArgumentError("proof: a part hangs on the fork before");
    }
  }
  WEFT_RETURN_IF_ERROR(CheckAnchor());
  // From here on the proof holds, and only the disk can fail.
  if (brings_manifest && manifest) {
    edit_.manifest = std::move(manifest);
    manifest_changed_ = true;
  }
  if (checked_.upgraded) {
    if (replaces) WEFT_RETURN_IF_ERROR(Replace(*checked_.upgraded));
    edit_.tip.fork = proof.fork;
    edit_.tip.tree = *std::move(checked_.upgraded);
    edit_.tip.signature = proof.upgrade->signature;
    tip_changed_ = true;
  }
  WEFT_RETURN_IF_ERROR(StageNodes());
  if (proof.block) blocks_.emplace_back(proof.block->block_index, proof.block->value);
  return absl::OkStatus();
}

Hypercore::Results Applier::TakeAll(std::span<const Proof* const> proofs,
                                    bool allow_fork) {
  WEFT_RETURN_IF_ERROR(state_.CheckUsable());
  std::vector<absl::Status> results;
  results.reserve(proofs.size());
  for (const Proof* const proof : proofs) {
    results.push_back(Take(*proof, allow_fork));
    WEFT_RETURN_IF_ERROR(disk_);
  }
  return results;
}

void Applier::StageBlocks() {
  const std::uint64_t kept = edit_.kept_length;
  // Of two proofs of one block, both verified, either will do.
  const auto by_index = [](const auto& a, const auto& b) { return a.first < b.first; };
  if (!std::ranges::is_sorted(blocks_, by_index)) {
    std::ranges::stable_sort(blocks_, by_index);
  }
  std::vector<ByteView> row;
  for (std::size_t i = 0; i < blocks_.size();) {
    const std::uint64_t first = blocks_[i].first;
    row.clear();
    while (i < blocks_.size() && blocks_[i].first <= first + row.size()) {
      const auto& [index, value] = blocks_[i];
      if (index == first + row.size()) {
        if (index < kept && state_.bitfield.Get(index)) break;
        row.push_back(value);
      }
      ++i;
    }
    if (row.empty()) {
      ++i;
      continue;
    }
    state_.rows.Stage(first, row, &edit_.batch);
    edit_.runs.push_back({first, first + row.size(), true});
    events_.push_back({CoreEvent::Kind::kBlocks, first, first + row.size()});
  }
}

void Applier::Stage(StorageBatch* batch) {
  const std::uint64_t old_length = state_.tip.tree.length();
  const std::uint64_t kept = edit_.kept_length;
  if (kept < old_length) {
    events_.push_back({CoreEvent::Kind::kCleared, kept, old_length});
  }
  if (tip_changed_) {
    events_.push_back({CoreEvent::Kind::kLength, kept, edit_.tip.tree.length()});
  }
  StageBlocks();
  if (!manifest_changed_ && !tip_changed_ && edit_.runs.empty() &&
      !edit_.nodes.changed()) {
    return;
  }
  staged_ = state_.Stage(edit_);
  batch->Append(std::exchange(edit_.batch, {}));
}

void Applier::Finish(const absl::Status& stored) {
  if (!staged_) return;
  if (stored.ok()) {
    state_.Publish(std::move(edit_), *staged_, Durability::kLogged);
  } else {
    state_.Undo(*staged_);
    events_.clear();
  }
}

}  // namespace

Hypercore::Results Hypercore::Apply(std::span<const Proof> proofs, bool allow_fork) {
  std::vector<const Proof*> pointers;
  for (const Proof& proof : proofs) pointers.push_back(&proof);
  return Apply(pointers, allow_fork);
}

Hypercore::Results Hypercore::Apply(std::span<const Proof* const> proofs,
                                    bool allow_fork) {
  const Proofs all{this, proofs, allow_fork};
  return std::move(ApplyTogether({&all, 1}).front());
}

std::vector<Hypercore::Results> Hypercore::ApplyTogether(std::span<const Proofs> all,
                                                         absl::Status* committed) {
  std::vector<Results> results;
  results.reserve(all.size());
  std::vector<std::unique_ptr<Applier>> appliers;
  StorageBatch batch;
  for (const Proofs& one : all) {
    appliers.push_back(std::make_unique<Applier>(*one.core->state_));
    results.push_back(appliers.back()->TakeAll(one.proofs, one.allow_fork));
    if (results.back().ok()) appliers.back()->Stage(&batch);
  }
  absl::Status stored;
  if (!batch.empty()) {
    stored = all[0].core->state_->storage->Commit(batch, Durability::kLogged);
  }
  for (std::size_t i = 0; i < all.size(); ++i) {
    appliers[i]->Finish(stored);
    if (!stored.ok() && results[i].ok()) results[i] = stored;
  }
  if (committed != nullptr) *committed = stored;
  // Observers may look at any of the cores.
  for (const auto& applier : appliers) applier->Notify();
  return results;
}

}  // namespace weft
