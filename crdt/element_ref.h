// Names for elements of a text or a list, as an op carries them.
//
// An element is named by the op that inserted it and its offset in what that op
// inserted. In the heap of a payload, after the key of an insert or a cut (every number
// is a compact uint in its shortest form):
//   insert := left:ref right:ref                       then the value
//   cut    := count:uint (ref count:uint)*             both counts at least 1
//   ref    := 00                                       the edge: start, or end
//           | 01 op_index offset                       an op of this block
//           | 02 position op_index offset              another block of this log
//           | 03 writer:32 position op_index offset    another log
//           | 04+n position op_index offset            the n-th log this block named so

#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "crdt/dot.h"
#include "engine/codec.h"

namespace weft {

struct ElementRef {
  enum class Place : std::uint8_t {
    kEdge,
    kThisBlock,   // op_index alone
    kThisLog,     // position and op_index
    kLog,         // another log: writer too
    kThisCommit,  // while it is written: `op_index` counts the ops of the commit
  };
  Place place = Place::kEdge;
  std::uint32_t op_index = 0;
  std::uint64_t position = 0;
  std::uint64_t offset = 0;
  ByteView writer;  // 32 bytes, borrowed

  bool is_edge() const { return place == Place::kEdge; }
};

struct ElementRange {
  ElementRef first;
  std::uint64_t count = 0;
};

// What an insert or a cut takes beside its value.
struct SequenceEdit {
  ElementRef left;
  ElementRef right;
  std::vector<ElementRange> ranges;
};

// Where the ops of a commit came to stand.
struct CommitLayout {
  std::uint64_t first_position = 0;      // of the commit's first block
  std::vector<std::uint32_t> first_ops;  // by block up to this one: its first op
};

// Writes and reads the refs of one block, in order.
class ElementRefWriter {
 public:
  void Write(const ElementRef& ref, const CommitLayout& layout, Writer& out);

 private:
  absl::flat_hash_map<std::string_view, std::size_t> writers_;  // by log, in order
};

class ElementRefReader {
 public:
  // Fails the reader on what is not the grammar.
  ElementRef Read(Reader& in);

 private:
  std::vector<ByteView> writers_;
  absl::flat_hash_set<std::string_view> named_;
};

// The most that one ref takes.
inline constexpr std::size_t kElementRefBytesMax = 1 + 32 + 9 + 9 + 9;

}  // namespace weft
