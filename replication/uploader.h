// The requests of one peer on one core, and their answers.
//
// Every request is answered, by data or by no-data with a reason: a stock peer asks
// again for ever otherwise. A request with the id of one that waits replaces it.
// No input or output: messages go to `send`.

#pragma once

#include <deque>
#include <functional>

#include "absl/container/flat_hash_map.h"
#include "engine/hypercore.h"
#include "replication/downloader.h"
#include "replication/hypercore_messages.h"

namespace weft {

class Uploader {
 public:
  // `core` must outlive the uploader.
  explicit Uploader(Hypercore* core) : core_(core) {}

  // RESOURCE_EXHAUSTED  more requests wait than any honest peer sends
  absl::Status Add(const RequestMessage& request);
  void Cancel(std::uint64_t request_id);

  // Answers waiting requests, a bounded number at once, while `room` says so. Upgrades
  // that would show more than `visible_length` blocks wait (rule A1).
  // RESOURCE_EXHAUSTED  the peer keeps asking for what cannot be
  absl::Status Serve(std::uint64_t visible_length, const std::function<bool()>& room,
                     const SendMessage& send);
  // Requests that Serve would answer now.
  bool has_work() const { return !queue_.empty(); }
  std::size_t size() const { return queue_.size() + deferred_.size(); }
  // Upgrades that waited for a longer durable length may be answered.
  void Resume();

 private:
  struct Waiting {
    std::uint64_t sequence = 0;
    RequestMessage request;
  };
  absl::Status Answer(const RequestMessage& request, const SendMessage& send,
                      std::size_t* bytes);

  Hypercore* core_;  // not owned
  std::deque<Waiting> queue_;
  std::deque<Waiting> deferred_;
  // The sequence number that counts for an id; others were cancelled or replaced.
  absl::flat_hash_map<std::uint64_t, std::uint64_t> live_;
  std::uint64_t next_sequence_ = 1;
  std::size_t invalid_ = 0;
  Bytes scratch_;
};

}  // namespace weft
