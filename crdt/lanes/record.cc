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
  const bool fewer = EraseIf(
      presence_, [&](const Stamp& other) { return order.Before(other.op, stamp.op); });
  bool dead = false;
  for (Delete& del : deletes_) {
    const bool seen = order.Before(del.stamp.op, stamp.op);
    if (seen) del.standing = false;
    dead = dead || (del.delete_wins && !seen);
  }
  bool exact = true;
  for (const CellChange& change : cells) {
    exact &= change.typed ? ApplyTyped(stamp, change, order, fold)
                          : ApplyCell(stamp, change, order);
  }
  if (!dead) {
    presence_.push_back(stamp);
    exact &= Bury(stamp, order);
  }
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

// Finds which cells are buried for a presence op that has just come. False if that
// could not be told exactly of increments that were folded together.
bool RecordLane::Bury(const Stamp& presence, const CausalOrder& order) {
  bool exact = true;
  for (const Delete& del : deletes_) {
    if (!order.Before(del.stamp.op, presence.op)) continue;
    const auto bury = [&](const LocalOp& first, const LocalOp& last,
                          std::vector<LocalOp>& buried_for) {
      if (last == presence.op) return;
      if (!Covers(del, last, order)) {
        exact &= first == last || !Covers(del, first, order);
        return;
      }
      if (!buried_for.empty() && buried_for.back() == presence.op) return;
      buried_for.push_back(presence.op);
      buried_ = true;
    };
    for (Column& column : columns_) {
      for (Cell& cell : column.cells) {
        bury(cell.write.stamp.op, cell.write.stamp.op, cell.buried_for);
      }
      for (TypedLanes& typed : column.typed) typed.ForEach(bury);
    }
  }
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

bool RecordLane::Erase(const Stamp& stamp, bool delete_wins, const CausalOrder& order) {
  EraseIf(presence_, [&](const Stamp& present) {
    return delete_wins || order.Before(present.op, stamp.op);
  });
  for (Delete& del : deletes_) {
    if (order.Before(del.stamp.op, stamp.op)) del.standing = false;
  }
  deletes_.push_back({stamp, delete_wins, true});
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
    out.U8(
        static_cast<std::uint8_t>((del.delete_wins ? 1 : 0) | (del.standing ? 2 : 0)));
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
