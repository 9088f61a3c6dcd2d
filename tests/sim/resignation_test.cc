// Who resigns from several grants while the store dies (rule P2).

#include <gtest/gtest.h>

#include "absl/strings/str_format.h"
#include "tests/sim/world.h"

namespace weft::sim {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

// Of all grants that peer 1 holds.
std::vector<AuthOperation> Resignations(World& world) {
  std::vector<AuthOperation> resignations;
  const BaseNode& base = *world.base(1);
  for (const Grant* grant :
       base.indexer()->authority().GrantsOf(base.record().identity)) {
    RevokeOp resign;
    resign.grant = grant->id;
    resignations.emplace_back(std::move(resign));
  }
  return resignations;
}

TEST(Resignation, P2_AStoreThatDiesResignsFromAllGrantsOrFromNone) {
  std::size_t resigned = 0;
  std::size_t runs = 0;
  for (std::uint64_t n = 1; n <= 4; ++n) {
    for (const bool taken : {false, true}) {
      SCOPED_TRACE(absl::StrFormat("dies in write %d, taken %d", n, taken));
      WorldOptions options;
      options.peers = 2;
      World world(11, options);
      ASSERT_TRUE(world.StartGranted().ok());
      const CoreKey identity = world.base(1)->record().identity;
      for (const char* scope : {"a/", "b/"}) {
        ASSERT_TRUE(
            world.base(0)->GrantLogged(identity, GrantRole::kWriter, scope).ok());
      }
      ASSERT_TRUE(world.node(0)->cores().Sync().ok());
      ASSERT_TRUE(world.RunUntilLevel(minutes(1))) << world.Journal();
      const std::vector<AuthOperation> resignations = Resignations(world);
      ASSERT_EQ(resignations.size(), 3U);
      const std::uint64_t length = world.base(1)->own_log()->length();
      world.CrashInWrite(1, n, taken);
      if (world.base(1)->ResignLogged(resignations).ok()) {
        world.node(1)->cores().Sync().IgnoreError();
      }
      world.RunFor(seconds(1));
      if (world.IsUp(1)) world.Crash(1);
      world.Restart(1);
      ASSERT_TRUE(world.IsUp(1)) << world.Journal();
      const std::size_t left = Resignations(world).size();
      EXPECT_TRUE(left == 3 || left == 0) << left;
      EXPECT_EQ(world.base(1)->own_log()->length(), left == 3 ? length : length + 3);
      resigned += left == 0 ? 1 : 0;
      ++runs;
      ASSERT_TRUE(world.RunUntilLevel(minutes(1))) << world.Journal();
      EXPECT_EQ(world.base(0)->Root()->root, world.base(1)->Root()->root);
    }
  }
  EXPECT_GT(resigned, 0U);
  EXPECT_LT(resigned, runs);
}

}  // namespace
}  // namespace weft::sim
