#include "replication/ban_table.h"

#include <algorithm>

namespace weft {
namespace {

constexpr Nanos kHalfLife = std::chrono::minutes(10);
constexpr Nanos kBanFirst = std::chrono::minutes(10);
constexpr Nanos kBanLongest = std::chrono::hours(24);
constexpr Nanos kBansForgotten = std::chrono::hours(24);
// After so many half-lives less than a point is left of any score below a ban.
constexpr int kHalfLivesKept = 8;
constexpr std::int64_t kMilli = 1000;
// 2^30 times 2^(-1/2), 2^(-1/4), 2^(-1/8) ...
constexpr std::int64_t kFactors[] = {759250125,  902905651,  984625594,  1028218693,
                                     1050733751, 1062175491, 1067942999, 1070838486,
                                     1072289173, 1073015252, 1073378477, 1073560135};

}  // namespace

// In whole numbers, so that every machine comes to the same: one factor for each bit
// of the time that has passed, 2^(-1/2), 2^(-1/4) and so on.
std::int64_t BanTable::Decayed(const Entry& entry, Nanos now) {
  const Nanos passed = std::max(now - entry.updated, Nanos(0));
  const std::int64_t halvings = passed / kHalfLife;
  if (halvings >= 40) return 0;
  std::int64_t value = entry.millipoints >> halvings;
  Nanos rest = passed % kHalfLife;
  Nanos bit = kHalfLife;
  for (const std::int64_t factor : kFactors) {
    bit /= 2;
    if (rest < bit) continue;
    rest -= bit;
    value = (value * factor) >> 30;
  }
  return value;
}

bool BanTable::Add(const BanSubject& subject, int points, Nanos now) {
  auto found = entries_.find(subject);
  if (found == entries_.end()) {
    if (points <= 0) return false;
    if (entries_.size() >= entries_max_) MakeRoom(now);
    found = entries_.emplace(subject, Entry{}).first;
  } else {
    by_end_.erase({found->second.ends, subject});
  }
  Entry& entry = found->second;
  entry.millipoints = Decayed(entry, now) + points * kMilli;
  entry.updated = now;
  if (entry.banned_until <= now && entry.millipoints >= kBanScore * kMilli) {
    if (now - entry.banned_until > kBansForgotten) entry.bans = 0;
    const Nanos length = kBanFirst * (std::int64_t{1} << std::min(entry.bans, 8));
    entry.banned_until = now + std::min(length, kBanLongest);
    ++entry.bans;
    // Who comes back after a ban starts clean, but for how long the next one lasts.
    entry.millipoints = 0;
  }
  entry.ends = std::max(now + kHalfLivesKept * kHalfLife,
                        entry.bans > 0 ? entry.banned_until + kBansForgotten : now);
  by_end_.emplace(entry.ends, subject);
  return entry.banned_until > now;
}

void BanTable::MakeRoom(Nanos now) {
  while (!by_end_.empty() &&
         (by_end_.begin()->first <= now || entries_.size() >= entries_max_)) {
    entries_.erase(by_end_.begin()->second);
    by_end_.erase(by_end_.begin());
  }
}

bool BanTable::IsBanned(const BanSubject& subject, Nanos now) const {
  return BannedUntil(subject, now).has_value();
}

std::optional<Nanos> BanTable::BannedUntil(const BanSubject& subject, Nanos now) const {
  const auto found = entries_.find(subject);
  if (found == entries_.end() || found->second.banned_until <= now) return std::nullopt;
  return found->second.banned_until;
}

int BanTable::Score(const BanSubject& subject, Nanos now) const {
  const auto found = entries_.find(subject);
  if (found == entries_.end()) return 0;
  return static_cast<int>((Decayed(found->second, now) + kMilli - 1) / kMilli);
}

}  // namespace weft
