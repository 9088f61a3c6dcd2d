// Texts and lists, as stories of Ada and Bob.

#include "crdt/lanes/sequence.h"

#include <gmock/gmock.h>

#include <random>

#include "engine/key_layout.h"
#include "tests/crdt/replica.h"

namespace weft {
namespace {

using Kind = Mutation::Kind;
using testing::ElementsAre;

Mutation Type(std::string_view key, std::uint64_t index, std::string_view text) {
  Mutation mutation;
  mutation.kind = Kind::kInsertText;
  mutation.key = key;
  mutation.index = index;
  mutation.value = {ValueType::kText, AsBytes(text)};
  return mutation;
}
Mutation Wipe(std::string_view key, std::uint64_t index, std::uint64_t count) {
  Mutation mutation;
  mutation.kind = Kind::kCutText;
  mutation.key = key;
  mutation.index = index;
  mutation.count = count;
  return mutation;
}
Mutation Push(std::string_view key, std::string_view text) {
  Mutation mutation = Type(key, Mutation::kAtEnd, text);
  mutation.kind = Kind::kInsertItem;
  return mutation;
}

std::string TextAt(const Replica& replica, std::string_view key) {
  return replica.Read(key).text.value_or("-");
}
std::vector<std::string> Items(const Replica& replica, std::string_view key) {
  std::vector<std::string> items;
  for (const std::string& value :
       replica.Read(key).list.value_or(std::vector<std::string>{"?-"})) {
    items.push_back(value.substr(1));
  }
  return items;
}

struct Pair {
  Pair() : people(2), replicas(people.Meet()), ada(*replicas[0]), bob(*replicas[1]) {}
  void Meet() {
    ada.FetchAll(bob);
    bob.FetchAll(ada);
    ASSERT_EQ(ada.Root(), bob.Root());
  }
  People people;
  std::vector<std::unique_ptr<Replica>> replicas;
  Replica& ada;
  Replica& bob;
};

TEST(TextLane, D6_WordsTypedAtOnePlaceAtOnceAreNotMixed) {
  Pair two;
  two.ada.Do(Type("t", 0, "start end"));
  two.Meet();
  for (std::uint64_t i = 0; i < 5; ++i) {
    two.ada.Do(Type("t", 5 + i, std::string_view("-ada-").substr(i, 1)));
    two.bob.Do(Type("t", 5, std::string_view("=bob=").substr(4 - i, 1)));
  }
  two.Meet();
  EXPECT_THAT(TextAt(two.ada, "t"),
              testing::AnyOf("start-ada-=bob= end", "start=bob=-ada- end"));
}

TEST(TextLane, D6_ADeletionTakesWhatItNamesAndNothingThatWasTypedIntoIt) {
  Pair two;
  two.ada.Do(Type("t", 0, "abcdef"));
  two.Meet();
  two.ada.Do(Wipe("t", 1, 4));
  two.bob.Do(Type("t", 3, "XY"));
  two.Meet();
  EXPECT_EQ(TextAt(two.bob, "t"), "aXYf");
}

TEST(TextLane, D6_PositionsInACommitCountItsOwnEditsAndTypingOnIsOneOp) {
  Pair two;
  two.ada.Do(Type("t", 0, "hello"));
  std::vector<Mutation> edits = {
      Type("t", 5, " "), Type("t", 6, "w"), Type("t", 7, "x"),   Wipe("t", 7, 1),
      Wipe("t", 0, 1),   Type("t", 0, "J"), Type("t", 7, "orld")};
  const auto commit = two.ada.Commit(edits);
  ASSERT_TRUE(commit.ok()) << commit.status();
  EXPECT_EQ(TextAt(two.ada, "t"), "Jello world");
  ASSERT_EQ(commit->ops.size(), edits.size());
  EXPECT_EQ(commit->ops[0], commit->ops[2]);
  EXPECT_EQ(commit->ops[3], commit->ops[4]);
  two.Meet();
  EXPECT_EQ(TextAt(two.bob, "t"), "Jello world");
}

TEST(TextLane, D6_CodePointsAreWhatPositionsCount) {
  Pair two;
  two.ada.Do(Type("t", 0, "a\xf0\x9f\x98\x80\xc3\xa9z"));
  two.ada.Do(Wipe("t", 1, 1));
  two.ada.Do(Type("t", 2, "!"));
  EXPECT_EQ(TextAt(two.ada, "t"), "a\xc3\xa9!z");
}

TEST(TextLane, D6_APositionBeyondTheEndIsRefused) {
  Pair two;
  const Mutation beyond = Type("t", 1, "x");
  EXPECT_EQ(two.ada.Commit(std::span(&beyond, 1)).status().code(),
            absl::StatusCode::kOutOfRange);
  const Mutation nothing = Wipe("t", 0, 0);
  EXPECT_EQ(two.ada.Commit(std::span(&nothing, 1)).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(TextLane, D1_ADeleteOfTheKeyTakesWhatItHasSeen) {
  Pair two;
  two.ada.Do(Type("t", 0, "old"));
  two.Meet();
  two.bob.Do(Type("t", 3, " new"));
  two.ada.Do(Del("t"));
  EXPECT_FALSE(two.ada.Read("t").readable());
  two.Meet();
  EXPECT_EQ(TextAt(two.ada, "t"), " new");
}

TEST(TextLane, D10_AnInsertThatWasDeletedSaysByWhom) {
  Pair two;
  const OpId insert = two.ada.Do(Type("t", 0, "abc"));
  EXPECT_EQ(two.ada.Fate(insert).kind, OpFateKind::kWinner);
  two.ada.Do(Wipe("t", 0, 2));
  EXPECT_EQ(two.ada.Fate(insert).kind, OpFateKind::kWinner);
  two.Meet();
  const OpId cut = two.bob.Do(Wipe("t", 0, 1));
  two.bob.Do(Type("t", 0, "z"));
  two.Meet();
  EXPECT_EQ(two.ada.Fate(insert).kind, OpFateKind::kRemoved);
  EXPECT_EQ(two.ada.Fate(cut).kind, OpFateKind::kWinner);
}

TEST(ListLane, D6_ItemsAppendedAtOnceAreAllThereInOneOrder) {
  Pair two;
  two.ada.Do(Push("l", "one"));
  two.Meet();
  two.ada.Do(Push("l", "ada"));
  two.bob.Do(Push("l", "bob"));
  two.Meet();
  EXPECT_EQ(Items(two.ada, "l"), Items(two.bob, "l"));
  EXPECT_EQ(Items(two.ada, "l").size(), 3U);
  EXPECT_EQ(Items(two.ada, "l")[0], "one");
  Mutation cut = Wipe("l", 0, 1);
  cut.kind = Kind::kCutItems;
  two.ada.Do(cut);
  EXPECT_EQ(Items(two.ada, "l").size(), 2U);
}

TEST(TextLane, D7_ATextStandsBesideAValueOnOneKey) {
  Pair two;
  two.ada.Do(Put("k", "plain"));
  two.ada.Do(Type("k", 0, "typed"));
  EXPECT_EQ(two.ada.Read("k").shown, Lane::kText);
  EXPECT_EQ(two.ada.Text("k"), "plain");
  EXPECT_EQ(TextAt(two.ada, "k"), "typed");
}

// The rows of one text, in bytes.
std::uint64_t StoredBytes(Replica& replica, std::string_view key) {
  std::uint64_t bytes = 0;
  auto rows = replica.storage().Scan(
      Family::kView,
      keys::SequencePages(0, AsBytes(key), static_cast<std::uint8_t>(Lane::kText)),
      nullptr);
  for (; rows->valid(); rows->Next())
    bytes += rows->key().size() + rows->value().size();
  return bytes;
}

// 300 000 edits in commits of 100: bursts of typing, with what people take back.
TEST(TextLane, D6_AMebibyteOf300000EditsIsStoredInThreeTimesItsSizeAndOpensAsItWas) {
  Pair two;
  std::mt19937_64 random(5);
  const std::string letters = "the quick brown fox jumps over the lazy dog ";
  std::string model(780'000, 'x');
  for (std::size_t at = 0; at < model.size(); at += 100'000) {
    const std::size_t size = std::min<std::size_t>(100'000, model.size() - at);
    two.ada.Do(Type("t", at, std::string_view(model).substr(at, size)));
  }
  std::uint64_t log_before = 0;
  for (const Bytes& block : two.ada.logs().logs[two.ada.self()])
    log_before += block.size();
  std::uint64_t cursor = 0;
  for (int done = 0; done < 300'000;) {
    std::vector<Mutation> edits;
    for (int i = 0; i < 100; ++i, ++done) {
      if (done % 12 == 0) cursor = random() % model.size();
      if (random() % 15 == 0 && cursor > 0) {
        edits.push_back(Wipe("t", --cursor, 1));
        model.erase(cursor, 1);
      } else {
        const std::size_t letter = random() % letters.size();
        edits.push_back(Type("t", cursor, std::string_view(letters).substr(letter, 1)));
        model.insert(cursor++, 1, letters[letter]);
      }
    }
    ASSERT_TRUE(two.ada.Commit(edits).ok());
  }
  ASSERT_EQ(TextAt(two.ada, "t"), model);
  ASSERT_GE(model.size(), 1'000'000U);
  const Hash32 root = two.ada.Root();
  ASSERT_TRUE(two.ada.indexer().Flush().ok());
  EXPECT_LT(StoredBytes(two.ada, "t"), 3 * model.size());
  std::uint64_t log_after = 0;
  for (const Bytes& block : two.ada.logs().logs[two.ada.self()])
    log_after += block.size();
  EXPECT_LT(log_after - log_before, 60U * 300'000U);
  RecordProperty("stored_per_text",
                 std::to_string(static_cast<double>(StoredBytes(two.ada, "t")) /
                                static_cast<double>(model.size())));
  RecordProperty("log_per_edit",
                 std::to_string(static_cast<double>(log_after - log_before) / 300'000));
  two.ada.Reopen();
  ASSERT_EQ(TextAt(two.ada, "t"), model);
  two.ada.Do(Type("t", 500'000, "after"));
  two.ada.Do(Wipe("t", 500'000, 5));
  EXPECT_EQ(TextAt(two.ada, "t"), model);
  EXPECT_NE(two.ada.Root(), root) << "a deleted element keeps its place";
}

TEST(TextLane, I2_RootsAfterRestartsAreThoseOfAReplicaThatNeverStopped) {
  Pair two;
  std::mt19937_64 random(9);
  std::uint64_t length = 0;
  for (int i = 0; i < 400; ++i) {
    Replica& who = random() % 2 == 0 ? two.ada : two.bob;
    if (random() % 10 == 0) two.Meet();
    const ViewEntry entry = who.Read("t");
    length = entry.text ? entry.text->size() : 0;
    if (length > 5 && random() % 3 == 0) {
      who.Do(Wipe("t", random() % (length - 3), 1 + random() % 3));
    } else {
      who.Do(Type("t", random() % (length + 1), "word"));
    }
    if (random() % 20 != 0) continue;
    ASSERT_TRUE(two.bob.indexer().Flush().ok());
    two.bob.Reopen();
  }
  two.Meet();
  EXPECT_EQ(TextAt(two.ada, "t"), TextAt(two.bob, "t"));
  EXPECT_TRUE(Verify(&two.bob.indexer()).ok());
}

}  // namespace
}  // namespace weft
