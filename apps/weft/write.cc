// put, del, set, unset, erase: one change each, durable when the command ends.

#include <algorithm>

#include "apps/weft/commands.h"
#include "apps/weft/console.h"
#include "apps/weft/json.h"
#include "crdt/limits.h"

namespace weft::cli {
namespace {

int Put(const Invocation& call, const std::string& file) {
  if ((call.arguments.size() == 2) != file.empty()) {
    return Fail(kUsage, "put: takes KEY and either VALUE or --file");
  }
  int code = kDone;
  auto base = OpenBase(call, code);
  if (!base) return code;
  if (file.empty()) {
    return ReportOp(call, base->Put(call.arguments[0], call.arguments[1]));
  }
  const auto value = ReadAll(file, Limits().value_bytes);
  if (!value.ok()) return Fail(value.status());
  return ReportOp(call, base->Put(call.arguments[0], *value));
}

int Delete(const Invocation& call) {
  int code = kDone;
  auto base = OpenBase(call, code);
  if (!base) return code;
  return ReportOp(call, base->Delete(call.arguments[0]));
}

int Set(const Invocation& call) {
  std::vector<std::pair<std::string, Datum>> cells;
  std::set<std::string> seen;
  for (std::size_t i = 1; i < call.arguments.size(); ++i) {
    const std::string& argument = call.arguments[i];
    const std::size_t equals = argument.find('=');
    if (equals == std::string::npos || equals == 0) {
      return Fail(kUsage, "set: '" + argument + "' is not COL=VALUE");
    }
    const std::string column = argument.substr(0, equals);
    if (!seen.insert(column).second) {
      return Fail(kUsage, "set: the column '" + column + "' is there twice");
    }
    cells.emplace_back(column, Datum::Of(argument.substr(equals + 1)));
  }
  int code = kDone;
  auto base = OpenBase(call, code);
  if (!base) return code;
  return ReportOp(call, base->Set(call.arguments[0], std::move(cells)));
}

int Unset(const Invocation& call) {
  int code = kDone;
  auto base = OpenBase(call, code);
  if (!base) return code;
  const std::vector<std::string> columns(call.arguments.begin() + 1,
                                         call.arguments.end());
  const auto entry = base->Get(call.arguments[0]);
  if (!entry.ok()) return Fail(entry.status());
  const bool any = std::any_of(columns.begin(), columns.end(), [&](const auto& column) {
    return entry->cells.contains(column) || entry->lane_cells.contains(column);
  });
  if (!any) {
    return Fail(kNotSo, Printable(call.arguments[0]) + ": there is no cell '" +
                            Printable(columns.front()) + "'");
  }
  return ReportOp(call, base->Unset(call.arguments[0], columns));
}

int Erase(const Invocation& call) {
  int code = kDone;
  auto base = OpenBase(call, code);
  if (!base) return code;
  return ReportOp(call, base->Erase(call.arguments[0]));
}

}  // namespace

void AddWriteCommands(CommandLine& line) {
  auto file = std::make_shared<std::string>();
  CLI::App* put = line.Add(
      {"put", "KEY [VALUE]", "writes a value; text if it is UTF-8, else bytes", 1, 2},
      [file](const Invocation& call) { return Put(call, *file); });
  put->add_option("--file", *file, "the value is the content of this file; - is stdin");
  line.Add({"del", "KEY", "deletes what is readable at a key", 1, 1}, Delete);
  line.Add({"set", "TABLE/KEY COL=VALUE...", "writes cells of a row", 2,
            CommandSpec::kAnyNumber},
           Set);
  line.Add({"unset", "TABLE/KEY COL...", "empties cells of a row", 2,
            CommandSpec::kAnyNumber},
           Unset);
  line.Add({"erase", "TABLE/KEY", "deletes a row", 1, 1}, Erase);
}

}  // namespace weft::cli
