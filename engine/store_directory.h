// The directory of a store: who may open it, that it is one, and of which format.
//
//   DIR        0700
//   DIR/LOCK   0600, empty, held (flock) by the one process that has the store open
//   DIR/FORMAT 0600, text := "weft store\nformat " n "\nminimum reader " n "\n"
//   DIR/LEASE  0600, how the store knows that it is no copy (engine/file_lease.h)
//   DIR/db     0700, the database (engine/rocks_storage.h)
//
// The format is a file of its own so that a store of a newer format is refused before
// anything in it is opened or changed; the same numbers stand in family kMeta.

#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "engine/bytes.h"
#include "engine/status.h"

namespace weft {

// What this program writes, and the newest it reads.
inline constexpr std::uint64_t kStoreFormat = 1;

// format:uint minimum_reader:uint, as stored under keys::Format().
Bytes EncodeStoreFormat();
// `name` is what messages call the store.
// FAILED_PRECONDITION  the store needs a newer program than this one
// DATA_LOSS            not a format
absl::Status CheckStoreFormat(std::string_view name, ByteView encoded);

// How many bytes this process can still write to files below `path`, which exists: zero
// where the disk is full, and where it may not write at all.
std::uint64_t RoomIn(const std::string& path);

// Not thread-safe.
class StoreDirectory {
 public:
  // Checks the directory and takes its lock; with `create`, makes what is missing.
  // Where its files may be read only, the lock is shared with others who only read.
  // Unless it returns OK it has changed nothing that was there.
  //   NOT_FOUND            there is no store (and `create` is false)
  //   INVALID_ARGUMENT     a file, a symbolic link, or a directory with other things
  //   FAILED_PRECONDITION  of a newer format, or open to other users of the machine
  //   UNAVAILABLE          in use by another process, or any error of the disk
  //   PERMISSION_DENIED    the system does not let us
  //   DATA_LOSS            its files are damaged
  static absl::StatusOr<std::unique_ptr<StoreDirectory>> Open(std::string_view path,
                                                              bool create);
  ~StoreDirectory();
  StoreDirectory(const StoreDirectory&) = delete;
  StoreDirectory& operator=(const StoreDirectory&) = delete;

  const std::string& path() const { return path_; }
  std::string database_path() const { return path_ + "/db"; }

 private:
  explicit StoreDirectory(std::string path) : path_(std::move(path)) {}

  absl::Status Lock();
  absl::Status CheckFormatFile() const;
  absl::Status WriteFormatFile() const;

  std::string path_;
  int lock_file_ = -1;
};

}  // namespace weft
