// The bitfield against a set of numbers, and at its far ends.

#include "engine/bitfield.h"

#include <set>

#include "tests/engine/core_fixture.h"

namespace weft {
namespace {

TEST(Bitfield, AClaimOfTwoToTheFiftyBlocksCostsNothingAndEndsExactly) {
  Bitfield bits;
  const std::uint64_t end = (std::uint64_t{1} << 50) + 5;
  bits.SetRange(3, end, true);
  EXPECT_EQ(bits.count(), end - 3);
  EXPECT_EQ(bits.FirstSet(0, end), 3U);
  EXPECT_EQ(bits.FirstUnset(3, end + 1), end);
  EXPECT_EQ(bits.end(), end);
  bits.Set(1000000, false);
  EXPECT_EQ(bits.FirstUnset(3, end), 1000000U);
  bits.SetRange(0, end, false);
  EXPECT_EQ(bits.count(), 0U);
  EXPECT_EQ(bits.end(), 0U);
}

TEST(Bitfield, WordsOfTheWireAreReadAndWrittenInBlockOrder) {
  Bitfield bits;
  bits.SetWord32(3, 0x80000001);
  EXPECT_TRUE(bits.Get(96));
  EXPECT_TRUE(bits.Get(127));
  EXPECT_EQ(bits.count(), 2U);
  bits.SetRange(0, 8192, true);
  EXPECT_EQ(bits.Word32(200), 0xffffffffU);
  bits.SetWord32(200, 0);
  EXPECT_EQ(bits.count(), 8192U - 32);
  EXPECT_EQ(bits.Word32(1000), 0U);
}

// Against a set of numbers, over a few pages, with runs of every size.
TEST(Bitfield, AnyOrderOfCallsAnswersLikeASetOfNumbers) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    TestRandom random(seed);
    Bitfield bits;
    std::set<std::uint64_t> model;
    const std::uint64_t bound = 5 * Bitfield::kPageBits;
    for (int step = 0; step < 300; ++step) {
      const std::uint64_t from = random.Below(bound);
      const std::uint64_t length =
          random.Below(3) == 0 ? random.Below(bound - from + 1) : random.Below(2);
      const bool value = random.Below(2) == 0;
      if (length == 1) {
        EXPECT_EQ(bits.Set(from, value), model.contains(from) != value);
      } else {
        bits.SetRange(from, from + length, value);
      }
      for (std::uint64_t bit = from; bit < from + length; ++bit) {
        value ? (void)model.insert(bit) : (void)model.erase(bit);
      }
      const std::uint64_t a = random.Below(bound);
      const std::uint64_t b = a + random.Below(bound - a + 1);
      const auto low = model.lower_bound(a);
      const bool some = low != model.end() && *low < b;
      EXPECT_EQ(bits.FirstSet(a, b), some ? std::optional(*low) : std::nullopt);
      std::uint64_t gap = a;
      for (auto next = low; next != model.end() && *next == gap; ++next) ++gap;
      EXPECT_EQ(bits.FirstUnset(a, b), gap < b ? std::optional(gap) : std::nullopt);
      EXPECT_EQ(bits.Get(a), model.contains(a));
      EXPECT_EQ(bits.Count(a, b),
                static_cast<std::uint64_t>(std::distance(low, model.lower_bound(b))));
      EXPECT_EQ(bits.count(), model.size());
      EXPECT_EQ(bits.end(), model.empty() ? 0 : *model.rbegin() + 1);
    }
    Bitfield copy;
    for (std::uint64_t page = 0; page < 5; ++page)
      copy.SetPage(page, bits.PageAt(page));
    EXPECT_EQ(copy.count(), bits.count());
    for (std::uint64_t bit = 0; bit < bound; ++bit)
      ASSERT_EQ(copy.Get(bit), bits.Get(bit));
  }
}

}  // namespace
}  // namespace weft
