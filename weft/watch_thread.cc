#include "weft/watch_thread.h"

#include <algorithm>

namespace weft {
namespace {

bool Covers(const Range& range, const std::string& key) {
  return key >= range.from && (!range.to || key < *range.to);
}

}  // namespace

WatchThread::~WatchThread() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

std::shared_ptr<void> WatchThread::Add(const void* source, const Range& range,
                                       Callback callback) {
  auto watcher = std::make_shared<Watcher>();
  watcher->source = source;
  watcher->range = range;
  watcher->callback = std::move(callback);
  const std::lock_guard lock(mutex_);
  if (!thread_.joinable()) thread_ = std::thread([this] { Loop(); });
  watchers_.push_back(watcher);
  return std::shared_ptr<void>(watcher.get(),
                               [this, watcher](void*) { Remove(watcher); });
}

void WatchThread::Remove(const std::shared_ptr<Watcher>& watcher) {
  std::unique_lock lock(mutex_);
  watcher->removed = true;
  std::erase(watchers_, watcher);
  if (std::this_thread::get_id() == thread_.get_id()) return;
  idle_.wait(lock, [&watcher] { return !watcher->running; });
}

void WatchThread::Tell(const void* source, const std::vector<Change>& changes) {
  const std::lock_guard lock(mutex_);
  for (const auto& watcher : watchers_) {
    if (watcher->source != source) continue;
    for (const Change& change : changes) {
      if (!Covers(watcher->range, change.key)) continue;
      const auto [known, added] = watcher->pending.try_emplace(change.key, change);
      if (!added) known->second.after = change.after;
    }
  }
  wake_.notify_one();
}

bool WatchThread::Watched(const void* source) const {
  const std::lock_guard lock(mutex_);
  return std::any_of(watchers_.begin(), watchers_.end(),
                     [source](const auto& watcher) { return watcher->source == source; });
}

void WatchThread::Loop() {
  std::unique_lock lock(mutex_);
  const auto waiting = [](const auto& watcher) { return !watcher->pending.empty(); };
  while (!stopping_) {
    const auto next = std::find_if(watchers_.begin(), watchers_.end(), waiting);
    if (next == watchers_.end()) {
      wake_.wait(lock);
      continue;
    }
    const std::shared_ptr<Watcher> watcher = *next;
    std::vector<Change> changes;
    for (auto& [key, change] : watcher->pending) changes.push_back(std::move(change));
    watcher->pending.clear();
    watcher->running = true;
    // To the back, so that a busy watcher does not starve the others.
    std::rotate(next, next + 1, watchers_.end());
    lock.unlock();
    watcher->callback(changes);
    lock.lock();
    watcher->running = false;
    idle_.notify_all();
  }
}

}  // namespace weft
