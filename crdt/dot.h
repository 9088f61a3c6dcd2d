// Dots name blocks, op ids name operations, ties order what causality does not.
//
// A writer is one incarnation of an identity, that is one hypercore; its name is the
// core's key. The all-zero key is no core: with it and position 0, op i names the
// grant that the genesis gives to founder i, so that every grant has an op id.

#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "crdt/hybrid_clock.h"
#include "engine/crypto.h"

namespace weft {

struct Dot {
  CoreKey writer;
  std::uint64_t position = 0;  // block index in the writer's log

  auto operator<=>(const Dot&) const = default;

  template <class H>
  friend H AbslHashValue(H state, const Dot& dot) {
    return H::combine(std::move(state), dot.writer, dot.position);
  }
};

// Ordered by writer key bytes, position, op index: the order of op ids everywhere.
struct OpId {
  CoreKey writer;
  std::uint64_t position = 0;
  std::uint32_t op_index = 0;  // order inside the block

  Dot dot() const { return {writer, position}; }
  auto operator<=>(const OpId&) const = default;

  template <class H>
  friend H AbslHashValue(H state, const OpId& id) {
    return H::combine(std::move(state), id.writer, id.position, id.op_index);
  }
};

// The larger tie wins among concurrent ops (part 5 of the semantics). The member order
// is the order of comparison.
struct Tie {
  Hlc hlc;
  OpId id;
  auto operator<=>(const Tie&) const = default;
};

// The op id of the grant that the genesis gives to founder `founder_index`.
inline OpId GenesisGrantId(std::uint32_t founder_index) {
  return {CoreKey{}, 0, founder_index};
}
inline bool IsGenesisGrantId(const OpId& id) {
  return id.writer == CoreKey{};
}

// `writer:position.index`, the writer in z-base-32 (52 characters).
std::string ToText(const OpId& id);
// nullopt if the text is not exactly what ToText writes for some op id.
std::optional<OpId> ParseOpId(std::string_view text);

}  // namespace weft
