// What does it cost two peers of one base to find out that they are level, or what
// differs, and a newcomer to hear of every feed? Sessions over loopback TCP on one
// event loop, with nothing but feeds.
//
// bytes: both ways, the handshake included. round_trips: how often the one that dials
// wrote after it had read, the handshake's two included. stall_ms: the processor time
// of the longest step of the loop, with both peers on it. nodes: branches of the trie
// that were shown. ratio_to_handshake: against a handshake, which is the least that two
// peers who meet can do.

#include <benchmark/benchmark.h>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <cstring>
#include <ctime>

#include "bench/limits.h"
#include "engine/check.h"
#include "engine/real_async_clock.h"
#include "engine/real_host.h"
#include "engine/stall_meter.h"
#include "replication/feed_exchange.h"
#include "replication/tcp_wire.h"

namespace weft::bench {
namespace {

// Both sides multiply a point six times, which takes about as long as a signature
// check.
constexpr double kHandshakeVerifications = 6;

CoreKey FeedKey(std::uint64_t number) {
  std::array<std::uint8_t, 8> bytes;
  std::memcpy(bytes.data(), &number, bytes.size());
  return CoreKey{Blake2b256(ByteView(bytes)).bytes};
}

class Club final : public FeedSource {
 public:
  const BaseId& base_id() const override { return id_; }
  std::optional<Bytes> Genesis() const override { return Bytes{1}; }
  absl::Status TakeGenesis(ByteView) override { return absl::OkStatus(); }
  std::optional<FeedDigest> Digest() override {
    return FeedDigest{map.Root(), map.Root(), true, map.size()};
  }
  FeedMap& Feeds() override { return map; }
  std::shared_ptr<Hypercore> Wanted(const CoreKey&, std::uint64_t) override {
    ++wanted;
    return nullptr;
  }
  int RankOf(const CoreKey&) override { return 0; }
  void OnDurable(const PublicKey&, std::span<const FeedAck>) override {}
  void OnLevel(const PublicKey&) override {}
  std::vector<Bytes> Evidence() override { return {}; }
  std::vector<Bytes> RequestsTo(const PublicKey&) override { return {}; }
  absl::StatusOr<std::vector<Bytes>> TakeEvidence(const PublicKey&, ByteView) override {
    return std::vector<Bytes>();
  }
  void OnPeers(const FeedExchange&, const FeedPeers&) override {}

  FeedMap map;
  std::size_t wanted = 0;

 private:
  BaseId id_;
};

Nanos ThreadTime() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return std::chrono::seconds(now.tv_sec) + Nanos(now.tv_nsec);
}

// A wire that counts how often an answer was waited for.
class CountingWire final : public Wire {
 public:
  CountingWire(std::unique_ptr<Wire> wire, std::size_t* round_trips)
      : wire_(std::move(wire)), round_trips_(round_trips) {}
  Task<absl::StatusOr<Bytes>> Read() override {
    absl::StatusOr<Bytes> bytes = co_await wire_->Read();
    if (std::exchange(waits_, false)) ++*round_trips_;
    co_return bytes;
  }
  Task<absl::Status> Write(Bytes bytes) override {
    waits_ = true;
    co_return co_await wire_->Write(std::move(bytes));
  }
  void Close() override { wire_->Close(); }
  std::string peer() const override { return wire_->peer(); }

 private:
  std::unique_ptr<Wire> wire_;
  std::size_t* round_trips_;  // not owned
  bool waits_ = false;
};

// One end of the connection.
class Side : public SessionObserver, public CoreProvider {
 public:
  Side(asio::io_context& io, AsyncClock* clock, bool dials)
      : io_(io), clock_(clock), dials_(dials) {}

  void Run(std::unique_ptr<Wire> wire) {
    SessionOptions options;
    options.is_initiator = dials_;
    options.cores = this;
    options.clock = clock_;
    options.random = &random_;
    options.observer = this;
    session = Session::Create(std::move(wire), options);
    asio::co_spawn(io_, Session::Run(session), asio::detached);
  }
  void OnReady(Session& ready) override {
    exchange = FeedExchange::Start(&ready, &club, [](FeedExchange&) {});
  }
  absl::StatusOr<std::shared_ptr<Hypercore>> Find(const DiscoveryKey&) override {
    return absl::NotFoundError("no cores here");
  }

  Club club;
  std::shared_ptr<Session> session;
  std::shared_ptr<FeedExchange> exchange;

 private:
  asio::io_context& io_;
  AsyncClock* clock_;
  bool dials_;
  SystemRandom random_;
};

Task<void> Connect(TcpNetwork& network, Listener& listener, Side& dialler, Side& other,
                   std::size_t* round_trips) {
  auto dialled = co_await network.Dial(listener.address());
  WEFT_CHECK(dialled.ok());
  dialler.Run(std::make_unique<CountingWire>(*std::move(dialled), round_trips));
  auto accepted = co_await listener.Accept();
  WEFT_CHECK(accepted.ok());
  other.Run(*std::move(accepted));
}

// Two peers meet, and one of them lacks something in each of `changed` feeds: its last
// block, or all of it.
void Meet(benchmark::State& state, std::uint64_t changed, bool lacks_all) {
  const auto feeds = static_cast<std::uint64_t>(state.range(0));
  double bytes = 0;
  double nodes = 0;
  std::size_t round_trips = 0;
  StallMeter stalls;
  asio::io_context io(1);
  RealAsyncClock clock(io.get_executor());
  TcpNetwork network(io.get_executor());
  const std::unique_ptr<Listener> listener = *network.Listen("127.0.0.1:0");
  for (auto _ : state) {
    state.PauseTiming();
    Side ada(io, &clock, /*dials=*/true);
    Side bob(io, &clock, /*dials=*/false);
    for (std::uint64_t i = 0; i < feeds; ++i) {
      ada.club.map.Set(FeedKey(i), 10);
      bob.club.map.Set(FeedKey(i), i >= changed ? 10 : lacks_all ? 0 : 9);
    }
    ada.club.map.Root();
    bob.club.map.Root();
    io.restart();
    state.ResumeTiming();
    asio::co_spawn(io, Connect(network, *listener, ada, bob, &round_trips),
                   asio::detached);
    const auto done = [&] {
      if (!ada.exchange || !bob.exchange) return false;
      return changed == 0 ? ada.exchange->IsLevel() && bob.exchange->IsLevel()
                          : bob.club.wanted >= changed;
    };
    while (!done()) {
      const Nanos start = ThreadTime();
      io.run_one();
      stalls.Add(ThreadTime() - start);
    }
    state.PauseTiming();
    bytes += static_cast<double>(ada.session->bytes_sent() + bob.session->bytes_sent());
    nodes += static_cast<double>(ada.exchange->nodes_exchanged());
    ada.session->Abandon();
    bob.session->Abandon();
    io.restart();
    io.poll();
    state.ResumeTiming();
  }
  const auto runs = static_cast<double>(state.iterations());
  state.counters["bytes"] = bytes / runs;
  state.counters["nodes"] = nodes / runs;
  state.counters["round_trips"] = static_cast<double>(round_trips) / runs;
  state.counters["stall_ms"] =
      std::chrono::duration<double, std::milli>(stalls.longest()).count();
  state.counters["ratio_to_handshake"] = benchmark::Counter(
      runs * kHandshakeVerifications / VerifyRate(), benchmark::Counter::kIsRate);
}

void BM_Meet(benchmark::State& state) {
  Meet(state, static_cast<std::uint64_t>(state.range(1)), /*lacks_all=*/false);
}
BENCHMARK(BM_Meet)
    ->ArgNames({"feeds", "changed"})
    ->Args({1'000, 0})
    ->Args({10'000, 0})
    ->Args({10'000, 1})
    ->Args({10'000, 100})
    ->Args({10'000, 10'000})
    ->Iterations(20)
    ->Unit(benchmark::kMillisecond);

// A peer that has joined and holds nothing yet.
void BM_Newcomer(benchmark::State& state) {
  Meet(state, static_cast<std::uint64_t>(state.range(0)), /*lacks_all=*/true);
}
BENCHMARK(BM_Newcomer)
    ->ArgName("feeds")
    ->Arg(1'000)
    ->Arg(10'000)
    ->Iterations(20)
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace weft::bench

BENCHMARK_MAIN();
