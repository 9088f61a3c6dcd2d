// The max and min lanes: the greatest, or the least, of the integers raised (D5).
//
// A raise stands while no del has seen it. Of those that stand, one is kept unless
// another that is at least as far has seen it: whatever removes the other has seen this
// one too.
//
//   state  := value:byte[8]          int64, two's complement, little-endian
//   stored := count:uint (stamp value:u64 buried:op*)*

#pragma once

#include <optional>

#include "crdt/lane.h"

namespace weft {

class ExtremeLane {
 public:
  struct Raise {
    Stamp stamp;
    std::int64_t value = 0;
    std::vector<LocalOp> buried_for;  // in a cell: see crdt/lanes/record.h
  };

  explicit ExtremeLane(bool greatest) : greatest_(greatest) {}

  void Apply(const Stamp& stamp, std::int64_t value, const CausalOrder& order);
  // All that `op` has seen.
  void Clear(const LocalOp& op, const CausalOrder& order);

  // The raise that shows: the farthest, of equals the one with the largest tie.
  const Raise* Winner(std::size_t presence, const WriterTable& writers) const;
  std::optional<std::int64_t> Value(std::size_t presence) const;
  const Stamp* Newest(std::size_t presence, const WriterTable& writers) const;
  bool empty() const { return raises_.empty(); }
  std::span<Raise> raises() { return raises_; }
  std::span<const Raise> raises() const { return raises_; }

  void WriteState(std::size_t presence, Writer& out) const;
  void Store(Writer& out) const;
  static ExtremeLane Read(bool greatest, std::size_t writers, Reader& in);

 private:
  bool AsFar(std::int64_t a, std::int64_t b) const {
    return greatest_ ? a >= b : a <= b;
  }

  bool greatest_;
  std::vector<Raise> raises_;
};

}  // namespace weft
