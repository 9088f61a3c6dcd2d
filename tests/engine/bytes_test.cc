// Bytes, their texts, and what comparing them means.

#include "engine/bytes.h"

#include <gtest/gtest.h>

namespace weft {
namespace {

TEST(Bytes, HexRoundTripsAndRefusesWhatIsNotHex) {
  EXPECT_EQ(ToHex(Bytes{0x00, 0xab, 0xff}), "00abff");
  EXPECT_EQ(FromHex("00ABff"), (Bytes{0x00, 0xab, 0xff}));
  EXPECT_EQ(FromHex("0"), std::nullopt);
  EXPECT_EQ(FromHex("0g"), std::nullopt);
}

TEST(Bytes, ZBase32OfThirtyTwoBytesIsFiftyTwoCharactersAndHasOneForm) {
  const Bytes key(32, 0x5a);
  const std::string text = ToZBase32(key);
  EXPECT_EQ(text.size(), 52U);
  EXPECT_EQ(FromZBase32(text), key);
  std::string other = text;
  other.back() = other.back() == 'b' ? 'n' : 'b';  // sets a bit that is left over
  EXPECT_EQ(FromZBase32(other), std::nullopt);
}

TEST(Bytes, Utf8RefusesOverlongFormsSurrogatesAndTruncation) {
  EXPECT_TRUE(IsUtf8(AsBytes("z\xc3\xbcrich \xf0\x9f\xa7\xb5")));
  EXPECT_FALSE(IsUtf8(AsBytes("\xc0\xaf")));
  EXPECT_FALSE(IsUtf8(AsBytes("\xed\xa0\x80")));
  EXPECT_FALSE(IsUtf8(AsBytes("\xe2\x82")));
  EXPECT_FALSE(IsUtf8(AsBytes("\xf4\x90\x80\x80")));
}

}  // namespace
}  // namespace weft
