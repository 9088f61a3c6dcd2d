// The small machines behind the limits: rates, budgets, the door, scores and bans.

#include "replication/limits.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "absl/strings/str_format.h"
#include "engine/open_files.h"
#include "replication/admission.h"
#include "replication/ban_table.h"
#include "replication/budget.h"
#include "replication/log_limit.h"
#include "replication/rate.h"
#include "replication/upload_budget.h"
#include "replication/verdict.h"

namespace weft {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

PublicKey KeyNumber(std::uint64_t number) {
  PublicKey key;
  for (std::size_t i = 0; i < 8; ++i) {
    key.bytes[i] = static_cast<std::uint8_t>(number >> (8 * i));
  }
  return key;
}

TEST(Rate, GivesItsBurstAtOnceAndThenSoManyASecond) {
  Rate rate(10, 3);
  Nanos now = hours(1);
  EXPECT_TRUE(rate.Take(3, now));
  EXPECT_FALSE(rate.Take(1, now));
  EXPECT_FALSE(rate.Take(1, now + milliseconds(99)));
  EXPECT_TRUE(rate.Take(1, now + milliseconds(100)));
  now += seconds(10);
  EXPECT_TRUE(rate.Full(now));
  EXPECT_TRUE(rate.Take(3, now));
  EXPECT_FALSE(rate.Take(1, now)) << "no more than the burst is saved";
}

TEST(Rate, WhatIsChargedBeyondItIsOwed) {
  Rate rate(1000, 1000);
  const Nanos now = hours(1);
  EXPECT_EQ(rate.Debt(now), Nanos(0));
  rate.Charge(3000, now);
  EXPECT_GT(rate.Debt(now), milliseconds(1999));
  EXPECT_LE(rate.Debt(now), milliseconds(2001));
  EXPECT_EQ(rate.Debt(now + seconds(3)), Nanos(0));
}

TEST(Budget, WhoHoldsMostIsShedWhenAllTogetherHoldTooMuch) {
  auto budget = std::make_shared<Budget>(100);
  int ada_shed = 0, bob_shed = 0;
  Budget::Share ada(budget, [&] { ++ada_shed; });
  auto bob = std::make_unique<Budget::Share>(budget, [&] { ++bob_shed; });
  ada.Set(40);
  bob->Set(60);
  EXPECT_TRUE(budget->full());
  EXPECT_EQ(bob_shed, 0);
  ada.Set(50);
  EXPECT_EQ(bob_shed, 1);
  EXPECT_EQ(ada_shed, 0) << "what is being let go counts no more";
  bob.reset();
  EXPECT_EQ(budget->bytes(), 50U);
}

TEST(UploadBudget, RoomGoesToWhoeverHasWaitedLongest) {
  constexpr std::size_t kUnit = UploadBudget::kAlwaysBytes;
  auto budget = std::make_shared<UploadBudget>(10 * kUnit);
  std::string calls;
  UploadBudget::Share ada(
      budget, [&] { calls += 'a'; }, [] {});
  auto bob = std::make_unique<UploadBudget::Share>(
      budget, [&] { calls += 'b'; }, [] {});
  UploadBudget::Share cyd(
      budget, [&] { calls += 'c'; }, [] {});
  EXPECT_TRUE(ada.Take(8 * kUnit));
  ada.Set(8 * kUnit);
  EXPECT_FALSE(bob->Take(5 * kUnit));
  EXPECT_FALSE(cyd.Take(2 * kUnit)) << "it would fit, and came later";
  EXPECT_TRUE(cyd.Take(kUnit)) << "so little goes out without asking";
  ada.Set(6 * kUnit);
  EXPECT_EQ(calls, "") << "too little for him who is first";
  ada.Set(5 * kUnit);
  EXPECT_EQ(calls, "b");
  EXPECT_TRUE(bob->Take(2 * kUnit));
  bob->Set(2 * kUnit);
  EXPECT_FALSE(cyd.Take(2 * kUnit)) << "he who is first has not had all";
  bob.reset();
  EXPECT_EQ(calls, "bc");
  EXPECT_TRUE(cyd.Take(2 * kUnit));
  EXPECT_FALSE(budget->contested());
}

TEST(UploadBudget, WhoWaitsNoMoreMakesRoomForTheNext) {
  constexpr std::size_t kUnit = UploadBudget::kAlwaysBytes;
  auto budget = std::make_shared<UploadBudget>(10 * kUnit);
  std::string calls;
  UploadBudget::Share ada(
      budget, [&] { calls += 'a'; }, [] {});
  UploadBudget::Share bob(
      budget, [&] { calls += 'b'; }, [] {});
  UploadBudget::Share cyd(
      budget, [&] { calls += 'c'; }, [] {});
  ada.Set(6 * kUnit);
  EXPECT_FALSE(bob.Take(5 * kUnit));
  EXPECT_FALSE(cyd.Take(4 * kUnit));
  bob.Leave();
  EXPECT_EQ(calls, "c");
}

TEST(LogLimit, L19_AHostHasSoManyBytesAMinuteHoweverOftenItComes) {
  LogLimit limit(64 * 1024);
  std::size_t logged = 0;
  for (int i = 0; i < 6000; ++i) {  // a hundred connections a second
    const Nanos now = hours(1) + milliseconds(10 * i);
    if (limit.Take(absl::StrFormat("10.0.0.66:%d", 1024 + i), 70, now)) logged += 70;
  }
  EXPECT_GT(logged, 48U * 1024);
  EXPECT_LE(logged, 64U * 1024);
  const Nanos now = hours(1) + minutes(1);
  EXPECT_TRUE(limit.Take("10.0.0.1:4000", 70, now)) << "others have their own";
  EXPECT_TRUE(limit.Take("10.0.0.66:4000", 70, now + minutes(1)));
}

TEST(LogLimit, L19_AMachineIsOneHostWhateverAddressOfItsNetworkItTakes) {
  LogLimit limit(2100);
  EXPECT_TRUE(limit.Take("[2001:db8::1]:1", 1000, hours(1)));
  EXPECT_FALSE(limit.Take("[2001:db8::2]:1", 1000, hours(1)));
  EXPECT_TRUE(limit.Take("[2001:db8:0:1::2]:1", 1000, hours(1)));
  EXPECT_TRUE(limit.Take("unix:/run/socket#1", 1000, hours(1)));
  EXPECT_FALSE(limit.Take("unix:/run/socket#2", 1000, hours(1)));
}

TEST(LogLimit, L19_HostsBeyondTheTableCountAsOneUntilOthersAreQuiet) {
  LogLimit limit(2100);
  for (std::size_t i = 0; i < LogLimit::kHostsMax; ++i) {
    EXPECT_TRUE(
        limit.Take(absl::StrFormat("10.0.%d.%d:1", i / 256, i % 256), 1000, hours(1)));
  }
  EXPECT_TRUE(limit.Take("10.1.0.1:1", 1000, hours(1)));
  EXPECT_FALSE(limit.Take("10.1.0.2:1", 1000, hours(1)));
  EXPECT_TRUE(limit.Take("10.1.0.2:1", 1000, hours(1) + minutes(2)));
  EXPECT_TRUE(limit.Take("10.1.0.3:1", 1000, hours(1) + minutes(2)));
}

TEST(PeerHost, AddressesCountByPrefixAndLoopbackNotAtAll) {
  EXPECT_EQ(IpPrefixOf("127.0.0.1:4000"), std::nullopt);
  EXPECT_EQ(IpPrefixOf("[::1]:4000"), std::nullopt);
  EXPECT_EQ(IpPrefixOf("[::ffff:127.0.0.1]:4000"), std::nullopt);
  EXPECT_EQ(IpPrefixOf("pipe"), std::nullopt);
  EXPECT_EQ(IpPrefixOf("/run/weft.socket"), std::nullopt);
  EXPECT_EQ(IpPrefixOf("10.0.0.1.2:1"), std::nullopt);
  EXPECT_EQ(IpPrefixOf("10.0.256.1:1"), std::nullopt);
  EXPECT_EQ(IpPrefixOf("[1::2::3]:1"), std::nullopt);
  EXPECT_EQ(IpPrefixOf("[1:2:3:4:5:6:7:8:9]:1"), std::nullopt);
  EXPECT_EQ(IpPrefixOf(""), std::nullopt);
  ASSERT_TRUE(IpPrefixOf("10.0.0.1:1").has_value());
  EXPECT_EQ(IpPrefixOf("10.0.0.1:1"), IpPrefixOf("10.0.0.1:2"));
  EXPECT_EQ(IpPrefixOf("10.0.0.1:1"), IpPrefixOf("[::ffff:10.0.0.1]:7"));
  EXPECT_NE(IpPrefixOf("10.0.0.1:1"), IpPrefixOf("10.0.0.2:1"));
  EXPECT_EQ(IpPrefixOf("[fd00:1:2:3:aaaa::1]:1"), IpPrefixOf("[fd00:1:2:3::9]:1"));
  EXPECT_NE(IpPrefixOf("[fd00:1:2:3::1]:1"), IpPrefixOf("[fd00:1:2:4::1]:1"));
  EXPECT_EQ(IpPrefixOf("[fe80::1%eth0]:1"), IpPrefixOf("fe80::2"));
}

struct BanTableTest : testing::Test {
  BanTable bans;
  const PublicKey eve = KeyNumber(1);
  Nanos now = hours(5);
};

TEST_F(BanTableTest, E2_AScoreHalvesEveryTenMinutes) {
  EXPECT_FALSE(bans.Add(eve, 80, now));
  EXPECT_EQ(bans.Score(eve, now), 80);
  EXPECT_EQ(bans.Score(eve, now + minutes(5)), 57);
  EXPECT_EQ(bans.Score(eve, now + minutes(10)), 40);
  EXPECT_EQ(bans.Score(eve, now + minutes(20)), 20);
  EXPECT_FALSE(bans.Add(eve, 50, now + minutes(10)));
  EXPECT_FALSE(bans.IsBanned(eve, now + minutes(10)));
}

TEST_F(BanTableTest, E2_AtAHundredABanOfTenMinutesThatDoublesUpToADay) {
  const int expected[] = {10, 20, 40, 80, 160, 320, 640, 1280, 1440, 1440};
  for (const int length : expected) {
    EXPECT_TRUE(bans.Add(eve, 100, now));
    EXPECT_EQ(*bans.BannedUntil(eve, now) - now, minutes(length));
    EXPECT_EQ(bans.Score(eve, now), 0);
    now = *bans.BannedUntil(eve, now);
    EXPECT_FALSE(bans.IsBanned(eve, now));
  }
  now += hours(25);
  EXPECT_TRUE(bans.Add(eve, 100, now));
  EXPECT_EQ(*bans.BannedUntil(eve, now) - now, minutes(10)) << "a good day forgets";
}

TEST_F(BanTableTest, E2_OneLimitOrOneStallBansNobody) {
  EXPECT_EQ(Judge(Fault::kFrame, absl::StatusCode::kInvalidArgument).score, 100);
  EXPECT_EQ(Judge(Fault::kLimit, absl::StatusCode::kOk).score, 20);
  EXPECT_EQ(Judge(Fault::kStall, absl::StatusCode::kOk).score, 5);
  EXPECT_EQ(Judge(Fault::kPush, absl::StatusCode::kOk).score, 1);
  EXPECT_EQ(Judge(Fault::kFeeds, absl::StatusCode::kOk).score, 100);
  EXPECT_EQ(Judge(Fault::kProof, absl::StatusCode::kDataLoss).score, 0);
  // A stall a minute, the most there is, never adds up to a ban.
  for (int i = 0; i < 24 * 60; ++i, now += minutes(1)) {
    EXPECT_FALSE(bans.Add(eve, 5, now)) << i;
  }
}

TEST_F(BanTableTest, E2_TheTableIsBoundedAndKeepsThoseBannedLongest) {
  BanTable small(100);
  for (std::uint64_t i = 0; i < 50; ++i) small.Add(KeyNumber(i), 100, now);
  for (std::uint64_t i = 1000; i < 3000; ++i) small.Add(KeyNumber(i), 1, now);
  EXPECT_EQ(small.size(), 100U);
  for (std::uint64_t i = 0; i < 50; ++i) {
    EXPECT_TRUE(small.IsBanned(KeyNumber(i), now)) << i;
  }
}

struct AdmissionTest : testing::Test {
  std::optional<IpPrefix> From(int number) {
    return IpPrefixOf(absl::StrFormat("10.0.%d.%d:1", number / 256, number % 256));
  }
  NetworkLimits limits;
  BanTable bans;
  Nanos now = hours(5);
};

TEST_F(AdmissionTest, L1_UnfinishedHandshakesAreCappedByAddressAndInAll) {
  Admission door(limits, &bans);
  for (int i = 0; i < 16; ++i) EXPECT_EQ(door.Admit(From(1), 0, now), Welcome::kYes);
  EXPECT_EQ(door.Admit(From(1), 0, now), Welcome::kTooManyHalfOpen);
  for (int i = 0; i < 240; ++i) {
    EXPECT_EQ(door.Admit(From(2 + i), 0, now), Welcome::kYes);
  }
  EXPECT_EQ(door.half_open(), 256U);
  EXPECT_EQ(door.Admit(From(999), 0, now), Welcome::kTooManyHalfOpen);
  EXPECT_EQ(door.Admit(std::nullopt, 0, now), Welcome::kTooManyHalfOpen);
  door.Settled(From(1));
  EXPECT_EQ(door.Admit(From(999), 0, now), Welcome::kYes);
}

TEST_F(AdmissionTest, L4_AnAddressConnectsAHundredTimesAtOnceAndFiftyASecond) {
  Admission door(limits, &bans);
  const auto knock = [&] {
    const Welcome welcome = door.Admit(From(1), 0, now);
    if (welcome == Welcome::kYes) {
      door.Settled(From(1));
      door.Left(From(1));
    }
    return welcome;
  };
  for (int i = 0; i < 100; ++i) EXPECT_EQ(knock(), Welcome::kYes);
  EXPECT_EQ(knock(), Welcome::kTooFast);
  now += seconds(1);
  int welcome = 0;
  for (int i = 0; i < 200; ++i) welcome += knock() == Welcome::kYes ? 1 : 0;
  EXPECT_EQ(welcome, 50);
  EXPECT_EQ(door.Admit(std::nullopt, 0, now), Welcome::kYes) << "loopback has no rules";
}

TEST_F(AdmissionTest, L5_NoMoreConnectionsThanConfiguredAndNeverBeyondTheHardLimit) {
  limits.connections_max = 1'000'000;
  Admission door(limits, &bans);
  EXPECT_EQ(door.Admit(std::nullopt, 8191, now), Welcome::kYes);
  EXPECT_EQ(door.Admit(std::nullopt, 8192, now), Welcome::kFull);
}

TEST_F(AdmissionTest, Attack03_OneAddressHoldsAQuarterOfTheConnections) {
  limits.connections_max = 400;
  Admission door(limits, &bans);
  const auto connect = [&](const std::optional<IpPrefix>& from) {
    now += milliseconds(20);
    const Welcome welcome = door.Admit(from, 0, now);
    if (welcome == Welcome::kYes) door.Settled(from);
    return welcome;
  };
  for (const auto& from : {From(1), From(2), std::optional<IpPrefix>()}) {
    for (int i = 0; i < 100; ++i) ASSERT_EQ(connect(from), Welcome::kYes) << i;
    EXPECT_EQ(connect(from), Welcome::kTooManyFromThere);
  }
  door.Left(From(1));
  EXPECT_EQ(connect(From(1)), Welcome::kYes);
  EXPECT_EQ(connect(From(1)), Welcome::kTooManyFromThere);
}

TEST_F(AdmissionTest, Attack03_ConnectionsLeaveTheStoreItsFileDescriptors) {
  EXPECT_EQ(OpenFilesForPeers(65536), 65536U - 256 - 64);
  EXPECT_EQ(OpenFilesForPeers(1024), 1024U - 256 - 64);
  EXPECT_EQ(OpenFilesForPeers(256), 256U - 64 - 64);
  EXPECT_EQ(OpenFilesForPeers(20), 8U);
  limits.connections_max = OpenFilesForPeers(1024);
  Admission door(limits, &bans);
  EXPECT_EQ(door.Admit(From(1), 703, now), Welcome::kYes);
  EXPECT_EQ(door.Admit(From(1), 704, now), Welcome::kFull);
}

TEST_F(AdmissionTest, E2_ABannedAddressIsTurnedAwayUntilItsTimeIsUp) {
  Admission door(limits, &bans);
  bans.Add(*From(7), 100, now);
  EXPECT_EQ(door.Admit(From(7), 0, now), Welcome::kBanned);
  EXPECT_EQ(door.Admit(From(8), 0, now), Welcome::kYes);
  EXPECT_EQ(door.Admit(From(7), 0, now + minutes(11)), Welcome::kYes);
}

TEST_F(AdmissionTest, AHundredThousandAddressesTakeNoMoreThanTheirTable) {
  Admission door(limits, &bans);
  for (int i = 0; i < 200'000; ++i) {
    now += milliseconds(1);
    const auto from = IpPrefixOf(
        absl::StrFormat("%d.%d.%d.1:1", 20 + i / 65536, i / 256 % 256, i % 256));
    ASSERT_EQ(door.Admit(from, 0, now), Welcome::kYes) << i;
    door.Settled(from);
    door.Left(from);
  }
  EXPECT_LE(door.addresses(), 65536U);
}

}  // namespace
}  // namespace weft
