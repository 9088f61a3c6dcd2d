// The key of every stored record, in one table.
//
// Numbers in keys are big-endian, so that byte order is number order; u8 is one byte,
// u64 eight. Text is its UTF-8. Values are described where they are read and written.
//
//   family  key                                value
//   meta    "format"                           format:uint minimum_reader:uint
//   meta    "primary-key"                      seed:32 (secret)
//   cores   01 core:u64                        head of a core (engine/core_record.h)
//   cores   02 core:u64                        secret_key:64 (secret)
//   cores   03 core:u64 level:u8 page:u64      tree page (engine/tree_pages.h)
//   cores   04 core:u64 page:u64               bitfield page (engine/core_record.h)
//   blocks  core:u64 first_block:u64           row of blocks (engine/block_rows.h)
//
// The heads of all cores lie together: opening a store is one scan. A core is a number
// of eight bytes that is given in the order of making.

#pragma once

#include <cstdint>
#include <optional>

#include "engine/bytes.h"
#include "engine/storage.h"

namespace weft::keys {

// Families kMeta.
Bytes Format();
Bytes PrimaryKey();

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

}  // namespace weft::keys
