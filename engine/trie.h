// The canonical Merkle trie of rules V1 and V2: keys, each with the 32-byte hash of
// its leaf, under one root that depends on nothing but this set.
//
// Radix 16 and path-compressed (engine/trie_node.h has the bytes). Changes only mark
// the branches above them; a branch is hashed once, when the root is asked for or at
// a flush. Branches live in memory while they are used and in family kView besides:
//   root   := prefix ff           -> 00 | 01 edge | 03 edge      empty, branch, leaf
//   branch := prefix nibble:u8*   -> value child_map:u16 leaf_map:u16 edge*
//   edge   := path hash32
// The key of a branch is the whole way to it, so that a subtree is a range of keys;
// its value has an edge for each child, with the child's `path`, and leaf_map says
// which of the children are leaves. Every branch is hashed again when it is loaded.

#pragma once

#include <functional>
#include <memory>

#include "engine/storage.h"
#include "engine/trie_node.h"

namespace weft {

struct TrieProof;
struct TrieSlot;

// Not thread-safe. After a failed call the trie is as it was before it.
//   DATA_LOSS  a stored branch does not have the hash that its parent names
// and every error of the storage.
class Trie {
 public:
  struct Options {
    // Clean branches beyond this are dropped from memory at a flush, those first
    // that were not used for longest. About 400 bytes each.
    std::size_t resident_branches_max = 65'536;
  };

  // An empty trie that lives in memory only; Flush must not be called.
  Trie();
  // The trie stored under `prefix` in kView, empty if there is none. `storage` must
  // outlive it, and nobody else may write under the prefix.
  static absl::StatusOr<std::unique_ptr<Trie>> Open(Storage* storage, Bytes prefix,
                                                    Options options);
  static absl::StatusOr<std::unique_ptr<Trie>> Open(Storage* storage, Bytes prefix);
  ~Trie();

  // `leaf` must be the hash of a leaf or item that holds `key`: a hash that is also
  // that of a branch would make proofs worthless.
  absl::Status Set(ByteView key, const Hash32& leaf);
  // Does nothing if the key is not there.
  absl::Status Erase(ByteView key);
  absl::StatusOr<std::optional<Hash32>> Get(ByteView key);
  bool empty() const;

  // Hashes what changed. Needs no storage.
  Hash32 Root();

  // Adds what changed since the last flush to `batch`, which must be committed before
  // the trie is used again; if that fails, the trie must be thrown away.
  void Flush(StorageBatch* batch);

  // What hangs at the end of `way` (from the root): see engine/trie_proof.h.
  absl::StatusOr<TrieSlot> SlotAt(NibbleView way);

  // The lanes (or the state) of a key that is in the trie.
  using LeafSource = std::function<absl::StatusOr<Bytes>(ByteView key)>;
  // A proof that the key is there with its lanes, or that it is not there.
  // INTERNAL  the source does not give the bytes whose hash was set
  absl::StatusOr<TrieProof> Prove(ByteView key, const LeafSource& source);

  std::size_t resident_branches() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace weft
