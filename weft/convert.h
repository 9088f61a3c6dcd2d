// Between the plain values of the API and those of the layers below.

#pragma once

#include <chrono>

#include "crdt/fate.h"
#include "crdt/indexer.h"
#include "engine/host.h"
#include "query/key_range.h"
#include "weft/types.h"

namespace weft {

// What the API calls a writer, an identity or a base: z-base-32.
std::string IdText(const CoreKey& key);
// INVALID_ARGUMENT  `what` text: it must be 52 characters of z-base-32
absl::StatusOr<CoreKey> ParseId(std::string_view what, std::string_view text);
// The key of a core, as people and other programs write it.
// INVALID_ARGUMENT  it must be 64 hex digits or 52 characters of z-base-32
absl::StatusOr<CoreKey> ParseCoreKey(std::string_view text);

OpName ToOpName(const OpId& id);
std::optional<OpId> ToOpId(const OpName& name);

Datum ToDatum(ValueView value);
Value ToValue(const Datum& datum);

Entry ToEntry(const ViewEntry& entry);
Fate ToFate(const OpFate& fate);
Role ToRole(GrantRole role);
GrantRole ToGrantRole(Role role);
KeyRange ToKeyRange(const Range& range);

// Of a write that failed when the log had it already: a restart may find it there.
absl::Status MayStand(const absl::Status& why);

// A time to wait that a caller gave, for clocks to add to: nothing where it is
// negative, and a century where it is more, as the greatest number is, which means for
// ever.
Nanos ToNanos(std::chrono::milliseconds time);

// The batch as the indexer takes it. It borrows from `values` (filled here) and from
// the batch; both must outlive it.
std::vector<Mutation> ToMutations(const Batch& batch, std::vector<Value>& values);

}  // namespace weft
