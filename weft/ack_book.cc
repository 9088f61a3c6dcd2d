#include "weft/ack_book.h"

#include <algorithm>
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
    Watch(core);
    Raise(core, peer, durable);
    // Here already; a row that there is no room for is deleted.
    if (by_core_.at(core).acks.contains(peer)) {
      unsaved_.erase({core, peer});
    } else {
      unsaved_.emplace(core, peer);
    }
  }
  return cursor->status();
}

std::vector<CoreKey> AckBook::watched() const {
  std::vector<CoreKey> watched;
  for (const auto& [core, log] : by_core_) watched.push_back(core);
  return watched;
}

// For one more that holds so much of this log; false if all that could go hold more.
bool AckBook::MakeRoom(const CoreKey& core, std::uint64_t durable) {
  auto log = by_core_.find(core);
  if (log->second.acks.size() < limits_.acks_per_log) {
    if (acks_ < limits_.acks) return true;
    log = std::max_element(by_core_.begin(), by_core_.end(),
                           [](const auto& a, const auto& b) {
                             return a.second.acks.size() < b.second.acks.size();
                           });
  }
  const auto least = log->second.least_first.begin();
  if (log->first == core && least->first.durable > durable) return false;
  unsaved_.emplace(log->first, least->second);
  log->second.acks.erase(least->second);
  log->second.least_first.erase(least);
  --acks_;
  return true;
}

bool AckBook::Raise(const CoreKey& core, const PublicKey& peer, std::uint64_t durable) {
  const auto watched = by_core_.find(core);
  if (watched == by_core_.end() || durable == 0) return false;
  Log& log = watched->second;
  const auto known = log.acks.find(peer);
  if (known != log.acks.end()) {
    if (known->second.durable >= durable) return false;
    log.least_first.erase({known->second, peer});
  } else {
    if (!MakeRoom(core, durable)) return false;
    ++acks_;
  }
  const Ack ack{durable, ++said_};
  log.acks[peer] = ack;
  log.least_first.emplace(ack, peer);
  unsaved_.emplace(core, peer);
  return true;
}

std::size_t AckBook::Holders(const CoreKey& core, std::uint64_t length) const {
  const auto watched = by_core_.find(core);
  if (watched == by_core_.end()) return 0;
  std::size_t holders = 0;
  for (const auto& [peer, ack] : watched->second.acks) holders += ack.durable >= length;
  return holders;
}

std::vector<AckBook::Step> AckBook::Steps(const CoreKey& core,
                                          std::uint64_t length) const {
  std::vector<Step> steps;
  const auto watched = by_core_.find(core);
  if (watched == by_core_.end()) return steps;
  std::map<std::uint64_t, std::size_t, std::greater<>> by_length;
  for (const auto& [peer, ack] : watched->second.acks) {
    ++by_length[std::min(ack.durable, length)];
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
    const auto& acks = by_core_.at(core).acks;
    const auto ack = acks.find(peer);
    if (ack == acks.end()) {
      batch.Delete(Family::kMeta, RowKey(core, peer));
      continue;
    }
    Bytes value;
    Writer(&value).Uint(ack->second.durable);
    batch.Put(Family::kMeta, RowKey(core, peer), std::move(value));
  }
  unsaved_.clear();
  return storage->Commit(batch, Durability::kLogged);
}

}  // namespace weft
