// The op index: every op of the batches that were taken in, by arrival number, and per
// key the chain of its ops. Whether one has effect is asked of the authority, not here:
// that changes.
//
// Arrival numbers count these ops in the order in which this store took them in; they
// mean nothing elsewhere. Each op points to the one that arrived before it on the same
// key, so that all that was ever written to a key can be found, and with the causal
// graph put in order: for fates, for history, and to compute a key anew. (The key's
// Hasse diagram is not stored: the graph answers any pair at once, while finding the
// maximal earlier ops of one that stands beside a long chain would make a write as dear
// as that chain is long.)
//
// Row of the store: 64 ops, one after the other.
//   op := writer:uint position:uint op_index:uint hlc:u64 type:u8 flags:u8 lanes:u16
//         back:uint key:buffer
// `back` is this op's arrival number less that of the previous op on the key; 0: none.

#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "crdt/lane.h"
#include "engine/storage.h"

namespace weft {

struct OpRow {
  Stamp stamp;
  std::uint8_t type = 0;                  // OpType
  std::uint8_t flags = 0;                 // of the op
  std::uint16_t lanes = 0;                // bit n: speaks to lane n
  std::optional<std::uint64_t> previous;  // arrival number on the same key
};

// Not thread-safe: on the strand of its indexer.
class OpIndex {
 public:
  // Under `base` in family kView. `storage` must outlive it. `next`: the arrival
  // number of the first op to be added.
  OpIndex(Storage* storage, std::uint64_t base, std::uint64_t next);

  std::uint64_t next() const { return next_; }
  // Returns the op's arrival number.
  std::uint64_t Add(const OpRow& row, ByteView key);
  // NOT_FOUND  no such op yet;  DATA_LOSS  the row is malformed
  absl::StatusOr<std::pair<OpRow, std::string>> Read(std::uint64_t arrival);

  void Flush(StorageBatch* batch);
  // Reads the last chunk, which may have room. Call once after the constructor.
  absl::Status Load();

 private:
  absl::StatusOr<const Bytes*> Chunk(std::uint64_t number);

  Storage* storage_;  // not owned
  std::uint64_t base_;
  std::uint64_t next_;
  std::map<std::uint64_t, Bytes> unsaved_;
  std::uint64_t cached_number_ = UINT64_MAX;
  Bytes cached_;
};

}  // namespace weft
