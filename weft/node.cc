#include "weft/node.h"

#include <algorithm>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/experimental/awaitable_operators.hpp>

#include "absl/strings/str_format.h"
#include "engine/key_layout.h"
#include "engine/open_files.h"
#include "weft/base_forks.h"
#include "weft/convert.h"

namespace weft {
namespace {

using asio::experimental::awaitable_operators::operator||;

constexpr Nanos kJoinTimeout = std::chrono::seconds(10);
constexpr std::uint8_t kPurged = 1;  // of a core that may not be appended to
constexpr Nanos kQuiet = std::chrono::seconds(1);

std::string ShortId(ByteView key) {
  return ToZBase32(key).substr(0, 8);
}

// Of a base whose genesis, which names it, has not come yet.
std::string ProvisionalName(const BaseId& base_id) {
  return "base-" + ShortId(base_id.view());
}

}  // namespace

Node::Node(const NodeHost& host) : host_(host) {}

absl::StatusOr<std::unique_ptr<Node>> Node::Open(const NodeHost& host) {
  std::unique_ptr<Node> node(new Node(host));
  WEFT_ASSIGN_OR_RETURN(node->cores_, Corestore::Open(host.storage, host.random));
  WEFT_ASSIGN_OR_RETURN(node->blocked_, BlockedFeeds::Load(host.storage));
  WEFT_ASSIGN_OR_RETURN(std::vector<BaseRecord> records, LoadBases(host.storage));
  WEFT_RETURN_IF_ERROR(node->JudgeLease(&records));
  node->extensions_ = std::make_unique<ExtensionHub>(
      [raw = node.get()](Session& session, const ExtensionScope& scope) {
        return raw->MayUse(session, scope);
      });
  SwarmOptions options;
  options.executor = host.executor;
  options.clock = host.clock;
  options.random = host.random;
  options.network = host.network;
  options.cores = node.get();
  options.observer = node.get();
  options.workers = host.workers;
  options.on_event = [raw = node.get()](const std::string& line) { raw->Event(line); };
  // Whoever connects, what is stored here must stay within reach.
  options.limits.connections_max = std::min<std::size_t>(
      options.limits.connections_max, OpenFilesForPeers(OpenFilesLimit()));
  WEFT_ASSIGN_OR_RETURN(options.identity, node->PeerKey());
  node->host_.peer_key = options.identity->public_key;
  options.permit = [raw = node.get()](const Session& session, const CoreKey& key) {
    return raw->PermissionOf(session, key);
  };
  options.wanted = [raw = node.get()](const PublicKey& peer) {
    const auto& meshes = raw->meshes_;
    return meshes.empty() ||
           std::any_of(meshes.begin(), meshes.end(), [&peer](const auto& mesh) {
             return mesh.second->IsWanted(peer);
           });
  };
  node->swarm_ = std::make_unique<Swarm>(options);
  for (const BaseRecord& record : records) {
    WEFT_ASSIGN_OR_RETURN(std::unique_ptr<BaseNode> base,
                          BaseNode::Open(&node->host_, node->cores_.get(), record));
    if (node->own_logs_doubted_) base->DoubtOwnLog();
    node->AddBase(std::move(base));
  }
  node->WarnOfIncarnations();
  return node;
}

Node::~Node() {
  alive_.reset();
  for (const auto& [base, mesh] : meshes_) mesh->Stop();
  // The sessions end without calling us: what they would tell is of no use any more.
  on_event_ = nullptr;
  for (auto& [session, exchanges] : exchanges_) {
    for (auto& [base, exchange] : exchanges) exchange->Stop();
  }
  if (swarm_) {
    // Those too that are still shaking hands.
    for (const auto& connection : swarm_->connections()) connection.session->Abandon();
  }
  swarm_.reset();
  changed_->Notify();
}

absl::Status Node::Flush() {
  for (const auto& base : bases_) WEFT_RETURN_IF_ERROR(base->Flush());
  return host_.storage->Flush();
}

BaseNode* Node::AddBase(std::unique_ptr<BaseNode> base) {
  BaseNode* const added = base.get();
  BaseNode::Hooks hooks;
  hooks.prepare = [this, added](std::function<void()> task) {
    asio::co_spawn(
        host_.executor,
        [](Node* self, BaseNode* node, std::function<void()> then) -> Task<void> {
          const absl::Status ready = co_await self->PrepareToWrite(node);
          if (ready.ok()) then();
        }(this, added, std::move(task)),
        asio::detached);
  };
  hooks.forked = [this] {
    if (swarm_) swarm_->PolicyChanged();
  };
  hooks.evidence = [this, added](std::span<const Bytes> proofs) {
    for (const auto& exchange : ExchangesOf(*added)) exchange->TellEvidence(proofs);
  };
  hooks.settled = [this, added](std::span<const FeedChange> changes) {
    OwnLogsSynced();
    Announce(*added, changes);
  };
  hooks.durable = [this, added](std::span<const FeedAck> acks) {
    for (const auto& exchange : ExchangesOf(*added)) exchange->TellDurable(acks);
  };
  hooks.acked = [this] { changed_->Notify(); };
  hooks.peers = [this, added](const FeedExchange& from, const FeedPeers& peers) {
    const auto mesh = meshes_.find(added);
    if (mesh != meshes_.end()) mesh->second->OnPeers(from, peers);
  };
  hooks.wants_changed = [this, added] {
    for (const auto& exchange : ExchangesOf(*added)) exchange->WantsChanged();
  };
  hooks.genesis_known = [this, added] {
    for (const auto& exchange : ExchangesOf(*added)) exchange->GenesisKnown();
    changed_->Notify();
  };
  hooks.event = [this, added](const std::string& what) {
    Event(absl::StrFormat("%s: %s", added->name(), what));
  };
  added->SetHooks(std::move(hooks));
  if (added->name() == ProvisionalName(added->base_id())) {
    added->set_adopt_name(
        [this](const std::string& adopted) { return CheckNewName(adopted).ok(); });
  }
  bases_.push_back(std::move(base));
  for (const auto& session : swarm_->Ready()) StartExchange(*session, *added);
  if (mesh_limits_) StartMeshOf(*added);
  return added;
}

std::uint64_t Node::NextBaseNumber() const {
  return bases_.empty() ? 1 : bases_.back()->record().number + 1;
}

absl::Status Node::CheckNewName(const std::string& name) const {
  const bool control = std::any_of(name.begin(), name.end(), [](char c) {
    return (c >= 0 && c < ' ') || c == 0x7f;
  });
  if (name.empty() || name.size() > kBaseNameBytesMax || control ||
      !IsUtf8(AsBytes(name))) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "base name: it must be UTF-8 of 1 to %d bytes without control characters",
        kBaseNameBytesMax));
  }
  for (const auto& base : bases_) {
    if (base->name() == name) {
      return absl::AlreadyExistsError(
          absl::StrFormat("base %s: the store has one of this name", name));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<BaseNode*> Node::CreateBase(const std::string& name) {
  WEFT_RETURN_IF_ERROR(CheckNewName(name));
  Genesis genesis;
  genesis.salt = RandomSalt(*host_.random);
  genesis.name = name;
  const IdentityKeys keys = MakeIdentity(genesis.salt, *host_.random);
  genesis.founders.push_back(keys.manifest);
  WEFT_RETURN_IF_ERROR(CheckGenesis(genesis));
  BaseRecord record;
  record.number = NextBaseNumber();
  record.name = name;
  record.genesis = EncodeGenesis(genesis);
  record.base_id = BaseIdOf(*record.genesis);
  record.salt = genesis.salt;
  record.identity = keys.id();
  WEFT_RETURN_IF_ERROR(cores_->OpenOwn(keys.manifest, keys.pair).status());
  WEFT_RETURN_IF_ERROR(SaveBase(host_.storage, record));
  WEFT_ASSIGN_OR_RETURN(std::unique_ptr<BaseNode> base,
                        BaseNode::Open(&host_, cores_.get(), record));
  return AddBase(std::move(base));
}

absl::StatusOr<BaseNode*> Node::FindBase(const std::string& name) {
  if (name.empty()) {
    std::vector<BaseNode*> joined;
    std::string names;
    for (const auto& base : bases_) {
      if (base->joining()) continue;
      joined.push_back(base.get());
      names += names.empty() ? base->name() : ", " + base->name();
    }
    if (joined.size() == 1) return joined.front();
    if (joined.empty()) return absl::NotFoundError("the store has no base");
    return absl::InvalidArgumentError(
        absl::StrFormat("the store has several bases (%s): name one", names));
  }
  for (const auto& base : bases_) {
    if (base->name() == name && !base->joining()) return base.get();
  }
  return absl::NotFoundError(
      absl::StrFormat("base %s: the store has none of it", name));
}

Task<absl::Status> Node::FetchGenesis(BaseNode* base,
                                      std::vector<std::string> addresses) {
  const std::weak_ptr<bool> alive = alive_;
  absl::Status last;
  for (const std::string& address : addresses) {
    absl::StatusOr<std::shared_ptr<Session>> session =
        co_await swarm_->Dial(address, kJoinTimeout);
    if (alive.expired()) co_return absl::CancelledError("the store was closed");
    if (!session.ok()) {
      last = session.status();
      continue;
    }
    Line line{address, host_.clock->Steady() + kJoinTimeout, *session};
    const std::shared_ptr<Signal> changed = changed_;
    // Who comes with an invite stays until somebody has let him in.
    const bool invited = base->record().invite_secret.has_value();
    while (!(base->genesis_known() && (!invited || base->is_member())) &&
           host_.clock->Steady() < line.deadline) {
      const bool goes_on = !line.session->closed() || co_await GoesOn(line);
      if (alive.expired()) co_return absl::CancelledError("the store was closed");
      if (!goes_on) break;
      const Exchanges& exchanges = ExchangesOn(*line.session);
      const auto exchange = exchanges.find(base);
      if (exchange != exchanges.end() && exchange->second->refused()) break;
      co_await (changed->Wait() || host_.clock->Sleep(kLookAgain));
      if (alive.expired()) co_return absl::CancelledError("the store was closed");
    }
    swarm_->Release(line.session);
    if (base->genesis_known()) co_return absl::OkStatus();
    last = absl::UnavailableError(
        absl::StrFormat("%s: the peer does not have the base of the link", address));
  }
  co_return last;
}

Task<absl::StatusOr<BaseNode*>> Node::JoinAgain(BaseNode* base, Link link,
                                                std::string connect) {
  if (base->joining() || base->is_member() || !link.invite_secret) {
    co_return absl::AlreadyExistsError(
        absl::StrFormat("base %s: the store follows it already", base->name()));
  }
  const std::weak_ptr<bool> alive = alive_;
  WEFT_CO_RETURN_IF_ERROR(base->TakeInvite(*link.invite_secret));
  std::vector<std::string> addresses = link.addresses;
  if (!connect.empty()) addresses.insert(addresses.begin(), connect);
  if (addresses.empty()) co_return base;
  WEFT_CO_RETURN_IF_ERROR(
      SaveAddresses(host_.storage, base->record().number, addresses));
  const absl::Status met = co_await FetchGenesis(base, std::move(addresses));
  if (alive.expired()) co_return absl::CancelledError("the store was closed");
  // As for who joins for the first time: an address of the link may not answer today.
  if (!met.ok() && !connect.empty()) co_return met;
  co_return base;
}

Task<absl::StatusOr<BaseNode*>> Node::Join(Link link, std::string name,
                                           std::string connect) {
  for (const auto& base : bases_) {
    if (base->base_id() == link.base_id) {
      co_return co_await JoinAgain(base.get(), std::move(link), std::move(connect));
    }
  }
  const std::weak_ptr<bool> alive = alive_;
  if (name.empty()) name = ProvisionalName(link.base_id);
  WEFT_CO_RETURN_IF_ERROR(CheckNewName(name));
  BaseRecord record;
  record.number = NextBaseNumber();
  record.name = name;
  record.base_id = link.base_id;
  record.invite_secret = link.invite_secret;
  std::vector<std::string> addresses = link.addresses;
  if (!connect.empty()) addresses.insert(addresses.begin(), connect);
  if (!link.salt && addresses.empty()) {
    co_return absl::InvalidArgumentError(
        "link: it names neither the base's salt nor an address to ask for it; give "
        "one with --connect");
  }
  // A base that has no identity yet lives only here until a peer gave the genesis.
  if (link.salt) {
    record.salt = *link.salt;
    const IdentityKeys keys = MakeIdentity(*link.salt, *host_.random);
    record.identity = keys.id();
    WEFT_CO_RETURN_IF_ERROR(cores_->OpenOwn(keys.manifest, keys.pair).status());
  }
  WEFT_CO_ASSIGN_OR_RETURN(std::unique_ptr<BaseNode> opened,
                           BaseNode::Open(&host_, cores_.get(), record));
  BaseNode* const base = AddBase(std::move(opened));
  base->set_joining(true);
  const absl::Status fetched = co_await FetchGenesis(base, addresses);
  if (alive.expired()) co_return absl::CancelledError("the store was closed");
  const bool must_meet = !link.salt || !connect.empty();
  // Once the genesis is stored the base stays, whatever failed afterwards.
  if (!base->record().genesis && must_meet) {
    for (auto& [other, exchanges] : exchanges_) {
      const auto exchange = exchanges.extract(base);
      if (!exchange.empty()) exchange.mapped()->Stop();
    }
    if (const auto mesh = meshes_.extract(base); !mesh.empty()) mesh.mapped()->Stop();
    std::erase_if(bases_, [base](const auto& held) { return held.get() == base; });
    if (link.salt) cores_->Purge(record.identity).IgnoreError();
    co_return fetched;
  }
  base->set_joining(false);
  WEFT_CO_RETURN_IF_ERROR(base->Save());
  if (!addresses.empty()) {
    WEFT_CO_RETURN_IF_ERROR(SaveAddresses(host_.storage, record.number, addresses));
  }
  co_return base;
}

absl::StatusOr<std::vector<std::string>> Node::JoinAddresses() const {
  std::vector<std::string> all;
  for (const auto& base : bases_) {
    if (base->joining()) continue;
    WEFT_ASSIGN_OR_RETURN(const std::vector<std::string> addresses,
                          LoadAddresses(host_.storage, base->record().number));
    for (const std::string& address : addresses) {
      if (std::find(all.begin(), all.end(), address) == all.end()) {
        all.push_back(address);
      }
    }
  }
  return all;
}

// --- connections ---

absl::StatusOr<std::shared_ptr<Hypercore>> Node::Find(const DiscoveryKey& key) {
  return cores_->Find(key);
}

std::optional<CoreKey> Node::KeyOf(const DiscoveryKey& key) {
  return cores_->FindKey(key);
}

Download Node::ModeOf(const Hypercore& core) {
  for (const auto& base : bases_) {
    if (base->IsLog(core.key()) && !base->IsLive(core.key())) return Download::Whole();
  }
  return Download::None();
}

bool Node::IsLogOfABase(const CoreKey& key) const {
  return std::any_of(bases_.begin(), bases_.end(), [&key](const auto& base) {
    return base->IsLog(key) || base->record().identity == key;
  });
}

absl::Status Node::CheckNoLogOfABase(const CoreKey& key, const char* verb) const {
  if (!IsLogOfABase(key)) return absl::OkStatus();
  return absl::PermissionDeniedError(absl::StrFormat(
      "core %s: it is the log of a base, which it would be taken from; it cannot be %s",
      ToHex(key.view()), verb));
}

void Node::ForgetCore(const CoreKey& key) {
  for (const auto& connection : swarm_->connections()) connection.session->Forget(key);
}

absl::Status Node::RemoveCore(const CoreKey& key) {
  WEFT_RETURN_IF_ERROR(CheckNoLogOfABase(key, "removed"));
  WEFT_RETURN_IF_ERROR(cores_->Remove(key));
  ForgetCore(key);
  return absl::OkStatus();
}

absl::Status Node::PurgeCore(const CoreKey& key) {
  WEFT_RETURN_IF_ERROR(CheckNoLogOfABase(key, "purged"));
  WEFT_ASSIGN_OR_RETURN(const std::shared_ptr<Hypercore> core, cores_->Open(key));
  ForgetCore(key);
  if (core->writable() && core->length() > 0) {
    // Made again it would begin a second history, which others would see.
    StorageBatch purged;
    purged.Put(Family::kMeta, keys::CopiedCore(key), Bytes{kPurged});
    WEFT_RETURN_IF_ERROR(host_.storage->Commit(purged, Durability::kSynced));
  }
  WEFT_RETURN_IF_ERROR(cores_->Purge(key));
  StorageBatch batch;
  batch.Delete(Family::kMeta, keys::CoreName(key));
  return host_.storage->Commit(batch, Durability::kLogged);
}

absl::Status Node::BlockCore(const CoreKey& key) {
  WEFT_RETURN_IF_ERROR(blocked_->Add(key));
  swarm_->PolicyChanged();
  return absl::OkStatus();
}

absl::Status Node::UnblockCore(const CoreKey& key) {
  WEFT_RETURN_IF_ERROR(blocked_->Remove(key));
  swarm_->PolicyChanged();
  return absl::OkStatus();
}

FeedPermission Node::PermissionOf(const Session& session, const CoreKey& key) const {
  if (blocked_->contains(key)) return {false, false};
  const BaseId* owner = nullptr;
  bool serves = true;
  for (const auto& base : bases_) {
    if (!base->IsLog(key) && base->record().identity != key) continue;
    owner = &base->base_id();
    if (base->MayServeStrangers(key)) continue;
    const Exchanges& exchanges = ExchangesOn(session);
    const auto exchange = exchanges.find(base.get());
    serves = exchange != exchanges.end() && exchange->second->open();
  }
  FeedPermission permission = policy_.Of(session, key, owner);
  permission.upload = permission.upload && serves;
  permission.download = permission.download && host_.storage->Writable().ok();
  return permission;
}

bool Node::AllowFork(const Hypercore& core) {
  return !IsLogOfABase(core.key());
}

void Node::StartExchange(Session& session, BaseNode& base) {
  if (policy_.Closed(base.base_id())) return;
  exchanges_[&session][&base] =
      FeedExchange::Start(&session, &base, [this, base = &base](FeedExchange&) {
        changed_->Notify();
        WatchViews(*base);
      });
}

// Views that differ while nothing moves hide something, which is looked for.
void Node::WatchViews(BaseNode& base) {
  if (!base.genesis_known() || !watched_.insert(&base).second) return;
  base.PostAfter(kQuiet, [this, base = &base] {
    watched_.erase(base);
    bool differ = false;
    for (const auto& exchange : ExchangesOf(*base)) {
      differ = exchange->CompareWhenQuiet() || differ;
    }
    if (differ) WatchViews(*base);
  });
}

void Node::OnReady(Session& session) {
  PeerEvent(session, absl::StrFormat("connected %s", session.peer()));
  for (const auto& base : bases_) StartExchange(session, *base);
  extensions_->Attach(session);
  changed_->Notify();
}

void Node::OnCoreClosed(Session& session, Hypercore& core, bool refused) {
  if (refused) refused_[&session].insert(core.key());
  changed_->Notify();
}

void Node::OnUpgraded(Session&, Hypercore&, std::uint64_t) {
  changed_->Notify();
}

void Node::OnLevel(Session&, Hypercore&) {
  changed_->Notify();
}

void Node::OnWishMet(Session&, Hypercore&) {
  changed_->Notify();
}

void Node::OnForkRefused(Session& session, Hypercore& core, std::uint64_t fork) {
  PeerEvent(session,
            absl::StrFormat("%s: core %s has fork %d, refused: a writer's log is never "
                            "rewritten",
                            session.peer(), ShortId(core.key().view()), fork));
  DoubtLog(core.key());
}

void Node::OnFault(Session& session, Hypercore& core, const absl::Status& why) {
  for (const auto& base : bases_) {
    if (base->own_log() && base->own_log()->key() == core.key()) base->RetireOwnLog();
  }
  PeerEvent(session,
            absl::StrFormat("%s: core %s: %s", session.peer(),
                            ShortId(core.key().view()), std::string(why.message())));
  DoubtLog(core.key());
}

void Node::OnUnreadable(Session& session, Hypercore& core, const absl::Status& why) {
  PeerEvent(session,
            absl::StrFormat("core %s cannot be stored: %s", ShortId(core.key().view()),
                            std::string(why.message())));
}

// What does not fit our copy of a log may be of another branch of it.
void Node::DoubtLog(const CoreKey& key) {
  for (const auto& base : bases_) {
    if (!base->IsLog(key)) continue;
    base->Post([node = base.get(), key] { node->forks().Doubt(key); });
  }
}

void Node::OnClosed(Session& session, const absl::Status& why) {
  extensions_->Detach(session);
  exchanges_.erase(&session);
  mesh_sessions_.erase(&session);
  refused_.erase(&session);
  std::string line = "disconnected " + session.peer();
  if (!why.ok()) {
    std::string reason(why.message());
    // Most name the peer themselves.
    if (reason.starts_with(session.peer())) {
      const std::size_t end = reason.find_first_not_of(": ", session.peer().size());
      reason.erase(0, std::min(end, reason.size()));
    }
    line += ": " + reason;
  }
  PeerEvent(session, line);
  changed_->Notify();
}

std::vector<std::shared_ptr<FeedExchange>> Node::ExchangesOf(BaseNode& base) const {
  std::vector<std::shared_ptr<FeedExchange>> found;
  for (const Swarm::Connection& connection : swarm_->connections()) {
    const auto exchanges = exchanges_.find(connection.session.get());
    if (exchanges == exchanges_.end()) continue;
    const auto exchange = exchanges->second.find(&base);
    if (exchange != exchanges->second.end()) found.push_back(exchange->second);
  }
  return found;
}

BaseStatus Node::StatusOf(BaseNode& base) const {
  BaseStatus status = base.Status();
  std::map<CoreKey, std::uint64_t> elsewhere;
  for (const auto& exchange : ExchangesOf(base)) {
    for (const auto& [core, feed] : exchange->feeds()) {
      if (feed.settled == kFeedUnsaid || feed.settled <= base.Feeds().settled(core) ||
          !base.IsLog(core)) {
        continue;
      }
      std::uint64_t& most = elsewhere[core];
      most = std::max(most, feed.settled);
    }
  }
  for (const auto& [core, length] : elsewhere) {
    status.behind.push_back(
        absl::StrFormat("writer %s: %d blocks are here, a connected peer has %d",
                        IdText(core), base.Feeds().settled(core), length));
  }
  return status;
}

void Node::Announce(BaseNode& base, std::span<const FeedChange> changes) {
  const std::optional<FeedDigest> digest = base.Digest();
  for (const auto& exchange : ExchangesOf(base)) {
    exchange->TellChanges(changes);
    if (digest) exchange->TellDigest(*digest);
  }
  changed_->Notify();
}

void Node::PeerEvent(Session& session, const std::string& line) {
  if (session.MayLog(line.size())) Event(line);
}

void Node::Event(const std::string& line) {
  const EventCallback callback = on_event_;  // it may replace itself
  if (callback) callback(line);
}

const Node::Exchanges& Node::ExchangesOn(const Session& session) const {
  static const Exchanges none;
  const auto found = exchanges_.find(const_cast<Session*>(&session));
  return found == exchanges_.end() ? none : found->second;
}

bool Node::IsRefused(const Session& session, const CoreKey& core) const {
  const auto found = refused_.find(const_cast<Session*>(&session));
  return found != refused_.end() && found->second.contains(core);
}

bool Node::IsLevel(const Session& session) const {
  bool any = false;
  for (const auto& [base, exchange] : ExchangesOn(session)) {
    if (exchange->refused()) continue;
    if (!exchange->IsLevel() || base->busy()) return false;
    if (base->AwaitsOwnFrom(session.remote_static_key())) return false;
    any = true;
  }
  return any;
}

Task<absl::Status> Node::WaitAcked(BaseNode* base, CoreKey writer, std::uint64_t length,
                                   std::size_t peers, Nanos timeout) {
  const Nanos deadline = host_.clock->Steady() + timeout;
  const std::weak_ptr<bool> alive = alive_;
  const std::shared_ptr<Signal> changed = changed_;
  std::vector<std::pair<PublicKey, std::uint64_t>> live;
  for (const auto& exchange : ExchangesOf(*base)) {
    live.emplace_back(exchange->session().remote_static_key(),
                      exchange->DurableThere(writer));
  }
  base->KeepAcks(writer, live);
  for (;;) {
    const std::size_t holders = base->acks().Holders(writer, length);
    if (holders >= peers) co_return absl::OkStatus();
    const Nanos now = host_.clock->Steady();
    if (now >= deadline) {
      co_return absl::DeadlineExceededError(absl::StrFormat(
          "base %s: %d of %d peers have said that they hold %d blocks of writer %s",
          base->name(), holders, peers, length, ShortId(writer.view())));
    }
    co_await (changed->Wait() || host_.clock->Sleep(deadline - now));
    if (alive.expired()) co_return absl::CancelledError("the store was closed");
  }
}

}  // namespace weft
