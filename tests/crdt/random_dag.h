// A random history of ops: who wrote what after having seen what.
//
// The past of every op is kept as a set, so that happens-before is a look-up here and
// shares nothing with the version vectors of the code under test.

#pragma once

#include <algorithm>
#include <random>
#include <vector>

#include "crdt/lane.h"

namespace weft {

class RandomDag final : public CausalOrder {
 public:
  // `ops` ops of `writers` writers; each op has seen a random prefix of some others.
  RandomDag(std::mt19937_64& random, std::size_t writers, std::size_t ops) {
    std::vector<std::vector<std::size_t>> logs(writers);
    for (std::size_t n = 0; n < ops; ++n) {
      const std::size_t writer = random() % writers;
      std::vector<bool> past(ops, false);
      if (!logs[writer].empty()) See(past, logs[writer].back());
      for (std::size_t other = 0; other < writers; ++other) {
        if (other == writer || logs[other].empty() || random() % 3 != 0) continue;
        See(past, logs[other][random() % logs[other].size()]);
      }
      stamps_.push_back(
          {{static_cast<WriterNumber>(writer), 0, logs[writer].size()}, random() % 8});
      pasts_.push_back(std::move(past));
      logs[writer].push_back(n);
    }
    for (std::size_t i = 0; i < writers; ++i) {
      CoreKey key;
      key.bytes.fill(static_cast<std::uint8_t>(200 - 7 * i));
      writers_.Add(key);
    }
  }

  std::size_t size() const { return stamps_.size(); }
  const Stamp& stamp(std::size_t n) const { return stamps_[n]; }
  bool Saw(std::size_t later, std::size_t earlier) const {
    return pasts_[later][earlier];
  }
  const WriterTable& writers() const { return writers_; }

  bool Before(const LocalOp& a, const LocalOp& b) const override {
    return pasts_[NumberOf(b)][NumberOf(a)];
  }

  // A random order in which every op comes after its past.
  std::vector<std::size_t> RandomOrder(std::mt19937_64& random) const {
    std::vector<std::size_t> order;
    std::vector<bool> done(size(), false);
    while (order.size() < size()) {
      std::vector<std::size_t> ready;
      for (std::size_t n = 0; n < size(); ++n) {
        if (!done[n] && IsReady(n, done)) ready.push_back(n);
      }
      const std::size_t next = ready[random() % ready.size()];
      done[next] = true;
      order.push_back(next);
    }
    return order;
  }

 private:
  void See(std::vector<bool>& past, std::size_t n) {
    past[n] = true;
    for (std::size_t i = 0; i < pasts_[n].size(); ++i) {
      if (pasts_[n][i]) past[i] = true;
    }
  }
  bool IsReady(std::size_t n, const std::vector<bool>& done) const {
    for (std::size_t i = 0; i < size(); ++i) {
      if (pasts_[n][i] && !done[i]) return false;
    }
    return true;
  }
  std::size_t NumberOf(const LocalOp& op) const {
    for (std::size_t n = 0; n < size(); ++n) {
      if (stamps_[n].op == op) return n;
    }
    return size();
  }

  WriterTable writers_;
  std::vector<Stamp> stamps_;
  std::vector<std::vector<bool>> pasts_;
};

}  // namespace weft
