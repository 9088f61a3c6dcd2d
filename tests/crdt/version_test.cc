// Dots, op ids, stamps, values and versions: the small words of the semantics.

#include "crdt/version.h"

#include "crdt/value.h"
#include "tests/crdt/authors.h"

namespace weft {
namespace {

CoreKey Key(std::uint8_t byte) {
  CoreKey key;
  key.bytes.fill(byte);
  return key;
}

TEST(OpId, TextIsFrozenAndHasOneForm) {
  const auto vectors = CrdtVectors()["op_id"];
  const OpId id{Fixed<CoreKey>(vectors["writer"]), vectors["position"],
                vectors["op_index"]};
  const std::string text = vectors["text"];
  EXPECT_EQ(ToText(id), text);
  EXPECT_EQ(ParseOpId(text), id);
  const std::string writer = text.substr(0, 52);
  for (const std::string& bad :
       {std::string(), writer, writer + ":1", writer + ":1.", writer + ":.1",
        writer + ":01.1", writer + ":1.1 ", writer + ":-1.1", writer + ":1.4294967296",
        writer + ":9007199254740992.1", writer.substr(1) + ":1.1", text + ".1"}) {
    EXPECT_FALSE(ParseOpId(bad).has_value()) << bad;
  }
}

TEST(Tie, OrdersByStampThenWriterThenPositionThenOp) {
  const Tie base{{5, 1}, {Key(2), 3, 4}};
  for (const Tie& larger : {Tie{{6, 0}, {Key(1), 0, 0}}, Tie{{5, 2}, {Key(1), 0, 0}},
                            Tie{{5, 1}, {Key(3), 0, 0}}, Tie{{5, 1}, {Key(2), 4, 0}},
                            Tie{{5, 1}, {Key(2), 3, 5}}}) {
    EXPECT_LT(base, larger);
  }
}

TEST(HybridClock, T1_ARemoteClockPullsByFiveMinutesAtMost) {
  EXPECT_EQ(*NextHlc({}, 0, 1'000), (Hlc{1'000, 0}));
  EXPECT_EQ(*NextHlc({}, 2'000, 1'000), (Hlc{2'000, 0}));
  EXPECT_EQ(*NextHlc({}, 9'000'000, 1'000), (Hlc{301'000, 0}));
}

TEST(HybridClock, T1_TheOwnLogIsMonotonicWhateverTheWallClockDoes) {
  Hlc last;
  std::mt19937_64 random(7);
  for (int i = 0; i < 10'000; ++i) {
    const auto next = NextHlc(last, random() % 1'000'000, random() % 1'000'000);
    ASSERT_TRUE(next.ok());
    ASSERT_GT(*next, last);
    last = *next;
  }
}

TEST(HybridClock, S7_AFullCounterCarriesAndTimeEnds) {
  EXPECT_EQ(*NextHlc({10, 65'535}, 0, 0), (Hlc{11, 0}));
  EXPECT_EQ(NextHlc({kHlcMsEnd - 1, 65'535}, 0, 0).status().code(),
            absl::StatusCode::kOutOfRange);
}

TEST(HybridClock, T2_AStampFarAheadIsSuspectAndNotRefused) {
  EXPECT_FALSE(IsClockSuspect({301'000, 0}, 1'000));
  EXPECT_TRUE(IsClockSuspect({301'001, 0}, 1'000));
  EXPECT_FALSE(IsOwnClockAhead({kClockAheadMs, 0}, 0));
  EXPECT_TRUE(IsOwnClockAhead({kClockAheadMs + 1, 0}, 0));
}

TEST(Value, S9_BytesAreFrozen) {
  const Value values[] = {Value::Null(),         Value::Bool(true),
                          Value::Int64(-2),      Value::Float64(1.5),
                          Value::Text("\u00e9"), Value::Blob(Bytes{0xff, 0x00})};
  const auto vectors = CrdtVectors()["values"];
  for (std::size_t i = 0; i < 6; ++i) {
    EXPECT_EQ(CanonicalValue(values[i].view()), Hex(vectors[i]["canonical"]));
    EXPECT_EQ(ValueHash(values[i].view()), Fixed<Hash32>(vectors[i]["hash"]));
    EXPECT_TRUE(CheckValue(values[i].view()).ok());
  }
  EXPECT_TRUE(BoolOf(values[1].view()));
  EXPECT_EQ(Int64Of(values[2].view()), -2);
  EXPECT_EQ(Float64Of(values[3].view()), 1.5);
}

TEST(Value, S9_InputThatIsNotUtf8IsStoredAsBytes) {
  EXPECT_EQ(Value::FromInput(AsBytes("milk")).type, ValueType::kText);
  EXPECT_EQ(Value::FromInput(Bytes{0xc3}).type, ValueType::kBytes);
}

TEST(Value, S9_WrongSizesAndTextsAreRefused) {
  for (const Value& bad :
       {Value{ValueType::kNull, {0}}, Value{ValueType::kBool, {}},
        Value{ValueType::kBool, {2}}, Value{ValueType::kInt64, Bytes(7)},
        Value{ValueType::kFloat64, Bytes(9)}, Value{ValueType::kText, {0xc3}},
        Value{ValueType::kBlobReference, {}}, Value{static_cast<ValueType>(9), {}}}) {
    EXPECT_FALSE(CheckValue(bad.view()).ok()) << static_cast<int>(bad.type);
  }
}

TEST(VersionVector, OrderIsThatOfInclusion) {
  VersionVector a;
  VersionVector b;
  EXPECT_TRUE((a <=> b) == 0);
  a.Raise(Key(1), 3);
  EXPECT_TRUE(a > b);
  b.Raise(Key(2), 1);
  EXPECT_EQ(a <=> b, std::partial_ordering::unordered);
  b.Merge(a);
  EXPECT_TRUE(a < b);
  EXPECT_TRUE(b.Includes(Dot{Key(1), 2}));
  EXPECT_FALSE(b.Includes(Dot{Key(1), 3}));
  a.Raise(Key(1), 2);
  EXPECT_EQ(a.length(Key(1)), 3U) << "never lowered";
}

TEST(Version, C1_DigestIsFrozenWithForkedAndParkedLists) {
  const auto vectors = CrdtVectors()["digest"];
  Version version;
  EXPECT_EQ(VersionDigest(version), Fixed<Hash32>(vectors["empty"]));
  for (const auto& row : vectors["writers"]) {
    version.writers[Fixed<CoreKey>(row[0])] = {row[1], Fixed<TreeHash>(row[2])};
  }
  for (const auto& row : vectors["forked"]) {
    version.forked[Fixed<CoreKey>(row[0])] = row[1];
  }
  for (const auto& row : vectors["parked"]) {
    version.parked.insert({Fixed<CoreKey>(row[0]), row[1]});
  }
  const Hash32 digest = VersionDigest(version);
  EXPECT_EQ(digest, Fixed<Hash32>(vectors["digest"]));
  version.parked.clear();
  EXPECT_NE(VersionDigest(version), digest);
}

}  // namespace
}  // namespace weft
