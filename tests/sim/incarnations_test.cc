// Later incarnations of a member on the simulated network: one that begins while its
// store dies, and more certificates than anybody needs (rules S2, I14).

#include <gtest/gtest.h>

#include "absl/strings/str_format.h"
#include "engine/key_layout.h"
#include "tests/crdt/later_log.h"
#include "tests/sim/world.h"

namespace weft::sim {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

WorldOptions TwoPeers() {
  WorldOptions options;
  options.peers = 2;
  return options;
}

// As after a copy: the log that there is must not grow.
void Retire(BaseNode& base) {
  base.DoubtOwnLog();
  base.RetireOwnLog();
}

bool HasCertificateRow(World& world, std::size_t peer, const CoreKey& log) {
  Bytes key = keys::BaseRow("certificate", world.base(peer)->record().number);
  Append(key, log.view());
  const auto row = world.node(peer)->host().storage->Get(Family::kMeta, key);
  return row.ok() && row->has_value();
}

TEST(Incarnations, S2_AStoreThatDiesWhileALogBeginsHasAllOfItOrNothing) {
  std::size_t begun = 0;
  for (std::uint64_t n = 1; n <= 8; ++n) {
    for (const bool taken : {false, true}) {
      SCOPED_TRACE(absl::StrFormat("dies in write %d, taken %d", n, taken));
      World world(7, TwoPeers());
      ASSERT_TRUE(world.StartGranted().ok());
      ASSERT_TRUE(world.RunUntilLevel(minutes(1))) << world.Journal();
      Retire(*world.base(1));
      world.CrashInWrite(1, n, taken);
      world.Say(1, "k", "first").status().IgnoreError();
      world.RunFor(seconds(1));
      if (world.IsUp(1)) world.Crash(1);
      world.Restart(1);
      ASSERT_TRUE(world.IsUp(1)) << world.Journal();
      const BaseRecord& record = world.base(1)->record();
      EXPECT_EQ(record.retired, record.logs.empty());
      if (!record.logs.empty()) {
        ++begun;
        EXPECT_TRUE(HasCertificateRow(world, 1, record.log()));
        EXPECT_GE(world.base(1)->own_log()->length(), 1U);
      }
      const auto said = world.Say(1, "k", "second");
      ASSERT_TRUE(said.ok()) << said.status();
      EXPECT_EQ(world.base(1)->record().logs.size(), 1U);
      ASSERT_TRUE(world.RunUntilLevel(minutes(1))) << world.Journal();
      EXPECT_EQ(world.base(0)->Root()->root, world.base(1)->Root()->root);
      EXPECT_EQ(world.Dump(0)->size(), 1U);
    }
  }
  EXPECT_GT(begun, 0U);
  EXPECT_LT(begun, 16U);
}

TEST(Incarnations, S2_TheLastLogsOfAnIdentityAreWarnedOfAndNoneIsBegunInVain) {
  World world(10, TwoPeers());
  ASSERT_TRUE(world.StartGranted().ok());
  ASSERT_TRUE(world.RunUntilLevel(minutes(1))) << world.Journal();
  BaseNode& base = *world.base(1);
  for (std::uint64_t logs = 1; logs < 64; ++logs) {
    EXPECT_EQ(base.Status().incarnations_left, 64 - logs);
    EXPECT_EQ(base.Status().warning.empty(), logs < 56) << logs;
    Retire(base);
    const auto said = world.Say(1, "k", absl::StrFormat("in log %d", logs));
    ASSERT_TRUE(said.ok()) << said.status();
  }
  EXPECT_EQ(base.Status().incarnations_left, 0U);
  ASSERT_TRUE(world.Say(1, "k", "in the last").ok());
  Retire(base);
  const std::size_t wanted = base.indexer()->wanted_count();
  const absl::Status refused = world.Say(1, "k", "in vain").status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(std::string(refused.message()).find("64 logs"), std::string::npos)
      << refused;
  EXPECT_EQ(base.indexer()->wanted_count(), wanted);
  ASSERT_TRUE(world.RunUntilLevel(minutes(1))) << world.Journal();
  EXPECT_EQ(world.base(0)->Root()->root, base.Root()->root);
}

// A certificate of the identity for a log that nobody has.
Bytes Certificate(const BaseNode& base, const IdentityKeys& keys, std::uint64_t n) {
  CoreKey log;
  log.bytes.fill(9);
  for (int i = 0; i < 8; ++i) log.bytes[i] = static_cast<std::uint8_t>(n >> (8 * i));
  const Incarnation certificate = CertifyLater(keys, base.record().base_id, log);
  Bytes evidence = {kCertificateEvidence};
  Append(evidence, log.view());
  Append(evidence, EncodeIncarnation(certificate));
  return evidence;
}

TEST(Incarnations, S2_AMemberWhoMintsCertificatesIsFollowedSoFarAndNoFarther) {
  World world(8, TwoPeers());
  ASSERT_TRUE(world.StartGranted().ok());
  ASSERT_TRUE(world.RunUntilLevel(minutes(1))) << world.Journal();
  const IdentityKeys mia = MakeIdentity(world.base(0)->record().salt, world.random());
  const std::size_t before = world.base(0)->indexer()->wanted_count();
  ASSERT_TRUE(world.base(0)->GrantLogged(mia.id(), GrantRole::kWriter, "").ok());
  for (std::uint64_t n = 0; n < 400; ++n) {
    const Bytes evidence = Certificate(*world.base(0), mia, n);
    ASSERT_TRUE(world.base(0)->TakeEvidence(PublicKey(), evidence).ok());
  }
  world.RunFor(seconds(5));
  ASSERT_TRUE(world.node(0)->cores().Sync().ok());
  // And her first log, which the grant names.
  EXPECT_EQ(world.base(0)->indexer()->wanted_count(), before + 257);
  world.Crash(0);
  world.Restart(0);
  ASSERT_TRUE(world.IsUp(0)) << world.Journal();
  EXPECT_EQ(world.base(0)->indexer()->wanted_count(), before + 257);
  // Nobody else is kept out by it, and who is honest is heard.
  Retire(*world.base(1));
  const auto said = world.Say(1, "k", "v");
  ASSERT_TRUE(said.ok()) << said.status();
  ASSERT_TRUE(world.RunUntilLevel(minutes(1))) << world.Journal();
  EXPECT_EQ(world.Dump(0)->size(), 1U);
}

TEST(Incarnations, S2_CertificatesOfStrangersAreBoundedAndKeepNobodyOut) {
  World world(9, TwoPeers());
  ASSERT_TRUE(world.StartGranted().ok());
  const auto make = [&] {
    return MakeIdentity(world.base(0)->record().salt, world.random());
  };
  const std::size_t before = world.base(0)->indexer()->wanted_count();
  for (std::uint64_t n = 0; n < 300; ++n) {
    const Bytes evidence = Certificate(*world.base(0), make(), n);
    ASSERT_TRUE(world.base(0)->TakeEvidence(PublicKey(), evidence).ok());
  }
  const IdentityKeys mia = make();
  const Bytes hers = Certificate(*world.base(0), mia, 1'000);
  ASSERT_TRUE(world.base(0)->TakeEvidence(PublicKey(), hers).ok());
  EXPECT_EQ(world.base(0)->indexer()->wanted_count(), before) << "they hold no grant";
  ASSERT_TRUE(world.base(0)->GrantLogged(mia.id(), GrantRole::kWriter, "").ok());
  world.RunFor(seconds(1));
  EXPECT_EQ(world.base(0)->indexer()->wanted_count(), before + 2)
      << "her first log and the one of the certificate";
}

}  // namespace
}  // namespace weft::sim
