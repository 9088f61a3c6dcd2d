// Who is remembered to hold our writes when more say so than there is room for.

#include "weft/ack_book.h"

#include <gtest/gtest.h>

#include "engine/memory_storage.h"
#include "tests/engine/numbered_key.h"

namespace weft {
namespace {

const CoreKey kOurs = NumberedKey<CoreKey>(1);
const CoreKey kBobs = NumberedKey<CoreKey>(2);

AckLimits Small() {
  AckLimits limits;
  limits.acks = 15;
  limits.acks_per_log = 10;
  return limits;
}

TEST(AckBook, Attack17_StrangersWithoutEndKeepNoNewPeerFromCounting) {
  AckBook book(1, Small());
  book.Watch(kOurs);
  for (std::uint64_t stranger = 0; stranger < 1'000; ++stranger) {
    book.Raise(kOurs, NumberedKey<PublicKey>(100 + stranger), 5);
  }
  EXPECT_EQ(book.Holders(kOurs, 1), 10U);
  // As much as they, or more: there is room.
  EXPECT_TRUE(book.Raise(kOurs, NumberedKey<PublicKey>(7), 5));
  EXPECT_TRUE(book.Raise(kOurs, NumberedKey<PublicKey>(8), 6));
  EXPECT_EQ(book.Holders(kOurs, 1), 10U);
  EXPECT_EQ(book.Holders(kOurs, 6), 1U);
  // Who holds less than all of them is not worth another's place.
  EXPECT_FALSE(book.Raise(kOurs, NumberedKey<PublicKey>(9), 4));
  // And who holds more than they stays, however many come.
  for (std::uint64_t stranger = 0; stranger < 1'000; ++stranger) {
    book.Raise(kOurs, NumberedKey<PublicKey>(5'000 + stranger), 5);
  }
  EXPECT_EQ(book.Holders(kOurs, 6), 1U);
  EXPECT_FALSE(book.Raise(kOurs, NumberedKey<PublicKey>(8), 6)) << "no news";
}

TEST(AckBook, OfThoseWhoHoldAsMuchWhoeverSaidSoFirstGivesWay) {
  AckBook book(1, Small());
  book.Watch(kOurs);
  for (std::uint64_t peer = 0; peer < 10; ++peer) {
    book.Raise(kOurs, NumberedKey<PublicKey>(peer), 5);
  }
  book.Raise(kOurs, NumberedKey<PublicKey>(10), 5);
  EXPECT_FALSE(book.Raise(kOurs, NumberedKey<PublicKey>(9), 5)) << "still there";
  EXPECT_TRUE(book.Raise(kOurs, NumberedKey<PublicKey>(0), 5)) << "had given way";
}

TEST(AckBook, Attack17_AFloodInOneLogLeavesTheOthersTheirs) {
  AckBook book(1, Small());
  book.Watch(kOurs);
  book.Watch(kBobs);
  for (std::uint64_t peer = 0; peer < 10; ++peer) {
    book.Raise(kOurs, NumberedKey<PublicKey>(peer), 5);
  }
  for (std::uint64_t peer = 0; peer < 6; ++peer) {
    EXPECT_TRUE(book.Raise(kBobs, NumberedKey<PublicKey>(peer), 1));
  }
  EXPECT_EQ(book.Holders(kBobs, 1), 6U);
  EXPECT_EQ(book.Holders(kOurs, 5), 9U);
}

TEST(AckBook, WhatGaveWayIsGoneFromTheDiskTooAndWhatIsTooMuchThereGoes) {
  MemoryStorage storage;
  AckBook book(1, Small());
  book.Watch(kOurs);
  for (std::uint64_t peer = 0; peer < 10; ++peer) {
    book.Raise(kOurs, NumberedKey<PublicKey>(peer), 5);
  }
  ASSERT_TRUE(book.Save(&storage).ok());
  for (std::uint64_t peer = 20; peer < 24; ++peer) {
    book.Raise(kOurs, NumberedKey<PublicKey>(peer), 6);
  }
  ASSERT_TRUE(book.Save(&storage).ok());
  AckBook roomy(1);
  ASSERT_TRUE(roomy.Load(&storage).ok());
  EXPECT_EQ(roomy.Holders(kOurs, 1), 10U);
  EXPECT_EQ(roomy.Holders(kOurs, 6), 4U);

  AckLimits three;
  three.acks_per_log = 3;
  AckBook tight(1, three);
  ASSERT_TRUE(tight.Load(&storage).ok());
  EXPECT_EQ(tight.Holders(kOurs, 6), 3U);
  ASSERT_TRUE(tight.Save(&storage).ok());
  AckBook again(1);
  ASSERT_TRUE(again.Load(&storage).ok());
  EXPECT_EQ(again.Holders(kOurs, 1), 3U);
}

}  // namespace
}  // namespace weft
