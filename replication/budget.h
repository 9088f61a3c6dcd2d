// Memory that all peers of a store share (L7, L15): each session says what it holds,
// and when all together hold too much, whoever holds most is shed.

#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>

namespace weft {

// Not thread-safe: one strand for the store and all its sessions.
class Budget {
 public:
  explicit Budget(std::size_t bytes_max) : bytes_max_(bytes_max) {}

  // What one session holds; given back when it goes.
  class Share {
   public:
    // `shed` is called when this is the largest share of a budget that overflows, from
    // within somebody's Set; it must bring its owner to let go soon. `budget` is kept.
    Share(std::shared_ptr<Budget> budget, std::function<void()> shed);
    ~Share();
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;

    void Set(std::size_t bytes);
    std::size_t bytes() const { return bytes_; }
    const Budget& budget() const { return *budget_; }

   private:
    friend class Budget;
    std::shared_ptr<Budget> budget_;
    std::function<void()> shed_;
    std::uint64_t id_;
    std::size_t bytes_ = 0;
    bool shedding_ = false;
  };

  std::size_t bytes() const { return bytes_; }
  bool full() const { return bytes_ >= bytes_max_; }

 private:
  void Shed();

  std::size_t bytes_max_;
  std::size_t bytes_ = 0;
  std::size_t shedding_bytes_ = 0;  // of those that were told to let go
  std::uint64_t next_id_ = 1;
  std::map<std::uint64_t, Share*> shares_;  // oldest first
};

}  // namespace weft
