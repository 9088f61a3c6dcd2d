// The lease of a store: each decision by itself, and with a file on a disk.

#include "engine/store_lease.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "engine/file_lease.h"
#include "engine/key_layout.h"
#include "engine/memory_storage.h"
#include "engine/real_host.h"
#include "tests/weft/scratch.h"

namespace weft {
namespace {

using testing::HasSubstr;

Hash32 Filled(std::uint8_t byte) {
  Hash32 hash;
  hash.bytes.fill(byte);
  return hash;
}

// A store that was closed in order with 7 blocks, and is where it was.
LeaseFacts Live() {
  LeaseFacts facts;
  LeaseRecord record;
  record.nonce = Filled(1);
  record.place.inode = 10;
  record.place.birth = 20;
  record.place.file_system = 30;
  record.place.device = 40;
  record.place.machine = Filled(2);
  facts.row = LeaseRow{record, std::nullopt};
  facts.file_exists = true;
  facts.file = record;
  facts.here = record.place;
  facts.progress = LeaseProgress{false, 7};
  facts.own_blocks = 7;
  return facts;
}

LeaseStart StartOf(const LeaseFacts& facts) {
  return JudgeLease(facts).start;
}

TEST(Lease, A2_AStoreThatStaysWhereItIsIsTheLiveOne) {
  EXPECT_EQ(StartOf(Live()), LeaseStart::kLive);
}

TEST(Lease, A2_AStoreOfBeforeThereWereLeasesGetsOne) {
  LeaseFacts facts;
  facts.own_blocks = 7;
  EXPECT_EQ(StartOf(facts), LeaseStart::kFresh);
  // A crash between the file and the database.
  facts = Live();
  facts.row.reset();
  EXPECT_EQ(StartOf(facts), LeaseStart::kFresh);
}

TEST(Lease, A2_ACopyIsKnownByItsInodeOrItsTimeOfBirth) {
  LeaseFacts facts = Live();
  facts.here.inode = 11;
  EXPECT_EQ(StartOf(facts), LeaseStart::kForeign);
  EXPECT_THAT(JudgeLease(facts).reason, HasSubstr("copy"));
  facts = Live();
  facts.here.birth = 21;  // the inode was given out again
  EXPECT_EQ(StartOf(facts), LeaseStart::kForeign);
}

TEST(Lease, A2_AnotherFileSystemOrMachineIsToldByName) {
  LeaseFacts facts = Live();
  facts.here.file_system = 31;
  EXPECT_THAT(JudgeLease(facts).reason, HasSubstr("file system"));
  facts = Live();
  facts.here.machine = Filled(3);
  EXPECT_THAT(JudgeLease(facts).reason, HasSubstr("machine"));
}

TEST(Lease, A2_WhatTheSystemDoesNotSayIsNoReason) {
  LeaseFacts facts = Live();
  facts.here.birth = 0;
  facts.here.file_system = 0;
  facts.here.machine = Hash32();
  EXPECT_EQ(StartOf(facts), LeaseStart::kLive);
}

TEST(Lease, A2_TheDeviceNumberIsAHintAndNoReason) {
  LeaseFacts facts = Live();
  facts.here.device = 41;
  EXPECT_EQ(StartOf(facts), LeaseStart::kLive);
  facts.here.inode = 11;
  EXPECT_THAT(JudgeLease(facts).reason, HasSubstr("another device"));
}

TEST(Lease, A2_AFileThatIsMissingDamagedOrOfAnotherStoreIsNoLease) {
  LeaseFacts facts = Live();
  facts.file_exists = false;
  facts.file.reset();
  facts.progress.reset();
  EXPECT_THAT(JudgeLease(facts).reason, HasSubstr("missing"));
  facts.file_exists = true;
  EXPECT_THAT(JudgeLease(facts).reason, HasSubstr("damaged"));
  facts = Live();
  facts.row->held.nonce = Filled(9);
  EXPECT_EQ(StartOf(facts), LeaseStart::kForeign);
}

TEST(Lease, A2_ADatabaseThatWasSetBackIsForeignEvenWhereItIs) {
  LeaseFacts facts = Live();
  facts.own_blocks = 6;
  EXPECT_EQ(StartOf(facts), LeaseStart::kForeign);
  EXPECT_THAT(JudgeLease(facts).reason, HasSubstr("6 blocks"));
  facts.row.reset();  // to a time before there were leases
  EXPECT_EQ(StartOf(facts), LeaseStart::kForeign);
}

TEST(Lease, A3_ARunThatWasNotClosedInOrderIsAnUncleanStart) {
  LeaseFacts facts = Live();
  facts.progress->open = true;
  EXPECT_EQ(StartOf(facts), LeaseStart::kUnclean);
  facts = Live();
  facts.own_blocks = 8;  // a power cut kept the log, and not what the file says of it
  EXPECT_EQ(StartOf(facts), LeaseStart::kUnclean);
  facts = Live();
  facts.progress.reset();  // torn
  EXPECT_EQ(StartOf(facts), LeaseStart::kUnclean);
}

TEST(Lease, TheBytesAreThoseOfTheFormats) {
  const LeaseRecord record = Live().row->held;
  const Bytes bytes = EncodeLease(record);
  EXPECT_EQ(ToHex(bytes),
            "01"
            "0101010101010101010101010101010101010101010101010101010101010101"
            "0a00000000000000"
            "1400000000000000"
            "1e00000000000000"
            "2800000000000000"
            "0202020202020202020202020202020202020202020202020202020202020202");
  EXPECT_EQ(bytes.size(), kLeaseRecordBytes);
  EXPECT_EQ(DecodeLease(bytes), record);
  Bytes newer = bytes;
  newer[0] = 2;
  EXPECT_FALSE(DecodeLease(newer));
  const Bytes progress = EncodeLeaseProgress(record.nonce, {true, 7});
  EXPECT_EQ(progress.size(), kLeaseProgressBytes);
  EXPECT_EQ(ToHex(ByteView(progress).first(9)), "010700000000000000");
  EXPECT_EQ(DecodeLeaseProgress(record.nonce, progress), (LeaseProgress{true, 7}));
  EXPECT_FALSE(DecodeLeaseProgress(Filled(9), progress)) << "of another lease";
}

TEST(Lease, TheDatabaseNamesOneFileOrTwo) {
  LeaseRow row = *Live().row;
  EXPECT_EQ(EncodeLeaseRow(row), EncodeLease(row.held));
  EXPECT_EQ(DecodeLeaseRow(EncodeLeaseRow(row)), row);
  row.next = row.held;
  row.next->nonce = Filled(3);
  Bytes bytes = EncodeLeaseRow(row);
  EXPECT_EQ(bytes.size(), 2 * kLeaseRecordBytes);
  EXPECT_EQ(DecodeLeaseRow(bytes), row);
  bytes[kLeaseRecordBytes] = 2;  // its version
  EXPECT_FALSE(DecodeLeaseRow(bytes));
  bytes.pop_back();
  EXPECT_FALSE(DecodeLeaseRow(bytes));
}

TEST(Lease, A2_WhileItIsMadeAnewEitherFileIsTheLiveOneAndNoThird) {
  LeaseFacts facts = Live();
  LeaseRecord next = facts.row->held;
  next.nonce = Filled(3);
  next.place.inode = 11;
  facts.row->next = next;
  EXPECT_EQ(StartOf(facts), LeaseStart::kLive);
  facts.file = next;
  facts.here = next.place;
  EXPECT_EQ(StartOf(facts), LeaseStart::kLive);
  facts.file->nonce = Filled(4);
  EXPECT_THAT(JudgeLease(facts).reason, HasSubstr("one time"));
}

TEST(Lease, A2_AnOlderCopyInTheVeryFileSaysWhereAnOlderOneWasMade) {
  LeaseFacts facts = Live();  // file and database of the copy
  facts.here.inode = 11;      // the file of today, which was written over
  EXPECT_EQ(StartOf(facts), LeaseStart::kForeign);
}

// --- on a disk ---

class LeaseOnDisk : public testing::Test {
 protected:
  LeaseOnDisk() : directory_(scratch_ / "store") {
    std::filesystem::create_directory(directory_);
  }

  LeaseVerdict Open(const std::string& directory, std::uint64_t blocks) {
    lease_.reset();
    lease_ = *FileLease::Open(directory, &storage_, &random_, &clock_);
    return lease_->Judge(blocks);
  }
  // A new store that was closed with so many blocks.
  void Found(std::uint64_t blocks) {
    Open(directory_, 0);
    ASSERT_TRUE(lease_->Take(0).ok());
    Run(blocks, true);
  }
  // One run of the store that writes until it has `to` blocks.
  void Run(std::uint64_t to, bool closed) {
    ASSERT_TRUE(lease_->Appending().ok());
    lease_->Synced(to);
    if (closed) lease_->Close(to);
  }
  std::string FilePath() const { return directory_ + "/LEASE"; }
  ino_t Inode() const {
    struct stat info {};
    EXPECT_EQ(::stat(FilePath().c_str(), &info), 0);
    return info.st_ino;
  }
  Bytes Row() { return *storage_.Get(Family::kMeta, keys::Lease(), nullptr).value(); }
  void SetRow(const Bytes& row) {
    StorageBatch batch;
    batch.Put(Family::kMeta, keys::Lease(), row);
    ASSERT_TRUE(storage_.Commit(batch, Durability::kSynced).ok());
  }
  // File and mirror as they are, to be put back as cp does it: into the same inode.
  struct Backup {
    std::string file;
    Bytes row;
  };
  Backup TakeBackup() {
    std::ifstream in(FilePath(), std::ios::binary);
    return {std::string(std::istreambuf_iterator<char>(in), {}), Row()};
  }
  void PutBack(const Backup& backup) {
    std::ofstream(FilePath(), std::ios::binary | std::ios::trunc) << backup.file;
    SetRow(backup.row);
  }

  // Moves by hand.
  class HandClock final : public Clock {
   public:
    Nanos Now() const override { return now; }
    Nanos Steady() const override { return now; }
    Nanos now{0};
  };

  Scratch scratch_;
  std::string directory_;
  MemoryStorage storage_;
  SystemRandom random_;
  HandClock clock_;
  std::unique_ptr<FileLease> lease_;
};

TEST_F(LeaseOnDisk, A2_ALeaseIsTakenOnceAndHoldsAfterwards) {
  EXPECT_EQ(Open(directory_, 0).start, LeaseStart::kFresh);
  ASSERT_TRUE(lease_->Take(0).ok());
  Run(3, true);
  EXPECT_EQ(Open(directory_, 3).start, LeaseStart::kLive);
  struct stat info {};
  ASSERT_EQ(::stat((directory_ + "/LEASE").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600U);
}

TEST_F(LeaseOnDisk, A2_RenamingTheDirectoryKeepsItAndCopyingItDoesNot) {
  Open(directory_, 0);
  ASSERT_TRUE(lease_->Take(0).ok());
  const std::string moved = scratch_ / "moved";
  std::filesystem::rename(directory_, moved);
  EXPECT_EQ(Open(moved, 0).start, LeaseStart::kLive);
  const std::string copy = scratch_ / "copy";
  std::filesystem::copy(moved, copy, std::filesystem::copy_options::recursive);
  EXPECT_EQ(Open(copy, 0).start, LeaseStart::kForeign);
  EXPECT_EQ(Open(moved, 0).start, LeaseStart::kLive) << "the copy took nothing";
}

TEST_F(LeaseOnDisk, A3_ARunThatDiesIsSeenAtTheNextStartAndNotLater) {
  Open(directory_, 0);
  ASSERT_TRUE(lease_->Take(0).ok());
  Run(3, false);
  EXPECT_EQ(Open(directory_, 3).start, LeaseStart::kUnclean);
  // Nothing is written in this run.
  lease_->Close(3);
  EXPECT_EQ(Open(directory_, 3).start, LeaseStart::kUnclean);
  Run(4, true);
  EXPECT_EQ(Open(directory_, 4).start, LeaseStart::kLive);
}

TEST_F(LeaseOnDisk, A2_ADatabasePutBackBesideItsLeaseIsForeign) {
  Open(directory_, 0);
  ASSERT_TRUE(lease_->Take(0).ok());
  Run(9, true);
  EXPECT_EQ(Open(directory_, 5).start, LeaseStart::kForeign);
  ASSERT_TRUE(lease_->Take(5).ok());
  EXPECT_EQ(Open(directory_, 5).start, LeaseStart::kLive);
}

TEST_F(LeaseOnDisk, A2_AnOlderCopyWrittenOverTheVeryFilesIsForeign) {
  Found(3);
  const Backup old = TakeBackup();
  ASSERT_EQ(Open(directory_, 3).start, LeaseStart::kLive);
  Run(9, true);
  const ino_t inode = Inode();
  PutBack(old);
  ASSERT_EQ(Inode(), inode);
  EXPECT_EQ(Open(directory_, 3).start, LeaseStart::kForeign);
}

TEST_F(LeaseOnDisk, A2_ACopyOfAnHourAgoIsForeignThoughTheRunIsTheSame) {
  Found(3);
  ASSERT_EQ(Open(directory_, 3).start, LeaseStart::kLive);
  Run(4, false);
  const Backup old = TakeBackup();
  clock_.now += std::chrono::hours(1);
  Run(9, false);  // and dies
  PutBack(old);
  EXPECT_EQ(Open(directory_, 4).start, LeaseStart::kForeign);
}

TEST_F(LeaseOnDisk, A2_ABackupOfHardLinksIsForeign) {
  Found(3);
  const Bytes row = Row();
  const std::string linked = scratch_ / "linked";
  std::filesystem::create_hard_link(FilePath(), linked);
  EXPECT_EQ(Open(directory_, 3).start, LeaseStart::kLive) << "the original goes on";
  Run(9, true);
  EXPECT_EQ(Open(directory_, 9).start, LeaseStart::kLive);
  std::filesystem::rename(linked, FilePath());  // the inode of old
  SetRow(row);
  EXPECT_EQ(Open(directory_, 3).start, LeaseStart::kForeign);
}

TEST_F(LeaseOnDisk, A2_ARunThatOnlyReadsMakesNothingAnew) {
  Found(3);
  const ino_t inode = Inode();
  const Bytes row = Row();
  ASSERT_EQ(Open(directory_, 3).start, LeaseStart::kLive);
  lease_->Synced(3);
  lease_->Close(3);
  EXPECT_EQ(Inode(), inode);
  EXPECT_EQ(Row(), row);
}

TEST_F(LeaseOnDisk, A2_ItIsMadeAnewOnceARunAndOnceAMinute) {
  Found(3);
  const ino_t first = Inode();
  ASSERT_EQ(Open(directory_, 3).start, LeaseStart::kLive);
  Run(4, false);
  const Bytes second = Row();
  EXPECT_NE(Inode(), first);
  for (std::uint64_t blocks = 5; blocks < 9; ++blocks) Run(blocks, false);
  EXPECT_EQ(Row(), second);
  clock_.now += std::chrono::minutes(1);
  Run(9, true);
  EXPECT_NE(Row(), second);
  EXPECT_EQ(Open(directory_, 9).start, LeaseStart::kLive);
}

// The steps are: the new file, the mirror, the append, the sync of both, the name. A
// process dies with all that it did; a power cut takes what was not synced.
TEST_F(LeaseOnDisk, A2_ACrashBetweenAnyTwoStepsLeavesTheStoreTheLiveOne) {
  Found(3);
  const Bytes before = Row();
  ASSERT_EQ(Open(directory_, 3).start, LeaseStart::kLive);
  const ino_t old = Inode();
  ASSERT_TRUE(lease_->Appending().ok());
  EXPECT_EQ(Inode(), old) << "the name goes over only after a sync";
  const Bytes during = Row();
  EXPECT_NE(during, before);
  // A power cut before the sync takes the mirror and the append.
  SetRow(before);
  EXPECT_EQ(Open(directory_, 3).start, LeaseStart::kUnclean);
  EXPECT_EQ(Inode(), old);
  EXPECT_EQ(Row(), before) << "nothing is left to be finished";
  // The process dies after the mirror, before the append.
  ASSERT_TRUE(lease_->Appending().ok());
  EXPECT_EQ(Open(directory_, 3).start, LeaseStart::kUnclean);
  const ino_t finished = Inode();
  EXPECT_NE(finished, old) << "the next run finishes what it finds";
  EXPECT_EQ(Open(directory_, 3).start, LeaseStart::kUnclean);
  EXPECT_EQ(Inode(), finished) << "and does so once";
  // It dies after the append, or the sync, before the name.
  ASSERT_TRUE(lease_->Appending().ok());
  EXPECT_EQ(Open(directory_, 4).start, LeaseStart::kUnclean);
  EXPECT_NE(Inode(), finished);
  // It dies after the name.
  Run(5, false);
  EXPECT_EQ(Open(directory_, 5).start, LeaseStart::kUnclean);
  Run(6, true);
  EXPECT_EQ(Open(directory_, 6).start, LeaseStart::kLive);
}

TEST_F(LeaseOnDisk, WhereTheLeaseCannotBeTakenOrMadeAnewNothingIsAppended) {
  EXPECT_FALSE(Open(directory_, 0).start == LeaseStart::kLive);
  EXPECT_EQ(lease_->Appending().code(), absl::StatusCode::kFailedPrecondition);
  std::filesystem::create_directories(FilePath() + ".new");  // in the way
  EXPECT_FALSE(lease_->Take(0).ok());
  EXPECT_THAT(std::string(lease_->Appending().message()), HasSubstr("LEASE.new"));
  std::filesystem::remove(FilePath() + ".new");
  Found(3);
  Open(directory_, 3);
  std::filesystem::create_directories(FilePath() + ".new");
  EXPECT_FALSE(lease_->Appending().ok());
  std::filesystem::remove(FilePath() + ".new");
  EXPECT_TRUE(lease_->Appending().ok()) << "there is room again";
}

TEST_F(LeaseOnDisk, ADirectoryThatCannotBeWrittenToGivesNoLease) {
  Open(scratch_ / "not/there", 0);
  EXPECT_FALSE(lease_->Take(0).ok());
  EXPECT_FALSE(*storage_.Get(Family::kMeta, keys::Lease(), nullptr));
}

}  // namespace
}  // namespace weft
