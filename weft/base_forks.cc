#include "weft/base_forks.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "engine/codec.h"
#include "weft/branch_store.h"

namespace weft {
namespace {

constexpr std::uint8_t kProof = 1;
constexpr std::uint8_t kHead = 5;
constexpr std::uint8_t kAsk = 6;
constexpr std::uint8_t kHashes = 7;
constexpr std::uint8_t kPiece = 8;
constexpr std::uint8_t kFetch = 9;
constexpr int kTriesMax = 16;
constexpr Nanos kRetryFirst = std::chrono::seconds(2);
constexpr Nanos kRetryMost = std::chrono::minutes(5);
constexpr std::size_t kPieceBytes = 48 * 1024;
constexpr std::size_t kBranchBytesMax = 64 * 1024 * 1024;
constexpr std::size_t kHashesPerMessage = 512;
constexpr std::size_t kHashMessagesMax = 64;
constexpr std::size_t kDoubtsMax = 1'024;      // logs
constexpr std::uint64_t kAsksMax = 256;        // answered for one log
constexpr std::size_t kEvidenceHeadsMax = 16;  // told when two peers meet

Bytes Tagged(std::uint8_t kind, ByteView body) {
  Bytes bytes = {kind};
  Append(bytes, body);
  return bytes;
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
  if (std::optional<Bytes> ask = NextFetch()) evidence.push_back(*std::move(ask));
  std::size_t heads = 0;
  for (const auto& [log, length] : doubted_) {
    if (node_->indexer()->ForkOf(log) || heads == kEvidenceHeadsMax) continue;
    if (std::optional<Bytes> head = HeadOf(log, length)) {
      evidence.push_back(*std::move(head));
      ++heads;
    }
  }
  return evidence;
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

absl::Status BaseForks::Take(ByteView evidence) {
  switch (evidence[0]) {
    case kProof:
      return TakeProof(evidence);
    case kHead:
      return TakeHead(evidence.subspan(1));
    case kHashes:
      return TakeHashes(evidence.subspan(1));
    case kPiece:
      return TakePiece(evidence.subspan(1));
    default:
      return absl::OkStatus();
  }
}

absl::Status BaseForks::TakeProof(ByteView evidence) {
  WEFT_ASSIGN_OR_RETURN(const ForkProof proof, DecodeForkProof(evidence));
  if (node_->indexer() == nullptr) return absl::OkStatus();
  const std::optional<ForkedLog> known = node_->indexer()->ForkOf(proof.core);
  const bool is_news = !known || proof.fork_point < known->fork_point ||
                       (proof.fork_point == 0 && !proof.first_block.empty());
  if (!is_news) return absl::OkStatus();
  WEFT_RETURN_IF_ERROR(VerifyForkProof(proof));
  // Not from inside the exchange that brought it: its effect wakes all exchanges.
  node_->Post([this, bytes = ToBytes(evidence)] { node_->TakeForkProof(bytes); });
  return absl::OkStatus();
}

absl::Status BaseForks::TakeHead(ByteView body) {
  WEFT_ASSIGN_OR_RETURN(BranchHead head, DecodeBranchHead(body));
  node_->Post([this, theirs = std::move(head)] { Compare(theirs); });
  return absl::OkStatus();
}

void BaseForks::Compare(const BranchHead& theirs) {
  const std::optional<ForkedLog> known = node_->indexer()->ForkOf(theirs.core);
  const std::shared_ptr<Hypercore> core = node_->LogOf(theirs.core);
  const ForkSide* ours = SideOf(theirs.core);
  if (ours == nullptr || !core->manifest()) return;
  if (known && known->fork_point < theirs.from) return;
  const absl::StatusOr<BranchComparison> found =
      CompareBranches(*core->manifest(), *ours, theirs);
  if (!found.ok()) return;
  if (found->look_from) {
    Bytes ask = {kAsk};
    Writer out(&ask);
    out.Raw(theirs.core.view());
    out.Uint(*found->look_from);
    node_->TellEvidence(std::span(&ask, 1));
  }
  if (!found->proof) return;
  ForkProof proof = *found->proof;
  if (proof.fork_point == 0) {
    auto first = core->Get(0);
    if (first.ok()) proof.first_block = *std::move(first);
  }
  Bytes bytes = EncodeForkProof(proof);
  if (bytes.size() > kForkProofBytesMax) {
    proof.first_block.clear();
    bytes = EncodeForkProof(proof);
  }
  node_->TakeForkProof(bytes);
}

std::vector<Bytes> BaseForks::AnswersTo(ByteView evidence) {
  std::optional<Bytes> answer;
  if (evidence[0] == kAsk) answer = AnswerAsk(evidence.subspan(1));
  if (evidence[0] == kFetch) answer = AnswerFetch(evidence.subspan(1));
  if (evidence[0] == kPiece) answer = NextFetch();
  std::vector<Bytes> answers;
  if (answer) answers.push_back(*std::move(answer));
  return answers;
}

std::optional<Bytes> BaseForks::AnswerAsk(ByteView body) {
  Reader in(body);
  const auto log = in.Fixed<CoreKey>();
  const std::uint64_t from = in.CanonicalUint();
  if (!in.ok() || !in.done() || !node_->IsLog(log) || ++asked_[log] > kAsksMax) {
    return std::nullopt;
  }
  return HeadOf(log, from);
}

// --- branches that seniors have named ---

std::optional<Bytes> BaseForks::AnswerFetch(ByteView body) {
  Reader in(body);
  const auto log = in.Fixed<CoreKey>();
  const std::uint64_t from = in.CanonicalUint();
  const std::uint64_t length = in.CanonicalUint();
  const auto hash = in.Fixed<TreeHash>();
  const std::uint64_t offset = in.CanonicalUint();
  const std::shared_ptr<Hypercore> core = node_->LogOf(log);
  // Of a forked log only, and no more than survives here (P10).
  const std::optional<ForkedLog> fork = node_->indexer()->ForkOf(log);
  if (!in.ok() || !in.done() || !core || !fork || from >= length ||
      length > fork->cut) {
    return std::nullopt;
  }
  std::vector<Bytes> blocks;
  if (fork->other_branch) {
    auto read = ReadBranch(*node_->host().storage, node_->record().number, log, from,
                           length, hash);
    if (read.ok()) blocks = *std::move(read);
  } else if (const auto here = core->TreeHashAt(length); here.ok() && *here == hash) {
    auto read = core->GetRange(from, length);
    if (read.ok()) blocks = *std::move(read);
  }
  if (blocks.size() != length - from) return std::nullopt;
  Bytes stream;
  Writer out(&stream);
  for (const Bytes& block : blocks) out.Buffer(block);
  if (offset >= stream.size() || stream.size() > kBranchBytesMax) return std::nullopt;
  Bytes piece = {kPiece};
  Writer answer(&piece);
  answer.Raw(log.view());
  answer.Uint(length);
  answer.Raw(hash.view());
  answer.Uint(offset);
  answer.Uint(stream.size());
  Append(piece,
         ByteView(stream).subspan(
             offset, std::min<std::size_t>(kPieceBytes, stream.size() - offset)));
  return piece;
}

std::optional<Bytes> BaseForks::NextFetch() {
  if (!fetching_) return std::nullopt;
  Bytes ask = {kFetch};
  Writer out(&ask);
  out.Raw(fetching_->log.view());
  out.Uint(fetching_->fork_point);
  out.Uint(fetching_->length);
  out.Raw(fetching_->tree_hash.view());
  out.Uint(fetched_.size());
  return ask;
}

// The most senior name of the first log that wants one; everybody is asked, and who has
// it is asked for the rest.
void BaseForks::AskForBranches() {
  const auto wanted = node_->indexer()->WantedBranches();
  const bool goes_on =
      fetching_ &&
      std::any_of(wanted.begin(), wanted.end(), [this](const auto& branch) {
        return branch.tree_hash == fetching_->tree_hash;
      });
  if (goes_on) return;
  fetching_.reset();
  AskForNext(wanted);
}

// The one that is wanted after the one that was asked for, if that was one: what nobody
// can give must not keep others waiting.
bool BaseForks::AskForNext(std::span<const Indexer::NamedBranch> wanted) {
  std::size_t start = 0;
  std::size_t chosen = 0;
  for (std::size_t i = 0; i < wanted.size() && fetching_; ++i) {
    if (wanted[i].tree_hash == fetching_->tree_hash) start = i + 1;
  }
  fetched_.clear();
  fetching_.reset();
  for (std::size_t i = 0; i < wanted.size() && !fetching_; ++i) {
    chosen = (start + i) % wanted.size();
    const Indexer::NamedBranch& branch = wanted[chosen];
    if (failed_[branch.tree_hash] < kTriesMax) fetching_ = branch;
  }
  if (!fetching_) return true;
  const Bytes ask = *NextFetch();
  node_->TellEvidence(std::span(&ask, 1));
  if (retry_after_ == Nanos(0)) AskAgainLater(retry_after_ = kRetryFirst);
  return chosen < start;
}

// Somebody may have it by then who did not when he was asked.
void BaseForks::AskAgainLater(Nanos delay) {
  node_->PostAfter(delay, [this, had = fetched_.size()] {
    if (!fetching_) {
      retry_after_ = Nanos(0);
      return;
    }
    if (fetched_.size() > had) return AskAgainLater(retry_after_ = kRetryFirst);
    const bool all_asked = AskForNext(node_->indexer()->WantedBranches());
    if (all_asked) retry_after_ = std::min(2 * retry_after_, kRetryMost);
    AskAgainLater(all_asked ? retry_after_ : kRetryFirst);
  });
}

absl::Status BaseForks::TakePiece(ByteView body) {
  Reader in(body);
  const auto log = in.Fixed<CoreKey>();
  const std::uint64_t length = in.CanonicalUint();
  const auto hash = in.Fixed<TreeHash>();
  const std::uint64_t offset = in.CanonicalUint();
  const std::uint64_t total = in.CanonicalUint();
  if (!in.ok()) return absl::InvalidArgumentError("a piece of a branch is malformed");
  const ByteView bytes = in.Rest();
  const bool is_next = fetching_ && fetching_->log == log &&
                       fetching_->length == length && fetching_->tree_hash == hash &&
                       offset == fetched_.size();
  if (!is_next || bytes.empty()) return absl::OkStatus();
  if (total > kBranchBytesMax || offset + bytes.size() > total) {
    return absl::InvalidArgumentError("a branch is longer than it may be");
  }
  Append(fetched_, bytes);
  if (fetched_.size() < total) return absl::OkStatus();
  node_->Post([this] {
    if (const absl::Status kept = KeepBranch(); !kept.ok()) node_->NotSynced(kept);
  });
  return absl::OkStatus();
}

absl::Status BaseForks::KeepBranch() {
  if (!fetching_) return absl::OkStatus();
  const Indexer::NamedBranch branch = *std::exchange(fetching_, std::nullopt);
  const Bytes stream = std::exchange(fetched_, {});
  const std::shared_ptr<Hypercore> core = node_->LogOf(branch.log);
  MerkleTree tree;
  for (std::uint64_t at = 0; at < branch.fork_point; ++at) {
    WEFT_ASSIGN_OR_RETURN(const Bytes block, core->Get(at));
    tree.AppendBlock(block, [](const TreeNode&) {});
  }
  std::vector<Bytes> blocks;
  Reader in(stream);
  while (in.ok() && !in.done() && tree.length() < branch.length) {
    blocks.push_back(ToBytes(in.Buffer()));
    tree.AppendBlock(blocks.back(), [](const TreeNode&) {});
  }
  if (!in.ok() || !in.done() || tree.length() != branch.length ||
      tree.hash() != branch.tree_hash) {
    // Whoever gave it lied; somebody else may not.
    ++failed_[branch.tree_hash];
    AskForBranches();
    return absl::OkStatus();
  }
  WEFT_RETURN_IF_ERROR(SaveBranch(*node_->host().storage, node_->record().number,
                                  branch.log, branch.fork_point, branch.tree_hash,
                                  blocks));
  node_->LookAgain(branch.log);
  return absl::OkStatus();
}

absl::Status BaseForks::TakeHashes(ByteView body) {
  if (node_->indexer() == nullptr) return absl::OkStatus();
  const Version ours = node_->indexer()->CurrentVersion();
  Reader in(body);
  while (in.ok() && !in.done()) {
    const auto log = in.Fixed<CoreKey>();
    const std::uint64_t length = in.CanonicalUint();
    const auto hash = in.Fixed<TreeHash>();
    const auto settled = ours.writers.find(log);
    if (!in.ok() || settled == ours.writers.end()) continue;
    if (settled->second.length != length || settled->second.tree_hash == hash) continue;
    node_->Post([this, log] { Doubt(log); });
  }
  if (!in.ok()) {
    return absl::InvalidArgumentError("the hashes of settled feeds are malformed");
  }
  return absl::OkStatus();
}

void BaseForks::Doubt(const CoreKey& log) {
  const std::shared_ptr<Hypercore> core = node_->LogOf(log);
  if (core == nullptr || core->length() == 0) return;
  const auto known = doubted_.find(log);
  if (known != doubted_.end() && known->second == core->length()) return;
  if (known == doubted_.end() && doubted_.size() >= kDoubtsMax) return;
  doubted_[log] = core->length();
  if (std::optional<Bytes> head = HeadOf(log, core->length())) {
    node_->TellEvidence(std::span(&*head, 1));
  }
}

void BaseForks::Relay() {
  const Indexer& indexer = *node_->indexer();
  if (!indexer.WantedBranches().empty() || fetching_) AskForBranches();
  for (const MissingPrefix& missing : indexer.Missing()) {
    if (missing.other_branch) Doubt(missing.log);
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
  }
}

const ForkSide* BaseForks::SideOf(const CoreKey& log) {
  const std::shared_ptr<Hypercore> core = node_->LogOf(log);
  if (core == nullptr || core->length() == 0 ||
      core->contiguous_length() < core->length()) {
    return nullptr;
  }
  if (last_ && last_->log == log && last_->side.leaves.size() == core->length() &&
      last_->side.fork == core->fork()) {
    return &last_->side;
  }
  constexpr std::uint64_t kAtOnce = 256;
  Held held{log, {}};
  held.side.fork = core->fork();
  held.side.signature = ToBytes(core->signature());
  for (std::uint64_t from = 0; from < core->length(); from += kAtOnce) {
    const auto blocks = core->GetRange(from, std::min(core->length(), from + kAtOnce));
    if (!blocks.ok()) return nullptr;
    for (const Bytes& block : *blocks) {
      held.side.leaves.push_back(
          {2 * held.side.leaves.size(), block.size(), LeafHash(block)});
    }
  }
  last_ = std::move(held);
  return &last_->side;
}

std::optional<Bytes> BaseForks::HeadOf(const CoreKey& log, std::uint64_t from) {
  const ForkSide* side = SideOf(log);
  if (side == nullptr) return std::nullopt;
  return Tagged(kHead, EncodeBranchHead(MakeBranchHead(log, *side, from)));
}

}  // namespace weft
