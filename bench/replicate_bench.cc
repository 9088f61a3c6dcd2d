// How fast does a log reach another machine? Two threads with a store on RocksDB and
// an event loop each, TCP over loopback: one big core, and many small ones. Every block
// is verified and stored when the clock stops.
//
// ratio_to_limit: against what the receiver has to do at least: hash each block and one
// parent, verify one signature for each core, and commit the bytes in records of 64
// blocks, one commit for each core or 512 blocks.

#include <benchmark/benchmark.h>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <thread>

#include "absl/strings/str_format.h"
#include "bench/log_fixture.h"
#include "engine/real_async_clock.h"
#include "replication/session.h"
#include "replication/tcp_wire.h"

namespace weft::bench {
namespace {

// Serves every core of its store on a thread of its own.
class Server {
 public:
  std::vector<CoreKey> Fill(std::size_t cores, std::size_t blocks, std::size_t bytes) {
    std::vector<CoreKey> keys;
    for (std::size_t i = 0; i < cores; ++i) {
      const auto core = *log_.cores->OpenNamed(absl::StrFormat("core %d", i));
      Bytes block(bytes, static_cast<std::uint8_t>(i));
      for (std::size_t at = 0; at < blocks; at += 1000) {
        const std::size_t count = std::min<std::size_t>(1000, blocks - at);
        WEFT_CHECK(core->Append(Repeated(block, count), Durability::kLogged).ok());
      }
      keys.push_back(core->key());
    }
    WEFT_CHECK(log_.cores->Sync().ok());
    return keys;
  }
  void Start() {
    listener_ = *network_.Listen("127.0.0.1:0");
    asio::co_spawn(io_, Accept(), asio::detached);
    thread_ = std::thread([this] { io_.run(); });
  }
  ~Server() {
    io_.stop();
    if (thread_.joinable()) thread_.join();
  }
  std::string address() const { return listener_->address(); }
  Storage& storage() { return *log_.storage; }

 private:
  Task<void> Accept() {
    for (;;) {
      auto wire = co_await listener_->Accept();
      if (!wire.ok()) co_return;
      SessionOptions options;
      options.cores = &provider_;
      options.clock = &clock_;
      options.random = &random_;
      const auto session = Session::Create(*std::move(wire), options);
      asio::co_spawn(io_, Session::Run(session), asio::detached);
    }
  }

  LogFixture log_;
  SystemRandom random_;
  CorestoreProvider provider_{log_.cores.get()};
  asio::io_context io_;
  RealAsyncClock clock_{io_.get_executor()};
  TcpNetwork network_{io_.get_executor()};
  std::unique_ptr<Listener> listener_;
  std::thread thread_;
};

// Fetches cores into a fresh store until it has them all.
class Client : public SessionObserver {
 public:
  void Fetch(const std::string& address, const std::vector<CoreKey>& keys) {
    missing_ = keys.size();
    asio::co_spawn(io_, Run(address, keys), asio::detached);
    io_.run();
    WEFT_CHECK(missing_ == 0);
  }
  void OnLevel(Session& session, Hypercore& core) override {
    WEFT_CHECK(core.contiguous_length() == core.length() && core.length() > 0);
    if (--missing_ == 0) session.Close();
  }

 private:
  Task<void> Run(std::string address, std::vector<CoreKey> keys) {
    auto wire = co_await network_.Dial(address);
    WEFT_CHECK(wire.ok());
    SessionOptions options;
    options.is_initiator = true;
    options.cores = &provider_;
    options.clock = &clock_;
    options.random = &random_;
    options.observer = this;
    const auto session = Session::Create(*std::move(wire), options);
    const auto cores = *log_.cores->OpenRemotes(keys);
    for (const auto& core : cores) {
      session->Replicate(core, Download::Log());
    }
    const absl::Status status = co_await Session::Run(session);
    WEFT_CHECK(status.ok());
    io_.stop();
  }

  LogFixture log_;
  SystemRandom random_;
  CorestoreProvider provider_{log_.cores.get()};
  asio::io_context io_;
  RealAsyncClock clock_{io_.get_executor()};
  TcpNetwork network_{io_.get_executor()};
  std::size_t missing_ = 0;
};

double LimitSeconds(Storage& storage, double cores, double blocks, double bytes) {
  const double per_core = std::min(512.0, blocks);
  const auto records = static_cast<std::size_t>((per_core + 63) / 64);
  const double record_bytes = std::min(64.0, per_core) * bytes;
  const double commits =
      BatchRate(storage, records, static_cast<std::size_t>(record_bytes),
                Durability::kLogged) /
      static_cast<double>(records);
  return cores / VerifyRate() +
         cores * blocks *
             (1 / LeafHashRate(static_cast<std::size_t>(bytes)) +
              1 / ParentHashRate()) +
         cores * (blocks / per_core) / commits;
}

void BM_Replicate(benchmark::State& state) {
  const auto cores = static_cast<std::size_t>(state.range(0));
  const auto blocks = static_cast<std::size_t>(state.range(1));
  const auto bytes = static_cast<std::size_t>(state.range(2));
  Server server;
  const std::vector<CoreKey> keys = server.Fill(cores, blocks, bytes);
  const double limit =
      LimitSeconds(server.storage(), static_cast<double>(cores),
                   static_cast<double>(blocks), static_cast<double>(bytes));
  server.Start();
  for (auto _ : state) {
    Client client;
    const auto start = std::chrono::steady_clock::now();
    client.Fetch(server.address(), keys);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    state.SetIterationTime(took.count());
  }
  const auto done = static_cast<double>(state.iterations());
  const double all = static_cast<double>(cores * blocks);
  state.counters["blocks"] =
      benchmark::Counter(done * all, benchmark::Counter::kIsRate);
  state.counters["cores"] = benchmark::Counter(done * static_cast<double>(cores),
                                               benchmark::Counter::kIsRate);
  state.SetBytesProcessed(
      static_cast<std::int64_t>(done * all * static_cast<double>(bytes)));
  state.counters["ratio_to_limit"] =
      benchmark::Counter(done * limit, benchmark::Counter::kIsRate);
}
BENCHMARK(BM_Replicate)
    ->ArgNames({"cores", "blocks", "bytes"})
    ->Args({1, 100'000, 100})
    ->Args({1, 1024, 64 * 1024})
    ->Args({320, 10, 100})
    ->Args({1500, 10, 100})
    ->Args({10'000, 10, 100})
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);

// The same cores to many peers at once, each with a store and a thread of its own.
void BM_Fanout(benchmark::State& state) {
  const auto cores = static_cast<std::size_t>(state.range(0));
  const auto peers = static_cast<std::size_t>(state.range(1));
  Server server;
  const std::vector<CoreKey> keys = server.Fill(cores, 10, 100);
  server.Start();
  for (auto _ : state) {
    std::vector<std::unique_ptr<Client>> clients;
    for (std::size_t i = 0; i < peers; ++i)
      clients.push_back(std::make_unique<Client>());
    const auto start = std::chrono::steady_clock::now();
    std::vector<std::thread> threads;
    for (const auto& client : clients) {
      threads.emplace_back([&] { client->Fetch(server.address(), keys); });
    }
    for (std::thread& thread : threads) thread.join();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    state.SetIterationTime(took.count());
  }
  state.counters["cores"] = benchmark::Counter(
      static_cast<double>(state.iterations()) * static_cast<double>(cores * peers),
      benchmark::Counter::kIsRate);
}
BENCHMARK(BM_Fanout)
    ->ArgNames({"cores", "peers"})
    ->Args({320, 10})
    ->Args({320, 50})
    ->Iterations(1)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace weft::bench

BENCHMARK_MAIN();
