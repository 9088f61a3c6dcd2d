#include "apps/weft/control_server.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <list>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/strings/str_format.h"
#include "apps/weft/control_socket.h"
#include "apps/weft/remote_console.h"
#include "engine/status.h"
#include "engine/text.h"

namespace weft::cli {
namespace {

constexpr std::size_t kGuestsMax = 64;
constexpr std::chrono::seconds kGrace(2);
// Within which a guest has to say what it wants.
constexpr timeval kAskTimeout{10, 0};

// Says why and ends; for a guest whose command is not run.
void Refuse(int socket, std::string_view why) {
  const std::string line = "weft: " + std::string(why) + "\n";
  const std::uint8_t code[1] = {3};
  if (SendFrame(socket, FrameType::kErr, AsBytes(line)).ok()) {
    SendFrame(socket, FrameType::kExit, code).IgnoreError();
  }
}

// Whoever asked is gone: a server that stood still may come to it long after.
bool HasHungUp(int socket) {
  pollfd file{socket, 0, 0};
  return poll(&file, 1, 0) > 0 && (file.revents & (POLLHUP | POLLERR)) != 0;
}

}  // namespace

class ControlServer::State {
 public:
  State(std::string directory, Store store, Run run, Descriptor listener)
      : directory_(std::move(directory)),
        store_(std::move(store)),
        run_(std::move(run)),
        listener_(std::move(listener)),
        wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
        thread_([this] { Loop(); }) {}
  ~State();

 private:
  struct Guest {
    Descriptor socket;
    std::thread thread;
    std::atomic<bool> asked = false;
    std::atomic<bool> done = false;
    RemoteConsole* console = nullptr;  // under mutex_; null when none runs
    bool gone = false;                 // set by the loop, under mutex_
  };

  void Loop();
  void Accept(std::list<Guest>& guests);
  void Serve(Guest& guest);
  void Watch(std::list<Guest>& guests, const std::vector<pollfd>& files);
  void Wake() const;

  const std::string directory_;
  const Store store_;
  const Run run_;
  Descriptor listener_;
  const Descriptor wake_;
  std::mutex mutex_;
  std::condition_variable ended_;
  std::size_t running_ = 0;  // under mutex_
  std::atomic<bool> closing_ = false;
  std::atomic<bool> cut_ = false;
  std::thread thread_;  // last: it uses the rest
};

void ControlServer::State::Wake() const {
  const std::uint64_t one = 1;
  // Fails only when the counter is full, and then it is awake.
  [[maybe_unused]] const ssize_t written = write(wake_.get(), &one, sizeof(one));
}

ControlServer::State::~State() {
  closing_ = true;
  Wake();
  {
    std::unique_lock<std::mutex> lock(mutex_);
    ended_.wait_for(lock, kGrace, [this] { return running_ == 0; });
  }
  cut_ = true;
  Wake();
  thread_.join();
}

void ControlServer::State::Loop() {
  std::list<Guest> guests;
  bool listening = true;
  for (;;) {
    if (closing_ && listening) {
      // Those who wait to be let in come too late.
      ForgetSocket(directory_);
      shutdown(listener_.get(), SHUT_RDWR);
      while (true) {
        const Descriptor late(
            accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (!late.ok()) break;
        SendFrame(late.get(), FrameType::kAgain, {}).IgnoreError();
      }
      listener_ = Descriptor();
      listening = false;
    }
    if (cut_ && guests.empty()) return;
    if (cut_) {
      for (Guest& guest : guests) shutdown(guest.socket.get(), SHUT_RDWR);
    }
    std::vector<pollfd> files{{wake_.get(), POLLIN, 0},
                              {listener_.get(), POLLIN, 0}};  // -1 is passed over
    for (const Guest& guest : guests) {
      files.push_back({guest.gone ? -1 : guest.socket.get(), POLLRDHUP, 0});
    }
    if (poll(files.data(), files.size(), -1) < 0) continue;
    std::uint64_t count = 0;
    [[maybe_unused]] const ssize_t drained = read(wake_.get(), &count, sizeof(count));
    Watch(guests, files);
    if (files[1].revents != 0 && !closing_) Accept(guests);
  }
}

void ControlServer::State::Watch(std::list<Guest>& guests,
                                 const std::vector<pollfd>& files) {
  std::size_t index = 2;
  for (auto guest = guests.begin(); guest != guests.end(); ++index) {
    if (files[index].revents != 0) {
      const std::lock_guard<std::mutex> lock(mutex_);
      guest->gone = true;
      if (guest->console != nullptr) guest->console->Stop();
    }
    if (guest->done) {
      guest->thread.join();
      guest = guests.erase(guest);
    } else {
      ++guest;
    }
  }
}

void ControlServer::State::Accept(std::list<Guest>& guests) {
  Descriptor socket(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!socket.ok()) {
    // Out of descriptors, say: a moment later there may be one.
    if (errno != ECONNABORTED && errno != EINTR && errno != EAGAIN) {
      poll(nullptr, 0, 50);
    }
    return;
  }
  if (!IsTrustedPeer(socket.get())) return;
  if (guests.size() >= kGuestsMax) {
    Refuse(socket.get(),
           absl::StrFormat("%s: %d commands are at work in the store already",
                           directory_, kGuestsMax));
    return;
  }
  Guest& guest = guests.emplace_back();
  guest.socket = std::move(socket);
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    ++running_;
  }
  guest.thread = std::thread([this, &guest] {
    Serve(guest);
    guest.done = true;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      --running_;
    }
    ended_.notify_all();
    Wake();
  });
}

void ControlServer::State::Serve(Guest& guest) {
  const int socket = guest.socket.get();
  setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &kAskTimeout, sizeof(kAskTimeout));
  const auto frame = ReceiveFrame(socket, kAskedBytesMax);
  if (!frame.ok() || frame->type != FrameType::kAsked) return;
  const auto asked = DecodeAsked(frame->body);
  if (!asked.ok()) return Refuse(socket, ToStd(asked.status().message()));
  if (closing_) {
    SendFrame(socket, FrameType::kAgain, {}).IgnoreError();
    return;
  }
  // He was told that nothing came of it, and may have asked anew.
  if (HasHungUp(socket)) return;
  const timeval no_timeout{};
  setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &no_timeout, sizeof(no_timeout));
  RemoteConsole console(socket, store_, asked->err_is_terminal);
  const auto show = [&](RemoteConsole* shown) {
    const std::lock_guard<std::mutex> lock(mutex_);
    guest.console = shown;
    if (guest.gone && shown != nullptr) shown->Stop();
  };
  show(&console);
  {
    const Console::Use use(console);
    console.Finish(run_(*asked));
  }
  show(nullptr);
}

ControlServer::ControlServer(std::unique_ptr<State> state) : state_(std::move(state)) {}

ControlServer::~ControlServer() = default;

absl::StatusOr<std::unique_ptr<ControlServer>> ControlServer::Start(
    const std::string& directory, Store store, Run run) {
  WEFT_ASSIGN_OR_RETURN(Descriptor listener, ListenInStore(directory));
  auto state = std::make_unique<State>(directory, std::move(store), std::move(run),
                                       std::move(listener));
  return std::unique_ptr<ControlServer>(new ControlServer(std::move(state)));
}

}  // namespace weft::cli
