// Batches: from operations to blocks and back, rules D8 and S7.

#include "crdt/batch.h"

#include <gmock/gmock.h>

#include "tests/crdt/authors.h"

namespace weft {
namespace {

using testing::HasSubstr;

class BatchTest : public testing::Test {
 protected:
  CommitHeader Header(std::vector<Dep> deps = {}) const {
    return {*NextHlc(ada_.log().last_hlc(), 0, 1'000), GenesisGrantId(0),
            std::move(deps)};
  }
  std::string Refusal(std::span<const Operation> ops, const Limits& limits = {}) const {
    const auto batch = EncodeBatch(ada_.log(), Header(), ops, limits);
    EXPECT_EQ(batch.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(batch.status().message());
  }

  SeededRandom random_{1};
  Salt salt_ = RandomSalt(random_);
  Author ada_{salt_, random_};
  Author bob_{salt_, random_};
};

TEST_F(BatchTest, D8_ASmallCommitIsOneBlock) {
  const auto blocks =
      ada_.Commit<Operation>(GenesisGrantId(0), {}, {Put("a", "1"), Put("b", "2")});
  ASSERT_EQ(blocks.size(), 1U);
  EXPECT_TRUE(CheckBatch(blocks, {}).ok());
  EXPECT_TRUE(blocks[0].header.ends_batch);
  EXPECT_EQ(blocks[0].payload.operations.size(), 2U);
}

TEST_F(BatchTest, D8_ALargeCommitIsSplitIntoNumberedBlocksWithRisingStamps) {
  const std::string value(2'000, 'x');
  std::vector<std::string> keys;
  for (int i = 0; i < 1'000; ++i) keys.push_back("key/" + std::to_string(i));
  std::vector<Operation> ops;
  for (const std::string& key : keys) ops.push_back(Put(key, value));
  bob_.Ack(GenesisGrantId(0), {});
  const auto batch = EncodeBatch(ada_.log(), Header({bob_.Head()}), ops, {});
  ASSERT_TRUE(batch.ok()) << batch.status();
  EXPECT_GT(batch->blocks.size(), 10U);
  EXPECT_LT(batch->blocks.size(), 30U);
  const auto blocks = ada_.Append(batch->blocks, {});
  ASSERT_TRUE(CheckBatch(blocks, {}).ok()) << CheckBatch(blocks, {});
  std::size_t n = 0;
  for (const DecodedBlock& block : blocks) {
    EXPECT_EQ(block.header.ends_batch, &block == &blocks.back());
    EXPECT_EQ(block.header.envelope->deps.size(), &block == &blocks.front() ? 1U : 0U);
    for (std::size_t i = 0; i < block.payload.operations.size(); ++i, ++n) {
      EXPECT_EQ(AsText(block.payload.operations[i].key), keys[n]);
      EXPECT_EQ(batch->IdOf(ada_.id(), n), (OpId{ada_.id(), block.header.position,
                                                 static_cast<std::uint32_t>(i)}));
    }
  }
  EXPECT_EQ(n, ops.size());
}

TEST_F(BatchTest, S4_AuthBlocksRepeatTheDepOnTheCitedGrantsLog) {
  bob_.Ack(GenesisGrantId(0), {});
  const Author eve(salt_, random_);
  std::vector<AuthOperation> ops(4'000, GrantTo(eve, GrantRole::kWriter));
  Author other(salt_, random_);
  other.Ack(GenesisGrantId(0), {});
  const auto blocks =
      ada_.Commit<AuthOperation>({bob_.id(), 0, 0}, {other.Head(), bob_.Head()}, ops);
  ASSERT_GT(blocks.size(), 1U);
  EXPECT_EQ(blocks[0].header.envelope->deps.size(), 2U);
  for (std::size_t i = 1; i < blocks.size(); ++i) {
    const auto& deps = blocks[i].header.envelope->deps;
    ASSERT_EQ(deps.size(), 1U);
    EXPECT_EQ(deps[0].writer, bob_.id());
    EXPECT_EQ(blocks[i].header.envelope->last_auth, blocks[i - 1].header.position);
  }
}

TEST_F(BatchTest, S7_AnAuthorIsToldWhichLimitACommitExceeds) {
  EXPECT_THAT(Refusal({}), HasSubstr("nothing to write"));
  const std::vector<Operation> many(65'537, Put("k", "v"));
  EXPECT_THAT(Refusal(many), HasSubstr("65537 operations"));
  const std::string value(256 * 1024, 'x');
  const std::vector<Operation> heavy(300, Put("k", value));
  EXPECT_THAT(Refusal(heavy), HasSubstr("the limit is 67108864"));
  const std::string beyond(256 * 1024 + 1, 'x');
  const Operation big[] = {Put("big", beyond)};
  EXPECT_THAT(Refusal(big), HasSubstr("key \"big\": a value of 262145 bytes"));
  const std::string columns = "abcdefgh";
  std::vector<CellWrite> cells;
  for (std::size_t i = 0; i < 8; ++i) {
    cells.push_back(SetCell(AsBytes(std::string_view(columns).substr(i, 1)),
                            {ValueType::kText, AsBytes(value)}));
  }
  const Operation wide[] = {RecordOp(AsBytes("row"), cells)};
  EXPECT_THAT(Refusal(wide), HasSubstr("an operation needs a block of"));
  Limits few;
  few.batch_blocks = 1;
  const std::string half(100'000, 'x');
  const std::vector<Operation> two(2, Put("k", half));
  EXPECT_THAT(Refusal(two, few), HasSubstr("needs 2 blocks"));
}

TEST_F(BatchTest, S7_TheLargestCommitsFit) {
  const std::vector<Operation> many(65'536, Put("key", "v"));
  const auto small = EncodeBatch(ada_.log(), Header(), many, {});
  EXPECT_TRUE(small.ok()) << small.status();
  const std::string value(256 * 1024 - 100, 'x');
  const std::vector<Operation> heavy(255, Put("k", value));
  const auto large = EncodeBatch(ada_.log(), Header(), heavy, {});
  EXPECT_TRUE(large.ok()) << large.status();
}

TEST_F(BatchTest, D8_OneBadBlockOrTwoCitesMakeTheWholeBatchInvalid) {
  const std::string value(100'000, 'x');
  const auto batch =
      EncodeBatch(ada_.log(), Header(), std::vector<Operation>(3, Put("k", value)), {});
  ASSERT_EQ(batch->blocks.size(), 3U);
  std::vector<Bytes> blocks = batch->blocks;
  blocks[1].back() ^= 0xff;  // not text any more, or not a FlatBuffer
  blocks[1].resize(blocks[1].size() - 50);
  LogState log = ada_.log();
  std::vector<DecodedBlock> decoded;
  for (const Bytes& block : blocks) decoded.push_back(DecodeBlock(log, block, {}));
  EXPECT_EQ(decoded[1].header.state, BlockState::kInvalid);
  EXPECT_TRUE(decoded[2].header.ends_batch) << "numbering goes on";
  EXPECT_THAT(std::string(CheckBatch(decoded, {}).message()), HasSubstr("block 1"));

  log = ada_.log();
  Envelope envelope;
  envelope.kind = BlockKind::kAck;
  envelope.batch_count = 2;
  envelope.hlc = {1'000, 0};
  envelope.cite = GenesisGrantId(0);
  decoded.clear();
  decoded.push_back(DecodeBlock(log, *EncodeEnvelope(log, envelope, {}), {}));
  envelope.batch_index = 1;
  envelope.hlc = {1'001, 0};
  envelope.cite = GenesisGrantId(1);
  decoded.push_back(DecodeBlock(log, *EncodeEnvelope(log, envelope, {}), {}));
  ASSERT_TRUE(decoded[1].header.ends_batch);
  EXPECT_THAT(std::string(CheckBatch(decoded, {}).message()),
              HasSubstr("another grant"));
}

TEST_F(BatchTest, S7_ABatchOverTheLimitsOfTheBaseIsInvalid) {
  const auto blocks =
      ada_.Commit<Operation>(GenesisGrantId(0), {}, {Put("a", "1"), Put("b", "2")});
  Limits limits;
  limits.batch_ops = 1;
  EXPECT_FALSE(CheckBatch(blocks, limits).ok());
  limits = {};
  limits.batch_bytes = 20;
  EXPECT_FALSE(CheckBatch(blocks, limits).ok());
}

TEST_F(BatchTest, S7_AuthOpsOfOneWriterAreCounted) {
  Limits limits;
  limits.auth_ops_per_writer = 3;
  const std::vector<AuthOperation> two(2, GrantTo(bob_, GrantRole::kReader));
  EXPECT_EQ(ada_.Commit(GenesisGrantId(0), {}, two, limits)[0].header.state,
            BlockState::kValid);
  EXPECT_EQ(ada_.Commit(GenesisGrantId(0), {}, two, limits)[0].header.state,
            BlockState::kInvalid);
  const std::vector<AuthOperation> one(1, GrantTo(bob_, GrantRole::kReader));
  EXPECT_EQ(ada_.Commit(GenesisGrantId(0), {}, one, limits)[0].header.state,
            BlockState::kValid)
      << "an invalid block uses up nothing";
  EXPECT_EQ(ada_.Commit(GenesisGrantId(0), {}, one, limits)[0].header.state,
            BlockState::kInvalid);
}

TEST_F(BatchTest, S8_AnUnknownOpParksTheLogAndTheBatchItStandsIn) {
  Bytes block =
      EncodeBatch(ada_.log(), Header(), std::vector<Operation>{Put("key", "v")}, {})
          ->blocks[0];
  // The only byte 0x11 with the length 1 of its column before it is the op's tag.
  const Bytes tag = {1, 0, 0, 0, 0x11};
  const auto found = std::search(block.begin(), block.end(), tag.begin(), tag.end());
  ASSERT_NE(found, block.end());
  found[4] = 0x8c;
  LogState log = ada_.log();
  const DecodedBlock parked = DecodeBlock(log, block, {});
  EXPECT_EQ(parked.header.state, BlockState::kParked);
  EXPECT_EQ(parked.header.reason, "op type 12 on lane 8");
  EXPECT_FALSE(parked.header.ends_batch);
  EXPECT_TRUE(parked.payload.operations.empty());
  EXPECT_EQ(log.parked(), 0U);
}

TEST_F(BatchTest, S8_AnAckWithAPayloadParksAndACertificateIsRead) {
  Envelope envelope;
  envelope.kind = BlockKind::kAck;
  envelope.hlc = {1'000, 0};
  envelope.cite = GenesisGrantId(0);
  Bytes block = *EncodeEnvelope(ada_.log(), envelope, {});
  LogState log = ada_.log();
  EXPECT_EQ(DecodeBlock(log, block, {}).header.state, BlockState::kValid);
  block.push_back(0);
  log = ada_.log();
  DecodedBlock decoded = DecodeBlock(log, block, {});
  EXPECT_EQ(decoded.header.state, BlockState::kParked);
  EXPECT_EQ(decoded.header.reason, "an ack with a payload");
  EXPECT_FALSE(decoded.header.in_batch);
  EXPECT_EQ(log.parked(), 0U);

  envelope.kind = BlockKind::kIncarnation;
  block = *EncodeEnvelope(ada_.log(), envelope, {});
  log = ada_.log();
  EXPECT_EQ(DecodeBlock(log, block, {}).header.state, BlockState::kInvalid)
      << "no certificate";
  Append(block, Hex(CrdtVectors()["incarnation"]["bytes"]));
  log = ada_.log();
  decoded = DecodeBlock(log, block, {});
  EXPECT_EQ(decoded.header.state, BlockState::kValid);
  EXPECT_TRUE(decoded.incarnation.has_value());
  EXPECT_FALSE(log.parked().has_value());
  envelope.hlc = {2'000, 0};
  EXPECT_FALSE(EncodeEnvelope(log, envelope, {}).ok()) << "only block 0";
}

// A whole block, envelope and all, under every one-byte change and truncation.
TEST_F(BatchTest, Attack51_EveryDamagedBlockIsAValueOrACleanRefusal) {
  const auto vectors = CrdtVectors()["log"];
  LogState log(Fixed<CoreKey>(vectors["writer"]));
  std::map<BlockState, int> states;
  for (const auto& text : vectors["blocks"]) {
    const Bytes bytes = Hex(text);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      LogState ahead = log;
      const Bytes cut = ToBytes(ByteView(bytes).first(size));
      ++states[DecodeBlock(ahead, cut, {}).header.state];
    }
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      for (int value = 0; value < 256; value += 5) {
        Bytes changed = bytes;
        changed[i] ^= static_cast<std::uint8_t>(value);
        LogState ahead = log;
        const DecodedBlock block = DecodeBlock(ahead, changed, {});
        ++states[block.header.state];
        ASSERT_EQ(ahead.position(), log.position() + 1);
        if (block.header.state != BlockState::kValid) {
          ASSERT_TRUE(block.payload.operations.empty());
          ASSERT_FALSE(block.header.reason.empty());
        }
      }
    }
    DecodeBlock(log, bytes, {});
  }
  EXPECT_GT(states[BlockState::kValid], 0);
  EXPECT_GT(states[BlockState::kInvalid], 0);
  EXPECT_GT(states[BlockState::kParked], 0);
}

TEST_F(BatchTest, S4_OverheadPerOperationIsSmall) {
  std::vector<std::string> keys;
  for (int i = 0; i < 10'000; ++i) keys.push_back("key/" + std::to_string(100'000 + i));
  std::vector<Operation> puts;
  std::size_t content = 0;
  for (const std::string& key : keys) {
    puts.push_back(Put(key, "value"));
    content += key.size() + 5;
  }
  const auto batch = EncodeBatch(ada_.log(), Header(), puts, {});
  std::size_t bytes = 0;
  for (const Bytes& block : batch->blocks) bytes += block.size();
  EXPECT_LE(bytes - content, 12 * puts.size());
}

}  // namespace
}  // namespace weft
