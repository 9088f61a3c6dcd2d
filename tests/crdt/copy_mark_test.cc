// How a copy names the batch that it copies: rule F4, with frozen marks.

#include "crdt/copy_mark.h"

#include <gtest/gtest.h>

#include "tests/crdt/authors.h"

namespace weft {
namespace {

CoreKey Log() {
  CoreKey log;
  log.bytes.fill(7);
  return log;
}

TEST(CopyMark, F4_MarksAreFrozen) {
  EXPECT_EQ(CopyMark(Log(), 0, {0, 0}), 42'004U);
  EXPECT_EQ(CopyMark(Log(), 5, {1'000, 2}), 15'604U);
  EXPECT_EQ(CopyMark(Log(), 5, {1'001, 2}), 8'108U) << "the other branch";
}

TEST(CopyMark, F4_EveryMarkLeavesRoomForTheBlocksOfABatch) {
  for (std::uint64_t position = 0; position < 100'000; ++position) {
    const std::uint32_t mark = CopyMark(Log(), position, {1, 2});
    ASSERT_GE(mark, kCopyMarkMin);
    ASSERT_LT(mark + Limits().batch_blocks, kHlcCounterEnd);
  }
}

TEST(CopyMark, F4_AMarkedStampIsNeverBeforeTheOneThatWasDue) {
  EXPECT_EQ(*StampWithMark({10, 0}, 2'000), (Hlc{10, 2'000}));
  EXPECT_EQ(*StampWithMark({10, 2'000}, 2'000), (Hlc{10, 2'000}));
  EXPECT_EQ(*StampWithMark({10, 2'001}, 2'000), (Hlc{11, 2'000}));
  EXPECT_EQ(StampWithMark({kHlcMsEnd - 1, 2'001}, 2'000).status().code(),
            absl::StatusCode::kOutOfRange);
}

TEST(CopyMark, F4_ADigestTellsOperationsThatDifferAndNoOthers) {
  const std::vector<Operation> one = {Put("k", "v"), IncOp(AsBytes("n"), 1)};
  const std::vector<Operation> same = {Put("k", "v"), IncOp(AsBytes("n"), 1)};
  const std::vector<Operation> turned = {same[1], same[0]};
  const std::vector<Operation> more = {Put("k", "v"), IncOp(AsBytes("n"), 2)};
  EXPECT_EQ(DigestOf(one), DigestOf(same));
  EXPECT_NE(DigestOf(one), DigestOf(turned));
  EXPECT_NE(DigestOf(one), DigestOf(more));
}

}  // namespace
}  // namespace weft
