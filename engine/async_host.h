// The asynchronous half of the seam: sleeping, byte streams and where they come from.
//
// Task<T> is asio's awaitable; T is a Status, a StatusOr or void. A Task runs on the
// strand it was spawned on, and others run on that strand at each co_await.

#pragma once

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>
#include <functional>
#include <memory>
#include <string>

#include "engine/bytes.h"
#include "engine/host.h"
#include "engine/status.h"

namespace weft {

template <class T>
using Task = asio::awaitable<T>;

// Threads for pure work that would hold up a strand: checking signatures, hashing and
// ciphers in bulk.
class Workers {
 public:
  virtual ~Workers() = default;
  // Runs `work` elsewhere and returns, on the caller's strand, when it is done. It is
  // waited for even if the caller is cancelled; until then it alone may touch what it
  // was given. It must not throw.
  virtual Task<void> Run(std::function<void()> work) = 0;
};

class AsyncClock : public Clock {
 public:
  // Returns after `duration`; throws asio's operation_aborted if cancelled.
  virtual Task<void> Sleep(Nanos duration) = 0;
};

// One end of an ordered, reliable stream of bytes: a socket, a pipe, or two ends in
// a simulation. Not thread-safe; at most one Read and one Write at a time.
class Wire {
 public:
  virtual ~Wire() = default;
  // The next bytes, at least one; empty once the peer has ended the stream cleanly.
  // UNAVAILABLE  the stream broke
  virtual Task<absl::StatusOr<Bytes>> Read() = 0;
  // Returns when the bytes were handed on; the order of writes is kept.
  // UNAVAILABLE  the stream broke; some of the bytes may have gone out
  virtual Task<absl::Status> Write(Bytes bytes) = 0;
  // Ends both directions; a pending Read or Write returns UNAVAILABLE or empty.
  virtual void Close() = 0;
  // For messages to a person: "127.0.0.1:4000".
  virtual std::string peer() const = 0;
};

class Listener {
 public:
  virtual ~Listener() = default;
  // CANCELLED  after Close
  virtual Task<absl::StatusOr<std::unique_ptr<Wire>>> Accept() = 0;
  virtual void Close() = 0;
  // The address in use, with the port the system chose where 0 was asked for.
  virtual std::string address() const = 0;
};

class Network {
 public:
  virtual ~Network() = default;
  // `address` is "host:port".
  // INVALID_ARGUMENT  not an address;  UNAVAILABLE  nobody answers there
  virtual Task<absl::StatusOr<std::unique_ptr<Wire>>> Dial(std::string address) = 0;
  // INVALID_ARGUMENT  not an address;  UNAVAILABLE  the address is in use
  virtual absl::StatusOr<std::unique_ptr<Listener>> Listen(std::string address) = 0;
};

}  // namespace weft
