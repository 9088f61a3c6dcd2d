// What an open core is made of, and the one way in which it changes: an edit is
// gathered beside the state, committed to the storage, and only then taken over.
//
// Internal to engine/hypercore*.cc and engine/corestore.cc.

#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "absl/container/btree_set.h"
#include "engine/core_index.h"
#include "engine/hypercore.h"

namespace weft {

// Blocks [from, to) become held, or are no longer held.
struct BlockRun {
  std::uint64_t from = 0;
  std::uint64_t to = 0;
  bool held = true;
};

// One change of a core. A failed commit leaves the state as it was.
struct CoreEdit {
  explicit CoreEdit(const Hypercore::State& state);

  CoreTip tip;
  std::optional<Manifest> manifest;
  NodeEditor nodes;
  StorageBatch batch;  // the rows of blocks so far
  std::vector<BlockRun> runs;
  // How many blocks of the old log are still those of the new one.
  std::uint64_t kept_length;
};

struct Hypercore::State {
  State(Storage* the_storage, std::shared_ptr<CoreIndex> the_index,
        std::size_t the_entry);
  ~State();

  // Reads the head of an entry and verifies its signature.
  // DATA_LOSS  it does not hold, or a record is damaged
  static absl::StatusOr<std::unique_ptr<State>> Load(Storage* storage,
                                                     std::shared_ptr<CoreIndex> index,
                                                     std::size_t entry);

  CoreIndex::Entry& entry() { return index->at(entry_number); }
  const CoreIndex::Entry& entry() const { return index->at(entry_number); }
  const CoreSummary& summary() const { return entry().summary; }

  // FAILED_PRECONDITION  the core was purged
  absl::Status CheckUsable() const;
  absl::Status CheckWritable() const;
  // The manifest, or that of a compat core where none came yet.
  Manifest ManifestOrCompat() const;

  // Stores the edit and takes it over; tells nobody.
  absl::Status Commit(CoreEdit edit, Durability durability);
  // The same in steps, for edits of several cores that share a commit: Stage fills
  // edit.batch, which the caller commits whole; then Publish must be called, or Undo if
  // the commit failed. Between them the core must not be used.
  struct Staged;
  Staged Stage(CoreEdit& edit);
  void Publish(CoreEdit edit, const Staged& staged, Durability durability);
  void Undo(const Staged& staged);
  void Notify(std::span<const CoreEvent> events);

  Storage* storage;  // not owned
  std::shared_ptr<CoreIndex> index;
  std::size_t entry_number;
  CoreTip tip;
  std::optional<Manifest> manifest;
  std::optional<SecretKey> secret_key;
  Bitfield bitfield;
  absl::btree_set<std::uint64_t> stored_bitfield_pages;
  StoredNodes nodes;
  BlockRows rows;
  std::vector<std::weak_ptr<Observer>> observers;

 private:
  struct PageChange {
    std::uint64_t number = 0;
    bool stored = false;
  };
  absl::Status LoadBitfield();
  absl::Status CheckSigned() const;
  // Applies the runs to the bitfield; returns what undoes that, in order.
  std::vector<BlockRun> ApplyRuns(std::span<const BlockRun> runs);
  // Adds the pages that the runs, once applied, made differ from what is stored.
  std::vector<PageChange> StageBitfield(std::span<const BlockRun> runs,
                                        std::uint64_t old_contiguous,
                                        std::uint64_t contiguous,
                                        StorageBatch* batch) const;
};

// What becomes of a core when its edit is on the disk.
struct Hypercore::State::Staged {
  CoreSummary summary;
  bool dropped = false;        // rows of blocks
  std::vector<BlockRun> undo;  // of the bitfield, in order
  std::vector<PageChange> pages;
};

// The node of `tree_index`, which has to be there.  DATA_LOSS  it is not
absl::StatusOr<TreeNode> RequireNode(const NodeSource& nodes, std::uint64_t tree_index);

}  // namespace weft
