// The requests of one peer on one core, and their answers.
//
// Every request is answered, by data or by no-data with a reason: a stock peer asks
// again for ever otherwise. A request with the id of one that waits replaces it; of two
// that wait for one block the later is served, so that a small question asked many
// times brings its large answer once (attack 26). No input or output: messages go to
// `send`.

#pragma once

#include <deque>
#include <functional>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "engine/hypercore.h"
#include "replication/downloader.h"
#include "replication/hypercore_messages.h"

namespace weft {

// Not thread-safe: part of a channel, on the strand of its session.
class Uploader {
 public:
  // `core` must outlive the uploader.
  explicit Uploader(Hypercore* core) : core_(core) {}

  // RESOURCE_EXHAUSTED  more requests wait than any honest peer sends
  absl::Status Add(const RequestMessage& request);
  void Cancel(std::uint64_t request_id);

  // Answers waiting requests, a bounded number at once, while `room` says that an
  // answer of so many bytes may be queued; before that no block is read. Upgrades that
  // would show more than `visible_length` blocks wait (rule A1). RESOURCE_EXHAUSTED the
  // peer keeps asking for what cannot be
  absl::Status Serve(std::uint64_t visible_length,
                     const std::function<bool(std::size_t)>& room,
                     const SendMessage& send);
  // Requests that Serve would answer now.
  bool has_work() const { return !queue_.empty() || !refused_.empty(); }
  std::size_t size() const { return queue_.size() + deferred_.size(); }
  // True once after an upgrade was asked for that cannot be, or not any more: an old
  // stock peer waits for the next sync before it asks again.
  bool TakeStale() { return std::exchange(stale_, false); }
  // Blocks that were sent since the last call.
  std::uint64_t TakeSent() { return std::exchange(sent_, 0); }
  // Upgrades that waited for a longer durable length may be answered.
  void Resume();

 private:
  struct Waiting {
    std::uint64_t sequence = 0;
    RequestMessage request;
  };
  // Serve's answer to the request in front would have about so many bytes.
  std::size_t SizeOfNext() const;
  bool IsLive(const Waiting& waiting) const;
  absl::Status Answer(const RequestMessage& request, const SendMessage& send,
                      std::size_t* bytes);
  void Refuse(std::uint64_t request_id, NoDataReason reason, const SendMessage& send);
  void Replace(const RequestMessage& request);

  Hypercore* core_;  // not owned
  std::deque<Waiting> queue_;
  std::deque<Waiting> deferred_;
  // The sequence number that counts for an id; others were cancelled or replaced.
  absl::flat_hash_map<std::uint64_t, std::uint64_t> live_;
  // The request that waits for a block, by block index; some entries are outdated.
  absl::flat_hash_map<std::uint64_t, std::uint64_t> waiting_for_;
  std::vector<std::uint64_t> refused_;  // ids whose block another request asks for
  std::uint64_t next_sequence_ = 1;
  std::uint64_t sent_ = 0;
  std::size_t invalid_ = 0;
  bool stale_ = false;
  Bytes scratch_;
};

}  // namespace weft
