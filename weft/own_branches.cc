#include "weft/own_branches.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "engine/codec.h"
#include "weft/base_node.h"
#include "weft/branch_store.h"
#include "weft/convert.h"

namespace weft {
namespace {

constexpr std::uint8_t kOwnFetch = 10;
constexpr std::size_t kForkedMax = 64;     // more logs of one identity do not count
constexpr std::size_t kGiversMax = 1'024;  // peers
constexpr std::size_t kFetchesMax = 2;     // at a time; each has a branch in memory
constexpr Nanos kPatience = std::chrono::seconds(2);
constexpr std::size_t kReadBytes = 1024 * 1024;

absl::Status NotAsked() {
  return absl::NotFoundError("a piece of a branch that was not asked for");
}

// Of the first `length` blocks of a saved branch.
absl::StatusOr<TreeHash> HashAt(Storage& storage, std::uint64_t base,
                                const CoreKey& log, const SavedBranch& branch,
                                MerkleTree tree, std::uint64_t length) {
  while (tree.length() < length) {
    WEFT_ASSIGN_OR_RETURN(const std::vector<Bytes> blocks,
                          ReadBranch(storage, base, log, tree.length(), branch.length,
                                     branch.tree_hash, kReadBytes));
    if (blocks.empty()) return absl::DataLossError("a branch is no longer held");
    for (const Bytes& block : blocks) {
      if (tree.length() < length) tree.AppendBlock(block, [](const TreeNode&) {});
    }
  }
  return tree.hash();
}

}  // namespace

// --- asking ---

// It could not be said what others have beyond it.
bool OwnBranches::IsWhole(const ForkedLog& fork) const {
  const std::shared_ptr<Hypercore> core = node_->LogOf(fork.log);
  return core != nullptr && core->length() >= fork.fork_point &&
         core->contiguous_length() == core->length();
}

std::vector<CoreKey> OwnBranches::Forked() const {
  std::vector<CoreKey> logs;
  for (const ForkedLog& fork : node_->indexer()->Forks()) {
    if (fork.identity != node_->record().identity || !IsWhole(fork)) continue;
    if (logs.size() < kForkedMax) logs.push_back(fork.log);
  }
  return logs;
}

bool OwnBranches::IsForked(const CoreKey& log) const {
  const std::optional<ForkedLog> fork = node_->indexer()->ForkOf(log);
  return fork && fork->identity == node_->record().identity;
}

Nanos OwnBranches::Patience() const {
  return node_->host().clock->Steady() + kPatience;
}

// Null if there are too many.
OwnBranches::Giver* OwnBranches::GiverOf(const PublicKey& peer) {
  if (givers_.size() >= kGiversMax && !givers_.contains(peer)) {
    std::erase_if(givers_, [this](const auto& giver) { return !Awaits(giver.first); });
    if (givers_.size() >= kGiversMax) return nullptr;
  }
  return &givers_[peer];
}

std::vector<CoreKey> OwnBranches::ToAsk(const PublicKey& peer) {
  const std::vector<CoreKey> logs = Forked();
  Giver* const giver = GiverOf(peer);
  if (giver == nullptr) return {};
  // He has come anew: what he was asked before is not on its way any more.
  *giver = Giver();
  giver->unanswered.insert(logs.begin(), logs.end());
  giver->patient_until = Patience();
  return logs;
}

std::vector<CoreKey> OwnBranches::ToAskAll() {
  std::vector<CoreKey> logs;
  for (const CoreKey& log : Forked()) {
    if (asked_.insert(log).second) logs.push_back(log);
  }
  if (logs.empty()) return logs;
  for (auto& [peer, giver] : givers_) {
    giver.unanswered.insert(logs.begin(), logs.end());
    giver.patient_until = Patience();
  }
  return logs;
}

bool OwnBranches::Awaits(const PublicKey& peer) const {
  const auto found = givers_.find(peer);
  if (found == givers_.end()) return false;
  const Giver& giver = found->second;
  return !(giver.unanswered.empty() && giver.wanted.empty()) &&
         node_->host().clock->Steady() < giver.patient_until;
}

// --- getting ---

// As the log itself, or as the whole or the beginning of a branch that is saved.
absl::StatusOr<bool> OwnBranches::IsHeld(const Indexer::NamedBranch& branch) const {
  const std::shared_ptr<Hypercore> core = node_->LogOf(branch.log);
  if (branch.length <= branch.fork_point) return true;
  Storage& storage = *node_->host().storage;
  const std::uint64_t base = node_->record().number;
  WEFT_ASSIGN_OR_RETURN(const std::vector<SavedBranch> saved,
                        ListBranches(storage, base, branch.log));
  for (const SavedBranch& known : saved) {
    if (known.tree_hash == branch.tree_hash) return true;
    if (known.length <= branch.length || known.from > core->length()) continue;
    WEFT_ASSIGN_OR_RETURN(MerkleTree tree, PrefixTree(*core, known.from));
    if (tree.length() >= branch.length) continue;
    WEFT_ASSIGN_OR_RETURN(const TreeHash hash, HashAt(storage, base, branch.log, known,
                                                      std::move(tree), branch.length));
    if (hash == branch.tree_hash) return true;
  }
  return false;
}

std::optional<Bytes> OwnBranches::TakeHead(const PublicKey& peer,
                                           const BranchHead& head, std::uint64_t held) {
  Giver* const giver = GiverOf(peer);
  if (giver == nullptr) return std::nullopt;
  giver->unanswered.erase(head.core);
  const Indexer::NamedBranch branch{head.core, held, head.length, HashOf(head)};
  const absl::StatusOr<bool> is_held = IsHeld(branch);
  // No writer's log has another fork (S3).
  if (head.fork != 0 || !is_held.ok() || *is_held) return std::nullopt;
  giver->wanted.insert_or_assign(head.core, branch);
  giver->patient_until = Patience();
  return AskNext(*giver);
}

void OwnBranches::TakeNothing(const PublicKey& peer, const CoreKey& log) {
  const auto giver = givers_.find(peer);
  if (giver != givers_.end()) giver->second.unanswered.erase(log);
}

// For one more fetch: the first that has come to a halt is given up.
bool OwnBranches::MakeRoom() {
  std::size_t fetches = 0;
  Giver* halted = nullptr;
  for (auto& [peer, giver] : givers_) {
    if (!giver.fetch) continue;
    ++fetches;
    if (halted == nullptr && !Awaits(peer)) halted = &giver;
  }
  if (fetches < kFetchesMax) return true;
  if (halted == nullptr) return false;
  halted->wanted.erase(halted->fetch->branch().log);
  halted->fetch.reset();
  return true;
}

// The next of what he has, unless something of it is coming, or enough from others.
std::optional<Bytes> OwnBranches::AskNext(Giver& giver) {
  if (giver.fetch || giver.wanted.empty() || !MakeRoom()) return std::nullopt;
  const Indexer::NamedBranch& branch = giver.wanted.begin()->second;
  absl::StatusOr<MerkleTree> prefix =
      PrefixTree(*node_->LogOf(branch.log), branch.fork_point);
  if (!prefix.ok()) {
    giver.wanted.erase(giver.wanted.begin());
    return std::nullopt;
  }
  giver.fetch.emplace(branch, *std::move(prefix));
  giver.patient_until = Patience();
  return Question(*giver.fetch->Ask());
}

std::optional<Bytes> OwnBranches::Question(const BranchPlace& place) const {
  const std::shared_ptr<Hypercore> first = node_->LogOf(node_->record().identity);
  const auto signature = node_->SignAsSelf(Signable(node_->host().peer_key, place));
  if (first == nullptr || !first->manifest() || !signature.ok()) return std::nullopt;
  Bytes question = {kOwnFetch};
  Writer out(&question);
  WritePlace(place, out);
  out.Buffer(EncodeManifest(*first->manifest()));
  out.Raw(signature->view());
  return question;
}

absl::StatusOr<std::optional<Bytes>> OwnBranches::TakePiece(const PublicKey& peer,
                                                            const BranchPlace& place,
                                                            ByteView bytes) {
  const auto found = givers_.find(peer);
  if (found == givers_.end() || !found->second.fetch) return NotAsked();
  Giver& giver = found->second;
  absl::StatusOr<BranchFetch::Taken> taken = giver.fetch->Take(peer, place, bytes);
  if (absl::IsNotFound(taken.status())) return taken.status();
  const Indexer::NamedBranch branch = giver.fetch->branch();
  giver.patient_until = Patience();
  if (taken.ok() && taken->ask) return Question(*taken->ask);
  giver.fetch.reset();
  if (taken.ok()) {
    node_->Post([this, peer, branch, blocks = *std::move(taken->branch)] {
      if (const absl::Status kept = Keep(branch, blocks); !kept.ok()) {
        return node_->NotSynced(kept);
      }
      // Only now is he not waited for: who is may be asked what was lost at once.
      for (auto& [key, other] : givers_) {
        const auto wanted = other.wanted.find(branch.log);
        const bool is_here = wanted != other.wanted.end() &&
                             wanted->second.tree_hash == branch.tree_hash;
        if (is_here && !other.fetch) other.wanted.erase(wanted);
        if (const auto next = AskNext(other)) {
          node_->TellEvidence(std::span(&*next, 1));
        }
      }
    });
    return std::nullopt;
  }
  giver.wanted.erase(branch.log);
  return taken.status();
}

absl::Status OwnBranches::Keep(const Indexer::NamedBranch& branch, ByteView blocks) {
  // Nothing that is stored hangs on it: it is asked for again another time.
  if (!node_->host().storage->Writable().ok()) return absl::OkStatus();
  WEFT_ASSIGN_OR_RETURN(const bool is_held, IsHeld(branch));
  if (is_held) return absl::OkStatus();
  WEFT_RETURN_IF_ERROR(SaveBranch(*node_->host().storage, node_->record().number,
                                  branch.log, branch.fork_point, branch.length,
                                  branch.tree_hash, blocks));
  node_->Tell(
      absl::StrFormat("a peer held %d blocks of our forked log %s that were "
                      "not here",
                      branch.length - branch.fork_point, IdText(branch.log)));
  return DropPrefixes(branch, blocks);
}

// Of what is saved besides. What survives (F2) is kept under its own name.
absl::Status OwnBranches::DropPrefixes(const Indexer::NamedBranch& branch,
                                       ByteView blocks) {
  Storage& storage = *node_->host().storage;
  const std::uint64_t base = node_->record().number;
  WEFT_ASSIGN_OR_RETURN(const std::vector<SavedBranch> saved,
                        ListBranches(storage, base, branch.log));
  WEFT_ASSIGN_OR_RETURN(MerkleTree tree,
                        PrefixTree(*node_->LogOf(branch.log), branch.fork_point));
  Reader in(blocks);
  while (tree.length() + 1 < branch.length) {
    tree.AppendBlock(in.Buffer(), [](const TreeNode&) {});
    for (const SavedBranch& known : saved) {
      if (known.length != tree.length() || known.tree_hash != tree.hash() ||
          known.from < branch.fork_point ||
          node_->indexer()->SurvivorAt(branch.log, known.length) == known.tree_hash) {
        continue;
      }
      WEFT_RETURN_IF_ERROR(DropBranch(storage, base, branch.log, known.tree_hash));
    }
  }
  return absl::OkStatus();
}

// --- who asks ---

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

absl::StatusOr<BranchPlace> OwnBranches::ReadQuestion(const PublicKey& asker,
                                                      ByteView question) const {
  const auto malformed =
      absl::InvalidArgumentError("a question for a branch is malformed");
  Reader in(question);
  const BranchPlace place = ReadPlace(in);
  const ByteView encoded = in.Buffer();
  const auto signature = in.Fixed<Signature>();
  if (!in.ok() || !in.done()) return malformed;
  WEFT_ASSIGN_OR_RETURN(const Manifest manifest, DecodeManifest(encoded));
  if (KeyOf(manifest) != node_->indexer()->authority().IdentityOf(place.log) ||
      manifest.quorum != 1 || manifest.signers.size() != 1) {
    return malformed;
  }
  const PublicKey& key = manifest.signers.front().public_key;
  if (Verify(key, Signable(asker, place), signature)) return place;
  return absl::DataLossError("a question for a branch that its owner has not signed");
}

}  // namespace weft
