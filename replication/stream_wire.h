// Any byte stream of the machine as a Wire: a Unix socket, a pair of pipes, or one
// socket for both ways; and the machine's network, TCP and Unix sockets together.
//
// address := host ":" port (replication/tcp_wire.h) | "unix:" path
// The path is that of a socket's file, 1 to 107 bytes. A listener makes the file with
// mode 0600, in place of one that nobody listens at, and takes it away when it closes.

#pragma once

#include <memory>
#include <string>

#include "engine/async_host.h"
#include "replication/tcp_wire.h"

namespace weft {

// Whether it can be dialled: host:port with a port of 1 to 65535, or unix:path.
bool IsPeerAddress(std::string_view address);

// The wire owns both descriptors, which may be the same, and makes them non-blocking.
// They must be ones that can be polled: pipes, sockets, terminals. `peer` is for
// messages.  INVALID_ARGUMENT  they cannot be polled
absl::StatusOr<std::unique_ptr<Wire>> WireOf(asio::any_io_executor executor, int in,
                                             int out, std::string peer);

// Everything it makes runs on `executor`, which should be the strand of its users.
class MachineNetwork final : public Network {
 public:
  explicit MachineNetwork(const asio::any_io_executor& executor)
      : executor_(executor), tcp_(executor) {}

  Task<absl::StatusOr<std::unique_ptr<Wire>>> Dial(std::string address) override;
  absl::StatusOr<std::unique_ptr<Listener>> Listen(std::string address) override;

 private:
  asio::any_io_executor executor_;
  TcpNetwork tcp_;
};

}  // namespace weft
