// Watches: who wants to hear of which keys, and what waits to be told.
//
// The strand of a base tells what changed; whoever runs the hub calls the callbacks,
// one at a time, never under the hub's lock. A watcher slower than the changes hears
// of them merged: for each key the first `before` and the last `after` since its last
// call, so that what waits for it is bounded by the keys it watches. What reads as it
// did before is not told.

#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "crdt/view_entry.h"
#include "query/key_range.h"

namespace weft {

// Thread-safe. Must outlive the handles that Add returned.
class WatchHub {
 public:
  using Callback = std::function<void(const std::vector<ViewChange>&)>;

  // `source` tells the bases apart. The callback is not called any more once the
  // returned handle is gone; destroying that waits for a call that is running, except
  // inside the callback itself.
  std::shared_ptr<void> Add(const void* source, const KeyRange& range,
                            Callback callback);

  // Keeps the changes for whoever watches their keys; returns at once.
  void Tell(const void* source, const std::vector<ViewChange>& changes);

  // True if anybody watches the key.
  bool Watched(const void* source, std::string_view key) const;

  // Runs callbacks on the calling thread until Stop.
  void Run();
  // Makes Run return once the callback that is running has.
  void Stop();

 private:
  struct Watcher {
    const void* source = nullptr;
    KeyRange range;
    Callback callback;
    std::map<std::string, ViewChange> pending;
  };

  void Remove(const std::shared_ptr<Watcher>& watcher);

  mutable std::mutex mutex_;
  std::condition_variable wake_;  // something is pending, or the end
  std::condition_variable idle_;  // a callback has returned
  std::vector<std::shared_ptr<Watcher>> watchers_;
  std::shared_ptr<Watcher> running_;
  std::thread::id runner_;
  bool stopping_ = false;
};

}  // namespace weft
