#include "weft/base_people.h"

#include <algorithm>
#include <asio/post.hpp>

#include "absl/strings/str_format.h"
#include "engine/codec.h"
#include "engine/key_layout.h"
#include "weft/convert.h"

namespace weft {
namespace {

constexpr std::uint8_t kRedemption = 2;
constexpr std::uint8_t kRequest = 3;
constexpr std::size_t kRequestsMax = 256;
constexpr std::size_t kNoteBytesMax = 128;
// Once as many ask as are kept, one in so long takes the place of the oldest.
constexpr Nanos kReplaceEvery = std::chrono::seconds(1);

constexpr std::string_view kRequestRows = "ask";

Bytes RequestKey(std::uint64_t number, const CoreKey& identity) {
  Bytes key = keys::BaseRow(kRequestRows, number);
  Append(key, identity.view());
  return key;
}

bool IsOpen(const Authority& authority, const PublicKey& invite_key) {
  const Grant* const invite = authority.FindInvite(invite_key);
  return invite != nullptr && !invite->revoked &&
         authority.UsesOf(*invite) < invite->uses;
}

}  // namespace

BasePeople::BasePeople(BaseNode* node) : node_(node) {
  const ScanRange range = keys::BaseRows(kRequestRows, node->record().number);
  auto rows = node->host().storage->Scan(Family::kMeta, range, nullptr);
  for (; rows->valid(); rows->Next()) {
    const auto identity = CoreKey::From(rows->key().subspan(range.from.size()));
    if (!identity) continue;
    requests_.emplace(*identity, AsText(rows->value()));
    oldest_first_.push_back(*identity);
  }
}

std::vector<Bytes> BasePeople::Asked() const {
  std::vector<Bytes> all = node_->Certificates();
  const auto request = [&](const CoreKey& identity, std::string_view note) {
    Bytes evidence = {kRequest};
    Writer out(&evidence);
    out.Raw(identity.view());
    out.Buffer(AsBytes(note));
    all.push_back(std::move(evidence));
  };
  if (!node_->is_member()) {
    const BaseRecord& record = node_->record();
    if (record.invite_secret) {
      const KeyPair pair = KeyPairFromSeed(*record.invite_secret);
      Bytes evidence = {kRedemption};
      Append(evidence, pair.public_key.view());
      Append(evidence, record.identity.view());
      Append(evidence, Sign(pair.secret_key,
                            RedeemSignable(record.base_id.view(), record.identity))
                           .view());
      all.push_back(std::move(evidence));
    }
    // Beside the invite too, which may be used up by now.
    request(record.identity, "");
  }
  for (const auto& [identity, note] : requests_) {
    const bool named =
        node_->indexer() != nullptr && node_->indexer()->authority().IsNamed(identity);
    if (!named) request(identity, note);
  }
  return all;
}

absl::Status BasePeople::Take(ByteView evidence) {
  switch (evidence[0]) {
    case kRedemption:
      return TakeRedemption(evidence.subspan(1));
    case kRequest:
      return TakeRequest(evidence.subspan(1));
    case kCertificateEvidence:
      return node_->TakeCertificate(evidence.subspan(1));
    default:
      return absl::OkStatus();  // of a newer program
  }
}

absl::Status BasePeople::TakeRedemption(ByteView body) {
  Reader in(body);
  const auto invite_key = in.Fixed<PublicKey>();
  const auto identity = in.Fixed<CoreKey>();
  const auto signature = in.Fixed<Signature>();
  if (!in.ok() || !in.done()) {
    return absl::InvalidArgumentError("a redemption that is malformed");
  }
  // Looked up before it is checked: anybody can sign with a key of his own.
  if (!node_->is_member() || node_->indexer()->authority().IsMember(identity)) {
    return absl::OkStatus();
  }
  const bool open = IsOpen(node_->indexer()->authority(), invite_key);
  const absl::Status useless = absl::NotFoundError("a redemption of no open invite");
  // The invite may have come with blocks that are not indexed yet.
  if (!open && !node_->busy()) return useless;
  const Bytes message = RedeemSignable(node_->base_id().view(), identity);
  if (!Verify(invite_key, message, signature)) {
    return absl::DataLossError("a redemption that its invite did not sign");
  }
  // Not from inside the exchange that brought it: carrying it wakes all exchanges.
  node_->Post([node = node_, invite_key, identity, signature] {
    if (!node->is_member() || node->indexer()->authority().IsMember(identity)) return;
    node->WhenWriteReady([node, invite_key, identity, signature] {
      node->RedeemLogged(invite_key, identity, signature).IgnoreError();
    });
  });
  return open ? absl::OkStatus() : useless;
}

absl::Status BasePeople::TakeRequest(ByteView body) {
  Reader in(body);
  const auto identity = in.Fixed<CoreKey>();
  const ByteView note = in.Buffer();
  if (!in.ok() || !in.done() || note.size() > kNoteBytesMax) {
    return absl::InvalidArgumentError("a request that is malformed");
  }
  const bool needless = node_->indexer() == nullptr ||
                        identity == node_->record().identity ||
                        node_->indexer()->authority().IsNamed(identity);
  if (needless || requests_.contains(identity)) return absl::OkStatus();
  const Nanos now = node_->host().clock->Steady();
  if (requests_.size() >= kRequestsMax) {
    if (replaced_ && now - *replaced_ < kReplaceEvery) {
      return absl::NotFoundError("more ask to be let in than are kept");
    }
    ForgetNamed();
  }
  // Whoever knows the link can ask under any number of names: none may shut the door,
  // and none costs more than its line and its row.
  const bool full = requests_.size() >= kRequestsMax;
  if (full) {
    if (!replaced_) {
      node_->Tell(absl::StrFormat(
          "%d ask to be let in: who comes now takes the place of the oldest, unsaid",
          requests_.size()));
    }
    replaced_ = now;
    Forget(CoreKey(oldest_first_.front()));
  }
  StorageBatch batch;
  batch.Put(Family::kMeta, RequestKey(node_->record().number, identity), ToBytes(note));
  WEFT_RETURN_IF_ERROR(node_->host().storage->Commit(batch, Durability::kLogged));
  requests_.emplace(identity, AsText(note));
  oldest_first_.push_back(identity);
  if (!full) node_->Tell(absl::StrFormat("request %s", IdText(identity)));
  return absl::OkStatus();
}

void BasePeople::ForgetNamed() {
  const std::deque<CoreKey> all = oldest_first_;
  for (const CoreKey& identity : all) {
    if (node_->indexer()->authority().IsNamed(identity)) Forget(identity);
  }
}

void BasePeople::Forget(const CoreKey& identity) {
  if (requests_.erase(identity) == 0) return;
  std::erase(oldest_first_, identity);
  StorageBatch batch;
  batch.Delete(Family::kMeta, RequestKey(node_->record().number, identity));
  node_->host().storage->Commit(batch, Durability::kLogged).IgnoreError();
}

}  // namespace weft
