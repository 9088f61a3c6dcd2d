// What we tell one peer of the blocks we hold of one core, when and in which form.
//
// A copy that is whole says so in one range; a sparse one answers wants, and tells new
// blocks only to a peer that asked for their window, or near the end of the log. What
// waits is merged, so that a thousand blocks are one message.
// Source: the wire specification, 6.3 (want, bitfield, range) and 8.1.

#pragma once

#include <map>

#include "engine/hypercore.h"
#include "replication/downloader.h"
#include "replication/hypercore_messages.h"
#include "replication/remote_state.h"

namespace weft {

// Not thread-safe: part of a channel, on the strand of its session.
class Announcer {
 public:
  // `core` must outlive the announcer.
  explicit Announcer(const Hypercore* core) : core_(core) {}

  // The first word to a peer that may have our blocks from now on. What it wanted while
  // it might not is answered at the next Flush.
  void Open(std::uint64_t visible_length, const SendMessage& send);

  void OnWant(const WantMessage& message);
  void OnUnwant(const WantMessage& message);
  void OnBlocks(BlockRange blocks);
  void OnCleared(BlockRange blocks);

  // Tells what waits, of the blocks below `visible_length`; at most a few hundred KiB.
  void Flush(std::uint64_t visible_length, const RemoteState& remote,
             const SendMessage& send);
  // Blocks at or above `visible_length` wait for it to grow.
  bool has_work(std::uint64_t visible_length) const {
    return !dropped_.empty() || !due_.empty() ||
           (!fresh_.empty() && fresh_.begin()->first < visible_length);
  }

 private:
  void Answer(std::uint64_t start, const WantMessage& want,
              std::uint64_t visible_length, const SendMessage& send);
  void TellFresh(std::uint64_t visible_length, const RemoteState& remote,
                 const SendMessage& send);
  void SendHeld(BlockRange blocks, const SendMessage& send);
  bool Wanted(BlockRange blocks) const;
  void SendRange(bool drop, BlockRange blocks, const SendMessage& send);

  const Hypercore* core_;                       // not owned
  std::map<std::uint64_t, WantMessage> wants_;  // by start
  bool wants_all_ = false;
  std::map<std::uint64_t, WantMessage> due_;        // wants not answered yet
  std::map<std::uint64_t, std::uint64_t> fresh_;    // from -> to, disjoint
  std::map<std::uint64_t, std::uint64_t> dropped_;  // the same
  std::uint64_t told_contiguous_ = 0;
  Bytes scratch_;
};

}  // namespace weft
