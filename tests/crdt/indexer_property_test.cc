// The indexer against the rules on random histories: every delivery order, every place
// to flush or to restart, gives what the definition gives.

#include <gmock/gmock.h>

#include "tests/crdt/random_history.h"

namespace weft {
namespace {

using View = std::map<std::string, ViewModel::Seen>;

std::vector<std::string> TextsOf(const ViewRegister& seen) {
  std::vector<std::string> texts;
  for (const ViewSibling& sibling : seen.live) {
    texts.emplace_back(AsText(sibling.view().bytes));
  }
  return texts;
}

void ReadTyped(const ViewTyped& typed, const std::string& name, ViewModel::Seen* seen) {
  if (typed.counter) (*seen)[name + "#3"] = {typed.counter->sum};
  if (typed.set) {
    for (const std::string& element : *typed.set) {
      (*seen)[name + "#4"].push_back(element.substr(1));
    }
  }
  if (typed.max) (*seen)[name + "#5"] = {std::to_string(*typed.max)};
  if (typed.min) (*seen)[name + "#6"] = {std::to_string(*typed.min)};
  if (typed.flag) (*seen)[name + "#7"] = {typed.flag->enabled ? "on" : "off"};
}

View ReadAll(Replica& replica) {
  View view;
  auto scan = replica.indexer().ScanView("", std::nullopt, false);
  while (const auto entry = scan->Next()) {
    ViewModel::Seen& seen = view[entry->key];
    if (entry->value) seen["value"] = TextsOf(*entry->value);
    ReadTyped(entry->typed, "", &seen);
    if (entry->text) seen["text"] = {*entry->text};
    if (entry->list) {
      for (const std::string& value : *entry->list) {
        seen["list"].push_back(value.substr(1));
      }
    }
    if (!entry->record) continue;
    for (const auto& [column, typed] : entry->record->typed_cells) {
      ReadTyped(typed, "." + column, &seen);
    }
    seen["present"] = {std::to_string(entry->record->presence.size())};
    for (const auto& [column, cell] : entry->record->cells) {
      seen["." + column] = TextsOf(cell);
    }
    EXPECT_EQ(replica.Read(entry->key), *entry);
  }
  return view;
}

struct Tally {
  int conflicts = 0;
  int fates[16] = {};
};

void CheckFate(Replica& replica, const ViewModel& model, const OpId& op) {
  const OpFate fate = replica.Fate(op);
  const std::vector<CoreKey> wanted = replica.indexer().WantedLogs();
  // The log of somebody who is no member, and whom nobody has named, is not looked at.
  const OpFateKind expected = std::count(wanted.begin(), wanted.end(), op.writer) == 0
                                  ? OpFateKind::kUnknown
                                  : model.BlockFate(op);
  const bool outsider = !replica.indexer().authority().IsMember(op.writer);
  if (outsider && fate.kind == OpFateKind::kWaiting) {
    return;  // only a part of his batch counts (docs/semantics.md)
  }
  if (expected != OpFateKind::kWinner) {
    ASSERT_EQ(fate.kind, expected) << ToText(op);
    return;
  }
  ASSERT_THAT(fate.kind, testing::AnyOf(OpFateKind::kWinner, OpFateKind::kConflict,
                                        OpFateKind::kSuperseded, OpFateKind::kRemoved))
      << ToText(op);
  const auto put = model.PutFate(op);
  if (!put) return;
  ASSERT_EQ(fate.kind, put->first) << ToText(op);
  ASSERT_EQ(std::set<OpId>(fate.by.begin(), fate.by.end()), put->second) << ToText(op);
}

void CheckHistory(std::uint64_t seed, const HistoryOptions& options, Tally* tally) {
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  RandomHistory history(seed, options);
  const ViewModel model(history.genesis(), history.logs());
  const View expected = model.Read();
  std::unique_ptr<Replica> first;
  // I1 at every moment of every delivery: one digest, one root, one fate of each op
  // below the settled lengths.
  std::map<Hash32, std::pair<Hash32, std::vector<OpFate>>> known;
  for (int round = 0; round < 4; ++round) {
    IndexerOptions small;
    small.flush_ops = 1 + history.random()() % 60;
    small.cache_keys_max = history.random()() % 4;
    auto replica = std::make_unique<Replica>(history.genesis(), CoreKey{}, small);
    history.Deliver(replica.get(), [&] {
      std::pair<Hash32, std::vector<OpFate>> now{replica->Root(), {}};
      const VersionVector settled = replica->indexer().Settled();
      for (std::size_t n = 0; n < history.ops().size(); n += 4) {
        const OpId& op = history.ops()[n];
        now.second.push_back(settled.Includes(op.dot()) ? replica->Fate(op) : OpFate{});
      }
      const auto [entry, added] = known.emplace(replica->Digest(), now);
      ASSERT_EQ(entry->second, now);
    });
    if (testing::Test::HasFatalFailure()) return;
    ASSERT_EQ(ReadAll(*replica), expected);
    if (!first) {
      first = std::move(replica);
      for (const OpId& op : history.ops()) CheckFate(*first, model, op);
      continue;
    }
    ASSERT_EQ(replica->Digest(), first->Digest());
    ASSERT_EQ(replica->Root(), first->Root());
    ASSERT_EQ(replica->Keys(true), first->Keys(true));
    for (const OpId& op : history.ops()) {
      ASSERT_EQ(replica->Fate(op), first->Fate(op)) << ToText(op);
    }
  }
  const IndexerStatus status = first->indexer().Status();
  EXPECT_EQ(status.keys, expected.size());
  EXPECT_EQ(status.conflicts, first->Keys(true).size());
  tally->conflicts += static_cast<int>(status.conflicts);
  for (const OpId& op : history.ops()) {
    ++tally->fates[static_cast<std::size_t>(first->Fate(op).kind)];
  }
  EXPECT_TRUE(Verify(&first->indexer()).ok());
}

TEST(IndexerProperty, I1_I2_HonestHistoriesGiveTheModelsViewInEveryOrder) {
  Tally tally;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    CheckHistory(seed, {.people = 2 + seed % 4, .steps = 40}, &tally);
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(tally.conflicts, 80);
  EXPECT_GT(tally.fates[static_cast<int>(OpFateKind::kWinner)], 200);
  EXPECT_GT(tally.fates[static_cast<int>(OpFateKind::kConflict)], 100);
  EXPECT_GT(tally.fates[static_cast<int>(OpFateKind::kSuperseded)], 200);
  EXPECT_GT(tally.fates[static_cast<int>(OpFateKind::kRemoved)], 100);
}

TEST(IndexerProperty,
     D3_D4_D5_D7_D11_HistoriesOfEveryLaneGiveTheModelsViewInEveryOrder) {
  Tally tally;
  for (std::uint64_t seed = 2001; seed <= 2100; ++seed) {
    CheckHistory(
        seed,
        {.people = 2 + seed % 4, .steps = 50, .cheats = seed % 3 == 0, .typed = true},
        &tally);
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(tally.fates[static_cast<int>(OpFateKind::kWinner)], 200);
  EXPECT_GT(tally.fates[static_cast<int>(OpFateKind::kSuperseded)], 200);
  EXPECT_GT(tally.fates[static_cast<int>(OpFateKind::kRemoved)], 100);
}

TEST(IndexerProperty, D6_TextsAndListsAreTheModelsTreeInEveryOrder) {
  Tally tally;
  for (std::uint64_t seed = 3001; seed <= 3080; ++seed) {
    CheckHistory(seed, {.people = 2 + seed % 3, .steps = 40, .sequences = true},
                 &tally);
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(tally.fates[static_cast<int>(OpFateKind::kWinner)], 200);
  EXPECT_GT(tally.fates[static_cast<int>(OpFateKind::kRemoved)], 20);
}

TEST(IndexerProperty, D6_OriginsThatNobodyCouldHaveSeenChangeNothingOfThat) {
  Tally tally;
  for (std::uint64_t seed = 3101; seed <= 3180; ++seed) {
    CheckHistory(
        seed, {.people = 3 + seed % 3, .steps = 40, .cheats = true, .sequences = true},
        &tally);
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(tally.fates[static_cast<int>(OpFateKind::kWinner)], 100);
}

TEST(IndexerProperty, I1_I2_I5_HistoriesWithCheatsGiveTheModelsViewInEveryOrder) {
  Tally tally;
  for (std::uint64_t seed = 1001; seed <= 1140; ++seed) {
    CheckHistory(seed, {.people = 3 + seed % 3, .steps = 50, .cheats = true}, &tally);
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(tally.fates[static_cast<int>(OpFateKind::kWaiting)], 20);
  EXPECT_GT(tally.fates[static_cast<int>(OpFateKind::kInvalid)], 20);
  EXPECT_GT(tally.fates[static_cast<int>(OpFateKind::kNotAllowed)], 20);
  EXPECT_GT(tally.fates[static_cast<int>(OpFateKind::kParked)], 5);
}

}  // namespace
}  // namespace weft
