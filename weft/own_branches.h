// Branches of our own logs that others hold and this store does not: a store that was
// rolled back and written on has lost what peers had acknowledged (rules A4, F4). Every
// peer is asked what he holds of our forked logs, and what that has beyond ours is
// fetched (weft/base_branches.h), for `recover` to write again (weft/base_recover.cc).
//
// No more than survives of a forked log is given to anybody (P10), but to its owner,
// who shows that he is:
//   0a place signature:64  as 09, by the identity whose log it is
// signable := "weft own branch" base_id:32 asker:32 core:32 length:u64 tree_hash:32
// asker is the key of the store that asks, by which the line knows it, so that nobody
// else can ask with what he was asked.

#pragma once

#include <optional>
#include <set>
#include <vector>

#include "crdt/indexer.h"
#include "engine/codec.h"
#include "weft/branch_fetch.h"

namespace weft {

class BaseNode;

class OwnBranches {
 public:
  // `node` must outlive it.
  explicit OwnBranches(BaseNode* node) : node_(node) {}

  // Our forked logs: those of which to ask what others hold. A bounded number.
  std::vector<CoreKey> Forked() const;
  bool IsForked(const CoreKey& log) const;
  // Peers, if any, were asked what they hold of this log; one has answered.
  void Asked(const CoreKey& log);
  void Answered(const CoreKey& log);
  // Somebody holds this. True if it is wanted now and was not before.
  bool Want(const Indexer::NamedBranch& branch);
  // It is on the disk.
  void Got(const Indexer::NamedBranch& branch);
  const std::vector<Indexer::NamedBranch>& wanted() const { return wanted_; }
  bool IsWanted(const Indexer::NamedBranch& branch) const;
  // Some more of one has come.
  void Moved();
  // What peers said that they hold, or were asked, is about to come: not for long.
  bool awaits() const;

  // What shows a peer that the branch is ours.  The errors of Corestore::SignWith
  absl::StatusOr<Signature> Sign(const BranchPlace& place) const;
  // NOT_FOUND  it is nobody's log, or one of several signers;
  // DATA_LOSS  its owner, with that key, has not signed that
  absl::Status Verify(const PublicKey& asker, const BranchPlace& place,
                      const Signature& signature) const;

 private:
  Bytes Signable(const PublicKey& asker, const BranchPlace& place) const;

  BaseNode* node_;  // not owned
  std::vector<Indexer::NamedBranch> wanted_;
  std::set<CoreKey> unanswered_;
  Nanos patient_until_{};
};

}  // namespace weft
