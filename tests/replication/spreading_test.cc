// How the scheduler spreads the blocks of one core over many peers: played through with
// peers of any speed in one thread, without sockets, under a clock of its own.

#include <gmock/gmock.h>

#include <deque>
#include <memory>
#include <random>
#include <vector>

#include "replication/answer_pace.h"
#include "replication/download_scheduler.h"

namespace weft {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

// One peer that serves blocks, one after the other, to all who ask it, in turn.
struct Server {
  Bitfield blocks;
  Nanos per_block{};  // 0: never answers
  Nanos free_at{};
  std::uint64_t served = 0;
};

struct Reader;

// A reader's requests to one server.
class Link final : public DownloadPeer {
 public:
  Link(Reader* reader, Server* server, Nanos one_way)
      : latency(one_way), reader_(reader), server_(server) {}

  void Wake() override { woken = true; }
  PeerLoad Load(Nanos now) const override {
    return {queue.size(), pace.per_answer(), pace.quiet(now)};
  }
  std::size_t GiveUp(std::size_t count, const Bitfield& offered) override;
  void Ask(Nanos now);
  // Serves the oldest request, if it has reached the server.
  bool Serve(Nanos now);
  // What is on the way back and has arrived.
  void Take(Nanos now);

  struct Request {
    std::uint64_t block = 0;
    Nanos sent_at{};
  };
  struct Answer {
    std::uint64_t block = 0;
    Nanos sent_at{};
    Nanos arrives{};
  };
  std::deque<Request> queue;                             // ours, as we know them
  std::deque<Request> arrived;                           // as the server has them
  std::deque<Answer> answers;                            // on the way back
  std::vector<std::pair<std::uint64_t, Nanos>> cancels;  // and when they arrive
  Nanos latency;                                         // one way
  AnswerPace pace;
  std::uint64_t id = 0;
  bool woken = true;

 private:
  Reader* reader_;
  Server* server_;
};

struct Reader {
  Reader(std::uint64_t blocks, std::uint64_t number) : length(blocks), seed(number) {}
  void Add(Server* server, Nanos latency) {
    links.push_back(std::make_unique<Link>(this, server, latency));
    links.back()->id = scheduler.AddPeer(links.back().get(), seed);
  }
  std::uint64_t length;
  std::uint64_t seed;
  DownloadScheduler scheduler;
  Server* own = nullptr;  // what it passes on
  Bitfield held;
  std::uint64_t duplicates = 0;
  Nanos now{};
  std::vector<std::unique_ptr<Link>> links;
};

std::size_t Link::GiveUp(std::size_t count, const Bitfield& offered) {
  std::size_t given = 0;
  for (std::size_t i = queue.size(); i-- > 0 && given < count;) {
    const std::uint64_t block = queue[i].block;
    if (!offered.Get(block)) continue;
    reader_->scheduler.Release({block, block + 1});
    cancels.emplace_back(block, reader_->now + latency);
    queue.erase(queue.begin() + static_cast<std::ptrdiff_t>(i));
    ++given;
  }
  return given;
}

// What Downloader::Request does with the scheduler.
void Link::Ask(Nanos now) {
  DownloadScheduler& scheduler = reader_->scheduler;
  if (server_->blocks.count() > 0) scheduler.MarkHolder(id);
  const auto ask = [&] {
    const std::uint64_t missing =
        reader_->length - reader_->held.count() - scheduler.taken();
    const std::size_t window = std::min<std::size_t>(2048, scheduler.Share(missing));
    while (queue.size() < window) {
      const auto run = scheduler.Next(reader_->held, server_->blocks,
                                      {0, reader_->length}, window - queue.size());
      if (!run) break;
      scheduler.Take(*run);
      if (queue.empty()) pace.OnBusy(now);
      for (std::uint64_t at = run->from; at < run->to; ++at) {
        queue.push_back({at, now});
        arrived.push_back({at, now + latency});
      }
    }
  };
  ask();
  if (queue.empty() && scheduler.taken() > 0 &&
      scheduler.Relieve(id, server_->blocks, now)) {
    ask();
  }
}

bool Link::Serve(Nanos now) {
  for (auto cancel = cancels.begin(); cancel != cancels.end();) {
    if (cancel->second > now) {
      ++cancel;
      continue;
    }
    std::erase_if(arrived,
                  [&](const Request& one) { return one.block == cancel->first; });
    cancel = cancels.erase(cancel);
  }
  if (arrived.empty() || arrived.front().sent_at > now || server_->free_at > now ||
      server_->per_block == Nanos(0)) {
    return false;
  }
  server_->free_at = std::max(server_->free_at, arrived.front().sent_at);
  server_->free_at += server_->per_block;
  ++server_->served;
  answers.push_back({arrived.front().block, arrived.front().sent_at - latency,
                     server_->free_at + latency});
  arrived.pop_front();
  return true;
}

void Link::Take(Nanos now) {
  while (!answers.empty() && answers.front().arrives <= now) {
    const Answer answer = answers.front();
    answers.pop_front();
    if (!reader_->held.Set(answer.block)) ++reader_->duplicates;
    if (reader_->own != nullptr) reader_->own->blocks.Set(answer.block);
    const auto mine = std::ranges::find_if(
        queue, [&](const Request& one) { return one.block == answer.block; });
    if (mine == queue.end()) continue;  // called back, and came all the same
    pace.OnAnswer(now, answer.sent_at);
    queue.erase(mine);
    reader_->scheduler.Release({answer.block, answer.block + 1});
    woken = true;
  }
}

// Plays until every reader has every block; the time that took, or Nanos::max().
Nanos Play(std::vector<std::unique_ptr<Reader>>& readers, Nanos limit) {
  constexpr Nanos kStep = microseconds(250);
  std::size_t turn = 0;
  for (Nanos now = milliseconds(1); now < limit; now += kStep) {
    bool done = true;
    const bool tick = now % milliseconds(500) < kStep;
    for (const auto& reader : readers) {
      reader->now = now;
      for (const auto& link : reader->links) link->Take(now);
      if (reader->held.count() == reader->length) continue;
      done = false;
      if (tick) reader->scheduler.Wake();
      for (const auto& link : reader->links) {
        if (std::exchange(link->woken, false)) link->Ask(now);
      }
    }
    if (done) return now;
    // Each server takes the next request of its next reader, until its time is full.
    bool any = true;
    while (any) {
      any = false;
      ++turn;
      for (std::size_t i = 0; i < readers.size(); ++i) {
        for (const auto& link : readers[(i + turn) % readers.size()]->links) {
          any = link->Serve(now) || any;
        }
      }
    }
  }
  return Nanos::max();
}

TEST(Spreading, FiftyEqualPeersGiveAboutTheSameEach) {
  constexpr std::uint64_t kBlocks = 20'000;
  std::vector<std::unique_ptr<Server>> servers;
  std::vector<std::unique_ptr<Reader>> readers;
  readers.push_back(std::make_unique<Reader>(kBlocks, 7));
  for (int i = 0; i < 50; ++i) {
    servers.push_back(std::make_unique<Server>());
    servers.back()->blocks.SetRange(0, kBlocks, true);
    servers.back()->per_block = milliseconds(1);
    readers[0]->Add(servers.back().get(), milliseconds(5));
  }
  const Nanos took = Play(readers, seconds(60));
  EXPECT_LT(took, milliseconds(700)) << "400 ms of work for each";
  for (const auto& server : servers) {
    EXPECT_GT(server->served, kBlocks / 50 / 2);
    EXPECT_LT(server->served, kBlocks / 50 * 2);
  }
  EXPECT_LE(readers[0]->duplicates * 100, kBlocks * 5);
}

TEST(Spreading, Attack28_FastPeersTakeOverFromSlowAndMuteOnes) {
  constexpr std::uint64_t kBlocks = 5'000;
  std::vector<std::unique_ptr<Server>> servers;
  std::vector<std::unique_ptr<Reader>> readers;
  readers.push_back(std::make_unique<Reader>(kBlocks, 7));
  double per_second = 0;
  for (int i = 0; i < 50; ++i) {
    servers.push_back(std::make_unique<Server>());
    servers.back()->blocks.SetRange(0, kBlocks, true);
    // From 1 ms to 250 ms a block; five say nothing.
    servers.back()->per_block = i % 10 == 9 ? Nanos(0) : milliseconds(1 + 5 * i);
    if (i % 10 != 9) per_second += 1000.0 / (1 + 5 * i);
    readers[0]->Add(servers.back().get(), milliseconds(5));
  }
  const Nanos took = Play(readers, seconds(60));
  const double ideal = static_cast<double>(kBlocks) / per_second;
  EXPECT_LT(std::chrono::duration<double>(took).count(), 1.5 * ideal + 1.0);
  EXPECT_LE(readers[0]->duplicates * 100, kBlocks * 5);
}

TEST(Spreading, TheLastBlocksOfASlowPeerAreAskedElsewhere) {
  std::vector<std::unique_ptr<Server>> servers;
  std::vector<std::unique_ptr<Reader>> readers;
  readers.push_back(std::make_unique<Reader>(32, 7));
  for (const Nanos per_block : {Nanos(milliseconds(1)), Nanos(seconds(2))}) {
    servers.push_back(std::make_unique<Server>());
    servers.back()->blocks.SetRange(0, 32, true);
    servers.back()->per_block = per_block;
    readers[0]->Add(servers.back().get(), milliseconds(5));
  }
  EXPECT_LT(Play(readers, seconds(60)), milliseconds(1000));
}

// Attack 37, from the other side: many readers come upon a new core of one writer.
TEST(Spreading, Attack37_ReadersOfANewCoreTakeItFromEachOther) {
  constexpr std::uint64_t kBlocks = 4096;
  constexpr std::size_t kReaders = 12;
  std::vector<std::unique_ptr<Server>> servers;
  std::vector<std::unique_ptr<Reader>> readers;
  std::mt19937_64 random(3);
  for (std::size_t i = 0; i <= kReaders; ++i) {
    servers.push_back(std::make_unique<Server>());
    servers.back()->per_block = milliseconds(1);
  }
  servers[0]->blocks.SetRange(0, kBlocks, true);
  for (std::size_t i = 0; i < kReaders; ++i) {
    readers.push_back(std::make_unique<Reader>(kBlocks, random()));
    readers.back()->own = servers[i + 1].get();
    for (std::size_t j = 0; j <= kReaders; ++j) {
      if (j != i + 1) readers.back()->Add(servers[j].get(), milliseconds(2));
    }
  }
  const Nanos took = Play(readers, seconds(120));
  std::uint64_t duplicates = 0;
  for (const auto& reader : readers) duplicates += reader->duplicates;
  EXPECT_LE(duplicates * 100, kReaders * kBlocks * 5);
  EXPECT_LT(servers[0]->served, 4 * kBlocks) << "and not 12 times";
  EXPECT_LT(took, seconds(20)) << "4.1 s is what the writer needs to say it once";
}

TEST(AnswerPace, PatienceFollowsWhatAnswersUsuallyTake) {
  AnswerPace pace;
  EXPECT_EQ(pace.patience(), AnswerPace::kPatienceMax);
  Nanos now{};
  for (int i = 0; i < 100; ++i) {
    pace.OnBusy(now);
    now += milliseconds(20);
    pace.OnAnswer(now, now - milliseconds(20));
  }
  EXPECT_EQ(pace.patience(), AnswerPace::kPatienceMin);
  EXPECT_EQ(pace.per_answer(), milliseconds(20));
  pace.OnTimeout(now);
  EXPECT_EQ(pace.patience(), 2 * AnswerPace::kPatienceMin);
  for (int i = 0; i < 100; ++i) {
    pace.OnBusy(now);
    now += seconds(2);
    pace.OnAnswer(now, now - seconds(2));
  }
  EXPECT_GT(pace.patience(), seconds(3));
  EXPECT_LE(pace.patience(), AnswerPace::kPatienceMax);
}

}  // namespace
}  // namespace weft
