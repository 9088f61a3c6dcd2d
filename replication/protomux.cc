#include "replication/protomux.h"

#include "absl/strings/str_format.h"
#include "engine/check.h"
#include "engine/codec.h"
#include "replication/secret_stream.h"

namespace weft {
namespace {

enum Control : std::uint64_t { kBatch = 0, kOpen = 1, kReject = 2, kClose = 3 };

// Room for what surrounds an item: channel, length and type.
constexpr std::size_t kItemOverheadMax = 32;
// A single item up to this size goes as a frame of its own, which is shorter; a larger
// one stays the batch it is, because that saves a copy.
constexpr std::size_t kShortFrameBytes = 4096;

absl::Status Broken(const char* what) {
  return absl::InvalidArgumentError(absl::StrFormat("mux: %s", what));
}

}  // namespace

void MuxChannel::Send(std::uint64_t type, ByteView body) {
  if (!closed_) mux_->Queue(local_id_, type, body);
}

void MuxChannel::Close() {
  if (closed_) return;
  Bytes body;
  Writer(&body).Uint(local_id_);
  mux_->Queue(0, kClose, body);
  mux_->Release(*this);
}

Protomux::Protomux(bool is_initiator, const Hash64& handshake_hash, MuxLimits limits)
    : is_initiator_(is_initiator), handshake_hash_(handshake_hash), limits_(limits) {}

Protomux::~Protomux() = default;

void Protomux::Register(std::string_view protocol, Acceptor acceptor) {
  protocol_acceptors_.insert_or_assign(std::string(protocol), std::move(acceptor));
}

void Protomux::Register(std::string_view protocol, ByteView id, Acceptor acceptor) {
  acceptors_.insert_or_assign({std::string(protocol), ToBytes(id)},
                              std::move(acceptor));
}

void Protomux::Unregister(std::string_view protocol, ByteView id) {
  acceptors_.erase({std::string(protocol), ToBytes(id)});
}

absl::StatusOr<MuxChannel*> Protomux::Open(std::string_view protocol, ByteView id,
                                           ByteView handshake,
                                           std::shared_ptr<ChannelHandler> handler) {
  Pair pair{std::string(protocol), ToBytes(id)};
  if (channels_.contains(pair)) {
    return absl::AlreadyExistsError(
        absl::StrFormat("channel %s is open already", pair.first));
  }
  if (channels_.size() >= limits_.channels_max) {
    return absl::ResourceExhaustedError(
        absl::StrFormat("%d channels are open", channels_.size()));
  }
  RefuseHeld(held_refusals_.size());
  auto channel = std::make_shared<MuxChannel>();
  channel->mux_ = this;
  channel->protocol_ = pair.first;
  channel->id_ = pair.second;
  channel->handler_ = std::move(handler);
  channel->local_id_ = TakeLocalId();
  local_[channel->local_id_ - 1] = channel.get();

  Bytes body;
  Writer writer(&body);
  writer.Uint(channel->local_id_);
  writer.Buffer(AsBytes(protocol));
  writer.Buffer(id);
  writer.Raw(handshake);
  Queue(0, kOpen, body);
  MuxChannel* result = channel.get();
  channels_.emplace(std::move(pair), std::move(channel));
  return result;
}

MuxChannel* Protomux::Find(std::string_view protocol, ByteView id) const {
  const auto found = channels_.find({std::string(protocol), ToBytes(id)});
  return found == channels_.end() ? nullptr : found->second.get();
}

absl::Status Protomux::Receive(ByteView frame) {
  Cursor cursor;
  return ReceiveSome(frame, SIZE_MAX, &cursor).status();
}

absl::StatusOr<bool> Protomux::ReceiveSome(ByteView frame, std::size_t items_max,
                                           Cursor* cursor) {
  if (frame.empty()) return true;
  Reader reader(frame.subspan(cursor->position));
  if (!cursor->in_batch) {
    const std::uint64_t channel_id = reader.Uint();
    const std::uint64_t type = reader.Uint();
    if (!reader.ok()) return Broken("a frame without channel and type");
    if (channel_id != 0 || type != kBatch) {
      WEFT_RETURN_IF_ERROR(ReceiveItem(channel_id, type, reader.Rest()));
      return true;
    }
    cursor->in_batch = true;
    cursor->channel_id = reader.Uint();
  }
  step_ended_ = false;
  for (std::size_t items = 0; reader.ok() && !reader.done(); ++items) {
    if (items == items_max || (step_ended_ && items_max != SIZE_MAX)) {
      cursor->position = frame.size() - reader.remaining();
      return false;
    }
    const std::uint64_t size = reader.Uint();
    if (size == 0) {
      cursor->channel_id = reader.Uint();
      continue;
    }
    const ByteView bytes = size <= reader.remaining()
                               ? reader.Raw(static_cast<std::size_t>(size))
                               : ByteView();
    Reader item(bytes);
    const std::uint64_t type = item.Uint();
    if (!item.ok()) return Broken("an item of a batch runs past its end");
    WEFT_RETURN_IF_ERROR(ReceiveItem(cursor->channel_id, type, item.Rest()));
  }
  if (!reader.ok()) return Broken("a batch that does not decode");
  return true;
}

absl::Status Protomux::ReceiveItem(std::uint64_t channel_id, std::uint64_t type,
                                   ByteView body) {
  if (channel_id != 0) {
    if (channel_id > remote_.size() || remote_[channel_id - 1] == nullptr) {
      return absl::OkStatus();  // still in flight when we closed or refused it
    }
    MuxChannel& channel = *remote_[channel_id - 1];
    // The handler may close its channel and still run; keep both until it is done.
    const std::shared_ptr<ChannelHandler> handler = channel.handler_;
    const auto kept = channel.shared_from_this();
    return handler->OnMessage(channel, type, body);
  }
  switch (type) {
    case kOpen:
      return ReceiveOpen(body);
    case kReject:
      return ReceiveReject(body);
    case kClose:
      ReceiveClose(body);
      return absl::OkStatus();
    default:
      return absl::OkStatus();
  }
}

absl::Status Protomux::ReceiveOpen(ByteView body) {
  Reader reader(body);
  const std::uint64_t remote_id = reader.Uint();
  const Pair pair{std::string(AsText(reader.Buffer())), ToBytes(reader.Buffer())};
  const ByteView handshake = reader.Rest();
  if (!reader.ok()) return Broken("an open that does not decode");
  if (remote_id == 0) {
    Refuse(0);
    return absl::OkStatus();
  }
  if (remote_id > remote_.size() + 1 ||
      (remote_id <= remote_.size() && remote_[remote_id - 1] != nullptr)) {
    return Broken("an open with an id that skips ahead or is in use");
  }
  if (remote_id > remote_.size()) {
    if (remote_.size() >= limits_.opens_max) {
      return absl::ResourceExhaustedError("mux: the peer opens channels without end");
    }
    remote_.push_back(nullptr);
  }
  if (Swallow(pair)) return absl::OkStatus();
  auto found = channels_.find(pair);
  if (found == channels_.end() && Ask(pair, handshake)) found = channels_.find(pair);
  if (found == channels_.end() || found->second->remote_id_ != 0) {
    RefuseLater(remote_id);
    return absl::OkStatus();
  }
  return Match(*found->second, remote_id, handshake);
}

bool Protomux::Ask(const Pair& pair, ByteView handshake) {
  const auto exact = acceptors_.find(pair);
  if (exact != acceptors_.end()) {
    const Acceptor acceptor = exact->second;  // it may unregister itself
    return acceptor(pair.second, handshake);
  }
  const auto general = protocol_acceptors_.find(pair.first);
  if (general == protocol_acceptors_.end()) return false;
  const Acceptor acceptor = general->second;
  return acceptor(pair.second, handshake);
}

// An open that answers one of ours which we have closed since: both are over.
bool Protomux::Swallow(const Pair& pair) {
  const auto found = abandoned_.find(pair);
  if (found == abandoned_.end()) return false;
  TakeBack(found, found->second.front());
  return true;
}

// What became of the abandoned id is known: it may be used again.
void Protomux::TakeBack(Abandoned::iterator entry, std::uint64_t local_id) {
  std::erase(entry->second, local_id);
  if (entry->second.empty()) abandoned_.erase(entry);
  abandoned_ids_.erase(local_id);
  free_.push_back(local_id);
}

absl::Status Protomux::Match(MuxChannel& channel, std::uint64_t remote_id,
                             ByteView handshake) {
  channel.remote_id_ = remote_id;
  remote_[remote_id - 1] = &channel;
  const std::shared_ptr<ChannelHandler> handler = channel.handler_;
  const auto kept = channel.shared_from_this();
  return handler->OnOpen(channel, handshake);
}

absl::Status Protomux::ReceiveReject(ByteView body) {
  Reader reader(body);
  const std::uint64_t local_id = reader.Uint();
  if (!reader.ok()) return Broken("a reject that does not decode");
  const auto abandoned = abandoned_ids_.find(local_id);
  if (abandoned != abandoned_ids_.end()) {
    TakeBack(abandoned->second, local_id);
    return absl::OkStatus();
  }
  if (local_id == 0 || local_id > local_.size() || local_[local_id - 1] == nullptr ||
      local_[local_id - 1]->remote_id_ != 0) {
    return Broken("a reject of what was not asked");
  }
  MuxChannel& channel = *local_[local_id - 1];
  const std::shared_ptr<ChannelHandler> handler = channel.handler_;
  // Known to have ended before Release sorts the id: the peer answered.
  local_[local_id - 1] = nullptr;
  const auto kept = Release(channel);
  free_.push_back(local_id);
  handler->OnClose(channel, /*refused=*/true);
  return absl::OkStatus();
}

void Protomux::ReceiveClose(ByteView body) {
  Reader reader(body);
  const std::uint64_t remote_id = reader.Uint();
  if (!reader.ok() || remote_id == 0 || remote_id > remote_.size() ||
      remote_[remote_id - 1] == nullptr) {
    return;
  }
  MuxChannel& channel = *remote_[remote_id - 1];
  const std::shared_ptr<ChannelHandler> handler = channel.handler_;
  const auto kept = Release(channel);
  handler->OnClose(channel, /*refused=*/false);
}

// Takes the channel out of every table. A local id may be used again at once if the
// peer had opened too; otherwise only when its answer is known.
std::shared_ptr<MuxChannel> Protomux::Release(MuxChannel& channel) {
  const auto found = channels_.find({channel.protocol_, channel.id_});
  WEFT_CHECK(found != channels_.end() && found->second.get() == &channel);
  std::shared_ptr<MuxChannel> kept = found->second;
  channels_.erase(found);
  channel.closed_ = true;
  channel.handler_.reset();
  if (channel.remote_id_ != 0) {
    remote_[channel.remote_id_ - 1] = nullptr;
    free_.push_back(channel.local_id_);
  } else if (local_[channel.local_id_ - 1] == &channel) {
    const Pair pair{channel.protocol_, channel.id_};
    const auto entry = abandoned_.try_emplace(pair).first;
    entry->second.push_back(channel.local_id_);
    abandoned_ids_.emplace(channel.local_id_, entry);
  }
  local_[channel.local_id_ - 1] = nullptr;
  return kept;
}

void Protomux::Refuse(std::uint64_t remote_id) {
  Bytes body;
  Writer(&body).Uint(remote_id);
  Queue(0, kReject, body);
}

void Protomux::RefuseLater(std::uint64_t remote_id) {
  if (!on_refusal_ || (on_refusal_() && held_refusals_.empty())) {
    Refuse(remote_id);
  } else {
    held_refusals_.push_back(remote_id);
  }
}

void Protomux::RefuseHeld(std::size_t count) {
  for (; count > 0 && !held_refusals_.empty(); --count) {
    Refuse(held_refusals_.front());
    held_refusals_.pop_front();
  }
}

std::uint64_t Protomux::TakeLocalId() {
  if (free_.empty()) {
    local_.push_back(nullptr);
    return local_.size();
  }
  const std::uint64_t id = free_.back();
  free_.pop_back();
  return id;
}

void Protomux::Queue(std::uint64_t channel_id, std::uint64_t type, ByteView body) {
  static_assert(kMuxBodyBytesMax + kItemOverheadMax <= kMessageBytesMax);
  WEFT_CHECK(body.size() <= kMuxBodyBytesMax);
  if (batch_.size() + body.size() + kItemOverheadMax > kMessageBytesMax) SealFrame();
  const std::size_t before = batch_.size();
  Writer writer(&batch_);
  if (batch_.empty()) {
    batch_.reserve(std::max(limits_.frame_bytes_target, body.size()) + 4096);
    writer.Uint(0);
    writer.Uint(kBatch);
    writer.Uint(channel_id);
  } else if (channel_id != batch_channel_) {
    writer.Uint(0);
    writer.Uint(channel_id);
  }
  batch_channel_ = channel_id;
  writer.Uint(Writer::UintSize(type) + body.size());
  if (batch_items_++ == 0) first_item_ = batch_.size();
  writer.Uint(type);
  writer.Raw(body);
  const bool was_empty = queued_bytes_ == 0;
  queued_bytes_ += batch_.size() - before;
  if (batch_.size() >= limits_.frame_bytes_target) SealFrame();
  if (was_empty && on_output_) on_output_();
}

void Protomux::SealFrame() {
  if (batch_items_ == 0) return;
  if (batch_items_ == 1 && batch_.size() <= kShortFrameBytes) {
    queued_bytes_ -= batch_.size();
    Bytes frame;
    Writer writer(&frame);
    writer.Uint(batch_channel_);
    writer.Raw(ByteView(batch_).subspan(first_item_));
    queued_bytes_ += frame.size();
    frames_.push_back(std::move(frame));
  } else {
    frames_.push_back(std::move(batch_));
  }
  batch_ = Bytes();
  batch_items_ = 0;
}

std::optional<Bytes> Protomux::TakeFrame() {
  if (frames_.empty()) SealFrame();
  if (frames_.empty()) return std::nullopt;
  Bytes frame = std::move(frames_.front());
  frames_.pop_front();
  queued_bytes_ -= frame.size();
  return frame;
}

Protomux::Channels Protomux::Abandon() {
  Channels channels = std::exchange(channels_, {});
  local_.clear();
  remote_.clear();
  for (const auto& [pair, channel] : channels) {
    channel->closed_ = true;
    const std::shared_ptr<ChannelHandler> handler = std::move(channel->handler_);
    handler->OnClose(*channel, /*refused=*/false);
  }
  return channels;
}

}  // namespace weft
