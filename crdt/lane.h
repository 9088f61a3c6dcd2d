// What every lane is made of: writes that carry their op, and the question of order.
//
// A lane is the CRDT type that an op speaks to on a key. Its state takes one op at a
// time, in any order in which no op comes before one of its past; the result depends
// on the set of ops alone. A lane knows neither blocks nor clocks: it asks a
// CausalOrder whether one op lies in the past of another.
//
// Bytes that go into the view root (rule V1; every number is a compact uint):
//   op_id := writer:byte[32] position:uint op_index:uint
//   value := type:u8 size:uint content     content: the bytes or, where size > 32,
//                                          BLAKE2b-256(type bytes)
//   live  := op_id hlc_ms:uint hlc_counter:uint value

#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "crdt/writer_table.h"
#include "engine/bytes.h"
#include "engine/codec.h"

namespace weft {

// Happens-before among the ops of one base.
class CausalOrder {
 public:
  virtual ~CausalOrder() = default;
  // Whether `a` lies in the past of `b`. False for an op and itself.
  virtual bool Before(const LocalOp& a, const LocalOp& b) const = 0;
};

// One write of a value, or its removal (a del, an unset).
struct LaneWrite {
  Stamp stamp;
  bool is_set = false;
  std::string value;  // type byte and bytes (rule S9); empty unless is_set
};

// Of the lanes that a cell may hold too: a write shows unless it is buried for every
// one of the `presence` ops of its record (rule D11); outside of cells there is one,
// which buries nothing.
template <class Write>
bool Shows(const Write& write, std::size_t presence) {
  return write.buried_for.size() < presence;
}

// Lets `newest` point to the stamp with the largest tie among it and those of the
// writes that show. `stamp` is the member of a write.
template <class Writes, class Write>
void TakeNewest(const Writes& writes, Stamp Write::*stamp, std::size_t presence,
                const WriterTable& writers, const Stamp** newest) {
  for (const Write& write : writes) {
    if (!Shows(write, presence)) continue;
    if (*newest == nullptr || writers.TieLess(**newest, write.*stamp)) {
      *newest = &(write.*stamp);
    }
  }
}

// Canonical bytes; see the grammar above.
void WriteOpId(const LocalOp& op, const WriterTable& writers, Writer& out);
void WriteLive(const LaneWrite& write, const WriterTable& writers, Writer& out);

// Rows of the store: the same with local numbers and whole values. Read* fails the
// reader on a writer number at or above `writers`.
void StoreOp(const LocalOp& op, Writer& out);
LocalOp ReadOp(std::size_t writers, Reader& in);
void StoreStamp(const Stamp& stamp, Writer& out);
Stamp ReadStamp(std::size_t writers, Reader& in);
void StoreOps(std::span<const LocalOp> ops, Writer& out);
std::vector<LocalOp> ReadOps(std::size_t writers, Reader& in);
void StoreWrite(const LaneWrite& write, Writer& out);
LaneWrite ReadWrite(std::size_t writers, Reader& in);

// What goes into the leaf for one lane: its bytes, or the root of a nested trie.
inline constexpr std::size_t kLaneInlineBytesMax = 4096;

// Items of a nested trie: key and state.
using LaneItems = std::vector<std::pair<Bytes, Bytes>>;

}  // namespace weft
