// Forks of a base's logs between its peers: two holders of different branches find the
// proof together, and everybody passes it on.
//
// It travels as evidence of the feed exchange (opaque there), first byte the kind:
//   01 ..                                  a fork proof (crdt/fork.h)
//   05 branch_head                         what I hold of a log (crdt/branch_head.h)
//   06 core:32 from:varint                 look closer at that log of yours, from there
//   07 (core:32 length:varint hash:32)*    what I have settled: feeds whose lengths are
//                                          equal may still differ
//   08 core:32 length:varint hash:32 offset:varint total:varint bytes
//                                          a piece of the branch that was asked for
//   09 core:32 from:varint length:varint hash:32 offset:varint
//                                          give me blocks [from, length) of that branch
// A head is told of a log of which there is doubt: a peer's proof did not fit ours, a
// block waits for another branch, or an equal length has another hash. Whoever holds
// the other branch answers with the proof. What a senior has named of a branch that is
// not the one held as the log (rule F2) is fetched by its hash, piece by piece, as the
// bytes of (block:buffer)*. Nothing here is believed that was not signed or hashed.

#pragma once

#include <map>

#include "crdt/branch_head.h"
#include "weft/base_node.h"

namespace weft {

class BaseForks {
 public:
  // `node` must outlive it.
  explicit BaseForks(BaseNode* node) : node_(node) {}

  static bool IsKind(std::uint8_t kind) {
    return kind == 1 || (kind >= 5 && kind <= 9);
  }
  // The proofs that are known, and the heads of logs in doubt.
  std::vector<Bytes> Evidence();
  // For a peer with our feeds, and another view.
  std::vector<Bytes> Hashes() const;
  // One of the kinds above.
  // INVALID_ARGUMENT, DATA_LOSS  it proves nothing
  absl::Status Take(ByteView evidence);
  // What to answer to the peer that sent it, once it was taken.
  std::vector<Bytes> AnswersTo(ByteView evidence);
  // A peer seems to hold another branch of this log: tells everybody of ours, once for
  // every length of it.
  void Doubt(const CoreKey& log);
  // The indexer has moved: tells what is new.
  void Relay();

 private:
  absl::Status TakeProof(ByteView evidence);
  absl::Status TakeHead(ByteView body);
  absl::Status TakeHashes(ByteView body);
  absl::Status TakePiece(ByteView body);
  std::optional<Bytes> AnswerAsk(ByteView body);
  std::optional<Bytes> AnswerFetch(ByteView body);
  // The next question for a branch that is wanted.
  std::optional<Bytes> NextFetch();
  void AskForBranches();
  // True if it has begun again with the first.
  bool AskForNext(std::span<const Indexer::NamedBranch> wanted);
  void AskAgainLater(Nanos delay);
  absl::Status KeepBranch();
  void Compare(const BranchHead& theirs);
  // What is held of the log, if it is held whole. Reads all of it, the last one
  // excepted.
  const ForkSide* SideOf(const CoreKey& log);
  std::optional<Bytes> HeadOf(const CoreKey& log, std::uint64_t from);

  struct Held {
    CoreKey log;
    ForkSide side;
  };

  BaseNode* node_;                            // not owned
  std::map<CoreKey, std::uint64_t> doubted_;  // logs, and how long they were then
  std::map<CoreKey, std::uint64_t> asked_;    // closer looks given, by log
  std::map<CoreKey, std::uint64_t> told_;     // fork points that everybody was told
  std::optional<Held> last_;
  // The branch that is being fetched, and what has come of it.
  std::optional<Indexer::NamedBranch> fetching_;
  Bytes fetched_;
  Nanos retry_after_{0};            // 0: nobody is to be asked again
  std::map<TreeHash, int> failed_;  // how often a branch came and was wrong
};

}  // namespace weft
