#include "weft/store_impl.h"

#include <pthread.h>

#include <csignal>
#include <filesystem>
#include <mutex>
#include <system_error>

#include "engine/status.h"
#include "weft/convert.h"

namespace weft {

void ProgressBox::Put(const Progress& progress) {
  const std::lock_guard<std::mutex> lock(mutex_);
  newest_ = progress;
  changed_.notify_one();
}

void ProgressBox::Close() {
  const std::lock_guard<std::mutex> lock(mutex_);
  closed_ = true;
  changed_.notify_one();
}

std::optional<Progress> ProgressBox::Take() {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait(lock, [this] { return closed_ || newest_.has_value(); });
  return std::exchange(newest_, std::nullopt);
}

absl::StatusOr<std::shared_ptr<StoreImpl>> StoreImpl::Open(
    std::string_view path, const StoreOptions& options) {
  // From the root: the process may change its directory.
  std::error_code error;
  const std::filesystem::path whole = std::filesystem::absolute(path, error);
  const std::string file = error || path.empty() ? std::string(path) : whole.string();
  absl::StatusOr<std::shared_ptr<StoreImpl>> store = OpenAt(file, options);
  if (!absl::IsResourceExhausted(store.status())) return store;
  // The last room went to the database's own housekeeping. Reading needs none.
  StoreOptions reading = options;
  reading.create = false;
  reading.room_bytes_min = UINT64_MAX / 2;
  absl::StatusOr<std::shared_ptr<StoreImpl>> again = OpenAt(file, reading);
  return again.ok() ? again : store;
}

absl::StatusOr<std::shared_ptr<StoreImpl>> StoreImpl::OpenAt(
    const std::string& path, const StoreOptions& options) {
  // The last handle may go on a thread of the store's own, which cannot join itself.
  const auto destroy = [](StoreImpl* impl) {
    const std::thread::id here = std::this_thread::get_id();
    if (here == impl->thread_.get_id() || here == impl->watch_thread_.get_id()) {
      std::thread([impl] { delete impl; }).detach();
    } else {
      delete impl;
    }
  };
  std::shared_ptr<StoreImpl> store(new StoreImpl(path), destroy);
  RocksOptions rocks;
  rocks.create = options.create;
  rocks.room_bytes_min = options.room_bytes_min;
  WEFT_ASSIGN_OR_RETURN(store->storage_, RocksStorage::Open(store->path_, rocks));
  NodeHost host;
  host.executor = store->io_.get_executor();
  host.storage = store->storage_.get();
  host.clock = &store->clock_;
  host.random = &store->random_;
  host.network = &store->network_;
  host.workers = &store->workers_;
  WEFT_ASSIGN_OR_RETURN(store->lease_,
                        FileLease::Open(store->path_, store->storage_.get(),
                                        &store->random_, &store->clock_));
  host.lease = store->lease_.get();
  WEFT_ASSIGN_OR_RETURN(store->node_, Node::Open(host));
  for (const auto& base : store->node_->bases()) store->WatchBase(base.get());
  store->thread_ = std::thread([raw = store.get()] {
    // A peer that has gone is an error of the write, and no end of the process.
    sigset_t broken_pipe;
    sigemptyset(&broken_pipe);
    sigaddset(&broken_pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &broken_pipe, nullptr);
    RunMetered(raw->io_, raw->stalls_);
  });
  return store;
}

StoreImpl::~StoreImpl() {
  if (thread_.joinable()) {
    asio::post(io_, [this] {
      lan_.reset();
      // An error here costs the next open some indexing, and looking for the end of our
      // logs; nothing else.
      if (node_->Flush().ok()) node_->CloseLease();
      node_.reset();
      work_.reset();
      io_.stop();  // a dial to a dead address would hold it for minutes
    });
    thread_.join();
  }
  watches_.Stop();
  if (watch_thread_.joinable()) watch_thread_.join();
  // What still waits on the strand is destroyed with io_, before the storage is.
}

void StoreImpl::WatchBase(BaseNode* base) {
  base->SetWatch(
      {[this, base](std::string_view key) { return watches_.Watched(base, key); },
       [this, base](const std::vector<ViewChange>& changes) {
         watches_.Tell(base, changes);
       }});
}

void StoreImpl::EndWatch(std::shared_ptr<void> watcher) {
  if (!OnStrand()) return;
  std::thread([store = shared_from_this(), watcher = std::move(watcher)]() mutable {
    watcher.reset();
  }).detach();
}

WatchHub& StoreImpl::watches() {
  std::call_once(watch_started_,
                 [this] { watch_thread_ = std::thread([this] { watches_.Run(); }); });
  return watches_;
}

absl::StatusOr<Committed> StoreImpl::CommitDurably(BaseNode* base, Commit commit) {
  if (OnStrand()) return RefusedToWrite();
  if (!base->write_ready()) WEFT_RETURN_IF_ERROR(RunTask(node_->PrepareToWrite(base)));
  auto pending = std::make_shared<Pending>();
  pending->base = base;
  pending->commit = std::move(commit);
  std::future<absl::StatusOr<Committed>> done = pending->done.get_future();
  bool first = false;
  {
    const std::lock_guard<std::mutex> lock(commits_mutex_);
    first = commits_.empty();
    commits_.push_back(pending);
  }
  if (first) asio::post(io_, [this] { DrainCommits(); });
  return done.get();
}

void StoreImpl::DrainCommits() {
  std::deque<std::shared_ptr<Pending>> drained;
  {
    const std::lock_guard<std::mutex> lock(commits_mutex_);
    drained.swap(commits_);
  }
  std::vector<absl::StatusOr<Committed>> results;
  for (const auto& pending : drained) results.push_back(pending->commit());
  const absl::Status synced = node_->cores().Sync();
  if (synced.ok()) node_->OwnLogsSynced();
  for (std::size_t i = 0; i < drained.size(); ++i) {
    if (!synced.ok()) drained[i]->base->NotSynced(synced);
    // What was refused before it was written is not in the log for certain.
    if (!synced.ok() && results[i].ok()) results[i] = MayStand(synced);
    drained[i]->done.set_value(std::move(results[i]));
  }
}

}  // namespace weft
