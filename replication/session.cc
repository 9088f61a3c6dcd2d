#include "replication/session.h"

#include <algorithm>
#include <asio/bind_cancellation_slot.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/post.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>
#include <iterator>
#include <utility>

#include "absl/strings/str_format.h"
#include "replication/answer_batch.h"
#include "replication/core_channel.h"
#include "replication/download_scheduler.h"
#include "replication/verdict.h"

namespace weft {
namespace {

constexpr std::size_t kOutputHigh = 1024 * 1024;
constexpr std::size_t kInFlightMax = 4096;
// Requests that a channel which waited for room may hope for.
constexpr std::size_t kStarvedShare = 16;
constexpr std::size_t kRequestsPerChannel = 64;
constexpr std::size_t kChannelsPerStep = 32;
constexpr std::size_t kOpensPerStep = 128;
constexpr std::size_t kDiscardedPerStep = 256;
// Then others have their turn.
constexpr Nanos kStepTime = std::chrono::milliseconds(2);
// A peer that lives sends a keep-alive sooner.
constexpr Nanos kStallPatience = std::chrono::seconds(10);
constexpr Nanos kMinute = std::chrono::minutes(1);

// Thousands of channels that nobody calls any more take their time to be freed, which
// others need too.
template <typename Map>
Task<void> Discard(Map map) {
  const auto executor = co_await asio::this_coro::executor;
  while (map.size() > kDiscardedPerStep) {
    map.erase(map.begin(), std::next(map.begin(), kDiscardedPerStep));
    co_await asio::post(executor, asio::use_awaitable);
  }
}

template <typename Map>
void DiscardLater(const asio::any_io_executor& executor, Map map) {
  if (map.size() <= kDiscardedPerStep || !executor) return;
  asio::co_spawn(executor, Discard(std::move(map)), asio::detached);
}

}  // namespace

NetworkBudget::NetworkBudget(const NetworkLimits& limits)
    : received(std::make_shared<Budget>(limits.received_bytes_global)),
      upload(std::make_shared<UploadBudget>(limits.upload_bytes_global)),
      log(limits.log_bytes_per_minute) {}

Session::Session(std::unique_ptr<Wire> wire, const SessionOptions& options)
    : wire_(std::move(wire)),
      options_(options),
      stream_(options.is_initiator,
              options.static_key ? *options.static_key
                                 : KeyPairFromSeed(RandomSeed(*options.random)),
              options.random),
      refusals_(options.limits.refusals_per_second, options.limits.refusals_at_once),
      useless_work_(
          static_cast<std::uint64_t>(options.limits.useless_work_per_second.count()),
          static_cast<std::uint64_t>(options.limits.useless_work_per_second.count())) {
  if (options_.book == nullptr) options_.book = std::make_shared<DownloadBook>();
  if (options_.budget == nullptr) {
    options_.budget = std::make_shared<NetworkBudget>(options_.limits);
  }
  const auto shed = [this] {
    // From within whatever made the memory short, which may be our own reading.
    asio::post(executor_, [weak = weak_from_this()] {
      if (const auto self = weak.lock()) {
        self->Close(absl::ResourceExhaustedError(
            "memory is short, and this peer holds most of it"));
      }
    });
  };
  received_share_ = std::make_unique<Budget::Share>(options_.budget->received, shed);
  upload_share_ = std::make_unique<UploadBudget::Share>(
      options_.budget->upload, [this] { OnUploadRoom(); }, shed);
  stream_.OnlyIf(options_.admit);
}

std::shared_ptr<Session> Session::Create(std::unique_ptr<Wire> wire,
                                         const SessionOptions& options) {
  return std::shared_ptr<Session>(new Session(std::move(wire), options));
}

Session::~Session() = default;

const PublicKey& Session::remote_static_key() const {
  return stream_.handshake().remote_static_key();
}

absl::Status Session::OnReady() {
  stop_deadline_.emit(asio::cancellation_type::terminal);
  if (options_.on_secured) WEFT_RETURN_IF_ERROR(options_.on_secured(*this));
  MuxLimits mux_limits;
  mux_limits.channels_max = options_.limits.channels_max;
  mux_limits.opens_max = options_.limits.opens_max;
  mux_ = std::make_unique<Protomux>(options_.is_initiator,
                                    stream_.handshake().handshake_hash(), mux_limits);
  mux_->OnOutput([this] { StartWriting(); });
  mux_->OnRefusal([this] { return RefuseOpen(); });
  mux_->Register(kHypercoreProtocol, [this](ByteView id, ByteView handshake) {
    return Accept(id, handshake);
  });
  for (const auto& [id, wanted] : wanted_) to_open_.push_back(id);
  PostWork();
  if (options_.observer != nullptr) options_.observer->OnReady(*this);
  if (options_.on_ready) options_.on_ready();
  return absl::OkStatus();
}

// True if the refusal may go out at once. A stock corestore opens every core that it
// has at once; who goes on like that waits, and who never ends is cut off (L10).
bool Session::RefuseOpen() {
  const Nanos now = options_.clock->Steady();
  if (now - refused_since_ > kMinute) {
    refused_since_ = now;
    refused_this_minute_ = 0;
  }
  if (++refused_this_minute_ > options_.limits.refusals_per_minute_max) {
    Blame(Fault::kLimit);
    Close(absl::ResourceExhaustedError("the peer asks for cores without end"));
    return false;
  }
  if (!refusing_slowly_ && refusals_.Take(1, now)) return true;
  if (!refusing_slowly_) {
    refusing_slowly_ = true;
    asio::co_spawn(executor_, RefuseSlowly(shared_from_this()),
                   asio::bind_cancellation_slot(stop_refusing_.slot(), asio::detached));
  }
  return false;
}

FeedPermission Session::PermissionOf(const CoreKey& key) const {
  return options_.permit ? options_.permit(*this, key) : FeedPermission{};
}

// A wrong capability gets the answer of an unknown core, so that who knows only the
// discovery key learns nothing (attack 14).
bool Session::Accept(ByteView id, ByteView handshake) {
  const auto discovery_key = DiscoveryKey::From(id);
  const auto theirs = DecodeCoreHandshake(handshake);
  if (!discovery_key || !theirs.ok() || barred_.contains(*discovery_key)) return false;
  const auto wanted = wanted_.find(*discovery_key);
  const std::optional<CoreKey> key = wanted != wanted_.end()
                                         ? wanted->second.core->key()
                                         : options_.cores->KeyOf(*discovery_key);
  if (!key || theirs->capability !=
                  Capability(mux_->handshake_hash(), !options_.is_initiator, *key)) {
    return false;
  }
  if (!PermissionOf(*key).any()) return false;
  if (wanted != wanted_.end()) {
    const Wanted copy = wanted->second;
    OpenChannel(*discovery_key, copy.core, DownloadOf(copy));
  } else {
    auto found = options_.cores->Find(*discovery_key);
    if (!found.ok()) return false;
    const Download mode = options_.cores->ModeOf(**found);
    OpenChannel(*discovery_key, *std::move(found), mode);
  }
  return channels_.contains(*discovery_key);
}

void Session::OpenChannel(const DiscoveryKey& id,
                          const std::shared_ptr<Hypercore>& core,
                          const Download& mode) {
  const FeedPermission permission = PermissionOf(core->key());
  if (!permission.any()) return;
  auto channel =
      std::make_shared<CoreChannel>(this, core, options_.book->Of(core->key()));
  channel->set_uploads(permission.upload);
  // Fails only beyond the limit of channels; the core is then not replicated here.
  if (channel->Open(permission.download ? mode : Download::None()).ok()) {
    channels_.emplace(id, std::move(channel));
  }
}

void Session::Replicate(std::shared_ptr<Hypercore> core, Download download) {
  const DiscoveryKey id = core->discovery_key();
  if (closed_ || barred_.contains(id)) return;
  Wanted& wanted = wanted_[id];
  wanted.core = std::move(core);
  wanted.standing = std::move(download);
  WantedChanged(id);
}

Session::Wish::Wish(std::weak_ptr<Session> session, const DiscoveryKey& id,
                    Download download)
    : session_(std::move(session)), id_(id), download_(std::move(download)) {
  // Met or not: whoever wants no more ends it.
  download_.live = true;
}

Session::Wish::~Wish() {
  if (const auto session = session_.lock()) session->EndWish(*this);
}

std::shared_ptr<const Session::Wish> Session::Want(std::shared_ptr<Hypercore> core,
                                                   Download download) {
  const DiscoveryKey id = core->discovery_key();
  auto wish = std::make_shared<Wish>(weak_from_this(), id, std::move(download));
  if (closed_ || barred_.contains(id)) return wish;
  Wanted& wanted = wanted_[id];
  wanted.core = std::move(core);
  wanted.wishes.push_back(wish.get());
  WantedChanged(id);
  // It may be met already.
  const auto found = channels_.find(id);
  if (found != channels_.end()) ScheduleWork(found->second);
  return wish;
}

void Session::EndWish(const Wish& wish) {
  const auto wanted = wanted_.find(wish.id_);
  if (wanted == wanted_.end() || std::erase(wanted->second.wishes, &wish) == 0) return;
  if (wanted->second.wishes.empty() && !wanted->second.standing) wanted_.erase(wanted);
  WantedChanged(wish.id_);
}

Download Session::DownloadOf(const Wanted& wanted) const {
  const Download standing =
      wanted.standing ? *wanted.standing : options_.cores->ModeOf(*wanted.core);
  if (wanted.wishes.empty()) return standing;
  std::vector<const Download*> all = {&standing};
  for (const Wish* const wish : wanted.wishes) all.push_back(&wish->download_);
  return Union(all);
}

void Session::WantedChanged(const DiscoveryKey& id) {
  if (!ready() || closed_) return;
  const auto wanted = wanted_.find(id);
  const auto found = channels_.find(id);
  if (found == channels_.end()) {
    if (wanted == wanted_.end()) return;
    to_open_.push_back(id);
    PostWork();
    return;
  }
  const std::shared_ptr<CoreChannel> channel = found->second;
  if (!PermissionOf(channel->core().key()).download) {
    channel->SetMode(Download::None());
  } else if (wanted != wanted_.end()) {
    channel->SetMode(DownloadOf(wanted->second));
  } else {
    channel->SetMode(options_.cores->ModeOf(channel->core()));
  }
}

void Session::MeetWishes(CoreChannel& channel) {
  const auto wanted = wanted_.find(channel.core().discovery_key());
  if (wanted == wanted_.end()) return;
  bool any = false;
  for (Wish* const wish : wanted->second.wishes) {
    if (wish->met_at_ || !channel.Has(wish->download_)) continue;
    wish->met_at_ = channel.core().length();
    any = true;
  }
  if (any && options_.observer != nullptr) {
    options_.observer->OnWishMet(*this, channel.core());
  }
}

void Session::PolicyChanged() {
  if (!ready() || closed_) return;
  for (const auto& [id, channel] : std::map(channels_)) {
    const FeedPermission permission = PermissionOf(channel->core().key());
    const auto wanted = wanted_.find(id);
    if (!permission.any()) {
      channel->Close();
      Drop(*channel, /*refused=*/false);
      lost_.erase(id);
      continue;
    }
    channel->set_uploads(permission.upload);
    if (!permission.download) channel->SetMode(Download::None());
    if (permission.download && wanted != wanted_.end()) {
      channel->SetMode(DownloadOf(wanted->second));
    }
  }
  for (const auto& [id, wanted] : wanted_) {
    if (!channels_.contains(id)) to_open_.push_back(id);
  }
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
  OnOpenAnswered(*kept);
  if (!refused && kept->interested()) {
    // Of a peer that heard only that we wanted nothing it can be asked at once.
    if (kept->told_content()) {
      to_open_.push_back(found->first);
      PostWork();
    } else {
      lost_.insert(found->first);
    }
  }
  channels_.erase(found);
  kept->Close();
  if (options_.observer != nullptr && !ended_) {
    options_.observer->OnCoreClosed(*this, kept->core(), refused);
  }
}

std::shared_ptr<CoreChannel> Session::KeepOut(CoreChannel& channel) {
  const auto found = channels_.find(channel.core().discovery_key());
  if (found == channels_.end()) return nullptr;
  std::shared_ptr<CoreChannel> kept = found->second;
  OnOpenAnswered(*kept);
  barred_.insert(found->first);
  wanted_.erase(found->first);
  channels_.erase(found);
  kept->Close();
  return kept;
}

void Session::GiveUp(CoreChannel& channel, const absl::Status& why) {
  const std::shared_ptr<CoreChannel> kept = KeepOut(channel);
  if (kept == nullptr || options_.observer == nullptr) return;
  options_.observer->OnUnreadable(*this, kept->core(), why);
}

void Session::Bar(CoreChannel& channel, const absl::Status& why) {
  const std::shared_ptr<CoreChannel> kept = KeepOut(channel);
  if (kept == nullptr) return;
  if (options_.observer != nullptr)
    options_.observer->OnFault(*this, kept->core(), why);
  if (++faulty_feeds_ >= kFaultyFeedsMax) {
    Blame(Fault::kFeeds);
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
  const std::size_t bytes = output_bytes();
  return bytes >= kOutputHigh ||
         (bytes >= UploadBudget::kAlwaysBytes && options_.budget->upload->full());
}

// A block larger than a peer's share goes out alone. Asked before it is read.
bool Session::TakeOutput(std::size_t bytes) {
  if (output_full()) return false;
  CountOutput();
  const std::size_t held = unsent_bytes();
  if (held > UploadBudget::kAlwaysBytes &&
      held + bytes > options_.limits.upload_bytes_per_peer) {
    return false;
  }
  upload_room_unused_ = false;
  return upload_share_->Take(bytes);
}

void Session::OnUploadRoom() {
  if (closed_ || std::exchange(upload_room_posted_, true)) return;
  asio::post(executor_, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (self == nullptr) return;
    self->upload_room_posted_ = false;
    self->upload_room_unused_ = true;
    for (const auto& channel : std::exchange(self->blocked_, {})) {
      self->ScheduleWork(channel);
    }
    self->PostWork();
  });
}

// --- what the peer costs ---

void Session::Blame(Fault fault, absl::StatusCode code) {
  if (closed_) return;  // what was in flight behind the fault counts no more
  const int points = Judge(fault, code).score;
  if (points > 0 && options_.on_fault) options_.on_fault(*this, fault, points);
}

void Session::HoldAnswers(std::ptrdiff_t bytes) {
  answers_bytes_ += bytes;
  if (bytes >= 0) return;  // reading looks at the limit after each piece
  received_share_->Set(held_bytes());
  taken_in_.Notify();
}

void Session::HoldClaims(std::ptrdiff_t bytes) {
  claims_bytes_ += bytes;
  if (claims_bytes_ >
      static_cast<std::ptrdiff_t>(options_.limits.claims_bytes_per_peer)) {
    Blame(Fault::kLimit);
    Close(absl::ResourceExhaustedError("the peer claims blocks without end"));
  }
}

void Session::HoldRequests(std::ptrdiff_t count) {
  requests_ += count;
  // A stock peer has up to 48 requests waiting on each core.
  const std::size_t most =
      options_.limits.requests_per_peer + kRequestsPerChannel * channels_.size();
  if (requests_ > static_cast<std::ptrdiff_t>(most)) {
    Blame(Fault::kLimit);
    Close(absl::ResourceExhaustedError(
        absl::StrFormat("%d requests wait for answers", requests_)));
  }
}

// Whoever makes us check what is of no use to us has a quarter of a processor and no
// more: then what he sends waits, and in the end he does.
void Session::ChargeUselessWork(Nanos time) {
  if (time <= Nanos(0)) return;
  const Nanos now = options_.clock->Steady();
  useless_work_.Charge(static_cast<std::uint64_t>(time.count()), now);
  const Nanos debt = useless_work_.Debt(now);
  if (debt == Nanos(0) || throttled_ || closed_) return;
  throttled_ = true;
  asio::co_spawn(executor_, Unthrottle(shared_from_this(), debt),
                 asio::bind_cancellation_slot(stop_throttle_.slot(), asio::detached));
}

// Once a minute at most, however many cores it is that wait: a peer that is only slow
// must not be shut out for that. And not while nothing at all comes, which is the
// network's doing.
void Session::OnStall(Nanos now) {
  if (now - last_read_ >= kStallPatience) return;
  if (stall_told_ && now - *stall_told_ < kMinute) return;
  stall_told_ = now;
  Blame(Fault::kStall);
}

bool Session::MayLog(std::size_t bytes) {
  return options_.budget->log.Take(peer(), bytes, options_.clock->Steady());
}

std::size_t Session::held_bytes() const {
  return stream_.buffered() +
         static_cast<std::size_t>(std::max<std::ptrdiff_t>(answers_bytes_, 0));
}

// L7: the peer's frames, and what it brought that is not stored yet.
absl::Status Session::CheckHeld() {
  const std::size_t held = held_bytes();
  received_share_->Set(held);
  if (held <= options_.limits.received_bytes_per_peer) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrFormat("%d bytes of the peer wait to be stored", held));
}

// One step: a few channels in turn, and back to the event loop.
void Session::Work() {
  work_posted_ = false;
  if (closed_) return;
  const Nanos started = options_.clock->Steady();
  OpenSome();
  // What the channels are told of in between they find when their turn comes.
  std::deque<std::shared_ptr<CoreChannel>> turn;
  AnswerBatch batch;
  while (turn.size() < kChannelsPerStep && !work_.empty() && !batch.full()) {
    turn.push_back(std::move(work_.front()));
    work_.pop_front();
    batch.TakeFrom(turn.back());
  }
  if (!batch.empty()) TakeIn(std::move(batch));
  bool enough = false;
  while (!turn.empty() && !enough && !closed_) {
    const std::shared_ptr<CoreChannel> channel = std::move(turn.front());
    turn.pop_front();
    channel->queued = false;
    const absl::Status status = WorkOn(channel);
    if (!status.ok()) Close(status);
    // It filled its step.
    enough = channel->queued || options_.clock->Steady() - started > kStepTime;
  }
  if (closed_) return;
  work_.insert(work_.begin(), std::move_iterator(turn.begin()),
               std::move_iterator(turn.end()));
  for (std::size_t room = kInFlightMax - std::min(in_flight_, kInFlightMax);
       room >= kStarvedShare && !starved_.empty(); room -= kStarvedShare) {
    starved_.front()->starved = false;
    ScheduleWork(starved_.front());
    starved_.pop_front();
  }
  if (!work_.empty() || (!to_open_.empty() && opens_waiting_ < opens_most_)) PostWork();
  // What it was for was cancelled meanwhile.
  if (work_.empty() && std::exchange(upload_room_unused_, false)) {
    upload_share_->Leave();
  }
  CountOutput();
  StartWriting();
}

// As many more as were answered: a near peer begins to give while we still ask, and a
// far one is soon asked for all at once.
void Session::OpenSome() {
  for (std::size_t i = 0;
       i < kOpensPerStep && !to_open_.empty() && opens_waiting_ < opens_most_; ++i) {
    const DiscoveryKey id = to_open_.front();
    to_open_.pop_front();
    const auto wanted = wanted_.find(id);
    if (wanted == wanted_.end() || channels_.contains(id)) continue;
    const Wanted copy = wanted->second;
    OpenChannel(id, copy.core, DownloadOf(copy));
    const auto opened = channels_.find(id);
    if (opened == channels_.end()) continue;
    opened->second->asked = true;
    ++opens_waiting_;
  }
}

void Session::OnOpenAnswered(CoreChannel& channel) {
  if (!std::exchange(channel.asked, false)) return;
  --opens_waiting_;
  ++opens_most_;
  if (!to_open_.empty()) PostWork();
}

void Session::TakeIn(AnswerBatch batch) {
  if (!batch.heavy() || options_.workers == nullptr) {
    Store(batch, Nanos(0));
    return;
  }
  batch.Prepare();
  ++checks_running_;
  asio::co_spawn(executor_, CheckElsewhere(shared_from_this(), std::move(batch)),
                 asio::detached);
}

// Hashes and signatures on the workers; then back here with the rest. The channels and
// the session may be over by then.
Task<void> Session::CheckElsewhere(std::shared_ptr<Session> self, AnswerBatch batch) {
  // The way to the workers and back is as long as others make it.
  Nanos spent{};
  std::function<void()> check = [&batch, &spent, clock = self->options_.clock] {
    const Nanos started = clock->Steady();
    batch.Check();
    spent = clock->Steady() - started;
  };
  co_await self->options_.workers->Run(std::move(check));
  --self->checks_running_;
  self->taken_in_.Notify();
  self->Store(batch, spent);
  for (const auto& channel : batch.channels()) self->ScheduleWork(channel);
}

void Session::Store(AnswerBatch& batch, Nanos spent) {
  const Nanos started = options_.clock->Steady();
  const absl::StatusOr<AnswerBatch::Outcome> stored = batch.Store();
  if (!stored.ok()) return Close(stored.status());
  if (stored->useless == 0) return;
  spent += options_.clock->Steady() - started;
  ChargeUselessWork(spent * static_cast<std::int64_t>(stored->useless) /
                    static_cast<std::int64_t>(stored->settled));
}

absl::Status Session::WorkOn(const std::shared_ptr<CoreChannel>& channel) {
  WEFT_ASSIGN_OR_RETURN(const bool more, channel->Work());
  if (closed_) return absl::OkStatus();
  if (more) {
    ScheduleWork(channel);
  } else if (channel->is_open() && channel->blocked()) {
    blocked_.push_back(channel);
  }
  return absl::OkStatus();
}

// A peer that closed a channel which we still need is asked once more a beat.
void Session::Reopen() {
  for (const DiscoveryKey& id : std::exchange(lost_, {})) {
    if (wanted_.contains(id)) to_open_.push_back(id);
  }
  if (to_open_.empty()) return;
  // Opens that are not answered must not hold up the others for good.
  opens_most_ += kOpensAtFirst;
  PostWork();
}

void Session::DropChannels() {
  for (const auto& [id, channel] : channels_) channel->Leave();
  DiscardLater(executor_, std::exchange(channels_, {}));
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
  stop_ticks_.emit(asio::cancellation_type::terminal);
  stop_refusing_.emit(asio::cancellation_type::terminal);
  stop_throttle_.emit(asio::cancellation_type::terminal);
  taken_in_.Notify();
  DropChannels();
  work_.clear();
  watched_.clear();
  blocked_.clear();
  starved_.clear();
  if (mux_ != nullptr) DiscardLater(executor_, mux_->Abandon());
  received_share_->Set(0);
  upload_share_->Leave();
  upload_share_->Set(0);
  if (options_.observer != nullptr) options_.observer->OnClosed(*this, why_);
}

}  // namespace weft
