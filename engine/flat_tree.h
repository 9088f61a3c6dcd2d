// The numbering of a binary tree that only grows to the right: index arithmetic.
//
// Leaf i has tree index 2i; a node of depth d and offset o within its depth has
// index (2o + 1) * 2^d - 1, so its depth is the number of trailing one bits. A log of
// n blocks is a row of complete subtrees, its full roots: one for each set bit of n.
//
//   7                depth 3
//   3       11       depth 2
//   1   5   9   13   depth 1
//   0 2 4 6 8 ...    the leaves
//
// Source: the wire specification, 2.1. Everything is pure and constexpr. Callers keep
// every index at or below kTreeIndexMax, where none of the sums can overflow.

#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace weft::flat_tree {

// More blocks than this no log may have, so that indices stay in 53 bits, which is
// what an integer on the wire can carry.
inline constexpr std::uint64_t kLengthMax = std::uint64_t{1} << 52;
inline constexpr std::uint64_t kTreeIndexMax = 2 * kLengthMax - 2;
inline constexpr int kDepthMax = 52;

constexpr int Depth(std::uint64_t index) {
  return std::countr_one(index);
}
constexpr std::uint64_t Offset(std::uint64_t index) {
  return index >> (Depth(index) + 1);
}
constexpr std::uint64_t Index(int depth, std::uint64_t offset) {
  return ((2 * offset + 1) << depth) - 1;
}

constexpr std::uint64_t Parent(std::uint64_t index) {
  const int depth = Depth(index);
  return Index(depth + 1, (index >> (depth + 1)) / 2);
}
constexpr std::uint64_t Sibling(std::uint64_t index) {
  const int depth = Depth(index);
  return Index(depth, (index >> (depth + 1)) ^ 1);
}
// The children of an inner node: `index` is odd.
constexpr std::uint64_t LeftChild(std::uint64_t index) {
  return index - (std::uint64_t{1} << (Depth(index) - 1));
}
constexpr std::uint64_t RightChild(std::uint64_t index) {
  return index + (std::uint64_t{1} << (Depth(index) - 1));
}

// The first and the last leaf below a node, as tree indices.
constexpr std::uint64_t LeftSpan(std::uint64_t index) {
  return Offset(index) << (Depth(index) + 1);
}
constexpr std::uint64_t RightSpan(std::uint64_t index) {
  return index + (std::uint64_t{1} << Depth(index)) - 1;
}
constexpr bool Contains(std::uint64_t node, std::uint64_t index) {
  return LeftSpan(node) <= index && index <= RightSpan(node);
}
// How many blocks are below a node.
constexpr std::uint64_t Leaves(std::uint64_t index) {
  return std::uint64_t{1} << Depth(index);
}
// True if all leaves below the node are among the first `length` blocks.
constexpr bool IsComplete(std::uint64_t index, std::uint64_t length) {
  return RightSpan(index) < 2 * length;
}

// The full roots of a log of `length` blocks, left to right.
class FullRoots {
 public:
  constexpr explicit FullRoots(std::uint64_t length) {
    std::uint64_t start = 0;  // leaves passed
    for (std::uint64_t rest = length; rest != 0;) {
      const int depth = static_cast<int>(std::bit_width(rest)) - 1;
      roots_[size_++] = Index(depth, start >> depth);
      start += std::uint64_t{1} << depth;
      rest -= std::uint64_t{1} << depth;
    }
  }
  constexpr const std::uint64_t* begin() const { return roots_.data(); }
  constexpr const std::uint64_t* end() const { return roots_.data() + size_; }
  constexpr std::size_t size() const { return size_; }
  constexpr std::uint64_t operator[](std::size_t i) const { return roots_[i]; }

 private:
  std::array<std::uint64_t, 64> roots_{};
  std::size_t size_ = 0;
};

static_assert(Parent(4) == 5 && Sibling(4) == 6 && LeftSpan(11) == 8);
static_assert(RightSpan(11) == 14 && LeftChild(7) == 3 && RightChild(7) == 11);
static_assert(FullRoots(10).size() == 2 && FullRoots(10)[1] == 17);

}  // namespace weft::flat_tree
