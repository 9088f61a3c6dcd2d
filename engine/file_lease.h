// The lease of a store on a disk (engine/store_lease.h): the file LEASE beside the
// database, and its mirror in family kMeta.
//
// DIR/LEASE 0600 := "weft lease\n" lease:105 progress:17      (docs/formats.md)
//
// The file is made once in a store's life, and again for a copy. Later on only its
// progress is written, in place: once before the first write of a run, after each sync,
// and at the close of a run that has written. None of these waits for the disk; a
// progress that a power cut loses says less than the database has, which is an unclean
// start and no more.

#pragma once

#include <memory>
#include <string>

#include "engine/host.h"
#include "engine/storage.h"
#include "engine/store_lease.h"

namespace weft {

class FileLease final : public StoreLease {
 public:
  // Reads the file in the directory of the store, if it is there, and the mirror.
  // `storage` and `random` must outlive it. An error is the database's.
  static absl::StatusOr<std::unique_ptr<FileLease>> Open(const std::string& directory,
                                                         Storage* storage,
                                                         Random* random);
  ~FileLease() override;
  FileLease(const FileLease&) = delete;
  FileLease& operator=(const FileLease&) = delete;

  LeaseVerdict Judge(std::uint64_t own_blocks) override;
  absl::Status Take(std::uint64_t own_blocks) override;
  void Appending() override;
  void Synced(std::uint64_t own_blocks) override;
  void Close(std::uint64_t own_blocks) override;

 private:
  FileLease(const std::string& directory, Storage* storage, Random* random)
      : directory_(directory), storage_(storage), random_(random) {}

  absl::Status ReadFile();
  absl::Status WriteFile(const LeaseProgress& progress);
  void WriteProgress(const LeaseProgress& progress);

  const std::string directory_;
  Storage* const storage_;  // not owned
  Random* const random_;    // not owned
  int file_ = -1;           // open while the store is
  LeaseFacts facts_;
  Hash32 nonce_;  // of the lease that is held
  bool held_ = false;
  bool appending_ = false;
  LeaseProgress written_;
};

}  // namespace weft
