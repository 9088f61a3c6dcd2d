// What the API hands out: plain values, copied freely, with no tie to a store.
//
// Keys, link and names are strings of bytes. Ids of cores, identities and bases are
// z-base-32 text of 32 bytes, 52 characters.

#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "weft/value.h"

namespace weft {

// Names one change for ever: the writer's core, the block's position in it and the
// place of the change inside the block. As text `writer:position.index`.
struct OpName {
  std::string writer;
  std::uint64_t position = 0;
  std::uint32_t index = 0;

  std::string ToText() const;
  static std::optional<OpName> Parse(std::string_view text);
  auto operator<=>(const OpName&) const = default;
};

// A value somebody wrote that no later write has seen and replaced.
struct Sibling {
  Datum value;
  OpName op;
  std::string author;         // the log: the identity, or a later incarnation
  std::uint64_t time_ms = 0;  // author's clock, Unix epoch
};

// One cell of a record, or the whole of a plain key: the winner first.
struct Register {
  Sibling winner;
  std::vector<Sibling> conflicts;  // the losers, newest first; nothing is dropped
  // A delete or unset that had not seen the winner ran beside it.
  bool deleted_concurrently = false;
};

// A counter, a set, a max, a min and a flag, of a key or of a cell; absent where
// nothing was written, or all of it was taken back.
struct Lanes {
  struct Counter {
    std::int64_t value = 0;  // the nearest to the sum that 64 bits hold
    std::string sum;         // exact, decimal
  };
  std::optional<Counter> counter;
  std::optional<std::vector<Datum>> set;
  std::optional<std::int64_t> max;
  std::optional<std::int64_t> min;
  std::optional<bool> flag;
  bool flag_in_conflict = false;  // it was turned on and off at once

  bool empty() const { return !counter && !set && !max && !min && !flag; }
};

// How conflicts are shown: all values, or the winner alone. What is stored is the same.
enum class Reading { kAllValues, kLastWriter };

// What a reader sees at a key. A key may hold a plain value, a record, a counter, a
// text and so on, all at once.
struct Entry {
  std::string key;
  std::optional<Register> value;
  std::map<std::string, Register> cells;    // by column
  std::map<std::string, Lanes> lane_cells;  // cells of other types, by column
  Lanes lanes;
  std::optional<std::string> text;  // UTF-8
  std::optional<std::vector<Datum>> list;
  // What was written last, and a plain read shows: value, record, counter, set, max,
  // min, flag, text or list.
  std::string shown;
  bool is_record = false;  // true also for a record without cells
  bool deleted_concurrently = false;

  bool has_conflicts() const;
  // The entry as `reading` shows it.
  Entry As(Reading reading) const;
};

// Keys from `from` (first one included) up to `to` (not included), in byte order.
struct Range {
  std::string from;
  std::optional<std::string> to;
  bool reverse = false;
  std::uint64_t limit = UINT64_MAX;
};
Range Prefix(std::string_view prefix);
Range All();

// The changes of one commit: all of them take effect or none does. At most 65 536.
// `table_key` is "table/key": a row of a table, a map from column to cell.
class Batch {
 public:
  struct Change {
    enum class Kind : std::uint8_t {
      kPut,
      kDelete,
      kSet,
      kUnset,
      kErase,
      kIncrement,
      kReset,
      kAdd,
      kRemove,
      kMax,
      kMin,
      kEnable,
      kDisable,
      kInsertText,
      kDeleteText,
      kInsertItem,
      kDeleteItems
    };
    Kind kind;
    std::string key;
    Datum value;  // kPut, kAdd, kRemove, kInsertText, kInsertItem
    std::vector<std::pair<std::string, Datum>> cells;  // kSet; names alone for kUnset
    std::optional<std::string> column = {};  // of the lanes: a cell of the record
    std::int64_t number = 0;                 // kIncrement, kMax, kMin
    std::uint64_t position = 0;              // texts and lists
    std::uint64_t count = 0;
    bool wins = false;  // kDisable
  };

  void Put(std::string_view key, const Datum& value);
  void Put(std::string_view key, std::string_view value) { Put(key, Datum::Of(value)); }
  // A literal 0 would be a string at no address; Datum::Of(0) is the number.
  void Put(std::string_view key, std::nullptr_t) = delete;
  // Removes what the author sees on the key: value, record, or both.
  void Delete(std::string_view key);
  void Set(std::string_view table_key,
           std::vector<std::pair<std::string, Datum>> cells);
  void Unset(std::string_view table_key, std::vector<std::string> columns);
  void Erase(std::string_view table_key);

  // --- counter, set, max, min, flag: of the key or, with `column`, of a cell of it ---
  using Column = std::optional<std::string>;
  void Increment(std::string_view key, std::int64_t by, Column column = {});
  // Takes back the increments that the author sees.
  void Reset(std::string_view key, Column column = {});
  void Add(std::string_view key, const Datum& element, Column column = {});
  // Takes back the adds of the element that the author sees; one beside it survives.
  void Remove(std::string_view key, const Datum& element, Column column = {});
  // The greatest, or the least, of all that was given shows.
  void Max(std::string_view key, std::int64_t value, Column column = {});
  void Min(std::string_view key, std::int64_t value, Column column = {});
  void Enable(std::string_view key, Column column = {});
  // An enable beside it wins, unless `wins`.
  void Disable(std::string_view key, bool wins = false, Column column = {});

  // --- texts (code points) and lists; positions count what the changes before this one
  // have left ---
  static constexpr std::uint64_t kAtEnd = UINT64_MAX;
  void InsertText(std::string_view key, std::uint64_t position, std::string_view utf8);
  void DeleteText(std::string_view key, std::uint64_t position, std::uint64_t count);
  void InsertItem(std::string_view key, std::uint64_t position, const Datum& item);
  void Append(std::string_view key, const Datum& item) {
    InsertItem(key, kAtEnd, item);
  }
  void DeleteItems(std::string_view key, std::uint64_t position, std::uint64_t count);

  const std::vector<Change>& changes() const { return changes_; }
  bool empty() const { return changes_.empty(); }
  std::size_t size() const { return changes_.size(); }

 private:
  Change& Added(Change::Kind kind, std::string_view key, Column column);

  std::vector<Change> changes_;
};

// Where a commit stands in its author's log: ops are first.position.. in order.
struct Committed {
  std::string writer;
  std::uint64_t first_position = 0;
  std::vector<OpName> ops;  // one for each change of the batch, in its order
};

enum class Role : std::uint8_t {
  kReader,
  kModerated,
  kWriter,
  kModerator,
  kAdmin,
  kFounder
};
std::string_view RoleName(Role role);
// Any role but founder, which a genesis alone makes.
std::optional<Role> ParseRole(std::string_view name);

// One incarnation of a member: a log of his. The first has the key of the identity;
// another begins where a store was copied, or put back from a backup.
struct MemberLog {
  std::string log;
  std::uint64_t number = 0;
  std::uint64_t length = 0;  // blocks that count
  bool forked = false;       // it was written in two places, and ends there
};

struct Member {
  std::string identity;
  Role role = Role::kReader;
  std::string scope;       // key prefix; empty: everything
  std::string granted_by;  // identity; empty for a founder
  std::optional<OpName> grant;
  std::uint64_t length = 0;  // blocks of its logs that count
  std::vector<MemberLog> logs;
  bool forked = false;  // one of them is
  bool is_self = false;
  bool revoked = false;  // only what was kept of his writes has effect
};

enum class FateKind : std::uint8_t {
  kWinner,
  kConflict,
  kSuperseded,
  kRemoved,
  kPending,  // a moderated member's, not accepted yet
  kWaiting,
  kInvalid,
  kNotAllowed,
  kParked,       // needs a newer program
  kQuarantined,  // its author was removed, and this is beyond what was kept
  kRejected,     // by a moderator
  kHidden,       // by a moderator
  kAfterFork,    // its log has two branches, and this is beyond what survives
  kUnknown       // no such op has been seen here
};
std::string_view FateName(FateKind kind);

// What became of one op (rule D10).
struct Fate {
  FateKind kind = FateKind::kUnknown;
  // kSuperseded, kRemoved: the ops that did it; kQuarantined, kRejected, kHidden: the
  // op to blame, if it is one.
  std::vector<OpName> by;
  std::string waiting_for;  // kWaiting: a writer's core, `core:length`
  std::string reason;       // of those without effect
};

// One change as its author wrote it. `what` is the command that makes such a one (put,
// del, set, unset, inc, reset, add, rem, max, min, enable, disable), insert or cut for
// texts and lists, or grant, revoke, invite, redeem, accept, reject, admit, hide,
// unhide.
struct LoggedChange {
  std::string what;
  // What was put, set, added, removed or inserted, or by how much; of a cut, how many
  // characters or items it takes away.
  std::optional<Datum> value;
};

// One op of a log, and what became of it.
struct LoggedOp {
  OpName op;
  LoggedChange change;
  std::string key;                            // empty for those about members
  std::map<std::string, LoggedChange> cells;  // of a row
  std::string about;                          // of those about members: whom, and how
  Fate fate;
};

// The ops of some blocks. `next` is the first block that was not read; where the log
// ends it is the one that was asked for.
struct LogPage {
  std::vector<LoggedOp> ops;
  std::uint64_t next = 0;
};

// One key that reads differently now. `before` and `after` are what Get gave and
// gives; absent where there was or is nothing.
struct Change {
  std::string key;
  std::optional<Entry> before;
  std::optional<Entry> after;
};

// How many peers have said that they hold our writes up to there.
struct AckedPrefix {
  std::uint64_t length = 0;  // blocks of our log
  std::size_t peers = 0;
};

struct BaseStatus {
  std::string name;
  std::string base_id;
  std::string identity;              // ours
  std::optional<Role> role;          // absent: not a member yet
  std::uint64_t writers = 0;         // logs that count
  std::uint64_t blocks = 0;          // settled, over all writers
  std::uint64_t keys = 0;            // readable
  std::uint64_t conflicts = 0;       // keys with conflicts
  std::vector<std::string> waiting;  // "writer X waits for Y:length"
  std::vector<std::string> parked;   // "writer X from position n: reason"
  // "writer X: n blocks are here, a connected peer has m": logs known to be longer
  // elsewhere, which nobody has given us so far.
  std::vector<std::string> behind;
  std::vector<std::string> forks;   // "writer X has two branches from .."
  std::uint64_t clock_suspect = 0;  // ops stamped more than 5 minutes ahead
  // Our own log is stamped further ahead of this machine's clock than a day (rule T1):
  // so far, in ms. Every further write is stamped later still. Zero: it is not.
  std::uint64_t own_clock_ahead_ms = 0;
  std::string log;                // ours, that the next write is appended to
  std::uint64_t incarnation = 0;  // its number
  // The next write begins a new incarnation: this store is a copy, or our log forked.
  bool renews = false;
  std::uint64_t incarnations_left = 0;  // how many more logs can be begun
  std::string warning;                  // that these are few; empty: they are not
  bool forked = false;                  // one of our logs is
  std::uint64_t own_length = 0;         // blocks of our log
  // Longest first; each counts the peers of those before it too.
  std::vector<AckedPrefix> acked;
};

struct PeerStatus {
  std::string address;
  bool incoming = false;
  std::uint64_t bytes_received = 0;
  std::uint64_t bytes_sent = 0;
};

// What an extension's messages are about: a base by its name, or a core by its key; a
// connection if both are empty.
struct ExtensionTarget {
  std::string base;
  std::string core;
};

// A message of a named extension: a hint from a program to a program.
struct ExtensionMessage {
  std::string peer;  // the address it came from
  std::string name;
  std::string payload;
  // The identity that signed it, which is a writer of the base; empty: nobody we know.
  std::string author;
};

// What may pass of which cores: all, none, those listed, or those a predicate accepts
// (it is called on the store's thread and must give the same answer every time).
struct ReplicationRule {
  enum class Which : std::uint8_t { kAll, kNone, kList, kPredicate };
  Which which = Which::kAll;
  std::vector<std::string> cores = {};  // kList: keys, hex or z-base-32
  std::function<bool(const std::string& core)> accepts = {};  // kPredicate: of an id
  bool upload = true;                                         // we give them
  bool download = true;                                       // we fetch them
};

// How the store's own thread fares. A step is one thing it does between others.
struct LoopStatus {
  std::uint64_t steps = 0;
  std::uint64_t long_steps = 0;  // that took 5 ms of processor time or more
  std::uint64_t longest_us = 0;  // microseconds
};

struct RootInfo {
  std::string version_digest;  // hex, 32 bytes
  std::string root;            // hex, 32 bytes
};

struct Progress {
  std::uint64_t done = 0;  // blocks
  std::uint64_t total = 0;
  bool lost =
      false;  // of what follows a peer: the connection ended, it is dialled again
};

// What one sync did. Blocks are those that its connection carried, of all cores: the
// received ones were verified and kept.
struct SyncResult {
  bool level = false;
  std::uint64_t blocks_received = 0;
  std::uint64_t blocks_sent = 0;
};

struct CoreStatus {
  std::string key;            // hex
  std::string id;             // z-base-32
  std::string discovery_key;  // hex
  std::string name;           // it was made by, in this store; empty: by none
  std::uint64_t length = 0;
  std::uint64_t fork = 0;
  std::uint64_t byte_length = 0;
  // Blocks held. Of Cores, which opens none: those from the first on without a hole.
  std::uint64_t have = 0;
  bool writable = false;
  bool removed = false;  // kept, neither served nor fetched, until it is made again
};

}  // namespace weft
