#include "weft/base_node.h"

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/post.hpp>

#include "absl/strings/str_format.h"
#include "engine/check.h"
#include "weft/base_forks.h"
#include "weft/base_people.h"
#include "weft/branch_store.h"
#include "weft/convert.h"

namespace weft {
namespace {

// What arrives in quick succession is synced and told together.
constexpr Nanos kSettleDelay = std::chrono::milliseconds(2);
// Settling takes no more than a fifth of the strand.
constexpr int kSettlePause = 4;
// Acks that a crash loses are told again.
constexpr Nanos kSaveAcksDelay = std::chrono::seconds(1);

bool IsZero(const CoreKey& key) {
  return key == CoreKey{};
}

std::string EventLine(const AuthEvent& event) {
  const char* what = "pending";
  switch (event.kind) {
    case AuthEvent::Kind::kOverused:
      return absl::StrFormat("overused invite %s", ToOpName(*event.op).ToText());
    case AuthEvent::Kind::kForked:
      return absl::StrFormat("forked writer %s: %d blocks survive", IdText(event.log),
                             event.from);
    case AuthEvent::Kind::kWithdrawn:
      what = "withdrawn";
      break;
    case AuthEvent::Kind::kRestored:
      what = "restored";
      break;
    case AuthEvent::Kind::kPending:
      break;
  }
  return absl::StrFormat("%s writer %s blocks %d to %d", what, IdText(event.log),
                         event.from, event.to);
}

}  // namespace

BaseNode::BaseNode(const NodeHost* host, Corestore* cores, const BaseRecord& record)
    : host_(host), cores_(cores), record_(record), acks_(record.number) {}

BaseNode::~BaseNode() = default;

absl::StatusOr<std::unique_ptr<BaseNode>> BaseNode::Open(const NodeHost* host,
                                                         Corestore* cores,
                                                         const BaseRecord& record) {
  std::unique_ptr<BaseNode> base(new BaseNode(host, cores, record));
  if (!IsZero(record.identity)) {
    WEFT_ASSIGN_OR_RETURN(base->own_, cores->Open(record.log()));
    if (record.retired) base->DoubtOwnLog();
  }
  WEFT_RETURN_IF_ERROR(base->acks_.Load(host->storage));
  base->forks_ = std::make_unique<BaseForks>(base.get());
  base->people_ = std::make_unique<BasePeople>(base.get());
  if (record.genesis) WEFT_RETURN_IF_ERROR(base->Activate());
  return base;
}

absl::Status BaseNode::Activate() {
  WEFT_ASSIGN_OR_RETURN(const struct Genesis genesis, DecodeGenesis(*record_.genesis));
  log_source_ = std::make_unique<CoreLogs>(
      [this](const CoreKey& key) {
        const auto log = logs_.find(key);
        if (log != logs_.end()) return log->second.core;
        absl::StatusOr<std::shared_ptr<Hypercore>> core = cores_->Open(key);
        return core.ok() ? *std::move(core) : nullptr;
      },
      [this](const CoreKey& log, std::uint64_t from, std::uint64_t length,
             const TreeHash& hash) {
        return ReadBranch(*host_->storage, record_.number, log, from, length, hash);
      });
  IndexerOptions options;
  options.base_number = record_.number;
  WEFT_ASSIGN_OR_RETURN(indexer_, Indexer::Open(host_->storage, log_source_.get(),
                                                host_->clock, genesis, options));
  WEFT_RETURN_IF_ERROR(LoadCertificates());
  // The certificate of our newest log may have been lost in a crash; its block 0 is
  // not.
  for (const CoreKey& log : record_.logs) indexer_->Follow(log);
  WEFT_RETURN_IF_ERROR(OpenWantedLogs());
  WEFT_ASSIGN_OR_RETURN(const IndexResult result, indexer_->IndexAll());
  WEFT_RETURN_IF_ERROR(ActOn(result));
  acks_.Watch(record_.log());
  WEFT_RETURN_IF_ERROR(cores_->Sync());
  RefreshFeeds();
  if (watch_.filter) indexer_->SetChangeFilter(watch_.filter);
  reader_.store(indexer_.get(), std::memory_order_release);
  return absl::OkStatus();
}

void BaseNode::SetWatch(Watch watch) {
  watch_ = std::move(watch);
  if (indexer_) indexer_->SetChangeFilter(watch_.filter);
}

absl::Status BaseNode::Save() {
  return SaveBase(host_->storage, record_);
}

absl::Status BaseNode::TakeInvite(const Seed& secret) {
  record_.invite_secret = secret;
  return Save();
}

Link BaseNode::MakeLink() const {
  Link link;
  link.base_id = record_.base_id;
  link.salt = record_.salt;
  return link;
}

// --- logs ---

void BaseNode::AddLog(const CoreKey& key, std::shared_ptr<Hypercore> core) {
  Log log;
  log.core = std::move(core);
  log.observing = log.core->Observe([this, key](const CoreEvent& event) {
    // That the disk has caught up is no news for the index.
    if (event.kind != CoreEvent::Kind::kDurable) Touch(key);
  });
  logs_.emplace(key, std::move(log));
  Touch(key);
}

absl::Status BaseNode::OpenWantedLogs() {
  if (indexer_->wanted_count() == logs_.size()) return absl::OkStatus();
  std::vector<CoreKey> fresh;
  for (const CoreKey& key : indexer_->WantedLogs()) {
    if (!logs_.contains(key)) fresh.push_back(key);
  }
  WEFT_ASSIGN_OR_RETURN(std::vector<std::shared_ptr<Hypercore>> cores,
                        cores_->OpenRemotes(fresh));
  for (std::size_t i = 0; i < fresh.size(); ++i) {
    AddLog(fresh[i], std::move(cores[i]));
  }
  forks_->TakeNamed();
  wants_changed_ = true;
  return absl::OkStatus();
}

void BaseNode::Touch(const CoreKey& key) {
  const auto log = logs_.find(key);
  if (log == logs_.end()) return;
  if (!std::exchange(log->second.grown, true)) grown_.push_back(key);
  if (log->second.touched) return;
  log->second.touched = true;
  touched_.push_back(key);
  PostStep();
}

void BaseNode::PostStep() {
  if (step_posted_) return;
  step_posted_ = true;
  asio::post(host_->executor, [this, alive = std::weak_ptr(alive_)] {
    if (!alive.expired()) Step();
  });
}

void BaseNode::Step() {
  step_posted_ = false;
  if (!indexer_ || !failed_.ok()) return;
  CatchUp().IgnoreError();  // the base says that it stopped
}

absl::Status BaseNode::IndexTouched() {
  while (!touched_.empty()) {
    std::vector<CoreKey> touched;
    touched.swap(touched_);
    for (const CoreKey& key : touched) {
      logs_.find(key)->second.touched = false;
      WEFT_ASSIGN_OR_RETURN(const IndexResult result, indexer_->Index(key));
      WEFT_RETURN_IF_ERROR(ActOn(result));
    }
  }
  if (std::exchange(wants_changed_, false) && hooks_.wants_changed) {
    hooks_.wants_changed();
  }
  if (!grown_.empty()) PostSettle();
  return absl::OkStatus();
}

// An indexer that failed once must not be used again.
absl::Status BaseNode::CatchUp() {
  const absl::Status status = IndexTouched();
  if (!status.ok()) Fail(status);
  return status;
}

absl::Status BaseNode::ActOn(const IndexResult& result) {
  if (hooks_.event) {
    for (const CoreKey& identity : result.admitted) {
      hooks_.event(absl::StrFormat("member %s", IdText(identity)));
    }
    for (const AuthEvent& event : result.events) hooks_.event(EventLine(event));
  }
  if (watch_.tell && !result.changes.empty()) watch_.tell(result.changes);
  if (!result.admitted.empty()) TryWaitingCertificates();
  WEFT_RETURN_IF_ERROR(OpenWantedLogs());
  if (!result.admitted.empty()) forks_->TakeNamed();
  if (result.blocks > 0) PostSettle();
  return absl::OkStatus();
}

void BaseNode::PostSettle() {
  if (settle_posted_) return;
  settle_posted_ = true;
  const Nanos delay = std::max(kSettleDelay, kSettlePause * settling_took_);
  asio::co_spawn(
      host_->executor,
      [](BaseNode* self, std::weak_ptr<bool> alive, AsyncClock* clock,
         Nanos pause) -> Task<void> {
        co_await clock->Sleep(pause);
        if (!alive.expired()) self->Settle();
      }(this, alive_, host_->clock, delay),
      asio::detached);
}

void BaseNode::Settle() {
  settle_posted_ = false;
  if (!failed_.ok()) return;
  if (const absl::Status status = cores_->Sync(); !status.ok()) return Fail(status);
  const Nanos started = host_->clock->Steady();
  const std::vector<FeedChange> changed = RefreshFeeds();
  const std::vector<FeedAck> beyond = HeldBeyondSettled();
  // The digest that is told now says that more is on its way. What waits to be indexed
  // may change nothing, as blocks of a dead branch do: that has to be told as well.
  if (!touched_.empty()) PostSettle();
  forks_->Relay();
  if (!beyond.empty() && hooks_.durable) hooks_.durable(beyond);
  if (hooks_.settled) hooks_.settled(changed);
  settling_took_ = host_->clock->Steady() - started;
}

std::vector<FeedChange> BaseNode::RefreshFeeds() {
  std::vector<FeedChange> changed;
  const VersionVector settled = indexer_->Settled();
  // Both are in key order.
  auto told = feeds_.heads().begin();
  for (const auto& [core, length] : settled.lengths()) {
    for (; told != feeds_.heads().end() && told->first < core; ++told) {
      changed.push_back({{told->first, 0}, told->second});
    }
    const bool known = told != feeds_.heads().end() && told->first == core;
    const std::uint64_t before = known ? told->second : 0;
    if (before != length) changed.push_back({{core, length}, before});
    if (known) ++told;
  }
  for (; told != feeds_.heads().end(); ++told)
    changed.push_back({{told->first, 0}, told->second});
  for (const FeedChange& change : changed) {
    feeds_.Set(change.head.core, change.head.settled);
  }
  FeedDigest digest;
  digest.feeds_root = feeds_.Root();
  digest.version_digest = indexer_->CurrentDigest();
  digest.feeds = feeds_.size();
  digest_ = digest;
  return changed;
}

// Blocks that wait for others are on the disk too, and their author may want to know.
std::vector<FeedAck> BaseNode::HeldBeyondSettled() {
  std::vector<FeedAck> beyond;
  for (const CoreKey& key : std::exchange(grown_, {})) {
    Log& log = logs_.find(key)->second;
    log.grown = false;
    const std::uint64_t held = log.core->contiguous_length();
    if (held > feeds_.settled(key)) beyond.push_back({key, held});
  }
  return beyond;
}

// After a failure nothing more is promised to anybody.
void BaseNode::Fail(const absl::Status& why) {
  failed_ = why;
  digest_.reset();
  if (hooks_.event) {
    hooks_.event(absl::StrFormat("stopped: %s", std::string(why.message())));
  }
}

absl::Status BaseNode::Flush() {
  if (failed_.ok()) WEFT_RETURN_IF_ERROR(acks_.Save(host_->storage));
  return indexer_ && failed_.ok() ? indexer_->Flush() : absl::OkStatus();
}

// --- writing ---

std::uint64_t BaseNode::WallMs() const {
  return static_cast<std::uint64_t>(host_->clock->Now() / std::chrono::milliseconds(1));
}

absl::Status BaseNode::CheckUsable() const {
  if (!failed_.ok()) return failed_;
  if (indexer_) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrFormat(
      "base %s: no peer has given its genesis yet; sync with one first", name()));
}

absl::StatusOr<Committed> BaseNode::CommitLogged(const Batch& batch) {
  WEFT_RETURN_IF_ERROR(ReadyToWrite());
  std::vector<Value> values;
  const std::vector<Mutation> mutations = ToMutations(batch, values);
  WEFT_ASSIGN_OR_RETURN(const PreparedCommit prepared,
                        indexer_->Prepare(record_.log(), mutations, WallMs()));
  return AppendAndIndex(prepared);
}

absl::StatusOr<Committed> BaseNode::GrantLogged(const CoreKey& identity, GrantRole role,
                                                std::string_view scope) {
  GrantOp grant;
  grant.identity = identity;
  grant.role = role;
  grant.scope = AsBytes(scope);
  const AuthOperation operation = grant;
  return AuthLogged(std::span(&operation, 1));
}

absl::StatusOr<Committed> BaseNode::AuthLogged(
    std::span<const AuthOperation> operations) {
  WEFT_RETURN_IF_ERROR(ReadyToWrite());
  WEFT_ASSIGN_OR_RETURN(const PreparedCommit prepared,
                        indexer_->PrepareAuth(record_.log(), operations, WallMs()));
  return AppendAndIndex(prepared);
}

absl::StatusOr<Committed> BaseNode::ResignLogged(
    std::span<const AuthOperation> resignations) {
  WEFT_RETURN_IF_ERROR(ReadyToWrite());
  WEFT_ASSIGN_OR_RETURN(
      const PreparedCommit prepared,
      indexer_->PrepareResignations(record_.log(), resignations, WallMs()));
  return AppendAndIndex(prepared);
}

absl::StatusOr<Committed> BaseNode::RedeemLogged(const PublicKey& invite_key,
                                                 const CoreKey& identity,
                                                 const Signature& signature) {
  WEFT_RETURN_IF_ERROR(CheckUsable());
  WEFT_RETURN_IF_ERROR(CatchUp());
  const Authority& authority = indexer_->authority();
  const Grant* const invite = authority.FindInvite(invite_key);
  if (invite == nullptr) {
    return absl::NotFoundError("there is no such invite in this base");
  }
  for (const auto& [path, grant] : authority.grants()) {
    if (grant->identity == identity && grant->kind == Grant::Kind::kRedeemed &&
        grant->issued_under == invite->id) {
      return absl::AlreadyExistsError(
          grant->revoked ? "the invite let them in before, and they were removed"
                         : "the invite has let them in already");
    }
  }
  if (invite->revoked || authority.UsesOf(*invite) >= invite->uses) {
    return absl::PermissionDeniedError("the invite is used up or revoked");
  }
  RedeemOp redeem;
  redeem.invite = invite->id;
  redeem.identity = identity;
  redeem.signature = signature;
  const AuthOperation operation = redeem;
  return AuthLogged(std::span(&operation, 1));
}

bool BaseNode::is_member() const {
  return indexer_ && indexer_->authority().IsMember(record_.identity);
}

void BaseNode::Post(std::function<void()> task) {
  asio::post(host_->executor,
             [this, task = std::move(task), alive = std::weak_ptr(alive_)] {
               if (!alive.expired() && indexer_ && failed_.ok()) task();
             });
}

void BaseNode::PostAfter(Nanos delay, std::function<void()> task) {
  asio::co_spawn(
      host_->executor,
      [](BaseNode* self, std::weak_ptr<bool> alive, AsyncClock* clock, Nanos pause,
         std::function<void()> then) -> Task<void> {
        co_await clock->Sleep(pause);
        if (!alive.expired() && self->indexer_ && self->failed_.ok()) then();
      }(this, alive_, host_->clock, delay, std::move(task)),
      asio::detached);
}

void BaseNode::Tell(const std::string& line) {
  if (hooks_.event) hooks_.event(line);
}

Seed BaseNode::NewSecret() const {
  return RandomSeed(*host_->random);
}

absl::StatusOr<Committed> BaseNode::AppendAndIndex(const PreparedCommit& prepared) {
  // Its end may be known and on its way, after a restore: to sign now were to fork.
  if (own_->length() != prepared.first_position) {
    return absl::UnavailableError(absl::StrFormat(
        "our own log is being fetched: %d of %d blocks are here; try again when it is",
        prepared.first_position, own_->length()));
  }
  if (host_->lease != nullptr) WEFT_RETURN_IF_ERROR(host_->lease->Appending());
  std::vector<ByteView> blocks(prepared.blocks.begin(), prepared.blocks.end());
  WEFT_ASSIGN_OR_RETURN(const std::uint64_t first,
                        own_->Append(blocks, Durability::kLogged));
  WEFT_CHECK(first == prepared.first_position);
  Touch(record_.log());
  // The log has it: whatever fails from here on, a restart will index it.
  if (const absl::Status indexed = CatchUp(); !indexed.ok()) return MayStand(indexed);
  Committed committed;
  committed.writer = IdText(record_.log());
  committed.first_position = first;
  for (const OpId& op : prepared.ops) committed.ops.push_back(ToOpName(op));
  return committed;
}

void BaseNode::NotSynced(const absl::Status& why) {
  if (failed_.ok()) Fail(why);
}

// --- the exchange ---

std::vector<FeedHead> BaseNode::HeldLengths() const {
  std::vector<FeedHead> held;
  for (const auto& [key, log] : logs_)
    held.push_back({key, log.core->contiguous_length()});
  return held;
}

absl::Status BaseNode::TakeGenesis(ByteView genesis) {
  if (indexer_) return absl::OkStatus();
  if (BaseIdOf(genesis) != record_.base_id) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "base %s: the peer's genesis is not the one its link names", name()));
  }
  WEFT_ASSIGN_OR_RETURN(const struct Genesis decoded, DecodeGenesis(genesis));
  if (IsZero(record_.identity)) {
    record_.salt = decoded.salt;
    const IdentityKeys keys = MakeIdentity(decoded.salt, *host_->random);
    WEFT_ASSIGN_OR_RETURN(own_, cores_->OpenOwn(keys.manifest, keys.pair));
    record_.identity = keys.id();
  } else if (record_.salt != decoded.salt) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "base %s: the salt in its link is not that of its genesis", name()));
  }
  if (adopt_name_ && !decoded.name.empty() && adopt_name_(decoded.name)) {
    record_.name = decoded.name;
  }
  record_.genesis = ToBytes(genesis);
  WEFT_RETURN_IF_ERROR(Save());
  if (const absl::Status status = Activate(); !status.ok()) {
    Fail(status);
    return status;
  }
  if (hooks_.genesis_known) hooks_.genesis_known();
  return absl::OkStatus();
}

// While more is on its way to the disk than the digest covers nobody is level with us.
std::optional<FeedDigest> BaseNode::Digest() {
  std::optional<FeedDigest> digest = digest_;
  if (digest) digest->durable = !settle_posted_ && touched_.empty();
  return digest;
}

std::shared_ptr<Hypercore> BaseNode::Wanted(const CoreKey& key, std::uint64_t settled) {
  const auto log = logs_.find(key);
  // Of our own log too: who has more of it than we has what was lost here (A3).
  if (log == logs_.end() || log->second.core->contiguous_length() >= settled) {
    return nullptr;
  }
  return log->second.core;
}

int BaseNode::RankOf(const CoreKey& core) {
  if (!indexer_) return 0;
  for (const Grant* grant :
       indexer_->authority().GrantsOf(indexer_->authority().IdentityOf(core))) {
    if (grant->is_genesis() || grant->may_delegate) return 0;
  }
  return 1;
}

std::vector<Bytes> BaseNode::Evidence() {
  return forks_->Evidence();
}

std::vector<Bytes> BaseNode::SameFeedsEvidence() {
  return forks_->Hashes();
}

void BaseNode::TellEvidence(std::span<const Bytes> proofs) {
  if (hooks_.evidence) hooks_.evidence(proofs);
}

void BaseNode::TakeForkProofs(std::span<const Bytes> proofs) {
  if (!failed_.ok() || !host_->storage->Writable().ok()) return;  // they are told again
  const std::vector<ForkedLog> before = indexer_->Forks();
  const absl::StatusOr<IndexResult> result = indexer_->TakeForkProofs(proofs);
  const absl::Status status = result.ok() ? ActOn(*result) : result.status();
  if (!status.ok()) return Fail(status);
  if (indexer_->Forks() != before) PostSettle();
}

std::shared_ptr<Hypercore> BaseNode::LogOf(const CoreKey& key) const {
  const auto log = logs_.find(key);
  return log == logs_.end() ? nullptr : log->second.core;
}

bool BaseNode::MayServeStrangers(const CoreKey& key) const {
  if (!indexer_) return true;
  const std::optional<ForkedLog> fork = indexer_->ForkOf(key);
  const std::shared_ptr<Hypercore> core = LogOf(key);
  return !fork || !core || core->length() <= fork->cut;
}

bool BaseNode::AwaitsOwnFrom(const PublicKey& peer) const {
  return indexer_ != nullptr && forks_->AwaitsOwnFrom(peer);
}

std::vector<Bytes> BaseNode::RequestsTo(const PublicKey& peer) {
  std::vector<Bytes> requests = people_->Asked();
  if (indexer_ == nullptr) return requests;
  for (Bytes& question : forks_->AskOfOwn(peer)) {
    requests.push_back(std::move(question));
  }
  return requests;
}

absl::StatusOr<std::vector<Bytes>> BaseNode::TakeEvidence(const PublicKey& peer,
                                                          ByteView proof) {
  if (proof.empty()) return absl::InvalidArgumentError("empty evidence");
  if (BaseForks::IsKind(proof[0])) {
    return indexer_ && failed_.ok() ? forks_->Take(peer, proof) : BaseForks::Answers();
  }
  WEFT_RETURN_IF_ERROR(people_->Take(proof));
  return std::vector<Bytes>();
}

// --- acknowledgements ---

// Blocks of ours go out when they are durable, and not before.
std::uint64_t BaseNode::MostHeld(const CoreKey& core) {
  const bool own = own_ != nullptr && own_->key() == core;
  return own ? own_->durable_length() : FeedSource::MostHeld(core);
}

void BaseNode::OnDurable(const PublicKey& peer, std::span<const FeedAck> acks) {
  bool news = false;
  for (const FeedAck& ack : acks) {
    if (acks_.Raise(ack.core, peer, ack.durable)) news = true;
  }
  if (news) PostSaveAcks();
}

void BaseNode::OnLevel(const PublicKey& peer) {
  bool news = false;
  for (const CoreKey& core : acks_.watched()) {
    if (acks_.Raise(core, peer, feeds_.settled(core))) news = true;
  }
  if (news) PostSaveAcks();
}

void BaseNode::KeepAcks(const CoreKey& core,
                        std::span<const std::pair<PublicKey, std::uint64_t>> live) {
  acks_.Watch(core);
  for (const auto& [peer, durable] : live) {
    if (acks_.Raise(core, peer, durable)) PostSaveAcks();
  }
}

void BaseNode::PostSaveAcks() {
  if (hooks_.acked) hooks_.acked();
  if (std::exchange(save_acks_posted_, true)) return;
  asio::co_spawn(
      host_->executor,
      [](BaseNode* self, std::weak_ptr<bool> alive, AsyncClock* clock) -> Task<void> {
        co_await clock->Sleep(kSaveAcksDelay);
        if (alive.expired()) co_return;
        self->save_acks_posted_ = false;
        if (!self->failed_.ok()) co_return;
        const absl::Status saved = self->acks_.Save(self->host_->storage);
        if (!saved.ok()) self->Fail(saved);
      }(this, alive_, host_->clock),
      asio::detached);
}

}  // namespace weft
