#include "bench/serving.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <thread>

#include "absl/strings/str_format.h"
#include "bench/log_fixture.h"
#include "engine/real_async_clock.h"
#include "engine/real_loop.h"
#include "engine/real_workers.h"
#include "replication/session.h"
#include "replication/tcp_wire.h"

namespace weft::bench {
namespace {

constexpr const char* kServe = "--serve";
constexpr std::size_t kAppendBlocks = 1000;

// Serves every core of its store on a thread of its own.
class Server {
 public:
  // Opens the store anew when it is full, so that nothing of it is in memory.
  std::vector<CoreKey> Fill(const CoresToServe& what) {
    std::vector<CoreKey> keys;
    for (std::size_t i = 0; i < what.cores; ++i) {
      const auto core = *log_.cores->OpenNamed(absl::StrFormat("core %d", i));
      const Bytes block(what.bytes, static_cast<std::uint8_t>(i));
      for (std::size_t at = 0; at < what.blocks; at += kAppendBlocks) {
        const std::size_t count = std::min(kAppendBlocks, what.blocks - at);
        WEFT_CHECK(core->Append(Repeated(block, count), Durability::kLogged).ok());
      }
      keys.push_back(core->key());
    }
    WEFT_CHECK(log_.cores->Sync().ok());
    log_.Close();
    log_.Open();
    provider_ = std::make_unique<CorestoreProvider>(log_.cores.get());
    return keys;
  }
  void Start() {
    listener_ = *network_.Listen("127.0.0.1:0");
    asio::co_spawn(io_, Accept(), asio::detached);
    thread_ = std::thread([this] { RunMetered(io_, stalls_); });
  }
  ~Server() {
    io_.stop();
    if (thread_.joinable()) thread_.join();
  }
  std::string address() const { return listener_->address(); }
  StallMeter& stalls() { return stalls_; }

 private:
  Task<void> Accept() {
    for (;;) {
      auto wire = co_await listener_->Accept();
      if (!wire.ok()) co_return;
      SessionOptions options;
      options.cores = provider_.get();
      options.clock = &clock_;
      options.random = &random_;
      options.workers = &workers_;
      const auto session = Session::Create(*std::move(wire), options);
      asio::co_spawn(io_, Session::Run(session), asio::detached);
    }
  }

  LogFixture log_;
  SystemRandom random_;
  std::unique_ptr<CorestoreProvider> provider_;
  StallMeter stalls_;
  RealWorkers workers_;
  asio::io_context io_;
  RealAsyncClock clock_{io_.get_executor()};
  TcpNetwork network_{io_.get_executor()};
  std::unique_ptr<Listener> listener_;
  std::thread thread_;
};

void Serve(const CoresToServe& what) {
  Server server;
  const std::vector<CoreKey> keys = server.Fill(what);
  server.Start();
  std::cout << server.address() << '\n';
  for (const CoreKey& key : keys) std::cout << ToHex(key.view()) << '\n';
  std::cout << std::flush;
  double before = CpuSeconds();
  server.stalls().Reset();
  for (std::string line; std::getline(std::cin, line);) {
    const double now = CpuSeconds();
    const auto stall = std::chrono::duration<double, std::milli>(
        std::chrono::duration<double, std::nano>(server.stalls().longest()));
    std::cout << absl::StrFormat("%.6f %.6f\n", now - before, stall.count())
              << std::flush;
    before = now;
    server.stalls().Reset();
  }
}

}  // namespace

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

ServingProcess::ServingProcess(const CoresToServe& what) {
  int down[2];
  int up[2];
  WEFT_CHECK(pipe(down) == 0 && pipe(up) == 0);
  const std::string numbers[3] = {std::to_string(what.cores),
                                  std::to_string(what.blocks),
                                  std::to_string(what.bytes)};
  pid_ = fork();
  WEFT_CHECK(pid_ >= 0);
  if (pid_ == 0) {
    dup2(down[0], STDIN_FILENO);
    dup2(up[1], STDOUT_FILENO);
    for (const int end : {down[0], down[1], up[0], up[1]}) close(end);
    execl("/proc/self/exe", "weft-bench", kServe, numbers[0].c_str(),
          numbers[1].c_str(), numbers[2].c_str(), nullptr);
    _exit(127);
  }
  close(down[0]);
  close(up[1]);
  to_child_ = fdopen(down[1], "w");
  from_child_ = fdopen(up[0], "r");
  WEFT_CHECK(to_child_ != nullptr && from_child_ != nullptr);
  address_ = ReadLine();
  for (std::size_t i = 0; i < what.cores; ++i) {
    const std::optional<Bytes> bytes = FromHex(ReadLine());
    const auto key = bytes ? CoreKey::From(*bytes) : std::nullopt;
    WEFT_CHECK(key.has_value());
    keys_.push_back(*key);
  }
}

ServingProcess::~ServingProcess() {
  std::fclose(to_child_);
  int ended = 0;
  waitpid(pid_, &ended, 0);
  std::fclose(from_child_);
}

std::string ServingProcess::ReadLine() {
  char line[256];
  WEFT_CHECK(std::fgets(line, sizeof(line), from_child_) != nullptr);
  line[std::strcspn(line, "\n")] = '\0';
  return line;
}

Usage ServingProcess::TakeUsage() {
  std::fputc('\n', to_child_);
  std::fflush(to_child_);
  Usage usage;
  const std::string line = ReadLine();
  char* rest = nullptr;
  usage.cpu_seconds = std::strtod(line.c_str(), &rest);
  usage.stall_ms = std::strtod(rest, nullptr);
  return usage;
}

bool ServedAsChild(int argc, char** argv) {
  if (argc != 5 || std::string_view(argv[1]) != kServe) return false;
  Serve({.cores = std::strtoull(argv[2], nullptr, 10),
         .blocks = std::strtoull(argv[3], nullptr, 10),
         .bytes = std::strtoull(argv[4], nullptr, 10)});
  return true;
}

}  // namespace weft::bench
