// What a reader sees at a key: plain values, with no tie to the view.

#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "crdt/operation.h"

namespace weft {

struct ViewSibling {
  std::string value;  // canonical: type byte and bytes (rule S9)
  OpId op;
  Hlc hlc;

  ValueView view() const {
    return {static_cast<ValueType>(static_cast<std::uint8_t>(value[0])),
            AsBytes(value).subspan(1)};
  }
  bool operator==(const ViewSibling&) const = default;
};

// A register, or one cell of a record.
struct ViewRegister {
  // The live values, the winner first, then by falling tie; at most
  // limits.siblings_reported of them. Never empty.
  std::vector<ViewSibling> live;
  std::uint64_t live_count = 0;
  // A del or an unset stands that had not seen the live values.
  bool deleted_concurrently = false;

  bool operator==(const ViewRegister&) const = default;
};

// The counter, set, max, min and flag lanes of a key or a cell; absent where nothing is
// readable.
struct ViewTyped {
  struct Counter {
    std::int64_t value = 0;  // the nearest to the sum that 64 bits hold
    std::string sum;         // exact, decimal
    bool operator==(const Counter&) const = default;
  };
  struct Flag {
    bool enabled = false;
    bool in_conflict = false;  // ops that disagree stand beside each other
    bool operator==(const Flag&) const = default;
  };

  std::optional<Counter> counter;
  std::optional<std::vector<std::string>> set;  // canonical values, in byte order
  std::optional<std::int64_t> max;
  std::optional<std::int64_t> min;
  std::optional<Flag> flag;

  bool empty() const { return !counter && !set && !max && !min && !flag; }
  bool operator==(const ViewTyped&) const = default;
};

struct ViewRecord {
  std::map<std::string, ViewRegister> cells;     // by column
  std::map<std::string, ViewTyped> typed_cells;  // by column; none is empty
  std::vector<OpId> presence;                    // by op id
  bool deleted_concurrently = false;

  bool operator==(const ViewRecord&) const = default;
};

// Nothing is readable at the key if it has no lane.
struct ViewEntry {
  std::string key;
  std::optional<ViewRegister> value;
  std::optional<ViewRecord> record;
  ViewTyped typed;
  std::optional<std::string> text;               // UTF-8
  std::optional<std::vector<std::string>> list;  // canonical values, in order
  // The lane whose newest live op has the largest tie: what a plain read shows (D7).
  Lane shown = Lane::kNone;

  bool readable() const {
    return value.has_value() || record.has_value() || !typed.empty() || text || list;
  }
  bool has_conflicts() const;
  bool operator==(const ViewEntry&) const = default;
};

// One key that reads differently now. Either side may be unreadable.
struct ViewChange {
  std::string key;
  ViewEntry before;
  ViewEntry after;
};

}  // namespace weft
