#include "weft/store.h"

#include <map>

#include "absl/strings/str_format.h"
#include "engine/key_layout.h"
#include "weft/convert.h"
#include "weft/core_read.h"
#include "weft/store_impl.h"

namespace weft {
namespace {

constexpr std::size_t kCoreNameBytesMax = 1024;

absl::Status CheckPeerAddress(std::string_view address) {
  if (IsPeerAddress(address)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrFormat(
      "%s: not an address, which is host:port or unix:PATH", std::string(address)));
}

CoreStatus StatusOf(const Hypercore& core) {
  CoreStatus status;
  status.key = ToHex(core.key().view());
  status.id = ToZBase32(core.key().view());
  status.discovery_key = ToHex(core.discovery_key().view());
  status.length = core.length();
  status.fork = core.fork();
  status.byte_length = core.byte_length();
  status.have = core.held_blocks();
  status.writable = core.writable();
  return status;
}

// Of those that were made by one. A row that cannot be read names nothing.
std::map<CoreKey, std::string> NamesOfCores(Storage& storage) {
  std::map<CoreKey, std::string> names;
  const auto rows = storage.Scan(Family::kMeta, keys::CoreNames());
  for (; rows->valid(); rows->Next()) {
    if (const auto core = keys::CoreOfName(rows->key())) {
      names.emplace(*core, AsText(rows->value()));
    }
  }
  return names;
}

absl::StatusOr<CoreReadRequest> ReadRequest(std::string_view key,
                                            const CoreReadOptions& options) {
  CoreReadRequest request;
  WEFT_ASSIGN_OR_RETURN(request.key, ParseCoreKey(key));
  if (!options.connect.empty()) {
    WEFT_RETURN_IF_ERROR(CheckPeerAddress(options.connect));
  }
  request.connect = options.connect;
  request.timeout = ToNanos(options.timeout);
  if (!options.encryption_key.empty()) {
    const std::optional<Bytes> bytes = FromHex(options.encryption_key);
    if (bytes) request.encryption_key = Hash32::From(*bytes);
    if (!request.encryption_key) {
      return absl::InvalidArgumentError("encryption key: it must be 64 hex digits");
    }
  }
  return request;
}

// What is held is read from a callback of the store too.
absl::StatusOr<CoreReadResult> ReadPlainCore(StoreImpl& impl,
                                             const CoreReadRequest& request) {
  if (!request.connect.empty()) return impl.RunTask(ReadCore(&impl.node(), request));
  return impl.Run([&] { return ReadHeldCore(impl.node().cores(), request); });
}

}  // namespace

absl::StatusOr<Store> Store::Open(std::string_view path, const StoreOptions& options) {
  WEFT_ASSIGN_OR_RETURN(std::shared_ptr<StoreImpl> impl,
                        StoreImpl::Open(path, options));
  return Store(std::move(impl));
}

std::string Store::path() const {
  return impl_->path();
}

absl::Status Store::Writable() const {
  return impl_->node().host().storage->Writable();
}

std::string Store::notice() const {
  return impl_->node().notice();
}

absl::StatusOr<Base> Store::CreateBase(const BaseOptions& options) {
  return impl_->RunWriting([&]() -> absl::StatusOr<Base> {
    WEFT_ASSIGN_OR_RETURN(BaseNode* const base, impl_->node().CreateBase(options.name));
    impl_->WatchBase(base);
    return Base(std::make_shared<BaseImpl>(impl_, base));
  });
}

absl::StatusOr<Base> Store::Join(std::string_view link, const JoinOptions& options) {
  WEFT_ASSIGN_OR_RETURN(const Link parsed, ParseLink(link));
  WEFT_ASSIGN_OR_RETURN(
      BaseNode* const base,
      impl_->RunTask(impl_->node().Join(parsed, options.name, options.connect)));
  return impl_->Run([&]() -> absl::StatusOr<Base> {
    impl_->WatchBase(base);
    return Base(std::make_shared<BaseImpl>(impl_, base));
  });
}

absl::StatusOr<Base> Store::OpenBase(std::string_view name) {
  return impl_->Run([&]() -> absl::StatusOr<Base> {
    WEFT_ASSIGN_OR_RETURN(BaseNode* const base,
                          impl_->node().FindBase(std::string(name)));
    return Base(std::make_shared<BaseImpl>(impl_, base));
  });
}

std::vector<std::string> Store::Bases() const {
  return impl_->Run([&] {
    std::vector<std::string> names;
    for (const auto& base : impl_->node().bases()) {
      if (!base->joining()) names.push_back(base->name());
    }
    return names;
  });
}

absl::StatusOr<std::string> Store::Listen(std::string_view address) {
  return impl_->Run([&] {
    impl_->node().StartMesh();
    return impl_->node().Listen(std::string(address));
  });
}

absl::Status Store::Connect(std::string_view address) {
  WEFT_RETURN_IF_ERROR(CheckPeerAddress(address));
  return impl_->Run([&] {
    impl_->node().StartMesh();
    impl_->node().swarm().Keep(std::string(address));
    return absl::OkStatus();
  });
}

absl::StatusOr<std::vector<std::string>> Store::JoinAddresses() const {
  return impl_->Run([&] { return impl_->node().JoinAddresses(); });
}

absl::StatusOr<SyncResult> Store::Sync(std::string_view address,
                                       std::chrono::milliseconds timeout,
                                       const ProgressCallback& progress,
                                       std::function<bool()> cancelled) {
  WEFT_RETURN_IF_ERROR(CheckPeerAddress(address));
  Node::SyncRequest request;
  request.timeout = ToNanos(timeout);
  request.cancelled = std::move(cancelled);
  return impl_->RunTelling<absl::StatusOr<SyncResult>>(
      [&](ProgressCallback tell) {
        request.progress = std::move(tell);
        return impl_->node().Sync(std::string(address), request);
      },
      progress);
}

absl::StatusOr<SyncResult> Store::SyncOver(const ByteStream& stream,
                                           std::chrono::milliseconds timeout,
                                           const ProgressCallback& progress,
                                           std::function<bool()> cancelled) {
  auto wire = impl_->Run(
      [&] { return WireOf(impl_->executor(), stream.in, stream.out, stream.name); });
  if (!wire.ok()) return wire.status();
  Node::SyncRequest request;
  request.timeout = ToNanos(timeout);
  request.cancelled = std::move(cancelled);
  return impl_->RunTelling<absl::StatusOr<SyncResult>>(
      [&](ProgressCallback tell) {
        request.progress = std::move(tell);
        return impl_->node().SyncOver(*std::move(wire), stream.dialled, request);
      },
      progress);
}

std::vector<PeerStatus> Store::Peers() const {
  return impl_->Run([&] {
    std::vector<PeerStatus> peers;
    for (const Swarm::Connection& connection : impl_->node().swarm().connections()) {
      peers.push_back({connection.session->peer(), connection.incoming,
                       connection.session->bytes_received(),
                       connection.session->bytes_sent()});
    }
    return peers;
  });
}

void Store::OnEvent(EventCallback callback) {
  if (callback) callback = impl_->Later<std::string>(std::move(callback));
  impl_->Run([&] {
    impl_->node().OnEvent(std::move(callback));
    return true;
  });
}

absl::StatusOr<std::shared_ptr<void>> Store::OnExtension(
    const ExtensionTarget& target, std::string_view name,
    std::function<void(const ExtensionMessage&)> callback) {
  return impl_->Run([&]() -> absl::StatusOr<std::shared_ptr<void>> {
    Node* const node = &impl_->node();
    WEFT_ASSIGN_OR_RETURN(const ExtensionScope scope, node->ScopeOf(target));
    const auto deliver = [node, later = impl_->Later<ExtensionMessage>(callback)](
                             const ExtensionHub::Arrival& arrival) {
      if (const auto message = node->MessageOf(arrival)) later(*message);
    };
    const std::uint64_t id = node->extensions().Add(scope, std::string(name), deliver);
    const std::weak_ptr<StoreImpl> weak = impl_;
    return std::shared_ptr<void>(nullptr, [weak, id](void*) {
      const std::shared_ptr<StoreImpl> impl = weak.lock();
      if (!impl) return;
      impl->Run([&] {
        impl->node().extensions().Remove(id);
        return true;
      });
    });
  });
}

absl::StatusOr<std::size_t> Store::SendExtension(const ExtensionTarget& target,
                                                 std::string_view name,
                                                 std::string_view payload, bool sign) {
  return impl_->Run([&] {
    return impl_->node().SendExtension(target, std::string(name), std::string(payload),
                                       sign);
  });
}

absl::StatusOr<CoreStatus> Store::CreateCore(std::string_view name) {
  if (name.size() > kCoreNameBytesMax) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "the name of a core has %d bytes; at most %d", name.size(), kCoreNameBytesMax));
  }
  return impl_->RunWriting([&]() -> absl::StatusOr<CoreStatus> {
    WEFT_ASSIGN_OR_RETURN(const std::shared_ptr<Hypercore> core,
                          impl_->node().cores().OpenNamed(name));
    Storage* const storage = impl_->node().host().storage;
    const Bytes row = keys::CoreName(core->key());
    WEFT_ASSIGN_OR_RETURN(const auto known, storage->Get(Family::kMeta, row));
    if (!known) {
      StorageBatch batch;
      batch.Put(Family::kMeta, row, ToBytes(name));
      WEFT_RETURN_IF_ERROR(storage->Commit(batch, Durability::kSynced));
    }
    CoreStatus status = StatusOf(*core);
    status.name = name;
    return status;
  });
}

absl::StatusOr<std::uint64_t> Store::AppendToCore(
    std::string_view key, const std::vector<std::string>& blocks) {
  WEFT_ASSIGN_OR_RETURN(const CoreKey parsed, ParseCoreKey(key));
  std::vector<ByteView> views;
  views.reserve(blocks.size());
  for (const std::string& block : blocks) views.push_back(AsBytes(block));
  return impl_->RunWriting([&]() -> absl::StatusOr<std::uint64_t> {
    WEFT_ASSIGN_OR_RETURN(const std::shared_ptr<Hypercore> core,
                          impl_->node().cores().Open(parsed));
    if (impl_->node().IsLogOfABase(parsed)) {
      return absl::PermissionDeniedError(absl::StrFormat(
          "core %s: it is the log of a base, which the base alone writes",
          std::string(key)));
    }
    return impl_->node().AppendToCore(core.get(), views);
  });
}

absl::StatusOr<std::string> Store::GetFromCore(std::string_view key,
                                               std::uint64_t block_index,
                                               const CoreReadOptions& options) const {
  WEFT_ASSIGN_OR_RETURN(CoreReadRequest request, ReadRequest(key, options));
  request.block_index = block_index;
  WEFT_ASSIGN_OR_RETURN(const CoreReadResult result, ReadPlainCore(*impl_, request));
  return std::string(AsText(result.block));
}

absl::StatusOr<CoreByte> Store::SeekInCore(std::string_view key,
                                           std::uint64_t byte_offset,
                                           const CoreReadOptions& options) const {
  WEFT_ASSIGN_OR_RETURN(CoreReadRequest request, ReadRequest(key, options));
  request.byte_offset = byte_offset;
  WEFT_ASSIGN_OR_RETURN(const CoreReadResult result, ReadPlainCore(*impl_, request));
  return CoreByte{result.block_index, result.offset, std::string(AsText(result.block))};
}

absl::StatusOr<CoreStatus> Store::CoreInfo(std::string_view key) const {
  WEFT_ASSIGN_OR_RETURN(const CoreKey parsed, ParseCoreKey(key));
  return impl_->Run([&]() -> absl::StatusOr<CoreStatus> {
    WEFT_ASSIGN_OR_RETURN(const std::shared_ptr<Hypercore> core,
                          impl_->node().cores().Open(parsed));
    CoreStatus status = StatusOf(*core);
    WEFT_ASSIGN_OR_RETURN(const auto name, impl_->node().host().storage->Get(
                                               Family::kMeta, keys::CoreName(parsed)));
    if (name) status.name = AsText(*name);
    status.removed = impl_->node().cores().IsRemoved(core->discovery_key());
    return status;
  });
}

std::vector<CoreStatus> Store::Cores() const {
  return impl_->Run([&] {
    const std::map<CoreKey, std::string> names =
        NamesOfCores(*impl_->node().host().storage);
    std::vector<CoreStatus> cores;
    for (const weft::CoreInfo& info : impl_->node().cores().List()) {
      CoreStatus status;
      status.key = ToHex(info.key.view());
      status.id = ToZBase32(info.key.view());
      status.discovery_key = ToHex(info.discovery_key.view());
      status.length = info.length;
      status.fork = info.fork;
      status.byte_length = info.byte_length;
      status.have = info.contiguous_length;
      status.writable = info.writable;
      status.removed = info.removed;
      const auto name = names.find(info.key);
      if (name != names.end()) status.name = name->second;
      cores.push_back(std::move(status));
    }
    return cores;
  });
}

absl::Status Store::RemoveCore(std::string_view key) {
  WEFT_ASSIGN_OR_RETURN(const CoreKey parsed, ParseCoreKey(key));
  return impl_->RunWriting([&] { return impl_->node().RemoveCore(parsed); });
}

absl::Status Store::PurgeCore(std::string_view key) {
  WEFT_ASSIGN_OR_RETURN(const CoreKey parsed, ParseCoreKey(key));
  WEFT_RETURN_IF_ERROR(
      impl_->RunWriting([&] { return impl_->node().PurgeCore(parsed); }));
  // Seconds of work for a large core, and none of the strand's.
  return impl_->node().host().storage->Reclaim();
}

absl::Status Store::BlockCore(std::string_view key) {
  WEFT_ASSIGN_OR_RETURN(const CoreKey parsed, ParseCoreKey(key));
  return impl_->RunWriting([&] { return impl_->node().BlockCore(parsed); });
}

absl::Status Store::AdoptCore(std::string_view key) {
  WEFT_ASSIGN_OR_RETURN(const CoreKey parsed, ParseCoreKey(key));
  return impl_->RunWriting([&] { return impl_->node().AdoptCore(parsed); });
}

absl::Status Store::UnblockCore(std::string_view key) {
  WEFT_ASSIGN_OR_RETURN(const CoreKey parsed, ParseCoreKey(key));
  return impl_->RunWriting([&] { return impl_->node().UnblockCore(parsed); });
}

std::vector<std::string> Store::BlockedCores() const {
  return impl_->Run([&] {
    std::vector<std::string> keys;
    for (const CoreKey& key : impl_->node().blocked())
      keys.push_back(ToHex(key.view()));
    return keys;
  });
}

absl::StatusOr<CoreStatus> Store::CloneCore(std::string_view key,
                                            std::string_view address,
                                            const CloneOptions& options) {
  WEFT_ASSIGN_OR_RETURN(const CoreKey parsed, ParseCoreKey(key));
  WEFT_RETURN_IF_ERROR(CheckPeerAddress(address));
  Node::CloneRequest request;
  request.key = parsed;
  if (options.blocks) request.blocks = {options.blocks->first, options.blocks->second};
  request.timeout = ToNanos(options.timeout);
  request.live_until = options.live_until;
  WEFT_RETURN_IF_ERROR(impl_->RunTelling<absl::Status>(
      [&](ProgressCallback tell) {
        request.progress = std::move(tell);
        return impl_->node().Clone(std::string(address), request);
      },
      options.progress));
  return CoreInfo(key);
}

}  // namespace weft
