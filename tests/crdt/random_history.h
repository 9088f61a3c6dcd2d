// A random life of one base: people who write, meet, and sometimes cheat.
//
// Cheats are what a program that does not follow the rules could sign: half batches,
// broken numbering, garbage, blocks of a future format, deps that reach into a batch
// or at another branch, writes without a grant. The logs that come out are what every
// replica may come to hold, in any order.

#pragma once

#include <random>

#include "crdt/lanes/sequence_log.h"
#include "engine/merkle_tree.h"
#include "tests/crdt/replica.h"
#include "tests/crdt/view_model.h"

namespace weft {

struct HistoryOptions {
  std::size_t people = 4;
  std::size_t steps = 40;
  bool cheats = false;
  bool sequences = false;  // texts and lists too
  bool typed = false;      // writes to the lanes 3 to 7 too, on keys and in cells
};

class RandomHistory {
 public:
  RandomHistory(std::uint64_t seed, const HistoryOptions& options)
      : random_(seed), options_(options), people_(options.people + 1, seed) {
    people_.genesis.limits.block_bytes = 600;  // so that batches have several blocks
    IndexerOptions small;
    small.flush_ops = 1 + random_() % 50;
    small.cache_keys_max = random_() % 4;
    for (std::size_t i = 0; i < options.people; ++i) {
      replicas_.push_back(
          std::make_unique<Replica>(people_.genesis, people_.ids[i], small));
    }
    // The last identity never gets a grant.
    for (std::size_t i = 1; i < options.people; ++i) {
      replicas_[0]->Grant(people_.ids[i], GrantRole::kWriter, i == 3 ? "a" : "");
    }
    for (std::size_t i = 1; i < options.people; ++i)
      replicas_[i]->FetchAll(*replicas_[0]);
    for (std::size_t i = 0; i < options.steps; ++i) Step();
    for (const auto& replica : replicas_) {
      for (const auto& [key, blocks] : replica->logs().logs) {
        std::vector<Bytes>& longest = logs_[key];
        if (blocks.size() > longest.size()) longest = blocks;
      }
    }
  }

  const Genesis& genesis() const { return people_.genesis; }
  const ViewModel::Logs& logs() const { return logs_; }
  const std::vector<OpId>& ops() const { return ops_; }
  std::mt19937_64& random() { return random_; }

  // Brings every log to `replica`, in pieces, in a random order, some of them twice.
  // Calls `step` after each piece.
  template <class Step>
  void Deliver(Replica* replica, Step step) {
    std::map<CoreKey, std::size_t> held;
    for (;;) {
      std::vector<CoreKey> open;
      for (const auto& [key, blocks] : logs_) {
        if (held[key] < blocks.size()) open.push_back(key);
      }
      if (open.empty()) break;
      const CoreKey key = open[random_() % open.size()];
      held[key] = std::min(logs_[key].size(), held[key] + 1 + random_() % 5);
      replica->Hold(key, logs_[key], held[key]);
      if (random_() % 8 == 0) replica->Hold(key, logs_[key], held[key]);
      if (random_() % 10 == 0) WEFT_CHECK(replica->indexer().Flush().ok());
      if (random_() % 15 == 0) replica->Reopen();
      step();
    }
  }

 private:
  std::string RandomKey() {
    return std::string(1, static_cast<char>('a' + random_() % 3));
  }

  Mutation RandomMutation(const Replica& replica) {
    const std::string& key = Keep(RandomKey());
    const std::string& text = Keep("text " + std::to_string(++texts_) +
                                   (random_() % 5 == 0 ? std::string(120, 'x') : ""));
    const std::string& column =
        Keep(std::string(1, static_cast<char>('p' + random_() % 3)));
    if (options_.sequences && random_() % 3 != 0) return RandomEdit(replica, key);
    if (options_.typed && random_() % 3 != 0) return RandomTyped(key, column);
    switch (random_() % 8) {
      case 0:
      case 1:
        return Put(key, text);
      case 2:
        return Del(key);
      case 3:
        return Erase(key, random_() % 3 == 0);
      case 4:
        return Unset(key, {column});
      case 5:
        return Set(key, {});
      default:
        return column == "p" ? Set(key, {{"p", text}, {"q", text}})
                             : Set(key, {{column, text}});
    }
  }

  Mutation RandomEdit(const Replica& replica, std::string_view key) {
    using Kind = Mutation::Kind;
    const ViewEntry entry = replica.Read(key);
    Mutation mutation;
    mutation.key = key;
    const bool is_text = random_() % 3 != 0;
    std::uint64_t length = 0;
    if (is_text && entry.text) length = CodePoints(*entry.text);
    if (!is_text && entry.list) length = entry.list->size();
    if (length > 2 && random_() % 3 == 0) {
      mutation.kind = is_text ? Kind::kCutText : Kind::kCutItems;
      mutation.index = random_() % (length - 1);
      mutation.count =
          1 + random_() % std::min<std::uint64_t>(3, length - mutation.index);
      return mutation;
    }
    mutation.kind = is_text ? Kind::kInsertText : Kind::kInsertItem;
    // Often at one place, so that people write beside each other.
    mutation.index = random_() % 2 == 0 ? std::min<std::uint64_t>(length, 1)
                                        : random_() % (length + 1);
    const char* const words[] = {"a", "bc", "d\xc3\xa9", "\xf0\x9f\x98\x80!", "xyz"};
    mutation.value = {ValueType::kText,
                      AsBytes(std::string_view(words[random_() % 5]))};
    return mutation;
  }

  // Origins and ranges that no author could have seen.
  ElementRef RandomRef() {
    ElementRef ref;
    ref.place = static_cast<ElementRef::Place>(random_() % 4);
    if (ref.place == ElementRef::Place::kLog) {
      ref.writer = people_.ids[random_() % people_.ids.size()].view();
    }
    ref.position = random_() % 20;
    ref.op_index = static_cast<std::uint32_t>(random_() % 3);
    ref.offset = random_() % 3;
    return ref;
  }
  Operation LyingEdit(std::string_view key) {
    const Lane lane = random_() % 2 == 0 ? Lane::kText : Lane::kList;
    SequenceEdit& edit = edits_.emplace_back();
    edit.left = RandomRef();
    edit.right = RandomRef();
    if (random_() % 3 != 0) {
      return InsertOp(AsBytes(key), lane, &edit, {ValueType::kText, AsBytes("lie")});
    }
    ElementRange range{RandomRef(), 1 + random_() % 3};
    if (range.first.is_edge()) range.first.place = ElementRef::Place::kThisLog;
    edit.ranges.push_back(range);
    return CutOp(AsBytes(key), lane, &edit);
  }

  Mutation RandomTyped(std::string_view key, std::string_view column) {
    using Kind = Mutation::Kind;
    constexpr Kind kKinds[] = {Kind::kIncrement, Kind::kIncrement, Kind::kReset,
                               Kind::kAdd,       Kind::kAdd,       Kind::kRemove,
                               Kind::kRaiseMax,  Kind::kRaiseMin,  Kind::kEnable,
                               Kind::kDisable};
    Mutation mutation;
    mutation.kind = kKinds[random_() % std::size(kKinds)];
    mutation.key = key;
    if (random_() % 2 == 0) mutation.column = column;
    mutation.number = static_cast<std::int64_t>(random_() % 20) - 10;
    mutation.value = {
        ValueType::kText,
        AsBytes(Keep(std::string(1, static_cast<char>('A' + random_() % 3))))};
    mutation.disable_wins = random_() % 2 == 0;
    return mutation;
  }

  void Step() {
    const std::size_t who = random_() % replicas_.size();
    Replica& replica = *replicas_[who];
    replica.clock().now_ms += static_cast<std::int64_t>(random_() % 50) - 10;
    if (random_() % 3 == 0) {
      const Replica& other = *replicas_[random_() % replicas_.size()];
      if (random_() % 2 == 0) {
        replica.FetchAll(other);
      } else {
        replica.Fetch(other, people_.ids[random_() % people_.ids.size()],
                      random_() % 40);
      }
      return;
    }
    if (options_.cheats && who > 0 && random_() % 3 == 0) {
      Cheat(replica, people_.ids[random_() % 6 == 0 ? people_.ids.size() - 1 : who]);
      return;
    }
    std::vector<Mutation> mutations;
    const std::size_t count = random_() % 6 == 0 ? 12 : 1 + random_() % 3;
    for (std::size_t i = 0; i < count; ++i)
      mutations.push_back(RandomMutation(replica));
    auto commit = replica.Commit(mutations);
    // Nothing to delete, out of scope, or a log that was spoilt by a cheat.
    if (!commit.ok()) return;
    ops_.insert(ops_.end(), commit->ops.begin(), commit->ops.end());
    // Whoever writes has seen all that he could read, so nothing stands beside it.
    if (mutations.back().kind == Mutation::Kind::kPut) {
      WEFT_CHECK(replica.Read(mutations.back().key).value->live_count == 1);
    }
  }

  const std::string& Keep(std::string text) {
    kept_.push_back(std::move(text));
    return kept_.back();
  }

  Dep DepOn(Replica& replica, const CoreKey& key, std::uint64_t length) {
    MerkleTree tree;
    for (std::uint64_t i = 0; i < length; ++i) {
      tree.AppendBlock(replica.logs().logs[key][i], [](const TreeNode&) {});
    }
    return {key, length, tree.hash()};
  }

  // Signs what an honest program would not.
  void Cheat(Replica& replica, const CoreKey& self) {
    std::vector<Bytes>& log = replica.logs().logs[self];
    LogState state(self);
    for (const Bytes& block : log) DecodeBlock(state, block, genesis().limits);
    if (state.open_batch() && random_() % 2 == 0) {
      log.push_back({1, 2, 3});  // breaks off the batch, so that others can follow
      DecodeBlock(state, log.back(), genesis().limits);
    }
    std::vector<std::pair<CoreKey, std::uint64_t>> others;
    for (const auto& [key, blocks] : replica.logs().logs) {
      if (key != self && !blocks.empty()) others.emplace_back(key, blocks.size());
    }
    CommitHeader header;
    header.hlc = {state.last_hlc().ms + 1 + random_() % 3, 0};
    header.cite = GrantOf(replica, self);
    header.deps.push_back(
        DepOn(replica, people_.ids[0], others.empty() ? 1 : GrantsEnd()));
    const auto& [other, length] = others[random_() % others.size()];
    if (other != people_.ids[0]) {
      const std::uint64_t back = random_() % std::min<std::uint64_t>(length, 8);
      header.deps.push_back(DepOn(replica, other, length - back));
      if (random_() % 12 == 0) header.deps.back().tree_hash.bytes[0] ^= 1;
    }
    std::vector<Mutation> mutations;
    std::vector<Operation> operations;
    for (std::size_t i = 0; i < 1 + random_() % 12; ++i) {
      if (options_.sequences && random_() % 2 == 0) {
        operations.push_back(LyingEdit(Keep(RandomKey())));
        continue;
      }
      operations.push_back(
          PutOp(AsBytes(Keep(RandomKey())),
                {ValueType::kText, AsBytes(Keep(std::string(90, 'c')))}));
    }
    auto batch = EncodeBatch(state, header, std::span<const Operation>(operations),
                             genesis().limits);
    if (!batch.ok()) return;  // the log has a batch that is not whole
    const std::size_t kind = random_() % 12;
    if (kind < 3 && batch->blocks.size() > 1) batch->blocks.pop_back();
    if (kind == 3) batch->blocks.front() = Bytes{1, 2, 3};
    if (kind == 4) batch->blocks.back().back() ^= 0xff;
    if (kind == 5 && random_() % 3 == 0) batch->blocks.back()[0] = 9;
    for (std::size_t i = 0; i < batch->blocks.size(); ++i) {
      ops_.push_back({self, log.size(), 0});
      log.push_back(std::move(batch->blocks[i]));
    }
    WEFT_CHECK(replica.indexer().Index(self).ok());
  }

  OpId GrantOf(Replica& replica, const CoreKey& self) {
    const auto grants = replica.indexer().authority().GrantsOf(self);
    if (!grants.empty() && random_() % 6 != 0) return grants[0]->id;
    return {people_.ids[0], random_() % 4, 0};
  }
  std::uint64_t GrantsEnd() const { return options_.people - 1; }

  std::mt19937_64 random_;
  HistoryOptions options_;
  People people_;
  std::vector<std::unique_ptr<Replica>> replicas_;
  ViewModel::Logs logs_;
  std::vector<OpId> ops_;
  std::deque<SequenceEdit> edits_;
  std::deque<std::string> kept_;
  std::size_t texts_ = 0;
};

}  // namespace weft
