// What one peer says of one core: length, fork and which blocks it has. All of it is
// hearsay: it decides whom to ask, and nothing else.

#pragma once

#include <cstdint>

#include "engine/bitfield.h"
#include "replication/hypercore_messages.h"

namespace weft {

// L13: how far beyond a known length a peer's claims are kept.
inline constexpr std::uint64_t kClaimSlackBlocks = std::uint64_t{1} << 24;

// L12: pages of a bitfield that are neither empty nor full, a 560 bytes each.
inline constexpr std::size_t kRemotePagesMax = 4096;

// Not thread-safe: part of a channel, on the strand of its session.
class RemoteState {
 public:
  // `our_length` and `our_fork` are those of our copy.
  void OnSync(const SyncMessage& message, std::uint64_t our_fork);
  // False if the message is out of bounds and was ignored.
  bool OnRange(const RangeMessage& message, std::uint64_t our_length);
  bool OnBitfield(const BitfieldMessage& message, std::uint64_t our_length);
  // The peer answered that it does not have the block after all.
  void Lacks(std::uint64_t block_index) { blocks_.Set(block_index, false); }

  bool synced() const { return synced_; }  // a sync has come
  const SyncMessage& sync() const { return sync_; }
  std::uint64_t length() const { return sync_.length; }
  std::uint64_t fork() const { return sync_.fork; }
  // Our length as it echoed it; 0 if it is on another fork.
  std::uint64_t acked_length() const { return acked_length_; }
  const Bitfield& blocks() const { return blocks_; }
  std::uint64_t contiguous_length() const;

 private:
  std::uint64_t Ceiling(std::uint64_t our_length) const;

  bool synced_ = false;
  SyncMessage sync_;
  std::uint64_t acked_length_ = 0;
  Bitfield blocks_;
};

}  // namespace weft
