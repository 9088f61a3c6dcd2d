// Peers for tests of replication: a corestore in memory each, joined by pipes on one
// io_context under the simulated clock.

#pragma once

#include <gtest/gtest.h>

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "engine/check.h"
#include "engine/corestore.h"
#include "engine/memory_storage.h"
#include "replication/download_scheduler.h"
#include "replication/session.h"
#include "tests/sim/pipe_wire.h"
#include "tests/sim/sim_clock.h"
#include "tests/sim/sim_random.h"

namespace weft {

inline std::string BlockText(std::uint64_t block_index) {
  return absl::StrFormat("block %d", block_index);
}

// One thread, whose time moves only when everybody sleeps.
struct EventLoop {
  // Runs until everybody waits for time or for bytes, which must come to pass.
  void Drain() {
    constexpr std::size_t kTurnsMax = 10'000'000;
    io.restart();
    std::size_t turns = 0;
    while (io.poll_one() > 0) {
      if (++turns < kTurnsMax) continue;
      ADD_FAILURE() << "somebody works without end";
      return;
    }
  }
  void RunFor(Nanos duration) {
    const Nanos until = clock.Now() + duration;
    Drain();
    while (clock.next() <= until && clock.Step()) Drain();
    clock.AdvanceTo(until);
  }

  asio::io_context io;
  sim::SimClock clock{Nanos(std::chrono::hours(1))};
  std::shared_ptr<EventLoop> self{this, [](EventLoop*) {}};  // ends with this
};

// A store, and what it heard.
struct Peer : SessionObserver, CoreProvider {
  explicit Peer(std::uint64_t seed) : random(seed) {
    store = *Corestore::Open(&storage, &random);
  }
  ~Peer() override {
    const std::shared_ptr<EventLoop> runs = loop.lock();
    if (runs == nullptr) return;
    for (const auto& each : joined) {
      if (const auto session = each.lock()) session->Close();
    }
    runs->Drain();
  }

  std::shared_ptr<Hypercore> Writer(const std::string& name, std::uint64_t blocks) {
    auto core = *store->OpenNamed(name);
    AppendTo(*core, blocks);
    return core;
  }
  void AppendTo(Hypercore& core, std::uint64_t blocks) {
    std::vector<std::string> texts;
    std::vector<ByteView> views;
    for (std::uint64_t i = 0; i < blocks; ++i) {
      texts.push_back(BlockText(core.length() + i));
    }
    for (const std::string& text : texts) views.push_back(AsBytes(text));
    if (!views.empty()) WEFT_CHECK(core.Append(views).ok());
  }
  std::shared_ptr<Hypercore> Reader(const Hypercore& of) {
    return *store->OpenRemote(of.key());
  }

  absl::StatusOr<std::shared_ptr<Hypercore>> Find(const DiscoveryKey& key) override {
    ++finds;
    return store->Find(key);
  }
  std::optional<CoreKey> KeyOf(const DiscoveryKey& key) override {
    return store->FindKey(key);
  }
  Download ModeOf(const Hypercore&) override { return mode; }
  bool AllowFork(const Hypercore&) override { return allow_fork; }

  void OnReady(Session&) override { ++ready; }
  void OnCoreOpen(Session&, Hypercore&) override { ++opened; }
  void OnCoreClosed(Session&, Hypercore&, bool was_refused) override {
    ++(was_refused ? refused : closed);
  }
  void OnUpgraded(Session&, Hypercore&, std::uint64_t) override { ++upgrades; }
  void OnLevel(Session&, Hypercore&) override { ++level; }
  void OnForkRefused(Session&, Hypercore&, std::uint64_t) override { ++forks_refused; }
  void OnFault(Session&, Hypercore&, const absl::Status& status) override {
    faults.push_back(status);
  }
  void OnUnreadable(Session&, Hypercore&, const absl::Status&) override {
    ++unreadable;
  }
  void OnExtension(Session&, Hypercore&, std::string_view name,
                   ByteView payload) override {
    extensions.push_back(std::string(name) + "=" + std::string(AsText(payload)));
  }
  void OnClosed(Session&, const absl::Status& status) override { ended = status; }

  sim::SimRandom random;
  MemoryStorage storage;
  std::unique_ptr<Corestore> store;
  std::shared_ptr<DownloadBook> book = std::make_shared<DownloadBook>();
  FeedRule rule;
  Download mode;
  bool allow_fork = true;
  SessionOptions session_options;  // what Join does not set itself
  int points = 0;                  // what the peers' faults count
  int finds = 0;                   // cores that were opened for somebody

  int ready = 0, opened = 0, closed = 0, refused = 0, upgrades = 0, level = 0;
  int forks_refused = 0, unreadable = 0;
  std::vector<absl::Status> faults;
  std::vector<std::string> extensions;
  std::optional<absl::Status> ended;

  // Of a World: what it has joined does not outlive it.
  std::weak_ptr<EventLoop> loop;
  std::vector<std::weak_ptr<Session>> joined;
};

// Everything runs on one io_context; time passes only in RunFor.
struct World : EventLoop {
  ~World() {
    clock.Clear();
    for (const auto& session : sessions) session->Close();
    Drain();
  }

  std::shared_ptr<Session> Join(Peer& peer, std::unique_ptr<Wire> wire,
                                bool is_initiator, const NetworkLimits& limits = {}) {
    SessionOptions options = peer.session_options;
    options.limits = limits;
    options.on_fault = [&peer](Session&, Fault, int points) { peer.points += points; };
    options.is_initiator = is_initiator;
    options.cores = &peer;
    options.clock = busy_clock != nullptr ? busy_clock : &clock;
    options.random = &peer.random;
    options.observer = &peer;
    options.book = peer.book;
    options.permit = [&peer](const Session&, const CoreKey& key) {
      return peer.rule.Of(key);
    };
    auto session = Session::Create(std::move(wire), options);
    asio::co_spawn(io, Session::Run(session), [](std::exception_ptr, absl::Status) {});
    sessions.push_back(session);
    peer.loop = self;
    peer.joined.push_back(session);
    return session;
  }
  std::pair<std::shared_ptr<Session>, std::shared_ptr<Session>> Connect(Peer& a,
                                                                        Peer& b) {
    auto [left, right] = sim::PipeWire::MakePair();
    auto first = Join(a, std::move(left), true);
    return {first, Join(b, std::move(right), false)};
  }
  AsyncClock* busy_clock = nullptr;  // of the next sessions, instead
  std::vector<std::shared_ptr<Session>> sessions;
};

inline void ExpectSame(const Hypercore& ours, const Hypercore& theirs) {
  ASSERT_EQ(ours.length(), theirs.length());
  EXPECT_EQ(ours.fork(), theirs.fork());
  EXPECT_EQ(ours.tree_hash(), theirs.tree_hash());
  ASSERT_EQ(ours.contiguous_length(), ours.length());
  for (std::uint64_t i = 0; i < ours.length(); ++i) {
    const auto mine = ours.Get(i);
    const auto yours = theirs.Get(i);
    ASSERT_TRUE(mine.ok() && yours.ok()) << i;
    ASSERT_EQ(*mine, *yours) << i;
  }
}

}  // namespace weft
