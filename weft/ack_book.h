// Who holds our writes: for each log that is watched, how many blocks of it each peer
// has said to have on its disk for good.
//
// key := "ack" base:u64 core:32 peer:32           in family meta; base is big-endian
// row := durable:varint
// Our own log is watched, and every log that somebody waited for. Acks outlast a
// restart; what a crash loses is told again, and nothing is ever kept that was not
// said. A peer is the key it shows in the handshake, and anybody can show new ones for
// ever: where there is no more room, who holds least gives way, of those who hold as
// much whoever said so first.

#pragma once

#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "engine/crypto.h"
#include "engine/storage.h"

namespace weft {

struct AckLimits {
  std::size_t acks = 65'536;  // of all logs; then the log with most gives way
  std::size_t acks_per_log = 16'384;
};

// Not thread-safe: on the strand of the store.
class AckBook {
 public:
  explicit AckBook(std::uint64_t base_number, const AckLimits& limits = {})
      : base_number_(base_number), limits_(limits) {}

  // What was saved; the logs it names are watched again.
  absl::Status Load(Storage* storage);

  void Watch(const CoreKey& core) { by_core_.try_emplace(core); }
  std::vector<CoreKey> watched() const;

  // The peer says that it has `durable` blocks. False if that is no news, if the log
  // is not watched, or if there is no room for one who holds so little.
  bool Raise(const CoreKey& core, const PublicKey& peer, std::uint64_t durable);

  // Peers that have at least `length` blocks of the log.
  std::size_t Holders(const CoreKey& core, std::uint64_t length) const;
  struct Step {
    std::uint64_t length = 0;  // blocks
    std::size_t peers = 0;     // that have at least so many
  };
  // Of a log of `length` blocks, longest first, each length that a peer stands at.
  std::vector<Step> Steps(const CoreKey& core, std::uint64_t length) const;

  // Writes what was raised since, and deletes what gave way; not synced.
  absl::Status Save(Storage* storage);

 private:
  struct Ack {
    std::uint64_t durable = 0;  // blocks
    std::uint64_t said = 0;     // grows with each that is said
    auto operator<=>(const Ack&) const = default;
  };
  struct Log {
    absl::btree_map<PublicKey, Ack> acks;
    absl::btree_set<std::pair<Ack, PublicKey>> least_first;  // the same
  };

  Bytes RowKey(const CoreKey& core, const PublicKey& peer) const;
  bool MakeRoom(const CoreKey& core, std::uint64_t durable);

  std::uint64_t base_number_;
  AckLimits limits_;
  absl::btree_map<CoreKey, Log> by_core_;
  absl::btree_set<std::pair<CoreKey, PublicKey>> unsaved_;  // or gone
  std::size_t acks_ = 0;
  std::uint64_t said_ = 0;
};

}  // namespace weft
