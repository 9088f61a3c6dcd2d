// What became of an op: what its block says, what the lanes show, and, if neither
// shows it, which later ops on its key have seen it.

#include <algorithm>
#include <mutex>

#include "absl/strings/str_format.h"
#include "crdt/apply_op.h"
#include "crdt/fate.h"
#include "crdt/indexer_state.h"

namespace weft {
namespace {

bool IsStanding(std::span<const LaneWrite> writes, const LocalOp& op) {
  return std::any_of(writes.begin(), writes.end(),
                     [&](const LaneWrite& write) { return write.stamp.op == op; });
}

// The better of two answers about one op: seen beats in conflict beats nothing.
void Improve(std::optional<OpFateKind>* best, OpFateKind kind) {
  if (!*best || kind == OpFateKind::kWinner) *best = kind;
}

// Ops that write nothing; whose earlier ones they overrule are removed.
bool TakesAway(OpType type) {
  return type == OpType::kDel || type == OpType::kReset || type == OpType::kRemove ||
         type == OpType::kCut;
}

void LookInRegister(const RegisterLane& lane, const LocalOp& op,
                    const WriterTable& writers, std::optional<OpFateKind>* best) {
  if (!IsStanding(lane.writes(), op)) return;
  const bool wins = lane.Winner(writers)->stamp.op == op;
  Improve(best, wins ? OpFateKind::kWinner : OpFateKind::kConflict);
}

// Of an op on one of the lanes 3 to 7, on a key or in a cell.
void LookInTyped(const TypedLanes& lanes, const LocalOp& op, Lane lane,
                 std::size_t presence, const WriterTable& writers,
                 std::optional<OpFateKind>* best) {
  const auto look = [&](bool stands, bool wins) {
    if (stands) Improve(best, wins ? OpFateKind::kWinner : OpFateKind::kConflict);
  };
  if (lane == Lane::kCounter && lanes.counter) {
    look(lanes.counter->Counts(op, presence), true);
  }
  if (lane == Lane::kSet && lanes.set) look(lanes.set->Stands(op, presence), true);
  if (lane == Lane::kFlag && lanes.flag) {
    for (const FlagLane::Turn& turn : lanes.flag->turns()) {
      if (turn.stamp.op != op) continue;
      look(Shows(turn, presence),
           ((turn.flags & kFlagOn) != 0) == lanes.flag->enabled(presence));
    }
  }
  const auto& extreme = lane == Lane::kMax ? lanes.max : lanes.min;
  if ((lane != Lane::kMax && lane != Lane::kMin) || !extreme) return;
  for (const ExtremeLane::Raise& raise : extreme->raises()) {
    if (raise.stamp.op != op || !Shows(raise, presence)) continue;
    look(true, extreme->Winner(presence, writers)->stamp.op == op);
  }
}

void LookInRecord(const RecordLane& lane, const LocalOp& op, const WriterTable& writers,
                  std::optional<OpFateKind>* best) {
  if (!lane.readable()) return;
  const std::size_t presence_count = lane.presence_count();
  bool has_cells = false;
  for (const RecordLane::Column& column : lane.columns()) {
    const std::vector<const LaneWrite*> live = lane.Live(column, writers);
    for (const RecordLane::Cell& cell : column.cells) {
      if (cell.write.stamp.op != op) continue;
      has_cells = true;
      if (lane.Shows(cell)) {
        const bool wins = live.front()->stamp.op == op;
        Improve(best, wins ? OpFateKind::kWinner : OpFateKind::kConflict);
      } else if (!cell.write.is_set) {
        Improve(best, live.empty() ? OpFateKind::kWinner : OpFateKind::kConflict);
      }
    }
  }
  for (const RecordLane::Column& column : lane.columns()) {
    if (column.typed.empty()) continue;
    for (const Lane tag : kAllTypedLanes) {
      std::optional<OpFateKind> of_cell;
      LookInTyped(column.typed[0], op, tag, presence_count, writers, &of_cell);
      if (!of_cell) continue;
      has_cells = true;
      Improve(best, *of_cell);
    }
  }
  // With no cell left to show, it is still what makes the row be there.
  const auto present = lane.presence();
  const bool is_present =
      std::any_of(present.begin(), present.end(),
                  [&](const Stamp& stamp) { return stamp.op == op; });
  if (is_present && !has_cells) Improve(best, OpFateKind::kWinner);
}

// Whether a write to a lane makes an earlier one to the same lane, which it has seen,
// count no longer.
template <class Write>
bool OverrulesTyped(Lane lane, OpType type, const Write& write, OpType earlier_type,
                    const Write& earlier) {
  switch (lane) {
    case Lane::kCounter:
      return type != OpType::kInc;
    case Lane::kSet:
      return type == OpType::kDel || earlier_type == OpType::kDel ||
             write.value == earlier.value;
    case Lane::kMax:
      return type == OpType::kDel || write.number >= earlier.number;
    case Lane::kMin:
      return type == OpType::kDel || write.number <= earlier.number;
    default:
      return true;
  }
}

bool SharesColumn(const Operation& later, const Operation& self) {
  for (const CellWrite& cell : self.cells) {
    for (const CellWrite& other : later.cells) {
      if (!Equal(cell.column, other.column) || cell.lane != other.lane) continue;
      if (OverrulesTyped(cell.lane, other.verb, other, cell.verb, cell)) return true;
    }
  }
  return self.cells.empty();
}

// An answer being found.
class FateFinder {
 public:
  FateFinder(Indexer::State* state, WriterNumber writer, const OpId& op)
      : state_(state), op_{writer, op.op_index, op.position} {}

  absl::StatusOr<OpFate> Find() {
    const std::uint64_t length = state_->graph->length(op_.writer);
    const auto* fork = state_->ForkOf(state_->view->writers().key(op_.writer));
    if (fork != nullptr && op_.position >= fork->cut) {
      return AfterFork(fork->point);
    }
    if (op_.position >= length) return BeyondGraph(length);
    const BlockRecord record = state_->graph->RecordOf(op_.writer, op_.position);
    const std::string reason = state_->graph->ReasonOf(op_.writer, op_.position);
    WEFT_RETURN_IF_ERROR(state_->graph->status());
    OpFate fate;
    fate.reason = reason;
    if (BeyondSettled(record, &fate)) return fate;
    switch (record.status) {
      case BlockStatus::kOpen:
        fate.kind = OpFateKind::kWaiting;
        fate.reason = "the rest of its batch is missing";
        return fate;
      case BlockStatus::kInvalid:
        fate.kind = OpFateKind::kInvalid;
        return fate;
      case BlockStatus::kNotAllowed:
        fate.kind = OpFateKind::kNotAllowed;
        return fate;
      case BlockStatus::kParked:
        fate.kind = OpFateKind::kParked;
        return fate;
      case BlockStatus::kSound:
        break;
    }
    if (op_.op_index >= record.op_count) return OpFate{};
    if (!record.effective) return WithoutEffect(record);
    if (!record.auth) return OfEffective(record, record.first_arrival + op_.op_index);
    const OpId id = state_->IdOf(op_);
    fate.kind = OpFateKind::kWinner;
    if (state_->authority->IsRedemption(id) &&
        !state_->authority->RedemptionCounts(id)) {
      fate.kind = OpFateKind::kNotAllowed;
      fate.reason = "the invite is revoked or used up";
    }
    return fate;
  }

 private:
  // A batch through which the settled length of its log goes has the same fate wherever
  // that length is the same, whatever a replica holds beyond (I1, D8).
  bool BeyondSettled(const BlockRecord& record, OpFate* fate) const {
    const auto& writer = state_->writers[op_.writer];
    if (writer.member()) return false;
    const std::uint64_t settled = state_->SettledLengths()[op_.writer];
    if (op_.position >= settled) return false;
    const std::uint64_t first = op_.position - record.batch_index;
    const std::uint64_t end = first + record.batch_count;
    // A fork of a log that nobody was granted anything for is in no digest (C1).
    const CoreKey& log = state_->view->writers().key(op_.writer);
    const bool forked = state_->authority->forks().contains(log);
    const bool is_told = !forked || state_->authority->IsNamed(log);
    if (is_told && first < writer.limit && writer.limit < end) {
      fate->kind = forked ? OpFateKind::kAfterFork : OpFateKind::kQuarantined;
      fate->reason =
          forked ? "a fork goes through its batch" : "a cut goes through its batch";
      return true;
    }
    const bool open = record.status == BlockStatus::kOpen;
    if (!open && op_.position + record.decided_by <= settled) return false;
    fate->kind = OpFateKind::kWaiting;
    fate->reason = "the rest of its batch is missing";
    return true;
  }

  OpFate WithoutEffect(const BlockRecord& record) const {
    const CoreKey& log = state_->view->writers().key(op_.writer);
    const std::uint64_t first = op_.position - record.batch_index;
    const std::uint64_t end = first + record.batch_count;
    const Authority& authority = *state_->authority;
    OpFate fate;
    switch (authority.StandingOf(record.cited, log, first, end, record.batch_writes)) {
      case Standing::kEffective:
      case Standing::kPending:
        fate.kind = OpFateKind::kPending;
        break;
      case Standing::kRejected:
        fate.kind = OpFateKind::kRejected;
        break;
      case Standing::kQuarantined:
        fate.kind = OpFateKind::kQuarantined;
        break;
      case Standing::kNotAllowed:
        fate.kind = OpFateKind::kNotAllowed;
        break;
      case Standing::kAfterFork:
        fate.kind = OpFateKind::kAfterFork;
        break;
    }
    Authority::Blame blame =
        authority.WhyNot(record.cited, log, first, end, record.batch_writes);
    fate.reason = std::move(blame.reason);
    if (blame.by) fate.by.push_back(*blame.by);
    return fate;
  }

  // The block is not delivered: it may be held all the same.
  absl::StatusOr<OpFate> BeyondGraph(std::uint64_t length) {
    const CoreKey& key = state_->view->writers().key(op_.writer);
    WEFT_ASSIGN_OR_RETURN(const LogInfo info, state_->logs->Info(key));
    OpFate fate;
    if (op_.position >= info.length) return fate;
    fate.kind = OpFateKind::kWaiting;
    const auto& wait = state_->writers[op_.writer].wait;
    if (wait) {
      fate.waiting_for = state_->view->writers().key(wait->writer);
      fate.waiting_length = wait->length;
      fate.reason = wait->other_branch
                        ? absl::StrFormat("block %d has seen another branch", length)
                        : absl::StrFormat("block %d has seen what is missing", length);
    }
    return fate;
  }

  absl::StatusOr<OpFate> OfEffective(const BlockRecord& record, std::uint64_t arrival) {
    WEFT_ASSIGN_OR_RETURN(const auto found, state_->ops->Read(arrival));
    const auto& [row, key] = found;
    const std::string_view name = key;
    if (const auto by =
            state_->authority->HiddenBy(record.cited, state_->IdOf(op_), name)) {
      OpFate hidden;
      hidden.kind = OpFateKind::kHidden;
      hidden.by.push_back(*by);
      hidden.reason = "a moderator hid it";
      return hidden;
    }
    WEFT_RETURN_IF_ERROR(state_->view->Load(std::span(&name, 1)));
    std::optional<std::uint64_t> newest;
    std::optional<OpFateKind> shown;
    LaneMask readable = 0;
    {
      const std::lock_guard<std::mutex> lock(state_->view->mutex());
      const KeyState& lanes = state_->view->Touch(name)->state;
      shown = LookAt(lanes, row);
      readable = lanes.lanes();
      if (lanes.last_op != 0) newest = lanes.last_op - 1;
    }
    OpFate fate;
    if (shown) {
      fate.kind = *shown;
      return fate;
    }
    // What only takes away is kept in no lane.
    LaneMask standing = 0;
    WEFT_ASSIGN_OR_RETURN(fate, Overruled(row, name, newest, &standing));
    if (static_cast<OpType>(row.type) == OpType::kDel && standing != 0) {
      fate.kind =
          (standing & ~readable) == 0 ? OpFateKind::kConflict : OpFateKind::kWinner;
      fate.by.clear();
      return fate;
    }
    if (!fate.by.empty()) return fate;
    WEFT_ASSIGN_OR_RETURN(const bool beside, IsElementBeside(row, name));
    fate.kind = beside ? OpFateKind::kConflict : OpFateKind::kWinner;
    return fate;
  }

  std::optional<OpFateKind> LookAt(const KeyState& lanes, const OpRow& row) const {
    std::optional<OpFateKind> best;
    const WriterTable& writers = state_->view->writers();
    const auto type = static_cast<OpType>(row.type);
    if (type == OpType::kDel) return best;
    if ((row.lanes & MaskOf(Lane::kRegister)) != 0) {
      LookInRegister(lanes.value, op_, writers, &best);
    }
    if ((row.lanes & MaskOf(Lane::kRecord)) != 0 && lanes.record) {
      LookInRecord(*lanes.record, op_, writers, &best);
    }
    if ((row.lanes & kTypedLanes) != 0 && lanes.typed) {
      for (const Lane lane : kAllTypedLanes) {
        if (row.lanes == MaskOf(lane)) {
          LookInTyped(*lanes.typed, op_, lane, 1, writers, &best);
        }
      }
    }
    for (const auto* lane : {&lanes.text, &lanes.list}) {
      const Lane tag = lane == &lanes.text ? Lane::kText : Lane::kList;
      if (row.lanes != MaskOf(tag) || !*lane || type != OpType::kInsert) continue;
      if ((*lane)->LiveOf(op_).value_or(0) > 0) Improve(&best, OpFateKind::kWinner);
    }
    return best;
  }

  // Whether the element that this op removed, which no later op speaks of, is there: it
  // was added beside it.
  absl::StatusOr<bool> IsElementBeside(const OpRow& row, std::string_view key) {
    if (static_cast<OpType>(row.type) != OpType::kRemove) return false;
    WEFT_ASSIGN_OR_RETURN(const Indexer::State::StoredOp self,
                          state_->ReadOperation(row));
    const std::string element = Canonical(self.operation->value);
    const std::lock_guard<std::mutex> lock(state_->view->mutex());
    const KeyState& lanes = state_->view->Touch(key)->state;
    return lanes.typed && lanes.typed->set && lanes.typed->set->Contains(element, 1);
  }

  // The first of the later ops on the key that have seen this one and speak to what it
  // wrote; in `standing` its lanes to which none of them speaks.
  absl::StatusOr<OpFate> Overruled(const OpRow& row, std::string_view key,
                                   std::optional<std::uint64_t> at,
                                   LaneMask* standing) {
    WEFT_ASSIGN_OR_RETURN(const Indexer::State::StoredOp self,
                          state_->ReadOperation(row));
    *standing = row.lanes;
    std::vector<OpRow> later;
    while (at) {
      WEFT_ASSIGN_OR_RETURN(const auto found, state_->ops->Read(*at));
      at = found.first.previous;
      if (!state_->HasEffect(found.first, key)) continue;
      WEFT_ASSIGN_OR_RETURN(const bool overrules, Overrules(found.first, self));
      if (!overrules) continue;
      *standing = static_cast<LaneMask>(*standing & ~found.first.lanes);
      later.push_back(found.first);
    }
    OpFate fate;
    bool removed = true;
    for (const OpRow& candidate : later) {
      const bool first =
          std::none_of(later.begin(), later.end(), [&](const OpRow& other) {
            return state_->graph->Before(other.stamp.op, candidate.stamp.op);
          });
      if (!first) continue;
      const LocalOp& op = candidate.stamp.op;
      fate.by.push_back(
          {state_->view->writers().key(op.writer), op.position, op.op_index});
      removed = removed && TakesAway(static_cast<OpType>(candidate.type));
    }
    WEFT_RETURN_IF_ERROR(state_->graph->status());
    std::sort(fate.by.begin(), fate.by.end());
    fate.kind = removed ? OpFateKind::kRemoved : OpFateKind::kSuperseded;
    return fate;
  }

  absl::StatusOr<bool> Overrules(const OpRow& row,
                                 const Indexer::State::StoredOp& self) {
    if ((row.lanes & self.row.lanes) == 0) return false;
    const LocalOp& op = row.stamp.op;
    const bool is_delete = static_cast<OpType>(row.type) == OpType::kDel;
    const bool seen = state_->graph->Before(op_, op);
    if (!seen) {
      // A delete that wins removes what stands beside it.
      return is_delete && (row.flags & kDeleteWins) != 0 &&
             self.operation->type == OpType::kRecord && !state_->graph->Before(op, op_);
    }
    const Operation& earlier = *self.operation;
    if (is_delete || earlier.type == OpType::kDel || earlier.type == OpType::kPut) {
      return true;
    }
    WEFT_ASSIGN_OR_RETURN(const Indexer::State::StoredOp other,
                          state_->ReadOperation(row));
    const Operation& later = *other.operation;
    if (earlier.type == OpType::kInsert || earlier.type == OpType::kCut) {
      return earlier.type == OpType::kInsert && later.type == OpType::kCut &&
             CutsFrom(later, op, ElementsOf(earlier));
    }
    if (earlier.type == OpType::kRecord) return SharesColumn(later, earlier);
    return OverrulesTyped(earlier.lane, later.type, later, earlier.type, earlier);
  }

  static std::uint64_t ElementsOf(const Operation& insert) {
    return insert.lane == Lane::kText ? CodePoints(AsText(insert.value.bytes)) : 1;
  }

  // Whether a cut, which is the op `cut`, names elements of this insert, which has so
  // many.
  bool CutsFrom(const Operation& cut_op, const LocalOp& cut,
                std::uint64_t elements) const {
    const CoreKey& self = state_->view->writers().key(op_.writer);
    return std::any_of(
        cut_op.edit->ranges.begin(), cut_op.edit->ranges.end(),
        [&](const ElementRange& range) {
          const ElementRef& ref = range.first;
          if (ref.op_index != op_.op_index || ref.offset >= elements) return false;
          switch (ref.place) {
            case ElementRef::Place::kThisBlock:
              return cut.writer == op_.writer && cut.position == op_.position;
            case ElementRef::Place::kThisLog:
              return cut.writer == op_.writer && ref.position == op_.position;
            default:
              return Equal(ref.writer, self.view()) && ref.position == op_.position;
          }
        });
  }

  Indexer::State* state_;  // not owned
  LocalOp op_;
};

}  // namespace

absl::StatusOr<OpFate> Indexer::FateOf(const OpId& op) {
  const std::optional<WriterNumber> writer = state_->view->writers().Find(op.writer);
  if (!writer) return OpFate{};
  return FateFinder(state_.get(), *writer, op).Find();
}

}  // namespace weft
