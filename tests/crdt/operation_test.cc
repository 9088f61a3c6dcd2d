// Operations: rules S4, S5, S7, S8 and S9 at the level of payload bytes.

#include "crdt/operation.h"

#include <gmock/gmock.h>

#include <set>

#include "flatbuffers/flatbuffers.h"
#include "tests/crdt/authors.h"

namespace weft {
namespace {

using testing::HasSubstr;

// The columns of a data payload by field number, written without any check.
class RawPayload {
 public:
  template <class T>
  RawPayload& Set(int field, std::vector<T> column) {
    columns_.emplace_back(field, builder_.CreateVector(column).Union());
    return *this;
  }
  Bytes Finish() {
    const auto start = builder_.StartTable();
    for (const auto& [field, offset] : columns_) {
      builder_.AddOffset(static_cast<flatbuffers::voffset_t>(4 + 2 * field), offset);
    }
    builder_.Finish(flatbuffers::Offset<void>(builder_.EndTable(start)));
    return ToBytes(ByteView(builder_.GetBufferPointer(), builder_.GetSize()));
  }

 private:
  flatbuffers::FlatBufferBuilder builder_;
  std::vector<std::pair<int, flatbuffers::Offset<void>>> columns_;
};

enum Field {
  kOps,
  kKeySizes,
  kFlags,
  kLanes,
  kCellCounts,
  kCells,
  kCellColumns,
  kColumnSizes,
  kValueTypes,
  kValueSizes,
  kWords,
  kNumbers,
  kHeap
};
using U8 = std::vector<std::uint8_t>;
using U16 = std::vector<std::uint16_t>;
using U32 = std::vector<std::uint32_t>;

// put k = text "v", which tests then spoil in one place.
RawPayload OnePut() {
  RawPayload raw;
  raw.Set(kOps, U8{0x11}).Set(kKeySizes, U16{1}).Set(kValueTypes, U8{4});
  return raw;
}

Payload Decode(ByteView bytes, const Limits& limits = {}) {
  return DecodePayload(BlockKind::kData, bytes, limits);
}

template <class Raw>
void ExpectInvalid(Raw&& raw, const char* reason) {
  const Payload payload = Decode(raw.Finish());
  EXPECT_EQ(payload.state, BlockState::kInvalid) << reason;
  EXPECT_THAT(payload.reason, HasSubstr(reason));
  EXPECT_TRUE(payload.operations.size() <= 1U);
}

void ExpectSame(const Operation& a, const Operation& b) {
  EXPECT_EQ(a.type, b.type);
  EXPECT_EQ(a.lane, b.lane);
  EXPECT_EQ(a.flags, b.flags);
  EXPECT_EQ(a.lanes, b.lanes);
  EXPECT_TRUE(Equal(a.key, b.key));
  EXPECT_EQ(a.value, b.value);
  ASSERT_EQ(a.cells.size(), b.cells.size());
  for (std::size_t i = 0; i < a.cells.size(); ++i) {
    EXPECT_TRUE(Equal(a.cells[i].column, b.cells[i].column));
    EXPECT_EQ(a.cells[i].lane, b.cells[i].lane);
    EXPECT_EQ(a.cells[i].verb, b.cells[i].verb);
    EXPECT_EQ(a.cells[i].value, b.cells[i].value);
  }
}

TEST(Payload, S4_AFixedByteStringDecodesForEver) {
  const Payload payload = Decode(Hex(CrdtVectors()["data_payload"]));
  ASSERT_EQ(payload.state, BlockState::kValid) << payload.reason;
  const Value minus_two = Value::Int64(-2);
  const Value yes = Value::Bool(true);
  const CellWrite cells[] = {
      UnsetCell({}), SetCell(AsBytes("city"), {ValueType::kText, AsBytes("Ulm")}),
      SetCell(AsBytes("open"), yes.view())};
  const Operation expected[] = {
      Put("note/1", "milk"), PutOp(AsBytes("n"), minus_two.view()),
      DelOp(AsBytes("note/2"), MaskOf(Lane::kRegister) | MaskOf(Lane::kRecord),
            kDeleteWins),
      RecordOp(AsBytes("t/7"), cells), PutOp(AsBytes("e"), {})};
  ASSERT_EQ(payload.operations.size(), std::size(expected));
  for (std::size_t i = 0; i < std::size(expected); ++i) {
    ExpectSame(payload.operations[i], expected[i]);
  }
}

TEST(Payload, S4_AFixedAuthByteStringDecodesForEver) {
  const auto vectors = CrdtVectors()["auth_payload"];
  const Payload payload =
      DecodePayload(BlockKind::kAuth, Hex(vectors["bytes"]), Limits());
  ASSERT_EQ(payload.state, BlockState::kValid) << payload.reason;
  ASSERT_EQ(payload.auth_operations.size(), 2U);
  const auto& writer = std::get<GrantOp>(payload.auth_operations[0]);
  EXPECT_EQ(writer.identity, Fixed<CoreKey>(vectors["identity"]));
  EXPECT_EQ(writer.role, GrantRole::kWriter);
  EXPECT_EQ(AsText(writer.scope), "notes/");
  EXPECT_TRUE(writer.may_delegate);
  EXPECT_EQ(writer.forks, 3U);
  const auto& reader = std::get<GrantOp>(payload.auth_operations[1]);
  EXPECT_EQ(reader.role, GrantRole::kReader);
  EXPECT_TRUE(reader.scope.empty());
  EXPECT_FALSE(reader.may_delegate);
}

// Owns the bytes of random operations.
struct RandomOps {
  std::vector<Bytes> bytes;
  std::vector<std::vector<CellWrite>> cells;
  std::vector<Operation> operations;

  explicit RandomOps(std::mt19937_64& random) {
    const std::size_t count = 1 + random() % 12;
    for (std::size_t i = 0; i < count; ++i) AddOp(random);
  }

  ByteView Owned(std::mt19937_64& random, std::size_t size) {
    Bytes data(size);
    for (std::uint8_t& byte : data) byte = static_cast<std::uint8_t>(random() % 128);
    bytes.push_back(std::move(data));
    return bytes.back();
  }
  ValueView RandomValue(std::mt19937_64& random) {
    const auto type = static_cast<ValueType>(random() % 6);
    std::size_t size = FixedValueSize(type).value_or(random() % 40);
    if (type >= ValueType::kText && random() % 50 == 0) size = 65'530 + random() % 10;
    if (type == ValueType::kBool) {
      bytes.push_back({static_cast<std::uint8_t>(random() % 2)});
      return {type, bytes.back()};
    }
    return {type, Owned(random, size)};
  }
  void AddOp(std::mt19937_64& random) {
    const ByteView key = Owned(random, 1 + random() % 1024);
    switch (random() % 3) {
      case 0:
        operations.push_back(PutOp(key, RandomValue(random)));
        break;
      case 1:
        operations.push_back(DelOp(key, static_cast<LaneMask>(2 * (1 + random() % 3)),
                                   static_cast<std::uint8_t>(random() % 2)));
        break;
      default:
        AddRecord(random, key);
    }
  }
  void AddRecord(std::mt19937_64& random, ByteView key) {
    std::vector<CellWrite> row;
    for (const char* column : {"", "a", "b", "city", "zone"}) {
      if (random() % 2 == 0) continue;
      row.push_back(random() % 3 == 0 ? UnsetCell(AsBytes(column))
                                      : SetCell(AsBytes(column), RandomValue(random)));
    }
    cells.push_back(std::move(row));
    operations.push_back(RecordOp(key, cells.back()));
  }
};

TEST(PayloadProperty, S5_DecodingGivesBackWhatWasEncoded) {
  for (std::uint64_t seed = 1; seed <= 2'000; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937_64 random(seed);
    const RandomOps ops(random);
    std::size_t size_max = kPayloadBytesFixed;
    for (const Operation& op : ops.operations) {
      ASSERT_TRUE(CheckOperation(op, Limits()).ok()) << CheckOperation(op, Limits());
      size_max += EncodedSizeMax(op);
    }
    const Bytes bytes = EncodePayload(ops.operations);
    ASSERT_LE(bytes.size(), size_max);
    const Payload payload = Decode(bytes);
    ASSERT_EQ(payload.state, BlockState::kValid) << payload.reason;
    ASSERT_EQ(payload.operations.size(), ops.operations.size());
    for (std::size_t i = 0; i < ops.operations.size(); ++i) {
      ExpectSame(payload.operations[i], ops.operations[i]);
    }
  }
}

// Reads every byte that a decoded payload lends, so that a sanitizer sees a bad view.
std::uint64_t Touch(const Payload& payload) {
  std::uint64_t sum = 0;
  const auto add = [&sum](ByteView view) {
    for (const std::uint8_t byte : view) sum += byte;
  };
  for (const Operation& op : payload.operations) {
    EXPECT_TRUE(CheckOperation(op, Limits()).ok());
    add(op.key);
    add(op.value.bytes);
    for (const CellWrite& cell : op.cells) {
      add(cell.column);
      add(cell.value.bytes);
    }
  }
  for (const AuthOperation& op : payload.auth_operations) {
    EXPECT_TRUE(CheckOperation(op, Limits()).ok());
    if (const auto* grant = std::get_if<GrantOp>(&op)) add(grant->scope);
    if (const auto* revoke = std::get_if<RevokeOp>(&op)) add(revoke->reason);
    if (const auto* invite = std::get_if<InviteOp>(&op)) add(invite->scope);
    if (const auto* hide = std::get_if<HideOp>(&op)) add(hide->prefix);
  }
  return sum;
}

TEST(PayloadProperty, Attack51_EveryTruncationAndFlipIsAValueOrACleanRefusal) {
  std::uint64_t sum = 0;
  const auto vectors = CrdtVectors();
  const std::pair<BlockKind, Bytes> cases[] = {
      {BlockKind::kData, Hex(vectors["data_payload"])},
      {BlockKind::kAuth, Hex(vectors["auth_payload"]["bytes"])}};
  for (const auto& [kind, bytes] : cases) {
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      const Bytes cut = ToBytes(ByteView(bytes).first(size));
      sum += Touch(DecodePayload(kind, cut, Limits()));
    }
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      for (int value = 0; value < 256; ++value) {
        Bytes changed = bytes;
        changed[i] = static_cast<std::uint8_t>(value);
        sum += Touch(DecodePayload(kind, changed, Limits()));
      }
    }
  }
  EXPECT_GT(sum, 0U);
}

TEST(PayloadProperty, Attack51_RandomDamageIsAValueOrACleanRefusal) {
  std::uint64_t valid = 0;
  for (std::uint64_t seed = 1; seed <= 3'000; ++seed) {
    std::mt19937_64 random(seed);
    const RandomOps ops(random);
    Bytes bytes = EncodePayload(ops.operations);
    for (std::uint64_t n = 0; n <= random() % 8; ++n) {
      // Mostly where the structure is: the first bytes and the last.
      const std::size_t span = std::min<std::size_t>(bytes.size(), 200);
      const std::size_t at =
          random() % 2 == 0 ? random() % span : bytes.size() - 1 - random() % span;
      bytes[at] = static_cast<std::uint8_t>(random());
    }
    const Payload payload = Decode(bytes);
    Touch(payload);
    valid += payload.state == BlockState::kValid ? 1 : 0;
  }
  EXPECT_GT(valid, 0U);
}

TEST(Payload, S8_WhatIsNotBuiltOrNotKnownParks) {
  const auto expect_parked = [](RawPayload raw, const char* reason) {
    const Payload payload = Decode(raw.Finish());
    EXPECT_EQ(payload.state, BlockState::kParked);
    EXPECT_THAT(payload.reason, HasSubstr(reason));
  };
  const std::set<int> built{0x02, 0x11, 0x23, 0x34, 0x35, 0x46, 0x47,
                            0x58, 0x68, 0x79, 0x8a, 0x8b, 0x9a, 0x9b};
  for (int tag = 0; tag < 256; ++tag) {
    if (built.contains(tag)) continue;
    RawPayload raw;
    raw.Set(kOps, U8{0x11, static_cast<std::uint8_t>(tag)}).Set(kHeap, U8{'k'});
    expect_parked(std::move(raw), "op type");
  }
  RawPayload cell;
  cell.Set(kOps, U8{0x23}).Set(kCells, U8{0x8c});
  expect_parked(std::move(cell), "cell verb 12 on lane 8");
  RawPayload value;
  value.Set(kOps, U8{0x11}).Set(kValueTypes, U8{6});
  expect_parked(std::move(value), "value type 6");
  RawPayload del;
  del.Set(kOps, U8{0x02}).Set(kLanes, U16{0x0402});
  expect_parked(std::move(del), "lanes 0x402");
}

TEST(Payload, S8_AuthOpsWithoutAGrammarPark) {
  for (int type = 0; type < 256; ++type) {
    RawPayload raw;
    raw.Set(0, U8{static_cast<std::uint8_t>(type)});
    const Payload payload = DecodePayload(BlockKind::kAuth, raw.Finish(), Limits());
    EXPECT_EQ(payload.state,
              type >= 1 && type <= 9 ? BlockState::kInvalid : BlockState::kParked);
  }
  RawPayload indexer;
  indexer.Set(0, U8{1}).Set(1, U8{2});
  EXPECT_EQ(DecodePayload(BlockKind::kAuth, indexer.Finish(), Limits()).state,
            BlockState::kParked);
}

TEST(Payload, S5_ColumnsMustBeUsedUpAndSuffice) {
  ExpectInvalid(OnePut().Set(kHeap, U8{'k', 'v'}), "shorter");
  ExpectInvalid(OnePut().Set(kValueSizes, U16{2}).Set(kHeap, U8{'k', 'v'}), "shorter");
  ExpectInvalid(OnePut().Set(kValueSizes, U16{0}).Set(kHeap, U8{'k', 'v'}), "longer");
  ExpectInvalid(OnePut().Set(kValueSizes, U16{1, 1}).Set(kHeap, U8{'k', 'v'}),
                "longer");
  ExpectInvalid(OnePut()
                    .Set(kValueSizes, U16{1})
                    .Set(kNumbers, std::vector<std::int64_t>{1})
                    .Set(kHeap, U8{'k', 'v'}),
                "longer");
  ExpectInvalid(OnePut().Set(kValueSizes, U16{0xffff}).Set(kHeap, U8{'k'}), "shorter");
  ExpectInvalid(OnePut()
                    .Set(kValueSizes, U16{0xffff})
                    .Set(kWords, U32{1})
                    .Set(kHeap, U8{'k', 'v'}),
                "longer than needed");
  ExpectInvalid(OnePut()
                    .Set(kValueSizes, U16{0xffff})
                    .Set(kWords, U32{0xffffffff})
                    .Set(kHeap, U8{'k', 'v'}),
                "shorter");
  ExpectInvalid(RawPayload(), "no operations");
  EXPECT_EQ(
      Decode(OnePut().Set(kValueSizes, U16{1}).Set(kHeap, U8{'k', 'v'}).Finish()).state,
      BlockState::kValid);
}

RawPayload OneDel(std::uint8_t flags, std::uint16_t lanes) {
  RawPayload raw;
  raw.Set(kOps, U8{0x02}).Set(kKeySizes, U16{1}).Set(kFlags, U8{flags});
  raw.Set(kLanes, U16{lanes}).Set(kHeap, U8{'k'});
  return raw;
}

TEST(Payload, S5_WildButWellFormedOperationsAreInvalid) {
  ExpectInvalid(OneDel(0, 0), "names no lane");
  ExpectInvalid(OneDel(2, 2), "unknown flags");
  RawPayload empty_key;
  empty_key.Set(kOps, U8{0x02}).Set(kKeySizes, U16{0}).Set(kFlags, U8{0});
  empty_key.Set(kLanes, U16{2});
  ExpectInvalid(std::move(empty_key), "a key of 0 bytes");
  ExpectInvalid(OnePut().Set(kValueSizes, U16{1}).Set(kHeap, U8{'k', 0xc3}),
                "not UTF-8");

  const auto cells = [](U16 columns, U8 sizes, U8 heap) {
    RawPayload raw;
    raw.Set(kOps, U8{0x23}).Set(kKeySizes, U16{1});
    raw.Set(kCellCounts, U16{static_cast<std::uint16_t>(columns.size())});
    raw.Set(kCells, U8(columns.size(), 0x12)).Set(kCellColumns, columns);
    raw.Set(kColumnSizes, sizes).Set(kHeap, heap);
    return raw;
  };
  EXPECT_EQ(Decode(cells({0, 1}, {1, 1}, {'a', 'b', 'k'}).Finish()).state,
            BlockState::kValid);
  ExpectInvalid(cells({1, 0}, {1, 1}, {'a', 'b', 'k'}), "not sorted");
  ExpectInvalid(cells({0, 0}, {1}, {'a', 'k'}), "not sorted");
  ExpectInvalid(cells({0, 1}, {1, 1}, {'a', 'a', 'k'}), "not sorted");
  ExpectInvalid(cells({1}, {1}, {'a', 'k'}), "does not have");
  ExpectInvalid(cells({0}, {200}, U8(201, 'a')), "a column id");
}

TEST(Payload, S7_LimitsOfTheBaseAreEnforced) {
  Limits limits;
  limits.key_bytes = 3;
  limits.value_bytes = 4;
  limits.column_bytes = 2;
  limits.cells_per_op = 1;
  limits.batch_ops = 2;
  const CellWrite fits[] = {UnsetCell(AsBytes("ab"))};
  const CellWrite wide[] = {UnsetCell(AsBytes("abc"))};
  const CellWrite many[] = {UnsetCell(AsBytes("a")), UnsetCell(AsBytes("b"))};
  const std::pair<Operation, bool> cases[] = {{Put("abc", "1234"), true},
                                              {Put("abcd", "1"), false},
                                              {Put("a", "12345"), false},
                                              {RecordOp(AsBytes("k"), fits), true},
                                              {RecordOp(AsBytes("k"), wide), false},
                                              {RecordOp(AsBytes("k"), many), false}};
  for (const auto& [op, fine] : cases) {
    EXPECT_EQ(CheckOperation(op, limits).ok(), fine);
    EXPECT_TRUE(CheckOperation(op, Limits()).ok());
    const Payload payload = Decode(EncodePayload(std::span(&op, 1)), limits);
    EXPECT_EQ(payload.state == BlockState::kValid, fine) << payload.reason;
  }
  const std::vector<Operation> three(3, Put("a", "1"));
  EXPECT_EQ(Decode(EncodePayload(three), limits).state, BlockState::kInvalid);
}

TEST(Payload, S5_AVtableLongerThanTheSchemaIsInvalid) {
  RawPayload raw = OnePut();
  raw.Set(kValueSizes, U16{1}).Set(kHeap, U8{'k', 'v'}).Set(13, U8{1});
  EXPECT_EQ(Decode(raw.Finish()).state, BlockState::kInvalid);
}

// The verifier lets this pass: it aligns the length of a vector, not its elements.
TEST(Payload, S5_AColumnThatIsNotAlignedIsInvalid) {
  Bytes bytes = Hex(CrdtVectors()["auth_payload"]["bytes"]);
  // `numbers` is field 3 of the one table: move the vector on by four bytes, where the
  // number 2 reads as its length.
  const auto u16 = [&](std::size_t at) { return bytes[at] | bytes[at + 1] << 8; };
  const std::size_t table = bytes[0];
  const std::size_t vtable = table - bytes[table];
  const std::size_t field = table + static_cast<std::size_t>(u16(vtable + 4 + 2 * 3));
  bytes[field] = static_cast<std::uint8_t>(bytes[field] + 4);
  const Payload payload = DecodePayload(BlockKind::kAuth, bytes, Limits());
  EXPECT_EQ(payload.state, BlockState::kInvalid);
  EXPECT_EQ(payload.reason, "a column that is not aligned");
}

TEST(Payload, S5_OpsOfEveryLaneComeBackAsTheyWere) {
  const ByteView key = AsBytes("k");
  const ValueView red{ValueType::kText, AsBytes("red")};
  const CellWrite cells[] = {{.column = AsBytes("a"),
                              .lane = Lane::kCounter,
                              .verb = OpType::kInc,
                              .number = -7},
                             {.column = AsBytes("b"),
                              .lane = Lane::kSet,
                              .verb = OpType::kRemove,
                              .value = red},
                             {.column = AsBytes("c"),
                              .lane = Lane::kFlag,
                              .verb = OpType::kFlag,
                              .flags = kFlagOffWins},
                             UnsetCell(AsBytes("d"), Lane::kMin),
                             SetCell(AsBytes("e"), red)};
  const Operation ops[] = {IncOp(key, INT64_MIN),
                           ResetOp(key),
                           AddOp(key, red),
                           RemoveOp(key, red),
                           RaiseOp(key, Lane::kMax, 5),
                           RaiseOp(key, Lane::kMin, -5),
                           FlagOp(key, kFlagOn),
                           FlagOp(key, 0),
                           RecordOp(key, cells),
                           DelOp(key, kBuiltLanes)};
  for (const Operation& op : ops) EXPECT_TRUE(CheckOperation(op, Limits()).ok());
  const Payload payload = Decode(EncodePayload(ops));
  ASSERT_EQ(payload.state, BlockState::kValid) << payload.reason;
  ASSERT_EQ(payload.operations.size(), std::size(ops));
  for (std::size_t i = 0; i < std::size(ops); ++i) {
    const Operation& op = payload.operations[i];
    EXPECT_EQ(op.type, ops[i].type);
    EXPECT_EQ(op.lane, ops[i].lane);
    EXPECT_EQ(op.flags, ops[i].flags);
    EXPECT_EQ(op.lanes, ops[i].lanes);
    EXPECT_EQ(op.number, ops[i].number);
    EXPECT_EQ(op.value, ops[i].value);
  }
  for (std::size_t i = 0; i < std::size(cells); ++i) {
    const CellWrite& cell = payload.operations[8].cells[i];
    EXPECT_EQ(cell.lane, cells[i].lane);
    EXPECT_EQ(cell.verb, cells[i].verb);
    EXPECT_EQ(cell.flags, cells[i].flags);
    EXPECT_EQ(cell.number, cells[i].number);
    EXPECT_EQ(cell.value, cells[i].value);
  }
}

TEST(Payload, S5_AFlagThatIsBothOnAndOffIsInvalid) {
  const Operation ops[] = {FlagOp(AsBytes("k"), kFlagOn | kFlagOffWins)};
  EXPECT_FALSE(CheckOperation(ops[0], Limits()).ok());
  EXPECT_EQ(Decode(EncodePayload(ops)).state, BlockState::kInvalid);
}

TEST(Payload, AnAuthorIsRefusedWhatIsNotBuilt) {
  Operation op = Put("k", "v");
  op.type = OpType::kMark;
  op.lane = Lane::kText;
  EXPECT_FALSE(CheckOperation(op, Limits()).ok());
  EXPECT_FALSE(CheckOperation(DelOp(AsBytes("k"), 0), Limits()).ok());
  EXPECT_FALSE(CheckOperation(DelOp(AsBytes("k"), 1 << 10), Limits()).ok());
  EXPECT_FALSE(
      CheckOperation(PutOp(AsBytes("k"), {ValueType::kBlobReference, {}}), Limits())
          .ok());
  GrantOp grant;
  grant.role = GrantRole::kFounder;
  EXPECT_FALSE(CheckOperation(AuthOperation(grant), Limits()).ok());
}

}  // namespace
}  // namespace weft
