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

void StoreStamp(const Stamp& stamp, Writer& out) {
  StoreOp(stamp.op, out);
  out.U64(stamp.hlc);
}

Stamp ReadStamp(std::size_t writers, Reader& in) {
  Stamp stamp;
  stamp.op = ReadOp(writers, in);
  stamp.hlc = in.U64();
  return stamp;
}

}  // namespace

void RecordLane::Write(const Stamp& stamp, std::span<const CellChange> cells,
                       const CausalOrder& order) {
  const bool fewer = EraseIf(
      presence_, [&](const Stamp& other) { return order.Before(other.op, stamp.op); });
  bool dead = false;
  for (Delete& del : deletes_) {
    const bool seen = order.Before(del.stamp.op, stamp.op);
    if (seen) del.standing = false;
    dead = dead || (del.delete_wins && !seen);
  }
  for (const CellChange& change : cells) ApplyCell(stamp, change, order);
  if (!dead) {
    presence_.push_back(stamp);
    Bury(stamp, order);
  }
  if (fewer) ForgetPresence();
  PruneDeletes(order);
}

void RecordLane::ApplyCell(const Stamp& stamp, const CellChange& change,
                           const CausalOrder& order) {
  auto column = std::lower_bound(
      columns_.begin(), columns_.end(), change.column,
      [](const Column& a, std::string_view name) { return a.name < name; });
  if (column == columns_.end() || column->name != change.column) {
    column = columns_.insert(column, Column{std::string(change.column), {}});
  }
  EraseIf(column->cells, [&](const Cell& cell) {
    return order.Before(cell.write.stamp.op, stamp.op);
  });
  Cell cell;
  cell.write = {stamp, change.is_set, std::string(change.value)};
  // Only a delete that wins can bury a write that comes after it, beside it.
  for (const Delete& del : deletes_) {
    if (!del.delete_wins || !Covers(del, stamp.op, order)) continue;
    for (const Stamp& present : presence_) {
      if (!order.Before(del.stamp.op, present.op)) continue;
      const auto end = cell.buried_for.end();
      if (std::find(cell.buried_for.begin(), end, present.op) == end) {
        cell.buried_for.push_back(present.op);
        buried_ = true;
      }
    }
  }
  column->cells.push_back(std::move(cell));
}

// Finds which cells are buried for a presence op that has just come.
void RecordLane::Bury(const Stamp& presence, const CausalOrder& order) {
  for (const Delete& del : deletes_) {
    if (!order.Before(del.stamp.op, presence.op)) continue;
    for (Column& column : columns_) {
      for (Cell& cell : column.cells) {
        const LocalOp& op = cell.write.stamp.op;
        if (op == presence.op || !Covers(del, op, order)) continue;
        if (!cell.buried_for.empty() && cell.buried_for.back() == presence.op) continue;
        cell.buried_for.push_back(presence.op);
        buried_ = true;
      }
    }
  }
}

// What a cell is buried for matters while that op is presence, and no longer.
void RecordLane::ForgetPresence() {
  if (!buried_) return;
  buried_ = false;
  for (Column& column : columns_) {
    for (Cell& cell : column.cells) {
      EraseIf(cell.buried_for, [&](const LocalOp& op) {
        return std::none_of(presence_.begin(), presence_.end(),
                            [&](const Stamp& present) { return present.op == op; });
      });
      buried_ = buried_ || !cell.buried_for.empty();
    }
  }
}

void RecordLane::Erase(const Stamp& stamp, bool delete_wins, const CausalOrder& order) {
  EraseIf(presence_, [&](const Stamp& present) {
    return delete_wins || order.Before(present.op, stamp.op);
  });
  for (Delete& del : deletes_) {
    if (order.Before(del.stamp.op, stamp.op)) del.standing = false;
  }
  deletes_.push_back({stamp, delete_wins, true});
  ForgetPresence();
  PruneDeletes(order);
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
bool RecordLane::IsNeeded(const Delete& candidate, const CausalOrder& order) const {
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
  for (const Column& column : columns_) {
    for (const Cell& cell : column.cells) {
      if (!cell.write.is_set) continue;
      const LocalOp& op = cell.write.stamp.op;
      if (Covers(candidate, op, order) && !covered_below(op)) return true;
    }
  }
  return false;
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
    out.Uint(column.cells.size());
    for (const Cell& cell : column.cells) {
      StoreWrite(cell.write, out);
      out.Uint(cell.buried_for.size());
      for (const LocalOp& op : cell.buried_for) StoreOp(op, out);
    }
  }
}

RecordLane RecordLane::Read(std::size_t writers, Reader& in) {
  constexpr std::size_t kStampBytesMin = 11;
  constexpr std::size_t kOpBytesMin = 3;
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
    for (std::size_t n = in.Count(kStampBytesMin + 2); n > 0 && in.ok(); --n) {
      Cell cell;
      cell.write = ReadWrite(writers, in);
      for (std::size_t m = in.Count(kOpBytesMin); m > 0 && in.ok(); --m) {
        cell.buried_for.push_back(ReadOp(writers, in));
      }
      lane.buried_ = lane.buried_ || !cell.buried_for.empty();
      column.cells.push_back(std::move(cell));
    }
    lane.columns_.push_back(std::move(column));
  }
  return lane;
}

}  // namespace weft
