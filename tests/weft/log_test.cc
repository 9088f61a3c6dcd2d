// What a writer's log says, read through the public API.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/weft/scratch.h"
#include "weft/store.h"

namespace weft {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class Log : public testing::Test {
 protected:
  Log() : store_(*Store::Open(scratch_ / "ada")), base_(Found()) {}

  Base Found() { return *store_.CreateBase({.name = "club"}); }
  std::vector<LoggedOp> All(std::uint64_t from = 0, std::uint64_t to = UINT64_MAX) {
    std::vector<LoggedOp> ops;
    for (std::uint64_t at = from; at < to;) {
      const absl::StatusOr<LogPage> page = base_.ReadLog(base_.identity(), at, to);
      EXPECT_TRUE(page.ok()) << page.status();
      if (!page.ok() || page->next == at) break;
      ops.insert(ops.end(), page->ops.begin(), page->ops.end());
      at = page->next;
    }
    return ops;
  }

  Scratch scratch_;
  Store store_;
  Base base_;
};

std::string Said(const LoggedOp& logged) {
  std::string text = logged.key + " " + logged.change.what;
  if (logged.change.value) text += " " + logged.change.value->ToText();
  for (const auto& [column, change] : logged.cells) {
    text += ", " + column + " " + change.what;
    if (change.value) text += " " + change.value->ToText();
  }
  return text;
}

TEST_F(Log, EveryKindOfChangeIsReadAsItWasWritten) {
  Batch batch;
  batch.Put("note", Datum::Of("milk"));
  batch.Set("t/1", {{"name", Datum::Of("Elsa")}, {"seats", Datum::Integer(4)}});
  batch.Unset("t/1", {"seats"});
  batch.Increment("likes", -2);
  batch.Reset("likes");
  batch.Add("tags", Datum::Of("red"));
  batch.Remove("tags", Datum::Of("red"));
  batch.Max("most", 7);
  batch.Min("least", 3);
  batch.Enable("open");
  batch.Disable("open");
  batch.Increment("t/1", 5, "visits");
  batch.InsertText("letter", 0, "Dear Ada");
  batch.DeleteText("letter", 0, 5);
  batch.Append("list", Datum::Of("item"));
  batch.Delete("note");
  ASSERT_TRUE(base_.Commit(batch).ok());
  std::vector<std::string> said;
  for (const LoggedOp& logged : All()) said.push_back(Said(logged));
  EXPECT_THAT(said, ElementsAre("note put milk", "t/1 set, name set Elsa, seats set 4",
                                "t/1 set, seats unset", "likes inc -2", "likes reset",
                                "tags add red", "tags rem red", "most max 7",
                                "least min 3", "open enable", "open disable",
                                "t/1 set, visits inc 5", "letter insert Dear Ada",
                                "letter cut 5", "list insert item", "note del"));
}

TEST_F(Log, ItSaysWhatBecameOfAnOp) {
  const auto first = base_.Put("k", "1");
  const auto second = base_.Put("k", "2");
  ASSERT_TRUE(first.ok() && second.ok());
  const std::vector<LoggedOp> ops = All();
  ASSERT_EQ(ops.size(), 2U);
  EXPECT_EQ(ops[0].op.ToText(), first->ToText());
  EXPECT_EQ(ops[0].fate.kind, FateKind::kSuperseded);
  EXPECT_THAT(ops[0].fate.by, ElementsAre(*second));
  EXPECT_EQ(ops[1].fate.kind, FateKind::kWinner);
  EXPECT_EQ(All(1).size(), 1U);
  EXPECT_EQ(All(0, 1).size(), 1U);
  EXPECT_TRUE(All(2).empty());
  EXPECT_TRUE(All(UINT64_MAX - 1).empty());
}

TEST_F(Log, WhatSomebodyDidToMembersIsThereToo) {
  const std::string somebody(52, 'y');
  ASSERT_TRUE(base_.Grant(somebody, Role::kWriter, "notes/").ok());
  ASSERT_TRUE(base_.Invite({.role = Role::kReader, .uses = 3}).ok());
  ASSERT_TRUE(base_.Revoke(somebody, {.reason = "spam"}).ok());
  const std::vector<LoggedOp> ops = All();
  ASSERT_EQ(ops.size(), 3U);
  EXPECT_EQ(ops[0].change.what, "grant");
  EXPECT_EQ(ops[0].about, somebody + " writer under notes/");
  EXPECT_EQ(ops[1].change.what, "invite");
  EXPECT_EQ(ops[1].about, "reader, for 3");
  EXPECT_EQ(ops[2].change.what, "revoke");
  EXPECT_EQ(ops[2].about, ops[0].op.ToText() + ": spam");
}

TEST_F(Log, PagesOfALongOneFollowEachOther) {
  for (int i = 0; i < 150; ++i) ASSERT_TRUE(base_.Put("k", std::to_string(i)).ok());
  const std::vector<LoggedOp> ops = All();
  ASSERT_EQ(ops.size(), 150U);
  for (int i = 0; i < 150; ++i) {
    EXPECT_EQ(ops[static_cast<std::size_t>(i)].change.value->ToText(),
              std::to_string(i));
  }
}

TEST_F(Log, OfALogThatIsNotFollowedThereIsNothing) {
  const absl::StatusOr<LogPage> unknown = base_.ReadLog(std::string(52, 'y'), 0);
  EXPECT_EQ(unknown.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(unknown.status().message()), HasSubstr("followed"));
  EXPECT_EQ(base_.ReadLog("nobody", 0).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace weft
