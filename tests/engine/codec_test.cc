// Vectors: tests/vectors/compact-encoding.json, made by the real package.

#include "engine/codec.h"

#include <fstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace weft {
namespace {

TEST(Codec, ACountThatCannotFitFailsBeforeAnythingIsAllocated) {
  const Bytes bytes = {0xfe, 0xff, 0xff, 0x0f, 0x00, 1, 2, 3};
  Reader reader(bytes);
  EXPECT_EQ(reader.Count(1), 0U);
  EXPECT_FALSE(reader.ok());
}

TEST(Codec, CanonicalUintRefusesALongerFormThatUintAccepts) {
  const Bytes bytes = {0xfd, 0x05, 0x00};
  EXPECT_EQ(Reader(bytes).Uint(), 5U);
  Reader strict(bytes);
  strict.CanonicalUint();
  EXPECT_FALSE(strict.ok());
}

TEST(Codec, AFailedReaderYieldsNothingMore) {
  const Bytes bytes = {0xfd, 0x05};
  Reader reader(bytes);
  reader.Uint();
  EXPECT_FALSE(reader.ok());
  EXPECT_EQ(reader.U8(), 0);
  EXPECT_TRUE(reader.Rest().empty());
}

}  // namespace
}  // namespace weft
