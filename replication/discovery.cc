#include "replication/discovery.h"

#include <array>
#include <asio/bind_cancellation_slot.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/ip/multicast.hpp>
#include <asio/ip/udp.hpp>
#include <asio/redirect_error.hpp>
#include <asio/use_awaitable.hpp>

#include "absl/strings/str_format.h"
#include "replication/rate.h"

namespace weft {
namespace {

using asio::ip::udp;

// Soon after the start others start too.
constexpr Nanos kPauseFirst = std::chrono::seconds(1);
constexpr Nanos kPauseLongest = std::chrono::seconds(30);
// More beacons than that are a flood, and are dropped unread.
constexpr std::uint64_t kBeaconsPerSecond = 100;

absl::Status Unavailable(const char* what, const asio::error_code& error) {
  return absl::UnavailableError(
      absl::StrFormat("local discovery: %s: %s", what, error.message()));
}

}  // namespace

struct LanDiscovery::State {
  State(const LanOptions& given, Host its)
      : options(given), host(std::move(its)), socket(given.executor) {}

  absl::Status Open() {
    asio::error_code error;
    const auto group_address = asio::ip::make_address_v4(options.group, error);
    if (error || !group_address.is_multicast()) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "local discovery: %s is not a multicast address", options.group));
    }
    asio::ip::address_v4 interface_address;
    if (!options.interface_address.empty()) {
      interface_address = asio::ip::make_address_v4(options.interface_address, error);
      if (error) {
        return absl::InvalidArgumentError(absl::StrFormat(
            "local discovery: %s is not an address", options.interface_address));
      }
    }
    group = udp::endpoint(group_address, options.port);
    socket.open(udp::v4(), error);
    if (!error) socket.set_option(udp::socket::reuse_address(true), error);
    if (!error) socket.bind(udp::endpoint(udp::v4(), options.port), error);
    if (error) return Unavailable("no socket", error);
    socket.set_option(asio::ip::multicast::enable_loopback(true), error);
    if (!error) socket.set_option(asio::ip::multicast::hops(1), error);
    if (!error && !options.interface_address.empty()) {
      socket.set_option(asio::ip::multicast::outbound_interface(interface_address),
                        error);
    }
    if (!error) {
      socket.set_option(
          asio::ip::multicast::join_group(group_address, interface_address), error);
    }
    if (error) return Unavailable("no group", error);
    options.random->Fill(instance);
    return absl::OkStatus();
  }

  // Of the bases in turn, if they do not all fit.
  Bytes NextBeacon() {
    LanBeacon beacon;
    beacon.port = host.port();
    beacon.instance = instance;
    options.random->Fill(beacon.nonce);
    const std::vector<Hash32> keys = host.tag_keys();
    for (std::size_t i = 0; i < std::min(keys.size(), kLanTagsMax); ++i) {
      beacon.tags.push_back(LanTagOf(keys[(turn + i) % keys.size()], beacon));
    }
    turn += kLanTagsMax;
    return beacon.port == 0 || keys.empty() ? Bytes() : EncodeLanBeacon(beacon);
  }

  void Heard(ByteView bytes, const udp::endpoint& from) {
    if (!heard.Take(1, options.clock->Steady())) return;
    const std::optional<LanBeacon> beacon = DecodeLanBeacon(bytes);
    if (!beacon || beacon->instance == instance) return;
    if (!SharesBase(*beacon, host.tag_keys())) return;
    host.found(absl::StrFormat("%s:%d", from.address().to_string(), beacon->port));
  }

  LanOptions options;
  Host host;
  udp::socket socket;
  udp::endpoint group;
  std::array<std::uint8_t, 16> instance{};
  std::size_t turn = 0;
  Rate heard{kBeaconsPerSecond, kBeaconsPerSecond};
  asio::cancellation_signal stop;
  bool stopped = false;
};

absl::StatusOr<std::unique_ptr<LanDiscovery>> LanDiscovery::Start(
    const LanOptions& options, Host host) {
  auto state = std::make_shared<State>(options, std::move(host));
  WEFT_RETURN_IF_ERROR(state->Open());
  asio::co_spawn(options.executor, Announce(state),
                 asio::bind_cancellation_slot(state->stop.slot(), asio::detached));
  asio::co_spawn(options.executor, Listen(state), asio::detached);
  return std::unique_ptr<LanDiscovery>(new LanDiscovery(std::move(state)));
}

LanDiscovery::LanDiscovery(std::shared_ptr<State> state) : state_(std::move(state)) {}

LanDiscovery::~LanDiscovery() {
  state_->stopped = true;
  asio::error_code ignored;
  state_->socket.close(ignored);
  state_->stop.emit(asio::cancellation_type::terminal);
}

Task<void> LanDiscovery::Announce(std::shared_ptr<State> state) {
  for (Nanos pause = kPauseFirst; !state->stopped;
       pause = std::min(2 * pause, kPauseLongest)) {
    const Bytes beacon = state->NextBeacon();
    if (!beacon.empty()) {
      // A network that is down now may be up at the next turn.
      asio::error_code ignored;
      co_await state->socket.async_send_to(
          asio::buffer(beacon), state->group,
          asio::redirect_error(asio::use_awaitable, ignored));
    }
    if (state->stopped) co_return;
    const auto jitter = static_cast<std::uint64_t>(pause.count()) / 4;
    co_await state->options.clock->Sleep(
        pause -
        Nanos(static_cast<std::int64_t>(state->options.random->U64() % jitter)));
  }
}

Task<void> LanDiscovery::Listen(std::shared_ptr<State> state) {
  // One byte more than any beacon, so that a longer one is told from it.
  std::array<std::uint8_t, kLanBeaconBytesMax + 1> buffer;
  while (!state->stopped) {
    udp::endpoint from;
    asio::error_code error;
    const std::size_t size = co_await state->socket.async_receive_from(
        asio::buffer(buffer), from, asio::redirect_error(asio::use_awaitable, error));
    if (state->stopped) co_return;
    if (error) {
      co_await state->options.clock->Sleep(kPauseFirst);
    } else {
      state->Heard(ByteView(buffer).first(size), from);
    }
  }
}

}  // namespace weft
