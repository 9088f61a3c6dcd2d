#include "crdt/version.h"

#include <algorithm>

#include "engine/codec.h"

namespace weft {

std::uint64_t VersionVector::length(const CoreKey& writer) const {
  const auto found = lengths_.find(writer);
  return found == lengths_.end() ? 0 : found->second;
}

bool VersionVector::Includes(const VersionVector& other) const {
  return std::all_of(
      other.lengths_.begin(), other.lengths_.end(),
      [this](const auto& entry) { return entry.second <= length(entry.first); });
}

void VersionVector::Raise(const CoreKey& writer, std::uint64_t length) {
  if (length == 0) return;
  std::uint64_t& own = lengths_[writer];
  own = std::max(own, length);
}

void VersionVector::Merge(const VersionVector& other) {
  for (const auto& [writer, length] : other.lengths_) Raise(writer, length);
}

std::partial_ordering operator<=>(const VersionVector& a, const VersionVector& b) {
  const bool above = a.Includes(b);
  const bool below = b.Includes(a);
  if (above && below) return std::partial_ordering::equivalent;
  if (above) return std::partial_ordering::greater;
  if (below) return std::partial_ordering::less;
  return std::partial_ordering::unordered;
}

VersionVector Version::vector() const {
  VersionVector result;
  for (const auto& [writer, prefix] : writers) result.Raise(writer, prefix.length);
  return result;
}

Hash32 VersionDigest(const Version& version) {
  Bytes message = ToBytes("weft version 1");
  Writer writer(&message);
  writer.U64(version.writers.size());
  for (const auto& [key, prefix] : version.writers) {
    writer.Raw(key.view());
    writer.U64(prefix.length);
    writer.Raw(prefix.tree_hash.view());
  }
  writer.U64(version.forked.size());
  for (const auto& [key, fork_point] : version.forked) {
    writer.Raw(key.view());
    writer.U64(fork_point);
  }
  writer.U64(version.parked.size());
  for (const Dot& dot : version.parked) {
    writer.Raw(dot.writer.view());
    writer.U64(dot.position);
  }
  return Blake2b256(message);
}

}  // namespace weft
