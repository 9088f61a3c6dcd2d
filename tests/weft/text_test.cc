// A text as a program types in it: positions, cursors, whole replacement, and what a
// watcher hears.

#include "weft/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>

#include "tests/weft/scratch.h"
#include "weft/store.h"

namespace weft {
namespace {

class Texts : public testing::Test {
 protected:
  Texts()
      : store_(*Store::Open(scratch_ / "ada")),
        base_(*store_.CreateBase({.name = "notes"})),
        text_(base_, "letter") {}

  std::string Now() { return *text_.Read(); }

  Scratch scratch_;
  Store store_;
  Base base_;
  Text text_;
};

TEST_F(Texts, AreEmptyUntilSomebodyTypes) {
  EXPECT_EQ(Now(), "");
  EXPECT_EQ(*text_.Length(), 0U);
  EXPECT_EQ(*text_.PositionOf(*text_.CursorAt(0)), 0U);
  EXPECT_TRUE(absl::IsOutOfRange(text_.CursorAt(1).status()));
  EXPECT_TRUE(text_.Replace("")->empty());
}

TEST_F(Texts, CountCodePoints) {
  ASSERT_TRUE(text_.Append("h\xc3\xa9llo \xf0\x9f\x98\x80").ok());
  EXPECT_EQ(*text_.Length(), 7U);
  ASSERT_TRUE(text_.Delete(6, 1).ok());
  ASSERT_TRUE(text_.Insert(1, "\xc3\xa4").ok());
  EXPECT_EQ(Now(), "h\xc3\xa4\xc3\xa9llo ");
  EXPECT_EQ(*text_.Read(1, 2), "\xc3\xa4\xc3\xa9");
  EXPECT_EQ(*text_.Read(6), " ");
  EXPECT_EQ(*text_.Read(70), "");
}

TEST_F(Texts, RefuseWhatIsNoEdit) {
  ASSERT_TRUE(text_.Append("abc").ok());
  EXPECT_TRUE(absl::IsOutOfRange(text_.Insert(4, "x").status()));
  EXPECT_TRUE(absl::IsOutOfRange(text_.Delete(2, 2).status()));
  EXPECT_TRUE(absl::IsOutOfRange(text_.Delete(UINT64_MAX, 2).status()));
  EXPECT_TRUE(absl::IsOutOfRange(text_.Delete(2, UINT64_MAX).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(text_.Insert(0, "").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(text_.Insert(0, "\xff").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(text_.Delete(0, 0).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(text_.Replace("\xff").status()));
  EXPECT_TRUE(
      absl::IsInvalidArgument(text_.Append(std::string(300'000, 'x')).status()));
  EXPECT_EQ(Now(), "abc");
}

TEST_F(Texts, ACursorKeepsItsPlaceWhileOthersType) {
  ASSERT_TRUE(text_.Append("hello world").ok());
  const Text::Cursor after_hello = *text_.CursorAt(5);
  ASSERT_TRUE(text_.Insert(0, ">> ").ok());
  EXPECT_EQ(*text_.PositionOf(after_hello), 8U);
  ASSERT_TRUE(text_.Insert(8, ", wide").ok());
  EXPECT_EQ(*text_.PositionOf(after_hello), 8U);
  ASSERT_TRUE(text_.Delete(5, 5).ok());
  EXPECT_EQ(*text_.PositionOf(after_hello), 5U) << "its character is gone";
  EXPECT_EQ(*text_.PositionOf({"start"}), 0U);
  for (const char* const name : {"", "/", "nobody", "start/1", "x:0.0/0"}) {
    EXPECT_TRUE(absl::IsNotFound(text_.PositionOf({name}).status())) << name;
  }
  EXPECT_TRUE(absl::IsNotFound(text_.PositionOf({after_hello.name + "9"}).status()));
}

TEST_F(Texts, ReplaceKeepsWhatIsInBoth) {
  ASSERT_TRUE(text_.Append("one\ntwo\nthree\n").ok());
  const Text::Cursor three = *text_.CursorAt(8);
  const auto ops = text_.Replace("zero\none\n2\nthree\nfour\n");
  ASSERT_TRUE(ops.ok());
  EXPECT_EQ(Now(), "zero\none\n2\nthree\nfour\n");
  EXPECT_EQ(*text_.PositionOf(three), 11U);
  const std::string large(700'000, 'y');
  ASSERT_TRUE(text_.Replace(large).ok());
  EXPECT_EQ(Now(), large);
}

TEST_F(Texts, AWatcherHearsEachChangeAsAnEdit) {
  std::mutex mutex;
  std::condition_variable heard;
  std::string copy;
  const auto watching = text_.Watch([&](const Text::Edit& edit) {
    const std::lock_guard<std::mutex> lock(mutex);
    copy.replace(edit.position, edit.removed, edit.inserted);
    heard.notify_all();
  });
  ASSERT_TRUE(text_.Append("abc").ok());
  ASSERT_TRUE(base_.Put("letters", "another key").ok());
  ASSERT_TRUE(text_.Insert(1, "--").ok());
  ASSERT_TRUE(text_.Delete(0, 2).ok());
  ASSERT_TRUE(base_.Delete("letter").ok());
  ASSERT_TRUE(text_.Append("end").ok());
  std::unique_lock<std::mutex> lock(mutex);
  EXPECT_TRUE(heard.wait_for(lock, std::chrono::seconds(30), [&] {
    return copy == "end";
  })) << copy;
}

TEST_F(Texts, EditsBetweenTwoTextsTurnOneIntoTheOther) {
  const char* const texts[] = {
      "", "a", "ab\ncd\n", "ab\nxx\ncd\n", "\xc3\xa9\xc3\xa8", "\xc3\xa8", "cd\nab\n"};
  for (const std::string from : texts) {
    for (const std::string to : texts) {
      Text text(base_, "between");
      ASSERT_TRUE(text.Replace(from).ok());
      ASSERT_TRUE(text.Replace(to).ok());
      EXPECT_EQ(*text.Read(), to) << from;
    }
  }
}

}  // namespace
}  // namespace weft
