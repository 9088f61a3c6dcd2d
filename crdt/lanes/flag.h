// The flag lane: on or off (D5).
//
// What counts is the ops that no later flag op and no del on the key has seen. If they
// disagree, on wins, unless one of them is a disable that says that it wins.
//
//   state  := count:uint (op_id flags:u8)*          canonical, by op id
//   stored := count:uint (stamp flags:u8 buried:op*)*
//   flags  := 1 enable | 2 a disable that wins

#pragma once

#include "crdt/lane.h"
#include "crdt/operation.h"

namespace weft {

class FlagLane {
 public:
  struct Turn {
    Stamp stamp;
    std::uint8_t flags = 0;
    std::vector<LocalOp> buried_for;  // in a cell: see crdt/lanes/record.h
  };

  void Apply(const Stamp& stamp, std::uint8_t flags, const CausalOrder& order);
  // All that `op` has seen.
  void Clear(const LocalOp& op, const CausalOrder& order);

  bool readable(std::size_t presence) const;
  bool enabled(std::size_t presence) const;
  // Ops that disagree stand beside each other.
  bool has_conflict(std::size_t presence) const;
  const Stamp* Newest(std::size_t presence, const WriterTable& writers) const;
  bool empty() const { return turns_.empty(); }
  std::span<Turn> turns() { return turns_; }
  std::span<const Turn> turns() const { return turns_; }

  void WriteState(std::size_t presence, const WriterTable& writers, Writer& out) const;
  void Store(Writer& out) const;
  static FlagLane Read(std::size_t writers, Reader& in);

 private:
  std::vector<Turn> turns_;
};

}  // namespace weft
