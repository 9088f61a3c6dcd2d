#include "engine/rocks_storage.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstring>
#include <filesystem>
#include <mutex>

#include "absl/strings/str_format.h"
#include "engine/check.h"
#include "engine/key_layout.h"
#include "engine/open_files.h"
#include "engine/rocks_overlay.h"
#include "engine/store_directory.h"
#include "rocksdb/cache.h"
#include "rocksdb/convenience.h"
#include "rocksdb/db.h"
#include "rocksdb/env.h"
#include "rocksdb/file_system.h"
#include "rocksdb/filter_policy.h"
#include "rocksdb/listener.h"
#include "rocksdb/table.h"
#include "rocksdb/write_batch.h"
#include "rocksdb/write_buffer_manager.h"

namespace weft {
namespace {

constexpr std::size_t kMiB = 1 << 20;
constexpr std::size_t kWalBytesMax = 32 * kMiB;
constexpr std::size_t kProtectionBytes = 8;  // of each change, on its way to the disk
constexpr int kFilterBitsPerKey = 10;

// In the order of Family. RocksDB insists on the first name.
constexpr std::array<const char*, kFamilyCount> kFamilyNames = {"default", "cores",
                                                                "blocks", "view"};
constexpr std::array<std::size_t, kFamilyCount> kWriteBufferBytes = {
    1 * kMiB, 8 * kMiB, 16 * kMiB, 16 * kMiB};

rocksdb::Slice ToSlice(ByteView view) {
  if (view.empty()) return {};  // RocksDB compares no null pointers
  return {reinterpret_cast<const char*>(view.data()), view.size()};
}

ByteView ToView(const rocksdb::Slice& slice) {
  return {reinterpret_cast<const std::uint8_t*>(slice.data()), slice.size()};
}

// RocksDB knows ENOSPC by itself, and gives other errors of the system by name only.
bool IsFull(const rocksdb::Status& status) {
  if (status.IsNoSpace()) return true;
  if (!status.IsIOError()) return false;
  const std::string text = status.ToString();
  return text.find(std::strerror(EDQUOT)) != std::string::npos ||
         text.find(std::strerror(EFBIG)) != std::string::npos;
}

absl::Status ToStatus(const std::string& path, const rocksdb::Status& status) {
  if (status.ok()) return absl::OkStatus();
  const std::string text = status.ToString();
  if (IsFull(status)) {
    return absl::ResourceExhaustedError(
        absl::StrFormat("store %s: the disk is full (%s)", path, text));
  }
  if (status.IsCorruption()) {
    return absl::DataLossError(absl::StrFormat("store %s: damaged (%s)", path, text));
  }
  return absl::UnavailableError(absl::StrFormat("store %s: %s", path, text));
}

// The first failed write, which all later ones repeat.
class Health {
 public:
  explicit Health(std::string path) : path_(std::move(path)) {}

  absl::Status status() const {
    if (!failed_.load(std::memory_order_acquire)) return absl::OkStatus();
    const std::lock_guard<std::mutex> lock(mutex_);
    return status_;
  }

  // What `status` comes to, given what happened before.
  absl::Status Note(const rocksdb::Status& status) {
    if (status.ok()) return absl::OkStatus();
    const std::lock_guard<std::mutex> lock(mutex_);
    if (status_.ok()) status_ = ToStatus(path_, status);
    failed_.store(true, std::memory_order_release);
    return status_;
  }

 private:
  const std::string path_;
  std::atomic<bool> failed_ = false;
  mutable std::mutex mutex_;
  absl::Status status_;
};

// Hears of failed flushes and compactions, and keeps RocksDB from trying again: what
// was to be written may be lost already, and only a fresh open can tell.
class FailureListener final : public rocksdb::EventListener {
 public:
  explicit FailureListener(std::shared_ptr<Health> health)
      : health_(std::move(health)) {}

  void OnBackgroundError(rocksdb::BackgroundErrorReason,
                         rocksdb::Status* status) override {
    health_->Note(*status).IgnoreError();
  }
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason, rocksdb::Status,
                            bool* recover) override {
    *recover = false;
  }

 private:
  const std::shared_ptr<Health> health_;
};

// Makes every file readable by its owner alone.
class PrivateFiles final : public rocksdb::FileSystemWrapper {
 public:
  using rocksdb::FileSystemWrapper::FileSystemWrapper;
  const char* Name() const override { return "weft-private-files"; }

  rocksdb::IOStatus NewWritableFile(const std::string& path,
                                    const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* debug) override {
    return Protect(path, target()->NewWritableFile(path, options, file, debug));
  }
  rocksdb::IOStatus NewLogger(const std::string& path,
                              const rocksdb::IOOptions& options,
                              std::shared_ptr<rocksdb::Logger>* logger,
                              rocksdb::IODebugContext* debug) override {
    return Protect(path, target()->NewLogger(path, options, logger, debug));
  }
  rocksdb::IOStatus CreateDirIfMissing(const std::string& path,
                                       const rocksdb::IOOptions& options,
                                       rocksdb::IODebugContext* debug) override {
    if (::mkdir(path.c_str(), 0700) == 0) return rocksdb::IOStatus::OK();
    return target()->CreateDirIfMissing(path, options, debug);
  }

 private:
  static rocksdb::IOStatus Protect(const std::string& path, rocksdb::IOStatus status) {
    if (status.ok() && ::chmod(path.c_str(), 0600) != 0) {
      return rocksdb::IOStatus::IOError("cannot chmod 600 " + path,
                                        std::strerror(errno));
    }
    return status;
  }
};

rocksdb::DBOptions DatabaseOptions(rocksdb::Env* env, std::shared_ptr<Health> health,
                                   std::size_t memory_bytes) {
  rocksdb::DBOptions options;
  options.env = env;
  options.create_missing_column_families = true;
  options.paranoid_checks = true;
  options.track_and_verify_wals_in_manifest = true;
  options.max_total_wal_size = kWalBytesMax;
  options.write_buffer_manager =
      std::make_shared<rocksdb::WriteBufferManager>(memory_bytes / 2);
  options.max_bgerror_resume_count = 0;
  options.listeners = {std::make_shared<FailureListener>(std::move(health))};
  options.max_open_files = static_cast<int>(OpenFilesOfStorage(OpenFilesLimit()));
  options.max_file_opening_threads = 1;
  options.max_background_jobs = 2;
  options.bytes_per_sync = kMiB;
  // Room that is set aside is taken from a disk that may have little, by a mere read.
  options.allow_fallocate = false;
  // An open reads as little as it can.
  options.skip_stats_update_on_db_open = true;
  options.skip_checking_sst_file_sizes_on_db_open = true;
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  options.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
  options.keep_log_file_num = 1;
  options.max_log_file_size = kMiB;
  return options;
}

bool HasLz4() {
  const auto supported = rocksdb::GetSupportedCompressions();
  return std::find(supported.begin(), supported.end(), rocksdb::kLZ4Compression) !=
         supported.end();
}

// Nothing is begun where there is no room for a store. Whatever else may be in the way
// StoreDirectory says.
absl::Status CheckRoomToMake(std::string_view path, std::uint64_t room_bytes_min) {
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  std::string folder(path);
  std::error_code error;
  if (std::filesystem::exists(folder, error)) {
    const bool vacant = std::filesystem::is_empty(folder, error);
    if (!vacant || error) return absl::OkStatus();
  } else {
    const std::size_t slash = folder.rfind('/');
    folder = slash == std::string::npos ? "." : folder.substr(0, slash + 1);
  }
  if (::access(folder.c_str(), W_OK) != 0 || RoomIn(folder) >= room_bytes_min) {
    return absl::OkStatus();
  }
  return absl::ResourceExhaustedError(
      absl::StrFormat("%s: the disk is full", std::string(path)));
}

// What RocksDB has to say of a database that is opened for reading goes nowhere.
class NoLogger final : public rocksdb::Logger {
 public:
  using rocksdb::Logger::Logv;
  void Logv(const char*, va_list) override {}
};

rocksdb::ColumnFamilyOptions FamilyOptions(Family family,
                                           std::shared_ptr<rocksdb::Cache> cache) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = std::move(cache);
  table.checksum = rocksdb::kXXH3;
  table.format_version = 5;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(kFilterBitsPerKey));
  table.cache_index_and_filter_blocks = true;
  table.pin_l0_filter_and_index_blocks_in_cache = true;

  rocksdb::ColumnFamilyOptions options;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  options.write_buffer_size = kWriteBufferBytes[static_cast<std::size_t>(family)];
  options.max_write_buffer_number = 3;
  options.level_compaction_dynamic_level_bytes = true;
  options.paranoid_file_checks = true;
  const bool hashes_only = family == Family::kMeta || family == Family::kCores;
  options.compression =
      !hashes_only && HasLz4() ? rocksdb::kLZ4Compression : rocksdb::kNoCompression;
  return options;
}

rocksdb::Env* PrivateEnv() {
  // RocksDB's threads outlive every database, and so does what they run on.
  static rocksdb::Env* const env =
      rocksdb::NewCompositeEnv(
          std::make_shared<PrivateFiles>(rocksdb::FileSystem::Default()))
          .release();
  return env;
}

}  // namespace

// The open database; the last of storage, snapshots and cursors closes it.
class RocksStorage::Database {
 public:
  static absl::StatusOr<std::shared_ptr<Database>> Open(
      std::unique_ptr<StoreDirectory> directory, const RocksOptions& options);
  ~Database();

  rocksdb::DB* operator->() const { return db_.get(); }
  rocksdb::ColumnFamilyHandle* family(Family family) const {
    return families_[static_cast<std::size_t>(family)];
  }
  const std::vector<rocksdb::ColumnFamilyHandle*>& families() const {
    return families_;
  }
  const std::string& path() const { return directory_->path(); }
  Health& health() const { return *health_; }
  bool read_only() const { return !read_only_.ok(); }
  absl::Status writable() const { return read_only() ? read_only_ : health_->status(); }
  // Something is in memory that a clean close has to write out.
  void NoteWrite() { written_.store(true, std::memory_order_relaxed); }
  // A range whose room Reclaim gives back.
  void NoteDeleted(const StorageBatch::Change& range) {
    const std::lock_guard<std::mutex> lock(deleted_mutex_);
    deleted_.push_back(range);
  }
  std::vector<StorageBatch::Change> TakeDeleted() {
    const std::lock_guard<std::mutex> lock(deleted_mutex_);
    return std::exchange(deleted_, {});
  }

 private:
  Database() = default;
  absl::StatusOr<bool> IsNew() const;
  absl::Status CheckRoom(std::uint64_t room_bytes_min) const;
  absl::Status OpenFiles(const RocksOptions& options, bool is_new);
  absl::Status CheckFormat();

  std::unique_ptr<StoreDirectory> directory_;
  std::shared_ptr<Health> health_;
  absl::Status read_only_;  // why it was opened for reading; OK: it was not
  std::unique_ptr<rocksdb::Env> overlay_;  // on the threads of the default one
  std::unique_ptr<rocksdb::DB> db_;
  std::vector<rocksdb::ColumnFamilyHandle*> families_;
  std::atomic<bool> written_ = false;
  std::mutex deleted_mutex_;
  std::vector<StorageBatch::Change> deleted_;
};

absl::StatusOr<bool> RocksStorage::Database::IsNew() const {
  const std::string path = directory_->database_path();
  std::vector<std::string> files;
  const rocksdb::Status status = PrivateEnv()->GetChildren(path, &files);
  if (status.IsNotFound() || status.IsPathNotFound()) return true;
  WEFT_RETURN_IF_ERROR(ToStatus(directory_->path(), status));
  bool has_data = false;
  for (const std::string& file : files) {
    if (file == "CURRENT") return false;
    has_data = has_data || file.ends_with(".sst") || file.ends_with(".log");
  }
  if (!has_data) return true;
  return absl::DataLossError(
      absl::StrFormat("store %s: damaged (db/CURRENT is missing)", directory_->path()));
}

absl::Status RocksStorage::Database::CheckFormat() {
  std::string stored;
  const Bytes key = keys::Format();
  const auto status =
      db_->Get(rocksdb::ReadOptions(), family(Family::kMeta), ToSlice(key), &stored);
  if (status.ok()) return CheckStoreFormat(path(), AsBytes(stored));
  if (!status.IsNotFound()) return ToStatus(path(), status);
  WEFT_RETURN_IF_ERROR(read_only_);
  rocksdb::WriteOptions synced;
  synced.sync = true;
  NoteWrite();
  return ToStatus(path(), db_->Put(synced, family(Family::kMeta), ToSlice(key),
                                   ToSlice(EncodeStoreFormat())));
}

// OK, or why the database is not to be written to: an open writes a few KiB and what
// is in the logs, and where it cannot the library ends the process.
absl::Status RocksStorage::Database::CheckRoom(std::uint64_t room_bytes_min) const {
  const std::string files = directory_->database_path();
  std::uint64_t needed = room_bytes_min;
  std::vector<rocksdb::Env::FileAttributes> all;
  if (PrivateEnv()->GetChildrenFileAttributes(files, &all).ok()) {
    for (const auto& file : all) {
      if (file.name.ends_with(".log")) needed += file.size_bytes;
    }
  }
  const bool made = ::access(files.c_str(), F_OK) == 0;
  if (RoomIn(made ? files : path()) >= needed) return absl::OkStatus();
  if (::access(path().c_str(), W_OK) != 0 ||
      (made && ::access(files.c_str(), W_OK) != 0)) {
    return absl::UnavailableError(
        absl::StrFormat("%s: %s", path(), std::strerror(errno)));
  }
  return absl::ResourceExhaustedError(absl::StrFormat("%s: the disk is full", path()));
}

// On the files themselves, or for reading on an overlay of them.
absl::Status RocksStorage::Database::OpenFiles(const RocksOptions& options,
                                               bool is_new) {
  rocksdb::DBOptions db_options =
      DatabaseOptions(PrivateEnv(), health_, options.memory_bytes);
  db_options.create_if_missing = is_new;
  if (!read_only_.ok()) {
    overlay_ = rocksdb::NewCompositeEnv(
        std::make_shared<OverlayFiles>(rocksdb::FileSystem::Default()));
    db_options.env = overlay_.get();
    db_options.info_log = std::make_shared<NoLogger>();
  }
  const auto cache = rocksdb::NewLRUCache(options.memory_bytes / 2);
  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
  for (std::size_t i = 0; i < kFamilyCount; ++i) {
    descriptors.emplace_back(kFamilyNames[i],
                             FamilyOptions(static_cast<Family>(i), cache));
  }
  rocksdb::DB* db = nullptr;
  const auto status = rocksdb::DB::Open(db_options, directory_->database_path(),
                                        descriptors, &families_, &db);
  db_.reset(db);
  return ToStatus(path(), status);
}

absl::StatusOr<std::shared_ptr<RocksStorage::Database>> RocksStorage::Database::Open(
    std::unique_ptr<StoreDirectory> directory, const RocksOptions& options) {
  std::shared_ptr<Database> database(new Database());
  database->directory_ = std::move(directory);
  const std::string& path = database->path();
  database->health_ = std::make_shared<Health>(path);
  WEFT_ASSIGN_OR_RETURN(const bool is_new, database->IsNew());
  if (is_new && !options.create) {
    return absl::NotFoundError(
        absl::StrFormat("store %s was never finished; make it again", path));
  }
  database->read_only_ = database->CheckRoom(options.room_bytes_min);
  if (is_new) WEFT_RETURN_IF_ERROR(database->read_only_);
  absl::Status opened = database->OpenFiles(options, is_new);
  if (!is_new && absl::IsResourceExhausted(opened) && database->read_only_.ok()) {
    database->read_only_ = opened;
    database->health_ = std::make_shared<Health>(path);
    opened = database->OpenFiles(options, is_new);
  }
  WEFT_RETURN_IF_ERROR(opened);
  if (!database->read_only_.ok()) {
    database->read_only_ =
        absl::Status(database->read_only_.code(),
                     absl::StrFormat("the store can only be read (%s)",
                                     std::string(database->read_only_.message())));
  }
  WEFT_RETURN_IF_ERROR(database->CheckFormat());
  return database;
}

RocksStorage::Database::~Database() {
  if (db_ == nullptr) return;
  if (written_ && writable().ok()) {
    rocksdb::FlushOptions now;
    now.allow_write_stall = true;
    db_->Flush(now, families_).PermitUncheckedError();
  }
  for (rocksdb::ColumnFamilyHandle* family : families_) {
    db_->DestroyColumnFamilyHandle(family).PermitUncheckedError();
  }
  db_->Close().PermitUncheckedError();
  db_.reset();
}

class RocksStorage::Snapshot final : public StorageSnapshot {
 public:
  explicit Snapshot(std::shared_ptr<Database> database)
      : database_(std::move(database)), snapshot_((*database_)->GetSnapshot()) {}
  ~Snapshot() override { (*database_)->ReleaseSnapshot(snapshot_); }

  static rocksdb::ReadOptions ReadAt(const StorageSnapshot* snapshot) {
    rocksdb::ReadOptions options;
    if (snapshot != nullptr) {
      options.snapshot = static_cast<const Snapshot*>(snapshot)->snapshot_;
    }
    return options;
  }

 private:
  const std::shared_ptr<Database> database_;
  const rocksdb::Snapshot* const snapshot_;
};

class RocksStorage::Cursor final : public StorageCursor {
 public:
  Cursor(std::shared_ptr<Database> database, Family family, const ScanRange& range,
         const StorageSnapshot* snapshot)
      : database_(std::move(database)),
        range_(range),
        from_(ToSlice(range_.from)),
        empty_(range_.to && Compare(range_.from, *range_.to) >= 0) {
    rocksdb::ReadOptions options = Snapshot::ReadAt(snapshot);
    options.iterate_lower_bound = &from_;
    if (range_.to) {
      to_ = ToSlice(*range_.to);
      options.iterate_upper_bound = &to_;
    }
    iterator_.reset((*database_)->NewIterator(options, database_->family(family)));
    if (empty_) return;
    if (range_.reverse) {
      iterator_->SeekToLast();
    } else {
      iterator_->SeekToFirst();
    }
  }

  bool valid() const override { return !empty_ && iterator_->Valid(); }
  ByteView key() const override { return ToView(iterator_->key()); }
  ByteView value() const override { return ToView(iterator_->value()); }
  void Next() override {
    if (range_.reverse) {
      iterator_->Prev();
    } else {
      iterator_->Next();
    }
  }
  absl::Status status() const override {
    return ToStatus(database_->path(), iterator_->status());
  }

 private:
  const std::shared_ptr<Database> database_;
  const ScanRange range_;
  const rocksdb::Slice from_;
  rocksdb::Slice to_;
  const bool empty_;
  std::unique_ptr<rocksdb::Iterator> iterator_;
};

RocksStorage::RocksStorage(std::shared_ptr<Database> database)
    : database_(std::move(database)) {}
RocksStorage::~RocksStorage() = default;

absl::StatusOr<std::unique_ptr<RocksStorage>> RocksStorage::Open(
    std::string_view path, const RocksOptions& options) {
  if (options.create) {
    WEFT_RETURN_IF_ERROR(CheckRoomToMake(path, options.room_bytes_min));
  }
  WEFT_ASSIGN_OR_RETURN(auto directory, StoreDirectory::Open(path, options.create));
  WEFT_ASSIGN_OR_RETURN(auto database, Database::Open(std::move(directory), options));
  return std::unique_ptr<RocksStorage>(new RocksStorage(std::move(database)));
}

absl::StatusOr<std::optional<Bytes>> RocksStorage::Get(
    Family family, ByteView key, const StorageSnapshot* snapshot) {
  rocksdb::PinnableSlice value;
  const auto status = (*database_)
                          ->Get(Snapshot::ReadAt(snapshot), database_->family(family),
                                ToSlice(key), &value);
  if (status.IsNotFound()) return std::nullopt;
  WEFT_RETURN_IF_ERROR(ToStatus(database_->path(), status));
  return ToBytes(ToView(value));
}

absl::StatusOr<std::vector<std::optional<Bytes>>> RocksStorage::MultiGet(
    Family family, std::span<const Bytes> keys, const StorageSnapshot* snapshot) {
  std::vector<rocksdb::Slice> slices;
  slices.reserve(keys.size());
  for (const Bytes& key : keys) slices.push_back(ToSlice(key));
  std::vector<rocksdb::PinnableSlice> found(keys.size());
  std::vector<rocksdb::Status> statuses(keys.size());
  (*database_)
      ->MultiGet(Snapshot::ReadAt(snapshot), database_->family(family), slices.size(),
                 slices.data(), found.data(), statuses.data());
  std::vector<std::optional<Bytes>> values(keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (statuses[i].IsNotFound()) continue;
    WEFT_RETURN_IF_ERROR(ToStatus(database_->path(), statuses[i]));
    values[i] = ToBytes(ToView(found[i]));
  }
  return values;
}

std::unique_ptr<StorageCursor> RocksStorage::Scan(Family family, const ScanRange& range,
                                                  const StorageSnapshot* snapshot) {
  return std::make_unique<Cursor>(database_, family, range, snapshot);
}

std::shared_ptr<const StorageSnapshot> RocksStorage::TakeSnapshot() {
  return std::make_shared<Snapshot>(database_);
}

absl::Status RocksStorage::Writable() const {
  return database_->writable();
}

absl::Status RocksStorage::Commit(const StorageBatch& batch, Durability durability) {
  WEFT_CHECK(durability != Durability::kVolatile || batch.TouchesOnly(Family::kView));
  if (durability != Durability::kVolatile) {
    WEFT_RETURN_IF_ERROR(database_->writable());
  }
  WEFT_RETURN_IF_ERROR(database_->health().status());
  rocksdb::WriteBatch changes(batch.bytes() + 16 * batch.changes().size(), 0,
                              kProtectionBytes, 0);
  for (const StorageBatch::Change& change : batch.changes()) {
    using Kind = StorageBatch::Change::Kind;
    rocksdb::ColumnFamilyHandle* family = database_->family(change.family);
    const rocksdb::Slice key = ToSlice(change.key);
    rocksdb::Status status;
    if (change.kind == Kind::kPut) {
      status = changes.Put(family, key, ToSlice(change.value));
    } else if (change.kind == Kind::kDelete) {
      status = changes.Delete(family, key);
    } else if (Compare(change.key, change.value) < 0) {
      status = changes.DeleteRange(family, key, ToSlice(change.value));
      if (change.family != Family::kView) database_->NoteDeleted(change);
    }
    WEFT_CHECK(status.ok());
  }
  rocksdb::WriteOptions options;
  options.sync = durability == Durability::kSynced;
  options.disableWAL = durability == Durability::kVolatile;
  database_->NoteWrite();
  return database_->health().Note((*database_)->Write(options, &changes));
}

absl::Status RocksStorage::Sync() {
  WEFT_RETURN_IF_ERROR(database_->health().status());
  if (database_->read_only()) return absl::OkStatus();  // nothing was written
  return database_->health().Note((*database_)->SyncWAL());
}

absl::Status RocksStorage::Flush() {
  WEFT_RETURN_IF_ERROR(Sync());
  if (database_->read_only()) return absl::OkStatus();
  rocksdb::FlushOptions now;
  now.allow_write_stall = true;
  return database_->health().Note(
      (*database_)->Flush(now, database_->family(Family::kView)));
}

absl::Status RocksStorage::Reclaim() {
  WEFT_RETURN_IF_ERROR(database_->writable());
  const std::vector<StorageBatch::Change> deleted = database_->TakeDeleted();
  if (deleted.empty()) return absl::OkStatus();
  // A log is kept as long as any family has something in it that is in memory only.
  rocksdb::FlushOptions now;
  now.allow_write_stall = true;
  WEFT_RETURN_IF_ERROR(
      database_->health().Note((*database_)->Flush(now, database_->families())));
  for (const StorageBatch::Change& range : deleted) {
    rocksdb::CompactRangeOptions options;
    options.exclusive_manual_compaction = false;
    options.bottommost_level_compaction =
        rocksdb::BottommostLevelCompaction::kForceOptimized;
    const rocksdb::Slice from = ToSlice(range.key);
    const rocksdb::Slice to = ToSlice(range.value);
    WEFT_RETURN_IF_ERROR(database_->health().Note(
        (*database_)
            ->CompactRange(options, database_->family(range.family), &from, &to)));
  }
  return absl::OkStatus();
}

}  // namespace weft
