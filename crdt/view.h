// The view: the state of every key, hot in memory and written back sorted.
//
// One strand changes it; any thread reads. A batch is applied under one hold of the
// lock, so that reads see it whole or not at all; what it needs from the storage is
// read before. Keys that nobody changed since the last flush may be dropped from memory
// at one; as long as none was dropped, a key that is not in memory is new and costs no
// look-up.

#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "crdt/indexer.h"
#include "crdt/view_leaf.h"
#include "engine/trie.h"

namespace weft {

class View {
 public:
  struct Entry {
    std::string key;
    KeyState state;
    bool dirty = false;       // since the last flush
    bool leaf_dirty = false;  // since the trie was last told
    bool readable = false;    // as counted
    bool conflict = false;    // as counted
    bool conflict_stored = false;
  };
  struct Counts {
    std::uint64_t keys = 0;       // readable
    std::uint64_t conflicts = 0;  // keys with conflicts
  };

  // `storage` must outlive it. `empty`: nothing is stored under this base.
  View(Storage* storage, std::uint64_t base, std::size_t siblings_max, bool empty,
       const Counts& counts);

  // --- the strand ---
  // Brings the keys into memory as far as they are stored.
  absl::Status Load(std::span<const std::string_view> keys);
  // To be held for Touch, Changed and ResolveHeld, and to add a writer; what else needs
  // it takes it.
  std::mutex& mutex() const { return mutex_; }
  WriterTable& writers() { return writers_; }
  // The entry of a key that was loaded, made if there is none. Valid until a flush.
  Entry* Touch(std::string_view key);
  // To be called when the state of the entry has changed.
  void Changed(Entry* entry);
  // A text or list as it is now, null if nothing ever spoke to it; valid until the next
  // change or flush.
  absl::StatusOr<const SequenceLane*> HeldSequence(std::string_view key, Lane tag);
  ViewEntry ResolveHeld(const Entry& entry) const;

  // While everything is computed anew readers wait: to forget every key, whose rows
  // were deleted, and for the end of it. The writers stay.
  void BeginAnew();
  void Forget();
  void EndAnew();

  Counts counts() const { return counts_; }
  // Tells the trie what changed since the last time.
  absl::Status UpdateTrie(Trie* trie);
  // Adds the changed rows to `batch`; after it was committed, MarkFlushed.
  void Flush(StorageBatch* batch);
  void MarkFlushed(std::size_t cache_keys_max);

  // --- any thread ---
  absl::StatusOr<ViewEntry> Get(std::string_view key) const;
  // The lanes that are readable at the key.
  absl::StatusOr<LaneMask> LanesAt(std::string_view key) const;
  // Calls `use` with a text or list, which it must not keep; not at all if nothing ever
  // spoke to that lane of the key. Other readers and changes wait meanwhile.
  absl::Status ReadSequence(std::string_view key, Lane tag,
                            const std::function<void(const SequenceLane&)>& use) const;
  std::unique_ptr<ViewScan> Scan(std::string_view from,
                                 std::optional<std::string_view> to, bool reverse,
                                 bool conflicts_only,
                                 std::uint64_t limit = UINT64_MAX) const;

 private:
  friend class ViewScanner;

  // Calls back with the state of a key, if it has any, under the lock.
  template <class Use>
  absl::Status WithState(std::string_view key, Use use) const;
  // dirty_ in order of keys; under the lock.
  const std::vector<Entry*>& DirtyInOrder() const;
  // A stored row and what belongs to it; `snapshot` may be null.
  absl::StatusOr<KeyState> Decode(std::string_view key, ByteView row,
                                  const StorageSnapshot* snapshot) const;
  void FlushPages(std::string_view key, Lane tag, SequenceLane* lane,
                  StorageBatch* batch) const;
  absl::Status ReadPages(std::string_view key, Lane tag, SequenceLane* lane,
                         const StorageSnapshot* snapshot) const;

  Storage* storage_;  // not owned
  std::uint64_t base_;
  std::size_t siblings_max_;
  mutable std::mutex mutex_;
  mutable std::condition_variable ready_;
  bool anew_ = false;  // readers wait for `ready_`
  WriterTable writers_;
  absl::flat_hash_map<std::string_view, std::unique_ptr<Entry>> entries_;
  bool complete_;  // every stored key is in entries_
  std::vector<Entry*> dirty_;
  // The first of them in order of keys, as of the last scan.
  mutable std::vector<Entry*> dirty_in_order_;
  std::vector<Entry*> leaf_dirty_;
  Counts counts_;
};

}  // namespace weft
