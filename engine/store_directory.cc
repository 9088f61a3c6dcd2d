#include "engine/store_directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "absl/strings/str_format.h"
#include "engine/codec.h"

namespace weft {
namespace {

absl::Status SystemError(std::string_view what, const std::string& path, int error) {
  const std::string text =
      absl::StrFormat("%s %s: %s", what, path, std::strerror(error));
  switch (error) {
    case EACCES:
    case EPERM:
    case EROFS:
      return absl::PermissionDeniedError(text);
    case ENOSPC:
    case EDQUOT:
      return absl::ResourceExhaustedError(text);
    default:
      return absl::UnavailableError(text);
  }
}

absl::Status RefuseFormat(std::string_view name, std::uint64_t format) {
  return absl::FailedPreconditionError(
      absl::StrFormat("store %s has format %d; this program reads up to %d", name,
                      format, kStoreFormat));
}

std::string FormatText() {
  return absl::StrFormat("weft store\nformat %d\nminimum reader %d\n", kStoreFormat,
                         kStoreFormat);
}

// Closes the file when it goes.
class File {
 public:
  explicit File(int file) : file_(file) {}
  ~File() {
    if (file_ >= 0) ::close(file_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int get() const { return file_; }

 private:
  int file_;
};

// What may lie in a directory that a store is made in: nothing, or what a crash left
// of an earlier attempt.
absl::StatusOr<bool> IsVacant(const std::string& path) {
  DIR* listing = ::opendir(path.c_str());
  if (listing == nullptr) return SystemError("cannot read", path, errno);
  bool vacant = true;
  while (const dirent* entry = ::readdir(listing)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != ".." && name != "LOCK" && name != "FORMAT.new") {
      vacant = false;
    }
  }
  ::closedir(listing);
  return vacant;
}

bool Exists(const std::string& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0;
}

absl::Status SyncDirectory(const std::string& path) {
  const File directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.get() < 0 || ::fsync(directory.get()) != 0) {
    return SystemError("cannot sync", path, errno);
  }
  return absl::OkStatus();
}

std::string ParentOf(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// Whether the path is a directory of ours alone; false if nothing is there.
absl::StatusOr<bool> CheckDirectory(const std::string& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) {
    if (errno == ENOENT) return false;
    return SystemError("cannot open", path, errno);
  }
  if (S_ISLNK(info.st_mode)) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "%s is a symbolic link; a store is a directory, and so is its db", path));
  }
  if (!S_ISDIR(info.st_mode)) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s is not a store: it is not a directory", path));
  }
  // The superuser may, and would leave files behind that the owner cannot open.
  if (info.st_uid != ::geteuid()) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "store %s belongs to user %d, and only they may use it: this is "
        "user %d",
        path, info.st_uid, ::geteuid()));
  }
  return true;
}

absl::Status CheckPrivate(const std::string& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return SystemError("cannot open", path, errno);
  if ((info.st_mode & 077) == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrFormat("store %s is open to other users (mode %04o): its secrets may be "
                      "known; chmod 700 "
                      "it to use it all the same",
                      path, info.st_mode & 07777));
}

}  // namespace

std::uint64_t RoomIn(const std::string& path) {
  if (::access(path.c_str(), W_OK) != 0) return 0;
  std::uint64_t room = UINT64_MAX;
  struct statvfs info {};
  if (::statvfs(path.c_str(), &info) == 0) {
    if ((info.f_flag & ST_RDONLY) != 0) return 0;
    const std::uint64_t blocks = ::geteuid() == 0 ? info.f_bfree : info.f_bavail;
    room = blocks * info.f_frsize;
  }
  struct rlimit largest {};
  if (::getrlimit(RLIMIT_FSIZE, &largest) == 0 && largest.rlim_cur != RLIM_INFINITY) {
    room = std::min<std::uint64_t>(room, largest.rlim_cur);
  }
  return room;
}

Bytes EncodeStoreFormat() {
  Bytes bytes;
  Writer writer(&bytes);
  writer.Uint(kStoreFormat);
  writer.Uint(kStoreFormat);
  return bytes;
}

absl::Status CheckStoreFormat(std::string_view name, ByteView encoded) {
  Reader reader(encoded);
  const std::uint64_t format = reader.Uint();
  const std::uint64_t minimum_reader = reader.Uint();
  if (!reader.ok()) {
    return absl::DataLossError(
        absl::StrFormat("store %s: the record of its format is damaged", name));
  }
  if (minimum_reader > kStoreFormat) return RefuseFormat(name, format);
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<StoreDirectory>> StoreDirectory::Open(
    std::string_view path, bool create) {
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  if (path.empty()) return absl::InvalidArgumentError("the path of the store is empty");
  std::unique_ptr<StoreDirectory> directory(new StoreDirectory(std::string(path)));
  const std::string& name = directory->path_;

  WEFT_ASSIGN_OR_RETURN(const bool exists, CheckDirectory(name));
  if (!exists && !create) {
    return absl::NotFoundError(absl::StrFormat("there is no store at %s", name));
  }
  if (!exists && ::mkdir(name.c_str(), 0700) != 0 && errno != EEXIST) {
    return SystemError("cannot make", name, errno);
  }
  if (!Exists(name + "/FORMAT")) {
    WEFT_ASSIGN_OR_RETURN(const bool vacant, IsVacant(name));
    if (!vacant) {
      return absl::InvalidArgumentError(
          absl::StrFormat("%s is not a store, and not empty either", name));
    }
    if (!create) {
      return absl::NotFoundError(absl::StrFormat("there is no store in %s", name));
    }
    if (::chmod(name.c_str(), 0700) != 0) return SystemError("cannot own", name, errno);
    WEFT_RETURN_IF_ERROR(directory->Lock());
    // Another process may have made the store before the lock was ours.
    if (!Exists(name + "/FORMAT")) WEFT_RETURN_IF_ERROR(directory->WriteFormatFile());
    if (!exists) WEFT_RETURN_IF_ERROR(SyncDirectory(ParentOf(name)));
  } else {
    WEFT_RETURN_IF_ERROR(CheckPrivate(name));
    WEFT_RETURN_IF_ERROR(directory->CheckFormatFile());
    WEFT_RETURN_IF_ERROR(directory->Lock());
  }
  WEFT_RETURN_IF_ERROR(directory->CheckFormatFile());
  // Below a directory of ours alone nothing is open to others but what leads out of it.
  WEFT_RETURN_IF_ERROR(CheckDirectory(directory->database_path()).status());
  return directory;
}

StoreDirectory::~StoreDirectory() {
  if (lock_file_ >= 0) ::close(lock_file_);
}

absl::Status StoreDirectory::Lock() {
  const std::string path = path_ + "/LOCK";
  lock_file_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  int kind = LOCK_EX;
  if (lock_file_ < 0 && (errno == EROFS || errno == EACCES)) {
    lock_file_ = ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    kind = LOCK_SH;
  }
  if (lock_file_ < 0) return SystemError("cannot open", path, errno);
  if (::flock(lock_file_, kind | LOCK_NB) == 0) return absl::OkStatus();
  if (errno != EWOULDBLOCK) return SystemError("cannot lock", path, errno);
  return absl::UnavailableError(
      absl::StrFormat("store %s is in use by another process", path_));
}

absl::Status StoreDirectory::CheckFormatFile() const {
  const std::string path = path_ + "/FORMAT";
  const File file(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (file.get() < 0) return SystemError("cannot open", path, errno);
  char text[128] = {};
  const ssize_t size = ::read(file.get(), text, sizeof(text) - 1);
  if (size < 0) return SystemError("cannot read", path, errno);
  unsigned long long format = 0;
  unsigned long long minimum_reader = 0;
  if (std::sscanf(text, "weft store\nformat %llu\nminimum reader %llu\n", &format,
                  &minimum_reader) != 2) {
    return absl::DataLossError(absl::StrFormat("store %s: FORMAT is damaged", path_));
  }
  if (minimum_reader > kStoreFormat) return RefuseFormat(path_, format);
  return absl::OkStatus();
}

absl::Status StoreDirectory::WriteFormatFile() const {
  const std::string path = path_ + "/FORMAT";
  const std::string fresh = path + ".new";
  const std::string text = FormatText();
  {
    const File file(::open(
        fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (file.get() < 0) return SystemError("cannot make", fresh, errno);
    const ssize_t written = ::write(file.get(), text.data(), text.size());
    if (written != static_cast<ssize_t>(text.size()) || ::fsync(file.get()) != 0) {
      return SystemError("cannot write", fresh, errno);
    }
  }
  if (::rename(fresh.c_str(), path.c_str()) != 0) {
    return SystemError("cannot make", path, errno);
  }
  return SyncDirectory(path_);
}

}  // namespace weft
