// The key of every stored record, in one table.
//
// Numbers in keys are big-endian, so that byte order is number order; u8 is one byte,
// u64 eight. Text is its UTF-8. Values are described where they are read and written.
//
//   family  key                                value
//   meta    "format"                           format:uint minimum_reader:uint
//   meta    "primary-key"                      seed:32 (secret)
//   meta    "lease"                            lease_row (engine/store_lease.h)
//   meta    "peer"                             nonce:32 of the key shown to peers
//   meta    "base" base:u64                    a base (weft/base_directory.h)
//   meta    "certificate" base:u64 core:32     evidence (weft/base_incarnation.cc)
//   meta    "copied" core_key:32               empty: ours, and not to be appended to
//   meta    "blocked" core_key:32              empty: a feed neither fetched nor served
//   meta    "name" core_key:32                 text:u8*, by which it was made
//   meta    "fork" base:u64 core_key:32        a fork proof (crdt/fork.h)
//   meta    "branch" base:u64 core_key:32 tree_hash:32
//                                              another branch (weft/branch_store.h)
//   meta    "branch" base:u64 core_key:32 tree_hash:32 block:u64
//                                              blocks of it, some at a time
//   cores   01 core:u64                        head of a core (engine/core_record.h)
//   cores   02 core:u64                        secret_key:64 (secret)
//   cores   03 core:u64 level:u8 page:u64      tree page (engine/tree_pages.h)
//   cores   04 core:u64 page:u64               bitfield page (engine/core_record.h)
//   blocks  core:u64 first_block:u64           row of blocks (engine/block_rows.h)
//   view    base:u64 00                        its cursor (crdt/indexer_rows.h)
//   view    base:u64 01 writer:u64             one writer (crdt/indexer_rows.h)
//   view    base:u64 02 writer:u64             what its log has said (crdt/envelope.h)
//   view    base:u64 03 grant:u64              one grant (crdt/authority.h)
//   view    base:u64 04 key:byte*              the lanes of a key (crdt/view.h)
//   view    base:u64 05 key:byte*              empty: the key has conflicts
//   view    base:u64 06 chunk:u64              64 ops by arrival (crdt/op_index.h)
//   view    base:u64 07 writer:u64 page:u64    64 blocks (crdt/causal_graph.h)
//   view    base:u64 08 way:byte*              the Merkle trie (engine/trie.h)
//   view    base:u64 10 size:u16 key:byte[size] lane:u8 writer:u64 page:u64
//                                              64 blocks' part of a text or list
//                                              (crdt/lanes/sequence_log.h)
//
// The heads of all cores lie together: opening a store is one scan. A core is a number
// of eight bytes that is given in the order of making.

#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "engine/bytes.h"
#include "engine/crypto.h"
#include "engine/storage.h"

namespace weft::keys {

// Big-endian, as every number in a key.
void PutU64(Bytes& key, std::uint64_t value);
// The number that takes the eight bytes from `at` on, which must be there.
std::uint64_t U64At(ByteView key, std::size_t at);

// Families kMeta.
Bytes Format();
Bytes PrimaryKey();
Bytes Lease();
Bytes PeerNonce();
// Of a base, by what the row is about; a key may go on behind it. And all that do.
Bytes BaseRow(std::string_view kind, std::uint64_t base);
ScanRange BaseRows(std::string_view kind, std::uint64_t base);
Bytes ForkProof(std::uint64_t base, const CoreKey& log);
ScanRange ForkProofs(std::uint64_t base);
Bytes ForkBranches(std::uint64_t base, const CoreKey& log);
Bytes ForkBranch(std::uint64_t base, const CoreKey& log, const TreeHash& hash);
Bytes CopiedCore(const CoreKey& core);
Bytes CoreName(const CoreKey& core);
ScanRange CoreNames();
std::optional<CoreKey> CoreOfName(ByteView key);

// Family kCores.
Bytes Head(std::uint64_t core);
ScanRange AllHeads();
// The core number of a head's key; nullopt if it is no such key.
std::optional<std::uint64_t> CoreOfHead(ByteView key);
Bytes SecretKeyOf(std::uint64_t core);
Bytes TreePage(std::uint64_t core, std::uint8_t level, std::uint64_t page);
Bytes BitfieldPage(std::uint64_t core, std::uint64_t page);
ScanRange BitfieldPages(std::uint64_t core, std::uint64_t first_page);
// The page number of a bitfield page's key; nullopt if it is no such key.
std::optional<std::uint64_t> PageOfBitfield(ByteView key);

// Family kBlocks.
Bytes BlockRow(std::uint64_t core, std::uint64_t first_block);
// The first block of a row's key; nullopt if it is no such key.
std::optional<std::uint64_t> FirstOfBlockRow(ByteView key);

// Family kView: everything of one base, and its parts.
ScanRange ViewOf(std::uint64_t base);
Bytes ViewState(std::uint64_t base);
Bytes ViewWriter(std::uint64_t base, std::uint64_t writer);
ScanRange ViewWriters(std::uint64_t base);
Bytes ViewLog(std::uint64_t base, std::uint64_t writer);
Bytes ViewGrant(std::uint64_t base, std::uint64_t grant);
ScanRange ViewGrants(std::uint64_t base);
Bytes ViewKey(std::uint64_t base, ByteView key);
Bytes ViewConflict(std::uint64_t base, ByteView key);
// The part of a ViewKey's or ViewConflict's key that is the key of the base.
ByteView KeyOfView(ByteView row_key);
Bytes OpChunk(std::uint64_t base, std::uint64_t chunk);
Bytes GraphPage(std::uint64_t base, std::uint64_t writer, std::uint64_t page);
Bytes TriePrefix(std::uint64_t base);
Bytes SequencePage(std::uint64_t base, ByteView key, std::uint8_t lane,
                   std::uint64_t writer, std::uint64_t page);
// Those of one lane of one key; the writer and the page of a row's key.
ScanRange SequencePages(std::uint64_t base, ByteView key, std::uint8_t lane);
std::pair<std::uint64_t, std::uint64_t> PlaceOfSequencePage(ByteView row_key);

}  // namespace weft::keys
