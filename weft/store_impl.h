// The Store behind its handle: a Node with a disk, a thread and sockets, and the way
// from any thread onto its strand.

#pragma once

#include <asio/co_spawn.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <condition_variable>
#include <deque>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "engine/file_lease.h"
#include "engine/real_async_clock.h"
#include "engine/real_host.h"
#include "engine/real_loop.h"
#include "engine/real_workers.h"
#include "engine/rocks_storage.h"
#include "query/watch.h"
#include "replication/discovery.h"
#include "replication/stream_wire.h"
#include "weft/node.h"
#include "weft/store.h"

namespace weft {

// A handle of a base: which one, and what keeps its store open.
class BaseImpl {
 public:
  BaseImpl(std::shared_ptr<StoreImpl> store_impl, BaseNode* base_node)
      : store(std::move(store_impl)), node(base_node) {}

  std::shared_ptr<StoreImpl> store;
  BaseNode* node;  // owned by the store's Node
};

// The newest progress of a task, on its way from the strand to who waits for the task:
// a callback that takes its time holds up nobody else.
class ProgressBox {
 public:
  void Put(const Progress& progress);
  void Close();
  // Waits. Nothing once the box is closed and empty.
  std::optional<Progress> Take();

 private:
  std::mutex mutex_;  // of all that follows
  std::condition_variable changed_;
  std::optional<Progress> newest_;
  bool closed_ = false;
};

class StoreImpl : public std::enable_shared_from_this<StoreImpl> {
 public:
  // See Store::Open. Where the disk gets full by the opening, for reading only.
  static absl::StatusOr<std::shared_ptr<StoreImpl>> Open(std::string_view path,
                                                         const StoreOptions& options);
  // Ends the connections, writes back the views, closes the directory.
  ~StoreImpl();

  // True in what the store calls back, where nothing may wait for its thread.
  bool OnStrand() const { return std::this_thread::get_id() == thread_.get_id(); }

  // Runs `call` on the strand and waits for what it returns. On the strand itself it
  // runs at once.
  template <class Call>
  auto Run(Call&& call) {
    using Result = decltype(call());
    if (OnStrand()) return call();
    std::promise<Result> promise;
    asio::post(io_, [&] { promise.set_value(call()); });
    return promise.get_future().get();
  }

  // The same for what writes.
  // FAILED_PRECONDITION  called on the strand
  template <class Call>
  auto RunWriting(Call&& call) {
    using Result = decltype(call());
    return OnStrand() ? Result(RefusedToWrite()) : Run(std::forward<Call>(call));
  }

  // The same for a task.
  // FAILED_PRECONDITION  called on the strand, which would wait for itself
  template <class T>
  T RunTask(Task<T> task) {
    if (OnStrand()) {
      return T(
          absl::FailedPreconditionError("a callback of the store cannot wait for it"));
    }
    std::promise<T> promise;
    asio::co_spawn(io_, std::move(task), [&](std::exception_ptr error, T result) {
      if (error) {
        promise.set_exception(error);
      } else {
        promise.set_value(std::move(result));
      }
    });
    return promise.get_future().get();
  }

  // The same for a task that tells how far it is: `make` gets the callback to hand to
  // it. `progress` is called on this thread, where it may wait for a person.
  template <class T>
  T RunTelling(const std::function<Task<T>(ProgressCallback)>& make,
               const ProgressCallback& progress) {
    if (!progress || OnStrand()) return RunTask(make({}));
    const auto box = std::make_shared<ProgressBox>();
    std::promise<T> promise;
    asio::co_spawn(io_, make([box](const Progress& now) { box->Put(now); }),
                   [&promise, box](std::exception_ptr error, T result) {
                     if (error) {
                       promise.set_exception(error);
                     } else {
                       promise.set_value(std::move(result));
                     }
                     box->Close();
                   });
    // The task knows this frame: it may not be left before.
    const auto tell = [&progress](const Progress& now) noexcept { progress(now); };
    while (const std::optional<Progress> now = box->Take()) tell(*now);
    return promise.get_future().get();
  }

  // Group commit: what several threads ask for while the disk syncs goes out with one
  // sync. Durable and visible when it returns.
  using Commit = std::function<absl::StatusOr<Committed>()>;
  absl::StatusOr<Committed> CommitDurably(BaseNode* base, Commit commit);

  // What is called back on the strand, later and by itself: what calls back may be in
  // the middle of something. Not called any more once the returned function is gone.
  template <class Event>
  std::function<void(const Event&)> Later(std::function<void(const Event&)> callback) {
    return [this, kept = std::make_shared<const std::function<void(const Event&)>>(
                      std::move(callback))](const Event& event) {
      asio::post(io_, [weak = std::weak_ptr(kept), event] {
        // It may let go of itself.
        if (const auto alive = weak.lock()) (*alive)(event);
      });
    };
  }

  // The base's changes go to its watchers from now on.
  void WatchBase(BaseNode* base);
  // Ends a watch, and waits for a call of it that is running; on the strand, for which
  // that may wait, nobody does.
  void EndWatch(std::shared_ptr<void> watcher);

  Node& node() { return *node_; }
  asio::any_io_executor executor() { return io_.get_executor(); }
  // See Store::DiscoverOnLan; on the strand.
  absl::Status DiscoverOnLan(std::string interface_address);
  // How long the store's thread was kept by one thing.
  StallMeter& stalls() { return stalls_; }
  // Starts the thread that calls watchers back, at the first call.
  WatchHub& watches();
  const std::string& path() const { return path_; }

 private:
  static absl::StatusOr<std::shared_ptr<StoreImpl>> OpenAt(const std::string& path,
                                                           const StoreOptions& options);
  struct Pending {
    BaseNode* base;
    Commit commit;
    std::promise<absl::StatusOr<Committed>> done;
  };

  explicit StoreImpl(std::string path) : path_(std::move(path)) {}
  static absl::Status RefusedToWrite() {
    return absl::FailedPreconditionError("a callback of the store cannot write to it");
  }
  void DrainCommits();

  std::string path_;
  std::unique_ptr<RocksStorage> storage_;
  SystemRandom random_;
  std::unique_ptr<FileLease> lease_;
  asio::io_context io_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_{io_.get_executor()};
  RealAsyncClock clock_{io_.get_executor()};
  MachineNetwork network_{io_.get_executor()};
  RealWorkers workers_;  // behind io_, so that it ends first
  StallMeter stalls_;
  WatchHub watches_;
  std::unique_ptr<Node> node_;
  std::unique_ptr<LanDiscovery> lan_;
  std::mutex commits_mutex_;
  std::deque<std::shared_ptr<Pending>> commits_;
  std::once_flag watch_started_;
  std::thread watch_thread_;
  std::thread thread_;
};

// The op of a commit of one.
inline absl::StatusOr<OpName> FirstOp(absl::StatusOr<Committed> committed) {
  if (!committed.ok()) return committed.status();
  return committed->ops.front();
}

}  // namespace weft
