// What moderators and admins have said about blocks and ops of others (6.6, P4): a
// table that can be asked by block and by op. Of the entries that speak of one block or
// op a single one decides: that of the most senior cite, and of one cite that of the
// greatest incarnation, position and op. The table gives it; whether it is senior
// enough to count is the business of crdt/authority.
//
// Ranges lie in a tree of aligned pages: page (level, n) is blocks [n << level, (n + 1)
// << level). A range is kept with the fewest pages that make it up, at most two a
// level, and a block asks the pages that it lies in, one a level. So an entry costs
// O(log of its length), and a question O(log of the log), however many entries there
// are.

#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "crdt/auth_operation.h"

namespace weft {

using ModerationNumber = std::uint32_t;

struct ModerationEntry {
  AuthOpType type = AuthOpType::kAccept;
  std::uint32_t cited = 0;   // the grant that its batch cites
  std::uint64_t number = 0;  // of the incarnation it stands in
  OpId id;
  // Blocks [from, to) of a log, none of whose batches reaches beyond `to`; for hide and
  // unhide, the ops there whose keys begin with `prefix`. Or, if there are any, these
  // ops.
  CoreKey log;
  std::uint64_t from = 0;
  std::uint64_t to = 0;
  Bytes prefix;
  std::vector<OpId> ops;
  bool active = false;  // its batch is effective
};

// Not thread-safe: part of the authority, on the strand of its indexer.
class Moderation {
 public:
  // Whether grant `a` is senior to grant `b`, another one. Stays the same for the
  // grants of active entries.
  using IsSenior = std::function<bool(std::uint32_t a, std::uint32_t b)>;

  explicit Moderation(IsSenior is_senior) : is_senior_(std::move(is_senior)) {}
  // The sets order their entries by it.
  Moderation(const Moderation&) = delete;
  Moderation& operator=(const Moderation&) = delete;

  // Numbers rise from 0. `entry` is not active; its range, if it has one, is not empty.
  ModerationNumber Add(ModerationEntry entry);
  const ModerationEntry& At(ModerationNumber number) const { return entries_[number]; }
  std::size_t size() const { return entries_.size(); }
  void SetActive(ModerationNumber number, bool active);
  // As SetActive to false of all.
  void Deactivate();

  // The active accept or reject that decides about the batch that begins with this
  // block, and the admit. Null if there is none.
  const ModerationEntry* VerdictOn(const CoreKey& log, std::uint64_t first) const;
  const ModerationEntry* AdmitOf(const CoreKey& log, std::uint64_t first) const;
  // The active hide or unhide that decides about the op. Null if there is none.
  const ModerationEntry* HidingOf(const OpId& op, std::string_view key) const;
  // False if no hide or unhide ever spoke of an op of this log.
  bool HidesIn(const CoreKey& log) const { return hidden_in_.contains(log); }

 private:
  // Orders entries: who decides comes first.
  struct Decides {
    const Moderation* table;
    bool operator()(ModerationNumber a, ModerationNumber b) const;
  };
  using Entries = absl::btree_set<ModerationNumber, Decides>;
  // The ranges of one log, by page.
  struct Pages {
    absl::flat_hash_map<std::pair<std::size_t, std::uint64_t>, Entries> entries;
    std::vector<std::size_t> by_level;  // how many pages have entries
  };
  struct Prefixes {
    absl::flat_hash_map<std::string, Pages> pages;
    absl::btree_map<std::size_t, std::size_t> lengths;  // how many entries have it
  };

  void PutRange(Pages* pages, ModerationNumber number);
  void TakeRange(Pages* pages, ModerationNumber number);
  void SetHide(ModerationNumber number, bool active);
  // The first of `best` and those that have the block in their range.
  const ModerationEntry* FirstAt(const Pages& pages, std::uint64_t position,
                                 const ModerationEntry* best) const;
  const ModerationEntry* Better(const ModerationEntry* a,
                                const ModerationEntry* b) const;
  bool DecidesOver(const ModerationEntry& a, const ModerationEntry& b) const;

  IsSenior is_senior_;
  std::vector<ModerationEntry> entries_;
  // Of active entries alone.
  absl::flat_hash_map<CoreKey, Pages> verdicts_;
  absl::flat_hash_map<CoreKey, Pages> admits_;
  absl::flat_hash_map<CoreKey, Prefixes> hides_;
  absl::flat_hash_map<OpId, Entries> hides_of_;  // one op
  // Of all.
  absl::flat_hash_set<CoreKey> hidden_in_;
};

}  // namespace weft
