// The stored record of one core: all that is known of it without reading its tree.
//
// head  := version:u8(1) flags:u8 key:32 discovery_key:32 fork:uint length:uint
//          byte_length:uint contiguous:uint signature:buffer root* manifest
// flags := 1 writable, 2 removed, 4 manifest follows encoded, 8 manifest is the default
//          one of the public key that follows, 16 manifest is that of a compat core
// root  := size:uint hash:32          the full roots of `length`, left to right
// bitfield page := byte*              4096 bits of blocks, lowest first, without the
//          zero bytes at the end; no byte at all where every bit is set
//
// Bitfield pages exist only where some block at or beyond `contiguous` is held; bits
// below it mean nothing. What opening a store needs lies in front of the record.

#pragma once

#include <optional>

#include "engine/bitfield.h"
#include "engine/manifest.h"
#include "engine/merkle_tree.h"

namespace weft {

// What a store keeps of every core in memory.
struct CoreSummary {
  CoreKey key;
  DiscoveryKey discovery_key;
  std::uint64_t number = 0;  // its place in the keys of the storage
  std::uint64_t fork = 0;
  std::uint64_t length = 0;
  std::uint64_t byte_length = 0;
  std::uint64_t contiguous = 0;  // every block below is held
  bool writable = false;
  bool removed = false;
};

// The part of a head that a change of the log changes.
struct CoreTip {
  std::uint64_t fork = 0;
  MerkleTree tree;
  Bytes signature;  // over the roots; empty at length 0 of a fresh core
};

struct CoreHead {
  CoreSummary summary;
  CoreTip tip;
  std::optional<Manifest> manifest;
  // It is as it was written; heads of the first version do not say.
  bool is_checked = false;
};

// fork, length, byte length come from `tip`, the rest of the summary as it is. The
// signature of the tip must be valid: who reads the head relies on that.
Bytes EncodeHead(const CoreSummary& summary, const CoreTip& tip,
                 const std::optional<Manifest>& manifest);
// DATA_LOSS  not a head
absl::StatusOr<CoreHead> DecodeHead(std::uint64_t number, ByteView bytes);
// As DecodeHead, but reads the front only: the signature and roots are not looked at.
absl::StatusOr<CoreSummary> DecodeSummary(std::uint64_t number, ByteView bytes);

Bytes EncodeBitfieldPage(const Bitfield::Page& page);
// DATA_LOSS  longer than a page
absl::StatusOr<Bitfield::Page> DecodeBitfieldPage(ByteView bytes);

}  // namespace weft
