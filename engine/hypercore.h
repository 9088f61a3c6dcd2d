// A Hypercore is one writer's log: append-only, signed, and verifiable block by
// block without the rest of it.
//
// Blocks are the leaves of a Merkle tree laid out flat (engine/flat_tree.h):
// block i sits at tree index 2i, parents at the odd indices between. The writer
// signs the hash of the tree's roots; whoever holds the key can verify any block
// from its uncle hashes and that one signature.
// Source: the wire specification, parts 2, 3 and 7.

#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "engine/bitfield.h"
#include "engine/crypto.h"
#include "engine/manifest.h"
#include "engine/merkle_tree.h"
#include "engine/proof.h"
#include "engine/storage.h"

namespace weft {

inline constexpr std::uint64_t kBlockBytesMax = 15 * 1024 * 1024;

// What happened to a core, told after it is stored.
struct CoreEvent {
  enum class Kind {
    // Length or fork changed: by append, by an upgrade, by a truncation. The log now
    // has `to` blocks, of which those below `from` are the same as before.
    kLength,
    kBlocks,   // [from, to) is now held
    kCleared,  // [from, to) is no longer held
    kDurable,  // durable_length() grew; nothing else changed
  };
  Kind kind;
  std::uint64_t from = 0;
  std::uint64_t to = 0;
};

// Where a byte of a log lies, as far as the nodes that are held tell.
struct ByteLocation {
  // The byte lies below this node. A leaf: the block is known.
  std::uint64_t tree_index = 0;
  std::uint64_t offset = 0;  // bytes from the node's first

  bool is_block() const { return (tree_index & 1) == 0; }
  std::uint64_t block_index() const { return tree_index / 2; }
};

// Not thread-safe: a core lives on one strand, and so does every call to it.
class Hypercore {
 public:
  using Observer = std::function<void(const CoreEvent&)>;

  // Called by Corestore only; its storage must outlive the core.
  struct State;
  explicit Hypercore(std::unique_ptr<State> state);
  ~Hypercore();

  const CoreKey& key() const;
  const DiscoveryKey& discovery_key() const;
  // Absent until the first upgrade of a core of which only the key is known.
  const std::optional<Manifest>& manifest() const;
  bool writable() const;  // we hold its secret key

  std::uint64_t length() const;  // blocks, signed
  std::uint64_t fork() const;
  std::uint64_t byte_length() const;
  std::uint64_t contiguous_length() const;  // every block below is held
  std::uint64_t held_blocks() const;
  // Everything signed up to here is durable (not only in the log of the storage).
  std::uint64_t durable_length() const;
  std::span<const TreeNode> roots() const;
  TreeHash tree_hash() const;  // over roots()
  ByteView signature() const;  // over the whole current length; empty at length 0

  bool Has(std::uint64_t block_index) const;
  const Bitfield& bitfield() const;

  // The block, re-hashed against its leaf.
  // NOT_FOUND     the block is not held
  // OUT_OF_RANGE  at or beyond length()
  // DATA_LOSS     the bytes on the disk are not those that were signed
  absl::StatusOr<Bytes> Get(std::uint64_t block_index) const;
  // Blocks [from, to), all of which must be held; errors as Get.
  absl::StatusOr<std::vector<Bytes>> GetRange(std::uint64_t from,
                                              std::uint64_t to) const;
  // The block at a byte offset of the whole log, and the offset within it; the offset
  // of the end is that of the block to come. Where `padding` is not 0, that many bytes
  // of every block do not count (kBlockPaddingBytes of an encrypted core).
  // OUT_OF_RANGE      beyond the end
  // NOT_FOUND         a node that would tell is not held
  // INVALID_ARGUMENT  a block is shorter than the padding
  absl::StatusOr<std::pair<std::uint64_t, std::uint64_t>> Seek(
      std::uint64_t byte_offset, std::uint64_t padding = 0) const;
  // The same where some nodes are missing: how far down the tree the held ones lead.
  absl::StatusOr<ByteLocation> Locate(std::uint64_t byte_offset,
                                      std::uint64_t padding = 0) const;
  // The tree hash of the prefix of `length` blocks.
  // NOT_FOUND  a node of it is not held;  OUT_OF_RANGE  beyond length()
  absl::StatusOr<TreeHash> TreeHashAt(std::uint64_t length) const;

  // A node of the tree that lies within length().
  // NOT_FOUND  it is not held;  OUT_OF_RANGE  beyond length()
  absl::StatusOr<TreeNode> NodeAt(std::uint64_t tree_index) const;

  // Appends the blocks as one atomic batch under one signature and returns the index
  // of the first. With kSynced the batch is durable when this returns; with kLogged
  // durable_length() stays behind until the storage is next synced, and nobody may be
  // told of the new length before (rule A1).
  // PERMISSION_DENIED   we hold no secret key for this core
  // INVALID_ARGUMENT    the batch is empty, or a block exceeds kBlockBytesMax
  // RESOURCE_EXHAUSTED  the disk is full; nothing was appended
  absl::StatusOr<std::uint64_t> Append(std::span<const ByteView> blocks,
                                       Durability durability = Durability::kSynced);

  // Shortens the log to `length` and raises its fork; durable when it returns.
  // PERMISSION_DENIED  not ours;  OUT_OF_RANGE  longer than the log
  absl::Status Truncate(std::uint64_t length);

  // Drops the bytes of blocks [from, to) from the disk; their proofs stay valid.
  // Durable when it returns.  OUT_OF_RANGE  beyond length()
  absl::Status Clear(std::uint64_t from, std::uint64_t to);

  // `nodes` of a block request (wire specification, 7.2).
  std::uint64_t MissingNodes(std::uint64_t block_index) const;
  bool HasNode(std::uint64_t tree_index) const;

  // The answer to a request, from what is held. Called for runs of neighbouring blocks,
  // some thousand at a time: what one read of the disk brought serves the next calls.
  // INVALID_ARGUMENT  a request that no core of this length could answer
  // NOT_FOUND         the block or a node it needs is not held
  absl::StatusOr<Proof> Prove(const ProofRequest& request) const;

  // Verifies each proof and stores all that passed as one kLogged batch: a wrong one
  // costs itself only, and its place in the result says why. In order: a proof may hang
  // on nodes that an earlier one of the span brought.
  //   OK                   stored; a block that was already held is OK too
  //   FAILED_PRECONDITION  the core moved on since it was asked for: ask again
  //   INVALID_ARGUMENT     nodes missing or in the wrong order
  //   DATA_LOSS            a hash, the manifest or the signature is wrong
  // A proof of a higher fork than ours replaces the log from the first differing root
  // on, if its signature holds (only `allow_fork`).
  // The outer status is an error of the disk; then nothing was stored.
  absl::StatusOr<std::vector<absl::Status>> Apply(std::span<const Proof* const> proofs,
                                                  bool allow_fork = true);
  absl::StatusOr<std::vector<absl::Status>> Apply(std::span<const Proof> proofs,
                                                  bool allow_fork = true);

  // Apply for several cores of one store, each at most once: what passed of all of them
  // is one commit. What the disk will not read of a core is that core's result alone;
  // an error of the commit is every core's, and `committed` if that is given.
  struct Proofs {
    Hypercore* core = nullptr;  // not owned
    std::span<const Proof* const> proofs;
    bool allow_fork = true;
  };
  using Results = absl::StatusOr<std::vector<absl::Status>>;
  static std::vector<Results> ApplyTogether(std::span<const Proofs> all,
                                            absl::Status* committed = nullptr);

  // The observer is called on the core's strand until the returned handle is
  // destroyed. It may call the core, but not add or remove observers.
  std::shared_ptr<void> Observe(Observer observer);

  // Called by Corestore after the storage was synced.
  void MarkDurable();

 private:
  friend class Corestore;

  std::unique_ptr<State> state_;
};

}  // namespace weft
