// The envelope: the part of a block that every version can read for ever (rule S4).
//
// block := format:u8=1 envelope payload
// envelope := kind:u8 sem_version:varint flags:u8=0 batch_index:varint
//             batch_count:varint hlc_ms:varint hlc_counter:varint cite:varint
//             last_auth:varint new_writers:[key:32]
//             new_grants:[writer:32 position:varint op_index:varint]
//             deps:[writer_index:varint length:varint tree_hash:32]
// varint is compact-encoding's uint in its shortest form, [x] is count:varint x*.
// `cite` and `writer_index` are indexes into two tables that the log builds itself from
// new_grants and new_writers; an entry stands in the block of its first use and only
// there. deps ascend strictly by writer_index. last_auth is 0 for none, else 1 + the
// position of the log's previous auth block.
//
// An envelope that breaks the grammar (foreign index, unused or repeated table entry,
// a dep on the own log, length 0, more than 64 deps, time out of range) counts for
// nothing; the block is invalid and only its position counts. An envelope that is well
// formed but breaks a rule makes the block invalid and still counts: its deps, its
// table entries, its hlc. docs/formats.md has the bytes, docs/semantics.md the reasons.

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "crdt/dot.h"
#include "crdt/limits.h"
#include "engine/status.h"

namespace weft {

class Reader;

inline constexpr std::uint8_t kBlockFormat = 1;  // 2 is reserved: encrypted

enum class BlockKind : std::uint8_t {
  kData = 1,
  kAuth = 2,
  kAck = 3,          // merges heads; a payload is reserved and parks
  kIncarnation = 4,  // block 0 of a later incarnation (crdt/identity.h)
  kCheckpoint = 5,   // reserved
};

// A head of another log: a pointer to its prefix of `length` blocks.
struct Dep {
  CoreKey writer;
  std::uint64_t length = 0;  // >= 1
  TreeHash tree_hash;
  bool operator==(const Dep&) const = default;
};

struct Envelope {
  BlockKind kind = BlockKind::kData;
  std::uint64_t sem_version = 1;
  std::uint8_t flags = 0;
  std::uint64_t batch_index = 0;
  std::uint64_t batch_count = 1;
  Hlc hlc;
  OpId cite;
  std::optional<std::uint64_t> last_auth;  // position
  std::vector<Dep> deps;                   // in table order
  // The longest prefix of the cited grant's log that this block or an earlier one of
  // its log names in deps (its own position if that log is its own; 0 if none).
  std::uint64_t cite_named = 0;
};

enum class BlockState : std::uint8_t { kValid, kInvalid, kParked };

// What one block's header says, next to what the log had said before.
struct BlockHeader {
  std::uint64_t position = 0;
  BlockState state = BlockState::kValid;
  std::string reason;  // of kInvalid and kParked
  // Absent if the envelope counts for nothing.
  std::optional<Envelope> envelope;
  // A parked block takes no place in a batch: the three below are false, and the batch
  // that is open is parked with it.
  //
  // The batch that was open before this block will never be whole (rule D8): all its
  // blocks are invalid.
  bool breaks_open_batch = false;
  // The block takes its place in a batch: it opens one or is the next of the open one.
  // False for a block that is undecodable, misnumbered or of a batch beyond the limit:
  // it is invalid by itself.
  bool in_batch = false;
  bool ends_batch = false;  // the last block of its batch
  std::size_t payload_offset = 0;
};

// What a log has said so far, as far as later blocks of it refer to it. A value: copy
// it to look ahead. One per log; blocks go in strictly in log order.
class LogState {
 public:
  explicit LogState(const CoreKey& writer) : writer_(writer) {}

  // Reads the header of the block at position() and advances. Never fails: what is
  // wrong is in the result.
  BlockHeader Read(ByteView block, const Limits& limits);

  // The log's ops from `position` on are not evaluated (rule S8). Called by the payload
  // parser; an earlier park stands.
  void Park(std::uint64_t position);
  // Counts the ops of an auth block. False, and nothing counted, if the writer would
  // exceed his limit.
  bool CountAuthOps(std::uint64_t count, const Limits& limits);

  const CoreKey& writer() const { return writer_; }
  std::uint64_t position() const { return position_; }  // of the next block
  // The greatest stamp of any envelope that counts.
  Hlc last_hlc() const { return last_hlc_; }
  std::optional<std::uint64_t> last_auth() const { return last_auth_; }
  std::optional<std::uint64_t> parked() const { return parked_; }
  std::uint64_t auth_ops() const { return auth_ops_; }  // of its valid auth blocks
  // The first position of the batch that is not whole yet. Of no meaning once parked.
  std::optional<std::uint64_t> open_batch() const;
  // The longest prefix of `writer` that deps of this log name; 0 if none.
  std::uint64_t named(const CoreKey& writer) const;

  // For a cache that spares reading the log again; not canonical.
  Bytes Save() const;
  // DATA_LOSS  not what Save wrote for this writer
  static absl::StatusOr<LogState> Restore(const CoreKey& writer, ByteView saved);

 private:
  friend absl::StatusOr<Bytes> EncodeEnvelope(const LogState& log,
                                              const Envelope& envelope,
                                              const Limits& limits);
  struct Draft;
  bool Parse(Reader& reader, Draft& draft) const;
  void CheckRules(const Limits& limits, std::size_t block_size,
                  BlockHeader& header) const;
  void Number(const Limits& limits, BlockHeader& header);
  absl::Status CheckNext(ByteView block, const Limits& limits) const;
  void Adopt(const Draft& draft);

  CoreKey writer_;
  std::uint64_t position_ = 0;
  Hlc last_hlc_;
  std::optional<std::uint64_t> last_auth_;
  std::optional<std::uint64_t> parked_;
  std::uint64_t batch_next_ = 0;   // expected index; 0 if no batch is open
  std::uint64_t batch_count_ = 0;  // of the open batch
  std::uint64_t auth_ops_ = 0;
  std::vector<CoreKey> writers_;
  std::vector<std::uint64_t> named_;  // by writer index
  absl::flat_hash_map<CoreKey, std::uint32_t> writer_index_;
  std::vector<OpId> grants_;
  absl::flat_hash_map<OpId, std::uint32_t> grant_index_;
};

// The format byte and the envelope of the block that comes next in `log`: our own.
// Sorts the deps into table order, fills last_auth, adds table entries as first used.
// `log` is advanced later, when the stored block is read back like anybody's.
// INVALID_ARGUMENT  more than limits.deps deps, a writer twice, the own log,
//                   length 0, a stamp out of range or not above the last, a
//                   place in a batch that is not the next: names the fact
absl::StatusOr<Bytes> EncodeEnvelope(const LogState& log, const Envelope& envelope,
                                     const Limits& limits);

}  // namespace weft
