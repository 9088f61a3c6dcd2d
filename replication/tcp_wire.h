// A socket as a Wire, and the machine's TCP as a Network.
//
// address := host ":" port     host is a name, an IPv4 address or "[IPv6]"; port 0
// asks the system to choose one, for listening only.

#pragma once

#include <memory>
#include <string>
#include <utility>

#include "engine/async_host.h"

namespace weft {

struct HostPort {
  std::string host;
  std::uint16_t port = 0;
};
// INVALID_ARGUMENT  not of the form above
absl::StatusOr<HostPort> ParseAddress(std::string_view address);

// Everything it makes runs on `executor`, which should be the strand of its users. Who
// destroys the io_context below waits for the name that the system looks up at that
// moment, if there is one; it cannot be told to stop.
class TcpNetwork final : public Network {
 public:
  explicit TcpNetwork(asio::any_io_executor executor)
      : executor_(std::move(executor)) {}

  // UNAVAILABLE  nobody is there; or too many names are being looked up
  Task<absl::StatusOr<std::unique_ptr<Wire>>> Dial(std::string address) override;
  absl::StatusOr<std::unique_ptr<Listener>> Listen(std::string address) override;

 private:
  asio::any_io_executor executor_;
  // Names that somebody waits for; a dial may be destroyed later than this object.
  std::shared_ptr<std::size_t> lookups_ = std::make_shared<std::size_t>(0);
};

}  // namespace weft
