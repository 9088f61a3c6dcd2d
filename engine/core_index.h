// What a store keeps in memory of its cores: a summary of each, found by number of
// entry or by discovery key, and the caches that its open cores share.
//
// Not thread-safe: it lives on the strand of the store. Open cores hold it, so that it
// outlives the Corestore if they do.

#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "engine/block_rows.h"
#include "engine/core_record.h"
#include "engine/tree_pages.h"

namespace weft {

class Hypercore;

class CoreIndex {
 public:
  struct Entry {
    CoreSummary summary;
    std::uint64_t durable_length = 0;
    bool purged = false;
    bool listed_undurable = false;
  };

  // 2.6 MiB of tree pages, and at most 128 KiB of blocks for each of 64 cores.
  CoreIndex() : pages(1024), rows(64), by_discovery_key_(0, Hasher{this}, Same{this}) {}
  CoreIndex(const CoreIndex&) = delete;
  CoreIndex& operator=(const CoreIndex&) = delete;

  std::size_t Add(const CoreSummary& summary) {
    entries_.push_back({.summary = summary, .durable_length = summary.length});
    by_discovery_key_.insert(entries_.size() - 1);
    return entries_.size() - 1;
  }
  void Reserve(std::size_t count) { by_discovery_key_.reserve(count); }
  // Forgets a core whose records were deleted.
  void Purge(std::size_t entry) {
    by_discovery_key_.erase(entry);
    pages.EraseCore(entries_[entry].summary.number);
    rows.EraseCore(entries_[entry].summary.number);
    entries_[entry].purged = true;
    ++purged_;
  }

  std::optional<std::size_t> Find(const DiscoveryKey& key) const {
    const auto found = by_discovery_key_.find(key);
    if (found == by_discovery_key_.end()) return std::nullopt;
    return *found;
  }
  Entry& at(std::size_t entry) { return entries_[entry]; }
  const Entry& at(std::size_t entry) const { return entries_[entry]; }
  // Purged ones included.
  const std::deque<Entry>& entries() const { return entries_; }
  std::size_t size() const { return entries_.size() - purged_; }
  std::uint64_t next_number() const {
    return entries_.empty() ? 1 : entries_.back().summary.number + 1;
  }

  // Something of this core is in the log of the storage only.
  void ListUndurable(std::size_t entry) {
    if (entries_[entry].listed_undurable) return;
    entries_[entry].listed_undurable = true;
    undurable_.push_back(entry);
  }
  std::vector<std::size_t> TakeUndurable() {
    for (const std::size_t entry : undurable_) entries_[entry].listed_undurable = false;
    return std::exchange(undurable_, {});
  }

  TreePageCache pages;
  BlockRowCache rows;
  absl::flat_hash_map<std::size_t, std::weak_ptr<Hypercore>> open;

 private:
  struct Hasher {
    using is_transparent = void;
    std::size_t operator()(const DiscoveryKey& key) const {
      return absl::Hash<DiscoveryKey>()(key);
    }
    std::size_t operator()(std::size_t entry) const {
      return (*this)(index->entries_[entry].summary.discovery_key);
    }
    const CoreIndex* index;
  };
  struct Same {
    using is_transparent = void;
    bool operator()(std::size_t a, std::size_t b) const { return a == b; }
    bool operator()(std::size_t a, const DiscoveryKey& key) const {
      return index->entries_[a].summary.discovery_key == key;
    }
    bool operator()(const DiscoveryKey& key, std::size_t a) const {
      return (*this)(a, key);
    }
    const CoreIndex* index;
  };

  // In the order of their numbers. Open cores hand out references to their keys, which
  // adding a core must not move.
  std::deque<Entry> entries_;
  absl::flat_hash_set<std::size_t, Hasher, Same> by_discovery_key_;
  std::vector<std::size_t> undurable_;
  std::size_t purged_ = 0;
};

}  // namespace weft
