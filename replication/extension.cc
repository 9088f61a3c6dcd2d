#include "replication/extension.h"

#include "engine/codec.h"
#include "engine/status.h"

namespace weft {
namespace {

constexpr std::string_view kProtocol = "weft/ext";
constexpr std::uint64_t kVersion = 1;
constexpr std::uint64_t kNameType = 0;
constexpr std::uint64_t kMessageType = 1;
constexpr std::string_view kSignedPrefix = "weft ext 1";

absl::Status Malformed() {
  return absl::InvalidArgumentError("extension: a malformed message");
}

void WriteScope(Writer& writer, const ExtensionScope& scope) {
  writer.U8(static_cast<std::uint8_t>(scope.kind));
  if (scope.kind != ExtensionScope::Kind::kConnection) writer.Raw(scope.id.view());
}

Bytes Handshake() {
  Bytes bytes;
  Writer(&bytes).Uint(kVersion);
  return bytes;
}

}  // namespace

Bytes EncodeExtensionName(const ExtensionName& name) {
  Bytes body;
  Writer writer(&body);
  writer.Uint(name.number);
  WriteScope(writer, name.scope);
  writer.Buffer(AsBytes(name.name));
  return body;
}

absl::StatusOr<ExtensionName> DecodeExtensionName(ByteView body) {
  Reader reader(body);
  ExtensionName name;
  name.number = reader.Uint();
  const std::uint8_t kind = reader.U8();
  if (kind > static_cast<std::uint8_t>(ExtensionScope::Kind::kBase)) return Malformed();
  name.scope.kind = static_cast<ExtensionScope::Kind>(kind);
  if (name.scope.kind == ExtensionScope::Kind::kBase) {
    name.scope.id = reader.Fixed<DiscoveryKey>();
  }
  name.name = std::string(AsText(reader.Buffer()));
  if (!reader.ok() || !reader.done() || name.name.empty() ||
      name.name.size() > kExtensionNameBytesMax) {
    return Malformed();
  }
  return name;
}

Bytes EncodeExtensionMessage(const ExtensionMessageBody& message) {
  Bytes body;
  Writer writer(&body);
  writer.Uint(message.number);
  writer.U8(message.author ? 1 : 0);
  if (message.author) {
    writer.Buffer(message.author->manifest);
    writer.Raw(message.author->signature.view());
  }
  writer.Raw(message.payload);
  return body;
}

absl::StatusOr<ExtensionMessageBody> DecodeExtensionMessage(ByteView body) {
  Reader reader(body);
  ExtensionMessageBody message;
  message.number = reader.Uint();
  const std::uint8_t has_author = reader.U8();
  if (has_author > 1) return Malformed();
  if (has_author == 1) {
    ExtensionAuthor author;
    author.manifest = ToBytes(reader.Buffer());
    author.signature = reader.Fixed<Signature>();
    if (author.manifest.size() > kExtensionManifestBytesMax) return Malformed();
    message.author = author;
  }
  if (!reader.ok() || reader.remaining() > kExtensionPayloadBytesMax)
    return Malformed();
  message.payload = ToBytes(reader.Rest());
  return message;
}

Bytes ExtensionSignable(const Hash64& handshake_hash, bool from_initiator,
                        const ExtensionScope& scope, std::string_view name,
                        ByteView payload) {
  Bytes bytes;
  Writer writer(&bytes);
  writer.Raw(AsBytes(kSignedPrefix));
  writer.Raw(handshake_hash.view());
  writer.U8(from_initiator ? 1 : 0);
  WriteScope(writer, scope);
  writer.Buffer(AsBytes(name));
  writer.Buffer(payload);
  return bytes;
}

// The channel of one connection.
class ExtensionHub::Link final : public ChannelHandler,
                                 public std::enable_shared_from_this<Link> {
 public:
  Link(ExtensionHub* hub, Session* session) : hub_(hub), session_(session) {}

  void Listen() {
    const std::weak_ptr<Link> weak = weak_from_this();
    session_->mux().Register(kProtocol, [weak](ByteView id, ByteView) {
      const std::shared_ptr<Link> link = weak.lock();
      return link && id.empty() && link->Open();
    });
  }
  // The hub or the session goes.
  void Forget() {
    hub_ = nullptr;
    channel_ = nullptr;
  }

  bool Send(const ExtensionScope& scope, std::string_view name, ByteView payload,
            const Sign& sign) {
    if (refused_ || hub_ == nullptr || !Open()) return false;
    const std::pair<ExtensionScope, std::string> key{scope, std::string(name)};
    auto number = ours_.find(key);
    if (number == ours_.end()) {
      if (ours_.size() >= kExtensionNamesMax) return false;
      number = ours_.emplace(key, ours_.size()).first;
      channel_->Send(kNameType,
                     EncodeExtensionName({number->second, scope, key.second}));
    }
    ExtensionMessageBody message;
    message.number = number->second;
    message.payload = ToBytes(payload);
    if (sign) {
      message.author =
          sign(ExtensionSignable(session_->mux().handshake_hash(),
                                 session_->is_initiator(), scope, name, payload));
    }
    channel_->Send(kMessageType, EncodeExtensionMessage(message));
    return true;
  }

  absl::Status OnOpen(MuxChannel& channel, ByteView handshake) override {
    Reader reader(handshake);
    if (reader.Uint() == kVersion && reader.ok()) return absl::OkStatus();
    // Of another version: only this channel ends.
    refused_ = true;
    channel_ = nullptr;
    channel.Close();
    return absl::OkStatus();
  }

  absl::Status OnMessage(MuxChannel&, std::uint64_t type, ByteView body) override {
    if (hub_ == nullptr) return absl::OkStatus();
    if (type == kNameType) {
      WEFT_ASSIGN_OR_RETURN(ExtensionName name, DecodeExtensionName(body));
      if (name.number != theirs_.size() || theirs_.size() >= kExtensionNamesMax) {
        return Malformed();
      }
      theirs_.push_back(std::move(name));
      return absl::OkStatus();
    }
    if (type != kMessageType) return absl::OkStatus();
    WEFT_ASSIGN_OR_RETURN(const ExtensionMessageBody message,
                          DecodeExtensionMessage(body));
    if (message.number >= theirs_.size()) return Malformed();
    const ExtensionName name = theirs_[message.number];
    hub_->Deliver({session_, name.scope, name.name, message.payload, message.author});
    return absl::OkStatus();
  }

  void OnClose(MuxChannel&, bool refused) override {
    channel_ = nullptr;
    refused_ = refused_ || refused;
    ours_.clear();
    theirs_.clear();
  }

 private:
  bool Open() {
    if (channel_ != nullptr) return true;
    const auto opened =
        session_->mux().Open(kProtocol, {}, Handshake(), shared_from_this());
    if (!opened.ok()) return false;
    channel_ = *opened;
    return true;
  }

  ExtensionHub* hub_;  // null once it or the session is gone
  Session* session_;
  MuxChannel* channel_ = nullptr;
  bool refused_ = false;
  std::map<std::pair<ExtensionScope, std::string>, std::uint64_t> ours_;
  std::vector<ExtensionName> theirs_;  // by number
};

ExtensionHub::ExtensionHub(Gate gate) : gate_(std::move(gate)) {}

ExtensionHub::~ExtensionHub() {
  for (const auto& [session, link] : links_) link->Forget();
}

std::uint64_t ExtensionHub::Add(const ExtensionScope& scope, std::string name,
                                Handler handler) {
  listeners_.emplace(++last_id_, Listener{scope, std::move(name), std::move(handler)});
  return last_id_;
}

void ExtensionHub::Remove(std::uint64_t id) {
  listeners_.erase(id);
}

void ExtensionHub::Attach(Session& session) {
  const auto link = std::make_shared<Link>(this, &session);
  links_.insert_or_assign(&session, link);
  link->Listen();
}

void ExtensionHub::Detach(Session& session) {
  const auto found = links_.find(&session);
  if (found == links_.end()) return;
  found->second->Forget();
  links_.erase(found);
}

bool ExtensionHub::Send(Session& session, const ExtensionScope& scope,
                        std::string_view name, ByteView payload, const Sign& sign) {
  const auto found = links_.find(&session);
  if (found == links_.end() || !gate_(session, scope)) return false;
  const std::shared_ptr<Link> link = found->second;
  return link->Send(scope, name, payload, sign);
}

void ExtensionHub::Deliver(const Arrival& arrival) {
  std::vector<std::uint64_t> hearers;
  for (const auto& [id, listener] : listeners_) {
    if (listener.scope == arrival.scope &&
        (listener.name.empty() || listener.name == arrival.name)) {
      hearers.push_back(id);
    }
  }
  if (hearers.empty() || !gate_(*arrival.session, arrival.scope)) {
    ++ignored_;
    return;
  }
  // A handler may add and remove others, and itself.
  for (const std::uint64_t id : hearers) {
    const auto listener = listeners_.find(id);
    if (listener == listeners_.end()) continue;
    const Handler handler = listener->second.handler;
    handler(arrival);
  }
}

}  // namespace weft
