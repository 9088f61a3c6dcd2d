// The set lane: add wins, observed remove (D4).
//
// An element is in the set while an add of it stands that no remove of it, no del and
// no later add of it has seen. A remove takes away the adds it has seen, so one beside
// it survives, and nothing needs to be kept of the remove: whatever comes later has
// either seen it or was not seen by it.
//
//   state  := elements:uint (value count:uint op_id*)*      canonical
//   value  := size:uint (type:u8 bytes)                      in byte order; op ids too
//   stored := elements:uint (value:buffer count:uint (stamp buried:op*)*)*

#pragma once

#include "absl/container/btree_map.h"
#include "absl/container/inlined_vector.h"
#include "crdt/lane.h"

namespace weft {

class SetLane {
 public:
  struct Add {
    Stamp stamp;
    std::vector<LocalOp> buried_for;  // in a cell: see crdt/lanes/record.h
  };
  using Adds = absl::InlinedVector<Add, 1>;

  // `element` is a type byte and bytes.
  void Insert(const Stamp& stamp, std::string_view element, const CausalOrder& order);
  void Remove(const LocalOp& op, std::string_view element, const CausalOrder& order);
  // All that `op` has seen.
  void Clear(const LocalOp& op, const CausalOrder& order);

  bool readable(std::size_t presence) const;
  // In byte order.
  std::vector<std::string_view> Elements(std::size_t presence) const;
  const Stamp* Newest(std::size_t presence, const WriterTable& writers) const;
  bool Stands(const LocalOp& op, std::size_t presence) const;
  bool Contains(std::string_view element, std::size_t presence) const;
  bool empty() const { return elements_.empty(); }
  absl::btree_map<std::string, Adds>& elements() { return elements_; }

  void WriteState(std::size_t presence, const WriterTable& writers, Writer& out) const;
  // Key: the element; state: count:uint op_id*.
  LaneItems Items(std::size_t presence, const WriterTable& writers) const;
  void Store(Writer& out) const;
  static SetLane Read(std::size_t writers, Reader& in);

 private:
  static void Forget(Adds& adds, const LocalOp& op, const CausalOrder& order);
  static Bytes AddsState(const Adds& adds, std::size_t presence,
                         const WriterTable& writers);

  absl::btree_map<std::string, Adds> elements_;
};

}  // namespace weft
