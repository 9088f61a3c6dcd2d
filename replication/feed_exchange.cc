#include "replication/feed_exchange.h"

#include "absl/strings/str_format.h"

namespace weft {
namespace {

void Send(MuxChannel* channel, FeedMessageType type, ByteView body) {
  channel->Send(static_cast<std::uint64_t>(type), body);
}

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
  told_all_heads_ = false;
  refused_ = false;
  peer_has_genesis_ = false;
  told_all_ = false;
  local_digest_.reset();
  remote_digest_.reset();
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
    Send(channel_, FeedMessageType::kGenesis, *genesis);
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
    case FeedMessageType::kHeads:
      status = OnHeads(body);
      break;
    case FeedMessageType::kAcks:
      status = OnAcks(body);
      break;
    default:
      // Trie nodes are asked for, and later incarnations offered, by newer peers; both
      // may be left without an answer, as a type nobody knows.
      return absl::OkStatus();
  }
  if (status.ok()) changed_(*this);
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

absl::Status FeedExchange::OnDigest(ByteView body) {
  WEFT_ASSIGN_OR_RETURN(const FeedDigest digest, DecodeFeedDigest(body));
  remote_digest_ = digest;
  if (local_digest_ && local_digest_->feeds_root != digest.feeds_root) TellAllHeads();
  return absl::OkStatus();
}

absl::Status FeedExchange::OnHeads(ByteView body) {
  WEFT_ASSIGN_OR_RETURN(const FeedHeads heads, DecodeFeedHeads(body));
  for (const FeedHead& head : heads.heads) {
    const auto known = remote_heads_.find(head.core);
    if (known == remote_heads_.end()) {
      // Beyond the limit nothing more is believed, and nothing more is fetched.
      if (remote_heads_.size() >= kFeedsPerPeerMax) continue;
      remote_heads_.emplace(head.core, head.settled);
      // What comes after the list of all has begun to grow from nothing.
      first_remote_heads_.emplace(head.core, told_all_ ? 0 : head.settled);
    } else {
      known->second = head.settled;
    }
    Fetch(head.core, head.settled);
  }
  told_all_ = told_all_ || heads.complete;
  return absl::OkStatus();
}

absl::Status FeedExchange::OnAcks(ByteView body) {
  WEFT_ASSIGN_OR_RETURN(const std::vector<FeedAck> acks, DecodeFeedAcks(body));
  for (const FeedAck& ack : acks) {
    const auto known = remote_durable_.find(ack.core);
    if (known == remote_durable_.end()) {
      if (remote_durable_.size() >= kFeedsPerPeerMax) continue;
      remote_durable_.emplace(ack.core, ack.durable);
    } else {
      known->second = std::max(known->second, ack.durable);
    }
  }
  return absl::OkStatus();
}

void FeedExchange::TellAllHeads() {
  if (!open_ || told_all_heads_) return;
  told_all_heads_ = true;
  FeedHeads heads;
  heads.complete = true;
  heads.heads = source_->Heads();
  Send(channel_, FeedMessageType::kHeads, EncodeFeedHeads(heads));
}

void FeedExchange::TellHeads(std::span<const FeedHead> heads) {
  if (!open_ || heads.empty()) return;
  FeedHeads message;
  message.heads.assign(heads.begin(), heads.end());
  Send(channel_, FeedMessageType::kHeads, EncodeFeedHeads(message));
}

void FeedExchange::TellDigest(const FeedDigest& digest) {
  if (!open_ || local_digest_ == digest) return;
  local_digest_ = digest;
  Send(channel_, FeedMessageType::kDigest, EncodeFeedDigest(digest));
  if (remote_digest_ && remote_digest_->feeds_root != digest.feeds_root) TellAllHeads();
}

void FeedExchange::TellDurable(std::span<const FeedAck> acks) {
  if (!open_ || acks.empty()) return;
  Send(channel_, FeedMessageType::kAcks, EncodeFeedAcks(acks));
}

void FeedExchange::WantsChanged() {
  for (const auto& [key, settled] : remote_heads_) Fetch(key, settled);
}

void FeedExchange::Fetch(const CoreKey& key, std::uint64_t settled) {
  if (!open_) return;
  if (const std::shared_ptr<Hypercore> core = source_->Wanted(key, settled)) {
    session_->Replicate(core, Download::Whole());
  }
}

bool FeedExchange::IsLevel() const {
  return open_ && local_digest_ && remote_digest_ && remote_digest_->durable &&
         local_digest_->durable &&
         local_digest_->version_digest == remote_digest_->version_digest;
}

}  // namespace weft
