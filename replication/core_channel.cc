#include "replication/core_channel.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "engine/flat_tree.h"
#include "replication/verdict.h"

namespace weft {
namespace {

constexpr std::size_t kExtensionBytesMax = 64 * 1024;
// A connection that brings other data gets that many times longer for each single core.
constexpr int kSlackWhileReceiving = 6;
constexpr Nanos kStallPause = std::chrono::seconds(10);
// A peer that was heard so long after it was asked has got the question.
constexpr Nanos kLivesSince = std::chrono::seconds(1);

}  // namespace

CoreChannel::CoreChannel(Session* session, std::shared_ptr<Hypercore> core,
                         std::shared_ptr<DownloadScheduler> scheduler)
    : session_(session),
      core_(std::move(core)),
      scheduler_(std::move(scheduler)),
      send_([this](CoreMessage type, ByteView body) {
        if (channel_ != nullptr) channel_->Send(static_cast<std::uint64_t>(type), body);
      }),
      downloader_(core_, scheduler_, send_,
                  [this] {
                    if (session_ != nullptr) session_->ScheduleWork(shared_from_this());
                  }),
      uploader_(core_.get()),
      announcer_(core_.get()),
      known_fork_(core_->fork()) {}

CoreChannel::~CoreChannel() {
  Detach();
}

absl::Status CoreChannel::Open(const Download& mode) {
  downloader_.SetMode(mode);
  Protomux& mux = session_->mux();
  CoreHandshake handshake;
  handshake.seeks = true;
  handshake.capability =
      Capability(mux.handshake_hash(), mux.is_initiator(), core_->key());
  Bytes body;
  Encode(handshake, &body);
  WEFT_ASSIGN_OR_RETURN(
      channel_, mux.Open(kHypercoreProtocol, core_->discovery_key().view(), body,
                         shared_from_this()));
  observing_ = core_->Observe([this](const CoreEvent& event) { OnCoreEvent(event); });
  std::uint64_t seed = 0;
  std::memcpy(&seed, mux.handshake_hash().data(), sizeof(seed));
  downloader_.Start(seed);
  return absl::OkStatus();
}

void CoreChannel::Recount(const Counted& now) {
  const auto change = [](std::size_t to, std::size_t from) {
    return static_cast<std::ptrdiff_t>(to) - static_cast<std::ptrdiff_t>(from);
  };
  const Counted before = std::exchange(counted_, now);
  Session* const session = session_;  // a limit may end it, and this channel too
  session->HoldAnswers(change(now.answers, before.answers));
  session->HoldClaims(change(now.claims, before.claims));
  session->HoldRequests(change(now.requests, before.requests));
}

void CoreChannel::Recount() {
  if (session_ == nullptr) return;
  Counted now;
  now.answers = downloader_.answers_bytes();
  now.claims = remote_.blocks().memory_bytes();
  now.requests = uploader_.size();
  Recount(now);
}

// From here on nothing of the channel calls the session or the core's observers.
void CoreChannel::Detach() {
  if (session_ != nullptr) Recount(Counted{});
  if (session_ != nullptr && downloader_.in_flight() > 0) {
    session_->in_flight_ -= downloader_.in_flight();
  }
  session_ = nullptr;
  channel_ = nullptr;
  open_ = false;
  observing_.reset();
  downloader_.Stop();
}

void CoreChannel::Close() {
  MuxChannel* channel = channel_;
  Detach();
  if (channel != nullptr) channel->Close();
}

void CoreChannel::Leave() {
  session_ = nullptr;
  channel_ = nullptr;
  open_ = false;
}

void CoreChannel::SetMode(const Download& mode) {
  if (downloader_.mode() == mode) return;
  downloader_.SetMode(mode);
  if (!downloader_.interested()) Unwant();
  level_ = false;
  sync_due_ = open_;
  session_->ScheduleWork(shared_from_this());
}

void CoreChannel::set_uploads(bool uploads) {
  if (uploads_ == uploads) return;
  uploads_ = uploads;
  sync_due_ = open_;
  if (!open_) return;
  if (uploads_) announcer_.Open(visible_length(), send_);
  session_->ScheduleWork(shared_from_this());
}

RemoteCore CoreChannel::Remote() const {
  return {remote_.length(), remote_.fork(),
          std::min(remote_.contiguous_length(), remote_.length()),
          remote_.acked_length()};
}

std::uint64_t CoreChannel::visible_length() const {
  return core_->writable() ? std::min(core_->durable_length(), core_->length())
                           : core_->length();
}

absl::Status CoreChannel::OnOpen(MuxChannel&, ByteView handshake) {
  WEFT_ASSIGN_OR_RETURN(const CoreHandshake theirs, DecodeCoreHandshake(handshake));
  const Protomux& mux = session_->mux();
  if (theirs.capability !=
      Capability(mux.handshake_hash(), !mux.is_initiator(), core_->key())) {
    return absl::InvalidArgumentError("the peer does not know the key of a core");
  }
  open_ = true;
  session_->OnOpenAnswered(*this);
  SendSync();
  if (uploads_) announcer_.Open(visible_length(), send_);
  session_->ScheduleWork(shared_from_this());
  if (session_->options_.observer != nullptr) {
    session_->options_.observer->OnCoreOpen(*session_, *core_);
  }
  return absl::OkStatus();
}

void CoreChannel::OnClose(MuxChannel&, bool refused) {
  Session* session = session_;
  channel_ = nullptr;
  if (session != nullptr) session->Drop(*this, refused);
}

absl::Status CoreChannel::OnMessage(MuxChannel&, std::uint64_t type, ByteView body) {
  if (session_ == nullptr) return absl::OkStatus();
  session_->ScheduleWork(shared_from_this());
  const absl::Status status = Dispatch(type, body);
  Recount();
  return status;
}

absl::Status CoreChannel::Dispatch(std::uint64_t type, ByteView body) {
  const Nanos now = session_->options_.clock->Steady();
  switch (static_cast<CoreMessage>(type)) {
    case CoreMessage::kSync:
      return OnSync(body);
    case CoreMessage::kRequest: {
      WEFT_ASSIGN_OR_RETURN(const RequestMessage request, DecodeRequest(body));
      if (uploads_) return uploader_.Add(request);
      scratch_.clear();
      Encode(NoDataMessage{request.id,
                           static_cast<std::uint64_t>(NoDataReason::kNotAvailable)},
             &scratch_);
      send_(CoreMessage::kNoData, scratch_);
      return absl::OkStatus();
    }
    case CoreMessage::kCancel: {
      WEFT_ASSIGN_OR_RETURN(const std::uint64_t request_id, DecodeCancel(body));
      uploader_.Cancel(request_id);
      return absl::OkStatus();
    }
    case CoreMessage::kData: {
      WEFT_ASSIGN_OR_RETURN(const std::uint64_t id, DecodeDataId(body));
      if (downloader_.WasNeverAsked(id)) session_->Blame(Fault::kPush);
      if (session_ == nullptr) return absl::OkStatus();
      const absl::Status taken = downloader_.OnData(id, body, remote_, now);
      if (!absl::IsDataLoss(taken)) return taken;
      session_->Bar(*this, taken);
      return absl::OkStatus();
    }
    case CoreMessage::kNoData: {
      WEFT_ASSIGN_OR_RETURN(const NoDataMessage message, DecodeNoData(body));
      downloader_.OnNoData(message, remote_, now);
      return absl::OkStatus();
    }
    case CoreMessage::kWant: {
      WEFT_ASSIGN_OR_RETURN(const WantMessage want, DecodeWant(body));
      announcer_.OnWant(want);
      return absl::OkStatus();
    }
    case CoreMessage::kUnwant: {
      WEFT_ASSIGN_OR_RETURN(const WantMessage want, DecodeWant(body));
      announcer_.OnUnwant(want);
      return absl::OkStatus();
    }
    case CoreMessage::kBitfield: {
      WEFT_ASSIGN_OR_RETURN(const BitfieldMessage bits, DecodeBitfield(body));
      window_pending_ = false;
      if (remote_.OnBitfield(bits, core_->length())) TellRemote();
      return absl::OkStatus();
    }
    case CoreMessage::kRange: {
      WEFT_ASSIGN_OR_RETURN(const RangeMessage range, DecodeRange(body));
      window_pending_ = false;
      if (remote_.OnRange(range, core_->length())) TellRemote();
      return absl::OkStatus();
    }
    case CoreMessage::kExtension:
      return OnExtension(body);
    default:
      return absl::OkStatus();
  }
}

absl::Status CoreChannel::OnSync(ByteView body) {
  WEFT_ASSIGN_OR_RETURN(const SyncMessage sync, DecodeSync(body));
  const bool longer = sync.length > remote_.length() || sync.fork != remote_.fork();
  windows_aged_ = windows_aged_ || (longer && !windows_asked_.empty());
  remote_.OnSync(sync, core_->fork());
  downloader_.OnRemoteSync();
  if (longer) fork_told_ = false;
  if (!sync.downloading && !downloader_.interested()) {
    // Neither side expects anything any more.
    Session* session = session_;
    Close();
    session->Drop(*this, /*refused=*/false);
    return absl::OkStatus();
  }
  // The echo of its length is what lets a peer behind us ask for an upgrade.
  if (sync.fork == core_->fork() && visible_length() > sync.length) sync_due_ = true;
  TellRemote();
  return absl::OkStatus();
}

absl::Status CoreChannel::OnExtension(ByteView body) {
  WEFT_ASSIGN_OR_RETURN(const ExtensionMessage message, DecodeExtension(body));
  if (message.name.size() + message.payload.size() > kExtensionBytesMax) {
    return absl::OkStatus();
  }
  if (!message.name.empty()) extension_received_ = std::string(message.name);
  if (session_->options_.observer != nullptr && !extension_received_.empty()) {
    const std::string name = extension_received_;
    session_->options_.observer->OnExtension(*session_, *core_, name, message.payload);
  }
  return absl::OkStatus();
}

void CoreChannel::SendExtension(std::string_view name, ByteView payload) {
  if (!open_ || name.empty() || name.size() + payload.size() > kExtensionBytesMax)
    return;
  scratch_.clear();
  Encode(ExtensionMessage{name == extension_sent_ ? std::string_view() : name, payload},
         &scratch_);
  extension_sent_ = std::string(name);
  send_(CoreMessage::kExtension, scratch_);
}

void CoreChannel::TellRemote() {
  if (session_->options_.observer != nullptr) {
    session_->options_.observer->OnRemote(*session_, *core_, Remote());
  }
}

void CoreChannel::OnCoreEvent(const CoreEvent& event) {
  switch (event.kind) {
    case CoreEvent::Kind::kLength:
      if (core_->fork() != known_fork_) {
        known_fork_ = core_->fork();
        downloader_.OnForkChange();
      }
      sync_due_ = true;
      break;
    case CoreEvent::Kind::kBlocks:
      // Nobody is told later either: where uploads begin, all that is held is new.
      if (uploads_) announcer_.OnBlocks({event.from, event.to});
      break;
    case CoreEvent::Kind::kCleared:
      announcer_.OnCleared({event.from, event.to});
      break;
    case CoreEvent::Kind::kDurable:
      sync_due_ = true;
      uploader_.Resume();
      break;
  }
  if (open_) session_->ScheduleWork(shared_from_this());
}

bool CoreChannel::CanUpgrade() const {
  const std::uint64_t theirs = remote_.length();
  if (!remote_.synced() || theirs == 0) return true;
  if (remote_.fork() != core_->fork() || theirs >= visible_length()) return false;
  for (const std::uint64_t root : flat_tree::FullRoots(theirs)) {
    if (!core_->HasNode(root)) return false;
  }
  return true;
}

void CoreChannel::SendSync() {
  sync_due_ = false;
  SyncMessage sync;
  sync.fork = core_->fork();
  sync.length = visible_length();
  sync.remote_length = remote_.fork() == core_->fork() ? remote_.length() : 0;
  sync.can_upgrade = CanUpgrade();
  sync.uploading = uploads_;
  sync.downloading = downloader_.interested();
  told_content_ = told_content_ || !sync.downloading;
  sync.has_manifest = core_->manifest().has_value() && !core_->manifest()->compat;
  scratch_.clear();
  Encode(sync, &scratch_);
  send_(CoreMessage::kSync, scratch_);
}

absl::StatusOr<bool> CoreChannel::Work() {
  if (!open_) return false;
  if (sync_due_) SendSync();
  if (announces() && !session_->output_full()) {
    announcer_.Flush(visible_length(), remote_, send_);
  }
  AskForMore();
  bool has_room = true;
  if (uploader_.has_work()) {
    const auto room = [this, &has_room](std::size_t bytes) {
      has_room = session_->TakeOutput(bytes);
      return has_room;
    };
    const absl::Status served = uploader_.Serve(visible_length(), room, send_);
    session_->blocks_sent_ += uploader_.TakeSent();
    if (absl::IsResourceExhausted(served)) session_->Blame(Fault::kLimit);
    WEFT_RETURN_IF_ERROR(served);
    // Whoever asks for a length that is no more has not heard of the present one.
    if (uploader_.TakeStale()) SendSync();
  }
  Recount();
  if (!open_) return false;
  CheckLevel();
  if (!open_) return false;
  // While nothing may be checked the end of that is waited for, without turns of ours.
  if (!checking_ && downloader_.has_answers() && session_->may_check()) return true;
  if (!has_room || session_->output_full()) return false;
  return uploader_.has_work() || announces();
}

std::unique_ptr<Downloader::Answers> CoreChannel::TakeAnswers() {
  if (!open_ || checking_ || !downloader_.has_answers() || !session_->may_check()) {
    return nullptr;
  }
  checking_ = true;
  return downloader_.Take();
}

bool CoreChannel::ReturnAnswers(Downloader::Answers& answers) {
  checking_ = false;
  downloader_.GiveBack(answers);
  if (session_ == nullptr) {
    scheduler_->Wake();
    return false;
  }
  session_->in_flight_ -= answers.requests.size();
  return true;
}

bool CoreChannel::allow_fork() const {
  return session_->options_.cores->AllowFork(*core_);
}

std::size_t CoreChannel::Settle(Downloader::Answers& answers,
                                std::span<const absl::Status> results) {
  const Downloader::Applied applied = downloader_.Settle(answers, results);
  if (session_ == nullptr) return applied.useless;  // an observer ended it
  session_->blocks_received_ += applied.blocks;
  if (!applied.fault.ok()) {
    session_->Bar(*this, applied.fault);
    return applied.useless;
  }
  if (applied.upgraded_from && session_->options_.observer != nullptr) {
    session_->options_.observer->OnUpgraded(*session_, *core_, *applied.upgraded_from);
  }
  // What came is of no interest to others; what did not, they may ask for.
  if (applied.failed + applied.refused > 0) {
    scheduler_->Wake(downloader_.scheduler_id());
  }
  Recount();
  return applied.useless;
}

void CoreChannel::GiveUp(const absl::Status& why) {
  if (session_ != nullptr) session_->GiveUp(*this, why);
}

void CoreChannel::AskForMore() {
  const Nanos now = session_->options_.clock->Steady();
  if (now < stalled_until_ && scheduler_->peer_count() > 1) return;
  const bool may_fork = allow_fork();
  if (remote_.synced() && remote_.fork() > core_->fork() && !may_fork && !fork_told_) {
    fork_told_ = true;
    if (session_->options_.observer != nullptr) {
      session_->options_.observer->OnForkRefused(*session_, *core_, remote_.fork());
    }
    if (!open_) return;
  }
  const std::size_t budget = session_->TakeInFlight(shared_from_this());
  const std::size_t sent = downloader_.Request(remote_, budget, may_fork, now);
  session_->in_flight_ += sent;
  if (sent > 0) session_->Watch(shared_from_this());
  if (sent == 0) AskForWindows();
}

// A sparse peer tells only those of its blocks that lie in a window we asked for.
void CoreChannel::AskForWindows() {
  if (!downloader_.interested() || window_pending_ || !remote_.synced()) return;
  std::uint64_t from = 0;
  while (const auto start = downloader_.UnknownWindow(remote_, from)) {
    from = *start + kWantBlocksMax;
    if (IsWindowKnown(*start)) continue;
    windows_asked_[*start] = {remote_.fork(), remote_.length()};
    scratch_.clear();
    Encode(WantMessage{*start, kWantBlocksMax, false}, &scratch_);
    send_(CoreMessage::kWant, scratch_);
    window_pending_ = true;
    return;
  }
}

bool CoreChannel::IsWindowKnown(std::uint64_t start) const {
  const auto window = windows_asked_.find(start);
  return window != windows_asked_.end() && window->second.fork == remote_.fork();
}

// Nothing of this core is expected any more: the peer need not tell what it gets.
void CoreChannel::Unwant() {
  for (const auto& [start, state] : windows_asked_) {
    scratch_.clear();
    Encode(WantMessage{start, kWantBlocksMax, false}, &scratch_);
    send_(CoreMessage::kUnwant, scratch_);
  }
  windows_asked_.clear();
  window_pending_ = false;
}

void CoreChannel::CheckLevel() {
  const bool level = !window_pending_ && downloader_.IsLevel(remote_);
  const bool was_level = std::exchange(level_, level);
  session_->MeetWishes(*this);
  if (!open_ || !level_ || was_level) return;
  if (downloader_.interested() && !downloader_.mode().live) {
    downloader_.MarkDone();
    Unwant();
    SendSync();
  }
  if (session_->options_.observer != nullptr) {
    session_->options_.observer->OnLevel(*session_, *core_);
  }
}

bool CoreChannel::Has(const Download& wanted) const {
  if (level_) return true;
  if (!open_ || window_pending_ || !downloader_.Has(wanted, remote_)) return false;
  std::uint64_t from = 0;
  while (const auto start = downloader_.UnknownWindow(wanted, remote_, from)) {
    if (!IsWindowKnown(*start)) return false;
    from = *start + kWantBlocksMax;
  }
  return true;
}

// A stock peer keeps quiet about blocks that it takes us to hold: of a log that was
// truncated it may think so long after. Where it has others than when it told us of a
// window, it is asked again: at once for another fork, and else when nothing came of
// itself.
void CoreChannel::OnBeat() {
  window_pending_ = false;
  if (std::exchange(windows_aged_, false)) {
    std::erase_if(windows_asked_, [this](const auto& window) {
      return window.second.length != remote_.length();
    });
  }
  session_->ScheduleWork(shared_from_this());
}

bool CoreChannel::OnTick(Nanos now, bool session_receives) {
  if (downloader_.in_flight() == 0) return false;
  const int slack = session_receives ? kSlackWhileReceiving : 1;
  if (downloader_.Expire(now, slack) > 0) {
    stalled_until_ = now + kStallPause;
    session_->OnStall(now);
    if (session_ == nullptr) return false;
    session_->ScheduleWork(shared_from_this());
  }
  // Not while the whole connection is mute: that is the network's doing.
  const std::optional<Nanos> ignored_since = downloader_.YieldUpgrade(now, slack);
  if (ignored_since && session_->last_heard() > *ignored_since + kLivesSince) {
    session_->OnStall(now);
    if (session_ == nullptr) return false;
  }
  // Who is done may take over from us, if we are slow.
  scheduler_->Wake();
  return true;
}

}  // namespace weft
