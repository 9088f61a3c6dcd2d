#include "replication/stream_wire.h"

#include <sys/stat.h>
#include <unistd.h>

#include <asio/local/stream_protocol.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/redirect_error.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/write.hpp>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_format.h"

namespace weft {
namespace {

using asio::local::stream_protocol;
using asio::posix::stream_descriptor;

constexpr std::string_view kUnix = "unix:";
constexpr std::size_t kPathBytesMax = 107;  // of sockaddr_un, less its last zero
constexpr std::size_t kReadBytes = 256 * 1024;

absl::Status Unavailable(const std::string& whom, const asio::error_code& error) {
  return absl::UnavailableError(absl::StrFormat("%s: %s", whom, error.message()));
}

class StreamWire final : public Wire {
 public:
  StreamWire(stream_descriptor in, stream_descriptor out, std::string peer)
      : in_(std::move(in)), out_(std::move(out)), peer_(std::move(peer)) {
    asio::error_code ignored;
    in_.non_blocking(true, ignored);
  }

  // Waits without a buffer, so that an idle connection costs none.
  Task<absl::StatusOr<Bytes>> Read() override {
    asio::error_code error;
    for (;;) {
      co_await in_.async_wait(stream_descriptor::wait_read,
                              asio::redirect_error(asio::use_awaitable, error));
      if (error) co_return Unavailable(peer_, error);
      thread_local Bytes buffer(kReadBytes);
      const std::size_t size = in_.read_some(asio::buffer(buffer), error);
      if (error == asio::error::would_block) continue;
      if (error == asio::error::eof) co_return Bytes();
      if (error) co_return Unavailable(peer_, error);
      co_return Bytes(buffer.begin(),
                      buffer.begin() + static_cast<std::ptrdiff_t>(size));
    }
  }

  Task<absl::Status> Write(Bytes bytes) override {
    asio::error_code error;
    co_await asio::async_write(out_, asio::buffer(bytes),
                               asio::redirect_error(asio::use_awaitable, error));
    if (error) co_return Unavailable(peer_, error);
    co_return absl::OkStatus();
  }

  void Close() override {
    asio::error_code ignored;
    in_.close(ignored);
    out_.close(ignored);
  }

  std::string peer() const override { return peer_; }

 private:
  stream_descriptor in_;
  stream_descriptor out_;
  std::string peer_;
};

std::string PathOf(std::string_view address) {
  return std::string(address.substr(kUnix.size()));
}

absl::Status CheckPath(std::string_view address) {
  const std::string path = PathOf(address);
  if (path.empty() || path.size() > kPathBytesMax ||
      path.find('\0') != std::string::npos) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s: the path of a socket has 1 to %d bytes",
                        std::string(address), kPathBytesMax));
  }
  return absl::OkStatus();
}

// The wire of a connected socket, which it takes over.
absl::StatusOr<std::unique_ptr<Wire>> WireOfSocket(
    const asio::any_io_executor& executor, stream_protocol::socket socket,
    const std::string& peer) {
  asio::error_code error;
  const int file = socket.release(error);
  if (error) return Unavailable(peer, error);
  return WireOf(executor, file, file, peer);
}

class UnixListener final : public Listener {
 public:
  // The process may change its directory, and another may put a file in the socket's
  // place: only what was made here is taken away.
  UnixListener(stream_protocol::acceptor acceptor, std::string path)
      : acceptor_(std::move(acceptor)), path_(std::move(path)) {
    std::error_code error;
    file_ = std::filesystem::absolute(path_, error);
    lstat(file_.c_str(), &made_);
  }
  ~UnixListener() override { Forget(); }

  Task<absl::StatusOr<std::unique_ptr<Wire>>> Accept() override {
    asio::error_code error;
    stream_protocol::socket socket = co_await acceptor_.async_accept(
        asio::redirect_error(asio::use_awaitable, error));
    if (error == asio::error::operation_aborted ||
        error == asio::error::bad_descriptor) {
      co_return absl::CancelledError("the listener was closed");
    }
    if (error) co_return Unavailable(address(), error);
    // Guests of a socket have no name of their own.
    co_return WireOfSocket(acceptor_.get_executor(), std::move(socket),
                           absl::StrFormat("%s#%d", address(), ++guests_));
  }

  void Close() override {
    Forget();
    asio::error_code ignored;
    acceptor_.close(ignored);
  }

  std::string address() const override { return std::string(kUnix) + path_; }

 private:
  void Forget() {
    struct stat about {};
    if (acceptor_.is_open() && lstat(file_.c_str(), &about) == 0 &&
        about.st_dev == made_.st_dev && about.st_ino == made_.st_ino) {
      unlink(file_.c_str());
    }
  }

  stream_protocol::acceptor acceptor_;
  std::string path_;  // as it was given
  std::string file_;  // the same from the root
  struct stat made_ {};
  std::uint64_t guests_ = 0;
};

// What a crash left there. A socket somebody listens at stays.
absl::Status ClearStale(const std::string& path, asio::any_io_executor executor) {
  struct stat about {};
  if (lstat(path.c_str(), &about) != 0) return absl::OkStatus();
  if (!S_ISSOCK(about.st_mode)) {
    return absl::UnavailableError(
        absl::StrFormat("%s%s: a file is in the way", kUnix, path));
  }
  asio::error_code error;
  stream_protocol::socket probe(std::move(executor));
  probe.connect(stream_protocol::endpoint(path), error);
  if (error != asio::error::connection_refused) {
    return absl::UnavailableError(
        absl::StrFormat("%s%s: somebody listens there already", kUnix, path));
  }
  unlink(path.c_str());
  return absl::OkStatus();
}

}  // namespace

bool IsPeerAddress(std::string_view address) {
  if (address.starts_with(kUnix)) return CheckPath(address).ok();
  const absl::StatusOr<HostPort> parsed = ParseAddress(address);
  return parsed.ok() && parsed->port != 0 && !parsed->host.empty() &&
         parsed->host.find_first_of(" \t\r\n&?#/=") == std::string::npos;
}

absl::StatusOr<std::unique_ptr<Wire>> WireOf(asio::any_io_executor executor, int in,
                                             int out, std::string peer) {
  for (const int file : {in, out}) {
    struct stat about {};
    const bool known = fstat(file, &about) == 0;
    if (known && !S_ISREG(about.st_mode) && !S_ISDIR(about.st_mode)) continue;
    close(in);
    if (out != in) close(out);
    return absl::InvalidArgumentError(
        absl::StrFormat("%s: a descriptor is no stream that can be polled", peer));
  }
  // Each object closes its own descriptor.
  const int other = in == out ? dup(out) : out;
  stream_descriptor reader(executor);
  stream_descriptor writer(std::move(executor));
  asio::error_code error;
  reader.assign(in, error);
  if (error) {
    close(in);
    close(other);
    return absl::InvalidArgumentError(
        absl::StrFormat("%s: cannot be read as a stream: %s", peer, error.message()));
  }
  writer.assign(other, error);
  if (error) {
    close(other);
    return absl::InvalidArgumentError(absl::StrFormat(
        "%s: cannot be written as a stream: %s", peer, error.message()));
  }
  return std::unique_ptr<Wire>(std::make_unique<StreamWire>(
      std::move(reader), std::move(writer), std::move(peer)));
}

Task<absl::StatusOr<std::unique_ptr<Wire>>> MachineNetwork::Dial(std::string address) {
  if (!address.starts_with(kUnix)) co_return co_await tcp_.Dial(address);
  WEFT_CO_RETURN_IF_ERROR(CheckPath(address));
  stream_protocol::socket socket(executor_);
  asio::error_code error;
  co_await socket.async_connect(stream_protocol::endpoint(PathOf(address)),
                                asio::redirect_error(asio::use_awaitable, error));
  if (error) co_return Unavailable(address, error);
  co_return WireOfSocket(executor_, std::move(socket), address);
}

absl::StatusOr<std::unique_ptr<Listener>> MachineNetwork::Listen(std::string address) {
  if (!address.starts_with(kUnix)) return tcp_.Listen(address);
  WEFT_RETURN_IF_ERROR(CheckPath(address));
  const std::string path = PathOf(address);
  WEFT_RETURN_IF_ERROR(ClearStale(path, executor_));
  asio::error_code error;
  stream_protocol::acceptor acceptor(executor_);
  const stream_protocol::endpoint endpoint(path);
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.bind(endpoint, error);
  if (error) return Unavailable(address, error);
  // Nobody can connect before listen.
  if (chmod(path.c_str(), 0600) == 0) {
    acceptor.listen(asio::socket_base::max_listen_connections, error);
  } else {
    error = asio::error_code(errno, asio::system_category());
  }
  if (error) {
    unlink(path.c_str());
    return Unavailable(address, error);
  }
  return std::unique_ptr<Listener>(
      std::make_unique<UnixListener>(std::move(acceptor), path));
}

}  // namespace weft
