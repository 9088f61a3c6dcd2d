#include "tests/sim/sim_network.h"

#include "absl/strings/str_format.h"
#include "engine/signal.h"

namespace weft::sim {
namespace {

std::string HostOf(const std::string& address) {
  return address.substr(0, address.find(':'));
}

}  // namespace

struct SimNetwork::Stream {
  std::array<std::string, 2> hosts;
  struct End {
    std::deque<Bytes> inbox;
    bool ended = false;  // the other side closed
    Waker reader;
    Nanos last_arrival{0};
  };
  std::array<End, 2> ends;
  bool broken = false;

  void Wake(int end) {
    if (auto reader = std::exchange(ends[static_cast<std::size_t>(end)].reader, nullptr)) {
      reader();
    }
  }
};

class SimWire final : public Wire {
 public:
  SimWire(SimNetwork* network, std::shared_ptr<SimNetwork::Stream> stream, int end)
      : network_(network), stream_(std::move(stream)), end_(end) {}
  ~SimWire() override { Close(); }

  Task<absl::StatusOr<Bytes>> Read() override {
    // The stream outlives this wire in the coroutine's frame.
    const std::shared_ptr<SimNetwork::Stream> stream = stream_;
    SimNetwork::Stream::End& end = stream->ends[static_cast<std::size_t>(end_)];
    while (end.inbox.empty() && !end.ended && !stream->broken) {
      co_await Suspend([&end](Waker waker) { end.reader = std::move(waker); });
    }
    if (stream->broken) co_return absl::UnavailableError("stream broke");
    if (end.inbox.empty()) co_return Bytes();
    Bytes bytes = std::move(end.inbox.front());
    end.inbox.pop_front();
    co_return bytes;
  }

  Task<absl::Status> Write(Bytes bytes) override {
    if (stream_->broken) co_return absl::UnavailableError("stream broke");
    network_->Send(stream_, end_, std::move(bytes));
    co_return absl::OkStatus();
  }

  void Close() override {
    if (closed_) return;
    closed_ = true;
    network_->Break(stream_);
  }

  std::string peer() const override {
    return stream_->hosts[static_cast<std::size_t>(1 - end_)];
  }

 private:
  SimNetwork* network_;
  std::shared_ptr<SimNetwork::Stream> stream_;
  int end_;
  bool closed_ = false;
};

// What waits for an accept lives apart from the listener, which a crash destroys
// while a coroutine is still suspended in Accept.
struct Backlog {
  std::deque<std::unique_ptr<Wire>> wires;
  Waker acceptor;
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
      // Captures a plain pointer: g++ 12 destroys a closure in a co_await twice.
      co_await Suspend([waiting = backlog.get()](Waker waker) {
        waiting->acceptor = std::move(waker);
      });
    }
    if (backlog->closed) co_return absl::CancelledError("listener closed");
    std::unique_ptr<Wire> wire = std::move(backlog->wires.front());
    backlog->wires.pop_front();
    co_return wire;
  }

  void Arrive(std::unique_ptr<Wire> wire) {
    backlog_->wires.push_back(std::move(wire));
    if (auto acceptor = std::exchange(backlog_->acceptor, nullptr)) acceptor();
  }

  void Close() override {
    if (backlog_->closed) return;
    backlog_->closed = true;
    network_->listeners_.erase(address_);
    if (auto acceptor = std::exchange(backlog_->acceptor, nullptr)) acceptor();
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
    SimNetwork* const network = network_;
    const std::string host = host_;
    co_await network->clock_->Sleep(network->Delay());
    const auto listener = network->listeners_.find(address);
    if (listener == network->listeners_.end() ||
        !network->Reachable(host, HostOf(address))) {
      co_return absl::UnavailableError(
          absl::StrFormat("%s: nobody answers there", address));
    }
    auto stream = std::make_shared<SimNetwork::Stream>();
    stream->hosts = {host, HostOf(address)};
    network->streams_.push_back(stream);
    listener->second->Arrive(std::make_unique<SimWire>(network, stream, 1));
    co_return std::make_unique<SimWire>(network, stream, 0);
  }

  absl::StatusOr<std::unique_ptr<Listener>> Listen(std::string address) override {
    if (network_->listeners_.count(address) != 0) {
      return absl::UnavailableError(absl::StrFormat("%s: in use", address));
    }
    return std::make_unique<SimListener>(network_, std::move(address));
  }

 private:
  SimNetwork* network_;
  std::string host_;
};

SimNetwork::SimNetwork(SimClock* clock, asio::any_io_executor executor,
                       std::uint64_t seed, NetworkFaults faults)
    : clock_(clock), executor_(std::move(executor)), random_(seed), faults_(faults) {}

SimNetwork::~SimNetwork() = default;

std::unique_ptr<Network> SimNetwork::HostView(std::string host) {
  return std::make_unique<SimHost>(this, std::move(host));
}

bool SimNetwork::Reachable(const std::string& a, const std::string& b) const {
  return cut_.count(std::minmax(a, b)) == 0;
}

Nanos SimNetwork::Delay() {
  // A heavy tail: one piece in sixteen takes up to ten times the mean.
  const auto mean = static_cast<std::uint64_t>(faults_.delay_mean.count());
  const std::uint64_t most = random_.Below(16) == 0 ? 10 * mean : 2 * mean;
  return Nanos(static_cast<std::int64_t>(random_.Below(most + 1)));
}

void SimNetwork::Send(const std::shared_ptr<Stream>& stream, int from, Bytes bytes) {
  const std::size_t to = static_cast<std::size_t>(1 - from);
  std::size_t offset = 0;
  while (offset < bytes.size()) {
    const std::size_t size = std::min<std::size_t>(
        bytes.size() - offset, 1 + random_.Below(faults_.piece_bytes_max));
    Bytes piece(bytes.begin() + static_cast<std::ptrdiff_t>(offset),
                bytes.begin() + static_cast<std::ptrdiff_t>(offset + size));
    offset += size;
    const bool lost = random_.Chance(faults_.loss);
    Stream::End& end = stream->ends[to];
    end.last_arrival = std::max(end.last_arrival, clock_->Now() + Delay());
    clock_->After(end.last_arrival - clock_->Now(),
                  [this, stream, to, lost, piece = std::move(piece)]() mutable {
                    if (stream->broken) return;
                    if (lost) return Break(stream);
                    bytes_carried_ += piece.size();
                    stream->ends[to].inbox.push_back(std::move(piece));
                    stream->Wake(static_cast<int>(to));
                  });
  }
}

void SimNetwork::Break(const std::shared_ptr<Stream>& stream) {
  if (stream->broken) return;
  stream->broken = true;
  stream->Wake(0);
  stream->Wake(1);
}

void SimNetwork::Partition(const std::string& a, const std::string& b) {
  cut_.insert(std::minmax(a, b));
  for (const auto& weak : streams_) {
    const std::shared_ptr<Stream> stream = weak.lock();
    if (stream && !Reachable(stream->hosts[0], stream->hosts[1])) Break(stream);
  }
  std::erase_if(streams_, [](const auto& weak) { return weak.expired(); });
}

void SimNetwork::HealAll() { cut_.clear(); }

void SimNetwork::Drop(const std::string& host) {
  for (const auto& weak : streams_) {
    const std::shared_ptr<Stream> stream = weak.lock();
    if (stream && (stream->hosts[0] == host || stream->hosts[1] == host)) Break(stream);
  }
  std::vector<SimListener*> closing;
  for (const auto& [address, listener] : listeners_) {
    if (HostOf(address) == host) closing.push_back(listener);
  }
  for (SimListener* listener : closing) listener->Close();
}

}  // namespace weft::sim
