// inc, reset, add, rem, max, min, enable, disable: one change of a counter, set, max,
// min or flag, on a key or (--column) in a cell of a row; push: an item at the end of a
// list; text: reading and typing.

#include <algorithm>
#include <charconv>

#include "absl/strings/str_format.h"
#include "apps/weft/commands.h"
#include "apps/weft/console.h"
#include "apps/weft/json.h"
#include "weft/text.h"

namespace weft::cli {
namespace {

constexpr std::uint64_t kTextBytesMax = std::uint64_t{64} << 20;

template <class T>
std::optional<T> NumberOf(const std::string& text) {
  T value{};
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || rest != end) return std::nullopt;
  return value;
}

int Report(const Invocation& call, const std::vector<OpName>& ops) {
  if (call.json) {
    Json names = Json::array();
    for (const OpName& op : ops) names.push_back(op.ToText());
    PrintJson(ops.size() == 1 ? Json{{"op", names[0]}} : Json{{"ops", names}});
  } else {
    for (const OpName& op : ops) Out() << op.ToText() << '\n';
  }
  return kDone;
}

// Why the change would change nothing at a key that reads so; empty: it may.
using Idle = std::function<std::string(const Invocation&, const Lanes&)>;

int Commit(const Invocation& call, const Batch& batch, const Idle& idle = {},
           const Batch::Column& column = {}) {
  int code = kDone;
  auto base = OpenBase(call, code);
  if (!base) return code;
  if (idle) {
    const auto entry = base->Get(call.arguments[0]);
    if (!entry.ok() && !absl::IsNotFound(entry.status())) return Fail(entry.status());
    Lanes lanes;
    if (entry.ok() && !column) lanes = entry->lanes;
    if (entry.ok() && column && entry->lane_cells.contains(*column)) {
      lanes = entry->lane_cells.at(*column);
    }
    const std::string why = idle(call, lanes);
    if (!why.empty()) return Fail(kNotSo, Printable(call.arguments[0]) + ": " + why);
  }
  const auto committed = base->Commit(batch);
  if (!committed.ok()) return Fail(committed.status());
  return Report(call, committed->ops);
}

// A change of one lane, once its arguments are read.
using Change = std::function<bool(const Invocation&, Batch::Column, Batch&)>;

CLI::App* AddLaneCommand(CommandLine& line, const CommandSpec& spec, Change change,
                         const Idle& idle = {}) {
  auto column = std::make_shared<std::string>();
  const std::string name = spec.name;
  CLI::App* app = line.Add(spec, [=](const Invocation& call) {
    Batch batch;
    Batch::Column cell;
    if (!column->empty()) cell = *column;
    if (!change(call, cell, batch)) {
      return Fail(kUsage,
                  absl::StrFormat("%s: '%s' is not an integer from %d to %d", name,
                                  call.arguments.back(), INT64_MIN, INT64_MAX));
    }
    return Commit(call, batch, idle, cell);
  });
  app->add_option("--column", *column, "of this cell of the row KEY, not of the key");
  return app;
}

Change WithInteger(void (Batch::*method)(std::string_view, std::int64_t,
                                         Batch::Column)) {
  return [method](const Invocation& call, Batch::Column column, Batch& batch) {
    std::optional<std::int64_t> number = 1;
    if (call.arguments.size() > 1) number = NumberOf<std::int64_t>(call.arguments[1]);
    if (number) (batch.*method)(call.arguments[0], *number, std::move(column));
    return number.has_value();
  };
}

Change WithElement(void (Batch::*method)(std::string_view, const Datum&,
                                         Batch::Column)) {
  return [method](const Invocation& call, Batch::Column column, Batch& batch) {
    (batch.*method)(call.arguments[0], Datum::Of(call.arguments[1]), std::move(column));
    return true;
  };
}

Change Alone(void (Batch::*method)(std::string_view, Batch::Column)) {
  return [method](const Invocation& call, Batch::Column column, Batch& batch) {
    (batch.*method)(call.arguments[0], std::move(column));
    return true;
  };
}

struct TextOptions {
  std::string file;
};

int ShowText(const Invocation& call, const Text& text) {
  const auto content = text.Read();
  if (!content.ok()) return Fail(content.status());
  if (call.json) {
    const auto length = text.Length();
    if (!length.ok()) return Fail(length.status());
    Json object = Json::object();
    PutText(object, "key", call.arguments[0]);
    object["text"] = *content;
    object["length"] = *length;
    PrintJson(object);
  } else {
    Out() << *content;
  }
  return kDone;
}

int EditText(const Invocation& call, const std::string& file, Text text) {
  const auto content = ReadAll(file.empty() ? "-" : file, kTextBytesMax);
  if (!content.ok()) return Fail(content.status());
  const auto ops = text.Replace(*content);
  if (!ops.ok()) return Fail(ops.status());
  return Report(call, *ops);
}

int RunText(const Invocation& call, const TextOptions& options) {
  const std::vector<std::string>& words = call.arguments;
  const std::string verb = words.size() > 1 ? words[1] : "show";
  const bool changes = verb == "insert" || verb == "delete";
  const std::size_t count = verb == "append"   ? 3
                            : changes          ? 4
                            : words.size() > 1 ? 2
                                               : 1;
  const bool known = changes || verb == "append" || verb == "edit" || verb == "show";
  if (!known || words.size() != count) {
    return Fail(kUsage,
                "text: takes KEY [show], KEY insert POS TEXT, KEY append TEXT, KEY "
                "delete POS LEN, or KEY edit [--file F]");
  }
  std::optional<std::uint64_t> position;
  std::optional<std::uint64_t> length;
  if (changes) {
    position = NumberOf<std::uint64_t>(words[2]);
    if (verb == "delete") length = NumberOf<std::uint64_t>(words[3]);
    if (!position || (verb == "delete" && !length)) {
      return Fail(kUsage, "text: a position or length is not a number from 0 on");
    }
  }
  int code = kDone;
  auto base = OpenBase(call, code);
  if (!base) return code;
  Text text(*base, words[0]);
  if (verb == "show") return ShowText(call, text);
  if (verb == "edit") return EditText(call, options.file, text);
  const auto op = verb == "insert"   ? text.Insert(*position, words[3])
                  : verb == "append" ? text.Append(words[2])
                                     : text.Delete(*position, *length);
  if (!op.ok()) return Fail(op.status());
  return Report(call, {*op});
}

}  // namespace

void AddLaneCommands(CommandLine& line) {
  AddLaneCommand(line, {"inc", "KEY [BY]", "adds to a counter", 1, 2},
                 WithInteger(&Batch::Increment));
  AddLaneCommand(line, {"reset", "KEY", "takes a counter back to nothing", 1, 1},
                 Alone(&Batch::Reset),
                 [](const Invocation&, const Lanes& lanes) -> std::string {
                   return lanes.counter ? "" : "there is no counter to reset";
                 });
  AddLaneCommand(line, {"add", "KEY ELEMENT", "adds to a set", 2, 2},
                 WithElement(&Batch::Add));
  AddLaneCommand(line, {"rem", "KEY ELEMENT", "removes from a set", 2, 2},
                 WithElement(&Batch::Remove),
                 [](const Invocation& call, const Lanes& lanes) -> std::string {
                   const Datum element = Datum::Of(call.arguments[1]);
                   const bool is_there =
                       lanes.set && std::find(lanes.set->begin(), lanes.set->end(),
                                              element) != lanes.set->end();
                   return is_there ? ""
                                   : "the set has no element '" +
                                         Printable(call.arguments[1]) + "'";
                 });
  AddLaneCommand(line, {"max", "KEY INTEGER", "raises a maximum", 2, 2},
                 WithInteger(&Batch::Max));
  AddLaneCommand(line, {"min", "KEY INTEGER", "lowers a minimum", 2, 2},
                 WithInteger(&Batch::Min));
  AddLaneCommand(line, {"enable", "KEY", "turns a flag on", 1, 1},
                 Alone(&Batch::Enable));
  auto wins = std::make_shared<bool>(false);
  CLI::App* disable = AddLaneCommand(
      line, {"disable", "KEY", "turns a flag off", 1, 1},
      [wins](const Invocation& call, Batch::Column column, Batch& batch) {
        batch.Disable(call.arguments[0], *wins, std::move(column));
        return true;
      });
  disable->add_flag("--wins", *wins,
                    "also over an enable elsewhere that has not seen it");
  line.Add({"push", "KEY ITEM", "adds an item to the end of a list", 2, 2},
           [](const Invocation& call) {
             Batch batch;
             batch.Append(call.arguments[0], Datum::Of(call.arguments[1]));
             return Commit(call, batch);
           });
  auto options = std::make_shared<TextOptions>();
  CLI::App* text = line.Add(
      {"text", "KEY [show | insert POS TEXT | append TEXT | delete POS LEN | edit]",
       "reads or edits a text that several people may type in at once;\n"
       "POS and LEN count characters (Unicode code points), the first is 0",
       1, 4},
      [options](const Invocation& call) { return RunText(call, *options); });
  text->add_option("--file", options->file,
                   "edit: the text becomes the content of this file; default stdin");
}

}  // namespace weft::cli
