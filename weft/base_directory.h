// Which bases a store has: one record each, in family kMeta.
//
// key    := "base" number:u64 (big-endian)
// record := version:u8 name:buffer base_id:32 salt:32 identity:32 genesis:buffer
//           (version 2: invite_secret:32)
// Version 2 is of a base that was joined with an invite. The genesis is empty while no
// peer has given it. The number is that of the base's rows in the view. Records are
// few, written whole, and synced.
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
};

// All records by number.  DATA_LOSS  a record does not decode
absl::StatusOr<std::vector<BaseRecord>> LoadBases(Storage* storage);

// Durable when it returns.
absl::Status SaveBase(Storage* storage, const BaseRecord& record);

// In the order in which they were saved; none if none were.  DATA_LOSS
absl::StatusOr<std::vector<std::string>> LoadAddresses(Storage* storage,
                                                       std::uint64_t number);

// Instead of those saved before; durable when it returns.
absl::Status SaveAddresses(Storage* storage, std::uint64_t number,
                           const std::vector<std::string>& addresses);

}  // namespace weft
