#include "weft/base_branches.h"

#include <algorithm>

#include "engine/codec.h"
#include "weft/branch_store.h"

namespace weft {
namespace {

constexpr std::uint8_t kPiece = 8;
constexpr std::uint8_t kFetch = 9;
constexpr Nanos kPatienceFirst = std::chrono::seconds(2);
constexpr Nanos kPatienceMost = std::chrono::minutes(5);
// Who gives a branch has so long before one more may.
constexpr Nanos kGivingPatience = std::chrono::seconds(30);
constexpr std::size_t kPieceBytes = 48 * 1024;
constexpr std::uint64_t kLengthBytesMax = 5;  // of one block in a piece

Bytes Question(std::uint8_t kind, const BranchPlace& place) {
  Bytes bytes = {kind};
  Writer out(&bytes);
  WritePlace(place, out);
  return bytes;
}

absl::Status NotHeld() {
  return absl::NotFoundError("a branch that is not held");
}

// The piece that begins at the place, of what was read from its block on.
absl::StatusOr<BaseBranches::Answers> PieceOf(const BranchPlace& place,
                                              const absl::StatusOr<Bytes>& read) {
  if (!read.ok() || read->size() <= place.offset) return NotHeld();
  const auto bytes = ByteView(*read).subspan(place.offset);
  Bytes piece = Question(kPiece, place);
  Append(piece, bytes.first(std::min(kPieceBytes, bytes.size())));
  return BaseBranches::Answers{std::move(piece)};
}

}  // namespace

// --- giving ---

absl::StatusOr<BaseBranches::Answers> BaseBranches::TakeFetch(ByteView body) const {
  Reader in(body);
  const BranchPlace place = ReadPlace(in);
  if (!in.ok() || !in.done()) {
    return absl::InvalidArgumentError("a question for a branch is malformed");
  }
  // Of a forked log only, and no more than survives here (P10).
  const std::optional<ForkedLog> fork = node_->indexer()->ForkOf(place.log);
  if (!fork || place.length > fork->cut) return NotHeld();
  const bool beyond = place.length > fork->fork_point;
  if (beyond &&
      node_->indexer()->SurvivorAt(place.log, place.length) != place.tree_hash) {
    return NotHeld();
  }
  return PieceOf(place,
                 beyond && fork->other_branch ? ReadSaved(place) : ReadHeld(place));
}

absl::StatusOr<BaseBranches::Answers> BaseBranches::GiveAny(
    const BranchPlace& place) const {
  absl::StatusOr<Bytes> read = ReadHeld(place);
  if (!read.ok()) read = ReadSaved(place);
  return PieceOf(place, read);
}

absl::StatusOr<Bytes> BaseBranches::ReadSaved(const BranchPlace& place) const {
  WEFT_ASSIGN_OR_RETURN(const std::vector<Bytes> blocks,
                        ReadBranch(*node_->host().storage, node_->record().number,
                                   place.log, place.position, place.length,
                                   place.tree_hash, place.offset + kPieceBytes));
  Bytes bytes;
  Writer out(&bytes);
  for (const Bytes& block : blocks) out.Buffer(block);
  return bytes;
}

absl::StatusOr<Bytes> BaseBranches::ReadHeld(const BranchPlace& place) const {
  const std::shared_ptr<Hypercore> core = node_->LogOf(place.log);
  if (core == nullptr || core->contiguous_length() < place.length) return NotHeld();
  WEFT_ASSIGN_OR_RETURN(const TreeHash here, core->TreeHashAt(place.length));
  if (here != place.tree_hash) return NotHeld();
  WEFT_ASSIGN_OR_RETURN(const MerkleTree below, PrefixTree(*core, place.position));
  WEFT_ASSIGN_OR_RETURN(const MerkleTree whole, PrefixTree(*core, place.length));
  const std::uint64_t bytes_there = whole.byte_length() - below.byte_length();
  const std::uint64_t lengths = kLengthBytesMax * (place.length - place.position);
  if (bytes_there + lengths > kBranchBytesMax)
    return absl::NotFoundError("a branch that is too long");
  const std::size_t enough = place.offset + kPieceBytes;
  Bytes bytes;
  Writer out(&bytes);
  for (std::uint64_t at = place.position; at < place.length && bytes.size() < enough;
       ++at) {
    WEFT_ASSIGN_OR_RETURN(const Bytes block, core->Get(at));
    out.Buffer(block);
  }
  return bytes;
}

// --- getting ---

std::optional<Bytes> BaseBranches::Ask() const {
  const std::optional<BranchPlace> place = fetch_ ? fetch_->Ask() : std::nullopt;
  if (!place) return std::nullopt;
  return Question(kFetch, *place);
}

// The most senior name of the first log that wants one, until it is here or not wanted
// any more.
void BaseBranches::Relay() {
  const std::vector<Indexer::NamedBranch> wanted = node_->indexer()->WantedBranches();
  for (const Indexer::NamedBranch& branch : wanted) {
    if (fetch_ && fetch_->branch() == branch) return;
  }
  fetch_.reset();
  if (wanted.empty()) return;
  Fetch(wanted.front());
  patience_ = kPatienceFirst;
  LookAfterIn(patience_);
}

void BaseBranches::Fetch(const Indexer::NamedBranch& branch) {
  const std::shared_ptr<Hypercore> core = node_->LogOf(branch.log);
  if (core == nullptr) return;
  absl::StatusOr<MerkleTree> prefix = PrefixTree(*core, branch.fork_point);
  if (!prefix.ok()) return;
  fetch_.emplace(branch, *std::move(prefix));
  TellAsk();
}

// Everybody is asked; who has it is asked for the rest.
void BaseBranches::TellAsk() {
  if (const std::optional<Bytes> ask = Ask()) node_->TellEvidence(std::span(&*ask, 1));
}

// Or sooner, if that is due already.
void BaseBranches::LookAfterIn(Nanos delay) {
  const Nanos due = node_->host().clock->Steady() + delay;
  if (look_due_ && *look_due_ <= due) return;
  look_due_ = due;
  node_->PostAfter(delay, [this, due] {
    if (look_due_ != due) return;
    look_due_.reset();
    LookAfterFetch();
  });
}

void BaseBranches::LookAfterFetch() {
  if (!fetch_) return;
  fetch_->LookAfter();
  if (fetch_->moves()) {
    patience_ = kPatienceFirst;
    TellAsk();
    return LookAfterIn(kGivingPatience);
  }
  // Somebody may have it by now who did not when he was asked. Nobody may ever: others
  // that are wanted have their turn.
  const std::vector<Indexer::NamedBranch> wanted = node_->indexer()->WantedBranches();
  const auto now = std::ranges::find(wanted, fetch_->branch());
  if (now != wanted.end() && now + 1 != wanted.end()) {
    Fetch(*(now + 1));
    return LookAfterIn(kPatienceFirst);
  }
  if (wanted.size() > 1) {
    Fetch(wanted.front());
  } else {
    TellAsk();
  }
  patience_ = std::min(2 * patience_, kPatienceMost);
  LookAfterIn(patience_);
}

absl::StatusOr<BaseBranches::Answers> BaseBranches::TakePiece(const PublicKey& peer,
                                                              const BranchPlace& place,
                                                              ByteView bytes) {
  if (!fetch_) return absl::NotFoundError("a branch that is not wanted");
  absl::StatusOr<BranchFetch::Taken> taken = fetch_->Take(peer, place, bytes);
  // Whoever gave it lied; somebody else may not.
  if (absl::IsDataLoss(taken.status())) LookAfterIn(kPatienceFirst);
  WEFT_RETURN_IF_ERROR(taken.status());
  if (taken->branch) {
    node_->Post([this, branch = fetch_->branch(), blocks = *std::move(taken->branch)] {
      const absl::Status kept = KeepBranch(branch, blocks);
      if (!kept.ok()) node_->NotSynced(kept);
    });
    fetch_.reset();
  }
  if (!taken->ask) return Answers();
  return Answers{Question(kFetch, *taken->ask)};
}

absl::Status BaseBranches::KeepBranch(const Indexer::NamedBranch& branch,
                                      ByteView blocks) {
  WEFT_RETURN_IF_ERROR(SaveBranch(*node_->host().storage, node_->record().number,
                                  branch.log, branch.fork_point, branch.length,
                                  branch.tree_hash, blocks));
  node_->LookAgain(branch.log);
  return absl::OkStatus();
}

}  // namespace weft
