// The door: whether a connection that was just accepted may begin a handshake (L1, L4,
// L5 and bans), and how many stand from one address. Decides from memory and holds
// nothing for those it turns away but a bucket per address, of which there are at most
// 65 536.

#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string_view>

#include "replication/ban_table.h"
#include "replication/limits.h"
#include "replication/rate.h"

namespace weft {

enum class Welcome {
  kYes,
  kBanned,
  kTooFast,
  kTooManyHalfOpen,
  kTooManyFromThere,
  kFull
};
std::string_view ReasonOf(Welcome entry);

// Not thread-safe.
class Admission {
 public:
  // `bans` must outlive it.
  Admission(const NetworkLimits& limits, const BanTable* bans)
      : limits_(limits.Clamped()), bans_(bans) {}

  // `connections` there are already. If welcome, call Settled once, when the handshake
  // is over, well or not, and Left once, when the connection is.
  Welcome Admit(const std::optional<IpPrefix>& from, std::size_t connections,
                Nanos now);
  void Settled(const std::optional<IpPrefix>& from);
  void Left(const std::optional<IpPrefix>& from);

  std::size_t half_open() const { return half_open_; }
  std::size_t addresses() const { return hosts_.size(); }

 private:
  struct Host {
    Rate accepts;
    std::size_t half_open = 0;
  };
  Host* HostOf(const IpPrefix& from, Nanos now);

  NetworkLimits limits_;
  const BanTable* bans_;  // not owned
  std::size_t half_open_ = 0;
  std::map<IpPrefix, Host> hosts_;
  // Admitted and not left; those without a prefix count as of one address.
  std::map<std::optional<IpPrefix>, std::size_t> standing_;
};

}  // namespace weft
