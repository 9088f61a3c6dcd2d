// Envelopes: rules S4, S7, S8, C2, C4 and the numbering of D8.

#include "crdt/envelope.h"

#include "tests/crdt/authors.h"
#include "tests/crdt/raw_envelope.h"

namespace weft {
namespace {

CoreKey Key(std::uint8_t byte) {
  CoreKey key;
  key.bytes.fill(byte);
  return key;
}

using Raw = RawEnvelope;

// The first block of a log that cites founder 0.
Raw First() {
  Raw raw;
  raw.new_grants = {GenesisGrantId(0)};
  return raw;
}

// Any later block.
Raw Next(std::uint64_t ms) {
  Raw raw;
  raw.ms = ms;
  return raw;
}

class EnvelopeTest : public testing::Test {
 protected:
  BlockHeader Read(const Raw& raw) { return log_.Read(raw.Encode(), limits_); }
  // Invalid, and nothing of the envelope counts.
  void ExpectUndecodable(const Raw& raw, const char* why) {
    LogState log = log_;
    const BlockHeader header = log.Read(raw.Encode(), limits_);
    EXPECT_EQ(header.state, BlockState::kInvalid) << why;
    EXPECT_FALSE(header.envelope.has_value()) << why;
    EXPECT_EQ(log.position(), log_.position() + 1) << why;
    EXPECT_EQ(log.last_hlc(), log_.last_hlc()) << why;
  }
  // Invalid, and the envelope counts.
  void ExpectInvalid(const Raw& raw, const char* why) {
    LogState log = log_;
    const BlockHeader header = log.Read(raw.Encode(), limits_);
    EXPECT_EQ(header.state, BlockState::kInvalid) << why;
    EXPECT_TRUE(header.envelope.has_value()) << why;
  }

  Limits limits_;
  LogState log_{Key(0x42)};
};

TEST_F(EnvelopeTest, S4_BytesOfALogAreFrozen) {
  const auto vectors = CrdtVectors()["log"];
  const CoreKey w1 = Fixed<CoreKey>(vectors["w1"]);
  const CoreKey w2 = Fixed<CoreKey>(vectors["w2"]);
  LogState log(Fixed<CoreKey>(vectors["writer"]));
  std::vector<DecodedBlock> blocks;
  for (const auto& text : vectors["blocks"]) {
    const Bytes bytes = Hex(text);
    const LogState before = log;
    blocks.push_back(DecodeBlock(log, bytes, limits_));
    const BlockHeader& header = blocks.back().header;
    ASSERT_EQ(header.state, BlockState::kValid) << header.reason;
    // Our own encoder writes the same envelope.
    const auto again = EncodeEnvelope(before, *header.envelope, limits_);
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(*again, ToBytes(ByteView(bytes).first(header.payload_offset)));
  }
  const Envelope& data = *blocks[0].header.envelope;
  EXPECT_EQ(data.kind, BlockKind::kData);
  EXPECT_EQ(data.cite, GenesisGrantId(0));
  EXPECT_EQ(data.hlc, (Hlc{1'700'000'000'000, 0}));
  EXPECT_TRUE(blocks[0].header.ends_batch);
  EXPECT_EQ(blocks[0].payload.operations.size(), 5U);

  const Envelope& auth = *blocks[1].header.envelope;
  EXPECT_EQ(auth.kind, BlockKind::kAuth);
  ASSERT_EQ(auth.deps.size(), 2U);
  EXPECT_EQ(auth.deps[0].writer, w2);
  EXPECT_EQ(auth.deps[0].length, 7U);
  EXPECT_EQ(auth.deps[1].writer, w1);
  EXPECT_EQ(auth.deps[1].length, 300U);
  EXPECT_FALSE(auth.last_auth.has_value());
  EXPECT_FALSE(blocks[1].header.ends_batch);
  EXPECT_EQ(blocks[2].header.envelope->last_auth, 1U);
  EXPECT_TRUE(blocks[2].header.ends_batch);

  const Envelope& ack = *blocks[3].header.envelope;
  EXPECT_EQ(ack.cite, (OpId{w1, 299, 4}));
  EXPECT_EQ(ack.cite_named, 301U);
  EXPECT_EQ(ack.last_auth, 2U);
  EXPECT_EQ(log.named(w2), 7U);
  EXPECT_EQ(log.last_hlc(), (Hlc{1'700'000'000'002, 65'535}));
}

TEST_F(EnvelopeTest, S4_WhatBreaksTheGrammarCountsForNothing) {
  Raw first = First();
  first.new_writers = {Key(1), Key(2)};
  first.deps = {{0, 5}, {1, 6}};
  ASSERT_EQ(Read(first).state, BlockState::kValid);

  Raw raw = Next(2'000);
  raw.cite = 1;
  ExpectUndecodable(raw, "cite of no table entry");
  raw = Next(2'000);
  raw.new_grants = {GenesisGrantId(1)};
  ExpectUndecodable(raw, "a grant entry that cite does not use");
  raw.cite = 1;
  raw.new_grants = {GenesisGrantId(1), GenesisGrantId(2)};
  ExpectUndecodable(raw, "two grant entries");
  raw.new_grants = {GenesisGrantId(0)};
  ExpectUndecodable(raw, "a grant entry again");
  raw = Next(2'000);
  raw.new_writers = {Key(3)};
  ExpectUndecodable(raw, "a writer entry that no dep uses");
  raw.new_writers = {Key(1)};
  raw.deps = {{2, 1}};
  ExpectUndecodable(raw, "a writer entry again");
  raw.new_writers = {Key(3), Key(3)};
  raw.deps = {{2, 1}, {3, 1}};
  ExpectUndecodable(raw, "a writer entry twice");
  raw = Next(2'000);
  raw.deps = {{2, 1}};
  ExpectUndecodable(raw, "a dep on no table entry");
  raw.deps = {{1, 1}, {0, 1}};
  ExpectUndecodable(raw, "deps out of order");
  raw.deps = {{1, 1}, {1, 2}};
  ExpectUndecodable(raw, "deps twice on one writer");
  raw.deps = {{1, 0}};
  ExpectUndecodable(raw, "a dep of length 0");
}

TEST_F(EnvelopeTest, C2_ADepOnTheOwnLogIsAnInvalidBlock) {
  ASSERT_EQ(Read(First()).state, BlockState::kValid);
  for (const std::uint64_t length : {1, 2, 3, 1'000}) {
    Raw raw = Next(2'000);
    raw.new_writers = {log_.writer()};
    raw.deps = {{0, length}};
    ExpectUndecodable(raw, "own log");
  }
}

TEST_F(EnvelopeTest, S7_TimeOutOfRangeAndTooManyDepsCountForNothing) {
  Raw raw = First();
  raw.ms = kHlcMsEnd;
  ExpectUndecodable(raw, "ms");
  raw = First();
  raw.counter = kHlcCounterEnd;
  ExpectUndecodable(raw, "counter");
  raw = First();
  for (std::uint8_t i = 0; i < 65; ++i) {
    raw.new_writers.push_back(Key(i));
    raw.deps.emplace_back(i, 1);
  }
  ExpectUndecodable(raw, "65 deps");
  raw.new_writers.pop_back();
  raw.deps.pop_back();
  EXPECT_EQ(Read(raw).state, BlockState::kValid);
}

TEST_F(EnvelopeTest, S7_LoweredLimitsMakeTheBlockInvalidAndItsEnvelopeStillCounts) {
  limits_.deps = 1;
  limits_.batch_blocks = 3;
  Raw raw = First();
  raw.new_writers = {Key(1), Key(2)};
  raw.deps = {{0, 1}, {1, 1}};
  ExpectInvalid(raw, "2 deps");
  raw = First();
  raw.batch_count = 4;
  ExpectInvalid(raw, "4 blocks");
  limits_.block_bytes = 10;
  ExpectInvalid(First(), "10 bytes");
}

TEST_F(EnvelopeTest, S7_ABatchOfMoreBlocksThanTheLimitOpensNoBatch) {
  limits_.batch_blocks = 3;
  Raw raw = First();
  raw.batch_count = 4;
  EXPECT_FALSE(Read(raw).in_batch);
  EXPECT_FALSE(log_.open_batch().has_value());
  raw = Next(2'000);
  raw.batch_index = 1;
  raw.batch_count = 4;
  const BlockHeader second = Read(raw);
  EXPECT_EQ(second.state, BlockState::kInvalid);
  EXPECT_FALSE(second.in_batch);
  EXPECT_FALSE(second.breaks_open_batch);
  raw = Next(3'000);
  raw.batch_count = 3;
  EXPECT_TRUE(Read(raw).in_batch);
  EXPECT_EQ(log_.open_batch(), 2U);
}

TEST_F(EnvelopeTest, S5_UnknownFlagsAreInvalid) {
  Raw raw = First();
  raw.flags = 1;
  ExpectInvalid(raw, "flags");
}

TEST_F(EnvelopeTest, S7_AStampMustBeAboveAllEarlierOnesOfTheLog) {
  ASSERT_EQ(Read(First()).state, BlockState::kValid);
  EXPECT_EQ(Read(Next(1'000)).state, BlockState::kInvalid);
  EXPECT_EQ(Read(Next(5'000)).state, BlockState::kValid);
  EXPECT_EQ(Read(Next(2'000)).state, BlockState::kInvalid);
  EXPECT_EQ(Read(Next(3'000)).state, BlockState::kInvalid)
      << "an invalid block does not turn the log's time back";
  EXPECT_EQ(Read(Next(5'001)).state, BlockState::kValid);
}

TEST_F(EnvelopeTest, C4_AWrongLastAuthIsInvalid) {
  Raw raw = First();
  raw.kind = 2;
  ASSERT_EQ(Read(raw).state, BlockState::kValid);
  ExpectInvalid(Next(2'000), "none, and there is one");
  raw = Next(2'000);
  raw.last_auth = 2;
  ExpectInvalid(raw, "not that position");
  raw.last_auth = 1;
  EXPECT_EQ(Read(raw).state, BlockState::kValid);
}

TEST_F(EnvelopeTest, S8_UnknownFormatVersionAndKindParkTheLogFromThere) {
  for (const int which : {0, 1, 2}) {
    log_ = LogState(Key(0x42));
    ASSERT_EQ(Read(First()).state, BlockState::kValid);
    Raw raw = Next(2'000);
    raw.new_writers = {Key(1)};
    raw.deps = {{0, 9}};
    if (which == 0) raw.format = 2;
    if (which == 1) raw.sem_version = 2;
    if (which == 2) raw.kind = 5;
    raw.flags = 0x80;  // nothing else is judged
    const BlockHeader header = Read(raw);
    EXPECT_EQ(header.state, BlockState::kParked);
    ASSERT_TRUE(header.envelope.has_value());
    EXPECT_EQ(header.envelope->deps.size(), 1U) << "still counts for happens-before";
    EXPECT_EQ(log_.parked(), 1U);
    EXPECT_EQ(Read(Next(3'000)).state, BlockState::kParked);
    EXPECT_EQ(log_.parked(), 1U);
    EXPECT_EQ(log_.named(Key(1)), 9U);
  }
}

TEST_F(EnvelopeTest, S8_AnUnknownFormatWhoseEnvelopeIsForeignParksToo) {
  const BlockHeader header = log_.Read(Bytes{9, 1, 2, 3}, limits_);
  EXPECT_EQ(header.state, BlockState::kParked);
  EXPECT_FALSE(header.envelope.has_value());
  EXPECT_EQ(LogState(Key(1)).Read(Bytes{}, limits_).state, BlockState::kInvalid);
}

TEST_F(EnvelopeTest, S8_AParkedBlockInsideABatchTakesNoPlaceInIt) {
  Raw raw = First();
  raw.batch_count = 3;
  Read(raw);
  raw = Next(2'000);
  raw.batch_index = 1;
  raw.batch_count = 3;
  raw.sem_version = 2;
  const BlockHeader header = Read(raw);
  EXPECT_FALSE(header.in_batch || header.ends_batch || header.breaks_open_batch);
}

TEST_F(EnvelopeTest, D8_ABatchIsNumberedWithoutAGap) {
  const auto block = [this](std::uint64_t ms, std::uint64_t index,
                            std::uint64_t count) {
    Raw raw = log_.position() == 0 ? First() : Next(ms);
    raw.batch_index = index;
    raw.batch_count = count;
    return Read(raw);
  };
  BlockHeader header = block(1, 0, 3);
  EXPECT_TRUE(header.in_batch && !header.ends_batch && !header.breaks_open_batch);
  EXPECT_EQ(log_.open_batch(), 0U);
  header = block(2'000, 1, 3);
  EXPECT_TRUE(header.in_batch && !header.ends_batch);
  header = block(3'000, 2, 3);
  EXPECT_TRUE(header.ends_batch);
  EXPECT_FALSE(log_.open_batch().has_value());

  header = block(4'000, 1, 3);  // continues nothing
  EXPECT_EQ(header.state, BlockState::kInvalid);
  EXPECT_FALSE(header.in_batch || header.breaks_open_batch);

  block(5'000, 0, 3);
  header = block(6'000, 2, 3);  // skips one
  EXPECT_EQ(header.state, BlockState::kInvalid);
  EXPECT_TRUE(header.breaks_open_batch);
  EXPECT_FALSE(header.in_batch);

  block(7'000, 0, 3);
  header = block(8'000, 1, 4);  // another count
  EXPECT_TRUE(header.breaks_open_batch);

  block(9'000, 0, 2);
  header = block(10'000, 0, 2);  // starts anew
  EXPECT_EQ(header.state, BlockState::kValid);
  EXPECT_TRUE(header.breaks_open_batch && header.in_batch);
  EXPECT_EQ(log_.open_batch(), 9U);

  header = log_.Read(Bytes{1, 1}, limits_);  // cannot be decoded
  EXPECT_TRUE(header.breaks_open_batch);
  header = block(11'000, 0, 0);
  EXPECT_EQ(header.state, BlockState::kInvalid);
}

TEST_F(EnvelopeTest, P1_NamingCountsDepsOfThisAndEarlierBlocksAndTheOwnLog) {
  Raw raw = First();
  raw.new_writers = {Key(1)};
  raw.deps = {{0, 5}};
  raw.new_grants = {OpId{Key(1), 3, 0}};
  EXPECT_EQ(Read(raw).envelope->cite_named, 5U);
  EXPECT_EQ(Read(Next(2'000)).envelope->cite_named, 5U);
  raw = Next(3'000);
  raw.deps = {{0, 4}};
  EXPECT_EQ(Read(raw).envelope->cite_named, 5U) << "a shorter dep takes nothing back";
  raw = Next(4'000);
  raw.deps = {{0, 8}};
  EXPECT_EQ(Read(raw).envelope->cite_named, 8U);
  raw = Next(5'000);
  raw.cite = 1;
  raw.new_grants = {OpId{log_.writer(), 2, 0}};
  EXPECT_EQ(Read(raw).envelope->cite_named, 4U) << "the own log up to this block";
  raw = Next(6'000);
  raw.cite = 2;
  raw.new_grants = {OpId{Key(7), 2, 0}};
  EXPECT_EQ(Read(raw).envelope->cite_named, 0U);
}

TEST_F(EnvelopeTest, ASavedLogStateGoesOnAsIfItHadNeverBeenSaved) {
  Raw raw = First();
  raw.kind = 2;
  raw.new_writers = {Key(1), Key(2)};
  raw.deps = {{0, 5}, {1, 1}};
  raw.batch_count = 2;
  Read(raw);
  const auto restored = LogState::Restore(log_.writer(), log_.Save());
  ASSERT_TRUE(restored.ok()) << restored.status();
  EXPECT_EQ(restored->Save(), log_.Save());
  raw = Next(2'000);
  raw.batch_index = 1;
  raw.batch_count = 2;
  raw.last_auth = 1;
  LogState again = *restored;
  EXPECT_EQ(again.Read(raw.Encode(), limits_).state, BlockState::kValid);
  const Bytes saved = log_.Save();
  for (std::size_t size = 0; size < saved.size(); ++size) {
    EXPECT_FALSE(LogState::Restore(log_.writer(), ByteView(saved).first(size)).ok());
  }
}

TEST_F(EnvelopeTest, AnAuthorIsRefusedWhatHisLogWouldNotAccept) {
  Envelope envelope;
  envelope.kind = BlockKind::kAck;
  envelope.hlc = {1'000, 0};
  envelope.cite = GenesisGrantId(0);
  ASSERT_TRUE(EncodeEnvelope(log_, envelope, limits_).ok());
  log_.Read(*EncodeEnvelope(log_, envelope, limits_), limits_);
  EXPECT_FALSE(EncodeEnvelope(log_, envelope, limits_).ok()) << "the same stamp";
  envelope.hlc.ms = 2'000;
  EXPECT_TRUE(EncodeEnvelope(log_, envelope, limits_).ok());
  envelope.deps = {{log_.writer(), 1, {}}};
  EXPECT_FALSE(EncodeEnvelope(log_, envelope, limits_).ok()) << "the own log";
  envelope.deps = {{Key(1), 1, {}}, {Key(1), 2, {}}};
  EXPECT_FALSE(EncodeEnvelope(log_, envelope, limits_).ok()) << "a writer twice";
  envelope.deps = {{Key(1), 0, {}}};
  EXPECT_FALSE(EncodeEnvelope(log_, envelope, limits_).ok()) << "length 0";
  envelope.deps.clear();
  envelope.batch_index = 1;
  envelope.batch_count = 2;
  EXPECT_FALSE(EncodeEnvelope(log_, envelope, limits_).ok()) << "no batch is open";
}

}  // namespace
}  // namespace weft
