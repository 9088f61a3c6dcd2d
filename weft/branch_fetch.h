// A branch of a forked log, one that a senior has named (rule F2) or one of our own
// (weft/own_branches.h), as it is fetched from peers: by its tree hash, piece by piece,
// as the bytes of (block:buffer)*.
//
// What a peer gives is checked when it is whole, so each peer's pieces are kept apart:
// nobody can spoil what another gives. Whoever gave a wrong branch gives no more of it;
// the branch itself is wanted all the same. As a rule one peer gives. Who
// is still at it when he is looked after again is not waited for alone: one more may
// give each time, four at most, and then a newcomer takes the place of the slowest.
//
// place := core:32 length:varint tree_hash:32 position:varint offset:varint
// The first `length` blocks of the core's branch have that tree hash; `offset` is of
// the bytes of (block:buffer)* from block `position` on, and lies in the first of them.

#pragma once

#include <map>
#include <optional>
#include <set>

#include "crdt/indexer.h"
#include "engine/codec.h"
#include "engine/hypercore.h"
#include "engine/merkle_tree.h"

namespace weft {

// Of (block:buffer)*.
inline constexpr std::size_t kBranchBytesMax = 64 * 1024 * 1024;

struct BranchPlace {
  CoreKey log;
  std::uint64_t length = 0;  // blocks
  TreeHash tree_hash;
  std::uint64_t position = 0;  // blocks
  std::uint64_t offset = 0;    // bytes
  bool operator==(const BranchPlace&) const = default;
};
void WritePlace(const BranchPlace& place, Writer& out);
BranchPlace ReadPlace(Reader& in);  // fails the reader if it is malformed

// The tree of the first `length` blocks of what is held of a log.
// The errors of Hypercore::NodeAt
absl::StatusOr<MerkleTree> PrefixTree(const Hypercore& core, std::uint64_t length);

// Not thread-safe: on the strand of the store.
class BranchFetch {
 public:
  static constexpr std::size_t kGiversMax = 4;

  // `prefix` is the tree of the blocks below the fork point.
  BranchFetch(const Indexer::NamedBranch& branch, MerkleTree prefix)
      : branch_(branch), prefix_(std::move(prefix)) {}

  const Indexer::NamedBranch& branch() const { return branch_; }

  // What to ask of everybody; nullopt while as many give as may.
  std::optional<BranchPlace> Ask() const;

  // What a piece has led to: one of the two, or neither.
  struct Taken {
    std::optional<BranchPlace> ask;  // of the peer that gave it
    std::optional<Bytes> branch;     // whole and right: (block:buffer)*
  };
  // NOT_FOUND  the peer was not asked for that
  // DATA_LOSS  what it gave is not the branch: it gives no more of it
  absl::StatusOr<Taken> Take(const PublicKey& peer, const BranchPlace& place,
                             ByteView bytes);

  // Some time has passed: who has given nothing meanwhile is no longer waited for, but
  // may go on where he was.
  void LookAfter();
  // Somebody is waited for.
  bool moves() const { return Giving() > 0; }

 private:
  struct Giver {
    MerkleTree tree;         // of the prefix and the blocks that came whole
    Bytes stream;            // what came
    std::size_t parsed = 0;  // bytes of `stream` that are in `tree`
    std::size_t had = 0;     // bytes of `stream`, when they were last looked after
    bool waited_for = true;
  };

  std::size_t Giving() const;
  BranchPlace NextOf(const Giver& giver) const;
  bool MakeRoom();
  bool Grow(Giver& giver, ByteView bytes) const;

  Indexer::NamedBranch branch_;
  MerkleTree prefix_;
  std::map<PublicKey, Giver> givers_;
  std::size_t may_give_ = 1;   // at a time
  std::set<PublicKey> wrong_;  // have given another branch under its name
};

}  // namespace weft
