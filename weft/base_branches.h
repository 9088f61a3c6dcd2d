// Branches of forked logs that seniors have named (rule F2): whoever holds one gives it
// to whoever asks, and those that are named here and not held are fetched, one at a
// time.
//
// It travels as evidence of the feed exchange (weft/base_forks.h), first byte the kind:
//   08 place bytes  a piece of the branch that was asked for
//   09 place        give me that branch from there on
// (place: weft/branch_fetch.h). What is given is read from its own blocks only, and
// what is taken is known by its hash.

#pragma once

#include "weft/base_node.h"
#include "weft/branch_fetch.h"

namespace weft {

class BaseBranches {
 public:
  using Answers = std::vector<Bytes>;

  // `node` must outlive it.
  explicit BaseBranches(BaseNode* node) : node_(node) {}

  // What to ask of somebody who comes; nullopt if nothing is wanted of him.
  std::optional<Bytes> Ask() const;
  // Of what survives. As FeedSource::TakeEvidence, and so are the two below.
  absl::StatusOr<Answers> TakeFetch(ByteView body) const;
  // The piece at this place, whatever became of the branch.
  absl::StatusOr<Answers> GiveAny(const BranchPlace& place) const;
  // NOT_FOUND  it was not asked for
  absl::StatusOr<Answers> TakePiece(const PublicKey& peer, const BranchPlace& place,
                                    ByteView bytes);
  // The indexer has moved: other branches may be wanted.
  void Relay();

 private:
  // The bytes of (block:buffer)* from block `position` on, the first of them and
  // perhaps more than a piece; of the log as it is held, or of a branch beside it.
  absl::StatusOr<Bytes> ReadHeld(const BranchPlace& place) const;
  absl::StatusOr<Bytes> ReadSaved(const BranchPlace& place) const;
  void Fetch(const Indexer::NamedBranch& branch);
  void TellAsk();
  void LookAfterIn(Nanos delay);
  void LookAfterFetch();
  absl::Status KeepBranch(const Indexer::NamedBranch& branch, ByteView blocks);

  BaseNode* node_;                    // not owned
  std::optional<BranchFetch> fetch_;  // of the branch that is wanted now
  Nanos patience_{};                  // while nobody gives it
  std::optional<Nanos> look_due_;     // when it is looked after next, if at all
};

}  // namespace weft
