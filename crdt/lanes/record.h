// The record lane: a map from column to a register, or to lanes 3 to 7, under one key
// (rule D11).
//
// Presence is the record ops (set, unset or neither) that no other record op has seen
// and that lie in the past of no record delete; the record is readable while there is
// one. A cell write is buried for a presence op if some delete has the write in its
// past and lies in the past of that presence op, and the row that the op has seen did
// not show the write all the same; a cell shows the unseen sets of its column that are
// not buried for every presence op. So a row made anew starts empty, an edit beside a
// delete brings back the whole row that its author saw, and edits of a row that came
// back leave it whole.
//
// One op at a time: a new record op finds at its arrival what is buried for it, and a
// delete that comes later never buries for it, because it cannot lie in its past. What
// is kept of the deletes is what can still bury: those that have a kept cell write in
// their past, least first, and the delete-wins ones that no later one has seen (every
// record op beside such a delete counts as in its past). A delete that no record op
// stands beside buries for whoever has seen it: nobody can have seen a row that came
// back. Of one that raced with a record op that is only known of who has seen all there
// is; for others the key is computed anew, with all its ops at hand.
//
// In a cell of another lane the rules of that lane say which writes count; those that
// are buried for every presence op do not. A column may hold several lanes.
//
//   state  := presence:uint op_id* columns:uint column* [typed]  canonical
//   column := name_bytes:uint name count:uint live*             by name; live by op id
//   typed  := cells:uint (name_bytes:uint name tag:u8 state)*   by name and tag; left
//                                                               out if there are none
//   stored := presence:uint (op hlc:u64)* deletes:uint (op hlc:u64 flags:u8)*
//             columns:uint (name_bytes:uint name writes:uint (write buried:uint op*)*
//             typed?)*               writes: 2 * count, plus 1 if typed lanes follow
//   flags  := 1 delete-wins | 2 standing | 4 raced

#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "crdt/lanes/typed.h"

namespace weft {

// One cell of a record op: a set, or an unset if `is_set` is false; or a change to one
// of the lanes 3 to 7.
struct CellChange {
  std::string_view column;
  bool is_set = false;
  std::string_view value;  // type byte and bytes
  std::optional<TypedChange> typed = {};
};

class RecordLane {
 public:
  struct Cell {
    LaneWrite write;
    std::vector<LocalOp> buried_for;  // presence ops; others are dropped
  };
  struct Column {
    std::string name;
    absl::InlinedVector<Cell, 1> cells;  // writes that no other has seen
    std::vector<TypedLanes> typed;       // none or one
  };
  struct Delete {
    Stamp stamp;
    bool delete_wins = false;
    bool standing = true;  // no other op on the record has seen it
    bool raced = false;    // some record op stands beside it
  };

  // The op must not lie in the past of one that was applied before. A column occurs
  // at most once in `cells`. False if the result is not exact: see TypedLanes::Apply.
  // Without `fold` every op there is of the key is applied, from the first on, and from
  // then on every result is exact, until EndReplay forgets what that takes.
  bool Write(const Stamp& stamp, std::span<const CellChange> cells,
             const CausalOrder& order, bool fold = true);
  bool Erase(const Stamp& stamp, bool delete_wins, const CausalOrder& order,
             bool fold = true);
  void EndReplay() { history_.reset(); }
  // Of memory, until then.
  std::size_t replay_bytes() const { return history_ ? history_->bytes : 0; }

  bool readable() const { return !presence_.empty(); }
  bool empty() const {
    return presence_.empty() && deletes_.empty() && columns_.empty();
  }
  // Some cell shows more than one value.
  bool has_conflict() const;
  // A delete stands that had not seen all of the record.
  bool deleted_concurrently() const;

  std::span<const Stamp> presence() const { return presence_; }
  std::span<const Delete> deletes() const { return deletes_; }
  std::span<const Column> columns() const { return columns_; }  // by name
  bool Shows(const Cell& cell) const;
  // The values that a column shows, the winner first, then by falling tie.
  std::vector<const LaneWrite*> Live(const Column& column,
                                     const WriterTable& writers) const;
  // The lanes 3 to 7 that a column shows; ask column.typed[0] with presence_count().
  LaneMask TypedLanesOf(const Column& column) const;
  std::size_t presence_count() const { return presence_.size(); }

  // Appends the canonical state; only for a readable record.
  void WriteState(const WriterTable& writers, Writer& out) const;
  // The canonical bytes of the live sets of one column: count:uint live*.
  void WriteColumn(const Column& column, const WriterTable& writers, Writer& out) const;

  void Store(Writer& out) const;
  static RecordLane Read(std::size_t writers, Reader& in);

 private:
  Column& ColumnOf(std::string_view name);
  bool ApplyCell(const Stamp& stamp, const CellChange& change,
                 const CausalOrder& order);
  bool ApplyTyped(const Stamp& stamp, const CellChange& change,
                  const CausalOrder& order, bool fold);
  void BuryNew(const LocalOp& op, const CausalOrder& order,
               std::vector<LocalOp>& buried_for);
  // Of a replay: what was buried for each record op, by writer and in his order.
  struct History {
    struct Write {
      LocalOp op;
      std::shared_ptr<const std::vector<LocalOp>> buried;  // shared by many
    };
    std::map<WriterNumber, std::vector<Write>> writes;
    std::vector<Delete> deletes;
    std::size_t bytes = 0;
  };
  // What the author of a new record op had seen of the row.
  struct Seen {
    std::vector<const Delete*> deletes;  // of those kept; until they are pruned
    // What follows is known only where there is such a delete.
    bool all = false;               // that is here
    std::vector<LocalOp> presence;  // of it, before the op came
    // In a replay; until there is another write.
    std::vector<const History::Write*> row;
  };
  void LookAtRow(const LocalOp& op, const CausalOrder& order, Seen* seen) const;
  bool WasShown(const LocalOp& write, const Seen& seen, const CausalOrder& order) const;
  void Remember(const LocalOp& op, std::vector<LocalOp> buried);
  template <class Visit>
  void VisitCells(Visit visit);
  bool Bury(const LocalOp& op, bool is_present, const Seen& seen,
            const CausalOrder& order);
  void ForgetPresence();
  void PruneDeletes(const CausalOrder& order);
  bool IsNeeded(const Delete& candidate, const CausalOrder& order);
  void WriteTyped(const WriterTable& writers, Writer& out) const;

  absl::InlinedVector<Stamp, 1> presence_;
  std::vector<Delete> deletes_;
  std::vector<Column> columns_;
  std::shared_ptr<History> history_;
  bool buried_ = false;       // some cell is buried for some presence op
  std::size_t prune_at_ = 4;  // deletes; doubling keeps pruning amortised
};

}  // namespace weft
