// The plain values that the API hands out.

#include <gtest/gtest.h>

#include "weft/types.h"

namespace weft {
namespace {

TEST(Datum, S9_AStringIsTextWhereItIsUtf8AndBytesWhereItIsNot) {
  EXPECT_EQ(Datum::Of("z\xc3\xbcrich").type(), Datum::Type::kText);
  EXPECT_EQ(Datum::Of("\xff\xfe").type(), Datum::Type::kBytes);
  EXPECT_EQ(Datum::Of("").type(), Datum::Type::kText);
}

TEST(Datum, ReadingItAsAnotherTypeGivesNothing) {
  EXPECT_EQ(Datum::Integer(7).as_integer(), 7);
  EXPECT_EQ(Datum::Integer(7).as_string(), "");
  EXPECT_EQ(Datum::Of("7").as_integer(), 0);
  EXPECT_TRUE(Datum().is_null());
}

TEST(OpName, IsReadBackFromWhatItPrints) {
  OpName op{std::string(52, 'y'), 12, 3};
  EXPECT_EQ(OpName::Parse(op.ToText()), op);
  EXPECT_EQ(OpName::Parse("12.3"), std::nullopt);
  EXPECT_EQ(OpName::Parse(std::string(52, 'y') + ":12"), std::nullopt);
  EXPECT_EQ(OpName::Parse(std::string(52, 'y') + ":-1.0"), std::nullopt);
}

TEST(Range, APrefixEndsBeforeTheFirstKeyThatDoesNotStartWithIt) {
  EXPECT_EQ(Prefix("a/").to, "a0");
  EXPECT_EQ(Prefix("\xff").to, std::nullopt);
  EXPECT_EQ(Prefix("").to, std::nullopt);
}

}  // namespace
}  // namespace weft
