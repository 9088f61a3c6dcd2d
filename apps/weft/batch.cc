// batch: changes as NDJSON on stdin, all of them in one commit, or one commit a line.
//
// line := {"op": "put", "key", "value"} | {"op": "del", "key"}
//       | {"op": "set", "key", "cells": {column: value, ..}}
//       | {"op": "unset", "key", "columns": [column, ..]} | {"op": "erase", "key"}
//       | {"op": "inc", "key", "by"?} | {"op": "reset" | "enable" | "disable", "key"}
//       | {"op": "add" | "rem", "key", "value"} | {"op": "max" | "min", "key", "value"}
//         each of these with "column" for a cell of a row
//       | {"op": "text", "key", "insert", "pos"?} | {"op": "push", "key", "value"}
//       | {"op": "text", "key", "delete": length, "pos"}    in code points
// `key64` and `value64` stand for bytes that are not UTF-8 (apps/weft/json.h).

#include "absl/strings/str_format.h"
#include "apps/weft/commands.h"
#include "apps/weft/console.h"
#include "apps/weft/input_lines.h"
#include "apps/weft/json.h"
#include "engine/status.h"
#include "engine/text.h"

namespace weft::cli {
namespace {

// Beyond this a commit would be refused anyway; no need to read on.
constexpr std::size_t kChangesMax = 65536;

struct BatchOptions {
  bool each = false;
  bool ack = false;
};

absl::Status OnlyMembers(const Json& object, const std::set<std::string>& allowed) {
  for (const auto& [name, value] : object.items()) {
    if (!allowed.contains(name)) {
      return absl::InvalidArgumentError(
          absl::StrFormat("the member \"%s\" has no place here", name));
    }
  }
  return absl::OkStatus();
}

absl::Status AddPut(const Json& object, const std::string& key, Batch& batch) {
  WEFT_RETURN_IF_ERROR(OnlyMembers(object, {"op", "key", "key64", "value", "value64"}));
  if (object.contains("value64")) {
    WEFT_ASSIGN_OR_RETURN(const std::string bytes, TakeText(object, "value"));
    batch.Put(key, Datum::Of(bytes));
    return absl::OkStatus();
  }
  const auto value = object.find("value");
  if (value == object.end()) {
    return absl::InvalidArgumentError("has to have either \"value\" or \"value64\"");
  }
  WEFT_ASSIGN_OR_RETURN(const Datum datum, DatumOf(*value));
  batch.Put(key, datum);
  return absl::OkStatus();
}

absl::Status AddSet(const Json& object, const std::string& key, Batch& batch) {
  WEFT_RETURN_IF_ERROR(OnlyMembers(object, {"op", "key", "key64", "cells"}));
  const auto cells = object.find("cells");
  if (cells == object.end() || !cells->is_object()) {
    return absl::InvalidArgumentError("has to have an object \"cells\"");
  }
  std::vector<std::pair<std::string, Datum>> set;
  for (const auto& [column, value] : cells->items()) {
    if (column.empty()) return absl::InvalidArgumentError("a column has no name");
    WEFT_ASSIGN_OR_RETURN(Datum datum, DatumOf(value));
    set.emplace_back(column, std::move(datum));
  }
  batch.Set(key, std::move(set));
  return absl::OkStatus();
}

absl::Status AddUnset(const Json& object, const std::string& key, Batch& batch) {
  WEFT_RETURN_IF_ERROR(OnlyMembers(object, {"op", "key", "key64", "columns"}));
  const auto columns = object.find("columns");
  if (columns == object.end() || !columns->is_array()) {
    return absl::InvalidArgumentError("has to have a list \"columns\"");
  }
  std::vector<std::string> names;
  for (const Json& column : *columns) {
    if (!column.is_string()) {
      return absl::InvalidArgumentError("a column is not a string");
    }
    names.push_back(column.get<std::string>());
  }
  batch.Unset(key, std::move(names));
  return absl::OkStatus();
}

absl::StatusOr<std::int64_t> TakeInteger(const Json& object, const char* name,
                                         std::optional<std::int64_t> missing = {}) {
  const auto found = object.find(name);
  if (found == object.end() && missing) return *missing;
  if (found == object.end() || !found->is_number_integer()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("has to have an integer \"%s\"", name));
  }
  WEFT_ASSIGN_OR_RETURN(const Datum number, DatumOf(*found));
  return number.as_integer();
}

absl::StatusOr<Datum> TakeValue(const Json& object) {
  if (object.contains("value64")) {
    WEFT_ASSIGN_OR_RETURN(const std::string bytes, TakeText(object, "value"));
    return Datum::Of(bytes);
  }
  const auto value = object.find("value");
  if (value == object.end()) {
    return absl::InvalidArgumentError("has to have either \"value\" or \"value64\"");
  }
  return DatumOf(*value);
}

absl::Status AddTextEdit(const Json& object, const std::string& key, Batch& batch) {
  WEFT_RETURN_IF_ERROR(
      OnlyMembers(object, {"op", "key", "key64", "pos", "insert", "delete"}));
  const auto insert = object.find("insert");
  if ((insert == object.end()) == !object.contains("delete")) {
    return absl::InvalidArgumentError("has to have either \"insert\" or \"delete\"");
  }
  if (insert == object.end()) {
    WEFT_ASSIGN_OR_RETURN(const std::int64_t position, TakeInteger(object, "pos"));
    WEFT_ASSIGN_OR_RETURN(const std::int64_t count, TakeInteger(object, "delete"));
    if (position < 0 || count < 0) {
      return absl::InvalidArgumentError("a position or length is below 0");
    }
    batch.DeleteText(key, static_cast<std::uint64_t>(position),
                     static_cast<std::uint64_t>(count));
    return absl::OkStatus();
  }
  if (!insert->is_string()) {
    return absl::InvalidArgumentError("\"insert\" is not a string");
  }
  // Without a position, at the end.
  WEFT_ASSIGN_OR_RETURN(const std::int64_t position, TakeInteger(object, "pos", -1));
  if (object.contains("pos") && position < 0) {
    return absl::InvalidArgumentError("a position is below 0");
  }
  batch.InsertText(key,
                   position < 0 ? Batch::kAtEnd : static_cast<std::uint64_t>(position),
                   insert->get<std::string>());
  return absl::OkStatus();
}

// The other lanes. False if `op` is none of theirs.
absl::StatusOr<bool> AddLaneChange(const Json& object, const std::string& op,
                                   const std::string& key, Batch& batch) {
  const std::set<std::string> ops = {"inc", "reset", "add",    "rem",    "max",
                                     "min", "push",  "enable", "disable"};
  if (!ops.contains(op)) return false;
  Batch::Column column;
  if (object.contains("column") || object.contains("column64")) {
    WEFT_ASSIGN_OR_RETURN(column, TakeText(object, "column"));
  }
  std::set<std::string> members = {"op", "key", "key64"};
  if (op == "inc") {
    members.insert("by");
  } else if (op == "add" || op == "rem" || op == "push") {
    members.insert({"value", "value64"});
  } else if (op == "max" || op == "min") {
    members.insert("value");
  }
  if (op != "push") members.insert({"column", "column64"});
  WEFT_RETURN_IF_ERROR(OnlyMembers(object, members));
  if (op == "inc") {
    WEFT_ASSIGN_OR_RETURN(const std::int64_t by, TakeInteger(object, "by", 1));
    batch.Increment(key, by, std::move(column));
  } else if (op == "max" || op == "min") {
    WEFT_ASSIGN_OR_RETURN(const std::int64_t value, TakeInteger(object, "value"));
    op == "max" ? batch.Max(key, value, std::move(column))
                : batch.Min(key, value, std::move(column));
  } else if (op == "reset") {
    batch.Reset(key, std::move(column));
  } else if (op == "enable") {
    batch.Enable(key, std::move(column));
  } else if (op == "disable") {
    batch.Disable(key, false, std::move(column));
  } else {
    WEFT_ASSIGN_OR_RETURN(const Datum value, TakeValue(object));
    if (op == "add") batch.Add(key, value, std::move(column));
    if (op == "rem") batch.Remove(key, value, std::move(column));
    if (op == "push") batch.Append(key, value);
  }
  return true;
}

absl::Status AddChange(std::string_view line, Batch& batch) {
  WEFT_ASSIGN_OR_RETURN(const Json object, ParseObject(line));
  const auto op = object.find("op");
  if (op == object.end() || !op->is_string()) {
    return absl::InvalidArgumentError("has to have a string \"op\"");
  }
  WEFT_ASSIGN_OR_RETURN(const std::string key, TakeText(object, "key"));
  if (*op == "put") return AddPut(object, key, batch);
  if (*op == "set") return AddSet(object, key, batch);
  if (*op == "unset") return AddUnset(object, key, batch);
  if (*op == "text") return AddTextEdit(object, key, batch);
  WEFT_ASSIGN_OR_RETURN(const bool added,
                        AddLaneChange(object, op->get<std::string>(), key, batch));
  if (added) return absl::OkStatus();
  if (*op == "del" || *op == "erase") {
    WEFT_RETURN_IF_ERROR(OnlyMembers(object, {"op", "key", "key64"}));
    if (*op == "del") {
      batch.Delete(key);
    } else {
      batch.Erase(key);
    }
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrFormat(
      "\"%s\" is none of put, del, set, unset, erase, inc, reset, add, rem, max, min, "
      "enable, disable, push, text",
      op->get<std::string>()));
}

// One line for each block: it is on the disk when the line is out.
void Acknowledge(const Invocation& call, const Committed& committed) {
  std::optional<std::uint64_t> last;
  for (const OpName& op : committed.ops) {
    if (last == op.position) continue;
    last = op.position;
    const std::string dot = absl::StrFormat("%s:%d", op.writer, op.position);
    if (call.json) {
      PrintJson(Json{{"dot", dot}});
    } else {
      Out() << dot << std::endl;
    }
  }
}

class BatchRun {
 public:
  BatchRun(const Invocation& call, const BatchOptions& options, Base base)
      : call_(call), options_(options), base_(std::move(base)) {}

  int Run() {
    std::string line;
    for (std::uint64_t number = 1; true; ++number) {
      const auto more = NextLine(line);
      if (!more.ok()) return Stop(number, more.status());
      if (!*more) break;
      if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
      if (const absl::Status status = AddChange(line, batch_); !status.ok()) {
        return Stop(number, status);
      }
      if (batch_.size() > kChangesMax) {
        return Stop(number, absl::InvalidArgumentError(absl::StrFormat(
                                "a commit has at most %d changes", kChangesMax)));
      }
      if (!options_.each) continue;
      if (const absl::Status status = Commit(); !status.ok()) {
        return Stop(number, status);
      }
    }
    // What broke off is not all that was meant.
    if (const absl::Status read = Console::Current().in_status(); !read.ok()) {
      return Fail(read);
    }
    if (!batch_.empty()) {
      if (const absl::Status status = Commit(); !status.ok()) return Fail(status);
    }
    return Report();
  }

 private:
  // What was committed before is not taken back, so it is told.
  int Stop(std::uint64_t number, const absl::Status& status) {
    if (commits_ > 0) Report();
    return Fail(status, absl::StrFormat("stdin: line %d", number));
  }

  absl::Status Commit() {
    auto committed = base_.Commit(batch_);
    if (!committed.ok()) return committed.status();
    batch_ = Batch();
    ++commits_;
    for (const OpName& op : committed->ops) ops_.push_back(op.ToText());
    if (options_.ack) Acknowledge(call_, *committed);
    return absl::OkStatus();
  }

  int Report() const {
    if (call_.json) {
      PrintJson(Json{{"commits", commits_}, {"ops", ops_}});
    } else if (!options_.ack) {
      for (const std::string& op : ops_) Out() << op << '\n';
    }
    return kDone;
  }

  const Invocation& call_;
  const BatchOptions& options_;
  Base base_;
  Batch batch_;
  std::uint64_t commits_ = 0;
  std::vector<std::string> ops_;
};

}  // namespace

void AddBatchCommand(CommandLine& line) {
  auto options = std::make_shared<BatchOptions>();
  CLI::App* batch =
      line.Add({.name = "batch",
                .arguments = "",
                .help = "commits the changes on stdin, NDJSON, all of them or none",
                .stays = true},
               [options](const Invocation& call) -> int {
                 int code = kDone;
                 auto base = OpenBase(call, code);
                 if (!base) return code;
                 return BatchRun(call, *options, *std::move(base)).Run();
               });
  batch->add_flag("--each", options->each, "a commit for every line");
  batch->add_flag("--ack", options->ack, "prints each block's dot once it is durable");
}

}  // namespace weft::cli
