// What moderators and admins have said about blocks and ops of others (6.6, P4): a
// table that can be asked by block and by op. Who is senior to whom, and so which
// entry decides, is the business of crdt/authority.

#pragma once

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "crdt/auth_operation.h"

namespace weft {

using ModerationNumber = std::uint32_t;

struct ModerationEntry {
  AuthOpType type = AuthOpType::kAccept;
  std::uint32_t cited = 0;   // the grant that its batch cites
  std::uint64_t number = 0;  // of the incarnation it stands in
  OpId id;
  // Blocks [from, to) of a log; for hide and unhide, the ops there whose keys begin
  // with `prefix`. Or, if there are any, these ops.
  CoreKey log;
  std::uint64_t from = 0;
  std::uint64_t to = 0;
  Bytes prefix;
  std::vector<OpId> ops;
  bool active = false;  // its batch is effective
};

class Moderation {
 public:
  using Visit = std::function<void(const ModerationEntry&)>;

  // Numbers rise from 0.
  ModerationNumber Add(ModerationEntry entry);
  ModerationEntry& At(ModerationNumber number) { return entries_[number]; }
  const ModerationEntry& At(ModerationNumber number) const { return entries_[number]; }
  std::size_t size() const { return entries_.size(); }

  // The active accepts, rejects and admits whose range covers blocks [first, end).
  void VisitCovering(const CoreKey& log, std::uint64_t first, std::uint64_t end,
                     const Visit& visit) const;
  // The active hides and unhides that speak of the op.
  void VisitHiding(const OpId& op, std::string_view key, const Visit& visit) const;
  // False if no hide or unhide ever spoke of an op of this log.
  bool HidesIn(const CoreKey& log) const { return hides_.contains(log); }

 private:
  // Entries by the pages of blocks that their range meets; long ranges apart.
  struct Ranges {
    absl::flat_hash_map<std::uint64_t, std::vector<ModerationNumber>> by_page;
    std::vector<ModerationNumber> wide;
  };
  using RangesByLog = absl::flat_hash_map<CoreKey, Ranges>;

  static void Insert(Ranges* ranges, std::uint64_t from, std::uint64_t to,
                     ModerationNumber number);
  void VisitAt(const RangesByLog& map, const CoreKey& log, std::uint64_t position,
               const Visit& visit) const;

  std::vector<ModerationEntry> entries_;
  RangesByLog verdicts_;
  RangesByLog hides_;
};

}  // namespace weft
