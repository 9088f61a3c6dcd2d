// The requests to one peer that are not settled, oldest first, with what came for them.
//
// Ids are the order of asking. The memory of requests and answers is kept while any are
// under way, so that a long download allocates nothing for a block.

#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <iterator>
#include <memory>
#include <optional>
#include <vector>

#include "engine/host.h"
#include "replication/hypercore_messages.h"

namespace weft {

struct Outstanding {
  enum class State : std::uint8_t { kWaiting, kAnswered, kFailed };
  State state = State::kWaiting;
  bool upgrade = false;
  std::uint64_t upgrade_start = 0;
  bool hopeful = false;  // relies on answers that had not come
  std::optional<std::uint64_t> block_index;
  std::optional<std::uint64_t> tree_index;   // of a hash
  std::optional<std::uint64_t> byte_offset;  // of a seek
  std::uint64_t fork = 0;
  Nanos sent_at{};
  DataMessage answer;            // while kAnswered
  std::size_t answer_bytes = 0;  // as it came
};

// Not thread-safe: part of a channel, on the strand of its session.
class RequestQueue {
 public:
  // A new last one; its id is next_id() before the call.
  Outstanding& Add() {
    if (spare_.empty()) {
      queue_.push_back(std::make_unique<Outstanding>());
    } else {
      queue_.push_back(std::move(spare_.back()));
      spare_.pop_back();
    }
    ++waiting_;
    Outstanding& added = *queue_.back();
    added.state = Outstanding::State::kWaiting;
    added.upgrade = added.hopeful = false;
    added.block_index.reset();
    added.tree_index.reset();
    added.byte_offset.reset();
    return added;
  }
  // Null unless it waits for an answer.
  Outstanding* Find(std::uint64_t id) {
    if (id < first_id_ || id - first_id_ >= queue_.size()) return nullptr;
    Outstanding& found = *queue_[static_cast<std::size_t>(id - first_id_)];
    return found.state == Outstanding::State::kWaiting ? &found : nullptr;
  }
  void Finish(Outstanding& request, Outstanding::State state) {
    request.state = state;
    --waiting_;
  }
  // The first one, which does not wait.
  std::unique_ptr<Outstanding> PopFront() {
    std::unique_ptr<Outstanding> front = std::move(queue_.front());
    queue_.pop_front();
    ++first_id_;
    return front;
  }
  // Gives the memory back, once nobody looks at what came any more.
  void Recycle(std::vector<std::unique_ptr<Outstanding>>& requests) {
    if (queue_.empty()) {
      std::vector<std::unique_ptr<Outstanding>>().swap(spare_);
    } else {
      std::ranges::move(requests, std::back_inserter(spare_));
    }
    requests.clear();
  }

  Outstanding& operator[](std::size_t place) { return *queue_[place]; }
  const Outstanding& operator[](std::size_t place) const { return *queue_[place]; }
  std::uint64_t IdAt(std::size_t place) const { return first_id_ + place; }
  std::uint64_t next_id() const { return first_id_ + queue_.size(); }
  std::size_t size() const { return queue_.size(); }
  bool empty() const { return queue_.empty(); }
  std::size_t waiting() const { return waiting_; }

 private:
  std::deque<std::unique_ptr<Outstanding>> queue_;
  std::vector<std::unique_ptr<Outstanding>> spare_;
  std::uint64_t first_id_ = 1;
  std::size_t waiting_ = 0;
};

}  // namespace weft
