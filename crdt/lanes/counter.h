// The counter lane: an exact sum of increments, and resets (D3).
//
// The value is the sum of the increments that no reset and no del has seen, in 128
// bits, which 2^63 increments cannot overflow; only the read-out saturates. A counter
// with no such increment is not readable.
//
// A reset cancels, of every log, all that lies in its past: a prefix of that log. So
// the increments of one log can be kept as sums over stretches of it. The newest are
// kept one by one and the older ones are folded together; a reset that had seen a part
// of a folded stretch, which takes one that stood beside many increments, is answered
// "not exact", and the key is computed anew from its ops.
//
//   state  := sum:byte[16]                         two's complement, little-endian
//   stored := count:uint (first:op last:stamp sum:byte[16] count:uint buried:op*)*

#pragma once

#include "crdt/lane.h"

namespace weft {

__extension__ using Int128 = __int128;

// Decimal digits, with a minus sign where it is negative.
std::string Decimal(Int128 value);
// The nearest that 64 bits hold.
std::int64_t Saturated(Int128 value);

class CounterLane {
 public:
  struct Part {
    LocalOp first;  // of one log, up to `last`
    Stamp last;
    Int128 sum = 0;
    std::uint64_t count = 1;
    std::vector<LocalOp> buried_for;  // in a cell: see crdt/lanes/record.h
  };

  void Add(const Stamp& stamp, std::int64_t delta);
  // Cancels what `op` has seen. False if that could not be told exactly.
  bool Reset(const LocalOp& op, const CausalOrder& order);
  // Folds old increments; exact as long as this was never called.
  void Fold();

  // `presence`: a part shows if it is buried for fewer ops than this; 1 outside of
  // cells.
  bool readable(std::size_t presence) const;
  Int128 Sum(std::size_t presence) const;
  const Stamp* Newest(std::size_t presence, const WriterTable& writers) const;
  // Whether the op is an increment that counts.
  bool Counts(const LocalOp& op, std::size_t presence) const;
  bool empty() const { return parts_.empty(); }
  std::span<Part> parts() { return parts_; }

  void WriteState(std::size_t presence, Writer& out) const;
  void Store(Writer& out) const;
  static CounterLane Read(std::size_t writers, Reader& in);

 private:
  std::vector<Part> parts_;  // those of one log in its order
};

}  // namespace weft
