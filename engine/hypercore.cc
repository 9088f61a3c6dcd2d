// Reading a core: state, blocks, seeks and proofs. Appending and cutting are in
// hypercore_write.cc, taking proofs in hypercore_apply.cc.

#include "engine/hypercore.h"

#include "absl/strings/str_format.h"
#include "engine/hypercore_state.h"

namespace weft {
namespace {

// Checks in pairs: the proof was verified when the block came, and the bytes are
// hashed again now that they come from the disk.
absl::StatusOr<ByteView> VerifiedBlock(const Hypercore::State& state,
                                       const BlockRow& row, std::uint64_t block_index) {
  const ByteView block = row.Block(block_index);
  WEFT_ASSIGN_OR_RETURN(const TreeNode leaf, RequireNode(state.nodes, 2 * block_index));
  if (leaf.size != block.size() || leaf.hash != LeafHash(block)) {
    return absl::DataLossError(
        absl::StrFormat("core %s: block %d is not what was signed",
                        ToHex(state.summary().key.view()), block_index));
  }
  return block;
}

// The bytes below a node that count where `padding` bytes of every block do not.
absl::StatusOr<std::uint64_t> SizeWithout(const TreeNode& node, std::uint64_t padding) {
  const std::uint64_t leaves = flat_tree::Leaves(node.tree_index);
  if (padding != 0 && leaves > node.size / padding) {
    return absl::InvalidArgumentError(
        absl::StrFormat("node %d: its blocks are shorter than a padding of %d bytes",
                        node.tree_index, padding));
  }
  return node.size - padding * leaves;
}

// Levels above a node that are not held, up to the first that is.
std::uint64_t CountMissing(const Hypercore& core, std::uint64_t tree_index) {
  if (tree_index > flat_tree::kTreeIndexMax) return 0;
  const std::uint64_t end = 2 * core.length();
  std::uint64_t missing = 0;
  for (std::uint64_t cur = tree_index;
       !flat_tree::Contains(cur, end) && flat_tree::LeftSpan(cur) < end &&
       !core.HasNode(cur);
       cur = flat_tree::Parent(cur)) {
    ++missing;
  }
  return missing;
}

}  // namespace

Hypercore::Hypercore(std::unique_ptr<State> state) : state_(std::move(state)) {}
Hypercore::~Hypercore() = default;

const CoreKey& Hypercore::key() const {
  return state_->summary().key;
}
const DiscoveryKey& Hypercore::discovery_key() const {
  return state_->summary().discovery_key;
}
const std::optional<Manifest>& Hypercore::manifest() const {
  return state_->manifest;
}
bool Hypercore::writable() const {
  return state_->secret_key.has_value();
}

std::uint64_t Hypercore::length() const {
  return state_->tip.tree.length();
}
std::uint64_t Hypercore::fork() const {
  return state_->tip.fork;
}
std::uint64_t Hypercore::byte_length() const {
  return state_->tip.tree.byte_length();
}
std::uint64_t Hypercore::contiguous_length() const {
  return state_->summary().contiguous;
}
std::uint64_t Hypercore::held_blocks() const {
  return state_->bitfield.count();
}
std::uint64_t Hypercore::durable_length() const {
  return state_->entry().durable_length;
}
std::span<const TreeNode> Hypercore::roots() const {
  return state_->tip.tree.roots();
}
TreeHash Hypercore::tree_hash() const {
  return state_->tip.tree.hash();
}
ByteView Hypercore::signature() const {
  return state_->tip.signature;
}

bool Hypercore::Has(std::uint64_t block_index) const {
  return block_index < state_->summary().contiguous ||
         state_->bitfield.Get(block_index);
}
const Bitfield& Hypercore::bitfield() const {
  return state_->bitfield;
}

absl::StatusOr<Bytes> Hypercore::Get(std::uint64_t block_index) const {
  WEFT_RETURN_IF_ERROR(state_->CheckUsable());
  if (block_index >= length()) {
    return absl::OutOfRangeError(
        absl::StrFormat("block %d is beyond the log's %d", block_index, length()));
  }
  if (!Has(block_index)) {
    return absl::NotFoundError(absl::StrFormat("block %d is not held", block_index));
  }
  WEFT_ASSIGN_OR_RETURN(const auto row, state_->rows.Find(block_index));
  WEFT_ASSIGN_OR_RETURN(const ByteView block,
                        VerifiedBlock(*state_, *row, block_index));
  return ToBytes(block);
}

absl::StatusOr<std::vector<Bytes>> Hypercore::GetRange(std::uint64_t from,
                                                       std::uint64_t to) const {
  WEFT_RETURN_IF_ERROR(state_->CheckUsable());
  if (from > to || to > length()) {
    return absl::OutOfRangeError(
        absl::StrFormat("blocks %d to %d are beyond the log's %d", from, to, length()));
  }
  if (const auto gap = state_->bitfield.FirstUnset(from, to)) {
    return absl::NotFoundError(absl::StrFormat("block %d is not held", *gap));
  }
  std::vector<Bytes> blocks;
  blocks.reserve(to - from);
  std::shared_ptr<const BlockRow> row;
  for (std::uint64_t i = from; i < to; ++i) {
    if (!row || !row->Contains(i)) {
      WEFT_ASSIGN_OR_RETURN(row, state_->rows.Find(i));
    }
    WEFT_ASSIGN_OR_RETURN(const ByteView block, VerifiedBlock(*state_, *row, i));
    blocks.push_back(ToBytes(block));
  }
  return blocks;
}

absl::StatusOr<ByteLocation> Hypercore::Locate(std::uint64_t byte_offset,
                                               std::uint64_t padding) const {
  WEFT_RETURN_IF_ERROR(state_->CheckUsable());
  std::uint64_t rest = byte_offset;
  for (const TreeNode& root : roots()) {
    WEFT_ASSIGN_OR_RETURN(const std::uint64_t root_size, SizeWithout(root, padding));
    if (rest >= root_size) {
      rest -= root_size;
      continue;
    }
    std::uint64_t cur = root.tree_index;
    while ((cur & 1) == 1) {
      const std::uint64_t left = flat_tree::LeftChild(cur);
      WEFT_ASSIGN_OR_RETURN(const auto node, state_->nodes.Find(left));
      if (!node) break;
      WEFT_ASSIGN_OR_RETURN(const std::uint64_t size, SizeWithout(*node, padding));
      if (rest < size) {
        cur = left;
      } else {
        rest -= size;
        cur = flat_tree::RightChild(cur);
      }
    }
    return ByteLocation{cur, rest};
  }
  if (rest > 0) {
    return absl::OutOfRangeError(
        absl::StrFormat("byte %d is %d beyond the log's end", byte_offset, rest));
  }
  return ByteLocation{2 * length(), 0};
}

absl::StatusOr<std::pair<std::uint64_t, std::uint64_t>> Hypercore::Seek(
    std::uint64_t byte_offset, std::uint64_t padding) const {
  WEFT_ASSIGN_OR_RETURN(const ByteLocation at, Locate(byte_offset, padding));
  if (!at.is_block()) {
    return absl::NotFoundError(
        absl::StrFormat("node %d is not held", flat_tree::LeftChild(at.tree_index)));
  }
  return std::pair(at.block_index(), at.offset);
}

absl::StatusOr<TreeHash> Hypercore::TreeHashAt(std::uint64_t prefix) const {
  WEFT_RETURN_IF_ERROR(state_->CheckUsable());
  if (prefix == length()) return tree_hash();
  if (prefix > length()) {
    return absl::OutOfRangeError(
        absl::StrFormat("length %d is beyond the log's %d", prefix, length()));
  }
  std::vector<TreeNode> nodes;
  for (const std::uint64_t root : flat_tree::FullRoots(prefix)) {
    WEFT_ASSIGN_OR_RETURN(const auto node, state_->nodes.Find(root));
    if (!node) return absl::NotFoundError(absl::StrFormat("node %d is not held", root));
    nodes.push_back(*node);
  }
  return RootsHash(nodes);
}

absl::StatusOr<TreeNode> Hypercore::NodeAt(std::uint64_t tree_index) const {
  WEFT_RETURN_IF_ERROR(state_->CheckUsable());
  if (!flat_tree::IsComplete(tree_index, length())) {
    return absl::OutOfRangeError(absl::StrFormat(
        "node %d is not within the log's %d blocks", tree_index, length()));
  }
  WEFT_ASSIGN_OR_RETURN(const auto node, state_->nodes.Find(tree_index));
  if (!node) {
    return absl::NotFoundError(absl::StrFormat("node %d is not held", tree_index));
  }
  return *node;
}

std::uint64_t Hypercore::MissingNodes(std::uint64_t block_index) const {
  if (block_index >= length()) return 0;
  return CountMissing(*this, 2 * block_index);
}

bool Hypercore::HasNode(std::uint64_t tree_index) const {
  const auto node = state_->nodes.Find(tree_index);
  return node.ok() && node->has_value();
}

absl::StatusOr<Proof> Hypercore::Prove(const ProofRequest& request) const {
  WEFT_RETURN_IF_ERROR(state_->CheckUsable());
  ProofRequest asked = request;
  const auto& signers = state_->manifest;
  if (asked.upgrade && signers && signers->prologue &&
      asked.upgrade->start < signers->prologue->length &&
      asked.upgrade->length <= flat_tree::kLengthMax) {
    // Below the prologue nothing is signed: the upgrade has to reach it from 0.
    asked.upgrade->length = std::max(asked.upgrade->start + asked.upgrade->length,
                                     signers->prologue->length);
    asked.upgrade->start = 0;
  }
  if (asked.block && asked.block->block_index < length() &&
      !Has(asked.block->block_index)) {
    return absl::NotFoundError(
        absl::StrFormat("block %d is not held", asked.block->block_index));
  }
  WEFT_ASSIGN_OR_RETURN(Proof proof, BuildProof(state_->nodes, length(), asked));
  proof.fork = fork();
  if (proof.block) {
    WEFT_ASSIGN_OR_RETURN(proof.block->value, Get(proof.block->block_index));
  }
  if (proof.upgrade) proof.upgrade->signature = state_->tip.signature;
  if (request.manifest && signers && !signers->compat) {
    proof.manifest = EncodeManifest(*signers);
  }
  return proof;
}

std::shared_ptr<void> Hypercore::Observe(Observer observer) {
  auto handle = std::make_shared<Observer>(std::move(observer));
  state_->observers.push_back(handle);
  return handle;
}

void Hypercore::MarkDurable() {
  std::uint64_t& durable = state_->entry().durable_length;
  if (durable == length()) return;
  durable = length();
  const CoreEvent event{CoreEvent::Kind::kDurable, 0, durable};
  state_->Notify({&event, 1});
}

}  // namespace weft
