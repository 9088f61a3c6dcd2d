// The small rows of a stored view: what it reflects, and each writer.
//
//   state  := format:uint=3 sem_version:uint evaluator:uint writers:uint facts:uint
//             arrivals:uint effective:uint keys:uint conflicts:uint
//             clock_suspect:uint seen_ms:uint forks:buffer
//   writer := key:32 length:uint closed:uint flags:u8 (size:uint hash:32)*
// `length` blocks of the writer are in the causal graph, `closed` of them in batches
// that are judged; the hashes are the roots of its tree at `length`. flags: 1 a head, 2
// refused.

#pragma once

#include <vector>

#include "engine/merkle_tree.h"
#include "engine/status.h"

namespace weft {

// Which ops this program evaluates: one more whenever ops that used to park no longer
// do, so that views stored before are built anew.
inline constexpr std::uint64_t kEvaluator = 6;

struct ViewStateRow {
  std::uint64_t sem_version = 0;
  std::uint64_t evaluator = 0;
  std::uint64_t writers = 0;
  std::uint64_t facts = 0;  // of authority
  std::uint64_t arrivals = 0;
  std::uint64_t effective = 0;  // ops
  std::uint64_t keys = 0;
  std::uint64_t conflicts = 0;
  std::uint64_t clock_suspect = 0;
  std::uint64_t seen_ms = 0;  // the greatest stamp of any block
  Bytes forks;                // crdt/indexer_store.cc
};

Bytes EncodeViewState(const ViewStateRow& row);
// FAILED_PRECONDITION  of another format;  DATA_LOSS  malformed
absl::StatusOr<ViewStateRow> DecodeViewState(ByteView bytes);

struct WriterRow {
  CoreKey key;
  std::uint64_t closed = 0;
  bool is_head = false;
  bool refused = false;
  MerkleTree tree;  // of the blocks in the graph
};

Bytes EncodeWriterRow(const WriterRow& row);
// DATA_LOSS  malformed
absl::StatusOr<WriterRow> DecodeWriterRow(ByteView bytes);

}  // namespace weft
