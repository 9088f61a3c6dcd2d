// The people of the tests about attacks: a founder, an admin and a writer who signs
// what an honest engine would not.

#pragma once

#include <gmock/gmock.h>

#include <memory>
#include <vector>

#include "tests/crdt/raw_envelope.h"
#include "tests/crdt/replica.h"

namespace weft {

// Fay founds, Ada is an admin, Mia may write.
class Attacks : public testing::Test {
 protected:
  explicit Attacks(std::uint64_t auth_ops = 65'536) : people_(3, 5) {
    people_.genesis.limits.auth_ops_per_writer = auth_ops;
    for (std::size_t i = 0; i < 3; ++i) {
      replicas_.push_back(std::make_unique<Replica>(people_.genesis, people_.ids[i]));
    }
    ada_grant_ = fay().Grant(people_.ids[1], GrantRole::kAdmin);
    mia_grant_ = fay().Grant(people_.ids[2], GrantRole::kWriter);
    Meet();
  }
  Replica& fay() { return *replicas_[0]; }
  Replica& ada() { return *replicas_[1]; }
  Replica& mia() { return *replicas_[2]; }
  const CoreKey& mia_id() const { return people_.ids[2]; }
  void Meet() {
    for (int turn = 0; turn < 2; ++turn) {
      for (auto& a : replicas_) {
        for (auto& b : replicas_) {
          if (a != b) a->FetchAll(*b);
        }
      }
    }
  }
  void ExpectAllEqual() {
    Meet();
    for (auto& replica : replicas_) {
      EXPECT_EQ(replica->Digest(), fay().Digest());
      EXPECT_EQ(replica->Root(), fay().Root());
      EXPECT_TRUE(Verify(&replica->indexer()).ok()) << Verify(&replica->indexer());
    }
  }
  static TreeHash HashAt(Replica& replica, std::size_t length) {
    MerkleTree tree;
    for (std::size_t i = 0; i < length; ++i) {
      tree.AppendBlock(replica.logs().logs[replica.self()][i], [](const TreeNode&) {});
    }
    return tree.hash();
  }
  // What names the grants that Fay made, and nothing else.
  Dep Grants() { return {people_.ids[0], 2, HashAt(fay(), 2)}; }
  // The log of `replica` as its author knows it.
  static LogState LogOf(Replica& replica) {
    LogState log(replica.self());
    for (const Bytes& block : replica.logs().logs[replica.self()]) {
      DecodeBlock(log, block, Limits());
    }
    return log;
  }
  // What he signs regardless of it; `hlc` absent: a stamp of now. `limits` may be more
  // than the base has.
  template <class Op>
  static OpId Forge(Replica& replica, const OpId& cite, std::vector<Dep> deps,
                    const std::vector<Op>& ops, std::optional<Hlc> hlc = std::nullopt,
                    const Limits& limits = Limits()) {
    const LogState log = LogOf(replica);
    const Hlc now = *NextHlc(log.last_hlc(), 0, 2'000'000);
    const CommitHeader header{hlc.value_or(now), cite, std::move(deps)};
    auto batch = EncodeBatch(log, header, std::span<const Op>(ops), limits);
    WEFT_CHECK(batch.ok());
    Sign(replica, batch->blocks);
    return batch->IdOf(replica.self(), 0);
  }
  // Any bytes as the next blocks of his log: the op id of their first op.
  static OpId Sign(Replica& replica, std::vector<Bytes> blocks) {
    PreparedCommit commit;
    commit.first_position = replica.logs().logs[replica.self()].size();
    commit.blocks = std::move(blocks);
    WEFT_CHECK(replica.Append(commit).ok());
    return {replica.self(), commit.first_position, 0};
  }
  // The envelope of Mia's first block, as she would sign it, to be made a lie.
  RawEnvelope FirstOfMia() {
    const Dep grants = Grants();
    RawEnvelope raw;
    raw.kind = static_cast<std::uint8_t>(BlockKind::kData);
    raw.ms = 2'000'000;
    raw.new_writers = {grants.writer};
    raw.new_grants = {mia_grant_};
    raw.deps = {{0, grants.length, grants.tree_hash}};
    return raw;
  }
  static Bytes With(const RawEnvelope& envelope, const std::vector<Operation>& ops) {
    Bytes block = envelope.Encode();
    Append(block, EncodePayload(ops));
    return block;
  }
  static Operation PutOf(std::string_view key, std::string_view text = "forged") {
    return PutOp(AsBytes(key), {ValueType::kText, AsBytes(text)});
  }

  People people_;
  std::vector<std::unique_ptr<Replica>> replicas_;
  OpId ada_grant_, mia_grant_;
};

}  // namespace weft
