#include "weft/base_branches.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "engine/codec.h"
#include "weft/branch_store.h"

namespace weft {
namespace {

constexpr std::uint8_t kPiece = 8;
constexpr std::uint8_t kFetch = 9;
constexpr std::uint8_t kOwnFetch = 10;
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

// Of the first `length` blocks.
absl::StatusOr<std::uint64_t> BytesBelow(const Hypercore& core, std::uint64_t length) {
  std::uint64_t bytes = 0;
  for (const std::uint64_t root : flat_tree::FullRoots(length)) {
    WEFT_ASSIGN_OR_RETURN(const TreeNode node, core.NodeAt(root));
    bytes += node.size;
  }
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

absl::Status Malformed() {
  return absl::InvalidArgumentError("a question for a branch is malformed");
}

}  // namespace

absl::StatusOr<BaseBranches::Answers> BaseBranches::Take(const PublicKey& peer,
                                                         ByteView evidence) {
  const ByteView body = evidence.subspan(1);
  switch (evidence[0]) {
    case kPiece:
      return TakePiece(peer, body);
    case kOwnFetch:
      return TakeOwnFetch(peer, body);
    default:
      return TakeFetch(body);
  }
}

// --- giving ---

absl::StatusOr<BaseBranches::Answers> BaseBranches::TakeFetch(ByteView body) const {
  Reader in(body);
  const BranchPlace place = ReadPlace(in);
  if (!in.ok() || !in.done()) return Malformed();
  // Of a forked log only, and no more than survives here (P10).
  const std::optional<ForkedLog> fork = node_->indexer()->ForkOf(place.log);
  if (!fork || place.length > fork->cut) return NotHeld();
  return PieceOf(place, fork->other_branch ? ReadSaved(place) : ReadHeld(place));
}

absl::StatusOr<BaseBranches::Answers> BaseBranches::TakeOwnFetch(const PublicKey& peer,
                                                                 ByteView body) const {
  Reader in(body);
  const BranchPlace place = ReadPlace(in);
  const auto signature = in.Fixed<Signature>();
  if (!in.ok() || !in.done()) return Malformed();
  WEFT_RETURN_IF_ERROR(own_.Verify(peer, place, signature));
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
  WEFT_ASSIGN_OR_RETURN(const std::uint64_t from, BytesBelow(*core, place.position));
  WEFT_ASSIGN_OR_RETURN(const std::uint64_t to, BytesBelow(*core, place.length));
  const std::uint64_t lengths = kLengthBytesMax * (place.length - place.position);
  if (to - from + lengths > kBranchBytesMax)
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
  return FetchOf(*place);
}

// What asks for the branch that is fetched now.
std::optional<Bytes> BaseBranches::FetchOf(const BranchPlace& place) const {
  if (!own_.IsWanted(fetch_->branch())) return Question(kFetch, place);
  const absl::StatusOr<Signature> signature = own_.Sign(place);
  if (!signature.ok()) return std::nullopt;
  Bytes question = Question(kOwnFetch, place);
  Append(question, signature->view());
  return question;
}

// What seniors name first.
std::vector<Indexer::NamedBranch> BaseBranches::Wanted() const {
  std::vector<Indexer::NamedBranch> wanted = node_->indexer()->WantedBranches();
  wanted.insert(wanted.end(), own_.wanted().begin(), own_.wanted().end());
  return wanted;
}

void BaseBranches::WantOwn(const BranchHead& head, std::uint64_t held) {
  if (head.fork != 0) return;  // no writer's log (S3)
  if (own_.Want({head.core, held, head.length, HashOf(head)})) Relay();
}

// The most senior name of the first log that wants one, until it is here or not wanted
// any more.
void BaseBranches::Relay() {
  const std::vector<Indexer::NamedBranch> wanted = Wanted();
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
  std::vector<TreeNode> roots;
  for (const std::uint64_t root : flat_tree::FullRoots(branch.fork_point)) {
    const absl::StatusOr<TreeNode> node = core->NodeAt(root);
    if (!node.ok()) return;
    roots.push_back(*node);
  }
  std::optional<MerkleTree> prefix = MerkleTree::FromRoots(roots);
  if (!prefix) return;
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
  const std::vector<Indexer::NamedBranch> wanted = Wanted();
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
                                                              ByteView body) {
  Reader in(body);
  const BranchPlace place = ReadPlace(in);
  if (!in.ok()) return absl::InvalidArgumentError("a piece of a branch is malformed");
  if (!fetch_) return absl::NotFoundError("a branch that is not wanted");
  absl::StatusOr<BranchFetch::Taken> taken = fetch_->Take(peer, place, in.Rest());
  // Whoever gave it lied; somebody else may not.
  if (absl::IsDataLoss(taken.status())) LookAfterIn(kPatienceFirst);
  WEFT_RETURN_IF_ERROR(taken.status());
  own_.Moved();
  if (taken->branch) {
    node_->Post([this, branch = fetch_->branch(), blocks = *std::move(taken->branch)] {
      const absl::Status kept = KeepBranch(branch, blocks);
      if (!kept.ok()) node_->NotSynced(kept);
    });
    fetch_.reset();
  }
  if (!taken->ask) return Answers();
  std::optional<Bytes> question = FetchOf(*taken->ask);
  if (!question) return Answers();
  return Answers{*std::move(question)};
}

absl::Status BaseBranches::KeepBranch(const Indexer::NamedBranch& branch,
                                      ByteView blocks) {
  WEFT_RETURN_IF_ERROR(SaveBranch(*node_->host().storage, node_->record().number,
                                  branch.log, branch.fork_point, branch.length,
                                  branch.tree_hash, blocks));
  node_->LookAgain(branch.log);
  if (!own_.IsWanted(branch)) return absl::OkStatus();
  own_.Got(branch);
  node_->Tell(
      absl::StrFormat("a peer held %d blocks of our forked log %s that were not here",
                      branch.length - branch.fork_point, ToHex(branch.log.view())));
  Relay();
  return absl::OkStatus();
}

}  // namespace weft
