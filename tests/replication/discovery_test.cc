// Beacons, and finding each other by multicast on this machine's loopback.

#include "replication/discovery.h"

#include <gtest/gtest.h>

#include <asio/io_context.hpp>
#include <asio/ip/udp.hpp>

#include "engine/real_async_clock.h"
#include "engine/real_host.h"

namespace weft {
namespace {

Hash32 BaseNumber(std::uint8_t number) {
  Hash32 id;
  id.bytes[0] = number;
  return id;
}

LanBeacon BeaconFor(const Hash32& base_id) {
  LanBeacon beacon;
  beacon.port = 4000;
  beacon.instance.fill(1);
  beacon.nonce.fill(2);
  beacon.tags.push_back(LanTagOf(LanTagKey(base_id.view()), beacon));
  return beacon;
}

TEST(LanBeacon, IsKnownByWhoSharesABaseAndByNobodyElse) {
  const LanBeacon beacon = BeaconFor(BaseNumber(1));
  const Hash32 mine = LanTagKey(BaseNumber(1).view());
  const Hash32 other = LanTagKey(BaseNumber(2).view());
  EXPECT_TRUE(SharesBase(beacon, {&mine, 1}));
  EXPECT_FALSE(SharesBase(beacon, {&other, 1}));
  LanBeacon elsewhere = beacon;
  elsewhere.port = 4001;
  EXPECT_FALSE(SharesBase(elsewhere, {&mine, 1})) << "a tag is for one port";
}

TEST(LanBeacon, TwoOfOneStoreHaveNoTagInCommon) {
  LanBeacon again = BeaconFor(BaseNumber(1));
  again.nonce.fill(3);
  again.tags[0] = LanTagOf(LanTagKey(BaseNumber(1).view()), again);
  EXPECT_NE(again.tags[0], BeaconFor(BaseNumber(1)).tags[0]);
}

TEST(LanBeacon, BytesAreFrozen) {
  const Bytes bytes = EncodeLanBeacon(BeaconFor(BaseNumber(1)));
  EXPECT_EQ(ToHex(ByteView(bytes).first(40)),
            "77656674"
            "01"
            "a00f"
            "01010101010101010101010101010101"
            "02020202020202020202020202020202"
            "01");
  EXPECT_EQ(bytes.size(), 48U);
  EXPECT_EQ(*DecodeLanBeacon(bytes), BeaconFor(BaseNumber(1)));
  Bytes longer = bytes;
  longer.push_back(0);
  EXPECT_EQ(DecodeLanBeacon(longer), std::nullopt);
  Bytes newer = bytes;
  newer[4] = 2;
  EXPECT_EQ(DecodeLanBeacon(newer), std::nullopt);
}

// A port that is free just now.
std::uint16_t FreePort(asio::io_context& io) {
  asio::ip::udp::socket socket(io, asio::ip::udp::endpoint(asio::ip::udp::v4(), 0));
  return socket.local_endpoint().port();
}

TEST(LanDiscovery, TwoStoresWithABaseInCommonFindEachOther) {
  asio::io_context io;
  RealAsyncClock clock(io.get_executor());
  SystemRandom random;
  LanOptions options;
  options.executor = io.get_executor();
  options.clock = &clock;
  options.random = &random;
  options.port = FreePort(io);
  options.interface_address = "127.0.0.1";
  std::map<int, std::string> found;
  const auto host = [&](int number, std::uint16_t port, std::uint8_t base) {
    return LanDiscovery::Host{
        [port] { return port; },
        [base] { return std::vector{LanTagKey(BaseNumber(base).view())}; },
        [&found, number](const std::string& address) { found[number] = address; }};
  };
  const auto ada = LanDiscovery::Start(options, host(1, 4001, 7));
  const auto stranger = LanDiscovery::Start(options, host(2, 4002, 8));
  const auto bob = LanDiscovery::Start(options, host(3, 4003, 7));
  ASSERT_TRUE(ada.ok()) << ada.status();
  ASSERT_TRUE(stranger.ok() && bob.ok());
  while (found.size() < 2) io.run_one();
  EXPECT_TRUE(found.contains(1) && found[1].ends_with(":4003"));
  EXPECT_TRUE(found.contains(3) && found[3].ends_with(":4001"));
  EXPECT_FALSE(found.contains(2));
}

TEST(LanDiscovery, AGroupThatIsNoneIsRefused) {
  asio::io_context io;
  LanOptions options;
  options.executor = io.get_executor();
  options.group = "10.0.0.1";
  EXPECT_EQ(LanDiscovery::Start(options, {}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace weft
