#include "crdt/fork.h"

#include "crdt/fork_nodes.h"
#include "engine/codec.h"
#include "engine/flat_tree.h"
#include "engine/text.h"

namespace weft {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kSignatureBytesMax = 8 * 1024;

absl::Status Refuse(std::string_view what) {
  return absl::InvalidArgumentError(ToAbsl("fork proof: " + std::string(what)));
}

bool ReadBranch(std::uint64_t fork_point, Reader& in, ForkBranch* branch) {
  branch->length = in.CanonicalUint();
  branch->fork = in.CanonicalUint();
  branch->signature = ToBytes(in.Buffer());
  if (!in.ok() || branch->length < fork_point ||
      branch->length > flat_tree::kLengthMax ||
      branch->signature.size() > kSignatureBytesMax) {
    return false;
  }
  return ReadNodes(BranchNodes(fork_point, branch->length), in, &branch->nodes);
}

}  // namespace

Bytes EncodeForkProof(const ForkProof& proof) {
  Bytes bytes;
  Writer out(&bytes);
  out.U8(kVersion);
  out.Raw(proof.core.view());
  out.Buffer(EncodeManifest(proof.manifest));
  out.Uint(proof.fork_point);
  WriteNodes(proof.roots, out);
  for (const ForkBranch* branch : {&proof.a, &proof.b}) {
    out.Uint(branch->length);
    out.Uint(branch->fork);
    out.Buffer(branch->signature);
    WriteNodes(branch->nodes, out);
  }
  if (!proof.first_block.empty()) out.Buffer(proof.first_block);
  return bytes;
}

absl::StatusOr<ForkProof> DecodeForkProof(ByteView bytes) {
  if (bytes.size() > kForkProofBytesMax) return Refuse("longer than 64 KiB");
  Reader in(bytes);
  if (in.U8() != kVersion) return Refuse("of another version");
  ForkProof proof;
  proof.core = in.Fixed<CoreKey>();
  const ByteView manifest = in.Buffer();
  proof.fork_point = in.CanonicalUint();
  if (!in.ok() || proof.fork_point > flat_tree::kLengthMax) return Refuse("cut short");
  WEFT_ASSIGN_OR_RETURN(proof.manifest, DecodeManifest(manifest));
  std::vector<std::uint64_t> indices;
  AppendCover(0, proof.fork_point, &indices);
  if (!ReadNodes(indices, in, &proof.roots) ||
      !ReadBranch(proof.fork_point, in, &proof.a) ||
      !ReadBranch(proof.fork_point, in, &proof.b)) {
    return Refuse("malformed");
  }
  if (!in.done()) proof.first_block = ToBytes(in.Buffer());
  if (!in.ok() || !in.done()) return Refuse("malformed");
  if (!Equal(EncodeForkProof(proof), bytes)) return Refuse("not in its canonical form");
  return proof;
}

absl::Status VerifyForkProof(const ForkProof& proof) {
  if (KeyOf(proof.manifest) != proof.core)
    return Refuse("the manifest is not the core's");
  if (proof.a.fork != 0) return Refuse("the first branch is no writer's log");
  // A leaf's hash says what its block is. Sizes are no part of the question: the
  // parents of two leaves commit to their sum alone, so anybody can move a byte from
  // one to the other under a signature that holds.
  const bool both = !proof.a.nodes.empty() && !proof.b.nodes.empty();
  if (both && proof.a.nodes[0].hash == proof.b.nodes[0].hash) {
    return Refuse("the branches do not part at its fork point");
  }
  if (!both && proof.b.fork == 0) return Refuse("one branch extends the other");
  if (!proof.first_block.empty()) {
    const auto begins = [&](const ForkBranch& branch) {
      return !branch.nodes.empty() &&
             branch.nodes[0].size == proof.first_block.size() &&
             branch.nodes[0].hash == LeafHash(proof.first_block);
    };
    if (proof.fork_point != 0 || (!begins(proof.a) && !begins(proof.b))) {
      return Refuse("its block is in neither branch");
    }
  }
  for (const ForkBranch* branch : {&proof.a, &proof.b}) {
    const std::vector<TreeNode> roots = RootsWith(proof.roots, branch->nodes);
    if (!VerifyTree(proof.manifest, proof.core, roots, branch->length, branch->fork,
                    branch->signature)) {
      return absl::DataLossError("fork proof: a signature does not hold");
    }
  }
  return absl::OkStatus();
}

}  // namespace weft
