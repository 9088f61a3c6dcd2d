// Versions: which blocks of which writers a replica has settled (rule C1).
//
// A version vector is only lengths; a Version has the tree hash of each prefix and so
// names exact content. Its digest also covers fork points and parked positions, so
// that equal digests mean equal views.
//
// digest := BLAKE2b-256("weft version 1"
//             n:u64 (writer:32 length:u64 tree_hash:32)[n]     sorted by writer
//             m:u64 (forked writer:32 fork_point:u64)[m]       sorted by writer
//             p:u64 (parked writer:32 position:u64)[p])        sorted
// with every u64 little-endian.

#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "crdt/dot.h"

namespace weft {

using BaseId = FixedBytes<32, struct BaseIdTag>;  // secret: who knows it may read

// Lengths by writer; an absent writer has length 0 and none is stored.
class VersionVector {
 public:
  std::uint64_t length(const CoreKey& writer) const;
  bool Includes(const Dot& dot) const { return dot.position < length(dot.writer); }
  // True if every length of `other` is at most ours.
  bool Includes(const VersionVector& other) const;
  // Raises the length of `writer`; never lowers it.
  void Raise(const CoreKey& writer, std::uint64_t length);
  void Merge(const VersionVector& other);

  const absl::btree_map<CoreKey, std::uint64_t>& lengths() const { return lengths_; }
  // unordered if neither includes the other.
  friend std::partial_ordering operator<=>(const VersionVector& a,
                                           const VersionVector& b);
  bool operator==(const VersionVector& other) const = default;

 private:
  absl::btree_map<CoreKey, std::uint64_t> lengths_;
};

struct SettledPrefix {
  std::uint64_t length = 0;  // blocks, > 0
  TreeHash tree_hash;        // of the log at that length
  bool operator==(const SettledPrefix&) const = default;
};

struct Version {
  absl::btree_map<CoreKey, SettledPrefix> writers;
  absl::btree_map<CoreKey, std::uint64_t> forked;  // the smallest fork point proven
  absl::btree_set<Dot> parked;  // the first parked position of a log, if settled

  VersionVector vector() const;
  bool operator==(const Version&) const = default;
};

Hash32 VersionDigest(const Version& version);

}  // namespace weft
