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
  facts.row = record;
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
  facts.row->nonce = Filled(9);
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
  const LeaseRecord record = *Live().row;
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

// --- on a disk ---

class LeaseOnDisk : public testing::Test {
 protected:
  LeaseOnDisk() : directory_(scratch_ / "store") {
    std::filesystem::create_directory(directory_);
  }

  LeaseVerdict Open(const std::string& directory, std::uint64_t blocks) {
    lease_.reset();
    lease_ = *FileLease::Open(directory, &storage_, &random_);
    return lease_->Judge(blocks);
  }
  // One run of the store that writes until it has `to` blocks.
  void Run(std::uint64_t to, bool closed) {
    lease_->Appending();
    lease_->Synced(to);
    if (closed) lease_->Close(to);
  }

  Scratch scratch_;
  std::string directory_;
  MemoryStorage storage_;
  SystemRandom random_;
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

TEST_F(LeaseOnDisk, ADirectoryThatCannotBeWrittenToGivesNoLease) {
  Open(scratch_ / "not/there", 0);
  EXPECT_FALSE(lease_->Take(0).ok());
  EXPECT_FALSE(*storage_.Get(Family::kMeta, keys::Lease(), nullptr));
}

}  // namespace
}  // namespace weft
