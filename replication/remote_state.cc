#include "replication/remote_state.h"

#include <algorithm>

namespace weft {

void RemoteState::OnSync(const SyncMessage& message, std::uint64_t our_fork) {
  synced_ = true;
  sync_ = message;
  acked_length_ = message.fork == our_fork ? message.remote_length : 0;
}

std::uint64_t RemoteState::Ceiling(std::uint64_t our_length) const {
  return std::max(our_length, std::min(sync_.length, our_length + kClaimSlackBlocks)) +
         kClaimSlackBlocks;
}

bool RemoteState::OnRange(const RangeMessage& message, std::uint64_t our_length) {
  const std::uint64_t to =
      std::min(message.start + message.length, Ceiling(our_length));
  if (message.start >= to) return false;
  // Two pages at most become partial by one range.
  if (blocks_.pages() + 2 > kRemotePagesMax) return false;
  blocks_.SetRange(message.start, to, !message.drop);
  return true;
}

bool RemoteState::OnBitfield(const BitfieldMessage& message, std::uint64_t our_length) {
  if (message.start % 32 != 0) return false;
  const std::uint64_t first = message.start / 32;
  const std::uint64_t ceiling = Ceiling(our_length) / 32;
  for (std::size_t i = 0; i < message.words.size() && first + i < ceiling; ++i) {
    if (blocks_.pages() + 1 > kRemotePagesMax) return false;
    blocks_.SetWord32(first + i, message.words[i]);
  }
  return true;
}

std::uint64_t RemoteState::contiguous_length() const {
  return blocks_.FirstUnset(0, std::uint64_t{1} << 53).value_or(0);
}

}  // namespace weft
