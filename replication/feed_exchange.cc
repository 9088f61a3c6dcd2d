#include "replication/feed_exchange.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_format.h"

namespace weft {
namespace {

constexpr std::size_t kHeadsPerMessage = 1024;
// Bounds the work of one message; the answer to one path is never split.
constexpr std::size_t kNodesPerMessage = 64;
constexpr std::size_t kNodesTakenPerMessage = 128;
constexpr std::size_t kPathsPerMessage = 64;
// As few feeds as these are told outright: the walk would cost as much.
constexpr std::size_t kTellAllMax = 16;
constexpr std::size_t kMuchSmaller = 4;
// A walk shows each branch once or twice; who asks for more gets none.
constexpr std::uint64_t kNodesPerFeed = 4;
constexpr std::uint64_t kNodesAtLeast = 1024;
// What it shows is compared, and each feed that it lacks told once or twice besides.
constexpr std::uint64_t kStepsPerFeed = kNodesPerFeed + 2;
constexpr std::size_t kBadEvidenceMax = 16;
// Between two tellings of what our feeds hold, on one connection.
constexpr Nanos kComparePauseMin = std::chrono::seconds(10);
constexpr Nanos kComparePauseMax = std::chrono::minutes(10);
// What evidence that says nothing to us counts for (L16): more than it costs.
constexpr Nanos kUselessEvidence = std::chrono::milliseconds(1);

}  // namespace

FeedExchange::FeedExchange(Session* session, FeedSource* source, Changed changed)
    : session_(session), source_(source), changed_(std::move(changed)) {}

std::shared_ptr<FeedExchange> FeedExchange::Start(Session* session, FeedSource* source,
                                                  Changed changed) {
  std::shared_ptr<FeedExchange> self(
      new FeedExchange(session, source, std::move(changed)));
  const DiscoveryKey id = FeedChannelId(source->base_id());
  // A peer that comes to know the base later opens again; so do we, then.
  session->mux().Register(kFeedProtocol, id.view(),
                          [weak = std::weak_ptr(self)](ByteView, ByteView handshake) {
                            const std::shared_ptr<FeedExchange> exchange = weak.lock();
                            if (!exchange || !exchange->Proves(handshake)) return false;
                            exchange->Open();
                            return exchange->channel_ != nullptr;
                          });
  self->Open();
  return self;
}

void FeedExchange::Open() {
  if (channel_ != nullptr) return;
  FeedOpen open;
  open.capability = FeedCapability(session_->mux().handshake_hash(),
                                   session_->is_initiator(), source_->base_id());
  open.has_genesis = source_->Genesis().has_value();
  const DiscoveryKey id = FeedChannelId(source_->base_id());
  const Bytes handshake = EncodeFeedOpen(open);
  refused_ = false;
  peer_has_genesis_ = false;
  walked_ = false;
  told_requests_ = false;
  told_evidence_ = false;
  told_all_ = false;
  feeds_dropped_ = false;
  local_digest_.reset();
  remote_digest_.reset();
  feeds_.clear();
  peer_feeds_ = 0;
  was_level_ = false;
  since_level_.clear();
  absl::StatusOr<MuxChannel*> channel =
      session_->mux().Open(kFeedProtocol, id.view(), handshake, shared_from_this());
  // OnOpen may have run inside the call, and closed the channel again.
  if (channel.ok() && !refused_) channel_ = *channel;
}

void FeedExchange::Stop() {
  changed_ = [](FeedExchange&) {};
  if (session_->closed()) return;
  session_->mux().Unregister(kFeedProtocol, FeedChannelId(source_->base_id()).view());
  if (channel_ != nullptr) channel_->Close();
  channel_ = nullptr;
  open_ = false;
}

bool FeedExchange::Proves(ByteView handshake) const {
  const absl::StatusOr<FeedOpen> open = DecodeFeedOpen(handshake);
  return open.ok() && open->version == kFeedVersion &&
         open->capability == FeedCapability(session_->mux().handshake_hash(),
                                            !session_->is_initiator(),
                                            source_->base_id());
}

absl::Status FeedExchange::OnOpen(MuxChannel& channel, ByteView handshake) {
  channel_ = &channel;
  // Wrong proof: nothing about the base is said, and only this channel ends.
  if (!Proves(handshake)) {
    channel_ = nullptr;
    refused_ = true;
    channel.Close();
    changed_(*this);
    return absl::OkStatus();
  }
  open_ = true;
  peer_has_genesis_ = DecodeFeedOpen(handshake)->has_genesis;
  GenesisKnown();
  changed_(*this);
  return absl::OkStatus();
}

void FeedExchange::GenesisKnown() {
  if (!open_) return;
  const std::optional<Bytes> genesis = source_->Genesis();
  if (!genesis) return;
  if (!peer_has_genesis_) {
    Send(FeedMessageType::kGenesis, *genesis);
    peer_has_genesis_ = true;
  }
  if (const std::optional<FeedDigest> digest = source_->Digest()) TellDigest(*digest);
}

absl::Status FeedExchange::OnMessage(MuxChannel&, std::uint64_t type, ByteView body) {
  absl::Status status;
  switch (static_cast<FeedMessageType>(type)) {
    case FeedMessageType::kGenesis:
      status = OnGenesis(body);
      break;
    case FeedMessageType::kDigest:
      status = OnDigest(body);
      break;
    case FeedMessageType::kAskNodes:
      status = OnAskNodes(body);
      break;
    case FeedMessageType::kNodes:
      status = OnNodes(body);
      break;
    case FeedMessageType::kHeads:
      status = OnHeads(body);
      break;
    case FeedMessageType::kAcks:
      status = OnAcks(body);
      break;
    case FeedMessageType::kEvidence:
      status = OnEvidence(body);
      break;
    case FeedMessageType::kDeny:
      status = OnDeny(body);
      break;
    case FeedMessageType::kPeers: {
      WEFT_ASSIGN_OR_RETURN(const FeedPeers peers, DecodeFeedPeers(body));
      source_->OnPeers(*this, peers);
      return absl::OkStatus();
    }
    default:
      return absl::OkStatus();
  }
  if (status.ok()) changed_(*this);
  // A few bytes may have asked for much: the next has to wait for others' turns.
  session_->mux().EndStep();
  return status;
}

void FeedExchange::OnClose(MuxChannel&, bool refused) {
  channel_ = nullptr;
  open_ = false;
  refused_ = refused_ || refused;
  changed_(*this);
}

absl::Status FeedExchange::OnGenesis(ByteView body) {
  peer_has_genesis_ = true;
  if (source_->Genesis()) return absl::OkStatus();
  WEFT_RETURN_IF_ERROR(source_->TakeGenesis(body));
  GenesisKnown();
  return absl::OkStatus();
}

// --- the digest and the walk ---

absl::Status FeedExchange::OnDigest(ByteView body) {
  WEFT_ASSIGN_OR_RETURN(remote_digest_, DecodeFeedDigest(body));
  Compare();
  return absl::OkStatus();
}

void FeedExchange::TellDigest(const FeedDigest& digest) {
  if (!open_ || local_digest_ == digest) return;
  local_digest_ = digest;
  may_make_room_ = true;
  Send(FeedMessageType::kDigest, EncodeFeedDigest(digest));
  Compare();
}

void FeedExchange::Compare() {
  if (!open_ || !local_digest_ || !remote_digest_) return;
  if (IsLevel()) {
    NoteLevel();
    source_->OnLevel(peer());
  }
  if (!told_requests_) {
    told_requests_ = true;
    TellEvidence(source_->RequestsTo(peer()));
  }
  const bool views_differ =
      local_digest_->version_digest != remote_digest_->version_digest;
  if (views_differ && !told_evidence_) {
    told_evidence_ = true;
    TellEvidence(source_->Evidence());
  }
  if (local_digest_->feeds_root == remote_digest_->feeds_root) {
    walked_ = true;  // whatever comes to differ now is told as it changes
    if (views_differ && local_digest_->durable && remote_digest_->durable) {
      TellWhatFeedsHold(
          {local_digest_->version_digest, remote_digest_->version_digest});
    }
    return;
  }
  if (feeds_dropped_ && std::exchange(may_make_room_, false)) MakeRoom();
  // One side begins; what the other has to say it says in its answers.
  if (open_ && !walked_ && session_->is_initiator()) BeginWalk();
}

// The peer has what we have: what it said of single feeds is overtaken.
void FeedExchange::NoteLevel() {
  was_level_ = true;
  const FeedMap& ours = source_->Feeds();
  for (const CoreKey& core : since_level_) {
    std::uint64_t& durable = feeds_[core].durable;
    durable = std::max(durable, ours.settled(core));
  }
  since_level_.clear();
}

void FeedExchange::NoteTold(const CoreKey& core) {
  since_level_.push_back(core);
  if (since_level_.size() <= 1024 + 2 * feeds_.size()) return;
  std::sort(since_level_.begin(), since_level_.end());
  since_level_.erase(std::unique(since_level_.begin(), since_level_.end()),
                     since_level_.end());
}

std::uint64_t FeedExchange::DurableThere(const CoreKey& core) const {
  const auto feed = feeds_.find(core);
  if (feed != feeds_.end()) return feed->second.durable;
  return was_level_ ? source_->Feeds().settled(core) : 0;
}

void FeedExchange::BeginWalk() {
  walked_ = true;
  FeedMap& ours = source_->Feeds();
  if (ours.size() <= kTellAllMax ||
      ours.size() <= remote_digest_->feeds / kMuchSmaller) {
    return TellAll();
  }
  WalkStep step;
  if (remote_digest_->feeds <= ours.size() / kMuchSmaller) {
    step.ask.push_back({});
  } else {
    step.show.push_back(BranchAt(ours, {}).value());
  }
  SendStep(next_ask_++, step);
}

absl::Status FeedExchange::OnAskNodes(ByteView body) {
  WEFT_ASSIGN_OR_RETURN(const FeedAskNodes ask, DecodeFeedAskNodes(body));
  FeedMap& ours = source_->Feeds();
  const std::uint64_t most = StepsMax();
  const std::size_t count = std::min(ask.paths.size(), kPathsPerMessage);
  for (std::size_t i = 0; i < count && ask_steps_ < most; ++i) {
    ++ask_steps_;
    if (ask.paths[i].empty() && ours.size() <= kTellAllMax) {
      TellAll();
      continue;
    }
    WalkStep step;
    AnswerAsk(ours, ask.paths[i], &step);
    ask_steps_ += step.show.size() + step.tell.size();
    SendStep(ask.id, step);
  }
  return absl::OkStatus();
}

std::uint64_t FeedExchange::StepsMax() const {
  const std::uint64_t theirs =
      remote_digest_ ? std::min<std::uint64_t>(remote_digest_->feeds, kFeedsPerPeerMax)
                     : 0;
  return kNodesAtLeast +
         kStepsPerFeed * std::max<std::uint64_t>(theirs, source_->Feeds().size());
}

absl::Status FeedExchange::OnNodes(ByteView body) {
  WEFT_ASSIGN_OR_RETURN(const FeedNodes nodes, DecodeFeedNodes(body));
  walked_ = true;
  FeedMap& ours = source_->Feeds();
  const std::uint64_t budget = StepsMax();
  WalkStep step;
  std::set<TriePath> shown;
  const std::size_t count = std::min(nodes.nodes.size(), kNodesTakenPerMessage);
  for (std::size_t i = 0; i < count && walk_steps_ < budget; ++i) {
    if (!shown.insert(nodes.nodes[i].path).second) continue;
    ++nodes_seen_;
    const std::size_t told = step.tell.size();
    WEFT_RETURN_IF_ERROR(CompareNode(ours, nodes.nodes[i], Told(), &step));
    walk_steps_ += 1 + step.tell.size() - told;
  }
  std::erase_if(step.ask,
                [&shown](const TriePath& path) { return shown.contains(path); });
  SendStep(nodes.id, step);
  return absl::OkStatus();
}

VisitTold FeedExchange::Told() const {
  return [this](const TriePath& path,
                const std::function<bool(const CoreKey&, std::uint64_t)>& visit) {
    VisitUnder(feeds_, path, [&visit](const CoreKey& core, const PeerFeed& feed) {
      return feed.settled == kFeedUnsaid || visit(core, feed.settled);
    });
  };
}

// Heads go first: what the peer is told of it need not ask for.
void FeedExchange::SendStep(std::uint64_t id, const WalkStep& step) {
  std::vector<FeedHead> heads;
  for (const WalkStep::Tell& tell : step.tell) {
    if (!MayTell(tell.head.core)) continue;
    PeerFeed& feed = feeds_[tell.head.core];
    if (tell.lacking && feed.first == kFeedUnsaid) feed.first = 0;
    heads.push_back(tell.head);
  }
  SendHeads(heads, /*complete=*/false);
  for (std::size_t from = 0; from < step.show.size(); from += kNodesPerMessage) {
    const std::size_t count = std::min(kNodesPerMessage, step.show.size() - from);
    SendNodes(id, std::span(step.show).subspan(from, count));
  }
  for (std::size_t from = 0; from < step.ask.size(); from += kPathsPerMessage) {
    const std::size_t count = std::min(kPathsPerMessage, step.ask.size() - from);
    FeedAskNodes ask;
    ask.id = next_ask_++;
    ask.paths.assign(step.ask.begin() + static_cast<std::ptrdiff_t>(from),
                     step.ask.begin() + static_cast<std::ptrdiff_t>(from + count));
    Send(FeedMessageType::kAskNodes, EncodeFeedAskNodes(ask));
  }
}

void FeedExchange::SendNodes(std::uint64_t id, std::span<const FeedNode> nodes) {
  const std::uint64_t budget = kNodesAtLeast + kNodesPerFeed * source_->Feeds().size();
  if (nodes_shown_ + nodes.size() > budget) return;
  nodes_shown_ += nodes.size();
  FeedNodes message;
  message.id = id;
  message.nodes.assign(nodes.begin(), nodes.end());
  Send(FeedMessageType::kNodes, EncodeFeedNodes(message));
}

// --- heads ---

bool FeedExchange::MayTell(const CoreKey& core) const {
  const auto feed = feeds_.find(core);
  if (feed != feeds_.end() && feed->second.denied) return false;
  return session_->PermissionOf(core).upload;
}

void FeedExchange::SendHeads(std::span<const FeedHead> heads, bool complete) {
  FeedHeads message;
  message.durable = true;
  const auto send = [&] {
    Send(FeedMessageType::kHeads, EncodeFeedHeads(message));
    message.heads.clear();
  };
  for (const FeedHead& head : heads) {
    if (!MayTell(head.core)) continue;
    PeerFeed& feed = feeds_[head.core];
    if (feed.told == head.settled) continue;
    feed.told = head.settled;
    NoteTold(head.core);
    message.heads.push_back(head);
    if (message.heads.size() == kHeadsPerMessage) send();
  }
  message.complete = complete;
  if (complete || !message.heads.empty()) send();
}

void FeedExchange::TellChanges(std::span<const FeedChange> changes) {
  if (!open_) return;
  std::vector<FeedHead> heads;
  for (const FeedChange& change : changes) {
    if (!MayTell(change.head.core)) continue;
    // A feed of which nothing was said was the same on both sides.
    PeerFeed& feed = feeds_[change.head.core];
    if (walked_ && feed.first == kFeedUnsaid) feed.first = change.before;
    heads.push_back(change.head);
  }
  SendHeads(heads, /*complete=*/false);
}

void FeedExchange::TellAll() {
  std::vector<FeedHead> heads;
  for (const auto& [core, settled] : source_->Feeds().heads()) {
    heads.push_back({core, settled});
  }
  SendHeads(heads, /*complete=*/true);
}

// The peer has told all it has: tells what is longer, shorter or not here at all.
void FeedExchange::TellWhatDiffers() {
  std::vector<FeedHead> heads;
  for (const auto& [core, feed] : feeds_) {
    const std::uint64_t here = source_->Feeds().settled(core);
    if (feed.settled != kFeedUnsaid && here < feed.settled)
      heads.push_back({core, here});
  }
  for (const auto& [core, settled] : source_->Feeds().heads()) {
    const auto told = feeds_.find(core);
    if (told != feeds_.end() && told->second.settled == settled) continue;
    if (!MayTell(core)) continue;
    PeerFeed& feed = feeds_[core];
    if (feed.first == kFeedUnsaid) feed.first = 0;
    heads.push_back({core, settled});
  }
  SendHeads(heads, /*complete=*/false);
}

// The peer speaks of this feed; null if it has spoken of too many.
PeerFeed* FeedExchange::Remember(const CoreKey& core) {
  const auto known = feeds_.find(core);
  if (known != feeds_.end() && known->second.settled != kFeedUnsaid) {
    return &known->second;
  }
  // Beyond the limit nothing more is believed, and nothing more is fetched, until what
  // was told before is here.
  if (peer_feeds_ >= kFeedsPerPeerMax) {
    if (!std::exchange(feeds_dropped_, true)) may_make_room_ = true;
    return nullptr;
  }
  ++peer_feeds_;
  return &feeds_[core];
}

// What was told and is here need not be remembered. Once most of it is, the peer may
// tell the rest: the channel begins again.
void FeedExchange::MakeRoom() {
  const FeedMap& ours = source_->Feeds();
  std::size_t waiting = 0;
  for (const auto& [core, feed] : feeds_) {
    if (feed.settled == kFeedUnsaid) continue;
    waiting += ours.settled(core) < feed.settled &&
                       source_->Wanted(core, feed.settled) != nullptr
                   ? 1
                   : 0;
  }
  if (waiting > kFeedsPerPeerMax / 64) return;
  MuxChannel* const channel = std::exchange(channel_, nullptr);
  open_ = false;
  channel->Close();
  // Not so if the peer opens again: it would begin anew as often as it likes.
  nodes_shown_ = 0;
  nodes_seen_ = 0;
  walk_steps_ = 0;
  ask_steps_ = 0;
  Open();
}

absl::Status FeedExchange::OnHeads(ByteView body) {
  WEFT_ASSIGN_OR_RETURN(const FeedHeads message, DecodeFeedHeads(body));
  const FeedMap& ours = source_->Feeds();
  std::vector<FeedHead> longer_there;
  std::vector<FeedHead> longer_here;
  std::vector<FeedAck> durable;
  for (const FeedHead& head : message.heads) {
    PeerFeed* const feed = Remember(head.core);
    if (feed == nullptr) continue;
    feed->settled = head.settled;
    NoteTold(head.core);
    // What comes after the list of all has begun to grow from nothing.
    if (feed->first == kFeedUnsaid) feed->first = told_all_ ? 0 : head.settled;
    const std::uint64_t held = std::min(head.settled, source_->MostHeld(head.core));
    if (message.durable && held > feed->durable) {
      feed->durable = held;
      durable.push_back({head.core, held});
    }
    const std::uint64_t here = ours.settled(head.core);
    if (here > head.settled && feed->told != here) {
      longer_here.push_back({head.core, here});
    }
    if (here < head.settled) longer_there.push_back(head);
  }
  if (!durable.empty()) source_->OnDurable(peer(), durable);
  Fetch(std::move(longer_there));
  SendHeads(longer_here, /*complete=*/false);
  if (message.complete && !told_all_) {
    told_all_ = true;
    TellWhatDiffers();
  }
  return absl::OkStatus();
}

void FeedExchange::Fetch(std::vector<FeedHead> heads) {
  if (!open_ || heads.empty()) return;
  std::vector<CoreKey> denied;
  std::erase_if(heads, [&](const FeedHead& head) {
    const FeedPermission permission = session_->PermissionOf(head.core);
    if (permission.any()) return !permission.download;
    bool& refused = feeds_[head.core].refused;
    if (!std::exchange(refused, true)) denied.push_back(head.core);
    return true;
  });
  if (!denied.empty()) Send(FeedMessageType::kDeny, EncodeFeedDeny(denied));
  const FeedRank rank = [this](const CoreKey& core) { return source_->RankOf(core); };
  for (const FeedHead& head : InOrderOfFetching(std::move(heads), rank)) {
    const auto feed = feeds_.find(head.core);
    if (feed != feeds_.end() && feed->second.denied) continue;
    if (const auto core = source_->Wanted(head.core, head.settled)) {
      session_->Replicate(core, Download::Log());
    }
  }
}

void FeedExchange::WantsChanged() {
  std::vector<FeedHead> longer;
  const FeedMap& ours = source_->Feeds();
  for (const auto& [core, feed] : feeds_) {
    if (feed.settled != kFeedUnsaid && feed.settled > ours.settled(core)) {
      longer.push_back({core, feed.settled});
    }
  }
  Fetch(std::move(longer));
}

absl::Status FeedExchange::OnDeny(ByteView body) {
  WEFT_ASSIGN_OR_RETURN(const std::vector<CoreKey> cores, DecodeFeedDeny(body));
  for (const CoreKey& core : cores) {
    // Of any other feed there is nothing to deny.
    if (feeds_.contains(core) || source_->Feeds().settled(core) > 0) {
      feeds_[core].denied = true;
    }
  }
  return absl::OkStatus();
}

// --- acknowledgements, evidence ---

absl::Status FeedExchange::OnAcks(ByteView body) {
  WEFT_ASSIGN_OR_RETURN(const std::vector<FeedAck> acks, DecodeFeedAcks(body));
  std::vector<FeedAck> news;
  for (const FeedAck& ack : acks) {
    const auto known = feeds_.find(ack.core);
    const bool ours = source_->Feeds().settled(ack.core) > 0;
    if (known == feeds_.end() && !ours) continue;
    std::uint64_t& durable = feeds_[ack.core].durable;
    // What is not written yet nobody holds: it would count for all that comes.
    const std::uint64_t held = std::min(ack.durable, source_->MostHeld(ack.core));
    if (held <= durable) continue;
    durable = held;
    news.push_back({ack.core, held});
  }
  if (!news.empty()) source_->OnDurable(peer(), news);
  return absl::OkStatus();
}

void FeedExchange::TellDurable(std::span<const FeedAck> acks) {
  SendInParts(FeedMessageType::kAcks, acks, EncodeFeedAcks);
}

void FeedExchange::TellEvidence(std::span<const Bytes> proofs) {
  if (!open_) return;
  for (const Bytes& proof : proofs) {
    if (proof.size() > kEvidenceBytesMax) continue;
    Send(FeedMessageType::kEvidence, EncodeFeedEvidence({&proof, 1}));
  }
}

absl::Status FeedExchange::OnEvidence(ByteView body) {
  WEFT_ASSIGN_OR_RETURN(const std::vector<Bytes> proofs, DecodeFeedEvidence(body));
  for (const Bytes& proof : proofs) {
    // Who has brought too much that was of no use is not listened to for a while.
    if (!session_->may_check()) return absl::OkStatus();
    const Nanos started = session_->options_.clock->Steady();
    const auto answers = source_->TakeEvidence(peer(), proof);
    const bool useless = absl::IsNotFound(answers.status());
    // What has told us something is not charged; what we were asked for is.
    if (!answers.ok() || !answers->empty()) {
      session_->ChargeUselessWork(session_->options_.clock->Steady() - started +
                                  (useless ? kUselessEvidence : Nanos(0)));
    }
    if (answers.ok()) {
      TellEvidence(*answers);
    } else if (!useless && ++bad_evidence_ > kBadEvidenceMax) {
      return answers.status();
    }
  }
  return absl::OkStatus();
}

void FeedExchange::TellPeers(const FeedPeers& peers) {
  if (open_) Send(FeedMessageType::kPeers, EncodeFeedPeers(peers));
}

template <class T>
void FeedExchange::SendInParts(FeedMessageType type, std::span<const T> all,
                               Bytes (*encode)(std::span<const T>)) {
  if (!open_) return;
  for (std::size_t from = 0; from < all.size(); from += kHeadsPerMessage) {
    const std::size_t count = std::min(kHeadsPerMessage, all.size() - from);
    Send(type, encode(all.subspan(from, count)));
  }
}

void FeedExchange::Send(FeedMessageType type, ByteView body) {
  if (channel_ != nullptr) channel_->Send(static_cast<std::uint64_t>(type), body);
}

bool FeedExchange::CompareWhenQuiet() {
  if (!open_ || !local_digest_ || !remote_digest_) return false;
  const Views views(local_digest_->version_digest, remote_digest_->version_digest);
  if (views.first == views.second || compared_views_ == views) return false;
  const bool is_quiet = std::exchange(quiet_views_, views) == views;
  if (is_quiet) TellWhatFeedsHold(views);
  return compared_views_ != views;
}

void FeedExchange::TellWhatFeedsHold(const Views& views) {
  const Nanos now = session_->options_.clock->Steady();
  if (compared_views_ == views || now < compare_at_) return;
  compared_views_ = views;
  compare_pause_ = std::clamp(2 * compare_pause_, kComparePauseMin, kComparePauseMax);
  compare_at_ = now + compare_pause_;
  // What came too early to be of use may have been forgotten.
  TellEvidence(source_->Evidence());
  TellEvidence(source_->SameFeedsEvidence());
}

bool FeedExchange::IsLevel() const {
  return open_ && local_digest_ && remote_digest_ && remote_digest_->durable &&
         local_digest_->durable &&
         local_digest_->version_digest == remote_digest_->version_digest;
}

}  // namespace weft
