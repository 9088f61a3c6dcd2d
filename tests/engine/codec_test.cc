// Vectors: tests/vectors/compact-encoding.json, made by the real package.

#include "engine/codec.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

namespace weft {
namespace {

// Writes one sample of the vectors; false for the types that the project has no use
// for.
bool WriteSample(Writer& writer, const std::string& type, const nlohmann::json& value) {
  const auto hex = [&value] { return *FromHex(value.get<std::string>()); };
  if (type == "uint") {
    writer.Uint(value);
  } else if (type == "uint64") {
    writer.U64(value);
  } else if (type == "uint32") {
    writer.U32(value);
  } else if (type == "string") {
    writer.Buffer(AsBytes(value.get<std::string>()));
  } else if (type == "buffer") {
    writer.Buffer(hex());
  } else if (type == "optionalBuffer") {
    writer.Buffer(value.is_null() ? Bytes() : hex());
  } else if (type == "fixed32" || type == "fixed64" || type == "raw") {
    writer.Raw(hex());
  } else if (type == "array(uint)") {
    writer.Uint(value.size());
    for (const std::uint64_t item : value) writer.Uint(item);
  } else if (type == "uint32array") {
    writer.Uint(value.size());
    for (const std::uint32_t item : value) writer.U32(item);
  } else if (type == "bool") {
    writer.U8(value.get<bool>() ? 1 : 0);
  } else {
    return false;
  }
  return true;
}

// One part of the file, by value: a loop over it must not outlive its parent.
nlohmann::json Vectors(const char* part) {
  return nlohmann::json::parse(
             std::ifstream(std::string(WEFT_VECTORS_DIR) + "/compact-encoding.json"))
      .at(part);
}

TEST(Codec, EverySampleOfTheVectorsIsWrittenByteForByte) {
  int written = 0;
  for (const auto& sample : Vectors("samples")) {
    Bytes bytes;
    Writer writer(&bytes);
    if (!WriteSample(writer, sample["type"], sample["value"])) continue;
    EXPECT_EQ(ToHex(bytes), sample["bytes"].get<std::string>()) << sample.dump();
    ++written;
    if (sample["type"] == "uint") {
      EXPECT_EQ(Reader(bytes).Uint(), sample["value"].get<std::uint64_t>());
    }
  }
  EXPECT_GT(written, 40);
}

TEST(Codec, EveryDecodeOfTheVectorsIsAcceptedOrRefusedAlike) {
  for (const auto& entry : Vectors("decodes")) {
    const Bytes bytes = *FromHex(entry["bytes"].get<std::string>());
    Reader reader(bytes);
    if (entry["type"] == "uint") {
      const std::uint64_t value = reader.Uint();
      EXPECT_EQ(value, entry.value("value", std::uint64_t{0}));
    } else if (entry["type"] == "buffer") {
      reader.Buffer();
    } else {
      reader.Count(1);
    }
    EXPECT_EQ(reader.ok(), entry.contains("value")) << entry.dump();
  }
}

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
