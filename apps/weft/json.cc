#include "apps/weft/json.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <set>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_format.h"
#include "apps/weft/console.h"
#include "engine/bytes.h"
#include "engine/status.h"
#include "engine/text.h"

namespace weft::cli {
namespace {

std::string ToBase64(std::string_view bytes) {
  return absl::Base64Escape(ToAbsl(bytes));
}

bool IsBytes(const Datum& value) {
  return (value.type() == Datum::Type::kText || value.type() == Datum::Type::kBytes) &&
         !IsUtf8(value.as_string());
}

// A value that is not such bytes.
Json PlainJson(const Datum& value) {
  switch (value.type()) {
    case Datum::Type::kNull:
      return nullptr;
    case Datum::Type::kBool:
      return value.as_bool();
    case Datum::Type::kInteger:
      return value.as_integer();
    case Datum::Type::kReal:
      return value.as_real();
    case Datum::Type::kText:
    case Datum::Type::kBytes:
      return value.as_string();
  }
  return nullptr;
}

Json SiblingsJson(const std::vector<Sibling>& siblings) {
  Json list = Json::array();
  for (const Sibling& sibling : siblings) list.push_back(SiblingJson(sibling));
  return list;
}

}  // namespace

bool IsUtf8(std::string_view bytes) {
  return weft::IsUtf8(AsBytes(bytes));
}

void PutText(Json& object, const std::string& name, std::string_view bytes) {
  if (IsUtf8(bytes)) {
    object[name] = std::string(bytes);
  } else {
    object[name + "64"] = ToBase64(bytes);
  }
}

void PutValue(Json& object, const Datum& value) {
  if (IsBytes(value)) {
    object["value64"] = ToBase64(value.as_string());
  } else {
    object["value"] = PlainJson(value);
  }
}

Json CellJson(const Datum& value) {
  if (IsBytes(value)) return Json{{"base64", ToBase64(value.as_string())}};
  return PlainJson(value);
}

Json SiblingJson(const Sibling& sibling) {
  Json object = Json::object();
  PutValue(object, sibling.value);
  object["op"] = sibling.op.ToText();
  object["author"] = sibling.author;
  object["time_ms"] = sibling.time_ms;
  return object;
}

Json LanesJson(const Lanes& lanes) {
  Json object = Json::object();
  if (lanes.counter) {
    object["counter"] = lanes.counter->value;
    if (std::to_string(lanes.counter->value) != lanes.counter->sum) {
      object["counter_exact"] = lanes.counter->sum;
    }
  }
  if (lanes.set) {
    object["set"] = Json::array();
    for (const Datum& element : *lanes.set) object["set"].push_back(CellJson(element));
  }
  if (lanes.max) object["max"] = *lanes.max;
  if (lanes.min) object["min"] = *lanes.min;
  if (lanes.flag) object["flag"] = *lanes.flag;
  if (lanes.flag_in_conflict) object["flag_in_conflict"] = true;
  return object;
}

std::string LanesText(const Lanes& lanes) {
  Json object = LanesJson(lanes);
  if (lanes.counter && object.size() <= 2) return lanes.counter->sum;
  if (object.size() != 1) return object.dump();
  return object.begin()->dump();
}

Json EntryJson(const Entry& entry) {
  Json object = Json::object();
  PutText(object, "key", entry.key);
  object.update(LanesJson(entry.lanes));
  if (entry.text) object["text"] = *entry.text;
  if (entry.list) {
    object["list"] = Json::array();
    for (const Datum& item : *entry.list) object["list"].push_back(CellJson(item));
  }
  if (!entry.lanes.empty() || entry.text || entry.list) object["shown"] = entry.shown;
  if (entry.value) {
    PutValue(object, entry.value->winner.value);
    if (!entry.value->conflicts.empty()) {
      object["conflicts"] = SiblingsJson(entry.value->conflicts);
    }
  }
  if (entry.is_record) {
    Json cells = Json::object();
    Json cells64 = Json::object();  // columns that are not UTF-8
    Json conflicts = Json::object();
    for (const auto& [column, cell] : entry.cells) {
      const bool text = IsUtf8(column);
      const std::string name = text ? column : ToBase64(column);
      (text ? cells : cells64)[name] = CellJson(cell.winner.value);
      if (!cell.conflicts.empty()) conflicts[name] = SiblingsJson(cell.conflicts);
    }
    object["cells"] = std::move(cells);
    for (const auto& [column, lanes] : entry.lane_cells) {
      const bool text = IsUtf8(column);
      object[text ? "lane_cells" : "lane_cells64"][text ? column : ToBase64(column)] =
          LanesJson(lanes);
    }
    if (!cells64.empty()) object["cells64"] = std::move(cells64);
    if (!conflicts.empty()) object["cell_conflicts"] = std::move(conflicts);
  }
  if (entry.deleted_concurrently) object["deleted_concurrently"] = true;
  return object;
}

Json EntryDetailsJson(const Entry& entry) {
  Json object = EntryJson(entry);
  object.erase("cell_conflicts");
  object["conflicts"] = Json::array();
  bool deleted = entry.deleted_concurrently;
  if (entry.value) {
    const Sibling& winner = entry.value->winner;
    object["op"] = winner.op.ToText();
    object["author"] = winner.author;
    object["time_ms"] = winner.time_ms;
    object["conflicts"] = SiblingsJson(entry.value->conflicts);
    deleted |= entry.value->deleted_concurrently;
  }
  if (entry.is_record) object["writes"] = Json::array();
  for (const auto& [column, cell] : entry.cells) {
    const auto with_column = [&column = column](const Sibling& sibling) {
      Json json = Json::object();
      PutText(json, "column", column);
      json.update(SiblingJson(sibling));
      return json;
    };
    object["writes"].push_back(with_column(cell.winner));
    for (const Sibling& loser : cell.conflicts) {
      object["conflicts"].push_back(with_column(loser));
    }
    deleted |= cell.deleted_concurrently;
  }
  object["deleted_concurrently"] = deleted;
  return object;
}

void PrintJson(const Json& object) {
  Out() << object.dump(-1, ' ', false, Json::error_handler_t::replace) << std::endl;
}

absl::StatusOr<Datum> DatumOf(const Json& value) {
  switch (value.type()) {
    case Json::value_t::null:
      return Datum::Null();
    case Json::value_t::boolean:
      return Datum::Bool(value.get<bool>());
    case Json::value_t::number_integer:
      return Datum::Integer(value.get<std::int64_t>());
    case Json::value_t::number_unsigned:
      if (value.get<std::uint64_t>() > std::uint64_t{INT64_MAX}) {
        return absl::InvalidArgumentError(absl::StrFormat(
            "%s is above the largest integer, %d", value.dump(), INT64_MAX));
      }
      return Datum::Integer(value.get<std::int64_t>());
    case Json::value_t::number_float:
      return Datum::Real(value.get<double>());
    case Json::value_t::string:
      return Datum::Of(value.get_ref<const std::string&>());
    default:
      break;
  }
  const auto base64 = value.find("base64");
  if (value.is_object() && value.size() == 1 && base64 != value.end() &&
      base64->is_string()) {
    auto bytes = FromBase64(base64->get_ref<const std::string&>());
    if (!bytes.ok()) return bytes.status();
    return Datum::Of(*bytes);
  }
  return absl::InvalidArgumentError("a value is a list or an object");
}

namespace {

// The library makes an integer beyond 64 bits a real, which is another number.
absl::Status CheckNumber(std::string_view number) {
  const char* const end = number.data() + number.size();
  if (number.find_first_of(".eE") == std::string_view::npos) {
    std::int64_t value = 0;
    std::uint64_t large = 0;  // what DatumOf refuses
    const auto fits = [&](auto& integer) {
      return std::from_chars(number.data(), end, integer).ec !=
             std::errc::result_out_of_range;
    };
    if (fits(value) || (number.front() != '-' && fits(large))) return absl::OkStatus();
    const bool below = number.front() == '-';
    return absl::InvalidArgumentError(
        absl::StrFormat("%s is %s integer, %d", number.substr(0, 80),
                        below ? "below the smallest" : "above the largest",
                        below ? INT64_MIN : INT64_MAX));
  }
  double value = 0;
  const bool huge =
      std::from_chars(number.data(), end, value).ec == std::errc::result_out_of_range &&
      std::abs(std::strtod(std::string(number).c_str(), nullptr)) > 1;
  if (!huge) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrFormat("%s is larger than any real", number.substr(0, 80)));
}

// Of all numbers in the text, JSON or not.
absl::Status CheckNumbers(std::string_view text) {
  constexpr std::string_view kOfNumbers = "0123456789+-.eE";
  for (std::size_t at = 0; at < text.size();) {
    if (text[at] == '"') {
      for (++at; at < text.size() && text[at] != '"'; ++at) {
        if (text[at] == '\\') ++at;
      }
      ++at;
    } else if (text[at] == '-' || (text[at] >= '0' && text[at] <= '9')) {
      const std::size_t end =
          std::min(text.find_first_not_of(kOfNumbers, at), text.size());
      // Shorter ones hold nothing that does not fit.
      if (end - at > 4) WEFT_RETURN_IF_ERROR(CheckNumber(text.substr(at, end - at)));
      at = end;
    } else {
      ++at;
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Json> ParseObject(std::string_view line) {
  if (!IsUtf8(line)) return absl::InvalidArgumentError("not UTF-8");
  WEFT_RETURN_IF_ERROR(CheckNumbers(line));
  std::vector<std::set<std::string>> members;
  std::string repeated;
  const auto watch = [&](int, Json::parse_event_t event, Json& parsed) {
    if (event == Json::parse_event_t::object_start) members.emplace_back();
    if (event == Json::parse_event_t::object_end) members.pop_back();
    if (event == Json::parse_event_t::key &&
        !members.back().insert(parsed.get<std::string>()).second) {
      repeated = parsed.get<std::string>();
    }
    return true;
  };
  Json object = Json::parse(line, watch, /*allow_exceptions=*/false);
  if (object.is_discarded()) return absl::InvalidArgumentError("not JSON");
  if (!object.is_object()) return absl::InvalidArgumentError("not a JSON object");
  if (!repeated.empty()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("the member \"%s\" is there twice", repeated));
  }
  return object;
}

absl::StatusOr<std::string> TakeText(const Json& object, const std::string& name) {
  const auto plain = object.find(name);
  const auto coded = object.find(name + "64");
  if ((plain == object.end()) == (coded == object.end())) {
    return absl::InvalidArgumentError(
        absl::StrFormat("has to have either \"%s\" or \"%s64\"", name, name));
  }
  const Json& text = plain != object.end() ? *plain : *coded;
  if (!text.is_string()) {
    return absl::InvalidArgumentError(absl::StrFormat("\"%s\" is not a string", name));
  }
  if (plain != object.end()) return text.get<std::string>();
  return FromBase64(text.get_ref<const std::string&>());
}

absl::StatusOr<std::string> FromBase64(std::string_view text) {
  std::string bytes;
  if (!absl::Base64Unescape(ToAbsl(text), &bytes)) {
    return absl::InvalidArgumentError(absl::StrFormat("\"%s\" is not base64", text));
  }
  return bytes;
}

}  // namespace weft::cli
