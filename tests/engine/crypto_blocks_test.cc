// Vectors: tests/vectors/encryption.json, made by the real package.

#include "engine/crypto_blocks.h"

#include "tests/engine/core_fixture.h"

namespace weft {
namespace {

TEST(CryptoBlocks, KeysAndStoredBlocksAreThoseOfTheVectors) {
  for (const auto& entry : VectorFile("encryption.json", "cases")) {
    const auto name = entry["name"].get<std::string>();
    SCOPED_TRACE(name);
    const auto key = HexFixed<Hash32>(entry["key"]);
    const Hash32 block_key = name == "block key"
                                 ? key
                                 : BlockKey(HexFixed<CoreKey>(entry["hypercoreKey"]),
                                            key, name == "compat core");
    EXPECT_EQ(block_key, HexFixed<Hash32>(entry["blockKey"]));
    const BlockCipher cipher(block_key);
    EXPECT_EQ(cipher.blinding_key(), HexFixed<Hash32>(entry["blindingKey"]));
    for (const auto& block : entry["blocks"]) {
      const Bytes plaintext = HexBytes(block["plaintext"]);
      const Bytes stored = cipher.Seal(block["index"], block["fork"], plaintext);
      EXPECT_EQ(ToHex(stored), block["stored"].get<std::string>());
      EXPECT_EQ(cipher.Open(block["index"], stored), plaintext);
      EXPECT_EQ(cipher.ForkOf(block["index"], stored), block["fork"]);
    }
  }
}

TEST(CryptoBlocks, ABlockShorterThanItsPaddingIsRefused) {
  EXPECT_FALSE(BlockCipher(Hash32{}).Open(0, Bytes(7)));
  EXPECT_FALSE(BlockCipher(Hash32{}).ForkOf(0, Bytes(7)));
}

}  // namespace
}  // namespace weft
