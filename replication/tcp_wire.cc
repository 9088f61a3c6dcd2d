#include "replication/tcp_wire.h"

#include <asio/co_spawn.hpp>
#include <asio/connect.hpp>
#include <asio/detached.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/redirect_error.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/write.hpp>
#include <charconv>

#include "absl/strings/str_format.h"
#include "engine/signal.h"

namespace weft {
namespace {

using asio::ip::tcp;

constexpr std::size_t kReadBytes = 256 * 1024;
// At once. Peers may tell of names that nothing answers for.
constexpr std::size_t kLookupsMax = 16;

absl::Status Unavailable(const std::string& whom, const asio::error_code& error) {
  return absl::UnavailableError(absl::StrFormat("%s: %s", whom, error.message()));
}

std::string Text(const tcp::endpoint& endpoint) {
  const std::string host = endpoint.address().to_string();
  if (endpoint.address().is_v6()) {
    return absl::StrFormat("[%s]:%d", host, endpoint.port());
  }
  return absl::StrFormat("%s:%d", host, endpoint.port());
}

class TcpWire final : public Wire {
 public:
  explicit TcpWire(tcp::socket socket) : socket_(std::move(socket)) {
    asio::error_code ignored;
    socket_.set_option(tcp::no_delay(true), ignored);
    socket_.non_blocking(true, ignored);
    peer_ = Text(socket_.remote_endpoint(ignored));
  }

  // Waits without a buffer, so that an idle connection costs none.
  Task<absl::StatusOr<Bytes>> Read() override {
    asio::error_code error;
    for (;;) {
      co_await socket_.async_wait(tcp::socket::wait_read,
                                  asio::redirect_error(asio::use_awaitable, error));
      if (error) co_return Unavailable(peer_, error);
      thread_local Bytes buffer(kReadBytes);
      const std::size_t size = socket_.read_some(asio::buffer(buffer), error);
      if (error == asio::error::would_block) continue;
      if (error == asio::error::eof) co_return Bytes();
      if (error) co_return Unavailable(peer_, error);
      co_return Bytes(buffer.begin(),
                      buffer.begin() + static_cast<std::ptrdiff_t>(size));
    }
  }

  Task<absl::Status> Write(Bytes bytes) override {
    asio::error_code error;
    co_await asio::async_write(socket_, asio::buffer(bytes),
                               asio::redirect_error(asio::use_awaitable, error));
    if (error) co_return Unavailable(peer_, error);
    co_return absl::OkStatus();
  }

  void Close() override {
    asio::error_code ignored;
    socket_.shutdown(tcp::socket::shutdown_both, ignored);
    socket_.close(ignored);
  }

  std::string peer() const override { return peer_; }

 private:
  tcp::socket socket_;
  std::string peer_;
};

// The system looks names up one after the other, on a thread that asio has for that,
// and each may take long. Who dials waits beside that thread, and may go: then a name
// whose turn has not come is left out, and so nobody waits for what nobody wants.
struct Lookup {
  explicit Lookup(const asio::any_io_executor& executor) : resolver(executor) {}
  tcp::resolver resolver;
  bool over = false;
  asio::error_code error;
  tcp::resolver::results_type found;
  Signal done;
};

Task<void> LookUp(std::shared_ptr<Lookup> lookup, HostPort target) {
  lookup->found = co_await lookup->resolver.async_resolve(
      target.host, std::to_string(target.port),
      asio::redirect_error(asio::use_awaitable, lookup->error));
  lookup->over = true;
  lookup->done.Notify();
}

// Held by who waits for the look-up.
class Waits {
 public:
  Waits(std::shared_ptr<Lookup> lookup, std::shared_ptr<std::size_t> lookups)
      : lookup_(std::move(lookup)), lookups_(std::move(lookups)) {
    ++*lookups_;
  }
  ~Waits() {
    lookup_->resolver.cancel();
    --*lookups_;
  }
  Waits(const Waits&) = delete;
  Waits& operator=(const Waits&) = delete;

 private:
  std::shared_ptr<Lookup> lookup_;
  std::shared_ptr<std::size_t> lookups_;
};

class TcpListener final : public Listener {
 public:
  explicit TcpListener(tcp::acceptor acceptor) : acceptor_(std::move(acceptor)) {
    asio::error_code ignored;
    address_ = Text(acceptor_.local_endpoint(ignored));
  }

  Task<absl::StatusOr<std::unique_ptr<Wire>>> Accept() override {
    asio::error_code error;
    tcp::socket socket = co_await acceptor_.async_accept(
        asio::redirect_error(asio::use_awaitable, error));
    if (error == asio::error::operation_aborted ||
        error == asio::error::bad_descriptor) {
      co_return absl::CancelledError("the listener was closed");
    }
    if (error) co_return Unavailable(address_, error);
    co_return std::unique_ptr<Wire>(std::make_unique<TcpWire>(std::move(socket)));
  }

  void Close() override {
    asio::error_code ignored;
    acceptor_.close(ignored);
  }

  std::string address() const override { return address_; }

 private:
  tcp::acceptor acceptor_;
  std::string address_;
};

}  // namespace

absl::StatusOr<HostPort> ParseAddress(std::string_view address) {
  const auto bad = [address] {
    return absl::InvalidArgumentError(
        absl::StrFormat("\"%s\" is not an address like host:4000", address));
  };
  const std::size_t colon = address.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return bad();
  HostPort result;
  std::string_view host = address.substr(0, colon);
  if (host.front() == '[') {
    if (host.size() < 3 || host.back() != ']') return bad();
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return bad();
  }
  const std::string_view port = address.substr(colon + 1);
  const auto parsed =
      std::from_chars(port.data(), port.data() + port.size(), result.port);
  if (parsed.ec != std::errc() || parsed.ptr != port.data() + port.size()) return bad();
  result.host = std::string(host);
  return result;
}

Task<absl::StatusOr<std::unique_ptr<Wire>>> TcpNetwork::Dial(std::string address) {
  const absl::StatusOr<HostPort> target = ParseAddress(address);
  if (!target.ok()) co_return target.status();
  if (target->port == 0) {
    co_return absl::InvalidArgumentError(
        absl::StrFormat("\"%s\": port 0 can only be listened on", address));
  }
  asio::error_code error;
  tcp::socket socket(executor_);
  const auto numeric = asio::ip::make_address(target->host, error);
  if (!error) {
    co_await socket.async_connect(tcp::endpoint(numeric, target->port),
                                  asio::redirect_error(asio::use_awaitable, error));
  } else {
    if (*lookups_ == kLookupsMax) {
      co_return absl::UnavailableError(absl::StrFormat(
          "%s: %d other names are being looked up", address, kLookupsMax));
    }
    const auto executor = co_await asio::this_coro::executor;
    const auto lookup = std::make_shared<Lookup>(executor);
    const Waits waits(lookup, lookups_);
    Task<void> looking = LookUp(lookup, *target);
    asio::co_spawn(executor, std::move(looking), asio::detached);
    while (!lookup->over) co_await lookup->done.Wait();
    if (lookup->error) co_return Unavailable(address, lookup->error);
    co_await asio::async_connect(socket, lookup->found,
                                 asio::redirect_error(asio::use_awaitable, error));
  }
  if (error) co_return Unavailable(address, error);
  co_return std::unique_ptr<Wire>(std::make_unique<TcpWire>(std::move(socket)));
}

absl::StatusOr<std::unique_ptr<Listener>> TcpNetwork::Listen(std::string address) {
  WEFT_ASSIGN_OR_RETURN(const HostPort target, ParseAddress(address));
  asio::error_code error;
  auto numeric = asio::ip::make_address(target.host, error);
  if (error) {
    tcp::resolver resolver(executor_);
    const auto found =
        resolver.resolve(target.host, std::to_string(target.port), error);
    if (error || found.empty()) return Unavailable(address, error);
    numeric = found.begin()->endpoint().address();
  }
  const tcp::endpoint endpoint(numeric, target.port);
  tcp::acceptor acceptor(executor_);
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) return Unavailable(address, error);
  return std::unique_ptr<Listener>(std::make_unique<TcpListener>(std::move(acceptor)));
}

}  // namespace weft
