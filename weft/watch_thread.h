// The thread on which watch callbacks run: never the store's own, and never under a
// lock, so a callback may use the API and take its time.
//
// A watcher that is slower than the changes hears of them merged: for each key the
// first `before` and the last `after` since its last call, so that what waits for it
// is bounded by the keys it watches.

#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "weft/types.h"

namespace weft {

class WatchThread {
 public:
  using Callback = std::function<void(const std::vector<Change>&)>;

  WatchThread() = default;
  // Waits for the callback that is running; no further one is called.
  ~WatchThread();

  // `source` tells the bases apart. The callback is not called any more once the
  // returned handle is gone; destroying that waits for a call that is running, except
  // inside the callback itself.
  std::shared_ptr<void> Add(const void* source, const Range& range, Callback callback);

  // Hands the changes to whoever watches them. Thread-safe; returns at once.
  void Tell(const void* source, const std::vector<Change>& changes);

  // True if anybody watches the source.
  bool Watched(const void* source) const;

 private:
  struct Watcher {
    const void* source = nullptr;
    Range range;
    Callback callback;
    std::map<std::string, Change> pending;
    bool running = false;
    bool removed = false;
  };

  void Remove(const std::shared_ptr<Watcher>& watcher);
  void Loop();

  mutable std::mutex mutex_;
  std::condition_variable wake_;  // something is pending, or the end
  std::condition_variable idle_;  // a callback has returned
  std::vector<std::shared_ptr<Watcher>> watchers_;
  bool stopping_ = false;
  std::thread thread_;  // started by the first Add
};

}  // namespace weft
