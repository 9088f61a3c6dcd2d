#include "replication/session.h"

#include <algorithm>
#include <asio/bind_cancellation_slot.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/post.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>

#include "absl/strings/str_format.h"
#include "replication/core_channel.h"
#include "replication/download_scheduler.h"
#include "replication/verdict.h"

namespace weft {
namespace {

constexpr Nanos kHandshakeDeadline = std::chrono::seconds(5);  // L2
constexpr Nanos kBeat = std::chrono::seconds(5);
constexpr Nanos kSilenceMax = std::chrono::seconds(60);  // L8
constexpr std::size_t kWriteBytes = 256 * 1024;
constexpr std::size_t kOutputHigh = 1024 * 1024;
constexpr std::size_t kOutputLow = 512 * 1024;
// Bulk data stops at kOutputHigh; only answers to a peer that does not read get here.
constexpr std::size_t kOutputMax = 64 * 1024 * 1024;
constexpr std::size_t kInFlightMax = 4096;
// Requests that a channel which waited for room may hope for.
constexpr std::size_t kStarvedShare = 16;
constexpr std::size_t kChannelsPerStep = 32;
// Less than this between two beats is keep-alive, not data.
constexpr std::uint64_t kReceivingBytes = 1024;
constexpr std::size_t kOpensPerStep = 256;
constexpr std::uint64_t kRefusedOpensMax = 100'000;  // L10, a minute
constexpr Nanos kMinute = std::chrono::minutes(1);

}  // namespace

Session::Session(std::unique_ptr<Wire> wire, const SessionOptions& options)
    : wire_(std::move(wire)),
      options_(options),
      stream_(options.is_initiator,
              options.static_key ? *options.static_key
                                 : KeyPairFromSeed(RandomSeed(*options.random)),
              options.random) {
  if (options_.book == nullptr) options_.book = std::make_shared<DownloadBook>();
}

std::shared_ptr<Session> Session::Create(std::unique_ptr<Wire> wire,
                                         const SessionOptions& options) {
  return std::shared_ptr<Session>(new Session(std::move(wire), options));
}

Session::~Session() = default;

const PublicKey& Session::remote_static_key() const {
  return stream_.handshake().remote_static_key();
}

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

Task<absl::Status> Session::ReadLoop() {
  const SecretStream::OnMessage on_message = [this](ByteView frame) {
    // The first message may be in the bytes that end the handshake.
    if (mux_ == nullptr) WEFT_RETURN_IF_ERROR(OnReady());
    if (closed_) return absl::OkStatus();
    return mux_->Receive(frame);
  };
  while (!closed_) {
    absl::StatusOr<Bytes> bytes = co_await wire_->Read();
    if (closed_) break;
    if (!bytes.ok()) co_return bytes.status();
    if (bytes->empty()) {
      if (ready()) break;
      co_return absl::UnavailableError(
          absl::StrFormat("%s hung up in the handshake", wire_->peer()));
    }
    bytes_received_ += bytes->size();
    last_read_ = options_.clock->Steady();
    WEFT_CO_RETURN_IF_ERROR(stream_.Receive(*bytes, &out_, on_message));
    if (out_.size() + (mux_ ? mux_->queued_bytes() : 0) > kOutputMax) {
      co_return absl::ResourceExhaustedError("the peer sends and does not read");
    }
    if (!closed_ && mux_ == nullptr && stream_.established()) {
      WEFT_CO_RETURN_IF_ERROR(OnReady());
    }
    StartWriting();
  }
  co_return absl::OkStatus();
}

absl::Status Session::OnReady() {
  stop_deadline_.emit(asio::cancellation_type::terminal);
  mux_ = std::make_unique<Protomux>(options_.is_initiator,
                                    stream_.handshake().handshake_hash());
  mux_->OnOutput([this] { StartWriting(); });
  mux_->Register(kHypercoreProtocol, [this](ByteView id, ByteView handshake) {
    return Accept(id, handshake) || RefuseOpen();
  });
  for (const auto& [id, wanted] : wanted_) to_open_.push_back(id);
  PostWork();
  if (options_.observer != nullptr) options_.observer->OnReady(*this);
  return absl::OkStatus();
}

// False, always; but a peer that tries keys without end is cut off.
bool Session::RefuseOpen() {
  const Nanos now = options_.clock->Steady();
  if (now - refused_since_ > kMinute) {
    refused_since_ = now;
    refused_opens_ = 0;
  }
  if (++refused_opens_ > kRefusedOpensMax) {
    Close(absl::ResourceExhaustedError("the peer asks for cores without end"));
  }
  return false;
}

// A wrong capability gets the answer of an unknown core, so that who knows only the
// discovery key learns nothing (attack 14).
bool Session::Accept(ByteView id, ByteView handshake) {
  const auto discovery_key = DiscoveryKey::From(id);
  const auto theirs = DecodeCoreHandshake(handshake);
  if (!discovery_key || !theirs.ok() || barred_.contains(*discovery_key)) return false;
  std::shared_ptr<Hypercore> core;
  Download mode;
  const auto wanted = wanted_.find(*discovery_key);
  if (wanted != wanted_.end()) {
    core = wanted->second.core;
    mode = wanted->second.download;
  } else {
    auto found = options_.cores->Find(*discovery_key);
    if (!found.ok()) return false;
    core = *std::move(found);
    mode = options_.cores->ModeOf(*core);
  }
  if (theirs->capability !=
      Capability(mux_->handshake_hash(), !options_.is_initiator, core->key())) {
    return false;
  }
  OpenChannel(*discovery_key, core, mode);
  return channels_.contains(*discovery_key);
}

void Session::OpenChannel(const DiscoveryKey& id,
                          const std::shared_ptr<Hypercore>& core,
                          const Download& mode) {
  auto channel =
      std::make_shared<CoreChannel>(this, core, options_.book->Of(core->key()));
  // Fails only beyond the limit of channels; the core is then not replicated here.
  if (channel->Open(mode).ok()) channels_.emplace(id, std::move(channel));
}

void Session::Replicate(std::shared_ptr<Hypercore> core, Download download) {
  const DiscoveryKey id = core->discovery_key();
  if (closed_ || barred_.contains(id)) return;
  wanted_[id] = {core, download};
  if (!ready()) return;
  const auto found = channels_.find(id);
  if (found != channels_.end()) {
    found->second->SetMode(download);
    return;
  }
  to_open_.push_back(id);
  PostWork();
}

void Session::Forget(const CoreKey& key) {
  const DiscoveryKey id = DiscoveryKeyOf(key);
  wanted_.erase(id);
  barred_.insert(id);
  const auto found = channels_.find(id);
  if (found == channels_.end()) return;
  const std::shared_ptr<CoreChannel> channel = found->second;
  channel->Close();
  Drop(*channel, /*refused=*/false);
}

void Session::SendExtension(const CoreKey& key, std::string_view name,
                            ByteView payload) {
  const auto found = channels_.find(DiscoveryKeyOf(key));
  if (found != channels_.end()) found->second->SendExtension(name, payload);
}

std::optional<RemoteCore> Session::Remote(const CoreKey& key) const {
  const auto found = channels_.find(DiscoveryKeyOf(key));
  if (found == channels_.end() || !found->second->is_open()) return std::nullopt;
  return found->second->Remote();
}

bool Session::IsLevel(const CoreKey& key) const {
  const auto found = channels_.find(DiscoveryKeyOf(key));
  return found != channels_.end() && found->second->is_level();
}

// The channel is over; forgets it and tells.
void Session::Drop(CoreChannel& channel, bool refused) {
  const auto found = channels_.find(channel.core().discovery_key());
  if (found == channels_.end() || found->second.get() != &channel) return;
  const std::shared_ptr<CoreChannel> kept = found->second;
  if (!refused && kept->interested()) lost_.insert(found->first);
  channels_.erase(found);
  kept->Close();
  if (options_.observer != nullptr && !ended_) {
    options_.observer->OnCoreClosed(*this, kept->core(), refused);
  }
}

void Session::Bar(CoreChannel& channel, const absl::Status& why) {
  const auto found = channels_.find(channel.core().discovery_key());
  if (found == channels_.end()) return;
  const std::shared_ptr<CoreChannel> kept = found->second;
  barred_.insert(found->first);
  wanted_.erase(found->first);
  channels_.erase(found);
  kept->Close();
  if (options_.observer != nullptr)
    options_.observer->OnFault(*this, kept->core(), why);
  if (++faulty_feeds_ >= kFaultyFeedsMax) {
    Close(absl::DataLossError(
        absl::StrFormat("%d cores of the peer had wrong proofs", faulty_feeds_)));
  }
}

void Session::ScheduleWork(const std::shared_ptr<CoreChannel>& channel) {
  if (closed_ || channel->queued) return;
  channel->queued = true;
  work_.push_back(channel);
  PostWork();
}

void Session::PostWork() {
  if (work_posted_ || closed_) return;
  work_posted_ = true;
  asio::post(executor_, [self = shared_from_this()] { self->Work(); });
}

std::size_t Session::TakeInFlight(const std::shared_ptr<CoreChannel>& channel) {
  if (in_flight_ < kInFlightMax) return kInFlightMax - in_flight_;
  if (!channel->starved) {
    channel->starved = true;
    starved_.push_back(channel);
  }
  return 0;
}

bool Session::output_full() const {
  return out_.size() + (mux_ ? mux_->queued_bytes() : 0) >= kOutputHigh;
}

// One step: a few channels in turn, and back to the event loop.
void Session::Work() {
  work_posted_ = false;
  if (closed_) return;
  for (std::size_t i = 0; i < kOpensPerStep && !to_open_.empty(); ++i) {
    const DiscoveryKey id = to_open_.front();
    to_open_.pop_front();
    const auto wanted = wanted_.find(id);
    if (wanted == wanted_.end() || channels_.contains(id)) continue;
    const Wanted copy = wanted->second;
    OpenChannel(id, copy.core, copy.download);
  }
  for (std::size_t i = 0; i < kChannelsPerStep && !work_.empty(); ++i) {
    const std::shared_ptr<CoreChannel> channel = std::move(work_.front());
    work_.pop_front();
    channel->queued = false;
    const absl::Status status = WorkOn(channel);
    if (!status.ok()) Close(status);
    if (closed_) return;
    if (channel->queued) break;  // it filled its step: enough for one turn
  }
  for (std::size_t room = kInFlightMax - std::min(in_flight_, kInFlightMax);
       room >= kStarvedShare && !starved_.empty(); room -= kStarvedShare) {
    starved_.front()->starved = false;
    ScheduleWork(starved_.front());
    starved_.pop_front();
  }
  if (!work_.empty() || !to_open_.empty()) PostWork();
  StartWriting();
}

absl::Status Session::WorkOn(const std::shared_ptr<CoreChannel>& channel) {
  WEFT_ASSIGN_OR_RETURN(const bool more, channel->Work());
  if (more) {
    ScheduleWork(channel);
  } else if (channel->is_open() && channel->blocked()) {
    blocked_.push_back(channel);
  }
  return absl::OkStatus();
}

void Session::StartWriting() {
  if (writing_ || closed_ || !executor_) return;
  if (out_.empty() && (mux_ == nullptr || !mux_->has_output())) return;
  writing_ = true;
  asio::co_spawn(executor_, WriteLoop(shared_from_this()), asio::detached);
}

// Takes `self` by value: the frame keeps the session alive until the last byte is out.
Task<void> Session::WriteLoop(std::shared_ptr<Session> self) {
  // Whoever queued the first message may be about to queue more.
  co_await asio::post(self->executor_, asio::use_awaitable);
  for (;;) {
    while (self->mux_ != nullptr && self->out_.size() < kWriteBytes) {
      const std::optional<Bytes> frame = self->mux_->TakeFrame();
      if (!frame) break;
      self->stream_.Seal(*frame, &self->out_);
    }
    if (self->out_.empty() || self->closed_) break;
    Bytes out = std::move(self->out_);
    self->out_ = Bytes();
    self->bytes_sent_ += out.size();
    self->wrote_since_beat_ = true;
    const absl::Status status = co_await self->wire_->Write(std::move(out));
    if (!status.ok()) {
      self->Close(status);
      break;
    }
    if (self->mux_ != nullptr && self->mux_->queued_bytes() < kOutputLow) {
      for (const auto& channel : std::exchange(self->blocked_, {})) {
        self->ScheduleWork(channel);
      }
    }
  }
  self->writing_ = false;
}

Task<void> Session::Deadline(std::shared_ptr<Session> self) {
  co_await self->options_.clock->Sleep(kHandshakeDeadline);
  if (!self->ready()) {
    self->Close(absl::DeadlineExceededError(
        absl::StrFormat("%s did not finish the handshake", self->wire_->peer())));
  }
}

Task<void> Session::Heartbeat(std::shared_ptr<Session> self) {
  std::uint64_t received = 0;
  for (;;) {
    co_await self->options_.clock->Sleep(kBeat);
    if (self->closed_) co_return;
    const Nanos now = self->options_.clock->Steady();
    if (now - self->last_read_ > kSilenceMax) {
      self->Close(absl::DeadlineExceededError(
          absl::StrFormat("%s fell silent", self->wire_->peer())));
      co_return;
    }
    if (!self->ready()) continue;
    if (!self->wrote_since_beat_) {
      self->stream_.Seal({}, &self->out_);
      self->StartWriting();
    }
    self->wrote_since_beat_ = false;
    const bool receives = self->bytes_received_ - received > kReceivingBytes;
    received = self->bytes_received_;
    for (const auto& [id, channel] : std::map(self->channels_)) {
      if (channel->is_open()) channel->OnBeat(now, receives);
    }
    self->Reopen();
  }
}

// A peer that closed a channel which we still need is asked once more a beat.
void Session::Reopen() {
  for (const DiscoveryKey& id : std::exchange(lost_, {})) {
    if (wanted_.contains(id)) to_open_.push_back(id);
  }
  if (!to_open_.empty()) PostWork();
}

void Session::Close(absl::Status why) {
  if (closed_) return;
  closed_ = true;
  why_ = std::move(why);
  wire_->Close();
}

void Session::Abandon() {
  options_.observer = nullptr;
  End(absl::CancelledError("the store was closed"));
}

void Session::End(const absl::Status& why) {
  if (ended_) return;
  if (!closed_) {
    closed_ = true;
    why_ = why;
  }
  ended_ = true;
  wire_->Close();
  stop_deadline_.emit(asio::cancellation_type::terminal);
  stop_timers_.emit(asio::cancellation_type::terminal);
  const auto channels = std::exchange(channels_, {});
  for (const auto& [id, channel] : channels) channel->Close();
  work_.clear();
  blocked_.clear();
  starved_.clear();
  if (mux_ != nullptr) mux_->Abandon();
  if (options_.observer != nullptr) options_.observer->OnClosed(*this, why_);
}

}  // namespace weft
