// The causal graph: which blocks each block had seen.
//
// Every block has a version vector: how many blocks of each writer lie in its past.
// It is the join of its own predecessor's and of those of its deps, so a block adds to
// it only what its deps taught. The graph stores what each block added, and the whole
// vector once per page of 64 blocks (rule C3); the newest vector of every writer is in
// memory while it is in use. One op happens before another if the vector of the
// second's block reaches beyond the first's.
//
// Row of the store, one page of one writer (numbers are local, uints compact):
//   page   := base:uint (writer:uint length:uint)* blocks:uint block* reasons:uint
//             reason*
//   block  := tree_hash:32 status:u8 first_arrival:uint ops:uint payload_offset:uint
//             decided_by:uint batch_index:uint batch_count:uint cited:uint
//             delta:uint (writer:uint length:uint)*
//   reason := block:u8 bytes:uint text
// `base` is the vector of the block before the page. The high bits of `status`: 16
// effective, 32 holds auth ops, 64 its batch writes data.

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "crdt/lane.h"
#include "engine/storage.h"

namespace weft {

enum class BlockStatus : std::uint8_t {
  kOpen = 0,   // its batch is not whole yet
  kSound = 1,  // has effect whenever its grant lets it
  kInvalid = 2,
  kNotAllowed = 3,  // for ever
  kParked = 4,
};

// What became of one block.
struct BlockRecord {
  BlockStatus status = BlockStatus::kOpen;
  // Of sound blocks, and of their batch as a whole:
  bool effective = false;
  bool auth = false;           // its ops are auth ops: they have no arrival numbers
  bool batch_writes = false;   // some block of the batch holds data ops
  std::uint32_t cited = 0;     // GrantNumber
  std::uint32_t op_count = 0;  // of the block
  // As its envelope says, whatever became of it; a count of 0: it takes no place.
  std::uint32_t batch_index = 0;
  std::uint32_t batch_count = 0;
  std::uint32_t payload_offset = 0;  // in the block
  std::uint32_t decided_by = 1;      // so many blocks, itself the first, say all this
  std::uint64_t first_arrival = 0;   // of op 0; the others follow
};

// Not thread-safe.
class CausalGraph final : public CausalOrder {
 public:
  struct Edge {
    WriterNumber writer = 0;
    std::uint64_t length = 0;  // so many blocks of that writer lie in the past
  };

  // Keeps its pages in `storage`, family kView, under `base`. Not owned.
  CausalGraph(Storage* storage, std::uint64_t base);
  ~CausalGraph() override;

  // Writers are added in the order of their numbers.
  void AddWriter();
  // So many blocks of the writer are in the stored graph.
  void RestoreLength(WriterNumber writer, std::uint64_t length);
  std::uint64_t length(WriterNumber writer) const { return tips_[writer].length; }

  // Appends a block of `writer`; every dep must be here in full. Returns what the block
  // taught: the components of its vector that grew. Valid until the next call.
  std::span<const Edge> AddBlock(WriterNumber writer, std::span<const Edge> deps,
                                 const TreeHash& tree_hash);

  bool Before(const LocalOp& a, const LocalOp& b) const override;
  // How many blocks of `of` lie in the past of the block; its position for its own.
  std::uint64_t Seen(WriterNumber writer, std::uint64_t position,
                     WriterNumber of) const;
  // Grows strictly along happens-before: the number of blocks in the past.
  std::uint64_t PastSize(WriterNumber writer, std::uint64_t position) const;
  // The vector of the writer's newest block, without its own component; shorter than
  // the number of writers where the rest is 0. Valid until the next call.
  std::span<const std::uint64_t> TipVector(WriterNumber writer) const;

  // The vector of any block, as above.
  std::vector<std::uint64_t> VectorAt(WriterNumber writer,
                                      std::uint64_t position) const;

  // Of the prefix of `length` blocks, 0 < length <= length(writer).
  TreeHash TreeHashAt(WriterNumber writer, std::uint64_t length) const;
  BlockRecord RecordOf(WriterNumber writer, std::uint64_t position) const;
  // `decided_by` is filled in: the newest block of the writer has decided.
  void SetRecord(WriterNumber writer, std::uint64_t position, const BlockRecord& record,
                 std::string_view reason = {});
  // Of a block whose record is set: nothing else of it changes.
  void SetEffective(WriterNumber writer, std::uint64_t position, bool effective);
  std::string ReasonOf(WriterNumber writer, std::uint64_t position) const;

  // The first error of the disk; answers given since then mean nothing.
  const absl::Status& status() const { return error_; }

  // Adds changed pages to `batch` and, trusting that it will be committed, lets go of
  // what memory need not hold.
  void Flush(StorageBatch* batch);

 private:
  struct Page;
  struct Tip {
    std::uint64_t length = 0;
    mutable bool loaded = false;
    mutable std::vector<std::uint64_t> vector;
  };

  Page* Find(WriterNumber writer, std::uint64_t page) const;
  Page* PageOf(WriterNumber writer, std::uint64_t position) const;
  void EvictClean() const;
  const Tip& Loaded(WriterNumber writer) const;
  void Raise(Tip& tip, WriterNumber of, std::uint64_t length);
  void Join(WriterNumber into, const Edge& dep);

  Storage* storage_;  // not owned
  std::uint64_t base_;
  std::vector<Tip> tips_;
  mutable absl::flat_hash_map<std::pair<WriterNumber, std::uint64_t>,
                              std::unique_ptr<Page>>
      pages_;
  std::vector<std::pair<WriterNumber, std::uint64_t>> dirty_;
  std::vector<WriterNumber> touched_;
  std::vector<std::uint32_t> mark_;  // per writer: the block that last touched it
  std::uint32_t mark_now_ = 0;
  std::vector<Edge> taught_;
  mutable absl::Status error_;
};

}  // namespace weft
