// The register lane: a multi-value register underneath, last-writer-wins on top (D1).
//
// The state is the set of effective ops on the key that no other effective op has
// seen. A del removes exactly what it has seen; a put beside it survives. The live put
// with the largest tie is the value, the others are its conflicts.
//
//   state  := count:uint live*                      canonical, by op id (crdt/lane.h)
//   stored := count:uint write*                     with local numbers, dels included

#pragma once

#include <vector>

#include "absl/container/inlined_vector.h"
#include "crdt/lane.h"

namespace weft {

class RegisterLane {
 public:
  // `write` must not lie in the past of an op that was applied before.
  void Apply(LaneWrite write, const CausalOrder& order);

  // Whether a put is live.
  bool readable() const;
  // The live puts, the winner first, then by falling tie.
  std::vector<const LaneWrite*> Live(const WriterTable& writers) const;
  // The winner; null if nothing is live.
  const LaneWrite* Winner(const WriterTable& writers) const;
  // Puts and dels that nothing has seen yet, in no particular order.
  std::span<const LaneWrite> writes() const { return writes_; }
  // Whether a del stands that had not seen the live puts.
  bool deleted_concurrently() const;
  // More than one live put.
  bool has_conflict() const;

  // Appends the canonical state.
  void WriteState(const WriterTable& writers, Writer& out) const;

  void Store(Writer& out) const;
  static RegisterLane Read(std::size_t writers, Reader& in);

 private:
  absl::InlinedVector<LaneWrite, 1> writes_;
};

}  // namespace weft
