// Which blocks to ask for next, and of whom: one scheduler per core, shared by all the
// peers that have it, so that a block is asked of one peer at a time.
//
// A pure function of what is held, what a peer has and what is asked for already.
// Blocks are taken in order: the proofs of neighbours share their nodes, so a run of
// them costs one hash each instead of one path each.

#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>

#include "engine/bitfield.h"
#include "engine/crypto.h"
#include "replication/download.h"

namespace weft {

class DownloadScheduler {
 public:
  // The first run of blocks within `within`, at most `blocks_max` long, that we do not
  // hold, the peer has and nobody was asked for.
  std::optional<BlockRange> Next(const Bitfield& held, const Bitfield& remote,
                                 BlockRange within, std::uint64_t blocks_max) const;
  void Take(BlockRange run) { taken_.SetRange(run.from, run.to, true); }
  // Answered or given up: may be asked for again if it is still not held.
  void Release(std::uint64_t block_index) { taken_.Set(block_index, false); }

  // At most one upgrade is asked for at a time. False if one is.
  bool TakeUpgrade();
  void ReleaseUpgrade() { upgrade_taken_ = false; }

  // Peers of the core, told by Wake that something was released.
  std::uint64_t AddPeer(std::function<void()> wake);
  void RemovePeer(std::uint64_t id) { peers_.erase(id); }
  void Wake();
  std::size_t peer_count() const { return peers_.size(); }

 private:
  Bitfield taken_;
  bool upgrade_taken_ = false;
  std::uint64_t next_peer_ = 1;
  std::map<std::uint64_t, std::function<void()>> peers_;
};

// True if the peer has a block of `within` that we do not hold.
bool AnyMissing(const Bitfield& held, const Bitfield& remote, BlockRange within);

// The schedulers of one store. A scheduler lives as long as a channel uses it.
class DownloadBook {
 public:
  std::shared_ptr<DownloadScheduler> Of(const CoreKey& key);

 private:
  std::map<CoreKey, std::weak_ptr<DownloadScheduler>> schedulers_;
};

}  // namespace weft
