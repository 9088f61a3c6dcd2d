#include "weft/base_forks.h"

#include <algorithm>
#include <utility>

#include "engine/codec.h"

namespace weft {
namespace {

constexpr std::uint8_t kProof = 1;
constexpr std::uint8_t kHead = 5;
constexpr std::uint8_t kAsk = 6;
constexpr std::uint8_t kHashes = 7;
constexpr std::uint8_t kPiece = 8;
constexpr std::uint8_t kFetch = 9;
constexpr std::uint8_t kOwnFetch = 10;
constexpr std::uint8_t kNothing = 11;
constexpr std::size_t kHashesPerMessage = 512;
constexpr std::size_t kHashMessagesMax = 64;
// For a length that was told: the log was not held whole when it came into doubt.
constexpr std::uint64_t kNotWhole = 0;
constexpr std::size_t kDoubtsMax = 1'024;       // logs
constexpr std::size_t kHeadsPerAnswerMax = 16;  // and told when two peers meet
constexpr std::size_t kArrivedBytesMax = 16 * 1024 * 1024;
constexpr int kTakingPause = 4;  // times as long as taking took

Bytes Tagged(std::uint8_t kind, ByteView body) {
  Bytes bytes = {kind};
  Append(bytes, body);
  return bytes;
}

BaseForks::Answers AnswersOf(std::optional<Bytes> question) {
  BaseForks::Answers answers;
  if (question) answers.push_back(*std::move(question));
  return answers;
}

Bytes AskFor(const CoreKey& log, std::uint64_t from) {
  Bytes ask = {kAsk};
  Writer out(&ask);
  out.Raw(log.view());
  out.Uint(from);
  return ask;
}

}  // namespace

std::vector<Bytes> BaseForks::Evidence() {
  std::vector<Bytes> evidence;
  if (node_->indexer() == nullptr) return evidence;
  // A proof's own first byte is its kind.
  if (auto proofs = node_->indexer()->ForkProofs(); proofs.ok()) {
    evidence = *std::move(proofs);
  }
  // Who comes may have what nobody had who was asked before.
  if (auto ask = branches_.Ask()) evidence.push_back(*std::move(ask));
  std::size_t heads = 0;
  const auto tell = [&](const CoreKey& log, std::uint64_t from) {
    if (heads == kHeadsPerAnswerMax) return;
    auto head = HeadOf(log, from);
    if (!head.ok()) return;
    evidence.push_back(*std::move(head));
    ++heads;
  };
  for (const CoreKey& log : apart_) tell(log, 0);
  for (const auto& [log, length] : doubted_) {
    if (!node_->indexer()->ForkOf(log)) tell(log, length);
  }
  return evidence;
}

std::vector<Bytes> BaseForks::AskOfOwn(const PublicKey& peer) {
  return QuestionsFor(own_.ToAsk(peer));
}

// From where their branches part.
std::vector<Bytes> BaseForks::QuestionsFor(const std::vector<CoreKey>& logs) const {
  std::vector<Bytes> questions;
  for (const CoreKey& log : logs) {
    questions.push_back(AskFor(log, node_->indexer()->ForkOf(log)->fork_point));
  }
  return questions;
}

std::vector<Bytes> BaseForks::Hashes() const {
  std::vector<Bytes> messages;
  if (node_->indexer() == nullptr) return messages;
  std::size_t count = 0;
  for (const auto& [log, prefix] : node_->indexer()->CurrentVersion().writers) {
    if (count % kHashesPerMessage == 0) {
      if (messages.size() == kHashMessagesMax) break;
      messages.push_back({kHashes});
    }
    ++count;
    Writer out(&messages.back());
    out.Raw(log.view());
    out.Uint(prefix.length);
    out.Raw(prefix.tree_hash.view());
  }
  return messages;
}

absl::StatusOr<BaseForks::Answers> BaseForks::Take(const PublicKey& peer,
                                                   ByteView evidence) {
  const ByteView body = evidence.subspan(1);
  switch (evidence[0]) {
    case kProof:
      return TakeProof(peer, evidence);
    case kHead:
      return TakeHead(peer, body);
    case kAsk:
      return TakeAsk(body);
    case kHashes:
      return TakeHashes(body);
    case kPiece:
      return TakePiece(peer, body);
    case kFetch:
      return branches_.TakeFetch(body);
    case kOwnFetch:
      return TakeOwnFetch(peer, body);
    case kNothing:
      return TakeNothing(peer, body);
    default:
      return absl::InvalidArgumentError("evidence of no known kind");
  }
}

// --- finding where two branches part ---

bool BaseForks::IsNews(const ProvenFork& fork) const {
  const std::optional<ForkedLog> known = node_->indexer()->ForkOf(fork.log);
  if (known && RankOf(known->fork_point, known->shown) <= fork.rank()) return false;
  const auto arrived = arrived_.find(fork.log);
  return arrived == arrived_.end() || fork.rank() < arrived->second.rank();
}

bool BaseForks::IsNamed(const ProvenFork& fork) const {
  return node_->IsLog(fork.log) ||
         (fork.shows && node_->indexer()->authority().IsNamed(*fork.shows));
}

absl::Status BaseForks::TakeSoon(ProvenFork fork) {
  const bool is_first = arrived_.empty();
  const auto known = arrived_.find(fork.log);
  const std::size_t known_bytes =
      known == arrived_.end() ? 0 : known->second.proof.size();
  const std::size_t bytes = arrived_bytes_ - known_bytes + fork.proof.size();
  if (bytes > kArrivedBytesMax) {
    return absl::NotFoundError("more forks than can be taken at once");
  }
  arrived_bytes_ = bytes;
  const CoreKey log = fork.log;
  arrived_.insert_or_assign(log, std::move(fork));
  if (!is_first) return absl::OkStatus();
  // Not from inside the exchange that brought it: its effect wakes all exchanges.
  const Nanos since = node_->host().clock->Steady() - taken_at_;
  const Nanos pause = kTakingPause * taking_took_;
  if (since >= pause) {
    node_->Post([this] { TakeArrived(); });
  } else {
    node_->PostAfter(pause - since, [this] { TakeArrived(); });
  }
  return absl::OkStatus();
}

void BaseForks::TakeArrived() {
  std::vector<Bytes> proofs;
  arrived_bytes_ = 0;
  for (auto& [log, fork] : std::exchange(arrived_, {})) {
    proofs.push_back(std::move(fork.proof));
  }
  const Nanos started = node_->host().clock->Steady();
  node_->TakeForkProofs(proofs);
  taken_at_ = node_->host().clock->Steady();
  taking_took_ = taken_at_ - started;
}

void BaseForks::TakeNamed() {
  const auto is_named = [this](const ProvenFork& fork) { return IsNamed(fork); };
  for (ProvenFork& fork : waiting_.TakeIf(is_named)) {
    // What finds no room is told again.
    if (IsNews(fork)) TakeSoon(std::move(fork)).IgnoreError();
  }
}

absl::StatusOr<BaseForks::Answers> BaseForks::TakeProof(const PublicKey& peer,
                                                        ByteView evidence) {
  WEFT_ASSIGN_OR_RETURN(const ForkProof proof, DecodeForkProof(evidence));
  const Genesis& genesis = node_->indexer()->genesis();
  const auto claim = ClaimIn(proof, genesis.limits);
  ProvenFork fork;
  fork.log = proof.core;
  fork.fork_point = proof.fork_point;
  if (claim) fork.shows = claim->identity;
  if (!IsNews(fork)) return Answers();
  WEFT_RETURN_IF_ERROR(VerifyForkProof(proof));
  if (claim &&
      !VerifyIncarnation(node_->base_id(), genesis.salt, proof.core, *claim).ok()) {
    fork.shows.reset();
    if (!IsNews(fork)) return absl::NotFoundError("a fork that is known");
  }
  fork.proof = ToBytes(evidence);
  if (!IsNamed(fork)) {
    if (waiting_.Keep(peer, std::move(fork))) return Answers();
    return absl::NotFoundError("a fork of a log that nobody has named");
  }
  WEFT_RETURN_IF_ERROR(TakeSoon(std::move(fork)));
  return Answers();
}

absl::StatusOr<BaseForks::Answers> BaseForks::TakeHead(const PublicKey& peer,
                                                       ByteView body) {
  WEFT_ASSIGN_OR_RETURN(const BranchHead theirs, DecodeBranchHead(body));
  const std::optional<ForkSide> ours = SideOf(theirs.core);
  if (!ours) return TakeHeadOfEmpty(peer, theirs);
  const std::optional<ForkedLog> known = node_->indexer()->ForkOf(theirs.core);
  const bool is_own = own_.IsForked(theirs.core) && ours->length >= known->fork_point;
  if (known && !is_own && known->fork_point < theirs.from) {
    return absl::NotFoundError("a fork that is known");
  }
  const std::shared_ptr<Hypercore> core = node_->LogOf(theirs.core);
  WEFT_RETURN_IF_ERROR(VerifyBranchHead(*core->manifest(), theirs));
  WEFT_ASSIGN_OR_RETURN(BranchComparison found,
                        CompareBranches(*core->manifest(), *ours, theirs));
  if (found.look_from) return Answers{AskFor(theirs.core, *found.look_from)};
  Answers answers;
  if (is_own) {
    const std::uint64_t held =
        found.proof ? found.proof->fork_point : std::min(ours->length, theirs.length);
    answers = AnswersOf(own_.TakeHead(peer, theirs, held));
  }
  if (!found.proof) {
    if (is_own) return answers;
    return absl::NotFoundError("a head of the same branch");
  }
  ForkProof& proof = *found.proof;
  if (proof.fork_point == 0) {
    if (auto first = core->Get(0); first.ok()) proof.first_block = *std::move(first);
  }
  ProvenFork fork;
  fork.log = proof.core;
  fork.fork_point = proof.fork_point;
  fork.proof = EncodeForkProof(proof);
  if (fork.proof.size() > kForkProofBytesMax) {
    proof.first_block.clear();
    fork.proof = EncodeForkProof(proof);
  }
  const auto certificate =
      CertificateIn(proof, node_->base_id(), node_->indexer()->genesis());
  if (certificate) fork.shows = certificate->identity;
  if (!IsNews(fork)) {
    if (is_own) return answers;
    return absl::NotFoundError("a fork that is known");
  }
  WEFT_RETURN_IF_ERROR(TakeSoon(std::move(fork)));
  return answers;
}

// Of a log of which nothing is held: a store may have been rolled back to before the
// first block of ours, and all branches are others'.
absl::StatusOr<BaseForks::Answers> BaseForks::TakeHeadOfEmpty(const PublicKey& peer,
                                                              const BranchHead& head) {
  const std::shared_ptr<Hypercore> core = node_->LogOf(head.core);
  if (core == nullptr || core->length() > 0 || !core->manifest() ||
      !own_.IsForked(head.core)) {
    return absl::NotFoundError("a head of a log that is not held here");
  }
  WEFT_RETURN_IF_ERROR(VerifyBranchHead(*core->manifest(), head));
  return AnswersOf(own_.TakeHead(peer, head, 0));
}

absl::StatusOr<BaseForks::Answers> BaseForks::TakePiece(const PublicKey& peer,
                                                        ByteView body) {
  Reader in(body);
  const BranchPlace place = ReadPlace(in);
  if (!in.ok()) return absl::InvalidArgumentError("a piece of a branch is malformed");
  const ByteView bytes = in.Rest();
  absl::StatusOr<Answers> taken = branches_.TakePiece(peer, place, bytes);
  if (!absl::IsNotFound(taken.status())) return taken;
  WEFT_ASSIGN_OR_RETURN(std::optional<Bytes> question,
                        own_.TakePiece(peer, place, bytes));
  return AnswersOf(std::move(question));
}

absl::StatusOr<BaseForks::Answers> BaseForks::TakeOwnFetch(const PublicKey& peer,
                                                           ByteView body) const {
  WEFT_ASSIGN_OR_RETURN(const BranchPlace place, own_.ReadQuestion(peer, body));
  return branches_.GiveAny(place);
}

absl::StatusOr<BaseForks::Answers> BaseForks::TakeNothing(const PublicKey& peer,
                                                          ByteView body) {
  const auto log = CoreKey::From(body);
  if (!log) return absl::InvalidArgumentError("an answer about a log is malformed");
  own_.TakeNothing(peer, *log);
  return Answers();
}

absl::StatusOr<BaseForks::Answers> BaseForks::TakeAsk(ByteView body) const {
  Reader in(body);
  const auto log = in.Fixed<CoreKey>();
  const std::uint64_t from = in.CanonicalUint();
  if (!in.ok() || !in.done()) {
    return absl::InvalidArgumentError("a question for a head is malformed");
  }
  absl::StatusOr<Bytes> head = HeadOf(log, from);
  if (head.ok()) return Answers{*std::move(head)};
  return Answers{Tagged(kNothing, log.view())};
}

absl::StatusOr<BaseForks::Answers> BaseForks::TakeHashes(ByteView body) const {
  Answers heads;
  Reader in(body);
  while (in.ok() && !in.done()) {
    const auto log = in.Fixed<CoreKey>();
    const std::uint64_t length = in.CanonicalUint();
    const auto hash = in.Fixed<TreeHash>();
    if (!in.ok() || heads.size() == kHeadsPerAnswerMax) continue;
    const std::shared_ptr<Hypercore> core = node_->LogOf(log);
    if (core == nullptr || length == 0 || node_->Feeds().settled(log) != length) {
      continue;
    }
    // What is settled is not what the core holds.
    const std::optional<ForkedLog> fork = node_->indexer()->ForkOf(log);
    if (fork && fork->other_branch) continue;
    const absl::StatusOr<TreeHash> ours = core->TreeHashAt(length);
    if (!ours.ok() || *ours == hash) continue;
    if (auto head = HeadOf(log, length); head.ok()) heads.push_back(*std::move(head));
  }
  if (!in.ok()) {
    return absl::InvalidArgumentError("the hashes of settled feeds are malformed");
  }
  return heads;
}

void BaseForks::Doubt(const CoreKey& log) {
  const std::shared_ptr<Hypercore> core = node_->LogOf(log);
  if (core == nullptr || core->length() == 0) return;
  if (doubted_.size() >= kDoubtsMax && !doubted_.contains(log)) return;
  std::uint64_t& told = doubted_.try_emplace(log, kNotWhole).first->second;
  if (told == core->length()) return;
  told = TellHead(log, core->length()) ? core->length() : kNotWhole;
}

bool BaseForks::TellHead(const CoreKey& log, std::uint64_t from) const {
  const auto head = HeadOf(log, from);
  if (head.ok()) node_->TellEvidence(std::span(&*head, 1));
  return head.ok();
}

std::optional<ForkSide> BaseForks::SideOf(const CoreKey& log) const {
  const std::shared_ptr<Hypercore> core = node_->LogOf(log);
  if (core == nullptr || core->length() == 0 || !core->manifest() ||
      core->contiguous_length() < core->length()) {
    return std::nullopt;
  }
  ForkSide side;
  side.length = core->length();
  side.fork = core->fork();
  side.signature = ToBytes(core->signature());
  side.node = [core](std::uint64_t tree_index) -> std::optional<TreeNode> {
    const absl::StatusOr<TreeNode> node = core->NodeAt(tree_index);
    if (!node.ok()) return std::nullopt;
    return *node;
  };
  return side;
}

absl::StatusOr<Bytes> BaseForks::HeadOf(const CoreKey& log, std::uint64_t from) const {
  const std::optional<ForkSide> side = SideOf(log);
  if (!side) return absl::NotFoundError("a log that is not held here");
  WEFT_ASSIGN_OR_RETURN(const BranchHead head, MakeBranchHead(log, *side, from));
  return Tagged(kHead, EncodeBranchHead(head));
}

void BaseForks::Relay() {
  const Indexer& indexer = *node_->indexer();
  branches_.Relay();
  const std::vector<Bytes> questions = QuestionsFor(own_.ToAskAll());
  if (!questions.empty()) node_->TellEvidence(questions);
  for (const MissingPrefix& missing : indexer.Missing()) {
    if (missing.other_branch) Doubt(missing.log);
  }
  for (const auto& [log, told] : doubted_) {
    if (told == kNotWhole) Doubt(log);
  }
  std::vector<CoreKey> news;
  for (const ForkedLog& fork : indexer.Forks()) {
    const auto told = told_.find(fork.log);
    if (told != told_.end() && told->second <= fork.fork_point) continue;
    told_[fork.log] = fork.fork_point;
    doubted_.erase(fork.log);
    news.push_back(fork.log);
  }
  if (news.empty()) return;
  node_->TellForked();
  const auto proofs = indexer.ForkProofs();
  if (!proofs.ok()) return;
  for (const Bytes& bytes : *proofs) {
    const auto proof = DecodeForkProof(bytes);
    if (!proof.ok()) continue;
    if (std::find(news.begin(), news.end(), proof->core) == news.end()) continue;
    node_->TellEvidence(std::span(&bytes, 1));
    TellIfApart(*proof);
  }
}

// What we hold may have parted from both branches of the proof before they part from
// each other. Then whoever holds one of them can prove more with our head.
void BaseForks::TellIfApart(const ForkProof& proof) {
  apart_.erase(proof.core);
  const std::shared_ptr<Hypercore> core = node_->LogOf(proof.core);
  if (core == nullptr || core->length() < proof.fork_point) return;
  const auto here = core->TreeHashAt(proof.fork_point);
  if (!here.ok() || *here == RootsHash(proof.roots)) return;
  apart_.insert(proof.core);
  TellHead(proof.core, 0);
}

}  // namespace weft
