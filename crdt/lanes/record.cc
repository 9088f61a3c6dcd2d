#include "crdt/lanes/record.h"

#include <algorithm>

namespace weft {
namespace {

// Whether a delete treats an op as part of its past: what it has seen and, where
// deletes win, what stands beside it.
bool Covers(const RecordLane::Delete& del, const LocalOp& op,
            const CausalOrder& order) {
  if (order.Before(op, del.stamp.op)) return true;
  return del.delete_wins && !order.Before(del.stamp.op, op);
}

template <class Container, class Predicate>
bool EraseIf(Container& container, Predicate predicate) {
  const auto kept = std::remove_if(container.begin(), container.end(), predicate);
  if (kept == container.end()) return false;
  container.erase(kept, container.end());
  return true;
}

}  // namespace

bool RecordLane::Write(const Stamp& stamp, std::span<const CellChange> cells,
                       const CausalOrder& order, bool fold) {
  if (!fold && history_ == nullptr) history_ = std::make_shared<History>();
  fold = fold && history_ == nullptr;
  bool dead = false;
  Seen seen;
  for (Delete& del : deletes_) {
    if (order.Before(del.stamp.op, stamp.op)) {
      del.standing = false;
      seen.deletes.push_back(&del);
    } else {
      del.raced = true;
      dead = dead || del.delete_wins;
    }
  }
  if (!seen.deletes.empty()) LookAtRow(stamp.op, order, &seen);
  const bool fewer = EraseIf(
      presence_, [&](const Stamp& other) { return order.Before(other.op, stamp.op); });
  bool exact = true;
  for (const CellChange& change : cells) {
    exact &= change.typed ? ApplyTyped(stamp, change, order, fold)
                          : ApplyCell(stamp, change, order);
  }
  if (!dead) presence_.push_back(stamp);
  // Others may have seen the row of one that is dead here.
  if (!dead || history_ != nullptr) exact &= Bury(stamp.op, !dead, seen, order);
  if (fewer) ForgetPresence();
  PruneDeletes(order);
  return exact;
}

RecordLane::Column& RecordLane::ColumnOf(std::string_view name) {
  auto column = std::lower_bound(
      columns_.begin(), columns_.end(), name,
      [](const Column& a, std::string_view other) { return a.name < other; });
  if (column == columns_.end() || column->name != name) {
    column = columns_.insert(column, Column{std::string(name), {}, {}});
  }
  return *column;
}

bool RecordLane::ApplyCell(const Stamp& stamp, const CellChange& change,
                           const CausalOrder& order) {
  Column& column = ColumnOf(change.column);
  EraseIf(column.cells, [&](const Cell& cell) {
    return order.Before(cell.write.stamp.op, stamp.op);
  });
  Cell cell;
  cell.write = {stamp, change.is_set, std::string(change.value)};
  BuryNew(stamp.op, order, cell.buried_for);
  column.cells.push_back(std::move(cell));
  return true;
}

bool RecordLane::ApplyTyped(const Stamp& stamp, const CellChange& change,
                            const CausalOrder& order, bool fold) {
  Column& column = ColumnOf(change.column);
  if (column.typed.empty()) column.typed.emplace_back();
  const bool exact = column.typed[0].Apply(*change.typed, stamp, order, fold);
  if (deletes_.empty()) return exact;
  column.typed[0].ForEach(
      [&](const LocalOp&, const LocalOp& last, std::vector<LocalOp>& buried_for) {
        if (last == stamp.op) BuryNew(last, order, buried_for);
      });
  return exact;
}

// Only a delete that wins can bury a write that comes after it, beside it.
void RecordLane::BuryNew(const LocalOp& op, const CausalOrder& order,
                         std::vector<LocalOp>& buried_for) {
  for (const Delete& del : deletes_) {
    if (!del.delete_wins || !Covers(del, op, order)) continue;
    for (const Stamp& present : presence_) {
      if (!order.Before(del.stamp.op, present.op)) continue;
      const auto end = buried_for.end();
      if (std::find(buried_for.begin(), end, present.op) == end) {
        buried_for.push_back(present.op);
        buried_ = true;
      }
    }
  }
}

// Calls back with the first and the last op of each cell write, and what it is buried
// for.
template <class Visit>
void RecordLane::VisitCells(Visit visit) {
  for (Column& column : columns_) {
    for (Cell& cell : column.cells) {
      visit(cell.write.stamp.op, cell.write.stamp.op, cell.buried_for);
    }
    for (TypedLanes& typed : column.typed) typed.ForEach(visit);
  }
}

void RecordLane::LookAtRow(const LocalOp& op, const CausalOrder& order,
                           Seen* seen) const {
  seen->all = seen->deletes.size() == deletes_.size();
  for (const Stamp& present : presence_) {
    if (order.Before(present.op, op)) {
      seen->presence.push_back(present.op);
    } else {
      seen->all = false;
    }
  }
  if (history_ == nullptr) return;
  std::vector<const Delete*> deletes;  // those that are forgotten too
  for (const Delete& del : history_->deletes) {
    if (order.Before(del.stamp.op, op)) deletes.push_back(&del);
  }
  // Of each writer the last: what showed in an earlier row of his shows in that one, if
  // it is a row for this op at all.
  for (const auto& [writer, writes] : history_->writes) {
    const auto after = std::partition_point(
        writes.begin(), writes.end(),
        [&](const History::Write& write) { return order.Before(write.op, op); });
    if (after == writes.begin()) continue;
    const History::Write* const last = &*std::prev(after);
    const bool dead =
        std::any_of(deletes.begin(), deletes.end(),
                    [&](const Delete* del) { return Covers(*del, last->op, order); });
    if (!dead) seen->row.push_back(last);
  }
}

// In a replay: whether the row that was seen showed the write.
bool RecordLane::WasShown(const LocalOp& write, const Seen& seen,
                          const CausalOrder& order) const {
  return std::any_of(
      seen.row.begin(), seen.row.end(), [&](const History::Write* present) {
        if (order.Before(write, present->op)) {
          const std::vector<LocalOp>& buried = *present->buried;
          return std::find(buried.begin(), buried.end(), write) == buried.end();
        }
        // Only a delete that wins takes what stands beside those who have seen it.
        return present->op == write ||
               std::none_of(history_->deletes.begin(), history_->deletes.end(),
                            [&](const Delete& del) {
                              return order.Before(del.stamp.op, present->op) &&
                                     Covers(del, write, order);
                            });
      });
}

void RecordLane::Remember(const LocalOp& op, std::vector<LocalOp> buried) {
  std::vector<History::Write>& writes = history_->writes[op.writer];
  history_->bytes += sizeof(History::Write);
  if (!writes.empty() && *writes.back().buried == buried) {
    writes.push_back({op, writes.back().buried});
  } else {
    history_->bytes += buried.size() * sizeof(LocalOp);
    writes.push_back(
        {op, std::make_shared<const std::vector<LocalOp>>(std::move(buried))});
  }
}

// Finds which cells are buried for a record op that has just come. False if that could
// not be told exactly: of increments that were folded together, or of a row that came
// back and of which the op has not seen all.
bool RecordLane::Bury(const LocalOp& op, bool is_present, const Seen& seen,
                      const CausalOrder& order) {
  bool exact = true;
  std::vector<LocalOp> buried;
  const auto was_shown = [&](const LocalOp& write,
                             const std::vector<LocalOp>& buried_for) {
    if (history_ != nullptr) return WasShown(write, seen, order);
    const bool shown = std::any_of(
        seen.presence.begin(), seen.presence.end(), [&](const LocalOp& present) {
          return std::find(buried_for.begin(), buried_for.end(), present) ==
                 buried_for.end();
        });
    // The op may have seen a row that nobody shows any more.
    exact = exact && (shown || seen.all);
    return shown;
  };
  const auto look = [&](const LocalOp& first, const LocalOp& last,
                        std::vector<LocalOp>& buried_for) {
    if (last == op) return;
    bool covered = false;
    bool for_certain = false;
    for (const Delete* const del : seen.deletes) {
      if (Covers(*del, last, order)) {
        covered = true;
        for_certain = for_certain || !del->raced;
      } else {
        exact &= first == last || !Covers(*del, first, order);
      }
    }
    if (!covered || (!for_certain && was_shown(last, buried_for))) return;
    if (history_ != nullptr) buried.push_back(last);
    if (!is_present) return;
    buried_for.push_back(op);
    buried_ = true;
  };
  if (!seen.deletes.empty()) VisitCells(look);
  if (history_ != nullptr) Remember(op, std::move(buried));
  return exact;
}

// What a cell is buried for matters while that op is presence, and no longer.
void RecordLane::ForgetPresence() {
  if (!buried_) return;
  buried_ = false;
  const auto forget = [&](std::vector<LocalOp>& buried_for) {
    EraseIf(buried_for, [&](const LocalOp& op) {
      return std::none_of(presence_.begin(), presence_.end(),
                          [&](const Stamp& present) { return present.op == op; });
    });
    buried_ = buried_ || !buried_for.empty();
  };
  for (Column& column : columns_) {
    for (Cell& cell : column.cells) forget(cell.buried_for);
    for (TypedLanes& typed : column.typed) {
      typed.ForEach([&](const LocalOp&, const LocalOp&,
                        std::vector<LocalOp>& buried_for) { forget(buried_for); });
    }
  }
}

bool RecordLane::Erase(const Stamp& stamp, bool delete_wins, const CausalOrder& order,
                       bool fold) {
  if (!fold && history_ == nullptr) history_ = std::make_shared<History>();
  Delete erased{stamp, delete_wins, true, false};
  const auto beside = [&](const LocalOp& op) {
    if (!order.Before(op, stamp.op)) erased.raced = true;
  };
  for (const Stamp& present : presence_) beside(present.op);
  VisitCells([&](const LocalOp&, const LocalOp& last, const std::vector<LocalOp>&) {
    beside(last);
  });
  EraseIf(presence_, [&](const Stamp& present) {
    return delete_wins || order.Before(present.op, stamp.op);
  });
  for (Delete& del : deletes_) {
    if (order.Before(del.stamp.op, stamp.op)) del.standing = false;
    beside(del.stamp.op);
  }
  deletes_.push_back(erased);
  if (history_ != nullptr) {
    history_->deletes.push_back(erased);
    history_->bytes += sizeof(Delete);
  }
  ForgetPresence();
  PruneDeletes(order);
  return true;
}

void RecordLane::PruneDeletes(const CausalOrder& order) {
  if (deletes_.size() < prune_at_) return;
  std::vector<Delete> kept;
  for (const Delete& del : deletes_) {
    if (IsNeeded(del, order)) kept.push_back(del);
  }
  deletes_ = std::move(kept);
  prune_at_ = 2 * deletes_.size() + 4;
}

// A delete can still bury if some kept write is in its past and no smaller delete has
// that write in its past too: whoever has seen this delete has seen the smaller one.
// One that wins is as good as every later one that wins: an op that has seen the first
// and not the second is no presence.
bool RecordLane::IsNeeded(const Delete& candidate, const CausalOrder& order) {
  if (candidate.standing) return true;
  if (candidate.delete_wins) {
    return std::none_of(deletes_.begin(), deletes_.end(), [&](const Delete& later) {
      return later.delete_wins && order.Before(candidate.stamp.op, later.stamp.op);
    });
  }
  const auto covered_below = [&](const LocalOp& op) {
    return std::any_of(deletes_.begin(), deletes_.end(), [&](const Delete& smaller) {
      return order.Before(smaller.stamp.op, candidate.stamp.op) &&
             Covers(smaller, op, order);
    });
  };
  bool needed = false;
  for (Column& column : columns_) {
    for (const Cell& cell : column.cells) {
      if (!cell.write.is_set) continue;
      const LocalOp& op = cell.write.stamp.op;
      if (Covers(candidate, op, order) && !covered_below(op)) return true;
    }
    // Of writes that were folded together the first and the last speak for all: who
    // covers the last covers them all, who covers the first is needed for it.
    for (TypedLanes& typed : column.typed) {
      typed.ForEach(
          [&](const LocalOp& first, const LocalOp& last, std::vector<LocalOp>&) {
            for (const LocalOp& op : {first, last}) {
              needed = needed || (Covers(candidate, op, order) && !covered_below(op));
            }
          });
    }
  }
  return needed;
}

bool RecordLane::Shows(const Cell& cell) const {
  return cell.write.is_set && cell.buried_for.size() < presence_.size();
}

bool RecordLane::has_conflict() const {
  for (const Column& column : columns_) {
    if (std::count_if(column.cells.begin(), column.cells.end(),
                      [&](const Cell& cell) { return Shows(cell); }) > 1) {
      return true;
    }
    if (!column.typed.empty() && column.typed[0].has_conflict(presence_.size())) {
      return true;
    }
  }
  return false;
}

bool RecordLane::deleted_concurrently() const {
  return readable() && std::any_of(deletes_.begin(), deletes_.end(),
                                   [](const Delete& del) { return del.standing; });
}

std::vector<const LaneWrite*> RecordLane::Live(const Column& column,
                                               const WriterTable& writers) const {
  std::vector<const LaneWrite*> live;
  for (const Cell& cell : column.cells) {
    if (Shows(cell)) live.push_back(&cell.write);
  }
  std::sort(live.begin(), live.end(), [&](const LaneWrite* a, const LaneWrite* b) {
    return writers.TieLess(b->stamp, a->stamp);
  });
  return live;
}

LaneMask RecordLane::TypedLanesOf(const Column& column) const {
  return column.typed.empty() ? LaneMask{0}
                              : column.typed[0].Readable(presence_.size());
}

void RecordLane::WriteColumn(const Column& column, const WriterTable& writers,
                             Writer& out) const {
  std::vector<const LaneWrite*> live = Live(column, writers);
  std::sort(live.begin(), live.end(), [&](const LaneWrite* a, const LaneWrite* b) {
    return writers.IdLess(a->stamp.op, b->stamp.op);
  });
  out.Uint(live.size());
  for (const LaneWrite* write : live) WriteLive(*write, writers, out);
}

void RecordLane::WriteState(const WriterTable& writers, Writer& out) const {
  std::vector<LocalOp> present;
  for (const Stamp& stamp : presence_) present.push_back(stamp.op);
  std::sort(present.begin(), present.end(),
            [&](const LocalOp& a, const LocalOp& b) { return writers.IdLess(a, b); });
  out.Uint(present.size());
  for (const LocalOp& op : present) WriteOpId(op, writers, out);

  const auto shown = [&](const Column& column) {
    return std::any_of(column.cells.begin(), column.cells.end(),
                       [&](const Cell& cell) { return Shows(cell); });
  };
  out.Uint(static_cast<std::uint64_t>(
      std::count_if(columns_.begin(), columns_.end(), shown)));
  for (const Column& column : columns_) {
    if (!shown(column)) continue;
    out.Buffer(AsBytes(column.name));
    WriteColumn(column, writers, out);
  }
  WriteTyped(writers, out);
}

void RecordLane::WriteTyped(const WriterTable& writers, Writer& out) const {
  std::vector<std::pair<const Column*, Lane>> shown;
  for (const Column& column : columns_) {
    const LaneMask lanes = TypedLanesOf(column);
    for (const Lane lane : kAllTypedLanes) {
      if ((lanes & MaskOf(lane)) != 0) shown.emplace_back(&column, lane);
    }
  }
  if (shown.empty()) return;
  out.Uint(shown.size());
  for (const auto& [column, lane] : shown) {
    out.Buffer(AsBytes(column->name));
    out.U8(static_cast<std::uint8_t>(lane));
    column->typed[0].WriteState(lane, presence_.size(), writers, out);
  }
}

void RecordLane::Store(Writer& out) const {
  out.Uint(presence_.size());
  for (const Stamp& stamp : presence_) StoreStamp(stamp, out);
  out.Uint(deletes_.size());
  for (const Delete& del : deletes_) {
    StoreStamp(del.stamp, out);
    out.U8(static_cast<std::uint8_t>((del.delete_wins ? 1 : 0) |
                                     (del.standing ? 2 : 0) | (del.raced ? 4 : 0)));
  }
  out.Uint(columns_.size());
  for (const Column& column : columns_) {
    out.Buffer(AsBytes(column.name));
    out.Uint(2 * column.cells.size() + column.typed.size());
    for (const Cell& cell : column.cells) {
      StoreWrite(cell.write, out);
      StoreOps(cell.buried_for, out);
    }
    for (const TypedLanes& typed : column.typed) typed.Store(out);
  }
}

RecordLane RecordLane::Read(std::size_t writers, Reader& in) {
  constexpr std::size_t kStampBytesMin = 11;
  RecordLane lane;
  for (std::size_t n = in.Count(kStampBytesMin); n > 0 && in.ok(); --n) {
    lane.presence_.push_back(ReadStamp(writers, in));
  }
  for (std::size_t n = in.Count(kStampBytesMin); n > 0 && in.ok(); --n) {
    Delete del;
    del.stamp = ReadStamp(writers, in);
    const std::uint8_t flags = in.U8();
    del.delete_wins = (flags & 1) != 0;
    del.standing = (flags & 2) != 0;
    del.raced = (flags & 4) != 0;
    lane.deletes_.push_back(del);
  }
  lane.prune_at_ = 2 * lane.deletes_.size() + 4;
  const std::size_t columns = in.Count(2);
  lane.columns_.reserve(columns);
  for (std::size_t i = 0; i < columns && in.ok(); ++i) {
    Column column;
    column.name = std::string(AsText(in.Buffer()));
    const std::uint64_t count = in.Uint();
    for (std::uint64_t n = count / 2; n > 0 && in.ok(); --n) {
      Cell cell;
      cell.write = ReadWrite(writers, in);
      cell.buried_for = ReadOps(writers, in);
      lane.buried_ = lane.buried_ || !cell.buried_for.empty();
      column.cells.push_back(std::move(cell));
    }
    if (count % 2 == 1 && in.ok()) {
      column.typed.push_back(TypedLanes::Read(writers, in));
      column.typed[0].ForEach(
          [&](const LocalOp&, const LocalOp&, const std::vector<LocalOp>& buried_for) {
            lane.buried_ = lane.buried_ || !buried_for.empty();
          });
    }
    lane.columns_.push_back(std::move(column));
  }
  return lane;
}

}  // namespace weft
