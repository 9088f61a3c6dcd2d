// People with replicas of one base: logs without signatures or disks, so that a test is
// about meaning alone.

#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_format.h"
#include "crdt/indexer.h"
#include "crdt/verification.h"
#include "engine/check.h"
#include "engine/memory_storage.h"
#include "tests/crdt/fork_sides.h"
#include "tests/crdt/later_log.h"
#include "tests/sim/sim_random.h"

namespace weft {

// In steps that are short enough to end anywhere.
inline absl::Status Verify(Indexer* indexer) {
  WEFT_ASSIGN_OR_RETURN(const auto verification, Verification::Begin(indexer));
  for (bool done = false; !done;) {
    WEFT_ASSIGN_OR_RETURN(done, verification->Step(/*ops=*/3));
  }
  return absl::OkStatus();
}

class FixedClock final : public Clock {
 public:
  Nanos Now() const override { return std::chrono::milliseconds(now_ms); }
  Nanos Steady() const override { return std::chrono::milliseconds(now_ms); }
  std::int64_t now_ms = 1'000'000;
};

// Whole logs in memory.
class MemoryLogs final : public LogSource {
 public:
  absl::StatusOr<LogInfo> Info(const CoreKey& log) override {
    return LogInfo{logs[log].size(), forks[log]};
  }
  absl::StatusOr<std::vector<Bytes>> Read(const CoreKey& log, std::uint64_t from,
                                          std::uint64_t to) override {
    const std::vector<Bytes>& blocks = logs[log];
    WEFT_CHECK(from <= to && to <= blocks.size());
    blocks_read += to - from;
    return std::vector<Bytes>(blocks.begin() + static_cast<std::ptrdiff_t>(from),
                              blocks.begin() + static_cast<std::ptrdiff_t>(to));
  }

  absl::StatusOr<std::vector<Bytes>> ReadBranch(const CoreKey& log, std::uint64_t from,
                                                std::uint64_t length,
                                                const TreeHash& hash) override {
    for (const std::vector<Bytes>& branch : others[log]) {
      if (branch.size() < length) continue;
      MerkleTree tree;
      for (std::uint64_t i = 0; i < length; ++i) {
        tree.AppendBlock(branch[i], [](const TreeNode&) {});
      }
      if (tree.hash() != hash) continue;
      return std::vector<Bytes>(branch.begin() + static_cast<std::ptrdiff_t>(from),
                                branch.begin() + static_cast<std::ptrdiff_t>(length));
    }
    return std::vector<Bytes>();
  }
  // Takes the first `length` of the blocks: into the log as it is read, if they are of
  // one branch with it, else beside it.
  void Hold(const CoreKey& log, const std::vector<Bytes>& blocks,
            std::uint64_t length) {
    length = std::min<std::uint64_t>(length, blocks.size());
    const auto extends = [&](std::vector<Bytes>& ours) {
      const auto common =
          static_cast<std::ptrdiff_t>(std::min<std::uint64_t>(ours.size(), length));
      if (!std::equal(ours.begin(), ours.begin() + common, blocks.begin()))
        return false;
      while (ours.size() < length) ours.push_back(blocks[ours.size()]);
      return true;
    };
    if (extends(logs[log])) return;
    for (std::vector<Bytes>& branch : others[log]) {
      if (extends(branch)) return;
    }
    extends(others[log].emplace_back());
  }

  std::map<CoreKey, std::vector<Bytes>> logs;
  std::map<CoreKey, std::vector<std::vector<Bytes>>> others;  // of forked logs
  std::map<CoreKey, std::uint64_t> forks;
  std::uint64_t blocks_read = 0;
};

inline Mutation Put(std::string_view key, std::string_view text) {
  Mutation mutation;
  mutation.kind = Mutation::Kind::kPut;
  mutation.key = key;
  mutation.value = {ValueType::kText, AsBytes(text)};
  return mutation;
}
inline Mutation Del(std::string_view key) {
  Mutation mutation;
  mutation.kind = Mutation::Kind::kDelete;
  mutation.key = key;
  return mutation;
}
inline Mutation Erase(std::string_view key, bool wins = false) {
  Mutation mutation;
  mutation.kind = Mutation::Kind::kErase;
  mutation.key = key;
  mutation.delete_wins = wins;
  return mutation;
}
using Cells = std::vector<std::pair<std::string_view, std::string_view>>;
inline Mutation Set(std::string_view key, const Cells& cells) {
  Mutation mutation;
  mutation.kind = Mutation::Kind::kSet;
  mutation.key = key;
  for (const auto& [column, text] : cells) {
    mutation.cells.push_back({column, {ValueType::kText, AsBytes(text)}});
  }
  return mutation;
}
inline Mutation Unset(std::string_view key, std::vector<std::string_view> columns) {
  Mutation mutation;
  mutation.kind = Mutation::Kind::kUnset;
  mutation.key = key;
  for (const std::string_view column : columns) mutation.cells.push_back({column, {}});
  return mutation;
}

// One store that follows the base, and the person who writes there.
class Replica {
 public:
  Replica(const Genesis& genesis, const CoreKey& self, IndexerOptions options = {})
      : self_(self), genesis_(genesis), options_(options) {
    Reopen();
  }

  // Starts anew on what was flushed, and takes in what the logs hold.
  void Reopen() {
    indexer_.reset();
    auto opened = Indexer::Open(&storage_, &logs_, &clock_, genesis_, options_);
    WEFT_CHECK(opened.ok());
    indexer_ = *std::move(opened);
    WEFT_CHECK(indexer_->IndexAll().ok());
  }

  // What a person does: prepare, append, index.
  absl::StatusOr<PreparedCommit> Commit(std::span<const Mutation> mutations) {
    WEFT_ASSIGN_OR_RETURN(
        PreparedCommit commit,
        indexer_->Prepare(self_, mutations, static_cast<std::uint64_t>(clock_.now_ms)));
    WEFT_RETURN_IF_ERROR(Append(commit));
    return commit;
  }
  // The op id of a commit of one mutation, which must be allowed.
  OpId Do(const Mutation& mutation) {
    auto commit = Commit(std::span(&mutation, 1));
    WEFT_CHECK(commit.ok());
    return commit->ops[0];
  }
  OpId Grant(const CoreKey& identity, GrantRole role, std::string_view scope = "") {
    GrantOp grant;
    grant.identity = identity;
    grant.role = role;
    grant.scope = AsBytes(scope);
    auto commit = indexer_->PrepareGrants(self_, std::span(&grant, 1),
                                          static_cast<std::uint64_t>(clock_.now_ms));
    WEFT_CHECK(commit.ok());
    WEFT_CHECK(Append(*commit).ok());
    return commit->ops[0];
  }

  // An auth op that must be allowed.
  OpId Auth(const AuthOperation& operation) {
    auto id = TryAuth(operation);
    WEFT_CHECK(id.ok());
    return *id;
  }
  absl::StatusOr<OpId> TryAuth(const AuthOperation& operation) {
    WEFT_ASSIGN_OR_RETURN(
        const PreparedCommit commit,
        indexer_->PrepareAuth(self_, std::span(&operation, 1),
                              static_cast<std::uint64_t>(clock_.now_ms)));
    WEFT_RETURN_IF_ERROR(Append(commit));
    return commit.ops[0];
  }

  // Takes what `other` holds of a log, up to `length` blocks.
  IndexResult Fetch(const Replica& other, const CoreKey& log,
                    std::uint64_t length = UINT64_MAX) {
    const auto theirs = other.logs_.logs.find(log);
    if (theirs == other.logs_.logs.end()) return {};
    return Hold(log, theirs->second, length);
  }
  IndexResult Hold(const CoreKey& log, const std::vector<Bytes>& blocks,
                   std::uint64_t length = UINT64_MAX) {
    logs_.Hold(log, blocks, length);
    auto result = indexer_->Index(log);
    WEFT_CHECK(result.ok());
    return *std::move(result);
  }
  // What was the whole of a log goes on as if it were all there is: a store that was
  // copied, or restored.
  void FetchAll(const Replica& other) {
    const auto logs = other.logs_.logs;
    for (const auto& [log, blocks] : logs) Hold(log, blocks);
    const auto others = other.logs_.others;
    for (const auto& [log, branches] : others) {
      for (const std::vector<Bytes>& blocks : branches) Hold(log, blocks);
    }
  }
  IndexResult TakeProof(const ForkProof& proof) {
    const Bytes bytes = EncodeForkProof(proof);
    auto result = indexer_->TakeForkProofs(std::span(&bytes, 1));
    WEFT_CHECK(result.ok());
    return *std::move(result);
  }

  ViewEntry Read(std::string_view key) const {
    auto entry = indexer_->Get(key);
    WEFT_CHECK(entry.ok());
    return *std::move(entry);
  }
  // The winner's text; "-" if there is none.
  std::string Text(std::string_view key) const {
    const ViewEntry entry = Read(key);
    if (!entry.value) return "-";
    return std::string(AsText(entry.value->live[0].view().bytes));
  }
  std::vector<std::string> Conflicts(std::string_view key) const {
    const ViewEntry entry = Read(key);
    std::vector<std::string> texts;
    for (std::size_t i = 1; entry.value && i < entry.value->live.size(); ++i) {
      texts.emplace_back(AsText(entry.value->live[i].view().bytes));
    }
    return texts;
  }
  // "column=text" for each cell, and for each of its conflicts "column~text".
  std::vector<std::string> Row(std::string_view key) const {
    const ViewEntry entry = Read(key);
    std::vector<std::string> cells;
    if (!entry.record) return {"-"};
    for (const auto& [column, cell] : entry.record->cells) {
      for (std::size_t i = 0; i < cell.live.size(); ++i) {
        cells.push_back(column + (i == 0 ? "=" : "~") +
                        std::string(AsText(cell.live[i].view().bytes)));
      }
    }
    return cells;
  }
  std::vector<std::string> Keys(bool conflicts_only = false,
                                bool reverse = false) const {
    std::vector<std::string> keys;
    auto scan = indexer_->ScanView("", std::nullopt, reverse, conflicts_only);
    while (auto entry = scan->Next()) keys.push_back(entry->key);
    WEFT_CHECK(scan->status().ok());
    return keys;
  }
  Hash32 Root() {
    auto root = indexer_->Root();
    WEFT_CHECK(root.ok());
    return *root;
  }
  Hash32 Digest() const { return indexer_->CurrentDigest(); }
  OpFate Fate(const OpId& op) {
    auto fate = indexer_->FateOf(op);
    WEFT_CHECK(fate.ok());
    return *std::move(fate);
  }
  absl::Status Append(const PreparedCommit& commit) {
    std::vector<Bytes>& log = logs_.logs[self_];
    WEFT_CHECK(log.size() == commit.first_position);
    log.insert(log.end(), commit.blocks.begin(), commit.blocks.end());
    return indexer_->Index(self_).status();
  }

  const CoreKey& self() const { return self_; }
  Indexer& indexer() { return *indexer_; }
  MemoryLogs& logs() { return logs_; }
  MemoryStorage& storage() { return storage_; }
  FixedClock& clock() { return clock_; }

 private:
  CoreKey self_;
  Genesis genesis_;
  IndexerOptions options_;
  MemoryStorage storage_;
  MemoryLogs logs_;
  FixedClock clock_;
  std::unique_ptr<Indexer> indexer_;
};

// The proof that a log has two branches, made by its owner's keys.
inline ForkProof ProveFork(const Manifest& manifest, const KeyPair& pair,
                           std::span<const Bytes> one, std::span<const Bytes> other) {
  auto proof = FindFork(manifest, MakeSide(manifest, pair, one),
                        MakeSide(manifest, pair, other));
  WEFT_CHECK(proof.has_value());
  if (proof->fork_point == 0) proof->first_block = one[0];
  return *std::move(proof);
}

// A base with one founder and identities for everybody else, from a seed.
struct People {
  explicit People(std::size_t count, std::uint64_t seed = 1) {
    sim::SimRandom random(seed);
    genesis.salt = RandomSalt(random);
    genesis.name = "test";
    for (std::size_t i = 0; i < count; ++i) {
      const IdentityKeys keys = MakeIdentity(genesis.salt, random);
      if (i == 0) genesis.founders.push_back(keys.manifest);
      ids.push_back(keys.id());
      identities.push_back(keys);
    }
  }
  // A replica for each, everybody but the founder with a grant as a writer.
  std::vector<std::unique_ptr<Replica>> Meet(IndexerOptions options = {}) const {
    std::vector<std::unique_ptr<Replica>> replicas;
    for (const CoreKey& id : ids) {
      replicas.push_back(std::make_unique<Replica>(genesis, id, options));
    }
    for (std::size_t i = 1; i < ids.size(); ++i) {
      replicas[0]->Grant(ids[i], GrantRole::kWriter);
    }
    for (std::size_t i = 1; i < ids.size(); ++i) replicas[i]->FetchAll(*replicas[0]);
    return replicas;
  }

  // That person `who` has written on two branches.
  ForkProof Proof(std::size_t who, std::span<const Bytes> one,
                  std::span<const Bytes> other) const {
    return ProveFork(identities[who].manifest, identities[who].pair, one, other);
  }

  // By which person `who` goes on in the log `later` after these blocks of the first
  // one.
  Incarnation Certificate(std::size_t who, const CoreKey& later,
                          std::span<const Bytes> before) const {
    MerkleTree tree;
    for (const Bytes& block : before) tree.AppendBlock(block, [](const TreeNode&) {});
    return CertifyLater(identities[who], BaseIdOf(EncodeGenesis(genesis)), later,
                        before.size(), tree.hash());
  }

  Genesis genesis;
  std::vector<CoreKey> ids;
  std::vector<IdentityKeys> identities;
};

}  // namespace weft
