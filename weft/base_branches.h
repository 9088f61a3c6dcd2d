// Branches of forked logs. Those that seniors have named (rule F2) whoever holds one
// gives to whoever asks, and those of his own logs to their owner; those that are named
// here, or our own, and not held are fetched, one at a time.
//
// It travels as evidence of the feed exchange (weft/base_forks.h), first byte the kind:
//   08 place bytes  a piece of the branch that was asked for
//   09 place        give me that branch from there on
//   0a place ..     the same, of what is ours (weft/own_branches.h)
// (place: weft/branch_fetch.h). What is given is read from its own blocks only, and
// what is taken is known by its hash.

#pragma once

#include "crdt/branch_head.h"
#include "weft/base_node.h"
#include "weft/branch_fetch.h"
#include "weft/own_branches.h"

namespace weft {

class BaseBranches {
 public:
  using Answers = std::vector<Bytes>;

  // `node` must outlive it.
  explicit BaseBranches(BaseNode* node) : node_(node), own_(node) {}

  // What to ask of somebody who comes; nullopt if nothing is wanted of him.
  std::optional<Bytes> Ask() const;
  // One of the kinds above. As FeedSource::TakeEvidence.
  absl::StatusOr<Answers> Take(const PublicKey& peer, ByteView evidence);
  // The indexer has moved: other branches may be wanted.
  void Relay();
  // A peer holds this of a forked log of ours; so many blocks of it are held here.
  void WantOwn(const BranchHead& head, std::uint64_t held);
  OwnBranches& own() { return own_; }
  const OwnBranches& own() const { return own_; }

 private:
  absl::StatusOr<Answers> TakePiece(const PublicKey& peer, ByteView body);
  absl::StatusOr<Answers> TakeFetch(ByteView body) const;
  absl::StatusOr<Answers> TakeOwnFetch(const PublicKey& peer, ByteView body) const;
  // The bytes of (block:buffer)* from block `position` on, the first of them and
  // perhaps more than a piece; of the log as it is held, or of a branch beside it.
  absl::StatusOr<Bytes> ReadHeld(const BranchPlace& place) const;
  absl::StatusOr<Bytes> ReadSaved(const BranchPlace& place) const;
  std::optional<Bytes> FetchOf(const BranchPlace& place) const;
  std::vector<Indexer::NamedBranch> Wanted() const;
  void Fetch(const Indexer::NamedBranch& branch);
  void TellAsk();
  void LookAfterIn(Nanos delay);
  void LookAfterFetch();
  absl::Status KeepBranch(const Indexer::NamedBranch& branch, ByteView blocks);

  BaseNode* node_;  // not owned
  OwnBranches own_;
  std::optional<BranchFetch> fetch_;  // of the branch that is wanted now
  Nanos patience_{};                  // while nobody gives it
  std::optional<Nanos> look_due_;     // when it is looked after next, if at all
};

}  // namespace weft
