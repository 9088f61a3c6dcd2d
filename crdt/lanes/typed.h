// The counter, set, max, min and flag lanes of one key, or of one cell of a record.
//
//   stored := lanes:u8 counter? set? max? min? flag?       1, 2, 4, 8, 16
//   typed  := (tag:u8 state)*                               canonical, by tag
// with each lane's own bytes (crdt/lanes/*.h).

#pragma once

#include <optional>

#include "crdt/lanes/counter.h"
#include "crdt/lanes/extreme.h"
#include "crdt/lanes/flag.h"
#include "crdt/lanes/set.h"
#include "crdt/operation.h"

namespace weft {

inline constexpr Lane kAllTypedLanes[] = {Lane::kCounter, Lane::kSet, Lane::kMax,
                                          Lane::kMin, Lane::kFlag};
inline constexpr LaneMask kTypedLanes = MaskOf(Lane::kCounter) | MaskOf(Lane::kSet) |
                                        MaskOf(Lane::kMax) | MaskOf(Lane::kMin) |
                                        MaskOf(Lane::kFlag);

// What an op does to one of these lanes.
struct TypedChange {
  Lane lane = Lane::kCounter;
  OpType type = OpType::kInc;  // kDel: removes what was seen
  std::uint8_t flags = 0;
  std::int64_t number = 0;  // of an inc or a raise
  std::string_view value;   // of an add or a remove: type byte and bytes
};

class TypedLanes {
 public:
  // The op must not lie in the past of one that was applied before. False if the result
  // is not exact, and the key has to be computed anew from its ops, with `fold` false.
  bool Apply(const TypedChange& change, const Stamp& stamp, const CausalOrder& order,
             bool fold);

  // `presence` as in crdt/lanes/counter.h: 1 outside of cells.
  LaneMask Readable(std::size_t presence) const;
  // Of a lane that is readable: its op with the largest tie.
  const Stamp* Newest(Lane lane, std::size_t presence,
                      const WriterTable& writers) const;
  bool has_conflict(std::size_t presence) const;
  bool empty() const;

  // Calls back with the first and the last op of every write that is kept, and what it
  // is buried for. The change of one call is that with `last` equal to its op.
  template <class Visit>
  void ForEach(Visit visit) {
    if (counter) {
      for (CounterLane::Part& part : counter->parts()) {
        visit(part.first, part.last.op, part.buried_for);
      }
    }
    if (set) {
      for (auto& [element, adds] : set->elements()) {
        for (SetLane::Add& add : adds)
          visit(add.stamp.op, add.stamp.op, add.buried_for);
      }
    }
    for (auto* extreme : {&max, &min}) {
      if (!*extreme) continue;
      for (ExtremeLane::Raise& raise : (*extreme)->raises()) {
        visit(raise.stamp.op, raise.stamp.op, raise.buried_for);
      }
    }
    if (flag) {
      for (FlagLane::Turn& turn : flag->turns()) {
        visit(turn.stamp.op, turn.stamp.op, turn.buried_for);
      }
    }
  }

  // The canonical state of a readable lane.
  void WriteState(Lane lane, std::size_t presence, const WriterTable& writers,
                  Writer& out) const;
  void Store(Writer& out) const;
  static TypedLanes Read(std::size_t writers, Reader& in);

  std::optional<CounterLane> counter;
  std::optional<SetLane> set;
  std::optional<ExtremeLane> max;
  std::optional<ExtremeLane> min;
  std::optional<FlagLane> flag;
};

}  // namespace weft
