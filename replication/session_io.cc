// The bytes of a session: reading and writing, sealing and opening, and the deadlines
// that a peer must keep.

#include <algorithm>
#include <asio/bind_cancellation_slot.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/post.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>

#include "absl/strings/str_format.h"
#include "replication/core_channel.h"
#include "replication/session.h"

namespace weft {
namespace {

constexpr Nanos kBeat = std::chrono::seconds(5);
constexpr std::size_t kWriteBytes = 256 * 1024;
// Handed to the wire at once, so that a slow peer is told from a dead one.
constexpr std::size_t kWriteSliceBytes = 1024 * 1024;
constexpr std::size_t kOutputLow = 512 * 1024;
// Longer messages are sealed and opened by the workers.
constexpr std::size_t kInlineBytes = 256 * 1024;
// Memory that is not kept for the next message.
constexpr std::size_t kKeptBytes = 256 * 1024;
// What sealing a frame adds to it, and more.
constexpr std::size_t kSealedRoom = 64;
// So many messages, or so long, before others have their turn; and how many before the
// clock is looked at.
constexpr std::size_t kItemsPerTurn = 1024;
constexpr Nanos kTurnTime = std::chrono::milliseconds(2);
constexpr std::size_t kItemsPerLook = 32;
constexpr int kTurnsToMakeRoom = 64;
constexpr Nanos kTick = std::chrono::milliseconds(500);
// Less than this between two ticks is keep-alive, not data.
constexpr std::uint64_t kReceivingBytes = 256;
constexpr Nanos kRefusalPause = std::chrono::milliseconds(100);
// Less than a slice in that time is no reading while others wait for the memory.
constexpr Nanos kReadingPatience = std::chrono::seconds(10);

}  // namespace

Task<absl::Status> Session::Run(std::shared_ptr<Session> self) {
  self->executor_ = co_await asio::this_coro::executor;
  self->last_read_ = self->options_.clock->Steady();
  asio::co_spawn(
      self->executor_, Deadline(self),
      asio::bind_cancellation_slot(self->stop_deadline_.slot(), asio::detached));
  asio::co_spawn(
      self->executor_, Heartbeat(self),
      asio::bind_cancellation_slot(self->stop_timers_.slot(), asio::detached));
  self->stream_.Start(&self->out_);
  self->StartWriting();
  const absl::Status status = co_await self->ReadLoop();
  self->End(status);
  co_return self->why_;
}

// --- reading ---

Task<absl::Status> Session::ReadLoop() {
  while (!closed_) {
    absl::StatusOr<Bytes> bytes = co_await wire_->Read();
    if (closed_) break;
    if (!bytes.ok()) co_return bytes.status();
    if (bytes->empty()) {
      // There is no goodbye in the protocol; but in the middle of a frame nobody leaves
      // of his own will.
      if (stream_.buffered() > 0) {
        co_return absl::UnavailableError(
            absl::StrFormat("%s was cut off in the middle of a frame", wire_->peer()));
      }
      if (ready()) break;
      co_return absl::UnavailableError(
          absl::StrFormat("%s hung up in the handshake", wire_->peer()));
    }
    bytes_received_ += bytes->size();
    last_read_ = options_.clock->Steady();
    turn_since_ = last_read_;
    turn_items_ = 0;
    stream_.Feed(*bytes);
    *bytes = Bytes();
    absl::Status taken = co_await TakeFrames();
    if (closed_) break;
    if (taken.ok() && mux_ == nullptr && stream_.established()) taken = OnReady();
    if (taken.ok()) taken = CheckHeld();
    if (taken.ok()) taken = CheckOutput();
    if (!taken.ok()) {
      BlameStream(taken);
      co_return taken;
    }
    StartWriting();
    co_await MakeRoom();
  }
  co_return absl::OkStatus();
}

// Who dialled a stranger has only itself to blame for what answers there.
void Session::BlameStream(const absl::Status& status) {
  if (!ready() && options_.is_initiator) return;
  if (absl::IsInvalidArgument(status)) Blame(Fault::kFrame);
  if (absl::IsResourceExhausted(status)) Blame(Fault::kLimit);
}

Task<absl::Status> Session::TakeFrames() {
  bool whole = false;
  for (;;) {
    WEFT_CO_ASSIGN_OR_RETURN(const SecretStream::Step step, stream_.Next(&out_));
    if (step == SecretStream::Step::kNeedsBytes) break;
    whole = true;
    if (step == SecretStream::Step::kMessage) {
      WEFT_CO_RETURN_IF_ERROR(co_await TakeMessage());
    }
    if (closed_) co_return absl::OkStatus();
  }
  if (stream_.buffered() == 0) {
    progress_since_ = Nanos(0);
  } else if (whole || progress_since_ == Nanos(0)) {
    progress_since_ = last_read_;
    progress_bytes_ = bytes_received_;
  }
  co_return absl::OkStatus();
}

Task<absl::Status> Session::TakeMessage() {
  bool opened = false;
  if (options_.workers != nullptr && stream_.sealed_bytes() > kInlineBytes) {
    std::function<void()> open = [this, &opened] {
      opened = stream_.Open(&plaintext_);
    };
    co_await options_.workers->Run(std::move(open));
  } else {
    opened = stream_.Open(&plaintext_);
  }
  if (!opened) {
    co_return absl::InvalidArgumentError("a message of the encrypted stream is forged");
  }
  if (plaintext_.empty() || closed_) co_return absl::OkStatus();
  // The first message may be in the bytes that end the handshake.
  if (mux_ == nullptr) WEFT_CO_RETURN_IF_ERROR(OnReady());
  Protomux::Cursor cursor;
  for (bool done = false; !done && !closed_;) {
    WEFT_CO_ASSIGN_OR_RETURN(done,
                             mux_->ReceiveSome(plaintext_, kItemsPerLook, &cursor));
    co_await Breathe(kItemsPerLook);
  }
  if (plaintext_.capacity() > kKeptBytes) plaintext_ = Bytes();
  co_return absl::OkStatus();
}

// Lets others have their turn, if the strand was kept for long enough.
Task<void> Session::Breathe(std::size_t items) {
  turn_items_ += items;
  if (turn_items_ < kItemsPerTurn &&
      options_.clock->Steady() - turn_since_ < kTurnTime) {
    co_return;
  }
  co_await Yield();
  turn_since_ = options_.clock->Steady();
  turn_items_ = 0;
}

Task<void> Session::Yield() {
  co_await asio::post(executor_, asio::use_awaitable);
}

// What has come is stored before more is read, unless it waits for what has not come.
Task<void> Session::MakeRoom() {
  const auto most =
      static_cast<std::ptrdiff_t>(options_.limits.received_bytes_per_peer / 4);
  for (int turn = 0; turn < kTurnsToMakeRoom; ++turn) {
    if (closed_ || answers_bytes_ <= most) co_return;
    if (checks_running_ > 0) {
      co_await taken_in_.Wait();
    } else if (!work_.empty()) {
      co_await Yield();
    } else {
      co_return;
    }
  }
}

// --- writing ---

void Session::StartWriting() {
  if (closed_ || !executor_) return;
  CountOutput();
  if (writing_) return;
  if (out_.empty() && !keep_alive_due_ && (mux_ == nullptr || !mux_->has_output())) {
    return;
  }
  writing_ = true;
  asio::co_spawn(executor_, WriteLoop(shared_from_this()), asio::detached);
}

void Session::CloseWhenWritten() {
  const bool said_before = closes_when_written_;
  closes_when_written_ = true;
  if (writing_) return;
  if (!said_before) StartWriting();
  if (!writing_) Close();
}

std::size_t Session::output_bytes() const {
  return out_.size() + (mux_ ? mux_->queued_bytes() : 0);
}

void Session::CountOutput() {
  if (!ended_) upload_share_->Set(unsent_bytes());
}

// L15. Bulk data stops long before; only answers to a peer that does not read get here.
absl::Status Session::CheckOutput() const {
  if (output_bytes() <= options_.limits.upload_bytes_per_peer + kFrameBytesMax) {
    return absl::OkStatus();
  }
  return absl::ResourceExhaustedError("the peer sends and does not read");
}

// Takes `self` by value: the frame keeps the session alive until the last byte is out.
Task<void> Session::WriteLoop(std::shared_ptr<Session> self) {
  // Whoever queued the first message may be about to queue more.
  co_await self->Yield();
  for (;;) {
    const bool is_last = self->closes_when_written_;
    co_await self->SealFrames();
    if (self->out_.empty() || self->closed_) break;
    const absl::Status status = co_await self->WriteOut();
    if (!status.ok()) {
      self->Close(status);
      break;
    }
    if (is_last) break;
    self->CountOutput();
    if (self->mux_ != nullptr && self->mux_->queued_bytes() < kOutputLow) {
      for (const auto& channel : std::exchange(self->blocked_, {})) {
        self->ScheduleWork(channel);
      }
    }
  }
  self->writing_ = false;
  if (self->closes_when_written_) self->CloseWhenWritten();
}

Task<void> Session::SealFrames() {
  while (mux_ != nullptr && out_.size() < kWriteBytes && !closed_) {
    std::optional<Bytes> frame = mux_->TakeFrame();
    if (!frame) break;
    if (options_.workers == nullptr || frame->size() <= kInlineBytes) {
      stream_.Seal(*frame, &out_);
      continue;
    }
    sealing_bytes_ = frame->size();
    Bytes sealed;
    sealed.reserve(frame->size() + kSealedRoom);
    std::function<void()> seal = [this, &frame, &sealed] {
      stream_.Seal(*frame, &sealed);
    };
    co_await options_.workers->Run(std::move(seal));
    frame.reset();
    sealing_bytes_ = 0;
    if (out_.empty()) {
      out_ = std::move(sealed);
    } else {
      Append(out_, sealed);
    }
  }
  if (keep_alive_due_ && out_.empty()) stream_.Seal({}, &out_);
  keep_alive_due_ = false;
}

Task<absl::Status> Session::WriteOut() {
  Bytes out = std::move(out_);
  out_ = Bytes();
  bytes_sent_ += out.size();
  wrote_since_beat_ = true;
  writing_bytes_ = out.size();
  absl::Status status;
  for (std::size_t at = 0; at < writing_bytes_ && status.ok() && !closed_;) {
    const std::size_t size = std::min(kWriteSliceBytes, out.size() - at);
    Bytes slice =
        size == out.size() ? std::move(out) : ToBytes(ByteView(out).subspan(at, size));
    at += size;
    writing_since_ = options_.clock->Steady();
    status = co_await wire_->Write(std::move(slice));
  }
  writing_since_ = Nanos(0);
  writing_bytes_ = 0;
  co_return status;
}

// --- time ---

Task<void> Session::Deadline(std::shared_ptr<Session> self) {
  co_await self->options_.clock->Sleep(self->options_.limits.handshake_deadline);
  if (!self->ready()) {
    self->Close(absl::DeadlineExceededError(
        absl::StrFormat("%s did not finish the handshake", self->wire_->peer())));
  }
}

Task<void> Session::Heartbeat(std::shared_ptr<Session> self) {
  for (;;) {
    co_await self->options_.clock->Sleep(kBeat);
    if (self->closed_) co_return;
    const absl::Status well = self->OnBeat(self->options_.clock->Steady());
    if (!well.ok()) {
      self->Close(well);
      co_return;
    }
  }
}

absl::Status Session::OnBeat(Nanos now) {
  WEFT_RETURN_IF_ERROR(CheckProgress(now));
  if (!ready()) return absl::OkStatus();
  if (!wrote_since_beat_) {
    keep_alive_due_ = true;
    StartWriting();
  }
  wrote_since_beat_ = false;
  for (const auto& [id, channel] : channels_) {
    if (channel->is_open() && channel->waits()) channel->OnBeat();
  }
  Reopen();
  return absl::OkStatus();
}

void Session::Watch(const std::shared_ptr<CoreChannel>& channel) {
  if (closed_ || channel->watched) return;
  channel->watched = true;
  watched_.push_back(channel);
  if (std::exchange(ticking_, true)) return;
  asio::co_spawn(executor_, Ticks(shared_from_this()),
                 asio::bind_cancellation_slot(stop_ticks_.slot(), asio::detached));
}

Task<void> Session::Ticks(std::shared_ptr<Session> self) {
  while (!self->watched_.empty()) {
    const std::uint64_t received = self->bytes_received_;
    co_await self->options_.clock->Sleep(kTick);
    if (self->closed_) co_return;
    const bool receives = self->bytes_received_ - received > kReceivingBytes;
    const Nanos now = self->options_.clock->Steady();
    for (const auto& channel : std::exchange(self->watched_, {})) {
      channel->watched = false;
      if (channel->is_open() && channel->OnTick(now, receives)) self->Watch(channel);
    }
  }
  self->ticking_ = false;
}

absl::Status Session::CheckProgress(Nanos now) {
  const NetworkLimits& limits = options_.limits;
  if (now - last_read_ > limits.silence_max) {
    return absl::DeadlineExceededError(
        absl::StrFormat("%s fell silent", wire_->peer()));
  }
  if (writing_since_ != Nanos(0) && now - writing_since_ > limits.write_limit) {
    return absl::DeadlineExceededError(
        absl::StrFormat("%s does not read", wire_->peer()));
  }
  if (writing_since_ != Nanos(0) && now - writing_since_ > kReadingPatience &&
      (options_.budget->upload->contested() || options_.budget->upload->full()) &&
      upload_share_->bytes() > UploadBudget::kAlwaysBytes) {
    return absl::ResourceExhaustedError(absl::StrFormat(
        "%s does not read, and others wait for the memory", wire_->peer()));
  }
  if (progress_since_ == Nanos(0) || now - progress_since_ < limits.progress_interval) {
    return absl::OkStatus();
  }
  if (bytes_received_ - progress_bytes_ < limits.progress_bytes_min) {
    return absl::DeadlineExceededError(
        absl::StrFormat("%s does not finish what it began", wire_->peer()));
  }
  progress_since_ = now;
  progress_bytes_ = bytes_received_;
  return absl::OkStatus();
}

Task<void> Session::RefuseSlowly(std::shared_ptr<Session> self) {
  const auto step = static_cast<std::size_t>(
      std::max<std::uint64_t>(1, self->options_.limits.refusals_per_second / 10));
  while (!self->closed_ && self->mux_->held_refusals() > 0) {
    co_await self->options_.clock->Sleep(kRefusalPause);
    if (!self->closed_) self->mux_->RefuseHeld(step);
  }
  self->refusing_slowly_ = false;
}

Task<void> Session::Unthrottle(std::shared_ptr<Session> self, Nanos pause) {
  co_await self->options_.clock->Sleep(pause);
  self->throttled_ = false;
  if (self->closed_) co_return;
  for (const auto& [id, channel] : std::map(self->channels_)) {
    self->ScheduleWork(channel);
  }
}

}  // namespace weft
