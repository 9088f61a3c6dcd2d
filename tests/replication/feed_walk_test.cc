// The walk of two feed tries, without a network: what each side learns, and at what
// price.

#include "replication/feed_walk.h"

#include <gtest/gtest.h>

#include <deque>
#include <random>
#include <set>

#include "engine/trie_root.h"
#include "tests/engine/numbered_key.h"

namespace weft {
namespace {

CoreKey KeyOf(std::uint64_t number) {
  return NumberedKey<CoreKey>(number);
}

// One side of a walk, and the wire as a queue.
struct Side {
  FeedMap map;
  absl::btree_map<CoreKey, std::uint64_t> told;  // by the other side
  std::set<CoreKey> said;                        // to it
  std::deque<WalkStep> inbox;

  VisitTold Told() const {
    return [this](const TriePath& path,
                  const std::function<bool(const CoreKey&, std::uint64_t)>& visit) {
      VisitUnder(told, path, visit);
    };
  }
};

struct Walk {
  std::uint64_t nodes = 0;
  std::uint64_t turns = 0;

  void Take(Side& to, Side& from) {
    while (!to.inbox.empty()) {
      const WalkStep step = std::move(to.inbox.front());
      to.inbox.pop_front();
      WalkStep answer;
      for (const WalkStep::Tell& tell : step.tell) {
        to.told[tell.head.core] = tell.head.settled;
        const std::uint64_t here = to.map.settled(tell.head.core);
        if (here > tell.head.settled && to.said.insert(tell.head.core).second) {
          answer.tell.push_back({{tell.head.core, here}, false});
        }
      }
      std::set<TriePath> shown;
      for (const FeedNode& node : step.show) {
        ++nodes;
        shown.insert(node.path);
        EXPECT_TRUE(CompareNode(to.map, node, to.Told(), &answer).ok());
      }
      std::erase_if(answer.ask,
                    [&](const TriePath& path) { return shown.contains(path); });
      if (!answer.tell.empty() || !answer.show.empty() || !answer.ask.empty()) {
        from.inbox.push_back(answer);
      }
      for (const TriePath& path : step.ask) {
        WalkStep one;
        AnswerAsk(to.map, path, &one);
        from.inbox.push_back(one);
      }
    }
  }
  void Run(Side& a, Side& b) {
    WalkStep first;
    if (const auto top = BranchAt(a.map, {})) {
      first.show.push_back(*top);
    } else {
      AnswerAsk(a.map, {}, &first);
      first.ask.push_back({});
    }
    b.inbox.push_back(first);
    while (!a.inbox.empty() || !b.inbox.empty()) {
      ++turns;
      Take(b, a);
      Take(a, b);
      ASSERT_LT(turns, 1000U);
    }
  }
};

// Whoever has less of a feed has been told what the other has.
void ExpectLearned(const Side& learner, const Side& teacher) {
  for (const auto& [core, settled] : teacher.map.heads()) {
    if (learner.map.settled(core) >= settled) continue;
    const auto told = learner.told.find(core);
    ASSERT_TRUE(told != learner.told.end()) << ToHex(core.view());
    EXPECT_EQ(told->second, settled);
  }
}

TEST(FeedMap, ItsRootIsThatOfThePlainTrieAndFollowsEveryChange) {
  std::mt19937_64 random(1);
  FeedMap map;
  std::map<CoreKey, std::uint64_t> model;
  for (int i = 0; i < 500; ++i) {
    const CoreKey key = KeyOf(random() % 60);
    const std::uint64_t settled = random() % 4;
    map.Set(key, settled);
    if (settled == 0) {
      model.erase(key);
    } else {
      model[key] = settled;
    }
    std::vector<TrieItem> items;
    for (const auto& [core, length] : model) {
      items.push_back({core.view(), FeedLeafHash(core, length)});
    }
    ASSERT_EQ(map.Root(), TrieRoot(items)) << i;
    ASSERT_EQ(map.size(), model.size());
  }
}

TEST(FeedWalk, OneDifferenceAmongTenThousandCostsAPathAndNotTheWholeTrie) {
  Side ada;
  Side bob;
  for (std::uint64_t i = 0; i < 10'000; ++i) {
    ada.map.Set(KeyOf(i), 10);
    bob.map.Set(KeyOf(i), i == 77 ? 9 : 10);
  }
  Walk walk;
  walk.Run(ada, bob);
  ExpectLearned(bob, ada);
  EXPECT_EQ(bob.told.size() + ada.told.size(), 1U + ada.told.size());
  EXPECT_LE(walk.nodes, 6U);
  EXPECT_LE(walk.turns, 4U);  // two levels a round trip
}

TEST(FeedWalk, BothSidesLearnWhatTheOtherHasMoreForAnyTwoMaps) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937_64 random(seed);
    Side ada;
    Side bob;
    const std::uint64_t shared = random() % 300;
    for (std::uint64_t i = 0; i < shared; ++i) {
      ada.map.Set(KeyOf(i), 5);
      bob.map.Set(KeyOf(i), 5);
    }
    std::set<std::uint64_t> changed;
    const std::uint64_t changes = random() % 40;
    for (std::uint64_t i = 0; i < changes; ++i) {
      const std::uint64_t feed = random() % (shared + 30);
      changed.insert(feed);
      Side& side = random() % 2 == 0 ? ada : bob;
      side.map.Set(KeyOf(feed), random() % 9);
    }
    Walk walk;
    walk.Run(ada, bob);
    ExpectLearned(ada, bob);
    ExpectLearned(bob, ada);
    EXPECT_LE(walk.nodes, 8 * changed.size() + 40);
  }
}

TEST(FeedWalk, OneSideWithNothingLearnsEverything) {
  Side ada;
  Side bob;
  for (std::uint64_t i = 0; i < 3000; ++i) ada.map.Set(KeyOf(i), 1 + i % 7);
  Walk walk;
  walk.Run(bob, ada);
  ExpectLearned(bob, ada);
}

TEST(FeedWalk, Attack17_ABranchThatNoTrieOfFeedsHasIsRefused) {
  FeedMap ours;
  ours.Set(KeyOf(1), 1);
  WalkStep step;
  const VisitTold nothing = [](const TriePath&, const auto&) {};
  EXPECT_FALSE(CompareNode(ours, {{}, {1, 2, 3}}, nothing, &step).ok());
  TrieBranch with_value;
  with_value.value = Hash32{};
  with_value.child_map = 1;
  with_value.children.push_back({});
  EXPECT_FALSE(
      CompareNode(ours, {{}, EncodeTrieBranch(with_value)}, nothing, &step).ok());
  TrieBranch deep = with_value;
  deep.value.reset();
  deep.child_map = 3;
  deep.children.push_back({});
  const TriePath bottom(64, 1);
  EXPECT_FALSE(
      CompareNode(ours, {bottom, EncodeTrieBranch(deep)}, nothing, &step).ok());
}

// A lie about a branch makes us tell what we have, once, and ask: nothing more.
TEST(FeedWalk, Attack17_AnInventedBranchEarnsABoundedAnswer) {
  FeedMap ours;
  for (std::uint64_t i = 0; i < 1000; ++i) ours.Set(KeyOf(i), 1);
  TrieBranch lie;
  lie.child_map = 0xffff;
  lie.children.assign(16, Hash32{});
  WalkStep step;
  const VisitTold nothing = [](const TriePath&, const auto&) {};
  ASSERT_TRUE(CompareNode(ours, {{}, EncodeTrieBranch(lie)}, nothing, &step).ok());
  EXPECT_EQ(step.show.size(), 16U);
  EXPECT_TRUE(step.tell.empty());
}

}  // namespace
}  // namespace weft
