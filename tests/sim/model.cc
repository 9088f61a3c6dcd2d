#include "tests/sim/model.h"

#include <algorithm>

#include "absl/strings/str_format.h"

namespace weft::sim {
namespace {

// The ops of `all` that no other op of `all` has seen.
template <class Filter>
std::vector<ModelOp> Maximal(const std::vector<ModelOp>& all, Filter belongs) {
  std::vector<ModelOp> maximal;
  for (const ModelOp& op : all) {
    if (!belongs(op)) continue;
    const bool seen = std::any_of(all.begin(), all.end(), [&](const ModelOp& other) {
      return belongs(other) && Before(op, other);
    });
    if (!seen) maximal.push_back(op);
  }
  return maximal;
}

const std::pair<std::string, Datum>* CellOf(const ModelOp& op,
                                            const std::string& column) {
  if (!op.IsRecordOp()) return nullptr;
  for (const auto& cell : op.what().cells) {
    if (cell.first == column) return &cell;
  }
  return nullptr;
}

bool DeleteBetween(const ModelOp& earlier, const ModelOp& later,
                   const std::vector<ModelOp>& ops) {
  return std::any_of(ops.begin(), ops.end(), [&](const ModelOp& op) {
    return op.Removes(Lane::kRecord) && Before(earlier, op) && Before(op, later);
  });
}

// Rule D11: a delete stands between them, and who wrote the later had not seen the row
// of any record op that showed the write, nor one that shows such a row again.
bool IsBuriedFor(const ModelOp& write, const ModelOp& presence,
                 const std::vector<ModelOp>& ops) {
  if (!DeleteBetween(write, presence, ops)) return false;
  std::vector<const ModelOp*> showing;
  std::vector<const ModelOp*> others;
  for (const ModelOp& op : ops) {
    if (!op.IsRecordOp() || !Before(op, presence)) continue;
    (DeleteBetween(write, op, ops) ? others : showing).push_back(&op);
  }
  for (std::size_t i = 0; i < showing.size(); ++i) {
    const ModelOp& row = *showing[i];
    if (!DeleteBetween(row, presence, ops)) return false;
    std::erase_if(others, [&](const ModelOp* op) {
      if (!Before(row, *op) || DeleteBetween(row, *op, ops)) return false;
      showing.push_back(op);
      return true;
    });
  }
  return true;
}

void MergeRegister(const std::vector<ModelOp>& ops, ModelEntry& entry) {
  const std::vector<ModelOp> maximal = Maximal(
      ops, [](const ModelOp& op) { return op.IsPut() || op.Removes(Lane::kRegister); });
  for (const ModelOp& op : maximal) {
    if (op.IsPut()) {
      entry.values.emplace(op.name(), op.what().value);
    } else {
      entry.deleted_concurrently = true;
    }
  }
}

void MergeRecord(const std::vector<ModelOp>& ops, ModelEntry& entry) {
  std::vector<ModelOp> presence =
      Maximal(ops, [](const ModelOp& op) { return op.IsRecordOp(); });
  std::erase_if(presence, [&ops](const ModelOp& op) {
    return std::any_of(ops.begin(), ops.end(), [&op](const ModelOp& other) {
      return other.Removes(Lane::kRecord) && Before(op, other);
    });
  });
  if (presence.empty()) return;
  for (const ModelOp& op : presence) entry.presence.insert(op.name());
  std::set<std::string> columns;
  for (const ModelOp& op : ops) {
    if (!op.IsRecordOp()) continue;
    for (const auto& cell : op.what().cells) columns.insert(cell.first);
  }
  for (const std::string& column : columns) {
    const std::vector<ModelOp> writes = Maximal(
        ops, [&column](const ModelOp& op) { return CellOf(op, column) != nullptr; });
    for (const ModelOp& write : writes) {
      const bool shown =
          write.what().kind == Batch::Change::Kind::kSet &&
          std::any_of(presence.begin(), presence.end(),
                      [&](const ModelOp& op) { return !IsBuriedFor(write, op, ops); });
      if (shown) {
        entry.cells[column].emplace(write.name(), CellOf(write, column)->second);
      }
    }
  }
}

std::string Text(const OpName& op) {
  return absl::StrFormat("%s:%d.%d", op.writer.substr(0, 8), op.position, op.index);
}

std::string Short(const std::string& text) {
  return text.size() <= 40 ? text : text.substr(0, 37) + "...";
}

std::string Text(const ModelValues& values) {
  std::string text;
  for (const auto& [op, value] : values) {
    text += absl::StrFormat("[%s %s]", Text(op), Short(value.ToText()));
  }
  return text;
}

ModelValues ValuesOf(const Register& shown) {
  ModelValues values = {{shown.winner.op, shown.winner.value}};
  for (const Sibling& sibling : shown.conflicts) {
    values.emplace(sibling.op, sibling.value);
  }
  return values;
}

// The winner has the greatest tie, of which the time is the first part.
bool IsOrdered(const Register& shown) {
  std::uint64_t last = shown.winner.time_ms;
  for (const Sibling& sibling : shown.conflicts) {
    if (sibling.time_ms > last) return false;
    last = sibling.time_ms;
  }
  return true;
}

std::string Difference(const std::string& what, const ModelValues& expected,
                       const Register* shown) {
  const ModelValues values = shown == nullptr ? ModelValues() : ValuesOf(*shown);
  if (values != expected) {
    return absl::StrFormat("%s shows %s and not %s", what, Text(values),
                           Text(expected));
  }
  if (shown != nullptr && !IsOrdered(*shown)) {
    return absl::StrFormat("%s: %s: the winner is not the newest", what, Text(values));
  }
  return "";
}

std::string DifferenceOf(const ModelEntry& expected, const Entry& shown) {
  const std::string& key = shown.key;
  std::string difference =
      Difference(key, expected.values, shown.value ? &*shown.value : nullptr);
  if (!difference.empty()) return difference;
  if (shown.value &&
      shown.value->deleted_concurrently != expected.deleted_concurrently) {
    return absl::StrFormat("%s: deleted concurrently: %d and not %d", key,
                           shown.value->deleted_concurrently,
                           expected.deleted_concurrently);
  }
  if (shown.is_record == expected.presence.empty()) {
    return absl::StrFormat("%s: is a record: %d", key, shown.is_record);
  }
  for (const auto& [column, cell] : shown.cells) {
    const auto found = expected.cells.find(column);
    difference = Difference(
        absl::StrFormat("%s, column %s", key, column),
        found == expected.cells.end() ? ModelValues() : found->second, &cell);
    if (!difference.empty()) return difference;
  }
  for (const auto& [column, values] : expected.cells) {
    if (!shown.cells.contains(column)) {
      return absl::StrFormat("%s, column %s misses %s", key, column, Text(values));
    }
  }
  return "";
}

std::string Text(const Register& shown) {
  std::string text =
      absl::StrFormat("%s@%s", shown.winner.value.ToText(), Text(shown.winner.op));
  for (const Sibling& sibling : shown.conflicts) {
    text += absl::StrFormat(" | %s@%s", sibling.value.ToText(), Text(sibling.op));
  }
  return text + (shown.deleted_concurrently ? " | deleted" : "");
}

}  // namespace

bool Before(const ModelOp& a, const ModelOp& b) {
  if (a.write->writer == b.write->writer) {
    return std::pair(a.name().position, a.name().index) <
           std::pair(b.name().position, b.name().index);
  }
  return b.write->seen.Includes(Dot{a.write->writer, a.name().position});
}

Model::Model(const std::vector<WriteRecord>& writes, const VersionVector& held) {
  for (const WriteRecord& write : writes) {
    // D8: a batch has effect once all of it is there.
    if (write.state == WriteRecord::State::kLost) continue;
    if (held.length(write.writer) < write.end) continue;
    for (std::size_t i = 0; i < write.ops.size(); ++i) {
      const ModelOp op{&write, i};
      ops_[op.what().key].push_back(op);
      names_.emplace(op.name(), op);
    }
  }
  for (const auto& [key, ops] : ops_) {
    ModelEntry entry = Merge(ops);
    if (entry.readable()) entries_.emplace(key, std::move(entry));
  }
}

const std::vector<ModelOp>& Model::OpsOn(const std::string& key) const {
  static const std::vector<ModelOp> kNone;
  const auto found = ops_.find(key);
  return found == ops_.end() ? kNone : found->second;
}

const ModelOp* Model::Find(const OpName& name) const {
  const auto found = names_.find(name);
  return found == names_.end() ? nullptr : &found->second;
}

ModelEntry Model::Merge(const std::vector<ModelOp>& ops) {
  ModelEntry entry;
  MergeRegister(ops, entry);
  MergeRecord(ops, entry);
  return entry;
}

std::string Model::Describe(const std::string& key) const {
  constexpr const char* kKinds[] = {"put", "delete", "set", "unset", "erase"};
  std::string text;
  for (const ModelOp& op : OpsOn(key)) {
    const Batch::Change& what = op.what();
    text += absl::StrFormat("\n    %s %s %s", Text(op.name()),
                            kKinds[static_cast<std::size_t>(what.kind)],
                            Short(what.value.ToText()));
    for (const auto& [column, value] : what.cells) {
      text += absl::StrFormat(" %s=%s", column, Short(value.ToText()));
    }
    text += " having seen";
    for (const ModelOp& other : OpsOn(key)) {
      if (Before(other, op)) text += " " + Text(other.name());
    }
  }
  return text;
}

std::string Difference(const Model& model, const std::vector<Entry>& shown) {
  auto next = model.entries().begin();
  const auto end = model.entries().end();
  for (const Entry& entry : shown) {
    if (next == end || entry.key < next->first) {
      return absl::StrFormat("%s is shown, and nothing is there%s", entry.key,
                             model.Describe(entry.key));
    }
    if (next->first < entry.key) break;
    const std::string difference = DifferenceOf(next->second, entry);
    if (!difference.empty()) return difference + model.Describe(entry.key);
    ++next;
  }
  if (next == end) return "";
  return absl::StrFormat("%s is not shown%s", next->first, model.Describe(next->first));
}

std::string ToText(const std::vector<Entry>& entries) {
  std::string text;
  for (const Entry& entry : entries) {
    text += entry.key + ":";
    if (entry.value) text += " " + Text(*entry.value);
    if (entry.is_record) text += " record";
    for (const auto& [column, cell] : entry.cells) {
      text += absl::StrFormat(" (%s: %s)", column, Text(cell));
    }
    text += entry.deleted_concurrently ? " deleted\n" : "\n";
  }
  return text;
}

}  // namespace weft::sim
