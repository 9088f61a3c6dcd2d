// Which of our logs may grow, and the beginning of the next one (rules S2, A2, F4).
//
// A log that was retired, because this store may not be the only one that holds its
// key, or that has forked, is never appended to again. The next write begins another:
// a core of fresh randomness whose block 0 our identity certifies. The certificate also
// travels by itself, among the evidence, for peers to know that the log is wanted.

#include "absl/strings/str_format.h"
#include "crdt/batch.h"
#include "engine/check.h"
#include "engine/key_layout.h"
#include "weft/base_node.h"
#include "weft/convert.h"

namespace weft {
namespace {

constexpr std::size_t kWaitingCertificatesMax = 256;
// Of one identity, who mints as many as he likes: as many as count for four grants.
// What is beyond is followed if somebody whose log is held has built upon it.
constexpr std::size_t kCertificatesPerIdentityMax = 4 * kIncarnationsCounted;
constexpr std::size_t kFewLeft = 8;
constexpr std::string_view kRows = "certificate";
constexpr std::size_t kCertificateAt = 1 + CoreKey::kSize;  // in its evidence

Bytes EvidenceOf(const CoreKey& log, const Incarnation& certificate) {
  Bytes evidence = {kCertificateEvidence};
  Append(evidence, log.view());
  Append(evidence, EncodeIncarnation(certificate));
  return evidence;
}

}  // namespace

std::uint64_t BaseNode::OwnBlocks() const {
  std::uint64_t blocks = 0;
  const auto count = [&](const CoreKey& key) {
    const auto log = logs_.find(key);
    if (log != logs_.end()) blocks += log->second.core->length();
  };
  count(record_.identity);
  for (const CoreKey& key : record_.logs) count(key);
  return blocks;
}

std::vector<MemberLog> BaseNode::LogsOf(const CoreKey& identity,
                                        const VersionVector& settled) const {
  const Authority& authority = indexer_->authority();
  std::vector<MemberLog> logs;
  for (const CoreKey& log : authority.LogsOf(identity)) {
    logs.push_back({IdText(log), authority.NumberOf(log), settled.length(log),
                    authority.forks().contains(log)});
  }
  return logs;
}

void BaseNode::RetireOwnLog() {
  if (write_ready() || record_.retired || indexer_ == nullptr) return;
  if (!host_->storage->Writable().ok()) return;  // it does not grow here anyway
  record_.retired = true;
  Tell(
      absl::StrFormat("a peer shows another end of our log %s", IdText(record_.log())));
  if (const absl::Status saved = Save(); !saved.ok()) Fail(saved);
}

void BaseNode::WhenWriteReady(std::function<void()> task) {
  if (write_ready() || !hooks_.prepare) return task();
  hooks_.prepare(std::move(task));
}

absl::Status BaseNode::ReadyToWrite() {
  WEFT_RETURN_IF_ERROR(host_->storage->Writable());
  WEFT_RETURN_IF_ERROR(CheckUsable());
  WEFT_RETURN_IF_ERROR(CatchUp());
  const bool forked = indexer_->authority().forks().contains(record_.log());
  if (!record_.retired && !forked) return absl::OkStatus();
  return BeginIncarnation();
}

// Signed by our identity, for the log with this key.
absl::StatusOr<Incarnation> BaseNode::CertificateFor(const CoreKey& log) {
  const Authority& authority = indexer_->authority();
  WEFT_ASSIGN_OR_RETURN(const std::shared_ptr<Hypercore> first,
                        cores_->Open(record_.identity));
  if (!first->manifest() || first->manifest()->quorum != 1 ||
      first->manifest()->signers.size() != 1) {
    return absl::FailedPreconditionError(
        "our identity has several signers, who would all have to sign");
  }
  Incarnation certificate;
  certificate.identity = record_.identity;
  certificate.manifest = *first->manifest();
  for (const CoreKey& known : authority.LogsOf(record_.identity)) {
    certificate.number = std::max(certificate.number, authority.NumberOf(known));
  }
  ++certificate.number;
  certificate.prev_core = own_->key();
  certificate.prev_length = own_->length();
  certificate.prev_tree_hash = own_->tree_hash();
  WEFT_ASSIGN_OR_RETURN(
      const Signature signature,
      cores_->SignWith(record_.identity,
                       IncarnationSignable(record_.base_id, log, certificate)));
  certificate.signatures.push_back({0, signature});
  return certificate;
}

std::size_t BaseNode::IncarnationsLeft() const {
  return indexer_ == nullptr ? 0
                             : indexer_->authority().IncarnationsLeft(record_.identity);
}

std::string BaseNode::IncarnationsWarning() const {
  if (!is_member()) return "";
  const std::size_t left = IncarnationsLeft();
  if (left > kFewLeft) return "";
  if (left == 0) {
    return absl::StrFormat(
        "our identity has begun %d logs, the most that count: after one more copy or "
        "restore nothing can be written here",
        kIncarnationsCounted);
  }
  return absl::StrFormat(
      "our identity can begin %d more logs of %d: each copy or restore that writes "
      "takes one; a store that joins anew has all of them",
      left, kIncarnationsCounted);
}

void BaseNode::TellOfOwnLogs(BaseStatus* status) const {
  const Authority& authority = indexer_->authority();
  status->log = IdText(record_.log());
  status->incarnation = authority.NumberOf(record_.log());
  status->incarnations_left = IncarnationsLeft();
  status->warning = IncarnationsWarning();
  status->renews = record_.retired || authority.forks().contains(record_.log());
  for (const CoreKey& log : authority.LogsOf(record_.identity)) {
    status->forked = status->forked || authority.forks().contains(log);
  }
}

absl::Status BaseNode::BeginIncarnation() {
  // Who may not write needs no log to write to.
  WEFT_RETURN_IF_ERROR(indexer_->authority().ChooseGrant(record_.identity).status());
  if (IncarnationsLeft() == 0) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "base %s: our identity has begun %d logs, the most that count, and this store "
        "may not go on in one of them; join with a new store and have that let in",
        name(), kIncarnationsCounted));
  }
  if (host_->lease != nullptr) WEFT_RETURN_IF_ERROR(host_->lease->Appending());
  Seed seed = RandomSeed(*host_->random);
  KeyPair pair = KeyPairFromSeed(seed);
  Wipe(seed.bytes);
  const Manifest manifest = SingleSigner(pair.public_key);
  const CoreKey key = KeyOf(manifest);
  WEFT_ASSIGN_OR_RETURN(const Incarnation certificate, CertificateFor(key));
  absl::StatusOr<std::shared_ptr<Hypercore>> core = cores_->OpenOwn(manifest, pair);
  Wipe(pair.secret_key.bytes);
  WEFT_RETURN_IF_ERROR(core.status());
  indexer_->Follow(key);
  WEFT_RETURN_IF_ERROR(OpenWantedLogs());
  WEFT_ASSIGN_OR_RETURN(const PreparedCommit prepared,
                        indexer_->PrepareIncarnation(key, certificate, WallMs()));
  const ByteView block = prepared.blocks.front();
  WEFT_RETURN_IF_ERROR(
      (*core)->Append(std::span(&block, 1), Durability::kLogged).status());
  WEFT_RETURN_IF_ERROR(CatchUp());
  WEFT_CHECK(indexer_->authority().IdentityOf(key) == record_.identity);
  BaseRecord renewed = record_;
  renewed.logs.push_back(key);
  renewed.retired = false;
  Certified certified{record_.identity, EvidenceOf(key, certificate)};
  StorageBatch batch;
  PutBase(&batch, renewed);
  PutCertificate(key, certified, &batch);
  // Synced, and block 0 with it.
  WEFT_RETURN_IF_ERROR(host_->storage->Commit(batch, Durability::kSynced));
  record_ = std::move(renewed);
  own_ = *std::move(core);
  acks_.Watch(key);
  Tell(absl::StrFormat("incarnation %d of %s: %s", certificate.number,
                       IdText(record_.identity), IdText(key)));
  if (const std::string warning = IncarnationsWarning(); !warning.empty()) {
    Tell(warning);
  }
  return FollowCertified(key, std::move(certified));
}

// --- those of others ---

// What was told once is wanted in every run, whatever becomes of the view.
absl::Status BaseNode::LoadCertificates() {
  const ScanRange range = keys::BaseRows(kRows, record_.number);
  const auto rows = host_->storage->Scan(Family::kMeta, range);
  for (; rows->valid(); rows->Next()) {
    const auto log = CoreKey::From(rows->key().subspan(range.from.size()));
    if (!log || rows->value().size() < kCertificateAt) continue;
    const auto certificate = DecodeIncarnation(rows->value().subspan(kCertificateAt));
    if (!certificate.ok()) continue;
    indexer_->Follow(*log);
    RememberCertificate(*log, {certificate->identity, ToBytes(rows->value())});
  }
  return rows->status();
}

void BaseNode::RememberCertificate(const CoreKey& log, Certified certified) {
  const CoreKey identity = certified.identity;
  if (certificates_.emplace(log, std::move(certified)).second) ++certified_[identity];
}

std::vector<Bytes> BaseNode::Certificates() {
  std::vector<Bytes> all;
  if (indexer_ == nullptr) return all;
  for (const auto& [key, log] : logs_) {
    if (indexer_->authority().NumberOf(key) == 0 || certificates_.contains(key))
      continue;
    const auto block = log.core->Get(0);
    if (!block.ok()) continue;
    LogState state(key);
    const DecodedBlock first = DecodeBlock(state, *block, indexer_->genesis().limits);
    if (!first.incarnation) continue;
    RememberCertificate(
        key, {first.incarnation->identity, EvidenceOf(key, *first.incarnation)});
  }
  for (const auto& [key, certified] : certificates_) all.push_back(certified.evidence);
  return all;
}

void BaseNode::PutCertificate(const CoreKey& log, const Certified& certified,
                              StorageBatch* batch) const {
  Bytes key = keys::BaseRow(kRows, record_.number);
  Append(key, log.view());
  batch->Put(Family::kMeta, std::move(key), certified.evidence);
}

absl::Status BaseNode::FollowCertified(const CoreKey& log, Certified certified) {
  indexer_->Follow(log);
  if (hooks_.evidence) hooks_.evidence(std::span(&certified.evidence, 1));
  RememberCertificate(log, std::move(certified));
  return OpenWantedLogs();
}

absl::Status BaseNode::TakeCertificate(ByteView body) {
  // Where nothing can be written it is told again another time.
  if (indexer_ == nullptr || !host_->storage->Writable().ok()) return absl::OkStatus();
  Reader in(body);
  const auto log = in.Fixed<CoreKey>();
  if (!in.ok()) return absl::InvalidArgumentError("a certificate that is malformed");
  if (certificates_.contains(log) || indexer_->authority().NumberOf(log) > 0) {
    return absl::OkStatus();
  }
  WEFT_ASSIGN_OR_RETURN(const Incarnation certificate, DecodeIncarnation(in.Rest()));
  WEFT_RETURN_IF_ERROR(
      VerifyIncarnation(record_.base_id, indexer_->genesis().salt, log, certificate));
  Bytes evidence = EvidenceOf(log, certificate);
  if (!indexer_->authority().IsNamed(certificate.identity)) {
    WaitForGrant(log, std::move(evidence));
    return absl::OkStatus();
  }
  // Not from inside the exchange that brought it: it wakes all exchanges.
  Post([this, log, certified = Certified{certificate.identity, std::move(evidence)}] {
    const auto known = certified_.find(certified.identity);
    if (certificates_.contains(log) ||
        (known != certified_.end() && known->second >= kCertificatesPerIdentityMax)) {
      return;
    }
    StorageBatch batch;
    PutCertificate(log, certified, &batch);
    absl::Status followed = host_->storage->Commit(batch, Durability::kLogged);
    if (followed.ok()) followed = FollowCertified(log, certified);
    // An error of the disk stops the base, which says so.
    if (!followed.ok()) return Fail(followed);
    CatchUp().IgnoreError();
  });
  return absl::OkStatus();
}

// Anybody can make an identity and certificates of it. Where there are too many, chance
// decides which is forgotten, so that nobody can keep another's out; it is told again.
void BaseNode::WaitForGrant(const CoreKey& log, Bytes evidence) {
  if (waiting_certificates_.size() >= kWaitingCertificatesMax) {
    const auto place = host_->random->U64() % waiting_certificates_.size();
    waiting_certificates_.erase(
        std::next(waiting_certificates_.begin(), static_cast<std::ptrdiff_t>(place)));
  }
  waiting_certificates_.emplace(log, std::move(evidence));
}

// Somebody was let in, who may have been there before under another log.
void BaseNode::TryWaitingCertificates() {
  for (const auto& [log, evidence] : std::exchange(waiting_certificates_, {})) {
    TakeCertificate(ByteView(evidence).subspan(1)).IgnoreError();  // was verified
  }
}

}  // namespace weft
