// The lease of a store on a disk (engine/store_lease.h): the file LEASE beside the
// database, and its mirror in family kMeta.
//
// DIR/LEASE 0600 := "weft lease\n" lease:105 progress:17      (docs/formats.md)
//
// The file is made anew by each run that writes, with its first append and, in a long
// run, with the first of each minute that has some. In steps, of which a crash may
// leave out the last ones and nothing else:
//   1  LEASE.new is written and synced, and the directory with it
//   2  the mirror names both files; this goes to the disk with the append that follows
//   3  LEASE.new takes the name over, before anybody is told of that append
//   4  the old file, if another name of it is left (a backup of hard links), is wiped
// What stands between 2 and 3 is done by the next run. In between only the file's
// progress is written, in place: after each sync, and at the close of a run that has
// written. That does not wait for the disk; a progress that a power cut loses says less
// than the database has, which is an unclean start and no more.

#pragma once

#include <memory>
#include <optional>
#include <string>

#include "engine/host.h"
#include "engine/storage.h"
#include "engine/store_lease.h"

namespace weft {

class FileLease final : public StoreLease {
 public:
  // Reads the file in the directory of the store, if it is there, and the mirror.
  // `storage`, `random` and `clock` must outlive it. An error is the database's.
  static absl::StatusOr<std::unique_ptr<FileLease>> Open(const std::string& directory,
                                                         Storage* storage,
                                                         Random* random,
                                                         const Clock* clock);
  ~FileLease() override;
  FileLease(const FileLease&) = delete;
  FileLease& operator=(const FileLease&) = delete;

  LeaseVerdict Judge(std::uint64_t own_blocks) override;
  absl::Status Take(std::uint64_t own_blocks) override;
  absl::Status Appending() override;
  void Synced(std::uint64_t own_blocks) override;
  void Close(std::uint64_t own_blocks) override;

 private:
  // A file that is, or is to be, LEASE.
  struct File {
    int descriptor = -1;
    LeaseRecord record;
    LeaseProgress progress;  // as written last
  };

  FileLease(const std::string& directory, Storage* storage, Random* random,
            const Clock* clock)
      : directory_(directory), storage_(storage), random_(random), clock_(clock) {}

  absl::Status ReadFile();
  absl::StatusOr<File> MakeFile(const LeaseProgress& progress);
  absl::Status NameFile();
  absl::Status Renew(const LeaseProgress& progress, Durability durability);
  // Steps 3 and 4, if a renewal has come so far. What fails is tried again.
  void FinishRenewal();
  void WriteProgress(const LeaseProgress& progress);
  std::string PathOfFile() const { return directory_ + "/LEASE"; }
  std::string PathOfNext() const { return directory_ + "/LEASE.new"; }

  const std::string directory_;
  Storage* const storage_;    // not owned
  Random* const random_;      // not owned
  const Clock* const clock_;  // not owned
  LeaseFacts facts_;          // of the start
  File file_;                 // open while the store is
  std::optional<File> next_;  // from step 1 to step 3
  bool held_ = false;
  absl::Status refused_;       // why it is not
  std::optional<Nanos> made_;  // when this run last made it anew
  bool appending_ = false;
};

}  // namespace weft
