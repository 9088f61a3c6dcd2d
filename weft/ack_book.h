// Who holds our writes: for each log that is watched, how many blocks of it each peer
// has said to have on its disk for good.
//
// key := "ack" base:u64 core:32 peer:32           in family meta; base is big-endian
// row := durable:varint
// Our own log is watched, and every log that somebody waited for. Acks outlast a
// restart; what a crash loses is told again, and nothing is ever kept that was not
// said. A peer is the key it shows in the handshake.

#pragma once

#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "engine/crypto.h"
#include "engine/storage.h"

namespace weft {

class AckBook {
 public:
  // Rows beyond this are not kept: peers of many years.
  static constexpr std::size_t kAcksMax = 65'536;

  explicit AckBook(std::uint64_t base_number) : base_number_(base_number) {}

  // What was saved; the logs it names are watched again.
  absl::Status Load(Storage* storage);

  void Watch(const CoreKey& core) { by_core_.try_emplace(core); }
  std::vector<CoreKey> watched() const;

  // The peer says that it has `durable` blocks. False if that is no news, or the log
  // is not watched.
  bool Raise(const CoreKey& core, const PublicKey& peer, std::uint64_t durable);

  // Peers that have at least `length` blocks of the log.
  std::size_t Holders(const CoreKey& core, std::uint64_t length) const;
  struct Step {
    std::uint64_t length = 0;  // blocks
    std::size_t peers = 0;     // that have at least so many
  };
  // Of a log of `length` blocks, longest first, each length that a peer stands at.
  std::vector<Step> Steps(const CoreKey& core, std::uint64_t length) const;

  // Writes what was raised since; not synced.
  absl::Status Save(Storage* storage);

 private:
  Bytes RowKey(const CoreKey& core, const PublicKey& peer) const;

  std::uint64_t base_number_;
  absl::btree_map<CoreKey, absl::btree_map<PublicKey, std::uint64_t>> by_core_;
  absl::btree_set<std::pair<CoreKey, PublicKey>> unsaved_;
  std::size_t acks_ = 0;
};

}  // namespace weft
