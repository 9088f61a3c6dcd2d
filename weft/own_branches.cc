#include "weft/own_branches.h"

#include <algorithm>

#include "engine/corestore.h"
#include "weft/base_node.h"
#include "weft/branch_store.h"

namespace weft {
namespace {

constexpr std::size_t kForkedMax = 16;
constexpr std::size_t kWantedMax = 64;
// A sync that is level otherwise waits so long for what comes next.
constexpr Nanos kPatience = std::chrono::seconds(2);

}  // namespace

std::vector<CoreKey> OwnBranches::Forked() const {
  std::vector<CoreKey> logs;
  const CoreKey& self = node_->record().identity;
  for (const ForkedLog& fork : node_->indexer()->Forks()) {
    if (fork.identity == self && logs.size() < kForkedMax) logs.push_back(fork.log);
  }
  return logs;
}

bool OwnBranches::IsForked(const CoreKey& log) const {
  const std::optional<ForkedLog> fork = node_->indexer()->ForkOf(log);
  return fork && fork->identity == node_->record().identity;
}

void OwnBranches::Asked(const CoreKey& log) {
  unanswered_.insert(log);
  Moved();
}

void OwnBranches::Answered(const CoreKey& log) {
  unanswered_.erase(log);
}

bool OwnBranches::Want(const Indexer::NamedBranch& branch) {
  if (IsWanted(branch) || wanted_.size() >= kWantedMax) return false;
  const auto saved =
      ListBranches(*node_->host().storage, node_->record().number, branch.log);
  if (!saved.ok()) return false;
  for (const SavedBranch& known : *saved) {
    if (known.tree_hash == branch.tree_hash) return false;
  }
  wanted_.push_back(branch);
  Moved();
  return true;
}

void OwnBranches::Got(const Indexer::NamedBranch& branch) {
  std::erase(wanted_, branch);
}

bool OwnBranches::IsWanted(const Indexer::NamedBranch& branch) const {
  return std::ranges::find(wanted_, branch) != wanted_.end();
}

void OwnBranches::Moved() {
  patient_until_ = node_->host().clock->Steady() + kPatience;
}

bool OwnBranches::awaits() const {
  return !(unanswered_.empty() && wanted_.empty()) &&
         node_->host().clock->Steady() < patient_until_;
}

Bytes OwnBranches::Signable(const PublicKey& asker, const BranchPlace& place) const {
  Bytes message = ToBytes("weft own branch");
  Writer out(&message);
  out.Raw(node_->base_id().view());
  out.Raw(asker.view());
  out.Raw(place.log.view());
  out.U64(place.length);
  out.Raw(place.tree_hash.view());
  return message;
}

absl::StatusOr<Signature> OwnBranches::Sign(const BranchPlace& place) const {
  return node_->SignAsSelf(Signable(node_->peer_key(), place));
}

absl::Status OwnBranches::Verify(const PublicKey& asker, const BranchPlace& place,
                                 const Signature& signature) const {
  const CoreKey owner = node_->indexer()->authority().IdentityOf(place.log);
  const std::shared_ptr<Hypercore> first = node_->LogOf(owner);
  if (first == nullptr || !first->manifest() || first->manifest()->quorum != 1 ||
      first->manifest()->signers.size() != 1) {
    return absl::NotFoundError("a branch whose owner cannot be told");
  }
  const PublicKey& key = first->manifest()->signers.front().public_key;
  if (weft::Verify(key, Signable(asker, place), signature)) return absl::OkStatus();
  return absl::DataLossError("a question for a branch that its owner has not signed");
}

}  // namespace weft
