// What several callers want of one core on one connection.

#include <gtest/gtest.h>

#include "replication/session.h"
#include "tests/replication/peers.h"

namespace weft {
namespace {

using std::chrono::seconds;

TEST(Wishes, TogetherBringWhatEachOfThemWould) {
  const Download none = Download::None(), whole = Download::Whole(false);
  const Download some = Download::Blocks({{5, 7}, {20, 21}});
  const Download more = Download::Blocks({{6, 9}, {9, 10}, {0, 1}}, /*live=*/true);
  const Download bytes = Download::Bytes({{75, 0}});
  const auto both = [](const Download& a, const Download& b) {
    const std::vector<const Download*> all = {&a, &b};
    return Union(all);
  };
  EXPECT_EQ(both(none, none), none);
  EXPECT_EQ(both(none, some), some);
  EXPECT_EQ(both(some, none), some);
  EXPECT_EQ(both(some, more),
            Download::Blocks({{0, 1}, {5, 10}, {20, 21}}, /*live=*/true));
  EXPECT_EQ(both(bytes, bytes), bytes);
  const Download all = both(bytes, both(whole, some));
  EXPECT_EQ(all.kind, Download::Kind::kWhole);
  EXPECT_EQ(all.ranges, some.ranges);
  EXPECT_EQ(all.seeks, bytes.seeks);
  EXPECT_FALSE(all.live);
}

struct WishesTest : testing::Test {
  Peer ada{1};
  Peer bob{2};
  World world;  // last: it ends the sessions, which know the peers
};

TEST_F(WishesTest, AreAllMetAndNothingElseIsFetched) {
  const auto notes = ada.Writer("notes", 1000);
  const auto copy = bob.Reader(*notes);
  const auto [a, b] = world.Connect(ada, bob);
  const auto one = b->Want(copy, Download::Blocks({{5, 6}}));
  world.Drain();
  const auto two = b->Want(copy, Download::Blocks({{700, 703}}));
  const auto three = b->Want(copy, Download::Bytes({{75, 0}}));
  EXPECT_FALSE(two->met_at());
  world.Drain();
  EXPECT_EQ(one->met_at(), 1000U);
  EXPECT_EQ(two->met_at(), 1000U);
  EXPECT_EQ(three->met_at(), 1000U);
  EXPECT_TRUE(copy->Has(5) && copy->Has(700) && copy->Has(702));
  EXPECT_LE(copy->held_blocks(), 7U);
}

TEST_F(WishesTest, AFewBlocksDoNotWaitForTheRest) {
  const auto notes = ada.Writer("notes", 50'000);
  const auto copy = bob.Reader(*notes);
  const auto [a, b] = world.Connect(ada, bob);
  const auto whole = b->Want(copy, Download::Whole());
  while (copy->held_blocks() == 0) ASSERT_GT(world.io.poll_one(), 0U);
  const auto last = b->Want(copy, Download::Blocks({{49'999, 50'000}}));
  while (!last->met_at()) ASSERT_GT(world.io.poll_one(), 0U);
  EXPECT_TRUE(copy->Has(49'999));
  EXPECT_FALSE(whole->met_at());
  EXPECT_LT(copy->held_blocks(), 25'000U);
  world.Drain();
  EXPECT_EQ(whole->met_at(), 50'000U);
  EXPECT_EQ(copy->held_blocks(), 50'000U);
}

TEST_F(WishesTest, OneThatEndsTakesNothingFromTheOthers) {
  const auto notes = ada.Writer("notes", 1000);
  const auto copy = bob.Reader(*notes);
  const auto [a, b] = world.Connect(ada, bob);
  auto whole = b->Want(copy, Download::Whole());
  auto first = b->Want(copy, Download::Blocks({{0, 1}}));
  while (!first->met_at()) ASSERT_GT(world.io.poll_one(), 0U);
  first.reset();
  world.Drain();
  ExpectSame(*copy, *notes);
  ada.AppendTo(*notes, 5);
  world.Drain();
  ExpectSame(*copy, *notes);
  EXPECT_EQ(whole->met_at(), 1000U) << "the first time";
}

TEST_F(WishesTest, WhatReplicateFollowsStaysFollowed) {
  const auto notes = ada.Writer("notes", 10);
  const auto copy = bob.Reader(*notes);
  const auto [a, b] = world.Connect(ada, bob);
  b->Replicate(copy, Download::Log());
  auto first = b->Want(copy, Download::Blocks({{0, 1}}));
  world.Drain();
  first.reset();
  ada.AppendTo(*notes, 5);
  world.Drain();
  ExpectSame(*copy, *notes);
}

TEST_F(WishesTest, TheLastThatEndsEndsTheDownloadUntilThereIsAnother) {
  const auto notes = ada.Writer("notes", 10);
  const auto copy = bob.Reader(*notes);
  const auto [a, b] = world.Connect(ada, bob);
  for (std::uint64_t length = 10; length < 20; ++length) {
    auto wish = b->Want(copy, Download::Whole());
    world.Drain();
    EXPECT_TRUE(wish->met_at()) << "at once, however the last one ended";
    ExpectSame(*copy, *notes);
    wish.reset();
    if (length % 2 == 0) world.Drain();
    ada.AppendTo(*notes, 1);
    if (length % 2 == 0) {
      world.Drain();
      EXPECT_EQ(copy->length(), length);
    }
  }
}

TEST_F(WishesTest, AreDeafToTheEndOfTheirConnectionAndMayOutliveIt) {
  const auto notes = ada.Writer("notes", 10);
  const auto copy = bob.Reader(*notes);
  auto [a, b] = world.Connect(ada, bob);
  const auto wish = b->Want(copy, Download::Blocks({{20, 30}}));
  world.Drain();
  EXPECT_EQ(wish->met_at(), 10U) << "the peer has none of them";
  b->Close();
  world.Drain();
  const auto late = b->Want(copy, Download::Whole());
  world.RunFor(seconds(1));
  EXPECT_FALSE(late->met_at());
  world.sessions.clear();
  a.reset();
  b.reset();
}

TEST_F(WishesTest, OfACoreThatMayNotBeFetchedAreNotMet) {
  const auto notes = ada.Writer("notes", 10);
  const auto copy = bob.Reader(*notes);
  bob.rule.download = false;
  const auto [a, b] = world.Connect(ada, bob);
  const auto wish = b->Want(copy, Download::Whole());
  world.Drain();
  EXPECT_FALSE(wish->met_at());
  bob.rule.download = true;
  b->PolicyChanged();
  world.Drain();
  EXPECT_EQ(wish->met_at(), 10U);
}

}  // namespace
}  // namespace weft
