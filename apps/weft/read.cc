// get, scan, conflicts: reading, each from one snapshot.

#include <ctime>

#include "absl/strings/str_format.h"
#include "apps/weft/commands.h"
#include "apps/weft/console.h"
#include "apps/weft/json.h"
#include "engine/text.h"

namespace weft::cli {
namespace {

struct ScanOptions {
  std::string prefix;
  std::string from;
  std::string to;
  bool reverse = false;
  std::uint64_t limit = UINT64_MAX;
};

void AddRangeOptions(CLI::App* app, const std::shared_ptr<ScanOptions>& options) {
  app->add_option("--prefix", options->prefix, "keys that begin with this");
  app->add_option("--from", options->from, "keys from this on");
  app->add_option("--to", options->to, "keys before this");
  app->add_flag("--reverse", options->reverse, "from the last key to the first");
  AddCount(app, "--limit", options->limit, 0, "at most so many entries");
}

// The keys that all of the options allow.
Range RangeOf(const ScanOptions& options) {
  Range range = options.prefix.empty() ? All() : Prefix(options.prefix);
  if (options.from > range.from) range.from = options.from;
  if (!options.to.empty() && (!range.to || options.to < *range.to)) {
    range.to = options.to;
  }
  range.reverse = options.reverse;
  range.limit = options.limit;
  return range;
}

std::string TimeText(std::uint64_t time_ms) {
  const std::time_t seconds = static_cast<std::time_t>(time_ms / 1000);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[32];
  const std::size_t size = std::strftime(text, sizeof(text), "%F %T UTC", &parts);
  return std::string(text, size);
}

// The lanes of an entry that are neither a value nor a row, each with its name.
std::vector<std::pair<std::string, std::string>> OtherLanes(const Entry& entry) {
  std::vector<std::pair<std::string, std::string>> lanes;
  const Json json = LanesJson(entry.lanes);
  for (const auto& [name, value] : json.items()) {
    if (name == "counter_exact" || name == "flag_in_conflict") continue;
    lanes.emplace_back(name,
                       name == "counter" ? entry.lanes.counter->sum : value.dump());
  }
  if (entry.text) lanes.emplace_back("text", *entry.text);
  if (entry.list) {
    Json items = Json::array();
    for (const Datum& item : *entry.list) items.push_back(CellJson(item));
    lanes.emplace_back("list", items.dump());
  }
  return lanes;
}

// A lane that is alone at its key is printed plain, several with their names.
bool IsAlone(const Entry& entry,
             const std::vector<std::pair<std::string, std::string>>& others) {
  return others.size() == 1 && !entry.value && !entry.is_record;
}

// One line a plain value or other lane, one line a row.
void PrintEntry(const Entry& entry) {
  if (entry.value) {
    Out() << Printable(entry.key) << '\t'
          << Printable(entry.value->winner.value.ToText()) << '\n';
  }
  const auto others = OtherLanes(entry);
  for (const auto& [name, value] : others) {
    Out() << Printable(entry.key) << '\t' << (IsAlone(entry, others) ? "" : name + ": ")
          << Printable(value) << '\n';
  }
  if (!entry.is_record) return;
  Out() << Printable(entry.key);
  for (const auto& [column, cell] : entry.cells) {
    Out() << '\t' << Printable(column) << '=' << Printable(cell.winner.value.ToText());
  }
  for (const auto& [column, lanes] : entry.lane_cells) {
    Out() << '\t' << Printable(column) << '=' << Printable(LanesText(lanes));
  }
  Out() << '\n';
}

int Get(const Invocation& call) {
  int code = kDone;
  auto base = OpenBase(call, code);
  if (!base) return code;
  const auto entry = base->Get(call.arguments[0]);
  if (!entry.ok()) return Fail(entry.status());
  if (call.json) {
    PrintJson(EntryDetailsJson(*entry));
    return kDone;
  }
  if (entry->value) {
    // As it is: bytes go to a file or to another program, so nothing is added.
    const Datum& value = entry->value->winner.value;
    Out() << value.ToText();
    if (value.type() != Datum::Type::kBytes) Out() << '\n';
  }
  const auto others = OtherLanes(*entry);
  for (const auto& [name, value] : others) {
    const bool alone = IsAlone(*entry, others);
    if (!alone) Out() << name << ": ";
    Out() << (alone ? value : Printable(value)) << '\n';
  }
  for (const auto& [column, cell] : entry->cells) {
    Out() << Printable(column) << '=' << Printable(cell.winner.value.ToText()) << '\n';
  }
  for (const auto& [column, lanes] : entry->lane_cells) {
    Out() << Printable(column) << '=' << Printable(LanesText(lanes)) << '\n';
  }
  return kDone;
}

int Scan(const Invocation& call, const ScanOptions& options) {
  int code = kDone;
  auto base = OpenBase(call, code);
  if (!base) return code;
  Entries entries = base->Scan(RangeOf(options));
  for (const Entry& entry : entries) {
    if (!call.json) {
      PrintEntry(entry);
    } else {
      Out() << EntryJson(entry).dump(-1, ' ', false, Json::error_handler_t::replace)
            << '\n';
    }
    if (!Out()) break;
  }
  if (!entries.status().ok()) return Fail(entries.status());
  return kDone;
}

// A conflict as JSON: all the values of one key or cell, the one shown first.
Json ConflictJson(const Entry& entry, const std::string* column,
                  const Register& values) {
  Json object = Json::object();
  PutText(object, "key", entry.key);
  if (column != nullptr) PutText(object, "column", *column);
  Json list = Json::array();
  list.push_back(SiblingJson(values.winner));
  for (const Sibling& loser : values.conflicts) list.push_back(SiblingJson(loser));
  object["values"] = std::move(list);
  if (values.deleted_concurrently) object["deleted_concurrently"] = true;
  return object;
}

void PrintSibling(const char* mark, const Sibling& sibling) {
  Out() << absl::StrFormat("  %s %s\n      by %s, %s, op %s\n", mark,
                           Printable(sibling.value.ToText()), sibling.author,
                           TimeText(sibling.time_ms), sibling.op.ToText());
}

void PrintConflict(const Entry& entry, const std::string* column,
                   const Register& values) {
  Out() << Printable(entry.key);
  if (column != nullptr) Out() << "  " << Printable(*column);
  Out() << '\n';
  PrintSibling("shown:", values.winner);
  for (const Sibling& loser : values.conflicts) PrintSibling("also: ", loser);
}

int Conflicts(const Invocation& call, const ScanOptions& options) {
  int code = kDone;
  auto base = OpenBase(call, code);
  if (!base) return code;
  Json list = Json::array();
  const auto tell = [&](const Entry& entry, const std::string* column,
                        const Register& values) {
    if (values.conflicts.empty()) return;
    if (call.json) {
      list.push_back(ConflictJson(entry, column, values));
    } else {
      PrintConflict(entry, column, values);
    }
  };
  Entries entries = base->Conflicts(RangeOf(options));
  for (const Entry& entry : entries) {
    if (entry.value) tell(entry, nullptr, *entry.value);
    for (const auto& [column, cell] : entry.cells) tell(entry, &column, cell);
  }
  if (!entries.status().ok()) return Fail(entries.status());
  if (call.json) PrintJson(Json{{"conflicts", std::move(list)}});
  return kDone;
}

}  // namespace

void AddReadCommands(CommandLine& line) {
  line.Add({"get", "KEY", "prints what is readable at a key", 1, 1}, Get);
  auto scan_options = std::make_shared<ScanOptions>();
  AddRangeOptions(
      line.Add(
          {"scan", "",
           "prints keys and values in byte order; --json: one object a line"},
          [scan_options](const Invocation& call) { return Scan(call, *scan_options); }),
      scan_options);
  auto conflict_options = std::make_shared<ScanOptions>();
  AddRangeOptions(
      line.Add({"conflicts", "", "lists what was written at once and by whom"},
               [conflict_options](const Invocation& call) {
                 return Conflicts(call, *conflict_options);
               }),
      conflict_options);
}

}  // namespace weft::cli
