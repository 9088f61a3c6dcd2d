// export: the rows of a table as CSV or NDJSON on stdout, in byte order of their keys,
// so that import reads them back.
//
// The key column comes first: the first column, in byte order, whose cell is the row's
// key in every row. A table without such a column gets one without a name, which import
// takes as the key and for no cell. A cell that is not there is an empty field, an
// empty text is "". Cells with conflicts are exported as they are shown, counters and
// the like by what they say.

#include <map>

#include "absl/strings/str_format.h"
#include "apps/weft/commands.h"
#include "apps/weft/console.h"
#include "apps/weft/csv.h"
#include "apps/weft/json.h"

namespace weft::cli {
namespace {

struct Columns {
  std::string key;  // the key column; empty: the key is a cell of no column
  std::vector<std::string> others;  // in byte order
  std::uint64_t rows = 0;
};

std::string RowKey(const Entry& entry, std::string_view table) {
  return entry.key.substr(table.size() + 1);
}

absl::StatusOr<Columns> FindColumns(const Base& base, const std::string& table) {
  std::map<std::string, std::uint64_t> is_key;  // column -> rows in which it is the key
  Columns columns;
  Entries entries = base.Scan(Prefix(table + "/"));
  for (const Entry& entry : entries) {
    if (!entry.is_record) continue;
    ++columns.rows;
    const std::string key = RowKey(entry, table);
    for (const auto& [column, cell] : entry.cells) {
      is_key[column] += cell.winner.value.ToText() == key ? 1 : 0;
    }
    for (const auto& [column, lanes] : entry.lane_cells) is_key[column] += 0;
  }
  if (!entries.status().ok()) return entries.status();
  for (const auto& [column, rows] : is_key) {
    if (!IsUtf8(column)) {
      return absl::OutOfRangeError(absl::StrFormat(
          "%s: the column '%s' is not UTF-8, which neither CSV nor JSON "
          "can hold",
          table, Printable(column)));
    }
    if (columns.key.empty() && rows == columns.rows) {
      columns.key = column;
    } else {
      columns.others.push_back(column);
    }
  }
  return columns;
}

absl::Status PrintCsv(const Entry& entry, const Columns& columns,
                      const std::string& key) {
  std::string line = CsvField(key);
  for (const std::string& column : columns.others) {
    line += ',';
    const auto cell = entry.cells.find(column);
    const auto lanes = entry.lane_cells.find(column);
    if (cell == entry.cells.end() && lanes == entry.lane_cells.end()) continue;
    const std::string text = cell != entry.cells.end()
                                 ? cell->second.winner.value.ToText()
                                 : LanesText(lanes->second);
    if (!IsUtf8(text)) {
      return absl::OutOfRangeError(
          absl::StrFormat("%s: the column '%s' is not UTF-8, which CSV cannot hold; "
                          "--format ndjson can",
                          entry.key, column));
    }
    line += CsvField(text);
  }
  Out() << line << '\n';
  return absl::OkStatus();
}

void PrintObject(const Entry& entry, const Columns& columns, const std::string& key) {
  Json object = Json::object();
  object[columns.key] = columns.key.empty()
                            ? CellJson(Datum::Of(key))
                            : CellJson(entry.cells.at(columns.key).winner.value);
  for (const auto& [column, cell] : entry.cells) {
    if (column != columns.key) object[column] = CellJson(cell.winner.value);
  }
  for (const auto& [column, lanes] : entry.lane_cells) {
    if (!object.contains(column)) object[column] = LanesJson(lanes);
  }
  Out() << object.dump() << '\n';
}

void PrintHeader(const Columns& columns) {
  if (!columns.key.empty()) Out() << CsvField(columns.key);
  for (const std::string& column : columns.others) Out() << ',' << CsvField(column);
  Out() << '\n';
}

int Export(const Invocation& call, std::string format) {
  if (call.json) format = "ndjson";
  if (format != "csv" && format != "ndjson") {
    return Fail(kUsage, "--format " + format + ": is neither csv nor ndjson");
  }
  const std::string& table = call.arguments[0];
  int code = kDone;
  auto base = OpenBase(call, code);
  if (!base) return code;
  const auto columns = FindColumns(*base, table);
  if (!columns.ok()) return Fail(columns.status());
  if (columns->rows == 0) return Fail(kNotSo, table + ": the table has no rows");
  if (format == "csv") PrintHeader(*columns);
  Entries entries = base->Scan(Prefix(table + "/"));
  for (const Entry& entry : entries) {
    if (!entry.is_record) continue;
    const std::string key = RowKey(entry, table);
    if (format == "ndjson") {
      PrintObject(entry, *columns, key);
    } else if (const absl::Status status = PrintCsv(entry, *columns, key);
               !status.ok()) {
      return Fail(status);
    }
    if (!Out()) break;
  }
  if (!entries.status().ok()) return Fail(entries.status());
  return kDone;
}

}  // namespace

void AddExportCommand(CommandLine& line) {
  auto format = std::make_shared<std::string>("csv");
  CLI::App* app =
      line.Add({"export", "TABLE", "prints the rows of a table", 1, 1},
               [format](const Invocation& call) { return Export(call, *format); });
  app->add_option("--format", *format, "csv (default) or ndjson");
}

}  // namespace weft::cli
