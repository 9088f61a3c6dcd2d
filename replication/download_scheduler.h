// Which blocks to ask for next, and of whom: one scheduler per core, shared by all the
// peers that have it, so that a block is asked of one peer at a time.
//
// A pure function of what is held, what the peers have, what is asked for already and
// how fast each answers. Blocks are taken in order: the proofs of neighbours share
// their nodes, so a run of them costs one hash each instead of one path each. With
// several peers each gets a share that shrinks as less is missing, and a large core is
// begun at a place of this reader's own, so that many readers of one new core bring
// different parts of it to each other. Who has nothing left to ask for takes over from
// the peer that would be done last: the requests that one was sent last are called
// back.

#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>

#include "engine/bitfield.h"
#include "engine/crypto.h"
#include "engine/host.h"
#include "replication/download.h"

namespace weft {

// Where a search for blocks goes on. Valid while nothing is given back and no peer
// comes or goes: what lies behind was not to be had.
struct SearchPlace {
  bool begun = false;
  bool wrapped = false;  // at the front again, after a begin further on
  std::uint64_t at = 0;
};

// How a peer is doing with what it was asked for.
struct PeerLoad {
  std::size_t waiting = 0;  // requests that it has not answered
  Nanos per_answer{0};      // of late; 0: it has answered nothing yet
  Nanos quiet{0};           // since its last answer, or since it was asked
};

// One peer of a core, as the scheduler sees it.
class DownloadPeer {
 public:
  virtual ~DownloadPeer() = default;
  // Something was given back, or may be taken over: ask.
  virtual void Wake() = 0;
  virtual PeerLoad Load(Nanos now) const = 0;
  // Calls back the requests that were sent last, at most `count`, of those blocks that
  // are in `offered`, and releases the blocks. Returns how many.
  virtual std::size_t GiveUp(std::size_t count, const Bitfield& offered) = 0;
};

class DownloadScheduler {
 public:
  // The first run of blocks within `within`, at most `blocks_max` long, that we do not
  // hold, the peer has and nobody was asked for. With `place`, which begins as a new
  // one and then is of the same core, peer and `within`, the search goes on behind the
  // run found before.
  std::optional<BlockRange> Next(const Bitfield& held, const Bitfield& remote,
                                 BlockRange within, std::uint64_t blocks_max,
                                 SearchPlace* place = nullptr) const;
  void Take(BlockRange run) { taken_.SetRange(run.from, run.to, true); }
  // Answered or given up: may be asked for again if they are still not held.
  void Release(BlockRange run) { taken_.SetRange(run.from, run.to, false); }

  // How many requests one peer may have waiting while that many blocks are missing.
  std::size_t Share(std::uint64_t missing) const;
  // Blocks that are asked for and not settled.
  std::uint64_t taken() const { return taken_.count(); }

  // A peer that has nothing to ask for, but has the blocks of `offered`, takes over
  // from the one that would be done last. False if nobody is worth that.
  bool Relieve(std::uint64_t peer, const Bitfield& offered, Nanos now);

  // At most one upgrade is asked for at a time. False if one is.
  bool TakeUpgrade();
  void ReleaseUpgrade() { upgrade_taken_ = false; }

  // `peer` is not owned and must be removed before it goes. `seed` is this reader's
  // own: that of the first peer decides where a large core is begun.
  std::uint64_t AddPeer(DownloadPeer* peer, std::uint64_t seed);
  void RemovePeer(std::uint64_t id);
  // The peer has blocks to give, as far as it says.
  void MarkHolder(std::uint64_t id);
  // The peer would give us an upgrade to that length.
  void Offer(std::uint64_t id, std::uint64_t length);
  // Somebody else than `id` offers more than that.
  bool OthersOffer(std::uint64_t id, std::uint64_t length) const;
  // Tells all peers but one that something was released.
  void Wake(std::uint64_t but = 0);
  std::size_t peer_count() const { return peers_.size(); }

 private:
  struct Entry {
    DownloadPeer* peer = nullptr;
    bool holder = false;
    std::uint64_t offered = 0;  // length
  };
  std::uint64_t Begin(BlockRange within) const;

  Bitfield taken_;
  bool upgrade_taken_ = false;
  std::uint64_t next_peer_ = 1;
  std::uint64_t seed_ = 0;
  std::size_t holders_ = 0;
  std::map<std::uint64_t, Entry> peers_;
};

// True if the peer has a block of `within` that we do not hold.
bool AnyMissing(const Bitfield& held, const Bitfield& remote, BlockRange within);
// The first block of `within` that we do not hold and the peer does not offer.
std::optional<std::uint64_t> FirstUnknown(const Bitfield& held, const Bitfield& remote,
                                          BlockRange within);

// The schedulers of one store. A scheduler lives as long as a channel uses it.
class DownloadBook {
 public:
  std::shared_ptr<DownloadScheduler> Of(const CoreKey& key);
  std::size_t size() const { return schedulers_.size(); }

 private:
  std::map<CoreKey, std::weak_ptr<DownloadScheduler>> schedulers_;
  std::size_t sweep_at_ = 64;  // entries; then those nobody uses are dropped
};

}  // namespace weft
