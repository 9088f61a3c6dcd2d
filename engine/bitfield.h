// A Bitfield says which blocks of a log are held, or which a peer says it holds.
//
// It is sparse in both directions: pages of 4096 bits that are neither empty nor full
// are kept as words, runs of full pages as one interval. A log that is held whole, or
// a peer's claim of 2^50 blocks, costs one interval; memory grows only with the number
// of calls that made bits differ from their neighbours.
//
// Not thread-safe. Bounds [from, to) are bit numbers; from <= to <= 2^53.

#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/container/btree_map.h"

namespace weft {

class Bitfield {
 public:
  static constexpr std::uint64_t kPageBits = 4096;
  static constexpr std::size_t kPageWords = kPageBits / 64;
  using Page = std::array<std::uint64_t, kPageWords>;  // bit i of word w is 64w + i

  Bitfield() = default;
  Bitfield(Bitfield&&) = default;
  Bitfield& operator=(Bitfield&&) = default;

  bool Get(std::uint64_t bit) const;
  // True if that changed it.
  bool Set(std::uint64_t bit, bool value = true);
  void SetRange(std::uint64_t from, std::uint64_t to, bool value);

  // How many bits are set: all of them, or those of [from, to).
  std::uint64_t count() const { return count_; }
  std::uint64_t Count(std::uint64_t from, std::uint64_t to) const;

  // The first set bit of [from, to), or nullopt.
  std::optional<std::uint64_t> FirstSet(std::uint64_t from, std::uint64_t to) const;
  // The first unset bit of [from, to), or nullopt.
  std::optional<std::uint64_t> FirstUnset(std::uint64_t from, std::uint64_t to) const;
  // The last set bit plus one; 0 if none is set.
  std::uint64_t end() const;

  // Pages that are neither empty nor full: what the memory is spent on.
  std::size_t pages() const { return parts_.size(); }
  // Memory it takes, roughly.
  std::size_t memory_bytes() const;
  // Bits [32 * word, 32 * word + 32), as the wire's bitfield message has them: bit i
  // of the word is block 32 * word + i.
  std::uint32_t Word32(std::uint64_t word) const;
  // Replaces those bits.
  void SetWord32(std::uint64_t word, std::uint32_t value);

  // The whole page; all zeros where nothing is held.
  Page PageAt(std::uint64_t page) const;
  void SetPage(std::uint64_t page, const Page& value);

 private:
  struct Part {
    Page words{};
    std::uint32_t set = 0;
  };

  bool IsFull(std::uint64_t page) const;
  // The page as words, made from nothing or cut out of a full run.
  Part* Open(std::uint64_t page);
  // Turns words that are empty or full back into nothing or a run.
  void Close(std::uint64_t page);
  void SetInPage(std::uint64_t page, std::uint64_t from, std::uint64_t to, bool value);
  void AddFull(std::uint64_t from, std::uint64_t to);
  void RemoveFull(std::uint64_t from, std::uint64_t to);
  void SetPages(std::uint64_t from, std::uint64_t to, bool value);

  // Disjoint from full_, neither empty nor full.
  absl::btree_map<std::uint64_t, std::unique_ptr<Part>> parts_;
  // Runs of full pages, first -> one past the last; never adjacent.
  absl::btree_map<std::uint64_t, std::uint64_t> full_;
  std::uint64_t count_ = 0;
};

}  // namespace weft
