#include "replication/uploader.h"

#include "absl/strings/str_format.h"

namespace weft {
namespace {

constexpr std::size_t kQueuedMax = 4096;  // L15
constexpr std::size_t kInvalidMax = 64;
// One step on the event loop.
constexpr std::size_t kServeRequestsMax = 256;
constexpr std::size_t kServeBytesMax = 512 * 1024;

}  // namespace

absl::Status Uploader::Add(const RequestMessage& request) {
  if (size() >= kQueuedMax) {
    return absl::ResourceExhaustedError(
        absl::StrFormat("%d requests wait for answers on one core", size()));
  }
  live_[request.id] = next_sequence_;
  queue_.push_back({next_sequence_++, request});
  return absl::OkStatus();
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
                             const std::function<bool()>& room,
                             const SendMessage& send) {
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < kServeRequestsMax && bytes < kServeBytesMax; ++i) {
    if (queue_.empty() || !room()) break;
    Waiting waiting = std::move(queue_.front());
    queue_.pop_front();
    const auto live = live_.find(waiting.request.id);
    if (live == live_.end() || live->second != waiting.sequence) continue;
    if (waiting.request.parts.upgrade && visible_length < core_->length()) {
      deferred_.push_back(std::move(waiting));
      continue;
    }
    live_.erase(live);
    WEFT_RETURN_IF_ERROR(Answer(waiting.request, send, &bytes));
  }
  return absl::OkStatus();
}

absl::Status Uploader::Answer(const RequestMessage& request, const SendMessage& send,
                              std::size_t* bytes) {
  scratch_.clear();
  NoDataReason reason = NoDataReason::kNotAvailable;
  if (request.fork == core_->fork()) {
    const absl::StatusOr<Proof> proof = core_->Prove(request.parts);
    if (proof.ok()) {
      EncodeData(request.id, request.fork, *proof, &scratch_);
      *bytes += scratch_.size();
      send(CoreMessage::kData, scratch_);
      return absl::OkStatus();
    }
    if (absl::IsInvalidArgument(proof.status())) reason = NoDataReason::kInvalid;
  }
  if (reason == NoDataReason::kInvalid && ++invalid_ >= kInvalidMax) {
    return absl::ResourceExhaustedError(
        absl::StrFormat("%d requests that nobody could answer", invalid_));
  }
  Encode(NoDataMessage{request.id, static_cast<std::uint64_t>(reason)}, &scratch_);
  send(CoreMessage::kNoData, scratch_);
  return absl::OkStatus();
}

}  // namespace weft
