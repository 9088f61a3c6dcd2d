// The record lane against rule D11: stories, and a model that recomputes from the
// whole history.

#include "crdt/lanes/record.h"

#include <gmock/gmock.h>

#include <map>
#include <set>

#include "tests/crdt/random_dag.h"

namespace weft {
namespace {

struct RecordOp {
  bool is_delete = false;
  bool delete_wins = false;
  std::vector<CellChange> cells;
};

const std::string kColumns[] = {"city", "name", "zone"};
const std::string kValues[] = {
    "\x04"
    "0",
    "\x04"
    "1",
    "\x04"
    "2",
    "\x04"
    "3",
    "\x04"
    "4",
    "\x04"
    "5",
    "\x04"
    "6",
    "\x04"
    "7",
    "\x04"
    "8",
    "\x04"
    "9",
    "\x04"
    "10",
    "\x04"
    "11"};

// What a reader sees, by op number in the history.
struct Seen {
  std::set<std::size_t> presence;
  std::map<std::string, std::set<std::size_t>> cells;
  bool operator==(const Seen&) const = default;
};

// Rule D11 word for word, quadratic and more.
class Model {
 public:
  Model(const RandomDag& dag, const std::vector<RecordOp>& ops)
      : dag_(dag), ops_(ops) {}

  Seen Read() const {
    Seen seen;
    for (std::size_t n = 0; n < ops_.size(); ++n) {
      if (IsPresence(n)) seen.presence.insert(n);
    }
    for (const std::string& column : kColumns) {
      for (std::size_t n = 0; n < ops_.size(); ++n) {
        const CellChange* write = CellOf(n, column);
        if (!write || !write->is_set || IsOverwritten(n, column)) continue;
        for (const std::size_t p : seen.presence) {
          if (!IsBuried(n, p)) seen.cells[column].insert(n);
        }
      }
    }
    return seen;
  }

 private:
  bool CountsAsPast(std::size_t del, std::size_t n) const {
    return dag_.Saw(del, n) || (ops_[del].delete_wins && !dag_.Saw(n, del));
  }
  bool IsPresence(std::size_t n) const {
    if (ops_[n].is_delete) return false;
    for (std::size_t other = 0; other < ops_.size(); ++other) {
      if (ops_[other].is_delete ? CountsAsPast(other, n) : dag_.Saw(other, n)) {
        return false;
      }
    }
    return true;
  }
  const CellChange* CellOf(std::size_t n, const std::string& column) const {
    for (const CellChange& cell : ops_[n].cells) {
      if (cell.column == column) return &cell;
    }
    return nullptr;
  }
  bool IsOverwritten(std::size_t n, const std::string& column) const {
    for (std::size_t later = 0; later < ops_.size(); ++later) {
      if (CellOf(later, column) && dag_.Saw(later, n)) return true;
    }
    return false;
  }
  // What the author of `by` saw: the row, and whether a delete had taken the write.
  bool IsInRowSeenBy(std::size_t by, std::size_t n) const {
    if (ops_[n].is_delete || !dag_.Saw(by, n)) return false;
    for (std::size_t other = 0; other < ops_.size(); ++other) {
      if (!dag_.Saw(by, other)) continue;
      if (ops_[other].is_delete ? CountsAsPast(other, n) : dag_.Saw(other, n)) {
        return false;
      }
    }
    return true;
  }
  bool IsTaken(std::size_t write, std::size_t by) const {
    for (std::size_t del = 0; del < ops_.size(); ++del) {
      if (ops_[del].is_delete && CountsAsPast(del, write) && dag_.Saw(by, del)) {
        return true;
      }
    }
    return false;
  }
  bool IsBuried(std::size_t write, std::size_t by) const {
    if (write == by || !IsTaken(write, by)) return false;
    const auto known = buried_.find({write, by});
    if (known != buried_.end()) return known->second;
    bool buried = true;
    for (std::size_t n = 0; n < ops_.size() && buried; ++n) {
      if (IsInRowSeenBy(by, n)) buried = IsBuried(write, n);
    }
    buried_[{write, by}] = buried;
    return buried;
  }

  mutable std::map<std::pair<std::size_t, std::size_t>, bool> buried_;
  const RandomDag& dag_;
  const std::vector<RecordOp>& ops_;
};

std::size_t NumberOf(const RandomDag& dag, const LocalOp& op) {
  for (std::size_t n = 0; n < dag.size(); ++n) {
    if (dag.stamp(n).op == op) return n;
  }
  return dag.size();
}

Seen Read(const RecordLane& lane, const RandomDag& dag) {
  Seen seen;
  for (const Stamp& present : lane.presence()) {
    seen.presence.insert(NumberOf(dag, present.op));
  }
  if (!lane.readable()) return seen;
  for (const RecordLane::Column& column : lane.columns()) {
    for (const LaneWrite* write : lane.Live(column, dag.writers())) {
      seen.cells[column.name].insert(NumberOf(dag, write->stamp.op));
    }
  }
  return seen;
}

std::vector<RecordOp> RandomOps(std::mt19937_64& random, std::size_t count,
                                bool delete_wins) {
  std::vector<RecordOp> ops(count);
  for (std::size_t n = 0; n < count; ++n) {
    if (random() % 3 == 0) {
      ops[n].is_delete = true;
      ops[n].delete_wins = delete_wins && random() % 2 == 0;
      continue;
    }
    for (const std::string& column : kColumns) {
      if (random() % 2 != 0) continue;
      const bool set = random() % 4 != 0;
      ops[n].cells.push_back({column, set, set ? kValues[n % 12] : std::string_view()});
    }
  }
  return ops;
}

bool Apply(RecordLane& lane, const RandomDag& dag, std::size_t n, const RecordOp& op,
           bool fold) {
  return op.is_delete ? lane.Erase(dag.stamp(n), op.delete_wins, dag, fold)
                      : lane.Write(dag.stamp(n), op.cells, dag, fold);
}

RecordLane Replayed(const RandomDag& dag, const std::vector<RecordOp>& ops,
                    const std::vector<std::size_t>& delivered, bool goes_on) {
  RecordLane lane;
  for (const std::size_t n : delivered) Apply(lane, dag, n, ops[n], /*fold=*/false);
  if (!goes_on) lane.EndReplay();
  return lane;
}

RecordLane StoredAndRead(const RecordLane& lane, const RandomDag& dag) {
  Bytes row;
  Writer out(&row);
  lane.Store(out);
  Reader in(row);
  RecordLane read = RecordLane::Read(dag.writers().size(), in);
  EXPECT_TRUE(in.ok() && in.done());
  return read;
}

void CompareWithModel(std::uint64_t seeds, std::size_t ops_max, bool delete_wins) {
  int revived = 0;
  int conflicts = 0;
  int replays = 0;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937_64 random(seed);
    const RandomDag dag(random, 1 + random() % 4, 2 + random() % (ops_max - 1));
    const std::vector<RecordOp> ops = RandomOps(random, dag.size(), delete_wins);
    const Seen expected = Model(dag, ops).Read();
    Bytes first_state;
    for (int round = 0; round < 4; ++round) {
      RecordLane lane;
      std::vector<std::size_t> delivered;
      bool goes_on = false;
      for (const std::size_t n : dag.RandomOrder(random)) {
        delivered.push_back(n);
        const bool exact = Apply(lane, dag, n, ops[n], /*fold=*/true);
        ASSERT_TRUE(exact || !goes_on);
        if (!exact || random() % 16 == 0) {
          goes_on = random() % 2 == 0;
          lane = Replayed(dag, ops, delivered, goes_on);
        }
        replays += exact ? 0 : 1;
        if (random() % 4 != 0) continue;
        lane = StoredAndRead(lane, dag);
        goes_on = false;
      }
      ASSERT_EQ(Read(lane, dag), expected);
      if (round == 0) {
        revived += lane.deleted_concurrently() ? 1 : 0;
        conflicts += lane.has_conflict() ? 1 : 0;
      }
      if (!lane.readable()) continue;
      Bytes state;
      Writer out(&state);
      lane.WriteState(dag.writers(), out);
      if (first_state.empty()) first_state = state;
      ASSERT_EQ(state, first_state);
    }
  }
  EXPECT_GT(conflicts, static_cast<int>(seeds / (delete_wins ? 100 : 20)));
  EXPECT_GT(replays, static_cast<int>(seeds / 20));
  if (!delete_wins) {
    EXPECT_GT(revived, static_cast<int>(seeds / 10));
  }
}

TEST(RecordLane, D11_EveryDeliveryOrderGivesWhatTheDefinitionGives) {
  CompareWithModel(3000, 12, false);
}

TEST(RecordLane, D11_DeletesThatWinDoSoInEveryDeliveryOrder) {
  CompareWithModel(3000, 12, true);
}

TEST(RecordLane, D11_LongHistoriesWithManyDeletesStayExactWhileDeletesAreForgotten) {
  CompareWithModel(150, 60, true);
  CompareWithModel(150, 60, false);
}

TEST(RecordLane, D11_ManyDeletionsAndRecreationsLeaveAStateOfBoundedSize) {
  class Chain final : public CausalOrder {
    bool Before(const LocalOp& a, const LocalOp& b) const override {
      return a.position < b.position;
    }
  } chain;
  RecordLane lane;
  const CellChange both[] = {{"city", true, kValues[0]}, {"name", true, kValues[1]}};
  lane.Write({{0, 0, 0}, 0}, both, chain);
  for (std::uint64_t n = 1; n < 1000; n += 2) {
    lane.Erase({{0, 0, n}, n}, false, chain);
    lane.Write({{0, 0, n + 1}, n + 1}, std::span(both).first(1), chain);
  }
  EXPECT_LT(lane.deletes().size(), 16U);
  EXPECT_EQ(lane.presence().size(), 1U);
}

// 11. A row is deleted, then made anew with one column: the others are empty. A row is
// deleted while somebody else edits one cell: the whole row is back.
TEST(RecordLane, D11_WorkedCase11) {
  class Story final : public CausalOrder {
   public:
    // Bob (1) has seen only Ada's first op; Ada (0) sees her own alone.
    bool Before(const LocalOp& a, const LocalOp& b) const override {
      if (a.writer == b.writer) return a.position < b.position;
      return a.writer == 0 && a.position == 0 && b.writer == 1;
    }
  } story;
  const CellChange row[] = {{"city", true, kValues[0]}, {"name", true, kValues[1]}};
  const CellChange name[] = {{"name", true, kValues[2]}};

  RecordLane anew;
  anew.Write({{0, 0, 0}, 1}, row, story);
  anew.Erase({{0, 0, 1}, 2}, false, story);
  EXPECT_FALSE(anew.readable());
  anew.Write({{0, 0, 2}, 3}, name, story);
  ASSERT_TRUE(anew.readable());
  ASSERT_EQ(anew.columns()[0].name, "city");
  EXPECT_FALSE(anew.Shows(anew.columns()[0].cells[0]));
  EXPECT_TRUE(anew.Shows(anew.columns()[1].cells[0]));

  RecordLane revived;
  revived.Write({{0, 0, 0}, 1}, row, story);
  revived.Erase({{0, 0, 1}, 2}, false, story);
  revived.Write({{1, 0, 0}, 2}, name, story);
  ASSERT_TRUE(revived.readable());
  EXPECT_TRUE(revived.deleted_concurrently());
  EXPECT_TRUE(revived.Shows(revived.columns()[0].cells[0]));
  EXPECT_EQ(revived.columns()[1].cells[0].write.value, kValues[2]);
}

// Who edits a row that came back has seen it, and the delete too.
TEST(RecordLane, D11_ARowThatCameBackStaysWholeWhenItIsEdited) {
  class Story final : public CausalOrder {
   public:
    // Bob (1) has seen only Ada's first op; Ada (0) has seen him before her third.
    bool Before(const LocalOp& a, const LocalOp& b) const override {
      if (a.writer == b.writer) return a.position < b.position;
      return a.writer == 0 ? a.position == 0 : b.position >= 2;
    }
  } story;
  const CellChange row[] = {{"city", true, kValues[0]}, {"name", true, kValues[1]}};
  const CellChange name[] = {{"name", true, kValues[2]}};
  RecordLane lane;
  lane.Write({{0, 0, 0}, 1}, row, story);
  lane.Erase({{0, 0, 1}, 2}, false, story);
  lane.Write({{1, 0, 0}, 2}, name, story);
  for (std::uint64_t n = 2; n < 5; ++n) {
    EXPECT_TRUE(lane.Write({{0, 0, n}, n + 1}, name, story));
    EXPECT_TRUE(lane.Shows(lane.columns()[0].cells[0])) << n;
  }
  lane.Erase({{0, 0, 5}, 6}, false, story);
  EXPECT_TRUE(lane.Write({{0, 0, 6}, 7}, name, story));
  EXPECT_FALSE(lane.Shows(lane.columns()[0].cells[0])) << "and is made anew";
}

}  // namespace
}  // namespace weft
