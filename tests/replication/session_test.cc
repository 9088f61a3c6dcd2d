// Two and more Weft peers over pipes: everything a session promises.

#include "replication/session.h"

#include <gmock/gmock.h>

#include "engine/key_layout.h"
#include "tests/replication/peers.h"

namespace weft {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;

struct Two : testing::Test {
  Peer ada{1};
  Peer bob{2};
  Peer cyd{3};
  World world;  // last: it ends the sessions, which know the peers
};
using SessionTest = Two;

TEST_F(SessionTest, AWholeCoreOfAnyLengthArrives) {
  for (const std::uint64_t blocks : {1, 2, 3, 7, 8, 10, 63, 64, 65, 1000, 2500}) {
    SCOPED_TRACE(blocks);
    const auto notes = ada.Writer(absl::StrFormat("notes %d", blocks), blocks);
    const auto copy = bob.Reader(*notes);
    const auto [a, b] = world.Connect(ada, bob);
    b->Replicate(copy, Download::Whole());
    world.Drain();
    ExpectSame(*copy, *notes);
    EXPECT_TRUE(b->IsLevel(copy->key()));
    EXPECT_EQ(a->Remote(notes->key())->contiguous_length, blocks);
    a->Close();
    world.Drain();
  }
}

// It once told of its blocks for ever, and told nobody.
TEST_F(SessionTest, ACopyThatMayNotUploadRestsWhenItHasEverything) {
  const auto notes = ada.Writer("notes", 10);
  bob.rule.upload = false;
  const auto copy = bob.Reader(*notes);
  const auto [a, b] = world.Connect(ada, bob);
  b->Replicate(copy, Download::Whole());
  world.Drain();
  ExpectSame(*copy, *notes);
  EXPECT_EQ(a->Remote(notes->key())->contiguous_length, 0U);
  bob.rule.upload = true;
  b->PolicyChanged();
  world.Drain();
  EXPECT_EQ(a->Remote(notes->key())->contiguous_length, 10U);
}

TEST_F(SessionTest, ADamagedCopyEndsItsOwnChannelAndNoOther) {
  const std::vector<std::shared_ptr<Hypercore>> sources = {ada.Writer("one", 100),
                                                           ada.Writer("two", 100)};
  {
    const auto [a, b] = world.Connect(ada, bob);
    for (const auto& source : sources) {
      b->Replicate(bob.Reader(*source), Download::Blocks({{0, 10}}));
    }
    world.Drain();
    a->Close();
    world.Drain();
  }
  StorageBatch damage;
  damage.Put(Family::kCores, keys::TreePage(1, 0, 0), {1, 2, 3});
  ASSERT_TRUE(bob.storage.Commit(damage, Durability::kSynced).ok());
  bob.store = *Corestore::Open(&bob.storage, &bob.random);
  bob.ended.reset();
  std::vector<std::shared_ptr<Hypercore>> copies;
  const auto [a, b] = world.Connect(ada, bob);
  for (const auto& source : sources) {
    copies.push_back(bob.Reader(*source));
    b->Replicate(copies.back(), Download::Whole());
  }
  world.RunFor(seconds(60));
  EXPECT_FALSE(bob.ended.has_value()) << *bob.ended;
  ExpectSame(*copies[1], *sources[1]);
  EXPECT_EQ(copies[0]->held_blocks(), 10U);
  EXPECT_EQ(bob.unreadable, 1);
  EXPECT_EQ(bob.points, 0) << "the peer did nothing wrong";
  EXPECT_TRUE(bob.faults.empty());
  EXPECT_FALSE(b->Remote(sources[0]->key()).has_value());
}

TEST_F(SessionTest, ALiveCopyFollowsEveryAppend) {
  const auto notes = ada.Writer("notes", 3);
  const auto copy = bob.Reader(*notes);
  const auto [a, b] = world.Connect(ada, bob);
  b->Replicate(copy, Download::Whole());
  world.Drain();
  for (const std::uint64_t more : {1, 1, 5, 1, 100}) {
    ada.AppendTo(*notes, more);
    world.Drain();
    ExpectSame(*copy, *notes);
  }
  EXPECT_EQ(bob.level, 6);
}

TEST_F(SessionTest, AnEmptyCoreIsFollowedFromItsFirstBlock) {
  const auto notes = ada.Writer("notes", 0);
  const auto copy = bob.Reader(*notes);
  const auto [a, b] = world.Connect(ada, bob);
  b->Replicate(copy, Download::Whole());
  world.Drain();
  ada.AppendTo(*notes, 1);
  world.Drain();
  ExpectSame(*copy, *notes);
}

TEST_F(SessionTest, OnlyTheBlocksAskedForAreFetched) {
  const auto notes = ada.Writer("notes", 1000);
  const auto copy = bob.Reader(*notes);
  const auto [a, b] = world.Connect(ada, bob);
  b->Replicate(copy, Download::Blocks({{5, 6}, {700, 703}}));
  world.Drain();
  EXPECT_EQ(copy->length(), 1000U);
  EXPECT_EQ(copy->held_blocks(), 4U);
  EXPECT_TRUE(copy->Has(5) && copy->Has(700) && copy->Has(702));
  EXPECT_EQ(bob.level, 1);
}

TEST_F(SessionTest, TheBlockThatHoldsAByteIsFoundWithoutTheOthers) {
  const auto notes = ada.Writer("notes", 1000);
  for (const std::uint64_t byte : {0, 7, 8, 79, 5000, 7777, 8888, 8889}) {
    SCOPED_TRACE(byte);
    Peer eve(10 + byte);
    const auto copy = eve.Reader(*notes);
    const auto [a, e] = world.Connect(ada, eve);
    e->Replicate(copy, Download::Bytes({{byte, 0}}));
    world.Drain();
    EXPECT_EQ(eve.level, 1);
    ASSERT_TRUE(copy->Seek(byte).ok());
    EXPECT_EQ(*copy->Seek(byte), *notes->Seek(byte));
    EXPECT_TRUE(copy->Has(copy->Seek(byte)->first));
    EXPECT_LE(copy->held_blocks(), 2U);
    EXPECT_LT(e->bytes_received(), 8000U);
    e->Close();
    world.Drain();
  }
}

TEST_F(SessionTest, AByteBeyondTheEndIsWaitedForByALiveCopyAndByNoOther) {
  const auto notes = ada.Writer("notes", 10);
  const auto copy = bob.Reader(*notes);
  const auto third = cyd.Reader(*notes);
  const auto [a, b] = world.Connect(ada, bob);
  b->Replicate(copy, Download::Bytes({{75, 0}}));
  const auto [a2, c] = world.Connect(ada, cyd);
  c->Replicate(third, Download::Bytes({{75, 0}}, /*live=*/true));
  world.Drain();
  EXPECT_EQ(bob.level, 1);
  EXPECT_TRUE(absl::IsOutOfRange(copy->Seek(75).status()));
  ada.AppendTo(*notes, 5);
  world.Drain();
  EXPECT_EQ(copy->length(), 10U);
  EXPECT_EQ(third->Seek(75)->first, 10U);
  EXPECT_TRUE(third->Has(10));
}

TEST_F(SessionTest, APaddedSeekCountsThePlaintextOnly) {
  const auto notes = ada.Writer("notes", 300);
  const auto copy = bob.Reader(*notes);
  const auto [a, b] = world.Connect(ada, bob);
  b->Replicate(copy, Download::Bytes({{200, 5}}));
  world.Drain();
  EXPECT_EQ(*copy->Seek(200, 5), *notes->Seek(200, 5));
  EXPECT_TRUE(copy->Has(copy->Seek(200, 5)->first));
}

TEST_F(SessionTest, WhatIsNoLongerWantedIsCancelled) {
  const auto notes = ada.Writer("notes", 3000);
  const auto copy = bob.Reader(*notes);
  const auto [a, b] = world.Connect(ada, bob);
  b->Replicate(copy, Download::Whole());
  for (int i = 0; i < 400 && copy->held_blocks() == 0; ++i) {
    world.io.restart();
    world.io.poll_one();
  }
  b->Replicate(copy, Download::Blocks({{2990, 3000}}));
  world.Drain();
  EXPECT_LT(copy->held_blocks(), 2900U);
  EXPECT_TRUE(copy->Has(2990) && copy->Has(2999));
  EXPECT_TRUE(bob.faults.empty());
}

TEST_F(SessionTest, ACopyThatIsNotLiveStopsWhenItIsLevel) {
  const auto notes = ada.Writer("notes", 10);
  const auto copy = bob.Reader(*notes);
  const auto [a, b] = world.Connect(ada, bob);
  b->Replicate(copy, Download::Whole(/*live=*/false));
  world.Drain();
  ExpectSame(*copy, *notes);
  ada.AppendTo(*notes, 1);
  world.Drain();
  EXPECT_EQ(copy->length(), 10U);
  b->Replicate(copy, Download::Whole());  // and goes on when asked
  world.Drain();
  ExpectSame(*copy, *notes);
}

TEST_F(SessionTest, ASparseHolderGivesWhatItHasToAThirdPeer) {
  const auto notes = ada.Writer("notes", 5000);
  const auto copy = bob.Reader(*notes);
  const auto [a, b] = world.Connect(ada, bob);
  b->Replicate(copy, Download::Blocks({{100, 110}, {4000, 4001}}));
  world.Drain();
  const auto third = cyd.Reader(*notes);
  const auto [b2, c] = world.Connect(bob, cyd);
  c->Replicate(third, Download::Whole());
  world.Drain();
  EXPECT_EQ(third->length(), 5000U);
  EXPECT_EQ(third->held_blocks(), 11U);
  EXPECT_TRUE(c->IsLevel(third->key()));
  // What the middle peer gets later, it tells, and passes on.
  b->Replicate(copy, Download::Whole());
  world.Drain();
  ExpectSame(*third, *notes);
}

TEST_F(SessionTest, BlocksAreAskedOfOnePeerAtATime) {
  const auto notes = ada.Writer("notes", 3000);
  const auto middle = bob.Reader(*notes);
  const auto [a, b] = world.Connect(ada, bob);
  b->Replicate(middle, Download::Whole());
  world.Drain();
  const auto copy = cyd.Reader(*notes);
  const auto [a2, c1] = world.Connect(ada, cyd);
  const auto [b2, c2] = world.Connect(bob, cyd);
  c1->Replicate(copy, Download::Whole());
  c2->Replicate(copy, Download::Whole());
  world.Drain();
  ExpectSame(*copy, *notes);
  const std::uint64_t once = a->bytes_sent();
  EXPECT_LT(c1->bytes_received() + c2->bytes_received(), once * 13 / 10);
}

TEST_F(SessionTest, WhatALostPeerWasAskedForIsAskedOfAnother) {
  const auto notes = ada.Writer("notes", 3000);
  const auto middle = bob.Reader(*notes);
  {
    const auto [a, b] = world.Connect(ada, bob);
    b->Replicate(middle, Download::Whole());
    world.Drain();
  }
  const auto copy = cyd.Reader(*notes);
  const auto [a2, c1] = world.Connect(ada, cyd);
  const auto [b2, c2] = world.Connect(bob, cyd);
  c1->Replicate(copy, Download::Whole());
  c2->Replicate(copy, Download::Whole());
  for (int i = 0; i < 400 && copy->held_blocks() == 0; ++i) {
    world.io.restart();
    world.io.poll_one();
  }
  a2->Close();
  world.Drain();
  ExpectSame(*copy, *notes);
}

TEST_F(SessionTest, ManyCoresShareOneConnection) {
  std::vector<std::shared_ptr<Hypercore>> originals, copies;
  const auto [a, b] = world.Connect(ada, bob);
  for (int i = 0; i < 300; ++i) {
    originals.push_back(ada.Writer(absl::StrFormat("core %d", i), 10));
    copies.push_back(bob.Reader(*originals.back()));
    b->Replicate(copies.back(), Download::Whole());
  }
  world.Drain();
  for (int i = 0; i < 300; ++i) ExpectSame(*copies[i], *originals[i]);
}

TEST_F(SessionTest, BothSidesFetchFromEachOtherAtOnce) {
  const auto hers = ada.Writer("hers", 200);
  const auto his = bob.Writer("his", 300);
  const auto [a, b] = world.Connect(ada, bob);
  a->Replicate(ada.Reader(*his), Download::Whole());
  a->Replicate(hers, Download::None());
  b->Replicate(bob.Reader(*hers), Download::Whole());
  b->Replicate(his, Download::None());
  world.Drain();
  ExpectSame(*ada.Reader(*his), *his);
  ExpectSame(*bob.Reader(*hers), *hers);
}

TEST_F(SessionTest, ACoreThePeerDoesNotHaveIsRefusedAndServedOnceItDoes) {
  const auto notes = ada.Writer("notes", 5);
  const auto copy = cyd.Reader(*notes);
  const auto [b, c] = world.Connect(bob, cyd);
  c->Replicate(copy, Download::Whole());
  world.Drain();
  EXPECT_EQ(cyd.refused, 1);
  const auto [a, b2] = world.Connect(ada, bob);
  b2->Replicate(bob.Reader(*notes), Download::Whole());
  world.Drain();
  b->Replicate(bob.Reader(*notes), Download::Whole());
  world.Drain();
  ExpectSame(*copy, *notes);
}

TEST_F(SessionTest, ARemovedCoreIsRefused) {
  const auto notes = ada.Writer("notes", 5);
  ASSERT_TRUE(ada.store->Remove(notes->key()).ok());
  const auto [a, b] = world.Connect(ada, bob);
  b->Replicate(bob.Reader(*notes), Download::Whole());
  world.Drain();
  EXPECT_EQ(bob.refused, 1);
}

TEST_F(SessionTest, ReplicatingAgainChangesNothing) {
  const auto notes = ada.Writer("notes", 50);
  const auto copy = bob.Reader(*notes);
  const auto [a, b] = world.Connect(ada, bob);
  b->Replicate(copy, Download::Whole());
  world.Drain();
  const std::uint64_t sent = b->bytes_sent();
  b->Replicate(copy, Download::Whole());
  world.Drain();
  EXPECT_EQ(b->bytes_sent(), sent);
  EXPECT_EQ(bob.opened, 1);
}

TEST_F(SessionTest, ATruncatedCoreIsFollowedToItsNewFork) {
  const auto notes = ada.Writer("notes", 20);
  const auto copy = bob.Reader(*notes);
  const auto [a, b] = world.Connect(ada, bob);
  b->Replicate(copy, Download::Whole());
  world.Drain();
  ASSERT_TRUE(notes->Truncate(12).ok());
  const std::string other = "another thirteenth";
  const ByteView block = AsBytes(other);
  ASSERT_TRUE(notes->Append({&block, 1}).ok());
  world.Drain();
  EXPECT_EQ(copy->fork(), 1U);
  ExpectSame(*copy, *notes);
  ada.AppendTo(*notes, 30);
  world.Drain();
  ExpectSame(*copy, *notes);
}

TEST_F(SessionTest, Attack30_AForkOfAWritersLogIsToldAndNotFollowed) {
  const auto notes = ada.Writer("notes", 20);
  const auto copy = bob.Reader(*notes);
  bob.allow_fork = false;
  const auto [a, b] = world.Connect(ada, bob);
  b->Replicate(copy, Download::Whole());
  world.Drain();
  ASSERT_TRUE(notes->Truncate(12).ok());
  ada.AppendTo(*notes, 30);
  world.Drain();
  EXPECT_EQ(copy->fork(), 0U);
  EXPECT_EQ(copy->length(), 20U);
  EXPECT_GE(bob.forks_refused, 1);
}

TEST_F(SessionTest, ClearedBlocksAreToldAndNotAskedFor) {
  const auto notes = ada.Writer("notes", 100);
  ASSERT_TRUE(notes->Clear(10, 20).ok());
  const auto copy = bob.Reader(*notes);
  const auto [a, b] = world.Connect(ada, bob);
  b->Replicate(copy, Download::Whole());
  world.Drain();
  EXPECT_EQ(copy->held_blocks(), 90U);
  EXPECT_TRUE(b->IsLevel(copy->key()));
  ASSERT_TRUE(notes->Clear(0, 5).ok());
  world.Drain();
  const auto late = cyd.Reader(*notes);
  const auto [a2, c] = world.Connect(ada, cyd);
  c->Replicate(late, Download::Whole());
  world.Drain();
  EXPECT_EQ(late->held_blocks(), 85U);
}

// Rule A1: nobody hears of what a crash could take back.
TEST_F(SessionTest, A1_AnAppendIsToldOnlyOnceItIsDurable) {
  const auto notes = ada.Writer("notes", 3);
  const auto copy = bob.Reader(*notes);
  const auto [a, b] = world.Connect(ada, bob);
  b->Replicate(copy, Download::Whole());
  world.Drain();
  const ByteView block = AsBytes("not yet");
  ASSERT_TRUE(notes->Append({&block, 1}, Durability::kLogged).ok());
  world.Drain();
  EXPECT_EQ(b->Remote(notes->key())->length, 3U);
  EXPECT_EQ(copy->length(), 3U);
  ASSERT_TRUE(ada.store->Sync().ok());
  world.Drain();
  ExpectSame(*copy, *notes);
}

TEST_F(SessionTest, AnExtensionReachesThePeerUnderItsName) {
  const auto notes = ada.Writer("notes", 3);
  const auto [a, b] = world.Connect(ada, bob);
  b->Replicate(bob.Reader(*notes), Download::Whole());
  world.Drain();
  b->SendExtension(notes->key(), "chat", AsBytes("hello"));
  b->SendExtension(notes->key(), "chat", AsBytes("again"));
  b->SendExtension(notes->key(), "other", AsBytes("bye"));
  world.Drain();
  EXPECT_THAT(ada.extensions, ElementsAre("chat=hello", "chat=again", "other=bye"));
}

TEST_F(SessionTest, WhoClosesWhenAllIsWrittenHasSaidAllBefore) {
  const auto notes = ada.Writer("notes", 1);
  const auto copy = bob.Reader(*notes);
  const auto [a, b] = world.Connect(ada, bob);
  b->Replicate(copy, Download::Whole());
  world.Drain();
  for (int i = 0; i < 100; ++i) {
    a->SendExtension(notes->key(), "chat", AsBytes(std::string(1000, 'x')));
  }
  a->SendExtension(notes->key(), "chat", AsBytes("bye"));
  a->CloseWhenWritten();
  EXPECT_FALSE(a->closed());
  world.Drain();
  EXPECT_TRUE(a->closed());
  EXPECT_TRUE(b->closed());
  ASSERT_EQ(bob.extensions.size(), 101U);
  EXPECT_EQ(bob.extensions.back(), "chat=bye");
  EXPECT_TRUE(bob.ended.has_value() && bob.ended->ok());
}

TEST_F(SessionTest, AnIdleConnectionIsKeptAliveAndASilentOneEnds) {
  const auto [a, b] = world.Connect(ada, bob);
  world.RunFor(seconds(300));
  EXPECT_FALSE(ada.ended.has_value());
  auto [left, right] = sim::PipeWire::MakePair();
  auto c = world.Join(cyd, std::move(left), false);
  world.RunFor(seconds(6));
  ASSERT_TRUE(cyd.ended.has_value());
  EXPECT_EQ(cyd.ended->code(), absl::StatusCode::kDeadlineExceeded) << "L2";
}

TEST_F(SessionTest, EndingItIsOkOnBothSides) {
  const auto [a, b] = world.Connect(ada, bob);
  world.Drain();
  a->Close();
  world.Drain();
  EXPECT_TRUE(ada.ended->ok());
  EXPECT_TRUE(bob.ended->ok());
}

TEST_F(SessionTest, TheSameSeedGivesTheSameBytes) {
  std::vector<std::uint64_t> received;
  std::vector<TreeHash> hashes;
  for (int run = 0; run < 2; ++run) {
    Peer eve(5), fay(6);
    World again;
    const auto notes = eve.Writer("notes", 700);
    const auto copy = fay.Reader(*notes);
    const auto [e, f] = again.Connect(eve, fay);
    f->Replicate(copy, Download::Whole());
    again.RunFor(seconds(20));
    received.push_back(f->bytes_received());
    received.push_back(f->bytes_sent());
    hashes.push_back(copy->tree_hash());
  }
  EXPECT_EQ(received[0], received[2]);
  EXPECT_EQ(received[1], received[3]);
  EXPECT_EQ(hashes[0], hashes[1]);
}

}  // namespace
}  // namespace weft
