#include "engine/file_lease.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_format.h"
#include "engine/key_layout.h"

namespace weft {
namespace {

constexpr std::string_view kMagic = "weft lease\n";
constexpr std::size_t kProgressAt = kMagic.size() + kLeaseRecordBytes;
constexpr std::size_t kFileBytes = kProgressAt + kLeaseProgressBytes;
// A copy that was made later in the same minute as the file cannot be told from it.
constexpr Nanos kRenewAfter = std::chrono::minutes(1);

absl::Status SystemError(std::string_view what, const std::string& path, int error) {
  const std::string text =
      absl::StrFormat("%s %s: %s", what, path, std::strerror(error));
  if (error == ENOSPC || error == EDQUOT) return absl::ResourceExhaustedError(text);
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
                                                           Random* random,
                                                           const Clock* clock) {
  std::unique_ptr<FileLease> lease(new FileLease(directory, storage, random, clock));
  WEFT_ASSIGN_OR_RETURN(const auto row, storage->Get(Family::kMeta, keys::Lease()));
  if (row) {
    // One of a newer version is as good as none that fits.
    lease->facts_.row = DecodeLeaseRow(*row).value_or(LeaseRow());
  }
  lease->refused_ = absl::FailedPreconditionError(
      "the store can be read only: it could not be made the live one");
  WEFT_RETURN_IF_ERROR(lease->ReadFile());
  return lease;
}

FileLease::~FileLease() {
  if (file_.descriptor >= 0) ::close(file_.descriptor);
  if (next_) ::close(next_->descriptor);
}

absl::Status FileLease::ReadFile() {
  const std::string path = PathOfFile();
  file_.descriptor = ::open(path.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC);
  if (file_.descriptor < 0 && (errno == EROFS || errno == EACCES)) {
    // A store that may only be read is still where it was written.
    file_.descriptor = ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  }
  if (file_.descriptor < 0) {
    const int error = errno;
    // What passes says nothing of the lease.
    for (const int passing : {EMFILE, ENFILE, ENOMEM, EIO, EINTR}) {
      if (error == passing) return SystemError("cannot open", path, error);
    }
    facts_.file_exists = error != ENOENT;
    return absl::OkStatus();
  }
  facts_.file_exists = true;
  facts_.here = PlaceOf(file_.descriptor);
  std::uint8_t bytes[kFileBytes + 1];
  const ssize_t size = ::pread(file_.descriptor, bytes, sizeof(bytes), 0);
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
  held_ = facts_.row &&
          (verdict.start == LeaseStart::kLive || verdict.start == LeaseStart::kUnclean);
  if (!held_) return verdict;
  file_.record = *facts_.file;
  if (facts_.progress) file_.progress = *facts_.progress;
  // A run died between two steps, and what it appended may be told by this one. Where
  // it cannot be finished now, the next append has to.
  const bool died_renewing = facts_.row->next && *facts_.file != *facts_.row->next;
  if (died_renewing && Renew(file_.progress, Durability::kSynced).ok()) FinishRenewal();
  return verdict;
}

// The file first: a store whose mirror does not name it yet is fresh, or as foreign as
// before.
absl::Status FileLease::Take(std::uint64_t own_blocks) {
  const auto take = [&]() -> absl::Status {
    WEFT_RETURN_IF_ERROR(storage_->Writable());
    WEFT_ASSIGN_OR_RETURN(next_, MakeFile({false, own_blocks}));
    WEFT_RETURN_IF_ERROR(NameFile());
    WEFT_RETURN_IF_ERROR(SyncDirectory(directory_));
    StorageBatch batch;
    batch.Put(Family::kMeta, keys::Lease(),
              EncodeLeaseRow({file_.record, std::nullopt}));
    return storage_->Commit(batch, Durability::kSynced);
  };
  const absl::Status taken = take();
  held_ = taken.ok();
  if (held_) {
    made_ = clock_->Steady();
  } else {
    if (next_) ::close(std::exchange(next_, std::nullopt)->descriptor);
    refused_ = absl::FailedPreconditionError(absl::StrFormat(
        "the store can be read only: %s", std::string(taken.message())));
  }
  return taken;
}

// A new file, which has a place of its own, under the name of the next one.
absl::StatusOr<FileLease::File> FileLease::MakeFile(const LeaseProgress& progress) {
  const std::string path = PathOfNext();
  ::unlink(path.c_str());
  File file;
  file.descriptor =
      ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (file.descriptor < 0) return SystemError("cannot make", path, errno);
  random_->Fill(file.record.nonce.bytes);
  file.record.place = PlaceOf(file.descriptor);
  file.progress = progress;
  Bytes bytes = ToBytes(kMagic);
  Append(bytes, EncodeLease(file.record));
  Append(bytes, EncodeLeaseProgress(file.record.nonce, progress));
  errno = ENOSPC;  // of a write that stops short
  if (::pwrite(file.descriptor, bytes.data(), bytes.size(), 0) !=
          static_cast<ssize_t>(bytes.size()) ||
      ::fsync(file.descriptor) != 0) {
    const absl::Status status = SystemError("cannot write", path, errno);
    ::close(file.descriptor);
    ::unlink(path.c_str());
    return status;
  }
  return file;
}

// The next file takes the name over; the old one stays open if it has other names.
absl::Status FileLease::NameFile() {
  const std::string path = PathOfFile();
  if (::rename(PathOfNext().c_str(), path.c_str()) != 0) {
    return SystemError("cannot rename to", path, errno);
  }
  const int old = std::exchange(file_, *next_).descriptor;
  next_.reset();
  if (old < 0) return absl::OkStatus();
  struct stat info {};
  if (::fstat(old, &info) == 0 && info.st_nlink > 0 && SyncDirectory(directory_).ok()) {
    // Put back, it would be an older lease in the very place where that was made.
    [[maybe_unused]] const int wiped = ::ftruncate(old, 0);
  }
  ::close(old);
  return absl::OkStatus();
}

absl::Status FileLease::Renew(const LeaseProgress& progress, Durability durability) {
  WEFT_RETURN_IF_ERROR(storage_->Writable());
  WEFT_ASSIGN_OR_RETURN(const File next, MakeFile(progress));
  StorageBatch batch;
  batch.Put(Family::kMeta, keys::Lease(), EncodeLeaseRow({file_.record, next.record}));
  // The row forgets the file before this one, whose name must not come back then.
  absl::Status status = SyncDirectory(directory_);
  if (status.ok()) status = storage_->Commit(batch, durability);
  if (!status.ok()) {
    ::close(next.descriptor);
    return status;
  }
  next_ = next;
  made_ = clock_->Steady();
  return absl::OkStatus();
}

void FileLease::FinishRenewal() {
  if (next_) NameFile().IgnoreError();
}

void FileLease::WriteProgress(const LeaseProgress& progress) {
  if (!held_ || progress == file_.progress) return;
  const Bytes bytes = EncodeLeaseProgress(file_.record.nonce, progress);
  // What cannot be written is missed at the next start, which then counts as unclean.
  if (::pwrite(file_.descriptor, bytes.data(), bytes.size(), kProgressAt) ==
      static_cast<ssize_t>(bytes.size())) {
    file_.progress = progress;
  }
}

absl::Status FileLease::Appending() {
  WEFT_RETURN_IF_ERROR(storage_->Writable());
  if (!held_) return refused_;
  if (!next_ && (!made_ || clock_->Steady() - *made_ >= kRenewAfter)) {
    WEFT_RETURN_IF_ERROR(Renew({true, file_.progress.own_blocks}, Durability::kLogged));
  }
  appending_ = true;
  WriteProgress({true, file_.progress.own_blocks});
  return absl::OkStatus();
}

void FileLease::Synced(std::uint64_t own_blocks) {
  FinishRenewal();
  WriteProgress({appending_ || file_.progress.open, own_blocks});
}

void FileLease::Close(std::uint64_t own_blocks) {
  FinishRenewal();
  if (appending_) WriteProgress({false, own_blocks});
}

}  // namespace weft
