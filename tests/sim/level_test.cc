// Two whole stores that hold the same say so to each other, whatever order the things
// run in that a process finds due at once.

#include <gtest/gtest.h>

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <optional>

#include "absl/strings/str_format.h"
#include "tests/sim/member.h"

namespace weft::sim {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr const char* kBaseName = "notes";

class TwoStores : public testing::Test {
 protected:
  ~TwoStores() override {
    ada.node.reset();
    bob.node.reset();
    clock.Clear();
    Poll();
  }
  void SetUp() override {
    const Link link = (*ada.node->CreateBase(kBaseName))->MakeLink();
    std::optional<absl::StatusOr<BaseNode*>> joined;
    asio::co_spawn(io, bob.node->Join(link, kBaseName, ""),
                   [&joined](std::exception_ptr, absl::StatusOr<BaseNode*> result) {
                     joined = std::move(result);
                   });
    Poll();
    ASSERT_TRUE(joined && joined->ok());
    bob.node->swarm().Keep(ada.address);
    RunFor(seconds(5));
    ASSERT_EQ(ada.node->swarm().Ready().size(), 1U);
  }

  void Poll() {
    io.restart();
    io.poll();
  }
  void RunFor(Nanos duration) {
    const Nanos until = clock.Steady() + duration;
    do {
      Poll();
    } while (clock.next() <= until && clock.Step());
    clock.AdvanceTo(until);
  }
  // Over the connection that there is.
  absl::StatusOr<SyncResult> Sync(Member& from, Member& to) {
    std::optional<absl::StatusOr<SyncResult>> result;
    Node::SyncRequest request;
    request.timeout = seconds(30);
    asio::co_spawn(io, from.node->Sync(to.address, request),
                   [&result](std::exception_ptr, absl::StatusOr<SyncResult> synced) {
                     result = std::move(synced);
                   });
    RunFor(seconds(40));
    return result.value_or(absl::InternalError("it has not ended"));
  }

  asio::io_context io{1};
  SimClock clock{hours(1)};
  SimNetwork network{&clock, 5,
                     NetworkFaults{.delay_mean = milliseconds(20),
                                   .loss = 0,
                                   .piece_bytes_max = 65536,
                                   .window_bytes = 256 * 1024,
                                   .silent_crash = 0}};
  Member ada{io, &clock, network, "ada", 1};
  Member bob{io, &clock, network, "bob", 2};
};

// A block of a branch that does not survive its fork changes nothing when it is
// indexed. What was told while it waited, that more is on its way to the disk, has to
// be taken back all the same.
TEST_F(TwoStores, WhoSaidThatMoreIsOnItsWaySaysWhenThereIsNoMore) {
  const CoreKey log = ada.base().record().log();
  const auto look_again = [&] { ada.base().LookAgain(log); };
  look_again();
  const Nanos before = clock.Steady();
  do {
    Poll();
  } while (ada.base().busy() && clock.Step());
  const Nanos settles_after = clock.Steady() - before;
  ASSERT_GT(settles_after, Nanos(0));
  RunFor(seconds(1));
  ASSERT_TRUE(Sync(bob, ada).ok());

  // The log is touched when the settling is due, so that this comes before the look at
  // the log.
  const Nanos due = clock.Steady() + settles_after;
  ada.base().PostAfter(settles_after, look_again);
  look_again();
  do {
    Poll();
  } while (clock.next() < due && clock.Step());
  while (clock.next() <= due) clock.Step();
  Poll();
  RunFor(seconds(1));
  EXPECT_FALSE(ada.base().busy());
  const auto synced = Sync(bob, ada);
  EXPECT_TRUE(synced.ok()) << synced.status();
}

}  // namespace
}  // namespace weft::sim
