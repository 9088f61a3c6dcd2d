// How fast does a log reach another machine? Two processes with a store on RocksDB, an
// event loop and workers each, TCP over loopback: one big core, many small ones, and
// many peers at once. Every block is verified and stored when the clock stops.
//
// ratio_to_limit: against what the receiver has to do at least, one after the other:
// hash each block and one parent, verify one signature for each core, and commit the
// bytes in records of 64 blocks, one commit for each core or 512 blocks.
// ratio_to_signatures: against the signatures alone.
// cpu_receiver_ms, cpu_sender_ms: processor time of the whole process, all threads;
// stall_receiver_ms, stall_sender_ms: the longest step of the event loop.

#include <benchmark/benchmark.h>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/use_awaitable.hpp>
#include <thread>

#include "bench/log_fixture.h"
#include "bench/serving.h"
#include "engine/real_async_clock.h"
#include "engine/real_loop.h"
#include "engine/real_workers.h"
#include "replication/session.h"
#include "replication/tcp_wire.h"

namespace weft::bench {
namespace {

using Milliseconds = std::chrono::duration<double, std::milli>;

// Cores that are made in one turn of the loop.
constexpr std::size_t kOpenedPerTurn = 256;

// Fetches cores into a fresh store until it has them all.
class Client : public SessionObserver {
 public:
  void Fetch(const std::string& address, const std::vector<CoreKey>& keys) {
    missing_ = keys.size();
    asio::co_spawn(io_, Run(address, keys), asio::detached);
    RunMetered(io_, stalls_);
    WEFT_CHECK(missing_ == 0);
  }
  void OnLevel(Session& session, Hypercore& core) override {
    WEFT_CHECK(core.contiguous_length() == core.length() && core.length() > 0);
    if (--missing_ == 0) session.Close();
  }
  double stall_ms() const { return Milliseconds(stalls_.longest()).count(); }

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
    options.workers = &workers_;
    const auto session = Session::Create(*std::move(wire), options);
    asio::co_spawn(io_, Open(session, std::move(keys)), asio::detached);
    const absl::Status status = co_await Session::Run(session);
    WEFT_CHECK(status.ok());
    io_.stop();
  }
  Task<void> Open(std::shared_ptr<Session> session, std::vector<CoreKey> keys) {
    for (std::size_t from = 0; from < keys.size(); from += kOpenedPerTurn) {
      const std::size_t count = std::min(kOpenedPerTurn, keys.size() - from);
      const auto cores = *log_.cores->OpenRemotes(std::span(keys).subspan(from, count));
      for (const auto& core : cores) session->Replicate(core, Download::Log());
      co_await asio::post(io_, asio::use_awaitable);
    }
  }

  LogFixture log_;
  SystemRandom random_;
  CorestoreProvider provider_{log_.cores.get()};
  StallMeter stalls_;
  RealWorkers workers_;
  asio::io_context io_;
  RealAsyncClock clock_{io_.get_executor()};
  TcpNetwork network_{io_.get_executor()};
  std::size_t missing_ = 0;
};

double LimitSeconds(double cores, double blocks, double bytes, double verify_rate) {
  const LogFixture scratch;
  const double per_core = std::min(512.0, blocks);
  const auto records = static_cast<std::size_t>((per_core + 63) / 64);
  const double record_bytes = std::min(64.0, per_core) * bytes;
  const double commits =
      BatchRate(*scratch.storage, records, static_cast<std::size_t>(record_bytes),
                Durability::kLogged) /
      static_cast<double>(records);
  return cores / verify_rate +
         cores * blocks *
             (1 / LeafHashRate(static_cast<std::size_t>(bytes)) +
              1 / ParentHashRate()) +
         cores * (blocks / per_core) / commits;
}

// Adds up what the runs cost, and reports the mean.
class Costs {
 public:
  void Add(double cpu_receiver, double stall_receiver, const Usage& sender) {
    cpu_receiver_ += cpu_receiver;
    cpu_sender_ += sender.cpu_seconds;
    stall_receiver_ = std::max(stall_receiver_, stall_receiver);
    stall_sender_ = std::max(stall_sender_, sender.stall_ms);
  }
  void Report(benchmark::State& state) const {
    const auto runs = static_cast<double>(state.iterations());
    state.counters["cpu_receiver_ms"] = 1000 * cpu_receiver_ / runs;
    state.counters["cpu_sender_ms"] = 1000 * cpu_sender_ / runs;
    state.counters["stall_receiver_ms"] = stall_receiver_;
    state.counters["stall_sender_ms"] = stall_sender_;
  }

 private:
  double cpu_receiver_ = 0;
  double cpu_sender_ = 0;
  double stall_receiver_ = 0;
  double stall_sender_ = 0;
};

void BM_Replicate(benchmark::State& state) {
  const CoresToServe what{.cores = static_cast<std::size_t>(state.range(0)),
                          .blocks = static_cast<std::size_t>(state.range(1)),
                          .bytes = static_cast<std::size_t>(state.range(2))};
  const auto cores = static_cast<double>(what.cores);
  const double blocks = cores * static_cast<double>(what.blocks);
  ServingProcess server(what);
  const double verify_rate = VerifyRate();
  const double limit = LimitSeconds(cores, static_cast<double>(what.blocks),
                                    static_cast<double>(what.bytes), verify_rate);
  Costs costs;
  for (auto _ : state) {
    Client client;
    server.TakeUsage();
    const double cpu = CpuSeconds();
    const auto start = std::chrono::steady_clock::now();
    client.Fetch(server.address(), server.keys());
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    state.SetIterationTime(took.count());
    costs.Add(CpuSeconds() - cpu, client.stall_ms(), server.TakeUsage());
  }
  using benchmark::Counter;
  const auto runs = static_cast<double>(state.iterations());
  costs.Report(state);
  state.counters["blocks"] = Counter(runs * blocks, Counter::kIsRate);
  state.SetBytesProcessed(
      static_cast<std::int64_t>(runs * blocks * static_cast<double>(what.bytes)));
  state.counters["ratio_to_limit"] = Counter(runs * limit, Counter::kIsRate);
  state.counters["ratio_to_signatures"] =
      Counter(runs * cores / verify_rate, Counter::kIsRate);
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

// The same cores to many peers at once, each with a store and a thread of its own, all
// in this process.
void BM_Fanout(benchmark::State& state) {
  const auto cores = static_cast<std::size_t>(state.range(0));
  const auto peers = static_cast<std::size_t>(state.range(1));
  ServingProcess server({.cores = cores, .blocks = 10, .bytes = 100});
  const double signatures = static_cast<double>(cores * peers) / VerifyRate();
  Costs costs;
  for (auto _ : state) {
    std::vector<std::unique_ptr<Client>> clients;
    for (std::size_t i = 0; i < peers; ++i)
      clients.push_back(std::make_unique<Client>());
    server.TakeUsage();
    const double cpu = CpuSeconds();
    const auto start = std::chrono::steady_clock::now();
    std::vector<std::thread> threads;
    for (const auto& client : clients) {
      threads.emplace_back([&] { client->Fetch(server.address(), server.keys()); });
    }
    for (std::thread& thread : threads) thread.join();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    state.SetIterationTime(took.count());
    double stall = 0;
    for (const auto& client : clients) stall = std::max(stall, client->stall_ms());
    costs.Add(CpuSeconds() - cpu, stall, server.TakeUsage());
  }
  costs.Report(state);
  state.counters["ratio_to_signatures"] =
      benchmark::Counter(static_cast<double>(state.iterations()) * signatures,
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

int main(int argc, char** argv) {
  if (weft::bench::ServedAsChild(argc, argv)) return 0;
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
