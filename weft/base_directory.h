// Which bases a store has: one record each, in family kMeta.
//
// key    := "base" number:u64 (big-endian)
// record := version:u8 name:buffer base_id:32 salt:32 identity:32 genesis:buffer
//           (version 2: invite_secret:32)
//           (version 3: flags:u8 [invite_secret:32] logs:[core:32])
// flags  := 1 an invite secret follows, 2 the last of our logs must not grow any more
// Version 2 is of a base that was joined with an invite, version 3 of one in which we
// are past incarnation 0, or must leave it. The genesis is empty while no peer has
// given it. The number is that of the base's rows in the view. Records are few, written
// whole, and synced.
//
// And where the peers of a base were to be met when it was joined.
// key := "addr" number:u64 (big-endian)
// row := count:uint then per address: address:buffer

#pragma once

#include <optional>
#include <string>
#include <vector>

#include "crdt/genesis.h"
#include "engine/storage.h"

namespace weft {

struct BaseRecord {
  std::uint64_t number = 0;
  std::string name;
  BaseId base_id;
  Salt salt;
  CoreKey identity;  // ours; its log is the core of this key
  std::optional<Bytes> genesis;
  std::optional<Seed> invite_secret;  // what lets us in, while nothing else does
  // Our later incarnations that began in this store, or in what it is a copy of.
  std::vector<CoreKey> logs;
  // Our log may go on elsewhere: it is not appended to any more (rule A2).
  bool retired = false;

  // The newest of our logs.
  const CoreKey& log() const { return logs.empty() ? identity : logs.back(); }
};

// All records by number.  DATA_LOSS  a record does not decode
absl::StatusOr<std::vector<BaseRecord>> LoadBases(Storage* storage);

void PutBase(StorageBatch* batch, const BaseRecord& record);
// Durable when it returns.
absl::Status SaveBase(Storage* storage, const BaseRecord& record);

// In the order in which they were saved; none if none were.  DATA_LOSS
absl::StatusOr<std::vector<std::string>> LoadAddresses(Storage* storage,
                                                       std::uint64_t number);

// Instead of those saved before; durable when it returns.
absl::Status SaveAddresses(Storage* storage, std::uint64_t number,
                           const std::vector<std::string>& addresses);

}  // namespace weft
