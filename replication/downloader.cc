#include "replication/downloader.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "engine/flat_tree.h"
#include "replication/verdict.h"

namespace weft {
namespace {

constexpr std::size_t kInFlightMax = 2048;
// Before the first upgrade nothing is known of the size of blocks.
constexpr std::size_t kInFlightAtFirst = 1;
constexpr std::uint64_t kInFlightBytes = 8 * 1024 * 1024;
// A stock peer breaks its own stream if it has to answer two such blocks at once: its
// batch of answers outgrows a frame.
constexpr std::uint64_t kLargeBlockBytes = 2 * 1024 * 1024;
// One step on the event loop.
constexpr std::size_t kApplyProofsMax = 512;
constexpr std::size_t kApplyBytesMax = 1024 * 1024;
constexpr std::size_t kExactAfterFailure = 256;
constexpr std::size_t kNoDataRunMax = 4096;
constexpr std::size_t kRetryRunMax = 4096;
constexpr std::uint64_t kWantWindowBlocks = 2097152;

}  // namespace

Downloader::Downloader(std::shared_ptr<Hypercore> core,
                       std::shared_ptr<DownloadScheduler> scheduler)
    : core_(std::move(core)), scheduler_(std::move(scheduler)) {}

Downloader::~Downloader() {
  const bool gave_back = !outstanding_.empty();
  for (const Outstanding& request : outstanding_) Settle(request);
  if (gave_back) scheduler_->Wake();
}

void Downloader::SetMode(const Download& mode, const SendMessage& send) {
  if (mode_ == mode) return;
  mode_ = mode;
  done_ = false;
  probes_sent_.clear();
  if (outstanding_.empty()) return;
  const std::vector<BlockRange> targets = Targets(ExpectedLength());
  for (std::size_t i = 0; i < outstanding_.size(); ++i) {
    const Outstanding& request = outstanding_[i];
    if (request.state != Outstanding::State::kWaiting || request.upgrade) continue;
    const bool wanted = std::ranges::any_of(targets, [&request](const BlockRange& one) {
      return request.block_index && one.from <= *request.block_index &&
             *request.block_index < one.to;
    });
    if (!wanted) Cancel(i, send);
  }
}

// It stays in its place until what was asked for before it is settled.
void Downloader::Cancel(std::size_t place, const SendMessage& send) {
  scratch_.clear();
  EncodeCancel(first_id_ + place, &scratch_);
  send(CoreMessage::kCancel, scratch_);
  outstanding_[place].state = Outstanding::State::kFailed;
}

std::vector<BlockRange> Downloader::Targets(std::uint64_t length) const {
  if (mode_.kind == Download::Kind::kWhole) return {{0, length}};
  std::vector<BlockRange> targets;
  if (mode_.kind == Download::Kind::kNone) return targets;
  for (const BlockRange& range : mode_.ranges) {
    const BlockRange clamped{range.from, std::min(range.to, length)};
    if (clamped.from < clamped.to) targets.push_back(clamped);
  }
  for (const SeekRequest& seek : mode_.seeks) {
    const auto at = core_->Locate(seek.byte_offset, seek.padding);
    if (!at.ok()) continue;
    // Of two leaves whose sizes nothing pins down, the block of the first does.
    const std::uint64_t block_index = flat_tree::LeftSpan(at->tree_index) / 2;
    if (flat_tree::Depth(at->tree_index) > 1 || block_index >= length) continue;
    targets.push_back({block_index, block_index + 1});
  }
  return targets;
}

std::optional<ProofRequest> Downloader::NextProbe() const {
  for (const SeekRequest& seek : mode_.seeks) {
    const auto at = core_->Locate(seek.byte_offset, seek.padding);
    if (!at.ok() || flat_tree::Depth(at->tree_index) < 2) continue;
    // From the first leaf below the node every other leaf is to the right of the path,
    // so that the seek hangs on one of its siblings, wherever the byte is.
    ProofRequest probe;
    probe.hash =
        HashRequest{flat_tree::LeftSpan(at->tree_index),
                    static_cast<std::uint64_t>(flat_tree::Depth(at->tree_index))};
    probe.seek = seek;
    if (!probes_sent_.contains({at->tree_index, seek.byte_offset})) return probe;
  }
  return std::nullopt;
}

std::uint64_t Downloader::ExpectedLength() const {
  return upgrade_asked_ ? std::max(upgrade_to_, core_->length()) : core_->length();
}

std::size_t Downloader::Window() const {
  if (core_->length() == 0) return kInFlightAtFirst;
  const std::uint64_t mean =
      std::max<std::uint64_t>(1, core_->byte_length() / core_->length());
  if (mean > kLargeBlockBytes) return 1;
  return static_cast<std::size_t>(
      std::clamp<std::uint64_t>(kInFlightBytes / mean, 1, kInFlightMax));
}

// An upgrade is worth asking for only when the peer has echoed exactly our length: a
// stock peer ignores any other.
bool Downloader::NeedsUpgrade(const RemoteState& remote) const {
  return !core_->writable() && !upgrade_refused_ && remote.sync().can_upgrade &&
         remote.length() > core_->length() && remote.acked_length() == core_->length();
}

std::size_t Downloader::Request(RemoteState& remote, std::size_t budget,
                                bool allow_fork, Nanos now, const SendMessage& send) {
  if (!interested() || !remote.synced() || !remote.sync().uploading || budget == 0 ||
      no_data_run_ > kNoDataRunMax) {
    return 0;
  }
  const std::size_t before = outstanding_.size();
  if (remote.fork() > core_->fork()) {
    if (allow_fork && !core_->writable() && remote.length() > 0 && !upgrade_refused_ &&
        !upgrade_asked_ && scheduler_->TakeUpgrade()) {
      RequestUpgrade(remote, /*start=*/0, now, send);
    }
    return outstanding_.size() - before;
  }
  if (remote.fork() != core_->fork()) return 0;
  if (!upgrade_asked_ && NeedsUpgrade(remote) && scheduler_->TakeUpgrade()) {
    RequestUpgrade(remote, core_->length(), now, send);
  }
  if (!mode_.seeks.empty()) RequestProbe(now, send);
  const std::size_t sent = outstanding_.size() - before;
  if (sent < budget) RequestBlocks(remote, budget - sent, now, send);
  return outstanding_.size() - before;
}

void Downloader::RequestUpgrade(const RemoteState& remote, std::uint64_t start,
                                Nanos now, const SendMessage& send) {
  RequestMessage message;
  message.fork = remote.fork();
  message.parts.upgrade = UpgradeRequest{start, remote.length() - start};
  message.parts.manifest = !core_->manifest().has_value() && remote.sync().has_manifest;
  if (remote.fork() == core_->fork()) {
    // A block beyond our length may ride along and saves a round trip.
    for (const BlockRange& target : Targets(remote.length())) {
      const BlockRange fresh{std::max(target.from, start), target.to};
      const auto run = scheduler_->Next(core_->bitfield(), remote.blocks(), fresh, 1);
      if (!run) continue;
      message.parts.block = BlockRequest{run->from, 0};
      break;
    }
  }
  upgrade_asked_ = true;
  upgrade_to_ = remote.length();
  Send(std::move(message), /*hopeful=*/false, now, send);
}

// One at a time: where it leads is known when it is answered.
void Downloader::RequestProbe(Nanos now, const SendMessage& send) {
  const bool under_way = std::ranges::any_of(
      outstanding_,
      [](const Outstanding& request) { return request.byte_offset.has_value(); });
  if (under_way) return;
  std::optional<ProofRequest> probe = NextProbe();
  if (!probe) return;
  std::uint64_t top = probe->hash->tree_index;
  for (std::uint64_t i = 0; i < probe->hash->nodes; ++i) top = flat_tree::Parent(top);
  probes_sent_.emplace(top, probe->seek->byte_offset);
  RequestMessage message;
  message.fork = core_->fork();
  message.parts = *std::move(probe);
  Send(std::move(message), /*hopeful=*/false, now, send);
}

std::size_t Downloader::RequestBlocks(RemoteState& remote, std::size_t budget,
                                      Nanos now, const SendMessage& send) {
  const std::size_t window = Window();
  std::size_t sent = 0;
  for (const BlockRange& target :
       Targets(std::min(ExpectedLength(), remote.length()))) {
    while (sent < budget && outstanding_.size() < window) {
      const std::size_t room = std::min(budget - sent, window - outstanding_.size());
      const auto run =
          scheduler_->Next(core_->bitfield(), remote.blocks(), target, room);
      if (!run) break;
      for (std::uint64_t at = run->from; at < run->to; ++at) {
        const Path path = PathOf(at);
        // A shorter peer cannot climb to a node that covers more than it has.
        if ((((at >> path.nodes) + 1) << path.nodes) > remote.length()) {
          remote.Lacks(at);
          continue;
        }
        RequestMessage message;
        message.fork = core_->fork();
        message.parts.block = BlockRequest{at, path.nodes};
        Send(std::move(message), path.hopeful, now, send);
        ++sent;
      }
    }
  }
  return sent;
}

// Climbs from the leaf to the first node that is known, or will be when the answers
// before this one are applied: the sibling's path, for a block asked for below the
// sibling; the new roots, and the right-hand neighbours of the old ones, for an
// upgrade.
Downloader::Path Downloader::PathOf(std::uint64_t block_index) const {
  if (exact_requests_ > 0 && block_index < core_->length()) {
    return {core_->MissingNodes(block_index), false};
  }
  const std::uint64_t length = core_->length();
  const std::uint64_t expected = ExpectedLength();
  for (std::uint64_t depth = 0;; ++depth) {
    const std::uint64_t offset = block_index >> depth;
    const std::uint64_t sibling = (offset ^ 1) << depth;
    const std::uint64_t width = std::uint64_t{1} << depth;
    if (asked_.FirstSet(sibling, sibling + width)) return {depth, true};
    const std::uint64_t tree_index = flat_tree::Index(static_cast<int>(depth), offset);
    if (core_->HasNode(tree_index)) return {depth, false};
    const std::uint64_t parent_from = (offset >> 1) << (depth + 1);
    const bool parent_fits = parent_from + 2 * width <= expected;
    const bool beside_the_old = (offset << depth) >= length && parent_from < length;
    if (!parent_fits || beside_the_old) return {depth, true};
  }
}

void Downloader::Send(RequestMessage message, bool hopeful, Nanos now,
                      const SendMessage& send) {
  message.id = first_id_ + outstanding_.size();
  Outstanding& request = outstanding_.emplace_back();
  request.upgrade = message.parts.upgrade.has_value();
  request.hopeful = hopeful;
  request.fork = message.fork;
  request.sent_at = now;
  if (message.parts.hash) request.tree_index = message.parts.hash->tree_index;
  if (message.parts.seek) request.byte_offset = message.parts.seek->byte_offset;
  if (message.parts.block) {
    const std::uint64_t block_index = message.parts.block->block_index;
    request.block_index = block_index;
    scheduler_->Take({block_index, block_index + 1});
    asked_.Set(block_index);
  }
  if (exact_requests_ > 0) --exact_requests_;
  scratch_.clear();
  Encode(message, &scratch_);
  send(CoreMessage::kRequest, scratch_);
}

Downloader::Outstanding* Downloader::Find(std::uint64_t request_id) {
  if (request_id < first_id_ || request_id - first_id_ >= outstanding_.size()) {
    return nullptr;
  }
  Outstanding& request = outstanding_[static_cast<std::size_t>(request_id - first_id_)];
  return request.state == Outstanding::State::kWaiting ? &request : nullptr;
}

// Whether the parts of the answer are parts of the question.
bool Downloader::Fits(const Outstanding& request, const Proof& proof) {
  if (proof.block && proof.block->block_index != request.block_index) return false;
  if (proof.hash && proof.hash->tree_index != request.tree_index) return false;
  if (proof.seek && proof.seek->byte_offset != request.byte_offset) return false;
  return request.upgrade || !proof.upgrade;
}

absl::Status Downloader::OnData(DataMessage message, RemoteState& remote, Nanos now) {
  Outstanding* request = Find(message.request_id);
  if (request == nullptr)
    return absl::OkStatus();  // pushed or cancelled: not asked for
  Proof& proof = message.proof;
  if (!Fits(*request, proof)) {
    return absl::InvalidArgumentError("an answer to another question than ours");
  }
  last_answer_ = now;
  no_data_run_ = 0;
  if (request->block_index && !proof.block) remote.Lacks(*request->block_index);
  if (request->upgrade && !proof.upgrade) upgrade_refused_ = true;
  const bool empty = !proof.block && !proof.upgrade && !proof.hash;
  if (proof.fork != request->fork || empty) {
    request->state = Outstanding::State::kFailed;
    return absl::OkStatus();
  }
  answers_bytes_ += proof.block ? proof.block->value.size() : 0;
  request->proof = std::move(proof);
  request->state = Outstanding::State::kAnswered;
  return absl::OkStatus();
}

void Downloader::OnNoData(const NoDataMessage& message, RemoteState& remote) {
  Outstanding* request = Find(message.request_id);
  if (request == nullptr) return;
  ++no_data_run_;
  request->state = Outstanding::State::kFailed;
  if (request->upgrade) upgrade_refused_ = true;
  if (request->block_index) remote.Lacks(*request->block_index);
}

void Downloader::Settle(const Outstanding& request) {
  if (request.block_index) {
    scheduler_->Release(*request.block_index);
    asked_.Set(*request.block_index, false);
  }
  if (request.upgrade) {
    upgrade_asked_ = false;
    scheduler_->ReleaseUpgrade();
  }
}

std::unique_ptr<Downloader::Answers> Downloader::Take() {
  auto answers = std::make_unique<Answers>();
  while (!outstanding_.empty() && answers->proofs.size() < kApplyProofsMax &&
         answers->bytes < kApplyBytesMax) {
    Outstanding& front = outstanding_.front();
    if (front.state == Outstanding::State::kWaiting) break;
    ++answers->settled;
    if (front.state == Outstanding::State::kFailed) {
      Settle(front);
    } else {
      answers->bytes += front.proof.block ? front.proof.block->value.size() : 0;
      answers->upgrades += front.proof.upgrade ? 1 : 0;
      answers->proofs.push_back(std::move(front.proof));
      answers->requests.push_back(std::move(front));
    }
    outstanding_.pop_front();
    ++first_id_;
  }
  answers->more = !outstanding_.empty() &&
                  outstanding_.front().state != Outstanding::State::kWaiting;
  taken_ = answers->settled;
  return answers;
}

void Downloader::GiveBack(Answers& answers) {
  for (const Outstanding& request : answers.requests) Settle(request);
  answers_bytes_ -= answers.bytes;
  taken_ = 0;
}

absl::StatusOr<Downloader::Applied> Downloader::Apply(Answers& answers,
                                                      bool allow_fork) {
  Applied applied;
  applied.settled = answers.settled;
  applied.more = answers.more;
  GiveBack(answers);
  if (answers.proofs.empty()) return applied;
  const std::uint64_t old_length = core_->length();
  const std::uint64_t old_fork = core_->fork();
  WEFT_ASSIGN_OR_RETURN(const std::vector<absl::Status> results,
                        core_->Apply(answers.proofs, allow_fork));
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (!results[i].ok()) ++applied.useless;
    Judge(answers.requests[i], results[i], &applied);
  }
  if (core_->length() != old_length || core_->fork() != old_fork) {
    applied.upgraded_from = old_length;
  }
  return applied;
}

void Downloader::Judge(const Outstanding& request, const absl::Status& status,
                       Applied* applied) {
  const Judgement judgement =
      weft::Judge(Fault::kProof, status.code(), request.hopeful);
  if (judgement.verdict == PeerVerdict::kIgnore) {
    retry_run_ = 0;
    return;
  }
  const bool tired = ++retry_run_ > kRetryRunMax;
  if (judgement.verdict == PeerVerdict::kRetry && !tired) {
    if (request.hopeful) exact_requests_ = kExactAfterFailure;
    return;
  }
  if (applied->fault.ok()) applied->fault = status;
}

std::size_t Downloader::Expire(Nanos now, Nanos patience, const SendMessage& send) {
  if (outstanding_.empty() ||
      outstanding_.front().state != Outstanding::State::kWaiting ||
      now - std::max(outstanding_.front().sent_at, last_answer_) < patience) {
    return 0;
  }
  std::size_t ended = 0;
  for (std::size_t i = 0; i < outstanding_.size(); ++i) {
    if (outstanding_[i].state != Outstanding::State::kWaiting) continue;
    Cancel(i, send);
    ++ended;
  }
  probes_sent_.clear();
  return ended;
}

void Downloader::OnForkChange() {
  probes_sent_.clear();
  for (Outstanding& request : outstanding_) request.hopeful = true;
}

bool Downloader::IsLevel(const RemoteState& remote) const {
  if (mode_.kind == Download::Kind::kNone || !remote.synced() || in_flight() > 0 ||
      remote.fork() != core_->fork() || core_->length() < remote.length() ||
      NextProbe()) {
    return false;
  }
  for (const BlockRange& target : Targets(remote.length())) {
    if (AnyMissing(core_->bitfield(), remote.blocks(), target)) return false;
  }
  return true;
}

std::optional<std::uint64_t> Downloader::UnknownWindow(const RemoteState& remote,
                                                       std::uint64_t from) const {
  for (const BlockRange& target :
       Targets(std::min(ExpectedLength(), remote.length()))) {
    std::uint64_t at = std::max(from, target.from);
    while (at < target.to) {
      const auto lacking = core_->bitfield().FirstUnset(at, target.to);
      if (!lacking) break;
      const auto unknown = remote.blocks().FirstUnset(*lacking, target.to);
      if (!unknown) break;
      if (*unknown == *lacking) return *unknown / kWantWindowBlocks * kWantWindowBlocks;
      at = *unknown;
    }
  }
  return std::nullopt;
}

}  // namespace weft
