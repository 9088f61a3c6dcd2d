#include "engine/file_lease.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_format.h"
#include "engine/key_layout.h"

namespace weft {
namespace {

constexpr std::string_view kMagic = "weft lease\n";
constexpr std::size_t kProgressAt = kMagic.size() + kLeaseRecordBytes;
constexpr std::size_t kFileBytes = kProgressAt + kLeaseProgressBytes;

absl::Status SystemError(std::string_view what, const std::string& path, int error) {
  const std::string text =
      absl::StrFormat("%s %s: %s", what, path, std::strerror(error));
  if (error == ENOSPC || error == EDQUOT) return absl::ResourceExhaustedError(text);
  if (error == EACCES || error == EPERM || error == EROFS) {
    return absl::PermissionDeniedError(text);
  }
  return absl::UnavailableError(text);
}

// Systemd asks that the id itself is shown to nobody.
Hash32 MachineHash() {
  const int file = ::open("/etc/machine-id", O_RDONLY | O_CLOEXEC);
  if (file < 0) return Hash32();
  std::uint8_t id[32];
  const ssize_t size = ::read(file, id, sizeof(id));
  ::close(file);
  if (size != sizeof(id)) return Hash32();
  return Blake2b256({AsBytes("weft machine"), ByteView(id, sizeof(id))});
}

// How Linux packs a device number into the id of file systems that have no other.
std::uint64_t PackedDevice(std::uint64_t major, std::uint64_t minor) {
  return (minor & 0xff) | major << 8 | (minor & ~std::uint64_t{0xff}) << 12;
}

LeasePlace PlaceOf(int file) {
  LeasePlace place;
  struct statx info {};
  if (::statx(file, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &info) == 0) {
    place.inode = info.stx_ino;
    place.device = PackedDevice(info.stx_dev_major, info.stx_dev_minor);
    if ((info.stx_mask & STATX_BTIME) != 0) {
      place.birth = static_cast<std::uint64_t>(info.stx_btime.tv_sec) * 1'000'000'000 +
                    info.stx_btime.tv_nsec;
    }
  }
  // A sandbox may refuse the one and allow the other.
  struct stat plain {};
  if (place.inode == 0 && ::fstat(file, &plain) == 0) {
    place.inode = plain.st_ino;
    place.device = PackedDevice(major(plain.st_dev), minor(plain.st_dev));
  }
  struct statfs system {};
  if (::fstatfs(file, &system) == 0) {
    std::uint64_t id = 0;
    static_assert(sizeof(system.f_fsid) == sizeof(id));
    std::memcpy(&id, &system.f_fsid, sizeof(id));
    if (id != place.device) place.file_system = id;
  }
  place.machine = MachineHash();
  return place;
}

absl::Status SyncDirectory(const std::string& path) {
  const int directory = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool synced = directory >= 0 && ::fsync(directory) == 0;
  const int error = errno;
  if (directory >= 0) ::close(directory);
  return synced ? absl::OkStatus() : SystemError("cannot sync", path, error);
}

}  // namespace

absl::StatusOr<std::unique_ptr<FileLease>> FileLease::Open(const std::string& directory,
                                                           Storage* storage,
                                                           Random* random) {
  std::unique_ptr<FileLease> lease(new FileLease(directory, storage, random));
  WEFT_ASSIGN_OR_RETURN(const auto row, storage->Get(Family::kMeta, keys::Lease()));
  if (row) {
    // One of a newer version is as good as none that fits.
    lease->facts_.row = DecodeLease(*row).value_or(LeaseRecord());
  }
  WEFT_RETURN_IF_ERROR(lease->ReadFile());
  return lease;
}

FileLease::~FileLease() {
  if (file_ >= 0) ::close(file_);
}

absl::Status FileLease::ReadFile() {
  const std::string path = directory_ + "/LEASE";
  file_ = ::open(path.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC);
  if (file_ < 0) {
    const int error = errno;
    // What passes says nothing of the lease.
    for (const int passing : {EMFILE, ENFILE, ENOMEM, EIO, EINTR}) {
      if (error == passing) return SystemError("cannot open", path, error);
    }
    facts_.file_exists = error != ENOENT;
    return absl::OkStatus();
  }
  facts_.file_exists = true;
  facts_.here = PlaceOf(file_);
  std::uint8_t bytes[kFileBytes + 1];
  const ssize_t size = ::pread(file_, bytes, sizeof(bytes), 0);
  if (size < 0) return SystemError("cannot read", path, errno);
  if (size != static_cast<ssize_t>(kFileBytes) ||
      !Equal(ByteView(bytes, kMagic.size()), AsBytes(kMagic))) {
    return absl::OkStatus();
  }
  facts_.file = DecodeLease(ByteView(bytes + kMagic.size(), kLeaseRecordBytes));
  if (!facts_.file) return absl::OkStatus();
  facts_.progress = DecodeLeaseProgress(
      facts_.file->nonce, ByteView(bytes + kProgressAt, kLeaseProgressBytes));
  return absl::OkStatus();
}

LeaseVerdict FileLease::Judge(std::uint64_t own_blocks) {
  facts_.own_blocks = own_blocks;
  LeaseVerdict verdict = JudgeLease(facts_);
  held_ = verdict.start == LeaseStart::kLive || verdict.start == LeaseStart::kUnclean;
  if (held_ && !facts_.row) held_ = false;
  if (held_) {
    nonce_ = facts_.file->nonce;
    if (facts_.progress) written_ = *facts_.progress;
  }
  return verdict;
}

// The file first: a store whose mirror does not name it yet is fresh, or as foreign as
// before.
absl::Status FileLease::Take(std::uint64_t own_blocks) {
  random_->Fill(nonce_.bytes);
  LeaseProgress progress;
  progress.own_blocks = own_blocks;
  WEFT_RETURN_IF_ERROR(WriteFile(progress));
  LeaseRecord record;
  record.nonce = nonce_;
  record.place = PlaceOf(file_);
  StorageBatch batch;
  batch.Put(Family::kMeta, keys::Lease(), EncodeLease(record));
  WEFT_RETURN_IF_ERROR(storage_->Commit(batch, Durability::kSynced));
  held_ = true;
  written_ = progress;
  return absl::OkStatus();
}

// A new file, which has a place of its own, takes the name over.
absl::Status FileLease::WriteFile(const LeaseProgress& progress) {
  const std::string path = directory_ + "/LEASE";
  const std::string fresh = path + ".new";
  if (file_ >= 0) ::close(file_);
  ::unlink(fresh.c_str());
  file_ =
      ::open(fresh.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (file_ < 0) return SystemError("cannot make", fresh, errno);
  LeaseRecord record;
  record.nonce = nonce_;
  record.place = PlaceOf(file_);
  Bytes bytes = ToBytes(kMagic);
  Append(bytes, EncodeLease(record));
  Append(bytes, EncodeLeaseProgress(nonce_, progress));
  errno = ENOSPC;  // of a write that stops short
  if (::pwrite(file_, bytes.data(), bytes.size(), 0) !=
          static_cast<ssize_t>(bytes.size()) ||
      ::fsync(file_) != 0 || ::rename(fresh.c_str(), path.c_str()) != 0) {
    const absl::Status status = SystemError("cannot write", fresh, errno);
    ::unlink(fresh.c_str());
    return status;
  }
  return SyncDirectory(directory_);
}

void FileLease::WriteProgress(const LeaseProgress& progress) {
  if (!held_ || progress == written_) return;
  const Bytes bytes = EncodeLeaseProgress(nonce_, progress);
  // What cannot be written is missed at the next start, which then counts as unclean.
  if (::pwrite(file_, bytes.data(), bytes.size(), kProgressAt) ==
      static_cast<ssize_t>(bytes.size())) {
    written_ = progress;
  }
}

void FileLease::Appending() {
  if (appending_) return;
  appending_ = true;
  WriteProgress({true, written_.own_blocks});
}

void FileLease::Synced(std::uint64_t own_blocks) {
  WriteProgress({appending_ || written_.open, own_blocks});
}

void FileLease::Close(std::uint64_t own_blocks) {
  if (appending_) WriteProgress({false, own_blocks});
}

}  // namespace weft
