#include "weft/ack_book.h"

#include <map>

#include "absl/strings/str_format.h"
#include "engine/codec.h"
#include "engine/key_layout.h"

namespace weft {
namespace {

constexpr std::string_view kPrefix = "ack";
constexpr std::size_t kKeySize = 3 + 8 + 2 * 32;

}  // namespace

Bytes AckBook::RowKey(const CoreKey& core, const PublicKey& peer) const {
  Bytes key = keys::BaseRow(kPrefix, base_number_);
  Append(key, core.view());
  Append(key, peer.view());
  return key;
}

absl::Status AckBook::Load(Storage* storage) {
  const ScanRange range = keys::BaseRows(kPrefix, base_number_);
  const std::unique_ptr<StorageCursor> cursor = storage->Scan(Family::kMeta, range);
  for (; cursor->valid(); cursor->Next()) {
    Reader key(cursor->key());
    key.Raw(range.from.size());
    const auto core = key.Fixed<CoreKey>();
    const auto peer = key.Fixed<PublicKey>();
    Reader value(cursor->value());
    const std::uint64_t durable = value.Uint();
    if (cursor->key().size() != kKeySize || !key.ok() || !value.ok()) {
      return absl::DataLossError(absl::StrFormat(
          "base %d: a record of who holds our writes is damaged", base_number_));
    }
    if (by_core_[core].emplace(peer, durable).second) ++acks_;
  }
  return cursor->status();
}

std::vector<CoreKey> AckBook::watched() const {
  std::vector<CoreKey> watched;
  for (const auto& [core, peers] : by_core_) watched.push_back(core);
  return watched;
}

bool AckBook::Raise(const CoreKey& core, const PublicKey& peer, std::uint64_t durable) {
  const auto watched = by_core_.find(core);
  if (watched == by_core_.end() || durable == 0) return false;
  const auto known = watched->second.find(peer);
  if (known == watched->second.end()) {
    if (acks_ >= kAcksMax) return false;
    watched->second.emplace(peer, durable);
    ++acks_;
  } else {
    if (known->second >= durable) return false;
    known->second = durable;
  }
  unsaved_.emplace(core, peer);
  return true;
}

std::size_t AckBook::Holders(const CoreKey& core, std::uint64_t length) const {
  const auto watched = by_core_.find(core);
  if (watched == by_core_.end()) return 0;
  std::size_t holders = 0;
  for (const auto& [peer, durable] : watched->second) holders += durable >= length;
  return holders;
}

std::vector<AckBook::Step> AckBook::Steps(const CoreKey& core,
                                          std::uint64_t length) const {
  std::vector<Step> steps;
  const auto watched = by_core_.find(core);
  if (watched == by_core_.end()) return steps;
  std::map<std::uint64_t, std::size_t, std::greater<>> by_length;
  for (const auto& [peer, durable] : watched->second) {
    ++by_length[std::min(durable, length)];
  }
  std::size_t peers = 0;
  for (const auto& [held, count] : by_length) {
    peers += count;
    steps.push_back({held, peers});
  }
  return steps;
}

absl::Status AckBook::Save(Storage* storage) {
  // As after a crash: they are told again.
  if (!storage->Writable().ok()) return absl::OkStatus();
  if (unsaved_.empty()) return absl::OkStatus();
  StorageBatch batch;
  for (const auto& [core, peer] : unsaved_) {
    Bytes value;
    Writer(&value).Uint(by_core_.at(core).at(peer));
    batch.Put(Family::kMeta, RowKey(core, peer), std::move(value));
  }
  unsaved_.clear();
  return storage->Commit(batch, Durability::kLogged);
}

}  // namespace weft
