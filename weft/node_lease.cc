// Node: what follows from the lease of the store (rules A2 and A3).
//
// A foreign start (a copy, a backup put back, another disk) retires our log in every
// base before anything is written: the next write begins a new incarnation. Plain cores
// of ours have no such thing: they are not appended to until a person says so. After
// that the directory has a lease of its own and is as live as any, under a key of its
// own towards peers. After an unclean start nothing is retired. In both cases the peers
// that are connected are asked for the end of our logs before the first write.

#include <asio/experimental/awaitable_operators.hpp>
#include <set>

#include "absl/strings/str_format.h"
#include "engine/key_layout.h"
#include "weft/node.h"

namespace weft {
namespace {

using asio::experimental::awaitable_operators::operator||;

constexpr Nanos kAskForTail = std::chrono::seconds(2);
constexpr Nanos kTailPause = std::chrono::milliseconds(20);

}  // namespace

// Peers know a store by one key, so that what they say of our writes can be
// remembered. No named core has this pair: the name space is its own. A copy has a key
// of its own, for what peers know of the one is not so of the other.
absl::StatusOr<KeyPair> Node::PeerKey() const {
  WEFT_ASSIGN_OR_RETURN(const auto nonce,
                        host_.storage->Get(Family::kMeta, keys::PeerNonce()));
  std::string name = "peer";
  if (nonce) name += AsText(*nonce);
  return DeriveNamedKeyPair(cores_->primary_key(),
                            ChildNamespace(Hash32{}, AsBytes("weft")), name);
}

absl::Status Node::JudgeLease(std::vector<BaseRecord>* records) {
  if (host_.lease == nullptr) return absl::OkStatus();
  std::uint64_t own_blocks = 0;
  for (const BaseRecord& record : *records) {
    std::vector<CoreKey> logs = record.logs;
    if (record.identity != CoreKey{}) logs.push_back(record.identity);
    for (const CoreKey& log : logs) {
      WEFT_ASSIGN_OR_RETURN(const std::shared_ptr<Hypercore> core, cores_->Open(log));
      own_blocks += core->length();
    }
  }
  const LeaseVerdict verdict = host_.lease->Judge(own_blocks);
  own_logs_doubted_ =
      verdict.start == LeaseStart::kUnclean || verdict.start == LeaseStart::kForeign;
  if (verdict.start == LeaseStart::kLive || verdict.start == LeaseStart::kUnclean) {
    return absl::OkStatus();
  }
  absl::Status taken = absl::OkStatus();
  if (verdict.start == LeaseStart::kForeign) {
    notice_ = absl::StrFormat(
        "this store is not where it was written (%s): what it writes from now on goes "
        "to a new log of yours",
        verdict.reason);
    taken = RetireLogs(records);
  }
  if (taken.ok()) taken = host_.lease->Take(own_blocks);
  // It can be read all the same. Each append is refused by the lease that is not held,
  // which says why: who only reads need not hear of it.
  if (!taken.ok()) notice_.clear();
  return absl::OkStatus();
}

// In memory in any case; on the disk, if it takes that.
absl::Status Node::RetireLogs(std::vector<BaseRecord>* records) {
  for (BaseRecord& record : *records) record.retired = true;
  Hash32 nonce;
  host_.random->Fill(nonce.bytes);
  StorageBatch batch;
  batch.Put(Family::kMeta, keys::PeerNonce(), ToBytes(nonce.view()));
  std::set<CoreKey> logs;
  for (const BaseRecord& record : *records) {
    logs.insert(record.identity);
    logs.insert(record.logs.begin(), record.logs.end());
  }
  for (const weft::CoreInfo& core : cores_->List()) {
    if (!core.writable || core.length == 0 || logs.contains(core.key)) continue;
    batch.Put(Family::kMeta, keys::CopiedCore(core.key), Bytes());
  }
  WEFT_RETURN_IF_ERROR(host_.storage->Commit(batch, Durability::kLogged));
  for (const BaseRecord& record : *records) {
    WEFT_RETURN_IF_ERROR(SaveBase(host_.storage, record));
  }
  return absl::OkStatus();
}

void Node::WarnOfIncarnations() {
  if (notice_.empty()) return;
  for (const auto& base : bases_) {
    const std::string warning = base->IncarnationsWarning();
    if (!warning.empty()) notice_ += absl::StrFormat("; %s: %s", base->name(), warning);
  }
}

absl::Status Node::CheckMayAppend(const CoreKey& key) const {
  WEFT_ASSIGN_OR_RETURN(const auto copied,
                        host_.storage->Get(Family::kMeta, keys::CopiedCore(key)));
  if (!copied) return absl::OkStatus();
  if (!copied->empty()) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "core %s: it was purged from this store, and others may hold what it said; "
        "take another name, or adopt it where nobody has seen it",
        ToHex(key.view())));
  }
  return absl::FailedPreconditionError(absl::StrFormat(
      "core %s: it was in this store when that was copied or put back, and may have "
      "grown elsewhere; adopt it where nobody else appends to it",
      ToHex(key.view())));
}

absl::StatusOr<std::uint64_t> Node::AppendToCore(Hypercore* core,
                                                 std::span<const ByteView> blocks) {
  WEFT_RETURN_IF_ERROR(CheckMayAppend(core->key()));
  if (host_.lease != nullptr) WEFT_RETURN_IF_ERROR(host_.lease->Appending());
  WEFT_ASSIGN_OR_RETURN(const std::uint64_t first, core->Append(blocks));
  OwnLogsSynced();
  return first;
}

absl::Status Node::AdoptCore(const CoreKey& key) {
  if (CheckMayAppend(key).ok()) {
    return absl::NotFoundError(
        absl::StrFormat("core %s: there is nothing to adopt", ToHex(key.view())));
  }
  StorageBatch batch;
  batch.Delete(Family::kMeta, keys::CopiedCore(key));
  return host_.storage->Commit(batch, Durability::kSynced);
}

std::uint64_t Node::OwnBlocks() const {
  std::uint64_t blocks = 0;
  for (const auto& base : bases_) blocks += base->OwnBlocks();
  return blocks;
}

void Node::OwnLogsSynced() {
  if (host_.lease != nullptr) host_.lease->Synced(OwnBlocks());
}

void Node::CloseLease() {
  if (host_.lease != nullptr) host_.lease->Close(OwnBlocks());
}

// The peer has not said yet that we have all there is of our log.
bool Node::MayKnowMore(const Session& session, BaseNode& base) const {
  if (session.closed()) return false;
  if (!session.ready()) return true;
  const Exchanges& exchanges = ExchangesOn(session);
  const auto exchange = exchanges.find(&base);
  if (exchange == exchanges.end() || exchange->second->refused()) return false;
  const CoreKey& log = base.own_log()->key();
  return !IsRefused(session, log) && !session.IsLevel(log);
}

Task<absl::Status> Node::PrepareToWrite(BaseNode* base) {
  const std::weak_ptr<bool> alive = alive_;
  const std::shared_ptr<Signal> changed = changed_;
  const Nanos deadline = host_.clock->Steady() + kAskForTail;
  const std::shared_ptr<Hypercore> log = base->own_log();
  while (log && !base->write_ready()) {
    bool more = false;
    for (const Swarm::Connection& connection : swarm_->connections()) {
      if (!MayKnowMore(*connection.session, *base)) continue;
      more = true;
      if (connection.session->ready()) {
        connection.session->Replicate(log, Download::Log());
      }
    }
    const Nanos left = deadline - host_.clock->Steady();
    if (!more || left <= Nanos(0)) break;
    co_await (changed->Wait() || host_.clock->Sleep(std::min(left, kTailPause)));
    if (alive.expired()) co_return absl::CancelledError("the store was closed");
  }
  base->OwnLogChecked();
  co_return absl::OkStatus();
}

}  // namespace weft
