#include "engine/rocks_overlay.h"

#include "rocksdb/env.h"

namespace weft {
namespace {

using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;

std::shared_ptr<rocksdb::FileSystem> MakeMemory() {
  // The file system outlives the environment it comes with.
  const std::unique_ptr<rocksdb::Env> env(rocksdb::NewMemEnv(rocksdb::Env::Default()));
  return env->GetFileSystem();
}

IOStatus Missing(const std::string& path) {
  return IOStatus::PathNotFound(path);
}

IOStatus Refused(const std::string& path) {
  return IOStatus::NotSupported("not over a disk that cannot be written", path);
}

}  // namespace

OverlayFiles::OverlayFiles(const std::shared_ptr<rocksdb::FileSystem>& disk)
    : rocksdb::FileSystemWrapper(disk), memory_(MakeMemory()) {}

bool OverlayFiles::IsInMemory(const std::string& path) {
  return memory_->FileExists(path, IOOptions(), nullptr).ok();
}

rocksdb::FileSystem* OverlayFiles::HolderOf(const std::string& path) {
  if (IsInMemory(path)) return memory_.get();
  const std::lock_guard<std::mutex> lock(mutex_);
  return deleted_.contains(path) ? nullptr : target();
}

IOStatus OverlayFiles::NewSequentialFile(
    const std::string& path, const rocksdb::FileOptions& options,
    std::unique_ptr<rocksdb::FSSequentialFile>* file, IODebugContext* debug) {
  rocksdb::FileSystem* const holder = HolderOf(path);
  if (holder == nullptr) return Missing(path);
  return holder->NewSequentialFile(path, options, file, debug);
}

IOStatus OverlayFiles::NewRandomAccessFile(
    const std::string& path, const rocksdb::FileOptions& options,
    std::unique_ptr<rocksdb::FSRandomAccessFile>* file, IODebugContext* debug) {
  rocksdb::FileSystem* const holder = HolderOf(path);
  if (holder == nullptr) return Missing(path);
  return holder->NewRandomAccessFile(path, options, file, debug);
}

IOStatus OverlayFiles::NewWritableFile(const std::string& path,
                                       const rocksdb::FileOptions& options,
                                       std::unique_ptr<rocksdb::FSWritableFile>* file,
                                       IODebugContext* debug) {
  return memory_->NewWritableFile(path, options, file, debug);
}

IOStatus OverlayFiles::ReopenWritableFile(
    const std::string& path, const rocksdb::FileOptions& options,
    std::unique_ptr<rocksdb::FSWritableFile>* file, IODebugContext* debug) {
  if (!IsInMemory(path)) return Refused(path);
  return memory_->ReopenWritableFile(path, options, file, debug);
}

// Only ever asked for logs that are kept to be written again, and none are.
IOStatus OverlayFiles::ReuseWritableFile(const std::string& path,
                                         const std::string& old,
                                         const rocksdb::FileOptions&,
                                         std::unique_ptr<rocksdb::FSWritableFile>*,
                                         IODebugContext*) {
  return Refused(path + " from " + old);
}

IOStatus OverlayFiles::NewRandomRWFile(const std::string& path,
                                       const rocksdb::FileOptions& options,
                                       std::unique_ptr<rocksdb::FSRandomRWFile>* file,
                                       IODebugContext* debug) {
  if (!IsInMemory(path)) return Refused(path);
  return memory_->NewRandomRWFile(path, options, file, debug);
}

IOStatus OverlayFiles::NewDirectory(const std::string& path, const IOOptions& options,
                                    std::unique_ptr<rocksdb::FSDirectory>* directory,
                                    IODebugContext* debug) {
  return memory_->NewDirectory(path, options, directory, debug);
}

IOStatus OverlayFiles::FileExists(const std::string& path, const IOOptions& options,
                                  IODebugContext* debug) {
  rocksdb::FileSystem* const holder = HolderOf(path);
  if (holder == nullptr) return IOStatus::NotFound(path);
  return holder->FileExists(path, options, debug);
}

IOStatus OverlayFiles::GetChildren(const std::string& path, const IOOptions& options,
                                   std::vector<std::string>* names,
                                   IODebugContext* debug) {
  std::vector<std::string> on_disk;
  const IOStatus listed = target()->GetChildren(path, options, &on_disk, debug);
  std::vector<std::string> in_memory;
  const IOStatus shown = memory_->GetChildren(path, options, &in_memory, debug);
  if (!listed.ok() && !shown.ok()) return listed;
  std::set<std::string> all(in_memory.begin(), in_memory.end());
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (const std::string& name : on_disk) {
      if (!deleted_.contains(path + "/" + name)) all.insert(name);
    }
  }
  names->assign(all.begin(), all.end());
  return IOStatus::OK();
}

IOStatus OverlayFiles::GetChildrenFileAttributes(
    const std::string& path, const IOOptions& options,
    std::vector<rocksdb::FileAttributes>* attributes, IODebugContext* debug) {
  // The one of the base asks for names and sizes by the methods above and below.
  return rocksdb::FileSystem::GetChildrenFileAttributes(path, options, attributes,
                                                        debug);
}

IOStatus OverlayFiles::DeleteFile(const std::string& path, const IOOptions& options,
                                  IODebugContext* debug) {
  rocksdb::FileSystem* const holder = HolderOf(path);
  if (holder == nullptr) return Missing(path);
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    deleted_.insert(path);
  }
  return holder == memory_.get() ? memory_->DeleteFile(path, options, debug)
                                 : IOStatus::OK();
}

IOStatus OverlayFiles::Truncate(const std::string& path, std::size_t size,
                                const IOOptions& options, IODebugContext* debug) {
  if (!IsInMemory(path)) return Refused(path);
  return memory_->Truncate(path, size, options, debug);
}

IOStatus OverlayFiles::CreateDir(const std::string& path, const IOOptions& options,
                                 IODebugContext* debug) {
  return memory_->CreateDir(path, options, debug);
}

IOStatus OverlayFiles::CreateDirIfMissing(const std::string& path,
                                          const IOOptions& options,
                                          IODebugContext* debug) {
  return memory_->CreateDirIfMissing(path, options, debug);
}

IOStatus OverlayFiles::DeleteDir(const std::string& path, const IOOptions& options,
                                 IODebugContext* debug) {
  return memory_->DeleteDir(path, options, debug);
}

IOStatus OverlayFiles::GetFileSize(const std::string& path, const IOOptions& options,
                                   std::uint64_t* size, IODebugContext* debug) {
  rocksdb::FileSystem* const holder = HolderOf(path);
  if (holder == nullptr) return Missing(path);
  return holder->GetFileSize(path, options, size, debug);
}

IOStatus OverlayFiles::GetFileModificationTime(const std::string& path,
                                               const IOOptions& options,
                                               std::uint64_t* time,
                                               IODebugContext* debug) {
  rocksdb::FileSystem* const holder = HolderOf(path);
  if (holder == nullptr) return Missing(path);
  return holder->GetFileModificationTime(path, options, time, debug);
}

IOStatus OverlayFiles::RenameFile(const std::string& from, const std::string& to,
                                  const IOOptions& options, IODebugContext* debug) {
  if (!IsInMemory(from)) return Refused(from);
  return memory_->RenameFile(from, to, options, debug);
}

IOStatus OverlayFiles::LinkFile(const std::string& from, const std::string& to,
                                const IOOptions& options, IODebugContext* debug) {
  if (!IsInMemory(from)) return Refused(from);
  return memory_->LinkFile(from, to, options, debug);
}

IOStatus OverlayFiles::LockFile(const std::string& path, const IOOptions& options,
                                rocksdb::FileLock** lock, IODebugContext* debug) {
  return memory_->LockFile(path, options, lock, debug);
}

IOStatus OverlayFiles::UnlockFile(rocksdb::FileLock* lock, const IOOptions& options,
                                  IODebugContext* debug) {
  return memory_->UnlockFile(lock, options, debug);
}

}  // namespace weft
