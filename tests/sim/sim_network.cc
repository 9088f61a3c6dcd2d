#include "tests/sim/sim_network.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_format.h"
#include "engine/signal.h"

namespace weft::sim {
namespace {

constexpr Nanos kDialTimeout = std::chrono::seconds(3);

bool IsAddress(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  return colon != std::string::npos && colon > 0 && colon + 1 < address.size();
}

std::string HostOf(const std::string& address) {
  return address.substr(0, address.rfind(':'));
}

void WakeAll(std::deque<Waker>& wakers) {
  std::deque<Waker> woken;
  woken.swap(wakers);
  for (Waker& waker : woken) waker();
}

// Not a coroutine, so that no closure is a temporary of a co_await (see Suspend).
Task<void> Woken(std::deque<Waker>& wakers) {
  return Suspend([&wakers](Waker waker) { wakers.push_back(std::move(waker)); });
}

}  // namespace

// End 0 dialled, end 1 accepted. What is sent towards an end is in its `coming` until
// it arrives, and then in its `inbox` until it is read.
struct SimNetwork::Stream {
  enum class Kind { kBytes, kEnd, kLoss };
  struct Piece {
    Nanos arrival{0};
    Kind kind = Kind::kBytes;
    Bytes bytes;
  };
  struct End {
    std::deque<Piece> coming;
    std::deque<Bytes> inbox;
    std::size_t unread_bytes = 0;  // coming and in the inbox
    bool peer_ended = false;       // nothing comes any more
    bool broken = false;           // it knows that the stream is dead
    std::deque<Waker> wakers;      // its reader, and its writer waiting for room
  };
  std::array<std::string, 2> hosts;
  std::array<End, 2> ends;

  void BreakEnd(std::size_t end) {
    if (ends[end].broken) return;
    ends[end].broken = true;
    WakeAll(ends[end].wakers);
  }
};

class SimWire final : public Wire {
 public:
  SimWire(SimNetwork* network, std::shared_ptr<SimNetwork::Stream> stream,
          std::size_t end)
      : network_(network), stream_(std::move(stream)), end_(end) {}
  ~SimWire() override { Close(); }

  Task<absl::StatusOr<Bytes>> Read() override {
    // The stream outlives this wire in the coroutine's frame.
    const std::shared_ptr<SimNetwork::Stream> stream = stream_;
    const std::size_t other = 1 - end_;
    SimNetwork::Stream::End& end = stream->ends[end_];
    while (end.inbox.empty() && !end.peer_ended && !end.broken) {
      co_await Woken(end.wakers);
    }
    if (end.broken) co_return absl::UnavailableError("stream broke");
    if (end.inbox.empty()) co_return Bytes();
    Bytes bytes = std::move(end.inbox.front());
    end.inbox.pop_front();
    end.unread_bytes -= bytes.size();
    WakeAll(stream->ends[other].wakers);
    co_return bytes;
  }

  Task<absl::Status> Write(Bytes bytes) override {
    const std::shared_ptr<SimNetwork::Stream> stream = stream_;
    SimNetwork* const network = network_;
    const std::size_t from = end_;
    SimNetwork::Stream::End& end = stream->ends[from];
    const SimNetwork::Stream::End& to = stream->ends[1 - from];
    while (!end.broken && !end.peer_ended &&
           to.unread_bytes >= network->faults_.window_bytes) {
      co_await Woken(end.wakers);
    }
    if (end.broken || end.peer_ended) co_return absl::UnavailableError("stream broke");
    network->Send(stream, from, std::move(bytes));
    co_return absl::OkStatus();
  }

  void Close() override {
    if (closed_) return;
    closed_ = true;
    network_->SendEnd(stream_, end_);
    stream_->BreakEnd(end_);
  }

  std::string peer() const override { return stream_->hosts[1 - end_]; }

 private:
  SimNetwork* network_;
  std::shared_ptr<SimNetwork::Stream> stream_;
  std::size_t end_;
  bool closed_ = false;
};

// What waits for an accept lives apart from the listener, which a crash destroys
// while a coroutine is still suspended in Accept.
struct Backlog {
  std::deque<std::unique_ptr<Wire>> wires;
  std::deque<Waker> acceptors;
  bool closed = false;
};

class SimListener final : public Listener {
 public:
  SimListener(SimNetwork* network, std::string address)
      : network_(network), address_(std::move(address)) {
    network_->listeners_[address_] = this;
  }
  ~SimListener() override { Close(); }

  Task<absl::StatusOr<std::unique_ptr<Wire>>> Accept() override {
    const std::shared_ptr<Backlog> backlog = backlog_;
    while (backlog->wires.empty() && !backlog->closed) {
      co_await Woken(backlog->acceptors);
    }
    if (backlog->closed) co_return absl::CancelledError("listener closed");
    std::unique_ptr<Wire> wire = std::move(backlog->wires.front());
    backlog->wires.pop_front();
    co_return wire;
  }

  void Arrive(std::unique_ptr<Wire> wire) {
    backlog_->wires.push_back(std::move(wire));
    WakeAll(backlog_->acceptors);
  }

  void Close() override {
    if (backlog_->closed) return;
    backlog_->closed = true;
    network_->listeners_.erase(address_);
    backlog_->wires.clear();
    WakeAll(backlog_->acceptors);
  }

  std::string address() const override { return address_; }

 private:
  SimNetwork* network_;
  std::string address_;
  std::shared_ptr<Backlog> backlog_ = std::make_shared<Backlog>();
};

class SimHost final : public Network {
 public:
  SimHost(SimNetwork* network, std::string host)
      : network_(network), host_(std::move(host)) {}

  Task<absl::StatusOr<std::unique_ptr<Wire>>> Dial(std::string address) override {
    // The view may be gone when the answer comes; the network is not.
    SimNetwork* const network = network_;
    const std::string host = host_;
    if (!IsAddress(address)) {
      co_return absl::InvalidArgumentError(
          absl::StrFormat("%s: not an address", address));
    }
    const std::uint64_t crashes = network->crashes_[host];
    const std::string target = HostOf(address);
    if (network->stalled_.contains({host, target}) ||
        network->stalled_.contains({target, host})) {
      co_await network->clock_->Sleep(kDialTimeout);
      co_return absl::UnavailableError(absl::StrFormat("%s: no answer", address));
    }
    co_await network->clock_->Sleep(network->Delay() + network->Delay());
    const auto listener = network->listeners_.find(address);
    if (listener == network->listeners_.end() || !network->Connected(host, target) ||
        network->crashes_[host] != crashes) {
      co_return absl::UnavailableError(
          absl::StrFormat("%s: nobody answers there", address));
    }
    auto stream = std::make_shared<SimNetwork::Stream>();
    stream->hosts = {host, target};
    network->streams_.push_back(stream);
    ++network->streams_opened_;
    listener->second->Arrive(std::make_unique<SimWire>(network, stream, 1));
    co_return std::make_unique<SimWire>(network, stream, 0);
  }

  absl::StatusOr<std::unique_ptr<Listener>> Listen(std::string address) override {
    if (!IsAddress(address) || HostOf(address) != host_) {
      return absl::InvalidArgumentError(
          absl::StrFormat("%s: not an address of %s", address, host_));
    }
    if (network_->listeners_.contains(address)) {
      return absl::UnavailableError(absl::StrFormat("%s: in use", address));
    }
    return std::make_unique<SimListener>(network_, std::move(address));
  }

 private:
  SimNetwork* network_;
  std::string host_;
};

SimNetwork::SimNetwork(SimClock* clock, std::uint64_t seed, NetworkFaults faults)
    : clock_(clock), random_(seed), faults_(faults) {}

SimNetwork::~SimNetwork() = default;

std::unique_ptr<Network> SimNetwork::HostView(std::string host) {
  return std::make_unique<SimHost>(this, std::move(host));
}

bool SimNetwork::Connected(const std::string& a, const std::string& b) const {
  return !cut_.contains(std::minmax(a, b));
}

bool SimNetwork::Stalled(const Stream& stream, std::size_t to) const {
  return stalled_.contains({stream.hosts[1 - to], stream.hosts[to]});
}

Nanos SimNetwork::Delay() {
  // A heavy tail: one piece in sixteen takes up to ten times the mean.
  const auto mean = static_cast<std::uint64_t>(faults_.delay_mean.count());
  const std::uint64_t most = random_.Below(16) == 0 ? 10 * mean : 2 * mean;
  return Nanos(static_cast<std::int64_t>(random_.Below(most + 1)));
}

void SimNetwork::Send(const std::shared_ptr<Stream>& stream, std::size_t from,
                      Bytes bytes) {
  const std::size_t to = 1 - from;
  Stream::End& end = stream->ends[to];
  for (std::size_t offset = 0; offset < bytes.size();) {
    const std::size_t size = std::min<std::size_t>(
        bytes.size() - offset, 1 + random_.Below(faults_.piece_bytes_max));
    const auto first = bytes.begin() + static_cast<std::ptrdiff_t>(offset);
    Stream::Piece piece;
    piece.kind =
        random_.Chance(faults_.loss) ? Stream::Kind::kLoss : Stream::Kind::kBytes;
    piece.bytes.assign(first, first + static_cast<std::ptrdiff_t>(size));
    end.unread_bytes += size;
    end.coming.push_back(std::move(piece));
    Schedule(stream, to);
    offset += size;
  }
}

void SimNetwork::SendEnd(const std::shared_ptr<Stream>& stream, std::size_t from) {
  const std::size_t to = 1 - from;
  if (stream->ends[from].broken || stream->ends[to].broken) return;
  Stream::Piece piece;
  piece.kind = Stream::Kind::kEnd;
  stream->ends[to].coming.push_back(std::move(piece));
  Schedule(stream, to);
}

// Gives the newest piece its time, which is never before that of an older one.
void SimNetwork::Schedule(const std::shared_ptr<Stream>& stream, std::size_t to) {
  std::deque<Stream::Piece>& coming = stream->ends[to].coming;
  Nanos arrival = clock_->Steady() + Delay();
  if (coming.size() > 1) {
    arrival = std::max(arrival, coming[coming.size() - 2].arrival);
  }
  coming.back().arrival = arrival;
  clock_->After(arrival - clock_->Steady(),
                [this, stream, to] { Deliver(stream, to); });
}

void SimNetwork::Deliver(const std::shared_ptr<Stream>& stream, std::size_t to) {
  Stream::End& end = stream->ends[to];
  while (!end.coming.empty() && end.coming.front().arrival <= clock_->Steady() &&
         !end.broken && !Stalled(*stream, to)) {
    Stream::Piece piece = std::move(end.coming.front());
    end.coming.pop_front();
    if (piece.kind == Stream::Kind::kLoss) return Break(*stream);
    if (piece.kind == Stream::Kind::kEnd) {
      end.peer_ended = true;
    } else {
      bytes_carried_ += piece.bytes.size();
      if (tap_) tap_(stream->hosts[1 - to], stream->hosts[to], piece.bytes);
      end.inbox.push_back(std::move(piece.bytes));
    }
    WakeAll(end.wakers);
  }
}

void SimNetwork::Break(Stream& stream) {
  stream.BreakEnd(0);
  stream.BreakEnd(1);
}

std::vector<std::shared_ptr<SimNetwork::Stream>> SimNetwork::LiveStreams() {
  std::erase_if(streams_, [](const auto& weak) { return weak.expired(); });
  std::vector<std::shared_ptr<Stream>> live;
  for (const auto& weak : streams_) live.push_back(weak.lock());
  return live;
}

void SimNetwork::Partition(const std::string& a, const std::string& b) {
  cut_.insert(std::minmax(a, b));
  for (const auto& stream : LiveStreams()) {
    if (!Connected(stream->hosts[0], stream->hosts[1])) Break(*stream);
  }
}

void SimNetwork::Stall(const std::string& from, const std::string& to) {
  stalled_.emplace(from, to);
}

void SimNetwork::HealAll() {
  cut_.clear();
  stalled_.clear();
  for (const auto& stream : LiveStreams()) {
    Deliver(stream, 0);
    Deliver(stream, 1);
  }
}

void SimNetwork::Drop(const std::string& host) {
  ++crashes_[host];
  for (const auto& stream : LiveStreams()) {
    for (std::size_t end = 0; end < 2; ++end) {
      if (stream->hosts[end] != host) continue;
      stream->BreakEnd(end);
      if (random_.Chance(faults_.silent_crash)) continue;
      clock_->After(Delay(), [stream, other = 1 - end] { stream->BreakEnd(other); });
    }
  }
  std::vector<SimListener*> closing;
  for (const auto& [address, listener] : listeners_) {
    if (HostOf(address) == host) closing.push_back(listener);
  }
  for (SimListener* listener : closing) listener->Close();
}

bool SimNetwork::HasUnderWay(const std::string& host) {
  for (const auto& stream : LiveStreams()) {
    for (std::size_t end = 0; end < 2; ++end) {
      const bool from_it = stream->hosts[1 - end] == host;
      if (from_it && !stream->ends[end].broken && stream->ends[end].unread_bytes > 0) {
        return true;
      }
    }
  }
  return false;
}

}  // namespace weft::sim
