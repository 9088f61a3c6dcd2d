// What becomes of our requests: answers, refusals, silence, and taking back.

#include <algorithm>

#include "replication/downloader.h"
#include "replication/verdict.h"

namespace weft {
namespace {

// One step on the event loop.
constexpr std::size_t kApplyProofsMax = 512;
constexpr std::size_t kApplyBytesMax = 1024 * 1024;
constexpr std::size_t kExactAfterFailure = 256;
constexpr std::size_t kRetryRunMax = 4096;
// Two peers that never answer must not take turns at the one upgrade there is at a time
// (attacks 28 and 36): they rest up to eight minutes. Who is only slow is given more
// time when its turn comes again, up to 8 s, and is not blamed before that was too
// short. An answer that stands in a line behind other data gets the slack of all
// others.
constexpr Nanos kUpgradeRest = std::chrono::seconds(8);
constexpr int kUpgradeRestDoublingsMax = 6;
constexpr int kUpgradePatienceDoublingsMax = 2;

}  // namespace

// Whether the parts of the answer are parts of the question.
bool Downloader::Fits(const Outstanding& request, const Proof& proof) {
  if (proof.block && proof.block->block_index != request.block_index) return false;
  if (proof.hash && proof.hash->tree_index != request.tree_index) return false;
  if (proof.seek && proof.seek->byte_offset != request.byte_offset) return false;
  if (!proof.upgrade) return true;
  return request.upgrade && proof.upgrade->start == request.upgrade_start;
}

absl::Status Downloader::OnData(std::uint64_t id, ByteView body, RemoteState& remote,
                                Nanos now) {
  Outstanding* const request = outstanding_.Find(id);
  // Pushed, or cancelled: not asked for, and not worth reading (attack 27).
  if (request == nullptr) return absl::OkStatus();
  WEFT_RETURN_IF_ERROR(DecodeDataInto(body, &request->answer));
  const Proof& proof = request->answer.proof;
  if (!Fits(*request, proof)) {
    return absl::DataLossError("an answer to another question than ours");
  }
  pace_.OnAnswer(now, request->sent_at);
  no_data_run_ = 0;
  ++answered_;
  if (request->block_index && !proof.block) remote.Lacks(*request->block_index);
  if (request->upgrade && !proof.upgrade) upgrade_refused_ = true;
  const bool empty = !proof.block && !proof.upgrade && !proof.hash;
  const bool answered = proof.fork == request->fork && !empty;
  if (answered) {
    request->answer_bytes = body.size();
    answers_bytes_ += body.size();
  } else {
    request->answer = DataMessage();  // nobody counts what it held
  }
  outstanding_.Finish(
      *request, answered ? Outstanding::State::kAnswered : Outstanding::State::kFailed);
  return absl::OkStatus();
}

void Downloader::OnNoData(const NoDataMessage& message, RemoteState& remote,
                          Nanos now) {
  Outstanding* const request = outstanding_.Find(message.request_id);
  if (request == nullptr) return;
  pace_.OnAnswer(now, request->sent_at);
  ++no_data_run_;
  if (request->upgrade) upgrade_refused_ = true;
  if (request->block_index) remote.Lacks(*request->block_index);
  outstanding_.Finish(*request, Outstanding::State::kFailed);
}

// What it took may be asked of others.
void Downloader::Release(Outstanding& request) {
  if (request.block_index) {
    scheduler_->Release({*request.block_index, *request.block_index + 1});
    asked_.Set(*request.block_index, false);
    request.block_index.reset();
  }
  if (request.upgrade) {
    request.upgrade = upgrade_asked_ = false;
    scheduler_->ReleaseUpgrade();
  }
}

std::unique_ptr<Downloader::Answers> Downloader::Take() {
  auto answers = std::make_unique<Answers>();
  while (!outstanding_.empty() && answers->proofs.size() < kApplyProofsMax &&
         answers->bytes < kApplyBytesMax &&
         outstanding_[0].state != Outstanding::State::kWaiting) {
    answers->requests.push_back(outstanding_.PopFront());
    const Outstanding& request = *answers->requests.back();
    if (request.state == Outstanding::State::kFailed) continue;
    const Proof& proof = request.answer.proof;
    answers->bytes += proof.block ? proof.block->value.size() : 0;
    answers->held_bytes += request.answer_bytes;
    answers->upgrades += proof.upgrade ? 1 : 0;
    answers->proofs.push_back(&proof);
  }
  taken_ = answers->requests.size();
  return answers;
}

// What they took is free, neighbours at once.
void Downloader::GiveBack(Answers& answers) {
  BlockRange run;
  const auto release = [this, &run] {
    if (run.from == run.to) return;
    scheduler_->Release(run);
    asked_.SetRange(run.from, run.to, false);
  };
  for (const auto& request : answers.requests) {
    if (!request->block_index || request->upgrade) {
      Release(*request);
      continue;
    }
    const std::uint64_t block_index = *request->block_index;
    if (run.to != block_index || run.from == run.to) {
      release();
      run = {block_index, block_index};
    }
    ++run.to;
  }
  release();
  answers_bytes_ -= answers.held_bytes;
  taken_ = 0;
  answers.old_length = core_->length();
  answers.old_fork = core_->fork();
}

Downloader::Applied Downloader::Settle(Answers& answers,
                                       std::span<const absl::Status> results) {
  Applied applied;
  applied.refused = answers.requests.size() - answers.proofs.size();
  std::size_t next = 0;
  bool moved_on = false;
  for (const auto& request : answers.requests) {
    if (request->state != Outstanding::State::kAnswered) continue;
    const absl::Status& status = results[next++];
    // What the core had no use for any more, and what hung on that, came too late by
    // nobody's fault.
    moved_on = moved_on || absl::IsFailedPrecondition(status);
    if (!status.ok()) ++applied.failed;
    if (!status.ok() && !(moved_on && MayRetry(*request, status))) ++applied.useless;
    if (status.ok() && request->answer.proof.block) ++applied.blocks;
    if (status.ok() && request->answer.proof.upgrade) upgrades_yielded_ = 0;
    Judge(*request, status, &applied);
  }
  outstanding_.Recycle(answers.requests);
  if (core_->length() != answers.old_length || core_->fork() != answers.old_fork) {
    applied.upgraded_from = answers.old_length;
  }
  return applied;
}

bool Downloader::MayRetry(const Outstanding& request, const absl::Status& status) {
  return weft::Judge(Fault::kProof, status.code(), request.hopeful).verdict ==
         PeerVerdict::kRetry;
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

// It stays in its place until what was asked for before it is settled, but what it took
// is free at once.
void Downloader::Cancel(std::size_t place) {
  Outstanding& request = outstanding_[place];
  scratch_.clear();
  EncodeCancel(outstanding_.IdAt(place), &scratch_);
  send_(CoreMessage::kCancel, scratch_);
  Release(request);
  outstanding_.Finish(request, Outstanding::State::kFailed);
}

std::size_t Downloader::Expire(Nanos now, int slack) {
  if (outstanding_.waiting() == 0 || pace_.quiet(now) < pace_.patience() * slack) {
    return 0;
  }
  const std::size_t ended = outstanding_.waiting();
  for (std::size_t i = 0; i < outstanding_.size(); ++i) {
    if (outstanding_[i].state == Outstanding::State::kWaiting) Cancel(i);
  }
  pace_.OnTimeout(now);
  probes_sent_.clear();
  return ended;
}

std::optional<Nanos> Downloader::YieldUpgrade(Nanos now, int slack) {
  if (!upgrade_asked_ || !scheduler_->OthersOffer(peer_, core_->length())) {
    return std::nullopt;
  }
  for (std::size_t i = 0; i < outstanding_.size(); ++i) {
    const Outstanding& request = outstanding_[i];
    if (!request.upgrade || request.state != Outstanding::State::kWaiting) continue;
    const int doublings = std::min(upgrades_yielded_, kUpgradePatienceDoublingsMax);
    const Nanos patience = AnswerPace::kPatienceMin * (1 << doublings) * slack;
    if (now - request.sent_at < patience) break;
    const Nanos sent_at = request.sent_at;
    Cancel(i);
    upgrade_rests_until_ = now + kUpgradeRest * (1 << upgrades_yielded_);
    upgrades_yielded_ = std::min(upgrades_yielded_ + 1, kUpgradeRestDoublingsMax);
    if (doublings < kUpgradePatienceDoublingsMax) break;
    return sent_at;
  }
  return std::nullopt;
}

PeerLoad Downloader::Load(Nanos now) const {
  return {outstanding_.waiting(), pace_.per_answer(), pace_.quiet(now)};
}

std::size_t Downloader::GiveUp(std::size_t count, const Bitfield& offered) {
  std::size_t given = 0;
  for (std::size_t i = outstanding_.size(); i-- > 0 && given < count;) {
    const Outstanding& request = outstanding_[i];
    if (request.state != Outstanding::State::kWaiting || request.upgrade ||
        !request.block_index || !offered.Get(*request.block_index)) {
      continue;
    }
    Cancel(i);
    ++given;
  }
  // The cancelled ones are settled with those before them.
  if (given > 0) wake_();
  return given;
}

void Downloader::OnForkChange() {
  probes_sent_.clear();
  for (std::size_t i = 0; i < outstanding_.size(); ++i) outstanding_[i].hopeful = true;
}

}  // namespace weft
