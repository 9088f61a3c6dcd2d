// Serving: a store that stays open, replicates and prints what happens, until a signal.
//
// A store whose disk got full is closed and opened anew for reading: what is in it is
// served on, and once there is room it is opened for writing again. Other errors of the
// disk end the command.

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include "absl/strings/str_format.h"
#include "apps/weft/command.h"
#include "apps/weft/console.h"
#include "apps/weft/json.h"
#include "apps/weft/signals.h"
#include "engine/store_directory.h"
#include "engine/text.h"

namespace weft::cli {
namespace {

using Clock = std::chrono::steady_clock;

// Written to again with less, a disk would be full again at once.
constexpr std::uint64_t kRoomMiB = 8;
constexpr std::uint64_t kRoomBytes = kRoomMiB * 1024 * 1024;
// Between two attempts; a quota, say, shows as room that there is not.
constexpr std::chrono::seconds kPauseMin(1);
constexpr std::chrono::seconds kPauseMax(60);
constexpr std::chrono::milliseconds kLookAgain(250);

// Prints events on a thread of its own: whoever reads them slowly, or not at all, does
// not hold up the store.
class EventPrinter {
 public:
  struct Line {
    const char* name;   // in JSON
    const char* words;  // before the text, for people
    std::string text;
  };

  explicit EventPrinter(bool json) : json_(json), thread_([this] { Run(); }) {}
  ~EventPrinter() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      ended_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  // From any thread; never waits.
  void Add(Line line) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (lines_.size() < kLinesMax) {
        lines_.push_back(std::move(line));
      } else {
        ++dropped_;
      }
    }
    changed_.notify_all();
  }

 private:
  static constexpr std::size_t kLinesMax = 4096;

  void Run() {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return ended_ || !lines_.empty(); });
      const std::deque<Line> lines = std::exchange(lines_, {});
      const std::uint64_t dropped = std::exchange(dropped_, 0);
      if (lines.empty()) return;
      lock.unlock();
      for (const Line& line : lines) Print(line);
      if (dropped > 0) {
        Print({"event", "", absl::StrFormat("%d more events", dropped)});
      }
      lock.lock();
    }
  }

  // Waits for a reader, but not beyond our end: a pipe that has room takes a line.
  bool AwaitRoom() {
    for (;;) {
      pollfd file{STDOUT_FILENO, POLLOUT, 0};
      if (poll(&file, 1, 50) != 0) return true;
      const std::lock_guard<std::mutex> lock(mutex_);
      if (ended_) return false;
    }
  }

  void Print(const Line& line) {
    if (!AwaitRoom()) return;
    if (json_) {
      PrintJson(Json{{line.name, line.text}});
    } else {
      Out() << line.words << line.text << std::endl;
    }
  }

  const bool json_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Line> lines_;
  std::uint64_t dropped_ = 0;
  bool ended_ = false;
  std::thread thread_;
};

enum class End { kSignal, kFull, kBroken, kRoom };

// What may be done about it, for a store that can only be read.
End Await(const Store& store, const std::string& directory,
          Clock::time_point retry_at) {
  const bool read_only = !store.Writable().ok();
  for (;;) {
    if (AwaitSignal(kLookAgain)) return End::kSignal;
    if (read_only) {
      if (Clock::now() < retry_at || RoomIn(directory + "/db") < kRoomBytes) continue;
      return End::kRoom;
    }
    const absl::Status writable = store.Writable();
    if (!writable.ok()) {
      return absl::IsResourceExhausted(writable) ? End::kFull : End::kBroken;
    }
  }
}

class Serving {
 public:
  Serving(Store store, const Invocation& call, ServeWish wish)
      : call_(call),
        wish_(std::move(wish)),
        printer_(call.json),
        store_(std::move(store)) {}
  ~Serving() {
    if (store_) store_->OnEvent({});
  }

  int Run() {
    for (;;) {
      const auto opened_at = Clock::now();
      const absl::Status readable_only = store_->Writable();
      if (!readable_only.ok()) {
        Tell(
            absl::StrFormat("%s: it is served as it is, and written to again once %d "
                            "MiB are free",
                            std::string(readable_only.message()), kRoomMiB));
      } else if (begun_) {
        Tell("the store is written to again");
      }
      if (const int code = Begin(); code != kDone) return code;
      const End end = Await(*store_, call_.store, opened_at + pause_);
      if (end == End::kSignal) return kDone;
      const absl::Status why = store_->Writable();
      if (end == End::kBroken) return Fail(kWorld, ToStd(why.message()));
      if (end == End::kFull) {
        Tell(std::string(why.message()));
        if (Clock::now() - opened_at > kPauseMax) pause_ = kPauseMin;
      } else {
        pause_ = std::min(2 * pause_, kPauseMax);
      }
      int code = kDone;
      StoreOptions options;
      options.create = false;
      if (end == End::kFull) options.room_bytes_min = UINT64_MAX / 2;  // for reading
      store_->OnEvent({});
      ReopenStore(store_, call_.store, options, code);
      if (!store_) return code;
    }
  }

 private:
  void Tell(std::string line) { printer_.Add({"event", "", std::move(line)}); }

  int Begin() {
    store_->OnEvent([this](const std::string& line) { Tell(line); });
    if (!wish_.listen.empty()) {
      const auto address = store_->Listen(wish_.listen);
      if (!address.ok()) return Fail(address.status());
      if (!begun_) printer_.Add({"listening", "listening on ", *address});
      // The port that was found stays ours to use.
      wish_.listen = *address;
    }
    begun_ = true;
    for (const std::string& peer : wish_.connect) {
      if (const absl::Status status = store_->Connect(peer); !status.ok()) {
        return Fail(status);
      }
    }
    if (wish_.lan) {
      if (const absl::Status status = store_->DiscoverOnLan(*wish_.lan); !status.ok()) {
        return Fail(status);
      }
    }
    return kDone;
  }

  const Invocation& call_;
  ServeWish wish_;
  EventPrinter printer_;
  std::optional<Store> store_;
  std::chrono::seconds pause_ = kPauseMin;
  bool begun_ = false;
};

}  // namespace

int Serve(Store store, const Invocation& call, ServeWish wish) {
  return Serving(std::move(store), call, std::move(wish)).Run();
}

}  // namespace weft::cli
