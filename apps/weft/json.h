// The JSON that `weft` prints and reads: one form for keys, values and op ids.
//
// text := "name": UTF-8 | "name64": base64, where the bytes are not UTF-8
// value := null | true | false | number | string; bytes stand under "value64", and as
//          a cell as {"base64": ..}
// record := {"key", "cells": {column: value, ..}}
// op id := "writer:position.index"

#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "weft/types.h"

namespace weft::cli {

using Json = nlohmann::ordered_json;

bool IsUtf8(std::string_view bytes);

// Sets `name` or `name64`.
void PutText(Json& object, const std::string& name, std::string_view bytes);
// Sets "value" or "value64".
void PutValue(Json& object, const Datum& value);
Json CellJson(const Datum& value);
// {"counter", "set", "max", "min", "flag"}: those that are there; a sum beyond an int64
// stands under "counter_exact" too.
Json LanesJson(const Lanes& lanes);
// For a person: the one value, or several as that JSON.
std::string LanesText(const Lanes& lanes);
Json EntryJson(const Entry& entry);
// The same and who wrote it: op, author, time_ms of a value, "writes" of the cells; all
// conflicts in one list, those of cells with their column.
Json EntryDetailsJson(const Entry& entry);
Json SiblingJson(const Sibling& sibling);

// One line on stdout, which is flushed: somebody may be waiting for it.
void PrintJson(const Json& object);

// The inverse of CellJson. INVALID_ARGUMENT  a list, another object, a number that is
// neither an int64 nor a finite real
absl::StatusOr<Datum> DatumOf(const Json& value);
// One object of a line of NDJSON.
// INVALID_ARGUMENT  not UTF-8, not an object, a member twice, a number that no int64 or
//                   real is; says which
absl::StatusOr<Json> ParseObject(std::string_view line);
// INVALID_ARGUMENT  neither `name` nor `name64`, both, or not a string
absl::StatusOr<std::string> TakeText(const Json& object, const std::string& name);

absl::StatusOr<std::string> FromBase64(std::string_view text);

}  // namespace weft::cli
