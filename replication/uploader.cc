#include "replication/uploader.h"

#include "absl/strings/str_format.h"
#include "replication/protomux.h"

namespace weft {
namespace {

constexpr std::size_t kQueuedMax = 4096;  // L15
constexpr std::size_t kInvalidMax = 64;
// One step on the event loop.
constexpr std::size_t kServeRequestsMax = 256;
constexpr std::size_t kServeBytesMax = 512 * 1024;
// About what an answer has beside its block.
constexpr std::size_t kProofBytes = 2048;
// Memory that is not kept for the next answer.
constexpr std::size_t kKeptBytes = 256 * 1024;

}  // namespace

absl::Status Uploader::Add(const RequestMessage& request) {
  if (size() >= kQueuedMax) {
    return absl::ResourceExhaustedError(
        absl::StrFormat("%d requests wait for answers on one core", size()));
  }
  if (request.parts.block && !request.parts.upgrade) Replace(request);
  live_[request.id] = next_sequence_;
  queue_.push_back({next_sequence_++, request});
  return absl::OkStatus();
}

void Uploader::Replace(const RequestMessage& request) {
  const auto [place, is_new] =
      waiting_for_.try_emplace(request.parts.block->block_index, request.id);
  if (is_new) return;
  const std::uint64_t earlier = std::exchange(place->second, request.id);
  if (earlier != request.id && live_.erase(earlier) > 0) refused_.push_back(earlier);
}

void Uploader::Cancel(std::uint64_t request_id) {
  live_.erase(request_id);
}

void Uploader::Resume() {
  for (; !deferred_.empty(); deferred_.pop_back()) {
    queue_.push_front(std::move(deferred_.back()));
  }
}

absl::Status Uploader::Serve(std::uint64_t visible_length,
                             const std::function<bool(std::size_t)>& room,
                             const SendMessage& send) {
  for (const std::uint64_t id : std::exchange(refused_, {})) {
    Refuse(id, NoDataReason::kNotAvailable, send);
  }
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < kServeRequestsMax && bytes < kServeBytesMax; ++i) {
    if (queue_.empty() || !room(SizeOfNext())) break;
    Waiting waiting = std::move(queue_.front());
    queue_.pop_front();
    if (waiting.request.parts.block) {
      const auto place = waiting_for_.find(waiting.request.parts.block->block_index);
      if (place != waiting_for_.end() && place->second == waiting.request.id) {
        waiting_for_.erase(place);
      }
    }
    if (!IsLive(waiting)) continue;
    if (waiting.request.parts.upgrade && visible_length < core_->length()) {
      deferred_.push_back(std::move(waiting));
      continue;
    }
    live_.erase(waiting.request.id);
    WEFT_RETURN_IF_ERROR(Answer(waiting.request, send, &bytes));
  }
  return absl::OkStatus();
}

bool Uploader::IsLive(const Waiting& waiting) const {
  const auto live = live_.find(waiting.request.id);
  return live != live_.end() && live->second == waiting.sequence;
}

std::size_t Uploader::SizeOfNext() const {
  const Waiting& next = queue_.front();
  const auto& block = next.request.parts.block;
  if (!block || !core_->Has(block->block_index) || !IsLive(next)) return kProofBytes;
  const auto leaf = core_->NodeAt(2 * block->block_index);
  return kProofBytes + (leaf.ok() ? static_cast<std::size_t>(leaf->size) : 0);
}

absl::Status Uploader::Answer(const RequestMessage& request, const SendMessage& send,
                              std::size_t* bytes) {
  NoDataReason reason = NoDataReason::kNotAvailable;
  if (request.fork == core_->fork()) {
    absl::StatusOr<Proof> proof = core_->Prove(request.parts);
    if (proof.ok()) {
      scratch_.clear();
      EncodeData(request.id, request.fork, *proof, &scratch_);
      // A signature that came by another way may be too long beside a large block.
      if (scratch_.size() <= kMuxBodyBytesMax) {
        *bytes += scratch_.size();
        if (proof->block) {
          ++sent_;
          proof->block->value = Bytes();
        }
        send(CoreMessage::kData, scratch_);
        if (scratch_.capacity() > kKeptBytes) scratch_ = Bytes();
        return absl::OkStatus();
      }
    }
    if (absl::IsInvalidArgument(proof.status())) reason = NoDataReason::kInvalid;
  }
  if (reason == NoDataReason::kInvalid && ++invalid_ >= kInvalidMax) {
    return absl::ResourceExhaustedError(
        absl::StrFormat("%d requests that nobody could answer", invalid_));
  }
  stale_ = stale_ || request.parts.upgrade.has_value();
  Refuse(request.id, reason, send);
  return absl::OkStatus();
}

void Uploader::Refuse(std::uint64_t request_id, NoDataReason reason,
                      const SendMessage& send) {
  scratch_.clear();
  Encode(NoDataMessage{request_id, static_cast<std::uint64_t>(reason)}, &scratch_);
  send(CoreMessage::kNoData, scratch_);
}

}  // namespace weft
