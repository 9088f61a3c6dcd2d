// Proofs of forks of logs that nobody has named, for as long as nobody does.
//
// Who comes anew is told of forks before he has read whose logs there are (rule F1), so
// these are kept; but anybody can fork a log of his own. Each peer has its share of the
// room: where there is too little, whoever fills most of it loses what he told last. A
// pure data structure.

#pragma once

#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "crdt/fork_claim.h"
#include "engine/crypto.h"

namespace weft {

// What a proof says that was verified.
struct ProvenFork {
  CoreKey log;
  std::uint64_t fork_point = 0;
  std::optional<CoreKey> shows;  // whose log it is, if its first block certifies that
  Bytes proof;

  ForkRank rank() const { return RankOf(fork_point, shows); }
};

class WaitingForks {
 public:
  static constexpr std::size_t kBytesMax = 4 * 1024 * 1024;
  static constexpr std::size_t kBytesEach = 4096;  // what a smaller one counts for

  // False if there is no room for it, or the peer has told it before.
  bool Keep(const PublicKey& peer, ProvenFork fork);
  // Takes out those of which this is true.
  std::vector<ProvenFork> TakeIf(const std::function<bool(const ProvenFork&)>& is_due);
  std::size_t bytes() const { return bytes_; }  // as they count

 private:
  struct Share {
    std::vector<ProvenFork> forks;
    std::size_t bytes = 0;
  };
  using Shares = std::map<PublicKey, Share>;

  static std::size_t BytesOf(const ProvenFork& fork);
  void DropLast(Shares::iterator share);

  Shares shares_;  // none is empty
  std::size_t bytes_ = 0;
};

}  // namespace weft
