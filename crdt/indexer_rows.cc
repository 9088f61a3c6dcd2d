#include "crdt/indexer_rows.h"

#include "engine/codec.h"
#include "engine/flat_tree.h"

namespace weft {
namespace {

constexpr std::uint64_t kFormat = 4;
constexpr std::uint8_t kHeadFlag = 1;
constexpr std::uint8_t kRefusedFlag = 2;

}  // namespace

Bytes EncodeViewState(const ViewStateRow& row) {
  Bytes bytes;
  Writer out(&bytes);
  out.Uint(kFormat);
  for (const std::uint64_t value :
       {row.sem_version, row.evaluator, row.writers, row.facts, row.arrivals,
        row.effective, row.keys, row.conflicts, row.clock_suspect, row.seen_ms}) {
    out.Uint(value);
  }
  out.Buffer(row.forks);
  return bytes;
}

absl::StatusOr<ViewStateRow> DecodeViewState(ByteView bytes) {
  Reader in(bytes);
  if (in.Uint() != kFormat) {
    return absl::FailedPreconditionError("the stored view is of another format");
  }
  ViewStateRow row;
  for (std::uint64_t* value :
       {&row.sem_version, &row.evaluator, &row.writers, &row.facts, &row.arrivals,
        &row.effective, &row.keys, &row.conflicts, &row.clock_suspect, &row.seen_ms}) {
    *value = in.Uint();
  }
  row.forks = ToBytes(in.Buffer());
  if (!in.ok() || !in.done()) {
    return absl::DataLossError("the state row of the view is malformed");
  }
  return row;
}

Bytes EncodeWriterRow(const WriterRow& row) {
  Bytes bytes;
  Writer out(&bytes);
  out.Raw(row.key.view());
  out.Uint(row.tree.length());
  out.Uint(row.closed);
  out.U8(static_cast<std::uint8_t>((row.is_head ? kHeadFlag : 0) |
                                   (row.refused ? kRefusedFlag : 0)));
  for (const TreeNode& root : row.tree.roots()) {
    out.Uint(root.size);
    out.Raw(root.hash.view());
  }
  return bytes;
}

absl::StatusOr<WriterRow> DecodeWriterRow(ByteView bytes) {
  const auto malformed = absl::DataLossError("a writer row of the view is malformed");
  Reader in(bytes);
  WriterRow row;
  row.key = in.Fixed<CoreKey>();
  const std::uint64_t length = in.Uint();
  row.closed = in.Uint();
  const std::uint8_t flags = in.U8();
  row.is_head = (flags & kHeadFlag) != 0;
  row.refused = (flags & kRefusedFlag) != 0;
  if (!in.ok() || length > flat_tree::kLengthMax || row.closed > length)
    return malformed;
  std::vector<TreeNode> roots;
  for (const std::uint64_t tree_index : flat_tree::FullRoots(length)) {
    TreeNode root;
    root.tree_index = tree_index;
    root.size = in.Uint();
    root.hash = in.Fixed<TreeHash>();
    roots.push_back(root);
  }
  if (!in.ok() || !in.done()) return malformed;
  std::optional<MerkleTree> tree = MerkleTree::FromRoots(roots);
  if (!tree) return malformed;
  row.tree = *std::move(tree);
  return row;
}

}  // namespace weft
