// Forks of a base's logs between its peers: two holders of different branches find the
// proof together, and everybody passes it on.
//
// It travels as evidence of the feed exchange (opaque there), first byte the kind:
//   01 ..                                  a fork proof (crdt/fork.h)
//   05 branch_head                         what I hold of a log (crdt/branch_head.h)
//   06 core:32 from:varint                 look closer at that log of yours, from there
//   07 (core:32 length:varint hash:32)*    what I have settled: feeds whose lengths are
//                                          equal may still differ
//   08 .., 09 ..                           branches (weft/base_branches.h)
//   0a .., 0b ..                           of our own logs (weft/own_branches.h)
// A head is told of a log of which there is doubt: to everybody where a peer's proof
// did not fit ours or a block waits for another branch, to the peer that says so where
// an equal length has another hash. Whoever holds the other branch answers with the
// proof. Nothing here is believed that was not signed.
//
// Who knows the base can ask all of this, so nothing reads more of a log than it tells:
// heads are made and compared from the stored tree.

#pragma once

#include <map>
#include <set>

#include "crdt/branch_head.h"
#include "weft/base_branches.h"
#include "weft/base_node.h"
#include "weft/own_branches.h"
#include "weft/waiting_forks.h"

namespace weft {

class BaseForks {
 public:
  using Answers = std::vector<Bytes>;

  // `node` must outlive it.
  explicit BaseForks(BaseNode* node) : node_(node), branches_(node), own_(node) {}

  static bool IsKind(std::uint8_t kind) {
    return kind == 1 || (kind >= 5 && kind <= 11);
  }
  // The proofs that are known, and the heads of logs in doubt.
  std::vector<Bytes> Evidence();
  // What to ask of a peer who has come about our own forked logs.
  std::vector<Bytes> AskOfOwn(const PublicKey& peer);
  bool AwaitsOwnFrom(const PublicKey& peer) const { return own_.Awaits(peer); }
  // For a peer with our feeds, and another view.
  std::vector<Bytes> Hashes() const;
  // One of the kinds above, and not before the genesis is known.
  // As FeedSource::TakeEvidence.
  absl::StatusOr<Answers> Take(const PublicKey& peer, ByteView evidence);
  // A peer seems to hold another branch of this log: tells everybody of ours, once for
  // every length of it, as soon as it is held whole.
  void Doubt(const CoreKey& log);
  // The indexer has moved: tells what is new.
  void Relay();
  // Logs or identities were named that were not before.
  void TakeNamed();

 private:
  absl::StatusOr<Answers> TakeProof(const PublicKey& peer, ByteView evidence);
  absl::StatusOr<Answers> TakeHead(const PublicKey& peer, ByteView body);
  absl::StatusOr<Answers> TakeHeadOfEmpty(const PublicKey& peer,
                                          const BranchHead& head);
  absl::StatusOr<Answers> TakeAsk(ByteView body) const;
  absl::StatusOr<Answers> TakePiece(const PublicKey& peer, ByteView body);
  absl::StatusOr<Answers> TakeOwnFetch(const PublicKey& peer, ByteView body) const;
  absl::StatusOr<Answers> TakeNothing(const PublicKey& peer, ByteView body);
  absl::StatusOr<Answers> TakeHashes(ByteView body) const;
  bool IsNews(const ProvenFork& fork) const;
  // Its log is one of the base, or it shows that the log is somebody's in the base.
  bool IsNamed(const ProvenFork& fork) const;
  // It is taken soon, together with others, of each log the one that says most. What
  // they take may be everything anew: so there is a pause, longer than that lasts.
  // NOT_FOUND  too many are to be taken already
  absl::Status TakeSoon(ProvenFork fork);
  void TakeArrived();
  void TellIfApart(const ForkProof& proof);
  std::vector<Bytes> QuestionsFor(const std::vector<CoreKey>& logs) const;

  // What is held of the log, if it is held whole.
  std::optional<ForkSide> SideOf(const CoreKey& log) const;
  absl::StatusOr<Bytes> HeadOf(const CoreKey& log, std::uint64_t from) const;
  // To everybody; false if it is not held whole.
  bool TellHead(const CoreKey& log, std::uint64_t from) const;

  BaseNode* node_;  // not owned
  BaseBranches branches_;
  OwnBranches own_;
  WaitingForks waiting_;
  std::map<CoreKey, ProvenFork> arrived_;     // to be taken soon
  std::size_t arrived_bytes_ = 0;             // of their proofs
  Nanos taken_at_{};                          // when the last ones were
  Nanos taking_took_{};                       // and how long that took
  std::map<CoreKey, std::uint64_t> doubted_;  // logs, and what length of them was told
  std::set<CoreKey> apart_;  // forked logs of which we hold a branch without a proof
  std::map<CoreKey, std::uint64_t> told_;  // fork points that everybody was told
};

}  // namespace weft
