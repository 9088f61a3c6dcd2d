// What a command and the holder of its store send each other: the bytes of
// docs/formats.md, "A store in use".

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "apps/weft/control_frame.h"
#include "apps/weft/control_socket.h"

namespace weft::cli {
namespace {

Bytes Hex(std::string_view text) {
  return *FromHex(text);
}

TEST(Control, WhatIsAskedHasTheBytesOfTheFormat) {
  const Asked asked{.err_is_terminal = true,
                    .arguments_name_store = true,
                    .store = "s",
                    .arguments = {"get", "s", ""}};
  EXPECT_EQ(ToHex(EncodeAsked(asked)), "010301730303676574017300");
  const auto decoded = DecodeAsked(EncodeAsked(asked));
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(decoded->store, "s");
  EXPECT_EQ(decoded->arguments, asked.arguments);
  EXPECT_TRUE(decoded->err_is_terminal);
  EXPECT_TRUE(decoded->arguments_name_store);
}

TEST(Control, AReadHasTheBytesOfTheFormat) {
  EXPECT_EQ(ToHex(EncodeReadWanted({2, 65536})), "02fe00000100");
  EXPECT_EQ(ToHex(EncodeText("a b")), "03612062");
  EXPECT_EQ(ToHex(EncodeSource(7)), "07");
}

TEST(Control, WhatIsMalformedIsRefused) {
  for (const char* bad : {"", "01", "0100", "010000fdffff", "01000001", "0100000000"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(DecodeAsked(Hex(bad)).status())) << bad;
  }
  EXPECT_TRUE(absl::IsFailedPrecondition(DecodeAsked(Hex("02")).status()));
  for (const char* bad : {"", "00", "0000", "00fe01000100", "000100"}) {
    EXPECT_FALSE(DecodeReadWanted(Hex(bad)).ok()) << bad;
  }
  EXPECT_FALSE(DecodeText(Hex("0261")).ok());
  EXPECT_FALSE(DecodeText(Hex("016161")).ok());
  EXPECT_FALSE(DecodeSource(Hex("0101")).ok());
}

class ControlPair : public testing::Test {
 protected:
  void SetUp() override {
    std::array<int, 2> ends{};
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    one_ = Descriptor(ends[0]);
    other_ = Descriptor(ends[1]);
  }
  void Write(std::string_view hex) {
    const Bytes bytes = Hex(hex);
    ASSERT_EQ(write(one_.get(), bytes.data(), bytes.size()),
              static_cast<ssize_t>(bytes.size()));
  }

  Descriptor one_;
  Descriptor other_;
};

TEST_F(ControlPair, AFrameArrivesAsItWasSent) {
  ASSERT_TRUE(SendFrame(one_.get(), FrameType::kOut, AsBytes("hello")).ok());
  ASSERT_TRUE(SendFrame(one_.get(), FrameType::kAgain, {}).ok());
  const auto out = ReceiveFrame(other_.get(), 5);
  ASSERT_TRUE(out.ok());
  EXPECT_EQ(out->type, FrameType::kOut);
  EXPECT_EQ(AsText(out->body), "hello");
  const auto again = ReceiveFrame(other_.get(), 0);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->type, FrameType::kAgain);
  EXPECT_TRUE(again->body.empty());
}

TEST_F(ControlPair, AFrameLongerThanItMayBeIsNotAllocated) {
  Write("ffffffff11");
  EXPECT_TRUE(absl::IsInvalidArgument(ReceiveFrame(other_.get(), 1024).status()));
}

TEST_F(ControlPair, AFrameOfNothingIsRefused) {
  Write("0000000011");
  EXPECT_TRUE(absl::IsInvalidArgument(ReceiveFrame(other_.get(), 1024).status()));
}

TEST_F(ControlPair, AFrameThatBreaksOffIsNoFrame) {
  Write("050000001161");
  one_ = Descriptor();
  EXPECT_TRUE(absl::IsUnavailable(ReceiveFrame(other_.get(), 1024).status()));
}

}  // namespace
}  // namespace weft::cli
