// Memory for answers that wait to go out (L15), of all peers of a store together.
//
// Whoever wants to queue a large answer asks first, and where there is no room waits in
// line: room goes to whoever has waited longest, so that a large answer is not passed
// by for ever by small ones. What is small goes out without asking, so that one who
// waits for memory still hears from us.

#pragma once

#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <set>

#include "replication/budget.h"

namespace weft {

// Not thread-safe: one strand for the store and all its sessions.
class UploadBudget {
 public:
  // A session may hold so much whatever others hold.
  static constexpr std::size_t kAlwaysBytes = 64 * 1024;

  explicit UploadBudget(std::size_t bytes_max);

  // What one session holds; given back, with its place in line, when it goes.
  class Share {
   public:
    // `room` is called when the share is first in line and what it waits for fits, at
    // each change until Take was called or Leave. `shed` is called when this is the
    // largest share and all together are far beyond the budget, by messages that nobody
    // asks for room; it must bring its owner to let go soon. Both are called from
    // within another share's methods and may not call back.
    Share(std::shared_ptr<UploadBudget> budget, std::function<void()> room,
          std::function<void()> shed);
    ~Share();
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;

    // What is held now.
    void Set(std::size_t bytes);
    std::size_t bytes() const { return memory_.bytes(); }
    // Whether so many bytes may be queued beside what Set told. If not, the share
    // stands in line from now on, and others that come later wait behind it.
    bool Take(std::size_t bytes);
    // Nothing is waited for any more.
    void Leave();

   private:
    friend class UploadBudget;
    std::shared_ptr<UploadBudget> budget_;
    std::function<void()> room_;
    Budget::Share memory_;
    std::size_t wanted_ = 0;  // the most of what is waited for; 0: not in line
  };

  std::size_t bytes() const { return memory_->bytes(); }
  bool full() const { return bytes() >= bytes_max_; }
  // Somebody waits for room.
  bool contested() const { return !line_.empty(); }

 private:
  bool Fits(const Share& share, std::size_t bytes) const;
  void CallFirst();

  std::size_t bytes_max_;
  std::shared_ptr<Budget> memory_;
  std::set<const Share*> shares_;
  std::list<Share*> line_;
};

}  // namespace weft
