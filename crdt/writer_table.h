// Local numbers for writers, and the orders that are made of their keys.
//
// Inside one base of one store a writer is a small number, given in the order in which
// the store met it. Numbers never leave the store: whatever is hashed, compared
// between replicas or shown uses the key. Two orders need the keys: that of op ids, in
// which canonical bytes list ops, and that of ties, which chooses the winner among
// concurrent values (semantics, part 5).

#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "engine/crypto.h"

namespace weft {

using WriterNumber = std::uint32_t;

// One op, named by the local number of its writer.
struct LocalOp {
  WriterNumber writer = 0;
  std::uint32_t op_index = 0;
  std::uint64_t position = 0;
  bool operator==(const LocalOp&) const = default;
};

// An op and its author's clock: (ms << 16) | counter, which sorts as the pair does.
struct Stamp {
  LocalOp op;
  std::uint64_t hlc = 0;
};

// Not thread-safe: the view's, under the lock that the view names.
class WriterTable {
 public:
  WriterNumber Add(const CoreKey& key) {
    const auto [entry, added] =
        numbers_.try_emplace(key, static_cast<WriterNumber>(keys_.size()));
    if (added) keys_.push_back(key);
    return entry->second;
  }
  std::optional<WriterNumber> Find(const CoreKey& key) const {
    const auto found = numbers_.find(key);
    if (found == numbers_.end()) return std::nullopt;
    return found->second;
  }
  const CoreKey& key(WriterNumber writer) const { return keys_[writer]; }
  std::size_t size() const { return keys_.size(); }
  void Clear() {
    numbers_.clear();
    keys_.clear();
  }

  // The order of op ids: key bytes, position, op index.
  bool IdLess(const LocalOp& a, const LocalOp& b) const {
    if (a.writer != b.writer) return key(a.writer) < key(b.writer);
    if (a.position != b.position) return a.position < b.position;
    return a.op_index < b.op_index;
  }
  // The order of ties: clock, then op id. The larger wins.
  bool TieLess(const Stamp& a, const Stamp& b) const {
    if (a.hlc != b.hlc) return a.hlc < b.hlc;
    return IdLess(a.op, b.op);
  }

 private:
  absl::flat_hash_map<CoreKey, WriterNumber> numbers_;
  std::vector<CoreKey> keys_;
};

}  // namespace weft
