#include "query/watch.h"

#include <algorithm>

namespace weft {

std::shared_ptr<void> WatchHub::Add(const void* source, const KeyRange& range,
                                    Callback callback) {
  auto watcher = std::make_shared<Watcher>();
  watcher->source = source;
  watcher->range = range;
  watcher->callback = std::move(callback);
  const std::lock_guard lock(mutex_);
  watchers_.push_back(watcher);
  return std::shared_ptr<void>(watcher.get(),
                               [this, watcher](void*) { Remove(watcher); });
}

void WatchHub::Remove(const std::shared_ptr<Watcher>& watcher) {
  std::unique_lock lock(mutex_);
  std::erase(watchers_, watcher);
  if (std::this_thread::get_id() == runner_) return;
  idle_.wait(lock, [&] { return running_ != watcher; });
}

void WatchHub::Tell(const void* source, const std::vector<ViewChange>& changes) {
  const std::lock_guard lock(mutex_);
  for (const auto& watcher : watchers_) {
    if (watcher->source != source) continue;
    for (const ViewChange& change : changes) {
      if (!watcher->range.Contains(change.key)) continue;
      const auto [known, added] = watcher->pending.try_emplace(change.key, change);
      if (!added) known->second.after = change.after;
    }
  }
  wake_.notify_one();
}

bool WatchHub::Watched(const void* source, std::string_view key) const {
  const std::lock_guard lock(mutex_);
  return std::any_of(watchers_.begin(), watchers_.end(), [&](const auto& watcher) {
    return watcher->source == source && watcher->range.Contains(key);
  });
}

void WatchHub::Run() {
  std::unique_lock lock(mutex_);
  runner_ = std::this_thread::get_id();
  const auto waiting = [](const auto& watcher) { return !watcher->pending.empty(); };
  while (!stopping_) {
    const auto next = std::find_if(watchers_.begin(), watchers_.end(), waiting);
    if (next == watchers_.end()) {
      wake_.wait(lock);
      continue;
    }
    running_ = *next;
    // To the back, so that a busy watcher does not starve the others.
    std::rotate(next, next + 1, watchers_.end());
    std::vector<ViewChange> changes;
    for (auto& [key, change] : running_->pending) {
      if (change.before != change.after) changes.push_back(std::move(change));
    }
    running_->pending.clear();
    lock.unlock();
    if (!changes.empty()) running_->callback(changes);
    lock.lock();
    std::shared_ptr<Watcher> done = std::move(running_);
    idle_.notify_all();
    // It may be the last to hold the callback, whose captures may call us.
    lock.unlock();
    done.reset();
    changes.clear();
    lock.lock();
  }
}

void WatchHub::Stop() {
  const std::lock_guard lock(mutex_);
  stopping_ = true;
  wake_.notify_all();
}

}  // namespace weft
