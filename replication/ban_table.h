// Who misbehaved, how much, and who is kept out for how long: scores and bans by key
// and by network address.
//
// A score halves every ten minutes. At 100 its subject is banned for ten minutes, the
// next time for twenty, and so on up to a day; a day without a new ban forgets how
// many there were. The table holds 65 536 subjects: when it is full the one whose entry
// would end first makes room, so that no flood of new names frees an old offender
// before its time while others are cheaper to forget.
// Source: threats, E.2.

#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "engine/crypto.h"
#include "replication/peer_host.h"

namespace weft {

// The key shown in the handshake, or where the connection comes from.
using BanSubject = std::variant<PublicKey, IpPrefix>;

inline constexpr int kBanScore = 100;

// Not thread-safe.
class BanTable {
 public:
  static constexpr std::size_t kEntriesMax = 65536;

  explicit BanTable(std::size_t entries_max = kEntriesMax)
      : entries_max_(entries_max) {}

  // Adds to the score. True if that banned the subject, or it is banned already.
  bool Add(const BanSubject& subject, int points, Nanos now);
  bool IsBanned(const BanSubject& subject, Nanos now) const;
  // Until when; nullopt if it is not banned.
  std::optional<Nanos> BannedUntil(const BanSubject& subject, Nanos now) const;
  // The score as it is now, rounded up.
  int Score(const BanSubject& subject, Nanos now) const;
  std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    std::int64_t millipoints = 0;  // at `updated`
    Nanos updated{};
    Nanos banned_until{};
    int bans = 0;
    Nanos ends{};  // from here on the entry says nothing
  };
  static std::int64_t Decayed(const Entry& entry, Nanos now);
  void MakeRoom(Nanos now);

  std::size_t entries_max_;
  std::map<BanSubject, Entry> entries_;
  std::set<std::pair<Nanos, BanSubject>> by_end_;
};

}  // namespace weft
