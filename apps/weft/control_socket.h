// The socket of a store in use: DIR/control, mode 0600, in a directory of mode 0700.
//
// It belongs to the process that holds the store's lock; one that lies there without
// such a process was left by a crash. Both ends check that the other is the same user
// (or root is asking): a directory of somebody else's is not trusted with our files,
// nor a guest with our store.

#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"

namespace weft::cli {

// A file descriptor that closes with the object.
class Descriptor {
 public:
  explicit Descriptor(int file = -1) : file_(file) {}
  Descriptor(Descriptor&& other) noexcept;
  Descriptor& operator=(Descriptor&& other) noexcept;
  ~Descriptor();
  int get() const { return file_; }
  // The caller closes it.
  int Release() { return std::exchange(file_, -1); }
  bool ok() const { return file_ >= 0; }

 private:
  int file_;
};

// Listens at the store's socket, in place of one that a crash left. Only the holder of
// the store's lock may call this.
// UNAVAILABLE, PERMISSION_DENIED  it cannot be made;  FAILED_PRECONDITION  the
//             directory is open to others, or a file of that name is no socket
absl::StatusOr<Descriptor> ListenInStore(const std::string& directory);
// Takes the socket's name away.
void ForgetSocket(const std::string& directory);

struct Holder {
  Descriptor socket;
  pid_t process = 0;
};
// Connects to the process that holds the store; nullopt if none listens there.
// PERMISSION_DENIED  it belongs to somebody else
absl::StatusOr<std::optional<Holder>> ConnectToHolder(const std::string& directory);

// Whether the other end of a connection may ask for anything: same user, or root.
bool IsTrustedPeer(int socket);

}  // namespace weft::cli
