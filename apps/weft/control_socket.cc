#include "apps/weft/control_socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_format.h"
#include "engine/status.h"

namespace weft::cli {
namespace {

constexpr const char* kName = "control";
constexpr int kBacklog = 64;
constexpr timeval kPatience{10, 0};

absl::Status Trouble(const std::string& directory, int error) {
  const std::string text =
      absl::StrFormat("%s/%s: %s", directory, kName, std::strerror(error));
  if (error == EACCES || error == EPERM || error == EROFS) {
    return absl::PermissionDeniedError(text);
  }
  return absl::UnavailableError(text);
}

// The directory itself and no symbolic link to one.
Descriptor OpenDirectory(const std::string& directory) {
  std::string path = directory;
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return Descriptor(open(path.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

// By way of the open directory: a socket's address holds 107 bytes, less than many a
// path, and nobody can put another directory in its place meanwhile.
sockaddr_un AddressIn(const Descriptor& directory) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path =
      absl::StrFormat("/proc/self/fd/%d/%s", directory.get(), kName);
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

Descriptor NewSocket() {
  return Descriptor(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

std::optional<ucred> PeerOf(int socket) {
  ucred peer{};
  socklen_t size = sizeof(peer);
  if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    return std::nullopt;
  }
  return peer;
}

}  // namespace

Descriptor::Descriptor(Descriptor&& other) noexcept
    : file_(std::exchange(other.file_, -1)) {}

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  std::swap(file_, other.file_);
  return *this;
}

Descriptor::~Descriptor() {
  if (file_ >= 0) close(file_);
}

absl::StatusOr<Descriptor> ListenInStore(const std::string& directory) {
  const Descriptor folder = OpenDirectory(directory);
  if (!folder.ok()) return Trouble(directory, errno);
  struct stat about {};
  if (fstat(folder.get(), &about) != 0) return Trouble(directory, errno);
  if ((about.st_mode & 077) != 0) {
    return absl::FailedPreconditionError(
        absl::StrFormat("%s: is open to other users", directory));
  }
  if (fstatat(folder.get(), kName, &about, AT_SYMLINK_NOFOLLOW) == 0) {
    if (!S_ISSOCK(about.st_mode)) {
      return absl::FailedPreconditionError(
          absl::StrFormat("%s/%s: is in the way of the socket", directory, kName));
    }
    if (unlinkat(folder.get(), kName, 0) != 0) return Trouble(directory, errno);
  }
  Descriptor listener = NewSocket();
  if (!listener.ok()) return Trouble(directory, errno);
  const sockaddr_un address = AddressIn(folder);
  if (bind(listener.get(), reinterpret_cast<const sockaddr*>(&address),
           sizeof(address)) != 0) {
    return Trouble(directory, errno);
  }
  // Nobody can connect before listen.
  if (fchmodat(folder.get(), kName, 0600, 0) != 0 ||
      listen(listener.get(), kBacklog) != 0) {
    const int error = errno;
    unlinkat(folder.get(), kName, 0);
    return Trouble(directory, error);
  }
  return listener;
}

void ForgetSocket(const std::string& directory) {
  const Descriptor folder = OpenDirectory(directory);
  struct stat about {};
  if (folder.ok() && fstatat(folder.get(), kName, &about, AT_SYMLINK_NOFOLLOW) == 0 &&
      S_ISSOCK(about.st_mode)) {
    unlinkat(folder.get(), kName, 0);
  }
}

absl::StatusOr<std::optional<Holder>> ConnectToHolder(const std::string& directory) {
  const Descriptor folder = OpenDirectory(directory);
  struct stat about {};
  if (!folder.ok() || fstatat(folder.get(), kName, &about, AT_SYMLINK_NOFOLLOW) != 0 ||
      !S_ISSOCK(about.st_mode)) {
    return std::optional<Holder>();
  }
  Holder holder;
  holder.socket = NewSocket();
  if (!holder.socket.ok()) return Trouble(directory, errno);
  // A holder that was stopped lets nobody in, and may not be waited for without end: in
  // a queue that is full, or with more to say than a socket takes.
  setsockopt(holder.socket.get(), SOL_SOCKET, SO_SNDTIMEO, &kPatience,
             sizeof(kPatience));
  const sockaddr_un address = AddressIn(folder);
  if (connect(holder.socket.get(), reinterpret_cast<const sockaddr*>(&address),
              sizeof(address)) != 0) {
    if (errno == ECONNREFUSED || errno == ENOENT) return std::optional<Holder>();
    if (errno == EAGAIN) {
      return absl::UnavailableError(absl::StrFormat(
          "%s: the process that holds the store lets nobody in", directory));
    }
    return Trouble(directory, errno);
  }
  const std::optional<ucred> peer = PeerOf(holder.socket.get());
  const bool ours = geteuid() == 0 || about.st_uid == geteuid();
  if (!peer || !ours || peer->uid != about.st_uid) {
    return absl::PermissionDeniedError(
        absl::StrFormat("%s: is held by another user's process", directory));
  }
  holder.process = peer->pid;
  return std::optional<Holder>(std::move(holder));
}

bool IsTrustedPeer(int socket) {
  const std::optional<ucred> peer = PeerOf(socket);
  return peer && (peer->uid == geteuid() || peer->uid == 0);
}

}  // namespace weft::cli
