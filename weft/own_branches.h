// Branches of our own logs that others hold and this store does not: a store that was
// rolled back and written on has lost what peers had acknowledged (rules A4, F4). Every
// peer is asked what he holds of our forked logs, and what that has beyond ours is
// fetched from him, for `recover` to write again (weft/base_recover.cc). Kept as what
// seniors name is (weft/branch_store.h); of what is the beginning of another one the
// longer is kept.
//
// No more than survives of a forked log is given to anybody (P10), but to its owner,
// who shows that he is:
//   0a place manifest:buffer signature:64
//                as 09 of weft/base_branches.h, by the identity that has this manifest
//   0b core:32   nothing of that log is held, or not all of it
// signable := "weft own branch" base_id:32 asker:32 core:32 length:u64 tree_hash:32
// asker is the key of the store that asks, by which the line knows it, so that nobody
// else can ask with what he was asked.

#pragma once

#include <map>
#include <optional>
#include <set>
#include <vector>

#include "crdt/branch_head.h"
#include "weft/branch_fetch.h"

namespace weft {

class BaseNode;

// Not thread-safe: on the strand of the store.
class OwnBranches {
 public:
  // `node` must outlive it.
  explicit OwnBranches(BaseNode* node) : node_(node) {}

  // Our forked logs of which to ask a peer who has come.
  std::vector<CoreKey> ToAsk(const PublicKey& peer);
  // The same of those of which nobody was asked yet, for all who are here.
  std::vector<CoreKey> ToAskAll();
  bool IsForked(const CoreKey& log) const;
  // He holds this of such a log, and `held` blocks of it are held here too. What to ask
  // him for now, if anything.
  std::optional<Bytes> TakeHead(const PublicKey& peer, const BranchHead& head,
                                std::uint64_t held);
  // He holds nothing of it.
  void TakeNothing(const PublicKey& peer, const CoreKey& log);
  // What to ask him for next, if anything.
  // NOT_FOUND  he was not asked for that;  DATA_LOSS  it is not what he said he has
  absl::StatusOr<std::optional<Bytes>> TakePiece(const PublicKey& peer,
                                                 const BranchPlace& place,
                                                 ByteView bytes);
  // What he was asked is about to come, or more of it. Not for long: who says nothing
  // is not waited for.
  bool Awaits(const PublicKey& peer) const;

  // The place that a peer asks for in a question (0a, without that byte) about a log
  // that is his. INVALID_ARGUMENT  it is malformed, or the manifest is not that of the
  // log's owner DATA_LOSS         its owner has not signed it, with that key
  absl::StatusOr<BranchPlace> ReadQuestion(const PublicKey& asker,
                                           ByteView question) const;

 private:
  // What is to come from one peer.
  struct Giver {
    std::set<CoreKey> unanswered;
    std::map<CoreKey, Indexer::NamedBranch> wanted;  // of each log what he said last
    std::optional<BranchFetch> fetch;                // of one of them
    Nanos patient_until{};
  };

  bool IsWhole(const ForkedLog& fork) const;
  std::vector<CoreKey> Forked() const;
  Nanos Patience() const;
  Giver* GiverOf(const PublicKey& peer);
  absl::StatusOr<bool> IsHeld(const Indexer::NamedBranch& branch) const;
  bool MakeRoom();
  std::optional<Bytes> AskNext(Giver& giver);
  std::optional<Bytes> Question(const BranchPlace& place) const;
  absl::Status Keep(const Indexer::NamedBranch& branch, ByteView blocks);
  absl::Status DropPrefixes(const Indexer::NamedBranch& branch, ByteView blocks);
  Bytes Signable(const PublicKey& asker, const BranchPlace& place) const;

  BaseNode* node_;  // not owned
  std::map<PublicKey, Giver> givers_;
  std::set<CoreKey> asked_;  // of everybody who was here
};

}  // namespace weft
