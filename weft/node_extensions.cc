// Node: extension messages, and who may say what to whom.

#include "absl/strings/str_format.h"
#include "weft/convert.h"
#include "weft/node.h"

namespace weft {
namespace {

using Kind = ExtensionScope::Kind;

// What a wrong signature counts against a peer.
constexpr int kForgedBlame = 5;

}  // namespace

BaseNode* Node::BaseOf(const DiscoveryKey& id) const {
  for (const auto& base : bases_) {
    if (DiscoveryKeyOf(base->base_id()) == id) return base.get();
  }
  return nullptr;
}

absl::StatusOr<ExtensionScope> Node::ScopeOf(const ExtensionTarget& target) {
  if (!target.base.empty() && !target.core.empty()) {
    return absl::InvalidArgumentError("an extension is of a base or of a core");
  }
  if (!target.base.empty()) {
    WEFT_ASSIGN_OR_RETURN(BaseNode* const base, FindBase(target.base));
    return ExtensionScope{Kind::kBase, DiscoveryKeyOf(base->base_id())};
  }
  if (target.core.empty()) return ExtensionScope{};
  WEFT_ASSIGN_OR_RETURN(const CoreKey key, ParseCoreKey(target.core));
  WEFT_RETURN_IF_ERROR(cores_->Open(key).status());
  return ExtensionScope{Kind::kCore, DiscoveryKeyOf(key)};
}

bool Node::MayUse(Session& session, const ExtensionScope& scope) const {
  if (scope.kind != Kind::kBase) return true;
  for (const auto& [base, exchange] : ExchangesOn(session)) {
    if (DiscoveryKeyOf(base->base_id()) == scope.id) return exchange->open();
  }
  return false;
}

void Node::OnExtension(Session& session, Hypercore& core, std::string_view name,
                       ByteView payload) {
  ExtensionHub::Arrival arrival;
  arrival.session = &session;
  arrival.scope = {Kind::kCore, core.discovery_key()};
  arrival.name = name;
  arrival.payload = payload;
  extensions_->Deliver(arrival);
}

absl::StatusOr<std::optional<CoreKey>> Node::AuthorOf(
    const ExtensionHub::Arrival& arrival) {
  const BaseNode* const base = BaseOf(arrival.scope.id);
  if (!arrival.author || base == nullptr) return std::optional<CoreKey>();
  const auto manifest = DecodeManifest(arrival.author->manifest);
  if (!manifest.ok() || manifest->signers.empty()) {
    return absl::DataLossError("an extension message has no manifest of its author");
  }
  const CoreKey identity = weft::KeyOf(*manifest);
  if (!base->IsLog(identity)) return std::optional<CoreKey>();
  const Bytes signable = ExtensionSignable(
      arrival.session->mux().handshake_hash(), !arrival.session->is_initiator(),
      arrival.scope, arrival.name, arrival.payload);
  if (!Verify(manifest->signers[0].public_key, signable, arrival.author->signature)) {
    return absl::DataLossError("an extension message has a wrong signature");
  }
  return std::optional<CoreKey>(identity);
}

std::optional<ExtensionMessage> Node::MessageOf(const ExtensionHub::Arrival& arrival) {
  ExtensionMessage message;
  message.peer = arrival.session->peer();
  message.name = std::string(arrival.name);
  message.payload = std::string(AsText(arrival.payload));
  const auto author = AuthorOf(arrival);
  if (!author.ok()) {
    swarm_->Blame(*arrival.session, kForgedBlame);
    return std::nullopt;
  }
  if (*author) message.author = ToZBase32((*author)->view());
  return message;
}

absl::StatusOr<std::size_t> Node::SendExtension(const ExtensionTarget& target,
                                                const std::string& name,
                                                const std::string& payload, bool sign) {
  if (name.empty() || name.size() > kExtensionNameBytesMax) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "extension: its name has 1 to %d bytes", kExtensionNameBytesMax));
  }
  if (payload.size() > kExtensionPayloadBytesMax) {
    return absl::InvalidArgumentError(
        absl::StrFormat("extension %s: a payload of %d bytes, over the limit of %d",
                        name, payload.size(), kExtensionPayloadBytesMax));
  }
  WEFT_ASSIGN_OR_RETURN(const ExtensionScope scope, ScopeOf(target));
  if (sign && scope.kind != Kind::kBase) {
    return absl::InvalidArgumentError(
        "extension: only a base's message can be signed, by our identity in it");
  }
  ExtensionHub::Sign signer;
  if (sign) {
    const CoreKey identity = BaseOf(scope.id)->record().identity;
    WEFT_ASSIGN_OR_RETURN(const auto log, cores_->Open(identity));
    if (!log->manifest() || !log->writable()) {
      return absl::PermissionDeniedError("extension: our identity cannot sign");
    }
    const Bytes manifest = EncodeManifest(*log->manifest());
    signer = [this, identity,
              manifest](ByteView signable) -> std::optional<ExtensionAuthor> {
      const auto signature = cores_->SignWith(identity, signable);
      if (!signature.ok()) return std::nullopt;
      return ExtensionAuthor{manifest, *signature};
    };
  }
  std::size_t reached = 0;
  for (const auto& session : swarm_->Ready()) {
    if (scope.kind != Kind::kCore) {
      reached += extensions_->Send(*session, scope, name, AsBytes(payload), signer);
      continue;
    }
    WEFT_ASSIGN_OR_RETURN(const std::shared_ptr<Hypercore> core,
                          cores_->Find(scope.id));
    if (!session->Remote(core->key())) continue;
    session->SendExtension(core->key(), name, AsBytes(payload));
    ++reached;
  }
  return reached;
}

}  // namespace weft
