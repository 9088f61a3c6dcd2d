// Extensions: their bytes, and what a peer can and cannot do with them.

#include "replication/extension.h"

#include <gtest/gtest.h>

#include "engine/codec.h"
#include "tests/replication/peers.h"

namespace weft {
namespace {

using Kind = ExtensionScope::Kind;

DiscoveryKey Id(std::uint8_t fill) {
  DiscoveryKey id;
  for (std::size_t i = 0; i < DiscoveryKey::kSize; ++i) id.data()[i] = fill;
  return id;
}

TEST(Extension, ANameHasTheBytesOfTheFormat) {
  EXPECT_EQ(ToHex(EncodeExtensionName({0, {}, "chat"})), "00000463686174");
  const ExtensionName of_base{253, {Kind::kBase, Id(7)}, "x"};
  EXPECT_EQ(ToHex(EncodeExtensionName(of_base)),
            "fdfd0001" + ToHex(Id(7).view()) + "0178");
  const auto decoded = DecodeExtensionName(EncodeExtensionName(of_base));
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(*decoded, of_base);
}

TEST(Extension, AMessageHasTheBytesOfTheFormat) {
  ExtensionMessageBody message;
  message.number = 2;
  message.payload = ToBytes("hi");
  EXPECT_EQ(ToHex(EncodeExtensionMessage(message)), "02006869");
  message.author.emplace();
  message.author->manifest = ToBytes("m");
  const Bytes bytes = EncodeExtensionMessage(message);
  EXPECT_EQ(ToHex(bytes), "0201016d" + std::string(128, '0') + "6869");
  const auto decoded = DecodeExtensionMessage(bytes);
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(*decoded, message);
}

TEST(Extension, WhatIsSignedNamesTheConnectionTheDirectionTheScopeAndTheName) {
  const Bytes bytes =
      ExtensionSignable(Hash64{}, true, {Kind::kBase, Id(7)}, "x", AsBytes("hi"));
  EXPECT_EQ(ToHex(bytes), ToHex(AsBytes("weft ext 1")) + std::string(128, '0') + "01" +
                              "01" + ToHex(Id(7).view()) + "0178" + "026869");
}

TEST(Extension, Attack20_WhatIsMalformedOrTooLargeIsRefused) {
  for (const char* bad :
       {"", "00", "0000", "000000", "0002", "00000461", "0000016100", "000107", "fd"}) {
    EXPECT_FALSE(DecodeExtensionName(*FromHex(bad)).ok()) << bad;
  }
  EXPECT_FALSE(
      DecodeExtensionName(EncodeExtensionName({0, {}, std::string(65, 'x')})).ok());
  for (const char* bad : {"", "00", "0002", "000100", "fe"}) {
    EXPECT_FALSE(DecodeExtensionMessage(*FromHex(bad)).ok()) << bad;
  }
  ExtensionMessageBody author;
  author.author.emplace();
  author.author->manifest = Bytes(kExtensionManifestBytesMax);
  EXPECT_TRUE(DecodeExtensionMessage(EncodeExtensionMessage(author)).ok());
  author.author->manifest.push_back(0);
  EXPECT_FALSE(DecodeExtensionMessage(EncodeExtensionMessage(author)).ok());
  ExtensionMessageBody large;
  large.payload = Bytes(kExtensionPayloadBytesMax);
  EXPECT_TRUE(DecodeExtensionMessage(EncodeExtensionMessage(large)).ok());
  large.payload.push_back(0);
  EXPECT_FALSE(DecodeExtensionMessage(EncodeExtensionMessage(large)).ok());
}

}  // namespace
}  // namespace weft
